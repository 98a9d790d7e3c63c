package r2

import (
	"container/list"
	"context"
	"log/slog"
	"sync"
	"time"
)

// outcome is what became of one attempt, as far as the pace is concerned.
type outcome uint8

const (
	outcomeOK        outcome = iota
	outcomeThrottled         // 429, 503 SlowDown
	outcomeFailed            // other 5xx, connection faults
	outcomeNeutral           // other 4xx, which is an answer; or cancelled, which is nothing
	outcomeNothing           // never sent: it says nothing of the bucket
)

const (
	defaultMax       = 256
	defaultMaxOutage = 2 * time.Hour
)

// paceOptions are the bounds of a pace.
type paceOptions struct {
	Max       int           // requests in flight, 0 = 256
	MaxOutage time.Duration // 0 = 2 h
	Log       *slog.Logger  // nil = none
}

// paceStats is one look at a pace.
type paceStats struct {
	Limit, InFlight int
	Throttled       int64 // attempts so far
	Paused          bool
	PausedSince     time.Time
}

// pace decides when each attempt of each request may start. There is one for
// all workers, because R2 answers 429 and 5xx for the bucket and not for one
// request. Three parts have a say: climb finds how many requests in flight
// bring throughput, brake spaces starts after refusals, breaker waits out an
// outage. Waiters are served in the order they came.
type pace struct {
	log       *slog.Logger
	maxOutage time.Duration
	began     time.Time

	mu        sync.Mutex
	queue     list.List // of *waiter
	inFlight  int
	throttled int64
	climb     climb
	brake     brake
	breaker   breaker
	recent    tally
	gaveUp    error
	timer     *time.Timer // one for all waiters
	wake      time.Duration
	news      []func() // log lines, written after mu is released
}

func newPace(o paceOptions) *pace {
	if o.Max <= 0 {
		o.Max = defaultMax
	}
	if o.MaxOutage <= 0 {
		o.MaxOutage = defaultMaxOutage
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p := &pace{log: o.Log, maxOutage: o.MaxOutage, began: time.Now()}
	p.climb.restart(min(startLimit, o.Max), o.Max)
	return p
}

// ticket is the permission for one attempt. It must be given back with done.
type ticket struct {
	pace  *pace
	ctx   context.Context // tells the two neutral outcomes apart
	start time.Duration
	probe bool
	ended bool
}

type waiter struct {
	ctx    context.Context
	ready  chan struct{}
	ticket *ticket
	err    error
}

// acquire waits for a place, and through a pause of the breaker. It ends with
// the cause of ctx, or with ErrOutage if nothing succeeded for too long.
func (p *pace) acquire(ctx context.Context) (*ticket, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	p.mu.Lock()
	now := p.now()
	p.checkOutage(now)
	if p.gaveUp != nil {
		defer p.unlock()
		return nil, p.gaveUp
	}
	if p.queue.Len() == 0 && p.hold(now) == 0 {
		t := p.start(ctx, now)
		p.unlock()
		return t, nil
	}
	w := &waiter{ctx: ctx, ready: make(chan struct{})}
	place := p.queue.PushBack(w)
	p.dispatch(now)
	p.unlock()

	select {
	case <-w.ready:
		return w.ticket, w.err
	case <-ctx.Done():
		p.leave(place, w)
		return nil, context.Cause(ctx)
	}
}

// leave takes a waiter out, or gives back what it got at the same moment.
func (p *pace) leave(place *list.Element, w *waiter) {
	p.mu.Lock()
	p.queue.Remove(place) // nothing happens if it is not in there any more
	t := w.ticket
	p.unlock()
	if t != nil {
		t.done(outcomeNeutral, 0)
	}
}

// done gives the place back and tells what came of it: bytes are those of the
// body that was moved. Only the first call counts.
func (t *ticket) done(o outcome, bytes int64) {
	p := t.pace
	p.mu.Lock()
	defer p.unlock()
	if t.ended {
		return
	}
	t.ended = true
	now := p.now()
	full := p.inFlight >= p.climb.limit
	p.inFlight--
	refused := o == outcomeThrottled || o == outcomeFailed
	if t.probe {
		p.breaker.probed(now, refused)
	}
	switch {
	case refused:
		p.refused(t, now, o)
	case o == outcomeOK, o == outcomeNeutral && t.ctx.Err() == nil:
		p.succeeded(now)
		p.climb.completed(now, sample{bytes, full})
	}
	p.dispatch(now)
}

// hold returns how long the next start has to wait: 0 not at all, forever
// until a ticket comes back.
func (p *pace) hold(now time.Duration) time.Duration {
	switch {
	case p.breaker.open:
		return p.breaker.hold(now, p.maxOutage)
	case p.inFlight >= p.climb.limit:
		return forever
	default:
		return p.brake.hold(now)
	}
}

func (p *pace) start(ctx context.Context, now time.Duration) *ticket {
	p.inFlight++
	p.brake.started(now)
	p.breaker.probing = p.breaker.open
	return &ticket{pace: p, ctx: ctx, start: now, probe: p.breaker.open}
}

// dispatch lets in whoever may start now. Whatever changes the answer of hold
// calls it, or no waiter would ever hear of the change.
func (p *pace) dispatch(now time.Duration) {
	p.checkOutage(now)
	for p.queue.Len() > 0 {
		if wait := p.hold(now); wait > 0 {
			p.wakeIn(now, wait)
			return
		}
		w := p.queue.Remove(p.queue.Front()).(*waiter)
		w.ticket = p.start(w.ctx, now)
		close(w.ready)
	}
}

// wakeIn sets the one timer, unless it will ring early enough. Ringing too
// early does no harm.
func (p *pace) wakeIn(now, wait time.Duration) {
	if wait == forever || p.wake > now && p.wake <= now+wait {
		return
	}
	p.wake = now + wait
	if p.timer == nil {
		p.timer = time.AfterFunc(wait, p.ring)
		return
	}
	p.timer.Reset(wait)
}

func (p *pace) ring() {
	p.mu.Lock()
	p.dispatch(p.now())
	p.unlock()
}

func (p *pace) stats() paceStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return paceStats{
		Limit:       p.climb.limit,
		InFlight:    p.inFlight,
		Throttled:   p.throttled,
		Paused:      p.breaker.open,
		PausedSince: p.breaker.opened,
	}
}

// now counts from the beginning on the monotonic clock: a corrected wall
// clock must not look like an outage.
func (p *pace) now() time.Duration { return time.Since(p.began) }

func (p *pace) report(line func()) { p.news = append(p.news, line) }

// unlock writes the log lines outside the lock, for a slow handler would
// stop every worker.
func (p *pace) unlock() {
	news := p.news
	p.news = nil
	p.mu.Unlock()
	for _, line := range news {
		line()
	}
}
