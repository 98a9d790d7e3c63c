package r2

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// The breaker opens after openAfter failures in a row (or as many as may run
// at once, if that is more: one cut cable fails them all together) that span
// openSpan: R2's short spells of 500s are over by then, and nobody has used up
// his retries yet. Pauses between probes double from one second to 30, so an
// outage of an hour costs about 130 requests and is noticed half a minute
// after its end at the latest.
const (
	openAfter  = 8
	openSpan   = 2 * time.Second
	firstPause = time.Second
	lastPause  = 30 * time.Second
	// jitter spreads the probes of many hosts: a pause is up to a quarter
	// shorter or longer.
	jitter = 0.25
	// remindEvery is the time between two log lines of one outage.
	remindEvery = 5 * time.Minute
)

// forever is a wait that only a returning ticket ends.
const forever = time.Duration(1<<63 - 1)

// breaker waits out an outage: while it is open nobody starts but one probe
// at a time. Times are since the pace began. The zero value is closed.
type breaker struct {
	failures int           // since the last answer
	first    time.Duration // when they began
	open     bool
	opened   time.Time
	pause    time.Duration
	next     time.Duration // when the next probe may start
	probing  bool
	reminded time.Duration
}

// failure counts a refusal and reports whether it opens the breaker.
func (b *breaker) failure(now time.Duration, limit int) (opens bool) {
	if b.failures == 0 {
		b.first = now
	}
	b.failures++
	if b.open || b.failures < max(openAfter, limit) || now-b.first < openSpan {
		return false
	}
	b.open, b.opened, b.reminded = true, time.Now(), now
	b.pause = firstPause
	b.next = now + spread(b.pause)
	return true
}

// success forgets the failures and reports whether it closes the breaker.
func (b *breaker) success() (closes bool) {
	closes = b.open
	*b = breaker{}
	return closes
}

// probed takes the probe back; a failed one doubles the pause.
func (b *breaker) probed(now time.Duration, failed bool) {
	b.probing = false
	if failed {
		b.pause = min(2*b.pause, lastPause)
		b.next = now + spread(b.pause)
	}
}

// hold returns how long the next probe of an open breaker has to wait.
func (b *breaker) hold(now, maxOutage time.Duration) time.Duration {
	end := b.first + maxOutage
	if b.probing {
		return max(end-now, 0)
	}
	return max(min(b.next, end)-now, 0)
}

// over reports whether the outage has lasted too long.
func (b *breaker) over(now, maxOutage time.Duration) bool {
	return b.open && now-b.first >= maxOutage
}

// remind reports whether an open breaker should be logged again.
func (b *breaker) remind(now time.Duration) bool {
	if now-b.reminded < remindEvery {
		return false
	}
	b.reminded = now
	return true
}

func spread(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (1 - jitter + 2*jitter*rand.Float64()))
}

// The brake follows CUBIC (RFC 9438), which the AWS SDKs use for the same
// purpose, with one constant for every rate: the old rate is reached again
// after brakeTime, most of that time is spent close to it, and the search for
// more starts gently. In simulation a bucket that takes N a second is so used
// to about 95 % and refuses 0.1 to 0.3 % of the requests (2 % where N is 5).
const (
	brakeCut  = 0.3
	brakeTime = 10 * time.Second
	// brakeOff is the multiple of the old rate that ends the braking, 25 s
	// after the last refusal: the refusals were of another nature.
	brakeOff = 2
	// brakeBurst is how far a start may be ahead of its time, since timers
	// are only good to about a millisecond.
	brakeBurst = 5 * time.Millisecond
)

// brake spaces starts by a rate. A limit on requests in flight alone cannot do
// that: against a bucket that takes 5 a second and answers in 20 ms even a
// single worker would be refused nine times in ten. The zero value is off.
type brake struct {
	top   float64 // starts per second that were accepted when it was pulled
	since time.Duration
	next  time.Duration // when the next start is due
}

// pull starts over from what the bucket took in the last second.
func (b *brake) pull(now time.Duration, accepted float64) {
	b.top, b.since = max(accepted, 1), now
	b.next = now + b.gap(now)
}

// gap returns the time between two starts, 0 when the brake is off.
func (b *brake) gap(now time.Duration) time.Duration {
	if b.top == 0 {
		return 0
	}
	x := float64(now-b.since)/float64(brakeTime) - 1
	growth := 1 + brakeCut*x*x*x
	if growth > brakeOff {
		*b = brake{}
		return 0
	}
	return time.Duration(float64(time.Second) / (b.top * growth))
}

// hold returns how long the next start has to wait.
func (b *brake) hold(now time.Duration) time.Duration {
	if b.gap(now) == 0 || b.next-now <= brakeBurst {
		return 0
	}
	return b.next - now
}

// started moves the next start on.
func (b *brake) started(now time.Duration) {
	if gap := b.gap(now); gap > 0 {
		b.next = max(b.next, now-brakeBurst) + gap
	}
}

// enoughForRate successes in a second are enough to call them a rate.
const enoughForRate = 8

// slots divide the last second, which is the span R2's limits are given in.
const (
	slots    = 10
	slotTime = time.Second / slots
)

