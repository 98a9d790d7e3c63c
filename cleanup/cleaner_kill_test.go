package cleanup_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"testing"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

var errCut = errors.New("the process ended here")

// A cutJournal ends at its at-th call: before it is written, or right after it was.
type cutJournal struct {
	cleanup.Journal
	at, calls int
	after     bool
}

func (j *cutJournal) cut(write func() error) error {
	if j.calls++; j.calls < j.at {
		return write()
	}
	if j.calls == j.at && j.after {
		if err := write(); err != nil {
			return err
		}
	}
	return errCut
}

func (j *cutJournal) Intend(ctx context.Context, r []ledger.Removal) error {
	return j.cut(func() error { return j.Journal.Intend(ctx, r) })
}

func (j *cutJournal) EndRemovals(ctx context.Context, r []ledger.Removal) error {
	return j.cut(func() error { return j.Journal.EndRemovals(ctx, r) })
}

// TestKilled: wherever a run ends, the next one finds out what it did from the bucket, and
// a later run does the rest.
func TestKilled(t *testing.T) {
	t.Parallel()
	const calls = 4 // intent and outcome of the canary and of a batch
	for at := 1; at <= calls; at++ {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprint(at, after), func(t *testing.T) {
				t.Parallel()
				g := newRig(t)
				list := g.orphans(30)
				g.db.put(list[4].Key, true)
				g.db.put(list[24].Key, true)
				j := &cutJournal{at: at, after: after}
				g.journal = func(inner cleanup.Journal) cleanup.Journal { j.Journal = inner; return j }
				_, err := g.clean(t.Context(), list)
				wantIs(t, err, errCut)
				g.journal = nil
				n := g.settle()
				if want := map[string]int{"1 true": 10, "2 false": 10, "3 true": 20, "4 false": 20}[fmt.Sprint(at, after)]; n != want {
					t.Errorf("%d intents were settled, want %d", n, want)
				}
				for _, r := range g.rows() {
					if _, there := g.server.Object(string(r.Key)); (r.State == ledger.RemovalRemoved) == there {
						t.Errorf("%s: %s, there %t", r.Key, r.State, there)
					}
				}
				equal(t, g.settle(), 0)
				var rest []cleanup.Candidate
				for _, c := range list {
					if _, there := g.server.Object(string(c.Key)); there {
						rest = append(rest, c)
					}
				}
				_, err = g.clean(t.Context(), rest)
				must(t, err)
				for i, c := range list {
					if _, there := g.server.Object(string(c.Key)); there != (i == 4 || i == 24) {
						t.Errorf("%d: there %t", i, there)
					}
				}
				g.untouched()
				g.close()
			})
		}
	}
}

// TestCancelled: a run that is called off at any request it makes leaves the truth.
func TestCancelled(t *testing.T) {
	t.Parallel()
	requests := func(g *rig) (n int64) {
		for _, op := range []costs.Op{costs.GetObject, costs.HeadObject, costs.DeleteObject, costs.DeleteObjects} {
			n += g.server.Usage()[op]
		}
		return n
	}
	const objects = 14
	whole := newRig(t)
	_, err := whole.clean(t.Context(), whole.orphans(objects))
	must(t, err)
	total := requests(whole)
	whole.truth()
	for at := int64(1); at <= total; at++ {
		t.Run(strconv.FormatInt(at, 10), func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			g := newRig(t)
			list := g.orphans(objects)
			g.server.SetFault(func(fixtures.Request) fixtures.Fault {
				if requests(g) == at {
					cancel(errScripted)
				}
				return fixtures.Fault{}
			})
			c, err := g.clean(ctx, list)
			if err == nil && c.Removed().Objects != objects || err != nil && !errors.Is(err, errScripted) && !errors.Is(err, context.Canceled) {
				t.Errorf("%d removed: %v", c.Removed().Objects, err)
			}
			if kept := c.Kept()[cleanup.KeptUnproven]; kept > 0 {
				t.Errorf("%d copies are said to be unproven", kept)
			}
			g.truth()
		})
	}
}

// TestCancelledBetween: called off while nothing is under way, at the steps without a
// request.
func TestCancelledBetween(t *testing.T) {
	t.Parallel()
	for name, step := range map[string]func(g *rig, cancel func()){
		"before it begins": func(_ *rig, cancel func()) { cancel() },
		"at the mark": func(g *rig, cancel func()) {
			g.edit = func(c *cleanup.Cleaner) { c.Raise = func(context.Context) error { cancel(); return nil } }
		},
		"at the last look": func(g *rig, cancel func()) { g.db.before = func(map[media.Class][]int64) { cancel() } },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			g := newRig(t)
			list := g.orphans(20)
			step(g, cancel)
			c, err := g.clean(ctx, list)
			wantIs(t, err, context.Canceled)
			equal(t, c.Removed().Objects, int64(0))
			usage := g.server.Usage()
			equal(t, usage[costs.DeleteObject]+usage[costs.DeleteObjects], int64(0))
			g.truth()
		})
	}
}

// TestCanary: if the first deletions had other effects than they should, no more follow.
func TestCanary(t *testing.T) {
	t.Parallel()
	ignored := on(costs.DeleteObject, fixtures.Fault{Status: http.StatusNoContent}) // answered, and nothing done
	for name, tt := range map[string]struct {
		prepare func(g *rig, list []cleanup.Candidate)
		is      error
		sent    int64 // deletions
	}{
		"deletes nothing": {func(g *rig, _ []cleanup.Candidate) { g.server.SetFault(ignored) }, cleanup.ErrCanary, 10},
		"deletes nothing, and all before were kept": {func(g *rig, list []cleanup.Candidate) {
			for _, c := range list[:25] {
				g.db.put(c.Key, true)
			}
			g.server.SetFault(ignored)
		}, cleanup.ErrCanary, 5},
		"deletes a neighbour": {func(g *rig, list []cleanup.Candidate) {
			g.hit(list[0].Key, g.control[3])
		}, cleanup.ErrCanary, 10},
		"its owner deletes a neighbour": {func(g *rig, list []cleanup.Candidate) {
			g.hit(list[0].Key, g.control[3])
			delete(g.db.rows[media.Accounts], 900_003)
		}, nil, 10},
		"Mastodon writes a neighbour anew": {func(g *rig, list []cleanup.Candidate) {
			g.hit(list[0].Key, g.control[3])
			r := g.db.rows[media.Accounts][900_003]
			r.Busy = true
			g.db.rows[media.Accounts][900_003] = r
		}, nil, 10},
		"its owner deleted a neighbour before, and its row is about to follow": {func(g *rig, _ []cleanup.Candidate) {
			g.server.Delete(string(g.control[3]))
		}, nil, 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			list := g.orphans(60)
			tt.prepare(g, list)
			_, err := g.clean(t.Context(), list)
			if !errors.Is(err, tt.is) {
				t.Fatal(err)
			}
			usage := g.server.Usage()
			batches := int64(0)
			if tt.is == nil {
				batches = 1
			}
			equal(t, []int64{usage[costs.DeleteObject], usage[costs.DeleteObjects]}, []int64{tt.sent, batches})
			g.close()
		})
	}
}

// hit lets a deletion of k take another object along.
func (g *rig) hit(k, other media.Key) {
	g.server.SetFault(func(r fixtures.Request) fixtures.Fault {
		if r.Op == costs.DeleteObject && r.Key == string(k) {
			g.server.Delete(string(other))
		}
		return fixtures.Fault{}
	})
}
