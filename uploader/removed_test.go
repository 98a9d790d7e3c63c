package uploader

import (
	"errors"
	"strings"
	"testing"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

// within lets f write the ledger as a run of its own.
func (g *rig) within(f func(led *ledger.Ledger, run int64) error) (run int64) {
	g.t.Helper()
	led, err := ledger.Open(g.t.Context(), g.state, ledger.Options{})
	if err != nil {
		g.t.Fatal(err)
	}
	run, err = led.Begin(g.t.Context(), "orphans", time.Now())
	if err = errors.Join(err, f(led, run), led.Close()); err != nil {
		g.t.Fatal(err)
	}
	return run
}

// remove is a cleanup run that removes one object.
func (g *rig) remove(k media.Key) (run int64) {
	g.t.Helper()
	defer g.remote.Delete(string(k))
	return g.within(func(led *ledger.Ledger, run int64) error {
		r := []ledger.Removal{{Run: run, Key: k, Policy: "orphans", Reason: "row gone", ETag: "e", State: ledger.RemovalIntent, Intended: time.Now()}}
		err := led.Intend(g.t.Context(), r)
		r[0].State, r[0].Ended = ledger.RemovalRemoved, time.Now()
		return errors.Join(err, led.EndRemovals(g.t.Context(), r))
	})
}

// What a cleanup run removed is never sent again, whatever the disk, the ledger and
// earlier runs say, and the sums hold.
func TestRemovedIsNeverSentAgain(t *testing.T) {
	t.Parallel()
	other := []byte(strings.ToUpper(jpeg))
	for name, then := range map[string]func(g *rig){
		"as it was":           func(*rig) {},
		"another mtime":       func(g *rig) { g.age(photo, time.Now().Add(-time.Hour)) },
		"other bytes":         func(g *rig) { g.write(photo, other) },
		"newer than the walk": func(g *rig) { g.age(photo, time.Now().Add(-2*time.Minute)) },
		"after the switch": func(g *rig) {
			g.write(photo, other)
			g.policy = func(p *Policy) { p.Switched, p.LastWalk = true, time.Unix(1, 0) }
		},
		"found missing":        func(g *rig) { g.lost = []ledger.Doubt{{Key: photo, Verdict: ledger.Missing}} },
		"found different":      func(g *rig) { g.remote.Put(photo, other); g.lost = []ledger.Doubt{g.doubt()} },
		"failed once, retried": func(g *rig) { g.retry = true },
		"while joining":        func(g *rig) { g.join = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := movedRig(t, fixtures.Options{})
			g.write(photo2, []byte(jpeg))
			run := g.remove(photo)
			then(g)
			bucket := g.body(photo)
			before := g.meter.Usage()
			c := g.must()
			if c.Left != 1 || c.Removed != 1 || c.Seen != c.decided() || g.body(photo) != bucket {
				t.Errorf("%+v, the bucket has %.9q", c, g.body(photo))
			}
			if sent := g.meter.Usage().Sub(before)[costs.PutObject]; sent != c.Moved {
				t.Errorf("%d PUT for %d files", sent, c.Moved)
			}
			f := g.finding(photo)
			want := "removed by cleanup run 2"
			if run != 2 || f.Kind != ledger.Left || f.Cause != want || !strings.Contains(f.Detail, "mediamove undo 2") {
				t.Errorf("run %d, %+v", run, f)
			}
		})
	}
}

// What was never in this ledger was removed all the same, and what is hidden is not
// exposed by an object that is gone.
func TestRemovedAndNeverRecorded(t *testing.T) {
	t.Parallel()
	g := newRig(t, fixtures.Options{})
	g.write(photo, []byte(jpeg))
	g.write(photo2, []byte(jpeg))
	g.remove(photo)
	if c := g.must(); c.Left != 1 || c.Removed != 1 || c.Moved != 1 || g.body(photo) != "" {
		t.Errorf("%+v", c)
	}
	g = movedRig(t, fixtures.Options{})
	g.write(photo2, []byte(jpeg)) // else most of the tree is hidden
	g.remove(photo)
	g.act(hide)
	if c := g.must(); c.HeldBack != 1 || c.Exposed != 0 || c.Removed != 0 || c.Moved != 1 {
		t.Errorf("%+v", c)
	}
}

// Put back by undo, it is an object as any other.
func TestRemovedAndPutBack(t *testing.T) {
	t.Parallel()
	g := movedRig(t, fixtures.Options{})
	run := g.remove(photo)
	if c := g.must(); c.Removed != 1 || c.Present != 0 {
		t.Errorf("%+v", c)
	}
	g.remote.Put(photo, []byte(jpeg))
	g.within(func(led *ledger.Ledger, by int64) error {
		return led.Restored(t.Context(), ledger.Restoration{Run: run, By: by, Key: photo, ETag: "e", At: time.Now()})
	})
	if c := g.must(); c.Present != 1 || c.Removed != 0 || c.Left != 0 {
		t.Errorf("%+v", c)
	}
}

// A plan counts as the sync does.
func TestPlanLeavesTheRemoved(t *testing.T) {
	t.Parallel()
	g := movedRig(t, fixtures.Options{})
	g.remove(photo)
	p, c := g.plan(nil), g.must()
	if p.Left != 1 || p.Removed != 1 || p.Pending != 0 || p.Files != c.Files || p.Removed != c.Removed {
		t.Errorf("the plan %+v, the sync %+v", p.Counts, c)
	}
}

// A ledger that can't say what was removed ends a repair.
func TestLostNeedsTheJournal(t *testing.T) {
	t.Parallel()
	g := movedRig(t, fixtures.Options{})
	led, err := ledger.Open(t.Context(), g.state, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := led.Close(); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range Lost(t.Context(), seq([]ledger.Doubt{g.doubt(), g.doubt()}), nowhere{}, led) {
		if n++; err == nil || errors.Is(err, ledger.ErrUnknown) {
			t.Errorf("passed on: %v", err)
		}
	}
	if n != 1 {
		t.Errorf("%d, and not the error alone", n)
	}
}

// nowhere is a disk without a file.
type nowhere struct{ Disk }

func (nowhere) Stat(media.Key) (media.File, error) { return media.File{}, errors.New("no file") }
