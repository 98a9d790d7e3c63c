package r2

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"example.org/mediamove/costs"
)

// A slowLister takes a second per page; before may answer the nth request.
type slowLister struct {
	lister

	asked  int
	before func(n int, w http.ResponseWriter) (answered bool)
}

func (s *slowLister) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.asked++
	n := s.asked
	select {
	case <-time.After(time.Second):
	case <-r.Context().Done():
		panic(http.ErrAbortHandler)
	}
	if s.before == nil || !s.before(n, w) {
		s.lister.ServeHTTP(w, r)
	}
}

func tenKeys(page int) *slowLister {
	var keys []string
	for i := range 10 {
		keys = append(keys, fmt.Sprint("k", i))
	}
	return &slowLister{lister: lister{keys: keys, page: page}}
}

// The next page comes while the caller works on this one, and no further one does.
func TestListFetchesOnePageAhead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := tenKeys(3) // in 4 pages
		b, m := open(t, s)
		began, n := time.Now(), 0
		for o, err := range b.List(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second) // longer than the next page takes
			synctest.Wait()
			if want := fmt.Sprint("k", n); string(o.Key) != want || o.Size != 3 || o.ETag != "abc" {
				t.Errorf("%+v, want %s", o, want)
			}
			if want := min(n/3+2, 4); s.asked != want {
				t.Errorf("%d requests at object %d, want %d", s.asked, n, want)
			}
			n++
		}
		if d := time.Since(began); d != 11*time.Second || n != 10 || m.Usage().Get(costs.ListObjects) != 4 {
			t.Errorf("%d objects in %v, %v", n, d, m.Usage())
		}
	})
}

// Who stops early pays for the request under way at most, and waits for nothing. A
// goroutine left behind would fail the bubble.
func TestListStopsEarly(t *testing.T) {
	t.Parallel()
	throttled := func(n int, w http.ResponseWriter) bool {
		if n > 1 {
			s3Error(w, 429, "TooManyRequests", "x")
		}
		return n > 1
	}
	for name, c := range map[string]struct {
		server *slowLister
		take   int
		work   time.Duration // before stopping
		asked  int
	}{
		"at the first":            {tenKeys(3), 1, 0, 2},
		"inside a page":           {tenKeys(3), 2, 0, 2},
		"with the next page here": {tenKeys(3), 3, time.Second, 2},
		"inside the last page":    {tenKeys(5), 6, time.Second, 2},
		"the only page":           {tenKeys(10), 1, time.Second, 1},
		"between two attempts":    {&slowLister{lister: tenKeys(3).lister, before: throttled}, 1, time.Second + readWait/2, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b, m := open(t, c.server)
				n := 0
				var stopped time.Time
				for _, err := range b.List(t.Context(), "") {
					if err != nil {
						t.Fatal(err)
					}
					if n++; n == c.take {
						time.Sleep(c.work)
						synctest.Wait()
						stopped = time.Now()
						break
					}
				}
				if d := time.Since(stopped); d != 0 || b.Stats().InFlight != 0 {
					t.Errorf("went on for %v, %+v", d, b.Stats())
				}
				time.Sleep(time.Hour)
				if c.server.asked != c.asked || m.Usage().Get(costs.ListObjects) != int64(c.asked) {
					t.Errorf("%d requests, want %d", c.server.asked, c.asked)
				}
			})
		})
	}
}

// What came well is told before what went wrong after it.
func TestListTellsItsErrorLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := tenKeys(3)
		s.before = func(n int, w http.ResponseWriter) bool {
			if n == 3 {
				s3Error(w, 403, "AccessDenied", "x")
			}
			return n == 3
		}
		b, _ := open(t, s)
		got, err := collect(t, b, "")
		mustBe(t, err, ErrDenied)
		if want := []string{"k0", "k1", "k2", "k3", "k4", "k5"}; !slices.Equal(got, want) {
			t.Errorf("%q", got)
		}
	})
}

// A walk may begin again; each has its own pages.
func TestListAgainAndSideBySide(t *testing.T) {
	t.Parallel()
	b, _ := open(t, &lister{tenKeys(3).keys, 3, false})
	all := b.List(t.Context(), "")
	n := 0
	for outer, err := range all {
		for inner, err := range all {
			if err != nil || inner.Key == outer.Key {
				n++
				break
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if n != 10 {
		t.Errorf("%d of 10 met themselves", n)
	}
}

// Prefix and token are signed as they go out.
func TestListIsSigned(t *testing.T) {
	t.Parallel()
	const prefix = "ä b/+%&=?*~"
	b := serveReal(t, recorder(t, &lister{[]string{prefix + "1", prefix + "2 +", prefix + "猫"}, 1, false}))
	got, err := collect(t, b, prefix)
	if err != nil || len(got) != 3 {
		t.Errorf("%q, %v", got, err)
	}
}
