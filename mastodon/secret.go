package mastodon

import (
	"fmt"
	"io"
	"log/slog"
)

// redacted stands wherever a secret would be printed.
const redacted = "[secret]"

// A Secret is a string that no printing, logging or marshalling shows.
// string(s) is the one way to its text, and easy to search for.
type Secret string

// String returns "[secret]", or nothing for the empty secret, so that
// "is it set" can still be seen.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// Format serves every verb: with String alone, %d would print the text in
// its complaint about the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText keeps the text out of JSON and whatever else marshals.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue keeps the text out of logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
