package r2

import (
	"fmt"
	"io"
)

// Format implements fmt.Formatter for every verb: fmt would otherwise look behind
// pointers, into the credentials.
func (b *Bucket) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, "bucket "+b.name+" at "+b.host)
}
