package r2

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

func TestBandwidth(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		rate    int64
		streams int
		bytes   int // each
	}{
		{"10 KB/s", 10e3, 1, 300e3},
		{"1 MB/s", 1e6, 1, 10e6},
		{"20 MB/s", 20e6, 1, 50e6},
		{"20 MB/s, many small", 20e6, 64, 1e6},
		{"1 GB/s", 1e9, 4, 100e6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBandwidth(tt.rate)
				began := time.Now()
				var group sync.WaitGroup
				for range tt.streams {
					group.Go(func() {
						r := b.reader(t.Context(), io.LimitReader(endless{}, int64(tt.bytes)))
						if n, err := io.Copy(io.Discard, r); err != nil || n != int64(tt.bytes) {
							t.Errorf("copied %d, %v", n, err)
						}
					})
				}
				group.Wait()
				want := float64(tt.streams*tt.bytes) / float64(tt.rate)
				if got := time.Since(began).Seconds(); got < 0.95*want || got > 1.05*want {
					t.Errorf("took %.3f s, want %.3f s", got, want)
				}
			})
		})
	}
}

// Within any tenth of a second no more passes than the rate and one burst.
func TestBandwidthFlowsEvenly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const rate = 2e6
		r := newBandwidth(rate).reader(t.Context(), endless{})
		buf := make([]byte, 1<<20)
		for range 50 {
			end, n := time.Now().Add(100*time.Millisecond), 0
			for time.Now().Before(end) {
				got, err := r.Read(buf)
				if err != nil {
					t.Fatal(err)
				}
				n += got
			}
			if n > rate/10+2*rate/burstsPerSecond {
				t.Fatalf("%d bytes in 100 ms", n)
			}
		}
	})
}

func TestBandwidthKeepsTheBytes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		content := []byte(strings.Repeat("a photograph of a cat ", 1000))
		b := newBandwidth(1e6)
		for _, source := range []io.Reader{bytes.NewReader(content), iotest.HalfReader(bytes.NewReader(content))} {
			if err := iotest.TestReader(b.reader(t.Context(), source), content); err != nil {
				t.Error(err)
			}
		}
		r := b.reader(t.Context(), iotest.DataErrReader(bytes.NewReader(content)))
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, content) {
			t.Errorf("read %d bytes, %v", len(got), err)
		}
	})
}

func TestBandwidthUnlimited(t *testing.T) {
	t.Parallel()
	source := strings.NewReader("x")
	for _, rate := range []int64{0, -1} {
		if got := newBandwidth(rate).reader(t.Context(), source); got != source {
			t.Errorf("rate %d wraps the reader", rate)
		}
	}
}

func TestBandwidthEndsWithItsContext(t *testing.T) {
	t.Parallel()
	why := errors.New("why")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		r := newBandwidth(1000).reader(ctx, endless{})
		go func() {
			time.Sleep(10 * time.Second)
			cancel(why)
		}()
		began := time.Now()
		_, err := io.Copy(io.Discard, r)
		if !errors.Is(err, why) || time.Since(began) != 10*time.Second {
			t.Errorf("%v after %s, want the cause after 10 s", err, time.Since(began))
		}
		dead, stop := context.WithTimeout(t.Context(), 3*time.Second)
		defer stop()
		if _, err := io.Copy(io.Discard, newBandwidth(1000).reader(dead, endless{})); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("past the deadline: %v", err)
		}
	})
}

// endless reads zeros for ever.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
