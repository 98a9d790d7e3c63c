package verify

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"

	"example.org/mediamove/media"
)

// An Exception says why an object is named in a list without a hash.
type Exception string

// The exceptions, by their words in the list.
const (
	ExceptRewritten Exception = "rewritten" // Mastodon wrote it anew after the switch
	ExceptAbsent    Exception = "absent"    // gone from the bucket, and no row names it
)

// Certified is one object of a list.
type Certified struct {
	Key     media.Key
	Size    int64    // bytes
	ETag    string   // without quotes
	SHA256  [32]byte // of the bytes that were moved
	Adopted bool     // in the bucket before mediamove came, with the bytes of the disk

	// Except is "" for what is certified. With one of the exceptions only the
	// key is known.
	Except Exception
}

const (
	maxETag = 128  // bytes; R2's own have 38 at most
	note    = "# " // begins a comment to sha256sum
	adopted = " adopted"
)

// fault says why c can't stand in a list, "" if it can. What [media.CheckKey] lets
// through can neither break a line nor lead out of the folder that a list is
// checked in.
func (c *Certified) fault() string {
	if err := media.CheckKey(string(c.Key)); err != nil {
		return err.Error()
	}
	switch {
	case c.Except == ExceptRewritten, c.Except == ExceptAbsent:
		if *c != (Certified{Key: c.Key, Except: c.Except}) {
			return "an exception has nothing but a key"
		}
	case c.Except != "":
		return "an unknown exception"
	case c.Size < 0:
		return "a negative size"
	case c.ETag == "" || len(c.ETag) > maxETag || strings.ContainsFunc(c.ETag, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "no plain ETag"
	case c.SHA256 == [32]byte{}:
		return "no SHA-256"
	}
	return ""
}

// appendNote appends the comment line: size and ETag, or the whole exception.
func (c *Certified) appendNote(b []byte) []byte {
	b = append(b, note...)
	if c.Except != "" {
		b = append(append(append(b, c.Except...), ' '), c.Key...)
		return append(b, '\n')
	}
	b = append(append(strconv.AppendInt(b, c.Size, 10), ' '), c.ETag...)
	if c.Adopted {
		b = append(b, adopted...)
	}
	return append(b, '\n')
}

// appendSum appends the line that sha256sum prints for the file. It escapes
// backslashes; the line breaks that it would escape too can't be in a key.
func (c *Certified) appendSum(b []byte) []byte {
	if strings.IndexByte(string(c.Key), '\\') >= 0 {
		b = append(b, '\\')
	}
	b = append(hex.AppendEncode(b, c.SHA256[:]), "  "...)
	if c.Key == "-" { // sha256sum would read its standard input
		b = append(b, "./"...)
	}
	for i := range len(c.Key) {
		if c.Key[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, c.Key[i])
	}
	return append(b, '\n')
}

// parseNote reads what appendNote wrote, without its end, and much that it never
// would: the caller prints it again and compares.
func (c *Certified) parseNote(line []byte) (err error) {
	rest, ok := bytes.CutPrefix(line, []byte(note))
	word, rest, cut := bytes.Cut(rest, []byte(" "))
	if !ok || !cut {
		return errors.New("no size and ETag")
	}
	if e := Exception(word); e == ExceptRewritten || e == ExceptAbsent {
		c.Key, c.Except = media.Key(rest), e
		return nil
	}
	rest, c.Adopted = bytes.CutSuffix(rest, []byte(adopted))
	c.ETag = string(rest)
	c.Size, err = strconv.ParseInt(string(word), 10, 64)
	return err
}

// parseSum reads what appendSum wrote, as generously as parseNote.
func (c *Certified) parseSum(line []byte) error {
	line, escaped := bytes.CutPrefix(line, []byte(`\`))
	sum, name, ok := bytes.Cut(line, []byte("  "))
	if n, err := hex.Decode(c.SHA256[:], sum[:min(len(sum), 64)]); !ok || err != nil || n != len(c.SHA256) {
		return errors.New("no SHA-256 and name")
	}
	if escaped {
		name = bytes.ReplaceAll(name, []byte(`\\`), []byte(`\`))
	}
	c.Key = media.Key(bytes.TrimPrefix(name, []byte("./")))
	return nil
}
