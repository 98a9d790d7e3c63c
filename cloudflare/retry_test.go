package cloudflare

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func patience(d time.Duration) func(*Options) { return func(o *Options) { o.Patience = d } }

// What passes is waited for, ever longer, and told.
func TestWaits(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		patience time.Duration
		fails    int // times
		status   int
		after    string // Retry-After
		ok       bool
		min, max time.Duration
		queries  int
	}{
		{"twice", 0, 2, 503, "", true, 1500 * time.Millisecond, 3 * time.Second, 3},
		{"always", 0, 99, 503, "", false, 3500 * time.Millisecond, 7 * time.Second, maxTries},
		{"a limit that clears soon", 0, 1, 429, "30", true, 30 * time.Second, 30 * time.Second, 2},
		{"a limit that clears late", 0, 1, 429, "61", false, 0, 0, 1},
		{"with patience for it", 6 * time.Minute, 1, 429, "", true, 5 * time.Minute, 5 * time.Minute, 2},
		{"with patience for one", 6 * time.Minute, 2, 429, "", false, 5 * time.Minute, 5 * time.Minute, 2},
		{"no patience at all", -1, 1, 503, "", false, 0, 0, 1},
		{"unavailable, says until when", 0, 1, 503, "20", true, 20 * time.Second, 20 * time.Second, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := &api{events: daily("media", nov(2), 1)}
				a.first = func(w http.ResponseWriter, n int, _ sent) bool {
					if n > tt.fails {
						return false
					}
					w.Header().Set("Retry-After", tt.after)
					w.WriteHeader(tt.status)
					return true
				}
				var log bytes.Buffer
				c := a.client(t, patience(tt.patience), func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
				start := time.Now()
				o, err := c.Operations(t.Context(), "media", nov(2), nov(3))
				if (err == nil) != tt.ok || (len(o.Rows) == 1) != tt.ok {
					t.Errorf("%v, %v", o.Rows, err)
				}
				if took := time.Since(start); took < tt.min || took > tt.max {
					t.Errorf("took %s, want %s to %s", took, tt.min, tt.max)
				}
				if got := len(a.queries()); got != tt.queries || strings.Count(log.String(), "again") != got-1+strings.Count(log.String(), "(again in") {
					t.Errorf("%d queries, want %d; log %s", got, tt.queries, log.String())
				}
			})
		})
	}
}

// The waits of all queries of a question share its patience.
func TestPatienceIsShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &api{events: daily("media", nov(2), 14)}
		a.first = func(w http.ResponseWriter, n int, _ sent) bool {
			if n%2 == 1 { // each query once
				w.Header().Set("Retry-After", "25")
				w.WriteHeader(503)
			}
			return n%2 == 1
		}
		o, err := a.client(t).Operations(t.Context(), "media", nov(2).AddDate(0, 0, -7), nov(16))
		if got := brief(o.Coverage); got != "0000000.......aaaaaaa" || !errors.Is(err, ErrPartial) {
			t.Error(got, err)
		}
	})
}

func TestWaitsDiffer(t *testing.T) {
	t.Parallel()
	seen := map[time.Duration]bool{}
	for range 5 {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			_, _ = failsWith(503, "").client(t).Operations(t.Context(), "", nov(2), nov(3))
			seen[time.Since(start)] = true
		})
	}
	if len(seen) < 2 {
		t.Error("no jitter", seen)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	hang := roundTripper(func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	})
	busy := wire{failsWith(503, "")}
	busy.Handler.(*api).t = t
	why := errors.New("the admin has seen enough")
	for name, base := range map[string]http.RoundTripper{"in a request": hang, "in a wait": busy} {
		synctest.Test(t, func(t *testing.T) {
			c := (&api{}).client(t, func(o *Options) { o.Transport, o.Patience = base, time.Hour })
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(300*time.Millisecond, func() { cancel(why) })
			start := time.Now()
			o, err := c.Storage(ctx, "", nov(2), nov(3))
			if !errors.Is(err, why) || errors.Is(err, ErrPartial) || time.Since(start) != 300*time.Millisecond {
				t.Errorf("%s: %v after %s", name, err, time.Since(start))
			}
			if brief(o.Coverage) != "a" {
				t.Error(brief(o.Coverage))
			}
		})
	}
	c := (&api{}).client(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Storage(ctx, "", nov(2), nov(3)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A server that says nothing is tried again like one that is down.
func TestSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &api{}
		c := a.client(t, func(o *Options) {
			o.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
				<-r.Context().Done()
				return nil, r.Context().Err()
			})
		})
		start := time.Now()
		_, err := c.Storage(t.Context(), "", nov(2), nov(3))
		if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "nothing for 45s") {
			t.Error(err)
		}
		if took := time.Since(start); took < maxTries*timeToTry || took > maxTries*timeToTry+10*time.Second {
			t.Error(took)
		}
	})
}
