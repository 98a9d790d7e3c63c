package cleanup_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// undo takes back run, as another run, and returns how often there was each outcome.
func (g *rig) undo(ctx context.Context, run int64, k media.Key) (map[string]int, error) {
	g.t.Helper()
	g.run++
	b := g.bucket()
	defer b.Close()
	u := &cleanup.Undo{Bin: cleanup.Trash{Store: g.store, Bucket: b, Entries: g.ledger}, Records: g.ledger, Run: g.run, Now: time.Now}
	if g.noBin {
		u.Bin = nil
	}
	outcomes := map[string]int{}
	for done, err := range u.Take(ctx, run, k) {
		if err != nil {
			return outcomes, err
		}
		outcomes[done.Outcome]++
		if done.Back() != (done.Outcome == cleanup.PutBack || done.Outcome == cleanup.Already) {
			g.t.Errorf("%q is back: %t", done.Outcome, done.Back())
		}
	}
	return outcomes, nil
}

// back holds an object against what was planted: all but the time.
func (g *rig) back(k media.Key, body string) {
	g.t.Helper()
	o, there := g.server.Object(string(k))
	was := g.planted[k]
	was.LastModified = o.LastModified
	if !there {
		g.t.Fatalf("%s is not back", k)
	}
	equal(g.t, o, was)
	bytes, _ := g.server.Body(string(k))
	equal(g.t, string(bytes), body)
}

// TestUndo: 1,000 objects come back byte for byte, with their headers; those that were
// kept are left alone; and a second undo finds nothing to do.
func TestUndo(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	n := 1000
	if raceDetector { // and slow
		n = 200
	}
	list := g.orphans(n)
	odd := []cleanup.Candidate{
		g.plant("media_attachments/files/000/000/001/original/\u00e9 & b.png", "odd name"),
		g.upload("media_attachments/files/000/000/002/original/a.png", nil),
	}
	kept := g.plant("media_attachments/files/000/000/003/original/a.png", "kept")
	g.db.put(kept.Key, false)
	_, err := g.clean(t.Context(), append(append(list, odd...), kept))
	must(t, err)
	equal(t, g.server.Len(), 15+1+1)
	before := g.server.Usage()[costs.PutObject]

	outcomes, err := g.undo(t.Context(), 1, "")
	must(t, err)
	equal(t, outcomes, map[string]int{cleanup.PutBack: n + 2})
	equal(t, g.server.Usage()[costs.PutObject]-before, int64(n+2))
	for i, c := range list {
		g.back(c.Key, fmt.Sprintf("body of %d", i))
	}
	g.back(odd[0].Key, "odd name")
	g.back(odd[1].Key, "")
	for k, r := range g.rows() {
		want := ledger.RemovalRestored
		if k == kept.Key {
			want = ledger.RemovalKept
		} else if r.RestoredRun != 2 || r.RestoredETag != g.planted[k].ETag || r.RestoredAt.IsZero() {
			t.Fatalf("%+v", r)
		}
		equal(t, r.State, want)
	}
	_, err = g.ledger.RemovedBy(t.Context(), list[0].Key)
	wantIs(t, err, ledger.ErrUnknown)

	outcomes, err = g.undo(t.Context(), 1, "")
	must(t, err)
	equal(t, outcomes, map[string]int{})
	g.untouched()
	g.close()
}

// TestUndoOutcomes: one for each.
func TestUndoOutcomes(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	list := g.orphans(8)
	_, err := g.clean(t.Context(), list)
	must(t, err)
	copyOf := func(i int) string { return filepath.Join(g.trash, g.rows()[list[i].Key].Trash) }

	g.server.Put(string(list[1].Key), []byte("newer"))
	must(t, os.Remove(copyOf(2)))
	must(t, os.WriteFile(copyOf(3), []byte("body of 4"), 0o600))
	g.server.Put(string(list[4].Key), []byte("body of 4")) // somebody put it back himself
	g.server.SetFault(func(r fixtures.Request) fixtures.Fault {
		if r.Op == costs.PutObject && r.Key == string(list[5].Key) {
			return fixtures.Fault{Status: http.StatusBadRequest, Code: "InvalidArgument"}
		}
		return fixtures.Fault{}
	})
	must(t, g.store.Drop(g.rows()[list[6].Key].Trash))
	want := map[string]int{cleanup.PutBack: 2, cleanup.Newer: 1, cleanup.Expired: 2, cleanup.Damaged: 1, cleanup.Already: 1, cleanup.NotPut: 1}
	outcomes, err := g.undo(t.Context(), 1, "")
	must(t, err)
	equal(t, outcomes, want)
	for i, state := range []ledger.RemovalState{
		ledger.RemovalRestored, ledger.RemovalRemoved, ledger.RemovalRemoved, ledger.RemovalRemoved, ledger.RemovalRestored, ledger.RemovalRemoved, ledger.RemovalRemoved, ledger.RemovalRestored,
	} {
		if got := g.rows()[list[i].Key].State; got != state {
			t.Errorf("%d: %s, want %s", i, got, state)
		}
	}
	newer, _ := g.server.Body(string(list[1].Key))
	equal(t, string(newer), "newer")

	// What could not be put back can be later, by another undo.
	g.server.SetFault(nil)
	g.server.Delete(string(list[1].Key))
	outcomes, err = g.undo(t.Context(), 1, "")
	must(t, err)
	equal(t, outcomes, map[string]int{cleanup.PutBack: 2, cleanup.Expired: 2, cleanup.Damaged: 1})
	g.back(list[1].Key, "body of 1")
	g.close()
	told := map[string]bool{}
	for _, o := range cleanup.UndoOutcomes() {
		told[o] = true
	}
	for o := range want {
		if !told[o] {
			t.Errorf("%q is not told", o)
		}
	}
}

