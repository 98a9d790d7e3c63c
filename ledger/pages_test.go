package ledger

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestPrefixed: the range of keys is exactly those that begin with the prefix,
// whatever the bytes.
func TestPrefixed(t *testing.T) {
	t.Parallel()
	drawBytes := func(r *rapid.T, name string) string {
		return string(rapid.SliceOfN(rapid.SampledFrom([]byte{0, '/', 'a', 0xfe, 0xff}), 0, 4).Draw(r, name))
	}
	rapid.Check(t, func(r *rapid.T) {
		prefix, key := drawBytes(r, "prefix"), drawBytes(r, "rest")
		if rapid.Bool().Draw(r, "begins with it") {
			key = prefix + key
		}
		var w where
		w.prefixed(prefix)
		within := true
		for i, bound := range w.args {
			if i == 0 {
				within = key >= string(bound.([]byte))
			} else {
				within = within && key < string(bound.([]byte))
			}
		}
		if within != strings.HasPrefix(key, prefix) {
			r.Fatalf("%q: %q %q", key, w.sql, w.args)
		}
	})
}
