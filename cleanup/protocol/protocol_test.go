package protocol_test

import (
	"slices"
	"strings"
	"testing"

	"example.org/mediamove/cleanup/protocol"
)

// both is what a sweep can break.
var both = []protocol.Event{protocol.Lost, protocol.Unavailable}

// unavailable: the user can't see it, and it can be put back from the trash.
var unavailable = both[1:]

// all is the sweep that mediamove does, in the worst world: the scan's database
// is late, any database may turn out to be an empty one, and the trash is purged
// without asking anybody.
func all() protocol.Sweep {
	return protocol.Sweep{
		Age: 3, Twice: 2, Trash: true, Recheck: true, Identity: true,
		Purge: protocol.PurgeAlways, Lag: 4, Empty: protocol.LongEmpty,
	}
}

func but(change func(*protocol.Sweep)) protocol.Sweep {
	w := all()
	change(&w)
	return w
}

// TestSweep says of every way to sweep which promises it breaks. Those that
// break must go on to: a model in which nothing can go wrong proves nothing.
func TestSweep(t *testing.T) {
	t.Parallel()
	const long, brief = protocol.LongEmpty, protocol.BriefEmpty
	for _, tt := range []struct {
		name   string
		sweep  protocol.Sweep
		breaks []protocol.Event
	}{
		{"A: rows, then the bucket", protocol.Sweep{DatabaseFirst: true}, both},
		{"B: the bucket, then rows", protocol.Sweep{}, both}, // the object comes before the commit
		{"C: B, age above the longest transaction", protocol.Sweep{Age: 3}, nil},
		{"C': B, age equal to it", protocol.Sweep{Age: 2}, both},
		{"D: C on a late replica", protocol.Sweep{Age: 3, Lag: 4}, both},
		{"E: D, primary asked again", protocol.Sweep{Age: 3, Lag: 4, Recheck: true}, nil},
		{"F: C, database may be empty", protocol.Sweep{Age: 3, Empty: long}, both},
		{"F2: F, the same asked again", protocol.Sweep{Age: 3, Empty: long, Recheck: true}, both},
		{"F3: F2, seen twice", protocol.Sweep{Age: 3, Empty: long, Recheck: true, Twice: 2}, both},
		{"F4: F, identity", protocol.Sweep{Age: 3, Empty: long, Identity: true}, nil},
		{"G: D, trash", protocol.Sweep{Age: 3, Lag: 4, Trash: true}, unavailable},
		{"H: all", all(), nil},
		{"H': all but identity", but(func(w *protocol.Sweep) { w.Identity, w.Purge = false, protocol.PurgeUnowned }), unavailable},
		{"I: H', purge believes the same database", but(func(w *protocol.Sweep) { w.Identity, w.Purge = false, protocol.PurgeAsks }), both},

		{"all but age", but(func(w *protocol.Sweep) { w.Age = 0 }), both},
		{"all but asking again", but(func(w *protocol.Sweep) { w.Recheck = false }), both},
		{"all but the trash", but(func(w *protocol.Sweep) { w.Trash = false }), nil},
		{"empty for a tick, seen once", protocol.Sweep{Age: 3, Empty: brief, Recheck: true}, both},
		{"empty for a tick, seen twice", protocol.Sweep{Age: 3, Empty: brief, Recheck: true, Twice: 2}, nil},
		{"seen twice in that tick", protocol.Sweep{Age: 3, Empty: brief, Recheck: true, Twice: 1}, both},
		{"all, but names are used again", but(func(w *protocol.Sweep) { w.Reuses = true }), both}, // the assumption of it all
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			check(t, tt.sweep.Run(until(tt.breaks, both)...), tt.breaks, both)
		})
	}
}

// TestPrune: Mastodon's own order leaves rows that name nothing, and without a
// compare a copy is lost that came in between.
func TestPrune(t *testing.T) {
	t.Parallel()
	can := []protocol.Event{protocol.Dangling, protocol.Clobbered}
	for _, tt := range []struct {
		name   string
		prune  protocol.Prune
		breaks []protocol.Event
	}{
		{"object first", protocol.Prune{ObjectFirst: true}, can},
		{"object first, compare", protocol.Prune{ObjectFirst: true, Compare: true}, can[:1]},
		{"row first", protocol.Prune{}, can[1:]},
		{"row first, compare", protocol.Prune{Compare: true}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			check(t, tt.prune.Run(), tt.breaks, can)
		})
	}
}

// TestRaise: of two clones one cleans, and a machine without a clone always may.
// Each part of the counter is needed for the one or the other.
func TestRaise(t *testing.T) {
	t.Parallel()
	twice, wedge := []protocol.Event{protocol.TwoCleaners}, []protocol.Event{protocol.Wedged}
	for _, tt := range []struct {
		name   string
		raise  protocol.Raise
		breaks []protocol.Event
	}{
		{"as it is", protocol.Raise{}, nil},
		{"no counter", protocol.Raise{Unguarded: true}, twice},
		{"no token", protocol.Raise{CountOnly: true}, twice},
		{"no If-Match", protocol.Raise{Blind: true}, twice},
		{"no intent", protocol.Raise{NoIntent: true}, wedge},
		{"an open intent is overwritten", protocol.Raise{Overwrite: true}, wedge},
		{"an open intent grants", protocol.Raise{GrantsIntent: true}, twice},
		{"a look grants", protocol.Raise{GrantsLook: true}, twice},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			check(t, tt.raise.Run(until(tt.breaks, tt.breaks)...), tt.breaks, []protocol.Event{protocol.TwoCleaners, protocol.Wedged})
		})
	}
}

// until says when a search may end early: once it has broken all that it is to
// break, if that is all that matters. What holds is searched to the end.
func until(breaks, matters []protocol.Event) []protocol.Event {
	if len(breaks) == 0 || len(breaks) < len(matters) {
		return nil
	}
	return append(slices.Clone(breaks), protocol.Achieved)
}

// check compares what was broken, of all that can be, with what must be. Either
// way something has to be achieved.
func check(t *testing.T, r protocol.Result, must, can []protocol.Event) {
	t.Helper()
	for _, e := range can {
		way, broken := r.Met[e]
		switch want := slices.Contains(must, e); {
		case broken && !want:
			t.Errorf("%s\nafter %s", e, strings.Join(way, "; "))
		case want && !broken:
			t.Errorf("not met in any of %d states: %s", r.States, e)
		}
	}
	if r.Met[protocol.Achieved] == nil {
		t.Errorf("nothing is achieved in any of %d states", r.States)
	}
}

// TestShortestWay: the way that a search tells is one that nobody can shorten.
func TestShortestWay(t *testing.T) {
	t.Parallel()
	r := protocol.Sweep{DatabaseFirst: true}.Run()
	want := "mastodon begins, puts; ask; mastodon commits; list; send delete; delete lands"
	if got := strings.Join(r.Met[protocol.Lost], "; "); got != want {
		t.Errorf("lost after %s; want %s", got, want)
	}
	if once := (protocol.Sweep{DatabaseFirst: true}).Run(protocol.Lost); once.States >= r.States || once.Met[protocol.Lost] == nil {
		t.Errorf("%d states until the first loss, of %d", once.States, r.States)
	}
}