// TestUndoOne: only one key, in any spelling; of another run nothing.
func TestUndoOne(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	list := append(g.orphans(5), g.plant("media_attachments/files/000/000/001/original/\u00e9.png", "accent"))
	_, err := g.clean(t.Context(), list[:3])
	must(t, err)
	_, err = g.clean(t.Context(), list[3:])
	must(t, err)
	for _, tt := range []struct {
		run  int64
		key  media.Key
		want map[string]int
	}{
		{1, list[4].Key, map[string]int{}},
		{1, list[1].Key, map[string]int{cleanup.PutBack: 1}},
		{1, list[1].Key, map[string]int{}},
		{2, "media_attachments/files/000/000/001/original/e\u0301.png", map[string]int{cleanup.PutBack: 1}},
		{9, "", map[string]int{}},
		{2, "", map[string]int{cleanup.PutBack: 2}},
	} {
		outcomes, err := g.undo(t.Context(), tt.run, tt.key)
		must(t, err)
		equal(t, outcomes, tt.want)
	}
	for i, want := range []bool{false, true, false, true, true, true} {
		if _, there := g.server.Object(string(list[i].Key)); there != want {
			t.Errorf("%d is there: %t", i, there)
		}
	}
	g.close()
}

// TestUndoWithoutTrash tells so, and changes nothing.
func TestUndoWithoutTrash(t *testing.T) {
	t.Parallel()
	for _, during := range []string{"the run", "the undo"} {
		g := newRig(t)
		g.noBin = during == "the run"
		list := g.orphans(3)
		_, err := g.clean(t.Context(), list)
		must(t, err)
		g.noBin = !g.noBin
		outcomes, err := g.undo(t.Context(), 1, "")
		must(t, err)
		equal(t, outcomes, map[string]int{cleanup.NoCopy: 3})
		equal(t, g.rows()[list[0].Key].State, ledger.RemovalRemoved)
		g.close()
	}
}

// TestUndoStops: what concerns all objects ends it; what it did by then is recorded, and
// the next undo does the rest.
func TestUndoStops(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault  fixtures.Fault
		cancel bool
		is     error
	}{
		"denied":    {fault: fixtures.Fault{Status: http.StatusForbidden, Code: "AccessDenied"}, is: r2.ErrDenied},
		"cancelled": {cancel: true, is: errScripted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			list := g.orphans(20)
			_, err := g.clean(t.Context(), list)
			must(t, err)
			ctx, cancel := context.WithCancelCause(t.Context()) // a signal is a cause, too
			defer cancel(nil)
			n := 0
			g.server.SetFault(func(r fixtures.Request) fixtures.Fault {
				if r.Op != costs.PutObject {
					return fixtures.Fault{}
				}
				if n++; n == 8 {
					if tt.cancel {
						cancel(errScripted)
					}
					return tt.fault
				}
				return fixtures.Fault{}
			})
			outcomes, err := g.undo(ctx, 1, "")
			wantIs(t, err, tt.is)
			equal(t, outcomes, map[string]int{cleanup.PutBack: 7})
			g.server.SetFault(nil)
			outcomes, err = g.undo(t.Context(), 1, "")
			must(t, err)
			if back := outcomes[cleanup.PutBack] + outcomes[cleanup.Already]; back != 13 || len(outcomes) > 2 {
				t.Errorf("%v", outcomes)
			}
			for i, c := range list {
				g.back(c.Key, fmt.Sprintf("body of %d", i))
			}
			g.close()
		})
	}
}

// TestUndoUnwritten: put back, and the journal fails: the next undo finds it there.
func TestUndoUnwritten(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	list := g.orphans(3)
	_, err := g.clean(t.Context(), list)
	must(t, err)
	b := g.bucket()
	defer b.Close()
	u := &cleanup.Undo{Bin: cleanup.Trash{Store: g.store, Bucket: b, Entries: g.ledger}, Records: cutRecords{g.ledger}, Run: 2, Now: time.Now}
	got, err := all(u.Take(t.Context(), 1, ""))
	wantIs(t, err, errCut)
	equal(t, len(got), 0)
	outcomes, err := g.undo(t.Context(), 1, "")
	must(t, err)
	equal(t, outcomes, map[string]int{cleanup.Already: 1, cleanup.PutBack: 2})
	g.close()
}

type cutRecords struct{ *ledger.Ledger }

func (cutRecords) Restored(context.Context, ledger.Restoration) error {
	return errCut
}
