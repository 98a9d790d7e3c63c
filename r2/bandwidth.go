package r2

import (
	"cmp"
	"context"
	"fmt"
	"io"

	"golang.org/x/time/rate"
)

// A burst is what may pass at once. 20 ms of the rate keep the flow smooth for
// other users of the link; 64 KiB is twice what net/http reads at a time, so
// more would not save calls; below 1 KiB the timers would cost more than the
// bytes.
const (
	burstsPerSecond = 50
	minBurst        = 1 << 10
	maxBurst        = 64 << 10
)

// bandwidth is one limit on the bytes per second of all requests together.
// A nil one does not limit.
type bandwidth struct {
	limiter *rate.Limiter
}

// newBandwidth returns nil, no limit, if bytesPerSecond is not positive.
func newBandwidth(bytesPerSecond int64) *bandwidth {
	if bytesPerSecond <= 0 {
		return nil
	}
	burst := min(max(bytesPerSecond/burstsPerSecond, minBurst), maxBurst)
	return &bandwidth{rate.NewLimiter(rate.Limit(bytesPerSecond), int(burst))}
}

// reader passes r on at the rate that is left. A read that waits ends with
// ctx, with the cause of its end.
func (b *bandwidth) reader(ctx context.Context, r io.Reader) io.Reader {
	if b == nil {
		return r
	}
	return &slowReader{ctx: ctx, source: r, limiter: b.limiter}
}

// slowReader carries its context because io.Reader has no place for one.
type slowReader struct {
	ctx     context.Context
	source  io.Reader
	limiter *rate.Limiter
}

func (r *slowReader) Read(p []byte) (int, error) {
	n, err := r.source.Read(p[:min(len(p), r.limiter.Burst())])
	if n == 0 {
		return 0, err
	}
	// Paid for after the read: a short read costs only what it brought.
	if r.limiter.WaitN(r.ctx, n) == nil {
		return n, err
	}
	// WaitN also refuses, with an error of its own, a wait that would end
	// after the deadline; for the caller that is the deadline.
	return 0, fmt.Errorf("wait for bandwidth: %w", cmp.Or(context.Cause(r.ctx), context.DeadlineExceeded))
}
