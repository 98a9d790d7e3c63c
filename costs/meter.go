package costs

import (
	"errors"
	"sync/atomic"
)

// ErrLimit is returned for a request that would pass the limit set on a [Meter].
var ErrLimit = errors.New("limit of Class A operations reached")

// A Meter counts attempts: every request as it is sent, retries too, as R2
// bills some failures. The zero Meter is ready, has no limit, and may be used
// by many goroutines at once.
type Meter struct {
	counts [numOps]atomic.Int64
	classA atomic.Int64          // apart from counts, so that one word decides
	limit  atomic.Pointer[int64] // nil: none
}

// LimitA lets [Meter.Reserve] count at most n Class A operations, those
// counted so far included; with n <= 0 none. Call it before the first request.
func (m *Meter) LimitA(n int64) { m.limit.Store(&n) }

// Reserve counts op, which is about to be sent, or returns [ErrLimit] and
// counts nothing if it is of Class A and the limit is reached. Many at once
// never pass the limit together.
func (m *Meter) Reserve(op Op) error {
	if op.Class() == ClassA && !m.reserveA() {
		return ErrLimit
	}
	m.counts[op.known()].Add(1)
	return nil
}

func (m *Meter) reserveA() bool {
	limit := m.limit.Load()
	for {
		n := m.classA.Load()
		if limit != nil && n >= *limit {
			return false
		}
		if m.classA.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Count counts op whatever the limit: a request that was sent anyway.
func (m *Meter) Count(op Op) {
	if op.Class() == ClassA {
		m.classA.Add(1)
	}
	m.counts[op.known()].Add(1)
}

// Usage returns what was counted so far. Requests that are being counted at
// the same moment may be in it or not.
func (m *Meter) Usage() (u Usage) {
	for op := range m.counts {
		u[op] = m.counts[op].Load()
	}
	return u
}
