package r2

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/media"
)

const (
	// maxAttempts is how often one object is tried while others get through.
	// Attempts that fail while the breaker holds everything don't count.
	maxAttempts = 10
	// R2 takes one write per second and key.
	writeWait = time.Second
	readWait  = 200 * time.Millisecond
	maxWait   = 30 * time.Second
)

// A job is one operation with all its attempts.
type job struct {
	op  costs.Op
	key media.Key

	// before, if set, may call an attempt off right before it is made.
	before func() error

	// send makes one attempt and returns the bytes of its body. It reports
	// what is wrong with an answer's content as an error that is ErrNonsense.
	send func(ctx context.Context) (int64, error)

	// again, if set, runs after a failed attempt and the wait, before the
	// next one. With done the job has succeeded after all.
	again func(ctx context.Context, last *failure) (done bool, err error)

	// holds, if set, takes over the slot of a successful attempt.
	holds func(*ticket)

	// condition is what a refused condition means; nil if there is none.
	condition func(status int) error
}

// A failure is what is known of an attempt that did not succeed.
type failure struct {
	err     *Error
	retry   bool
	lost    bool // it may have taken effect: no answer came
	unsure  bool // it may have, though an answer came (5xx)
	outcome outcome
	after   time.Duration // at least, before the next attempt
}

// run makes attempts until one succeeds, one fails for good, or there were
// too many.
func (b *Bucket) run(ctx context.Context, j *job) error {
	for n := 1; ; n++ {
		f := b.attempt(ctx, j)
		switch {
		case f == nil:
			return nil
		case !f.retry:
			if Stops(f.err) && !errors.Is(f.err, ErrLimit) {
				b.dead.CompareAndSwap(nil, f.err)
			}
			return f.err
		case b.pace.stats().Paused:
			n-- // an outage isn't this object's fault
		case n >= maxAttempts:
			return gaveUp(f.err, n)
		}
		// Without a slot: who waits must not keep others from trying.
		if err := sleep(ctx, j.wait(n, f.after)); err != nil {
			return b.cancelled(ctx, j)
		}
		b.retries.Add(1)
		if j.again == nil {
			continue
		}
		if done, err := j.again(ctx, f); done || err != nil {
			return err
		}
	}
}

// gaveUp makes e an ErrTransient after n tries.
func gaveUp(e *Error, n int) *Error {
	if e.Message == "" && e.Err != nil {
		e.Message = e.Err.Error()
	}
	e.Message = strings.TrimSuffix(fmt.Sprintf("tried %d times: %s", n, e.Message), ": ")
	if e.Err == nil {
		e.Err = ErrTransient
	} else {
		e.Err = because{e.Err, ErrTransient}
	}
	return e
}

// attempt makes one, under a slot of the pace.
func (b *Bucket) attempt(ctx context.Context, j *job) *failure {
	if ctx.Err() != nil {
		return &failure{err: b.cancelled(ctx, j)}
	}
	t, err := b.pace.acquire(ctx)
	if err != nil {
		return &failure{err: &Error{Op: j.op, Key: j.key, Err: err}}
	}
	if err := b.calledOff(j); err != nil {
		t.done(outcomeNothing, 0)
		return &failure{err: err}
	}
	x := &exchange{op: j.op}
	n, err := j.send(context.WithValue(ctx, exchangeKey{}, x))
	f := b.judge(ctx, j, x, err)
	switch {
	case f == nil && j.holds != nil:
		j.holds(t)
		return nil
	case f == nil:
		t.done(outcomeOK, n)
		return nil
	}
	t.done(f.outcome, 0)
	return f
}

// calledOff says why an attempt must not be made: another one has learned that
// none can succeed, or its caller has changed its mind.
func (b *Bucket) calledOff(j *job) *Error {
	// Aborting is tried all the same: what it leaves behind costs money.
	if d := b.dead.Load(); d != nil && j.op != costs.AbortMultipartUpload {
		return &Error{Op: j.op, Key: j.key, Status: d.Status, Code: d.Code, Message: d.Message, Err: d.Err}
	}
	if j.before == nil {
		return nil
	}
	if err := j.before(); err != nil {
		return &Error{Op: j.op, Key: j.key, Err: because{err, errCalledOff}}
	}
	return nil
}

func (b *Bucket) cancelled(ctx context.Context, j *job) *Error {
	return &Error{Op: j.op, Key: j.key, Err: context.Cause(ctx)}
}

// wait is how long to wait after the nth attempt: doubling, jittered so that
// workers which failed together don't come back together.
func (j *job) wait(n int, atLeast time.Duration) time.Duration {
	least := readWait
	if j.op.Class() != costs.ClassB && j.op != costs.ListObjects {
		least = writeWait
	}
	d := min(least<<min(max(n-1, 0), 10), maxWait)
	return max(d+rand.N(d/2+1), atLeast)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
