package cloudflare

import (
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// What callers decide on, with errors.Is. Each comes inside an [*Error], except
// ErrPartial, which wraps one.
var (
	// ErrToken: the token is invalid, expired, or may not read the account's
	// analytics (permission Account Analytics: Read).
	ErrToken = errors.New("token refused")
	// ErrLimit: Cloudflare's limit of 300 queries in 5 minutes, which all users of
	// one token share, or our own limit for one question. [Error.RetryAfter] says
	// when to ask again.
	ErrLimit = errors.New("too many queries")
	// ErrUnavailable: no answer, or "try again later", and the tries are used up.
	ErrUnavailable = errors.New("analytics not available")
	// ErrShape: an answer that isn't as documented, such as a web page, a number
	// below zero, or a refusal nobody has described.
	ErrShape = errors.New("answer not as documented")
	// ErrPartial: some days were answered, then something failed. What came is
	// returned beside it; the [Coverage] says which days that is.
	ErrPartial = errors.New("only a part was answered")
)

// An Error is one question that failed. Its text never holds the token.
type Error struct {
	Dataset    string        // "operations" or "storage"
	Status     int           // HTTP; 0 without an answer. 200 is possible
	Message    string        // Cloudflare's words, cleaned; may be ""
	RetryAfter time.Duration // of ErrLimit: when to ask again; 0 if unknown
	Err        error         // one of the sentinels above, or a cancelled context
}

// Error returns "read R2 operations from Cloudflare: 403 token refused: words".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("read R2 " + e.Dataset + " from Cloudflare: ")
	if e.Status != 0 && e.Status != 200 {
		b.WriteString(strconv.Itoa(e.Status) + " ")
	}
	b.WriteString(e.Err.Error())
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	if e.RetryAfter > 0 {
		b.WriteString(" (again in " + e.RetryAfter.Round(time.Second).String() + ")")
	}
	return b.String()
}

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

// maxShown is how much of foreign text an error shows, in bytes.
const maxShown = 300

// clean makes foreign text fit for an error: without the secrets, on one line,
// short.
func clean(s string, secrets ...string) string {
	for _, secret := range secrets {
		if secret != "" { // which stands between any two letters
			s = strings.ReplaceAll(s, secret, hidden)
		}
	}
	s = strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return ' '
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxShown {
		s = strings.ToValidUTF8(s[:maxShown], "") + "…"
	}
	return s
}
