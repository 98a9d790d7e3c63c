package r2

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A lost answer is settled by HEAD, not by sending again.
func TestPutLostAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		store func() *store
		want  []string
		found bool
		err   error
	}{
		"stored, answer lost": {
			func() *store {
				lose := nth(1, cut)
				return &store{after: func(w http.ResponseWriter, r *http.Request) { lose(w, r) }}
			},
			[]string{"PUT", "HEAD"},
			true, nil,
		},
		"lost before it was stored": {
			func() *store { return &store{before: nth(1, cut)} },
			[]string{"PUT", "HEAD", "PUT"},
			false, nil,
		},
		"somebody else's bytes": {
			func() *store {
				s := new(store)
				s.before = nth(1, func(http.ResponseWriter, *http.Request) bool {
					s.objects = map[string]stored{"k": {"them", etagOf("them"), nil}}
					panic(http.ErrAbortHandler)
				})
				return s
			},
			[]string{"PUT", "HEAD"},
			false, ErrExists,
		},
		"502 after it was stored": {
			func() *store {
				s := new(store)
				s.before = nth(1, func(w http.ResponseWriter, _ *http.Request) bool {
					s.objects = map[string]stored{"k": {"mine", etagOf("mine"), nil}}
					http.Error(w, "<html>", http.StatusBadGateway)
					return true
				})
				return s
			},
			[]string{"PUT", "PUT", "HEAD"},
			true, nil,
		},
		"zombie: lands after the HEAD": {
			func() *store {
				s := new(store)
				n := 0
				s.before = func(http.ResponseWriter, *http.Request) bool {
					if n++; n == 1 {
						panic(http.ErrAbortHandler)
					}
					if n == 3 {
						s.objects = map[string]stored{"k": {"mine", etagOf("mine"), nil}}
					}
					return false
				}
				return s
			},
			[]string{"PUT", "HEAD", "PUT", "HEAD"},
			true, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := c.store()
				b, m := open(t, s)
				got, err := b.Put(t.Context(), upload("k", "mine"))
				mustBe(t, err, c.err)
				if c.err == nil && (got.Found != c.found || got.ETag != etagOf("mine") || got.Size != 4) {
					t.Errorf("got %+v", got)
				}
				var methods []string
				for _, r := range s.requests() {
					methods = append(methods, strings.Fields(r)[0])
				}
				if d := cmp.Diff(c.want, methods); d != "" {
					t.Error(d)
				}
				for i := 1; i < len(s.times); i++ {
					if methods[i] == "PUT" && s.times[i].Sub(s.times[i-1]) < time.Second && methods[i-1] == "PUT" {
						t.Errorf("PUTs of one key within %v", s.times[i].Sub(s.times[i-1]))
					}
				}
				if n := m.Usage().A() + m.Usage().B(); n != int64(len(methods)) {
					t.Errorf("%d attempts counted, %d made", n, len(methods))
				}
			})
		})
	}
}

// With If-Match, our own success must not look like somebody's change.
func TestReplaceLostAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lose := nth(1, cut)
		s := &store{
			objects: map[string]stored{"k": {"old", etagOf("old"), nil}}, uploads: map[string]map[int]string{},
			after: func(w http.ResponseWriter, r *http.Request) { lose(w, r) },
		}
		b, _ := open(t, s)
		u := upload("k", "new")
		u.IfMatch = etagOf("old")
		got, err := b.Put(t.Context(), u)
		if err != nil || !got.Found {
			t.Fatalf("%+v, %v", got, err)
		}
	})
}
