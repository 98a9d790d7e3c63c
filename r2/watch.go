package r2

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// A connection that moves less than minProgress in stallAfter is dead, however
// alive it looks. No limit on the whole: 100 MiB over a village's line may
// take its time.
const (
	minProgress = 64 << 10
	stallAfter  = 60 * time.Second
)

var errStalled = errors.New("connection stalled: less than 64 KiB in 60 s")

// A watch cancels an attempt that stalls, in either direction, or that gets no
// answer. Only time spent on the network counts: a slow disk, a bandwidth
// limit and a reader that takes a break are our own affair.
type watch struct {
	cancel context.CancelCauseFunc

	mu      sync.Mutex
	timer   *time.Timer
	ended   bool
	network bool          // it is the network's turn
	since   time.Time     // when that turn began
	spent   time.Duration // in earlier turns, since the last progress
	moved   int64         // bytes since the last look
}

func newWatch(cancel context.CancelCauseFunc) *watch {
	w := &watch{cancel: cancel, network: true, since: time.Now()}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(stallAfter, w.look)
	return w
}

// look runs about every minute of network time.
func (w *watch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return
	}
	spent := w.spent
	if w.network {
		spent += time.Since(w.since)
	}
	switch {
	case w.moved >= minProgress:
		w.moved, w.spent, w.since, spent = 0, 0, time.Now(), 0
	case spent >= stallAfter:
		w.ended = true
		w.cancel(errStalled)
		return
	}
	w.timer.Reset(max(stallAfter-spent, time.Second))
}

// toNetwork gives the network its turn, after n bytes were handed to it.
func (w *watch) toNetwork(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.moved += int64(n)
	w.network, w.since = true, time.Now()
}

// toUs ends the network's turn, in which it delivered n bytes.
func (w *watch) toUs(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.moved += int64(n)
	if w.network {
		w.network, w.spent = false, w.spent+time.Since(w.since)
	}
}

func (w *watch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	w.timer.Stop()
}

// An outgoing body is a request's, watched.
type outgoing struct {
	io.ReadCloser
	w *watch
}

func (o *outgoing) Read(p []byte) (int, error) {
	o.w.toUs(0)
	n, err := o.ReadCloser.Read(p)
	if err == io.EOF {
		o.w.toNetwork(minProgress) // from here the server has a new minute to answer
	} else {
		o.w.toNetwork(n)
	}
	return n, err
}

// An incoming body is an answer's, watched. The attempt ends with it.
type incoming struct {
	io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	w      *watch
	x      *exchange
}

func (i *incoming) Read(p []byte) (int, error) {
	i.w.toNetwork(0)
	n, err := i.ReadCloser.Read(p)
	i.w.toUs(n)
	if err != nil && !errors.Is(err, io.EOF) {
		if cause := context.Cause(i.ctx); cause != nil {
			err = cause
		}
		i.x.cut = err
	}
	return n, err
}

func (i *incoming) Close() error {
	i.w.stop()
	err := i.ReadCloser.Close()
	i.cancel(nil)
	return err
}
