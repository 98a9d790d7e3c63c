package cleanup_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// on is a script for one operation.
func on(op costs.Op, f fixtures.Fault) func(fixtures.Request) fixtures.Fault {
	return func(r fixtures.Request) fixtures.Fault {
		if r.Op == op {
			return f
		}
		return fixtures.Fault{}
	}
}

// TestNoBatches: a server that takes none is asked once; then they go one by one.
func TestNoBatches(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.noBin = true
	g.server.SetFault(on(costs.DeleteObjects, fixtures.Fault{Status: http.StatusNotImplemented, Code: "NotImplemented"}))
	c, err := g.clean(t.Context(), g.orphans(1050))
	must(t, err)
	equal(t, c.Removed().Objects, int64(1050))
	usage := g.server.Usage()
	equal(t, []int64{usage[costs.DeleteObjects], usage[costs.DeleteObject]}, []int64{1, 1050})
	g.truth()
}

// TestBatchKeys: what a batch says of each key is believed of that key only; and what it
// does not say is looked at.
func TestBatchKeys(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		list := g.orphans(40)
		script := map[string]fixtures.KeyFault{
			string(list[15].Key): {Code: "InternalError"},
			string(list[16].Key): {Code: "ObjectLockedByBucketPolicy"},
			string(list[17].Key): {Silent: true},                        // and gone
			string(list[18].Key): {Silent: true, Code: "InternalError"}, // and still there
			string(list[19].Key): {Twice: true},
			string(list[20].Key): {Code: "NoSuchKey"},
		}
		g.server.Delete(string(list[20].Key))
		g.edit = func(c *cleanup.Cleaner) { c.Bin = nil; c.Bucket = blindHead{c.Bucket, list[20]} }
		g.noBin = true
		g.server.SetFault(on(costs.DeleteObjects, fixtures.Fault{Keys: func(k string) fixtures.KeyFault { return script[k] }}))
		c, err := g.clean(t.Context(), list)
		must(t, err)
		equal(t, c.Kept(), map[string]int64{cleanup.KeptRefused: 1, cleanup.Unanswered: 2})
		equal(t, c.Removed().Objects, int64(37))
		rows := g.rows()
		for i, want := range map[int]ledger.RemovalState{
			15: ledger.RemovalIntent, 16: ledger.RemovalKept, 17: ledger.RemovalRemoved, 18: ledger.RemovalIntent, 19: ledger.RemovalRemoved, 20: ledger.RemovalRemoved,
		} {
			if got := rows[list[i].Key].State; got != want {
				t.Errorf("candidate %d: %s, want %s", i, got, want)
			}
		}
		g.truth()
	})
}

// blindHead believes that one object is still there, as it was when it was listed.
type blindHead struct {
	cleanup.Deleter
	c cleanup.Candidate
}

func (b blindHead) Head(ctx context.Context, k media.Key) (r2.Head, error) {
	if k == b.c.Key {
		return r2.Head{Object: r2.Object{Key: k, Size: b.c.Size, ETag: b.c.ETag}}, nil
	}
	return b.Deleter.Head(ctx, k)
}

// TestDenied: a token that is taken away in the middle ends the run. What is known of the
// others is recorded, by one and by batch.
func TestDenied(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		script  func(list []cleanup.Candidate) func(fixtures.Request) fixtures.Fault
		removed int64
		open    int
	}{
		"a batch": {func([]cleanup.Candidate) func(fixtures.Request) fixtures.Fault {
			return on(costs.DeleteObjects, fixtures.Fault{Status: http.StatusForbidden, Code: "AccessDenied"})
		}, 10, 30},
		"one of a batch": {func(list []cleanup.Candidate) func(fixtures.Request) fixtures.Fault {
			return on(costs.DeleteObjects, fixtures.Fault{Keys: func(k string) fixtures.KeyFault {
				if k == string(list[25].Key) {
					return fixtures.KeyFault{Code: "AccessDenied"}
				}
				return fixtures.KeyFault{}
			}})
		}, 39, 1},
		"the third of the canary": {func(list []cleanup.Candidate) func(fixtures.Request) fixtures.Fault {
			return func(r fixtures.Request) fixtures.Fault {
				if r.Op == costs.DeleteObject && r.Key == string(list[2].Key) {
					return fixtures.Fault{Status: http.StatusForbidden, Code: "AccessDenied"}
				}
				return fixtures.Fault{}
			}
		}, 2, 1},
		"a copy": {func(list []cleanup.Candidate) func(fixtures.Request) fixtures.Fault {
			return func(r fixtures.Request) fixtures.Fault {
				if r.Op == costs.GetObject && r.Key == string(list[30].Key) {
					return fixtures.Fault{Status: http.StatusForbidden, Code: "AccessDenied"}
				}
				return fixtures.Fault{}
			}
		}, 10, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			list := g.orphans(40)
			g.server.SetFault(tt.script(list))
			c, err := g.clean(t.Context(), list)
			wantIs(t, err, r2.ErrDenied)
			open := 0
			for _, r := range g.rows() {
				if r.State == ledger.RemovalIntent {
					open++
				}
			}
			equal(t, []int64{c.Removed().Objects, int64(open)}, []int64{tt.removed, int64(tt.open)})
			g.truth()
		})
	}
}

