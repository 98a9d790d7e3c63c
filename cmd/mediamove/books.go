package main

import (
	"context"
	"sync"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/uploader"
)

// bookBlock is how many Class A operations are booked ahead: so many too much, and
// never too few, are in the books of a run that was killed.
const bookBlock = 500

// A bookkeeper writes down what a run sends, by UTC day: Class A before it is sent,
// the rest every few seconds. What is booked and not sent yet counts as
// [costs.Unknown], so that nobody takes it for certain.
type bookkeeper struct {
	x *session

	mu     sync.Mutex
	day    string
	at     time.Time   // of the last entry, on that day
	before costs.Usage // when that day began
	ahead  int64       // Class A operations that the run may reach
}

// openBooks has everything booked from now on. What is sent is sent, however the run
// ends, and so it is booked whatever becomes of ctx.
func (x *session) openBooks(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	x.keeper = &bookkeeper{x: x, day: uploader.Today(x.began), at: x.began}
	x.meter.BookAhead(bookBlock, func(n int64) error { return x.keeper.reach(ctx, n) })
}

// reach books Class A operations up to the n-th of the run. It returns when that is
// durable.
func (b *bookkeeper) reach(ctx context.Context, n int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ahead = n
	return b.write(ctx, time.Now())
}

// settle books what was sent, and nothing ahead: the run is over.
func (b *bookkeeper) settle(ctx context.Context, now time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ahead = 0
	return b.write(ctx, now)
}

// write books the day's part. mu is held.
func (b *bookkeeper) write(ctx context.Context, now time.Time) error {
	used := b.x.meter.Usage()
	if today := uploader.Today(now); today != b.day {
		// What was ahead was sent today, or not at all.
		if err := b.x.ledger.AddUsage(ctx, b.x.run, b.at, used.Sub(b.before)); err != nil {
			return err
		}
		b.day, b.before = today, used
	}
	b.at = now
	part := used.Sub(b.before)
	part[costs.Unknown] += max(0, b.ahead-used.A())
	return b.x.ledger.AddUsage(ctx, b.x.run, now, part)
}

// saveUsage books every few seconds, until ctx ends, what is not booked ahead.
func (x *session) saveUsage(ctx context.Context) {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			x.keeper.mu.Lock()
			err := x.keeper.write(ctx, now)
			x.keeper.mu.Unlock()
			if err != nil && ctx.Err() == nil {
				x.log.WarnContext(ctx, "the ledger did not take the request counts", "err", err)
				return
			}
		}
	}
}
