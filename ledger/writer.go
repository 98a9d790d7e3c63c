package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"
)

// GroupRows is the most rows that are not durable yet, queued or being
// committed: what a kill can lose. Who hands over more waits.
const GroupRows = 256

const (
	// A commit starts at this many rows, so that the other half of GroupRows
	// can be queued during its fsync.
	startRows = GroupRows / 2
	// or this long after the first row, for those who come slowly.
	startAfter = 50 * time.Millisecond
)

// A job is one change, or only a place in the queue to wait for.
type job struct {
	do   func(*session) error // nil: nothing
	done chan error           // buffered; nil: nobody waits, and an error breaks the ledger
}

// A writer owns the session: its goroutine alone uses it and commits what
// others queued, in order, in groups, because every commit costs an fsync.
type writer struct {
	session *session

	mu     sync.Mutex
	queue  []job
	busy   int           // jobs in the group being committed
	room   chan struct{} // closed when the queue shrinks
	err    error         // why nothing is taken any more
	closed bool

	some, now, stop chan struct{} // something queued; commit it now; the end
	stopped         chan struct{}
}

func startWriter(s *session) *writer {
	w := &writer{
		session: s,
		room:    make(chan struct{}),
		some:    make(chan struct{}, 1),
		now:     make(chan struct{}, 1),
		stop:    make(chan struct{}),
		stopped: make(chan struct{}),
	}
	go w.run()
	return w
}

// add queues j, waiting for room, and returns before it is durable. The
// goroutine is woken once per group, not per row: a wake-up costs as much as a row.
func (w *writer) add(ctx context.Context, j job) error {
	for {
		w.mu.Lock()
		if err := w.refusal(); err != nil {
			w.mu.Unlock()
			return err
		}
		if len(w.queue)+w.busy < GroupRows {
			w.queue = append(w.queue, j)
			n := len(w.queue)
			w.mu.Unlock()
			if n == 1 {
				signal(w.some)
			}
			if n == startRows || j.done != nil {
				signal(w.now)
			}
			return nil
		}
		room := w.room
		w.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return fmt.Errorf("wait for the ledger: %w", context.Cause(ctx))
		}
	}
}

// refusal says why nothing is taken any more. w.mu is held.
func (w *writer) refusal() error {
	if w.err == nil && w.closed {
		return ErrClosed
	}
	return w.err
}

// wait queues do and returns when it is durable. If ctx ends first, do may
// still happen.
func (w *writer) wait(ctx context.Context, do func(*session) error) error {
	done := make(chan error, 1)
	if err := w.add(ctx, job{do: do, done: done}); err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("wait for the ledger: %w", context.Cause(ctx))
	}
}

// close commits what is queued and marks the ledger as whole, if it is.
func (w *writer) close() error {
	w.mu.Lock()
	again := w.closed
	w.closed = true
	w.mu.Unlock()
	if !again {
		close(w.stop)
	}
	<-w.stopped
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil && !again {
		w.err = w.session.markClean()
	}
	return w.err
}

func (w *writer) run() {
	defer close(w.stopped)
	for more := true; more; {
		more = w.gather()
		jobs := w.take()
		results, err := w.group(jobs)
		w.finish(jobs, results, err)
	}
}

// gather waits until a group is worth committing; false means the last one.
func (w *writer) gather() bool {
	select {
	case <-w.some:
	case <-w.stop:
		return false
	}
	late := time.NewTimer(startAfter)
	defer late.Stop()
	select {
	case <-late.C:
	case <-w.now:
	case <-w.stop:
		return false
	}
	return true
}

func (w *writer) take() []job {
	w.mu.Lock()
	defer w.mu.Unlock()
	jobs := w.queue
	w.queue = make([]job, 0, GroupRows)
	w.busy = len(jobs)
	return jobs
}

// group does all jobs in one transaction. results holds the errors of single
// jobs that somebody waits for; err is the whole group's.
func (w *writer) group(jobs []job) (results []error, err error) {
	if w.err != nil { // written by this goroutine only
		return nil, w.err
	}
	if !slices.ContainsFunc(jobs, func(j job) bool { return j.do != nil }) {
		return nil, nil
	}
	ctx := context.Background() // what was handed over is written, however the run ends
	if _, err := w.session.begin.ExecContext(ctx); err != nil {
		return nil, failed("write ledger", err)
	}
	results = make([]error, len(jobs))
	for i, j := range jobs {
		if results[i], err = w.session.perform(j); err != nil {
			w.session.rollback()
			return nil, failed("write ledger", err)
		}
	}
	if _, err := w.session.commit.ExecContext(ctx); err != nil {
		w.session.rollback()
		return nil, failed("commit ledger", err)
	}
	return results, nil
}

// finish makes room and tells those who wait.
func (w *writer) finish(jobs []job, results []error, err error) {
	w.mu.Lock()
	if w.err == nil {
		w.err = err
	}
	w.busy = 0
	close(w.room)
	w.room = make(chan struct{})
	w.mu.Unlock()
	for i, j := range jobs {
		if j.done == nil {
			continue
		}
		if err == nil && results != nil {
			j.done <- results[i]
		} else {
			j.done <- err
		}
	}
}

// perform does one job. If somebody waits for it, a mistake of theirs (an
// unknown run) is undone and told to them alone.
func (s *session) perform(j job) (theirs, ours error) {
	if j.do == nil {
		return nil, nil
	}
	if j.done == nil {
		return nil, j.do(s)
	}
	if err := s.exec("SAVEPOINT job"); err != nil {
		return nil, err
	}
	theirs = j.do(s)
	if e, ok := errors.AsType[sqlite3.Error](theirs); ok && e.Code != sqlite3.ErrConstraint {
		return nil, theirs
	}
	if theirs != nil {
		if err := s.exec("ROLLBACK TO job"); err != nil {
			return nil, err
		}
	}
	return theirs, s.exec("RELEASE job")
}

// rollback clears away a failed group. SQLite may have done so itself, and
// the ledger is broken anyway.
func (s *session) rollback() { _ = s.exec("ROLLBACK") }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