// TestLostAnswers: a deletion that was not answered may have happened, not, or happen yet.
// The journal says nothing that it does not know.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		op      costs.Op
		fault   fixtures.Fault
		tries   int // that many are lost; 0: all
		fails   bool
		removed int64
	}{
		"one, done":                 {costs.DeleteObject, fixtures.Fault{StoreThenCut: true}, 1, false, 40},
		"one, not done":             {costs.DeleteObject, fixtures.Fault{CutBefore: true}, 1, false, 40},
		"a batch, done":             {costs.DeleteObjects, fixtures.Fault{StoreThenCut: true}, 1, false, 40},
		"a batch, not done":         {costs.DeleteObjects, fixtures.Fault{CutBefore: true}, 1, false, 40},
		"all, done":                 {costs.DeleteObject, fixtures.Fault{StoreThenCut: true}, 0, true, 0},
		"all, not done":             {costs.DeleteObject, fixtures.Fault{CutBefore: true}, 0, true, 0},
		"all, done later":           {costs.DeleteObject, fixtures.Fault{StoreLater: time.Hour}, 0, true, 0},
		"all batches, done":         {costs.DeleteObjects, fixtures.Fault{StoreThenCut: true}, 0, true, 10},
		"all batches, done later":   {costs.DeleteObjects, fixtures.Fault{StoreLater: time.Hour}, 0, true, 10},
		"a batch, done much later":  {costs.DeleteObjects, fixtures.Fault{StoreLater: time.Hour}, 1, false, 40},
		"nonsense instead of batch": {costs.DeleteObjects, fixtures.Fault{HTML: true}, 0, true, 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t)
				g.server.SetFault(func(r fixtures.Request) fixtures.Fault {
					if r.Op == tt.op && (tt.tries == 0 || r.Attempt <= tt.tries) {
						return tt.fault
					}
					return fixtures.Fault{}
				})
				c, err := g.clean(t.Context(), g.orphans(40))
				if (err != nil) != tt.fails {
					t.Fatal(err)
				}
				equal(t, c.Removed().Objects, tt.removed)
				time.Sleep(2 * time.Hour) // what is done later is done
				g.truth()
			})
		})
	}
}

// TestDatabaseAway: without the last look nothing goes, and no copy is left of what stays.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	for _, k := range []int{1, 2} {
		g := newRig(t)
		g.db.fails["Rows"] = k
		c, err := g.clean(t.Context(), g.orphans(40))
		wantIs(t, err, cleanup.ErrRows)
		wantIs(t, err, errScripted)
		equal(t, c.Removed().Objects, int64(10*(k-1)))
		for _, r := range g.rows() {
			if r.State == ledger.RemovalKept && !strings.Contains(r.Detail, "before it came to it") {
				t.Errorf("%+v", r)
			}
		}
		g.truth()
	}
}

// TestOutcomeUnwritten: the error of the run and that of the journal are both told.
func TestOutcomeUnwritten(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.db.fails["Rows"] = 1
	g.journal = func(j cleanup.Journal) cleanup.Journal { return &cutJournal{Journal: j, at: 2} }
	_, err := g.clean(t.Context(), g.orphans(5))
	if !errors.Is(err, errScripted) || !errors.Is(err, errCut) {
		t.Error(err)
	}
	g.truth()
}