// tally counts outcomes of the last second.
type tally struct {
	slot   [slots]counts
	newest int64
}

// counts are outcomes since from.
type counts struct {
	from                  time.Duration
	ok, throttled, failed int
}

// rate is in successes per second.
func (c counts) rate(now time.Duration) float64 {
	return float64(c.ok) / max(now-c.from, slotTime).Seconds()
}

func (t *tally) at(now time.Duration) *counts {
	i := int64(now / slotTime)
	for ; t.newest < i; t.newest++ {
		if i-t.newest > slots {
			t.newest = i - slots
		}
		t.slot[(t.newest+1)%slots] = counts{}
	}
	s := &t.slot[i%slots]
	if *s == (counts{}) {
		s.from = now
	}
	return s
}

func (t *tally) sum(now time.Duration) (c counts) {
	t.at(now)
	c.from = now
	for _, s := range t.slot {
		if s != (counts{}) {
			c.from = min(c.from, s.from)
		}
		c.ok += s.ok
		c.throttled += s.throttled
		c.failed += s.failed
	}
	return c
}

// serious reports whether the refusals are news about the bucket. One 429
// among hundreds of successes is R2's limit of one write per second and key,
// and single 500s are weather (24 in 236,000 writes of a measured day).
func (c counts) serious() bool {
	return c.throttled*100 >= c.ok && c.throttled > 0 || c.failed*10 >= c.ok && c.failed > 0
}

const (
	// cutTo is what a cut leaves. A time without refusals ends the caution
	// that follows: after 429s as long as the brake is on, since what it holds
	// back can't be measured.
	cutTo          = 0.7
	quietThrottled = 25 * time.Second
	quietFailed    = 5 * time.Second
	// Cuts are at least a round trip and a time apart. Faults that have
	// nothing to do with us, like those of a lossy link, would end at one
	// connection: they cut more rarely and not below leastFailed.
	cutEvery       = 100 * time.Millisecond
	cutEveryFailed = time.Second
	leastFailed    = 8
)

// cut answers refusals, which are throttling or faults.
func (c *climb) cut(now time.Duration, throttled bool) {
	if c.stage == searching && !c.down {
		c.limit = c.known
	}
	c.stage, c.lastCut = regaining, now
	limit := int(float64(c.limit) * cutTo)
	if throttled {
		c.quietAt = now + quietThrottled
	} else {
		c.quietAt = max(c.quietAt, now+quietFailed)
		limit = max(limit, min(leastFailed, c.limit))
	}
	c.set(limit)
}

// succeeded tells tally and breaker of an answer. A 404 is as good as a 200: the
// bucket works, and the request counts against its limits.
func (p *pace) succeeded(now time.Duration) {
	p.recent.at(now).ok++
	opened := p.breaker.opened
	if !p.breaker.success() {
		return
	}
	p.brake = brake{}
	p.climb.restart(min(restartLimit, p.climb.max), p.climb.max)
	p.report(func() { p.log.Info("bucket answers again", "paused", time.Since(opened).Round(time.Second)) })
}

// refused tells tally and breaker, and slows down if the refusals are serious.
func (p *pace) refused(t *ticket, now time.Duration, o outcome) {
	throttled, every := o == outcomeThrottled, cutEveryFailed
	if throttled {
		every = cutEvery
		p.throttled++
		p.recent.at(now).throttled++
	} else {
		p.recent.at(now).failed++
	}
	p.reportOutage(t, now)
	// What was sent before the last cut says nothing about its effect.
	if t.start < p.climb.lastCut || now-p.climb.lastCut < every {
		return
	}
	last := p.recent.sum(now)
	if !last.serious() {
		return
	}
	p.climb.cut(now, throttled)
	// Faults say nothing about a rate, and neither do a handful of successes,
	// unless there is no other way to slow down.
	if throttled && (last.ok >= enoughForRate || p.climb.limit == 1) {
		p.brake.pull(now, last.rate(now))
	}
}

func (p *pace) reportOutage(t *ticket, now time.Duration) {
	if p.breaker.failure(now, p.climb.limit) {
		n := p.breaker.failures
		p.report(func() { p.log.Warn("bucket does not answer, pausing", "failures", n) })
	} else if t.probe && p.breaker.remind(now) {
		lasted := (now - p.breaker.first).Round(time.Second)
		p.report(func() { p.log.Warn("bucket still does not answer", "for", lasted) })
	}
}

// checkOutage gives up, for everybody and for good, when the time is over.
func (p *pace) checkOutage(now time.Duration) {
	if p.gaveUp != nil || !p.breaker.over(now, p.maxOutage) {
		return
	}
	p.gaveUp = fmt.Errorf("%w: no request has succeeded for %s", ErrOutage, (now - p.breaker.first).Round(time.Second))
	p.report(func() { p.log.Error("bucket does not answer, giving up", "after", p.maxOutage) })
	for p.queue.Len() > 0 {
		w := p.queue.Remove(p.queue.Front()).(*waiter)
		w.err = p.gaveUp
		close(w.ready)
	}
}
