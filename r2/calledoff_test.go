package r2

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

// Called off after an attempt that may have been stored, an upload is settled by a
// look: an object that is there must not stay unknown.
func TestPutCalledOff(t *testing.T) {
	t.Parallel()
	unavailable := func(w http.ResponseWriter, _ *http.Request) bool {
		http.Error(w, "<html>", http.StatusServiceUnavailable)
		return true
	}
	throttled := func(w http.ResponseWriter, _ *http.Request) bool {
		s3Error(w, http.StatusTooManyRequests, "TooManyRequests", "")
		return true
	}
	errLater := errors.New("changed my mind")
	for name, c := range map[string]struct {
		first func(http.ResponseWriter, *http.Request) bool
		there string // under the key after the first attempt
		allow int    // attempts before the caller changes its mind
		want  []string
		err   error // nil: found
	}{
		"before the first attempt": {unavailable, "", 0, nil, errLater},
		"stored":                   {unavailable, "mine", 1, []string{"PUT", "HEAD"}, nil},
		"not stored":               {unavailable, "", 1, []string{"PUT", "HEAD"}, errLater},
		"somebody else's bytes":    {unavailable, "them", 1, []string{"PUT", "HEAD"}, ErrExists},
		"throttled: surely not":    {throttled, "", 1, []string{"PUT"}, errLater},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := new(store)
				fail := nth(1, c.first)
				s.before = func(w http.ResponseWriter, r *http.Request) bool {
					if c.there != "" && s.objects == nil {
						s.objects = map[string]stored{"k": {c.there, etagOf(c.there), nil}}
					}
					return fail(w, r)
				}
				b, _ := open(t, s)
				u := upload("k", "mine")
				asked := 0
				u.Before = func() error {
					if asked++; asked > c.allow {
						return errLater
					}
					return nil
				}
				got, err := b.Put(t.Context(), u)
				if !errors.Is(err, c.err) || (c.err == nil) != (err == nil && got.Found && got.ETag == etagOf("mine")) {
					t.Errorf("%+v, %v", got, err)
				}
				var methods []string
				for _, r := range s.requests() {
					methods = append(methods, strings.Fields(r)[0])
				}
				if d := cmp.Diff(c.want, methods); d != "" {
					t.Error(d)
				}
			})
		})
	}
}

// The same at the end of an upload in parts: if it was completed, it is found, and if
// not, its parts are removed.
func TestPutLargeCalledOff(t *testing.T) {
	t.Parallel()
	errLater := errors.New("changed my mind")
	for _, completed := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var off atomic.Bool
			refuse := func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodPost || !r.URL.Query().Has("uploadId") {
					return false
				}
				off.Store(true)
				w.WriteHeader(http.StatusServiceUnavailable)
				return true
			}
			s := &store{before: refuse}
			if completed {
				s = &store{after: func(w http.ResponseWriter, r *http.Request) { refuse(w, r) }}
			}
			b, _ := open(t, s)
			var n notes
			l := large("big", 6*mib, &n)
			l.Before = func() error {
				if off.Load() {
					return errLater
				}
				return nil
			}
			got, err := b.PutLarge(t.Context(), l)
			if completed && (err != nil || !got.Found || got.ETag != CompositeETag(l.PartMD5)) || !completed && !errors.Is(err, errLater) {
				t.Errorf("completed %t: %+v, %v", completed, got, err)
			}
			if _, there := s.has("big"); there != completed || len(s.uploads) != 0 || len(n.started) != len(n.ended) {
				t.Errorf("completed %t: there %t, uploads %v, noted %+v", completed, there, s.uploads, n.started)
			}
		})
	}
}

// Damaged bytes have the ETag of those that replace them: after a lost answer it
// can't tell whether they were replaced.
func TestReplaceUnderTheSameETag(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &store{
			objects: map[string]stored{"k": {"mime", etagOf("mine"), nil}}, uploads: map[string]map[int]string{},
			before: nth(1, cut),
		}
		b, _ := open(t, s)
		u := upload("k", "mine")
		u.IfMatch = etagOf("mine")
		got, err := b.Put(t.Context(), u)
		if body, _ := s.has("k"); err != nil || got.Found || body != "mine" {
			t.Errorf("%q, %+v, %v", body, got, err)
		}
	})
}
