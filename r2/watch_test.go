package r2

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// trickle reads or writes n bytes every pause.
type trickle struct {
	n     int
	pause time.Duration
	left  int
}

func (s *trickle) Read(p []byte) (int, error) {
	if s.left <= 0 {
		return 0, io.EOF
	}
	time.Sleep(s.pause)
	n := min(len(p), s.n, s.left)
	s.left -= n
	return n, nil
}

// A server that takes the request and never answers: given up after a minute
// or two, then settled by HEAD.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := new(store)
		s.before = nth(1, func(_ http.ResponseWriter, r *http.Request) bool {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
			panic(http.ErrAbortHandler)
		})
		b, _ := open(t, s)
		began := time.Now()
		if _, err := b.Put(t.Context(), upload("k", "x")); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d < stallAfter || d > 3*stallAfter {
			t.Errorf("took %v", d)
		}
		if got := strings.Join(s.requests(), ","); got != "PUT /b/k,HEAD /b/k,PUT /b/k" {
			t.Error(got)
		}
	})
}

// A server that takes a byte a second is as good as dead; one that takes
// 2 KiB a second is merely slow.
func TestSlowUpload(t *testing.T) {
	t.Parallel()
	for rate, alive := range map[int]bool{1: false, 900: false, 2048: true} {
		synctest.Test(t, func(t *testing.T) {
			stalled := errors.New("stalled")
			w := &wire{base: roundTrip(func(r *http.Request) (*http.Response, error) {
				for buf := make([]byte, rate); ; {
					if _, err := r.Body.Read(buf); err == io.EOF {
						return &http.Response{StatusCode: 200, Body: http.NoBody, ContentLength: 0, Request: r}, nil
					}
					select {
					case <-time.After(time.Second):
					case <-r.Context().Done():
						return nil, stalled
					}
				}
			}), meter: testConfig().Meter}
			req, _ := http.NewRequestWithContext(t.Context(), "PUT", "http://x/", io.NopCloser(&trickle{n: rate, left: 600_000}))
			req.ContentLength = 600_000
			began := time.Now()
			resp, err := w.Do(req)
			if alive != (err == nil) {
				t.Fatalf("%d B/s: %v", rate, err)
			}
			if err == nil {
				resp.Body.Close()
			} else if d := time.Since(began); d > 3*stallAfter || !errors.Is(err, errStalled) {
				t.Errorf("%d B/s: %v after %v", rate, err, d)
			}
		})
	}
}

// The same downwards; and a reader of ours that takes its time is no stall.
func TestSlowDownload(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		server  *trickle
		our     time.Duration // between our reads
		stalled bool
	}{
		"dead server": {&trickle{n: 1, pause: time.Second, left: 1 << 20}, 0, true},
		"slow server": {&trickle{n: 2048, pause: time.Second, left: 1 << 20}, 0, false},
		"slow reader": {&trickle{n: 4096, pause: time.Millisecond, left: 1 << 20}, 40 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b, _ := open(t, nil, func(cfg *Config) {
					cfg.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
						return &http.Response{
							StatusCode: 200, ContentLength: 1 << 20, Request: r,
							Header: http.Header{"Etag": {"x"}, "Content-Length": {"1048576"}, "Last-Modified": {"Tue, 14 Nov 2023 22:13:20 GMT"}},
							Body: struct {
								io.Reader
								io.Closer
							}{cancelled{c.server, r}, io.NopCloser(nil)},
						}, nil
					})
				})
				r, _, err := b.Get(t.Context(), "k")
				if err != nil {
					t.Fatal(err)
				}
				defer r.Close()
				buf, n := make([]byte, 4096), 0
				for err == nil {
					var k int
					k, err = r.Read(buf)
					n += k
					time.Sleep(c.our)
				}
				if c.stalled != errors.Is(err, errStalled) || !c.stalled && (!errors.Is(err, io.EOF) || n != 1<<20) {
					t.Errorf("%d bytes, then %v", n, err)
				}
			})
		})
	}
}

// cancelled fails reads once the request is.
type cancelled struct {
	io.Reader
	r *http.Request
}

func (c cancelled) Read(p []byte) (int, error) {
	if err := c.r.Context().Err(); err != nil {
		return 0, err
	}
	return c.Reader.Read(p)
}

// A disk that takes minutes per read doesn't make the network guilty.
func TestSlowDiskIsNoStall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := new(store)
		b, _ := open(t, s)
		body := strings.Repeat("x", smallBody+1)
		u := upload("k", body)
		u.Body = slowDisk{bytes.NewReader([]byte(body))}
		if _, err := b.Put(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		if n := len(s.requests()); n != 1 {
			t.Errorf("%d requests", n)
		}
	})
}

type slowDisk struct{ *bytes.Reader }

func (s slowDisk) ReadAt(p []byte, off int64) (int, error) {
	time.Sleep(3 * time.Minute)
	return s.Reader.ReadAt(p, off)
}
