package main

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"example.org/mediamove/uploader"
)

// How often progress is told.
const (
	drawEvery = 200 * time.Millisecond
	logEvery  = 30 * time.Second
)

// The drawn line: text, percentage, bar.
const (
	maxBar   = 16
	barFrame = 12 // columns beside text and bar
)

// longestETA is where an estimate stops meaning anything.
const longestETA = 1000 * time.Hour

// A frame is where a run stands at one moment: what to say, the most important
// first, and how far it is where that is known.
type frame struct {
	parts       []string
	done, total int64
	bounded     bool // total is known; before that the bar is a spinner
}

// progress polls a job's counters: jobs never print.
type progress struct {
	w    *world
	x    *session
	look func(elapsed time.Duration) frame
	bar  *progressbar.ProgressBar
	done sync.WaitGroup
}

// startProgress draws what look shows until ctx ends.
func (w *world) startProgress(ctx context.Context, x *session, look func(elapsed time.Duration) frame) *progress {
	p := &progress{w: w, x: x, look: look}
	if w.terminal {
		p.bar = progressbar.NewOptions64(-1,
			progressbar.OptionSetWriter(w.stderr),
			progressbar.OptionSetWidth(maxBar), // it shrinks by itself where the line fills the terminal
			progressbar.OptionSetPredictTime(false),
			progressbar.OptionSetElapsedTime(false),
			progressbar.OptionSetSpinnerChangeInterval(0), // else it draws by itself, without end
			progressbar.OptionClearOnFinish(),
		)
	}
	p.done.Go(func() { p.loop(ctx) })
	return p
}

// wait returns when nothing draws any more: only then may the last screen be printed.
func (p *progress) wait() { p.done.Wait() }

// loop draws often on a terminal, and logs rarely without one: the log of a nightly timer
// is to stay short.
func (p *progress) loop(ctx context.Context) {
	every := logEvery
	if p.bar != nil {
		every = drawEvery
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			if p.bar != nil {
				_ = p.bar.Finish() // drawing is no reason to fail
			}
			return
		case <-tick.C:
			p.tell(ctx, p.look(time.Since(p.x.began)))
		}
	}
}

// tell draws a frame, or logs all of it: a log has no width.
func (p *progress) tell(ctx context.Context, f frame) {
	if p.bar == nil {
		p.x.log.InfoContext(ctx, "progress", "state", f.line(math.MaxInt))
		return
	}
	p.bar.Describe(f.line(p.w.width - barFrame))
	if f.bounded { // before that the bar is a spinner, which counts in a way of its own
		// A bar that is full ends for ever, and files can grow: one step is never taken.
		p.bar.ChangeMax64(f.total + 1)
		_ = p.bar.Set64(min(f.done, f.total))
	}
}

// line leaves out what does not fit into that many columns.
func (f frame) line(columns int) string {
	line := f.parts[0]
	for _, part := range f.parts[1:] {
		if len(line)+2+len(part) <= columns { // all of it is ASCII
			line += "  " + part
		}
	}
	return line
}

// syncFrame says where a sync stands. The total is marked as growing while the walk
// is still running ahead.
func (x *session) syncFrame(s uploader.Stats, elapsed time.Duration) frame {
	more := ""
	if !s.WalkDone {
		more = "+"
	}
	parts := []string{
		fmt.Sprintf("%s/%s%s files", count(s.Done), count(s.ToSend), more),
		fmt.Sprintf("%s/%s%s", size(s.DoneBytes), size(s.ToSendBytes), more),
		size(int64(float64(s.DoneBytes)/max(0.001, elapsed.Seconds()))) + "/s",
	}
	if x.bucket.Stats().Paused {
		parts = append(parts, "waiting for the bucket")
	}
	if s.Failed > 0 {
		parts = append(parts, "failed "+count(s.Failed))
	}
	if eta, ok := remaining(s, elapsed); ok {
		parts = append(parts, "ETA "+span(eta))
	}
	return frame{append(parts, x.requestParts()...), s.DoneBytes, s.ToSendBytes, s.WalkDone}
}

// requestParts is what every run says of its requests, and of what they add to the bill.
// It is asked for once per frame that is told.
func (x *session) requestParts() []string {
	used := x.meter.Usage()
	parts := []string{"A " + count(used.A()) + " " + dollars(x.adds(used))}
	if n := x.bucket.Stats().Retries; n > 0 {
		parts = append(parts, "retries "+count(n))
	}
	return parts
}

// remaining believes the slower of files and bytes: many small files take time
// that bytes don't show, and one video takes time that files don't show.
func remaining(s uploader.Stats, elapsed time.Duration) (time.Duration, bool) {
	if !s.WalkDone || s.Done == 0 || s.ToSend == 0 {
		return 0, false
	}
	part := float64(s.Done) / float64(s.ToSend)
	if s.ToSendBytes > 0 {
		part = min(part, float64(s.DoneBytes)/float64(s.ToSendBytes))
	}
	left := float64(elapsed) * (1 - part) / part
	if part <= 0 || left > float64(longestETA) {
		return 0, false
	}
	return max(0, time.Duration(left)), true
}
