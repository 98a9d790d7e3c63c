package cloudflare

import (
	"fmt"
	"log/slog"
)

const hidden = "[secret]"

// A Token is a Cloudflare API token. It prints as "[secret]" whatever the verb,
// logger or encoder. It needs the permission Account Analytics: Read, no other.
type Token string

// String returns "[secret]".
func (Token) String() string { return hidden }

// GoString returns "[secret]".
func (Token) GoString() string { return hidden }

// Format writes "[secret]". Without it a wrong verb such as %d would make fmt
// print the bytes.
func (Token) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) }

// LogValue returns "[secret]".
func (Token) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText returns "[secret]"; encoding/json and others use it.
func (Token) MarshalText() ([]byte, error) { return []byte(hidden), nil }
