package costs

import (
	"errors"
	"fmt"
	"sync"
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
	books  atomic.Pointer[books] // nil: none
}

// books are where Class A operations are written down before they are sent.
type books struct {
	block int64
	book  func(classA int64) error

	mu     sync.Mutex
	booked atomic.Int64
}

// BookAhead has Class A operations written down before they are sent: [Meter.Reserve]
// calls book with the number that this meter may reach from then on, a block at a time,
// and lets nothing pass that book has not taken. So whoever reads the books after a
// kill finds up to a block too much, and never too little. Call it before the first
// request.
func (m *Meter) BookAhead(block int64, book func(classA int64) error) {
	m.books.Store(&books{block: block, book: book})
}

// cover makes sure that the n-th operation is in the books. A block ends at the limit.
func (b *books) cover(n int64, limit *int64) error {
	if n <= b.booked.Load() {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if n <= b.booked.Load() {
		return nil
	}
	to := n + b.block - 1
	if limit != nil {
		to = min(to, *limit)
	}
	if err := b.book(to); err != nil {
		// Not sent is all that can be said of it, as at the limit.
		return fmt.Errorf("%w: it could not be booked: %w", ErrLimit, err)
	}
	b.booked.Store(to)
	return nil
}

// LimitA lets [Meter.Reserve] count at most n Class A operations, those
// counted so far included; with n <= 0 none. Call it before the first request.
func (m *Meter) LimitA(n int64) { m.limit.Store(&n) }

// Reserve counts op, which is about to be sent, or returns [ErrLimit] and
// counts nothing if it is of Class A and the limit is reached. Many at once
// never pass the limit together.
func (m *Meter) Reserve(op Op) error {
	if op.Class() == ClassA {
		if err := m.reserveA(); err != nil {
			return err
		}
	}
	m.counts[op.known()].Add(1)
	return nil
}

func (m *Meter) reserveA() error {
	limit, books := m.limit.Load(), m.books.Load()
	for {
		n := m.classA.Load()
		if limit != nil && n >= *limit {
			return ErrLimit
		}
		if books != nil {
			if err := books.cover(n+1, limit); err != nil {
				return err
			}
		}
		if m.classA.CompareAndSwap(n, n+1) {
			return nil
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
