package uploader

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/ledger"
)

// hide makes the file at path unreadable for others.
func hide(path string) error { return os.Chmod(path, 0o600) }

// A bucket may store a file and answer with an error. If the file is hidden before
// the next try, that try is not made, and the object must not be forgotten: it is
// public, and nobody would tell.
func TestHiddenAfterAnUnsureAttempt(t *testing.T) {
	t.Parallel()
	broken := func(a *fixtures.Answer) { a.Status, a.Body, a.Header = 503, nil, http.Header{} }
	tests := map[string]struct {
		fault fixtures.Fault
		act   func(path string) error
		other bool // somebody else's bytes appear with the first attempt
		want  Files
		kind  ledger.Kind // of the finding
		entry bool
		heads int64
	}{
		"stored":                  {fault: fixtures.Fault{Edit: broken}, act: hide, want: Files{HeldBack: 1}, kind: ledger.Exposed, entry: true, heads: 1},
		"stored, no answer":       {fault: fixtures.Fault{StoreThenCut: true}, act: hide, want: Files{HeldBack: 1}, kind: ledger.Exposed, entry: true, heads: 1},
		"stored, deleted on disk": {fault: fixtures.Fault{Edit: broken}, act: os.Remove, want: Files{Adopted: 1}, entry: true, heads: 1},
		"not stored":              {fault: fixtures.Fault{Status: 503, Code: "ServiceUnavailable"}, act: hide, want: Files{HeldBack: 1}, kind: ledger.HeldBack, heads: 1},
		"not stored, no answer":   {fault: fixtures.Fault{CutBefore: true}, act: hide, want: Files{HeldBack: 1}, kind: ledger.HeldBack, heads: 2},
		"throttled":               {fault: fixtures.Fault{Status: 429, Code: "TooManyRequests"}, act: hide, want: Files{HeldBack: 1}, kind: ledger.HeldBack},
		"another's object":        {fault: fixtures.Fault{Status: 503, Code: "ServiceUnavailable"}, act: hide, other: true, want: Files{Conflict: 1}, kind: ledger.Conflict, heads: 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, state := t.TempDir(), t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				var g *rig
				g = newRig(t, fixtures.Options{Fault: func(r fixtures.Request) fixtures.Fault {
					if r.Op != costs.PutObject || r.Attempt != 1 {
						return fixtures.Fault{}
					}
					if err := tt.act(filepath.Join(g.root, photo)); err != nil {
						t.Error(err)
					}
					if tt.other {
						g.remote.Put(photo, []byte("others"))
					}
					return tt.fault
				}})
				g.root, g.state, g.plain = dir, state, true
				g.write(photo, []byte(jpeg))
				g.must()
				tt.want.Seen = 1
				if c := g.last.Stats().Counts; c.Files != tt.want {
					t.Errorf("%+v", c)
				}
				if f := g.finding(photo); f.Kind != tt.kind {
					t.Errorf("%+v", f)
				}
				e, known := g.entry(photo)
				o, there := g.remote.Object(photo)
				if known != tt.entry || known && (!there || e.ETag != strings.Trim(o.ETag, `"`)) {
					t.Errorf("entry %t %+v, object %+v", known, e, o)
				}
				if n := g.meter.Usage().Get(costs.HeadObject); n != tt.heads {
					t.Errorf("%d HEADs, want %d", n, tt.heads)
				}
			})
		})
	}
}
