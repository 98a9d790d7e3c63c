package media

import (
	"fmt"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// MaxKeyLen is the longest object key that R2 takes, in bytes of UTF-8
// (R2 error 10020 InvalidObjectName).
const MaxKeyLen = 1024

// A KeyError says why a name cannot be an object's key.
type KeyError struct {
	Key    string // as it was given, raw bytes
	Reason string // a short phrase such as "not valid UTF-8"
}

// Error quotes the key, so that no byte of it reaches a terminal as it is.
func (e *KeyError) Error() string { return fmt.Sprintf("key %q: %s", e.Key, e.Reason) }

// CheckKey returns a [*KeyError] if objectKey, S3_KEY_PREFIX included, cannot
// be a key: R2 would refuse it, a listing in XML would not bring it back as it
// was sent, or it would not be one path below a root.
func CheckKey(objectKey string) error {
	if reason := keyFault(objectKey); reason != "" {
		return &KeyError{Key: objectKey, Reason: reason}
	}
	return nil
}

func keyFault(s string) string {
	switch {
	case s == "":
		return "empty"
	case len(s) > MaxKeyLen:
		return "longer than 1,024 bytes"
	case plain(s): // as nearly every key is
	case !utf8.ValidString(s):
		return "not valid UTF-8"
	default:
		for _, r := range s {
			if reason := runeFault(r); reason != "" {
				return reason
			}
		}
	}
	return segmentFault(s)
}

// segmentFault looks at what stands between slashes, in one pass.
func segmentFault(s string) string {
	for start, i := 0, 0; i <= len(s); i++ {
		if i < len(s) && s[i] != '/' {
			continue
		}
		switch i - start {
		case 0:
			return "contains an empty path segment"
		case 1, 2:
			if seg := s[start:i]; seg == "." || seg == ".." {
				return "contains a . or .. path segment"
			}
		}
		start = i + 1
	}
	return ""
}

// runeFault names what XML 1.0 forbids or what tools are known to fold.
func runeFault(r rune) string {
	switch {
	case r < 0x20, r >= 0x7f && r <= 0x9f: // C0, DEL, C1
		return "contains a control character"
	case r == '\u2028', r == '\u2029':
		return "contains a line or paragraph separator"
	case r >= 0xfdd0 && r <= 0xfdef, r&0xfffe == 0xfffe:
		return "contains a Unicode noncharacter"
	}
	return ""
}

// Normal returns s in Unicode's form NFC, in which R2 compares keys: two names
// with one Normal are one object there (r2/reference/unicode-interoperability).
func Normal(s string) string {
	if plain(s) {
		return s
	}
	return norm.NFC.String(s)
}

// plain reports whether s has only ASCII's printable characters, in which nothing is at
// fault and nothing composes. A scan asks this of a million keys.
func plain(s string) bool {
	for i := range len(s) {
		if s[i]-' ' >= 0x7f-' ' {
			return false
		}
	}
	return true
}
