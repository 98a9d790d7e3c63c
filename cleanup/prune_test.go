package cleanup_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"example.org/mediamove/ledger"
)

// The steps in their order; what changed since the scan is left alone, with its objects.
func TestPruneSteps(t *testing.T) {
	t.Parallel()
	g := newPruneRig(t, 5)
	g.db.touched[2] = true
	g.db.names[3] = "again.png" // fetched again
	delete(g.db.names, 4)
	must(t, g.prune(nil, 1, 2, 3, 4, 5))
	equal(t, g.gone(), []int64{1, 5})
	equal(t, g.states(), map[int64]ledger.ClearState{1: ledger.ClearDone, 2: ledger.ClearSkipped, 5: ledger.ClearDone})
	equal(t, slices.Compact(g.db.steps), []string{"raise", "snapshot", "clear", "sleep", "rows", "delete"})
	if g.slept < 10*time.Minute || g.slept > 12*time.Minute {
		t.Errorf("slept %v", g.slept)
	}
	before := len(g.db.steps)
	must(t, g.prune(nil))
	equal(t, g.db.steps[before:], []string{})
}

// Whichever step fails, whether it happened or not: the next run comes to an end that is
// the same, and never sooner than Mastodon's caches allow.
func TestPruneGoesOn(t *testing.T) {
	t.Parallel()
	for _, fail := range []string{"raise", "snapshot", "clear", "sleep", "rows", "delete"} {
		for _, silent := range []bool{false, true} {
			t.Run(fmt.Sprint(fail, silent), func(t *testing.T) {
				t.Parallel()
				g := newPruneRig(t, 3)
				g.db.fail, g.db.silent = fail, silent
				if err := g.prune(nil, 1, 2); err == nil && fail != "delete" { // that is one object's
					t.Fatal("no error")
				}
				if g.slept < 10*time.Minute && len(g.gone()) > 0 {
					t.Errorf("%v are gone after %v", g.gone(), g.slept)
				}
				g.db.fail, g.slept = "", 0
				g.now = g.now.Add(time.Minute)
				var left, again []int64
				for id := range maps.Keys(g.states()) {
					if g.db.names[id] == "" {
						left = append(left, id)
					}
				}
				for _, id := range []int64{1, 2} {
					if g.db.names[id] != "" {
						again = append(again, id)
					}
				}
				must(t, g.prune(left, again...))
				equal(t, g.gone(), []int64{1, 2})
				equal(t, g.states(), map[int64]ledger.ClearState{1: ledger.ClearDone, 2: ledger.ClearDone})
				if g.slept < 9*time.Minute {
					t.Errorf("the objects went %v after their rows", g.slept)
				}
				equal(t, g.db.names[3], "3.png")
			})
		}
	}
}

// A killed run had cleared rows that it should not have: they have their files again. One
// that was fetched again meanwhile, or is gone, is prune's to finish.
func TestPruneRescues(t *testing.T) {
	t.Parallel()
	g := newPruneRig(t, 4)
	g.db.fail, g.db.silent = "clear", true
	if err := g.prune(nil, 1, 2, 3, 4); err == nil {
		t.Fatal("no error")
	}
	g.db.fail = ""
	g.db.touched[1], g.db.touched[2] = true, true
	g.db.names[2] = "again.png"
	delete(g.db.names, 3)
	must(t, g.prune([]int64{1, 2, 3, 4}))
	equal(t, g.db.names, map[int64]string{1: "1.png", 2: "again.png", 4: ""})
	equal(t, g.gone(), []int64{2, 3, 4})
	equal(t, g.states(), map[int64]ledger.ClearState{1: ledger.ClearSkipped, 2: ledger.ClearDone, 3: ledger.ClearDone, 4: ledger.ClearDone})
}

// What the bucket refuses stays open, for the next run.
func TestPruneRefused(t *testing.T) {
	t.Parallel()
	g := newPruneRig(t, 2)
	g.bucket.refuses = attachment(2)
	must(t, g.prune(nil, 1, 2))
	equal(t, g.states(), map[int64]ledger.ClearState{1: ledger.ClearCleared, 2: ledger.ClearCleared})
	g.bucket.refuses, g.now = "", g.now.Add(time.Hour)
	must(t, g.prune([]int64{2}))
	equal(t, g.gone(), []int64{1, 2})
	equal(t, g.states(), map[int64]ledger.ClearState{1: ledger.ClearDone, 2: ledger.ClearDone})
}
