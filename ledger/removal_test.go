package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"example.org/mediamove/media"
)

func intent(run int64, k media.Key) Removal {
	return Removal{
		Run: run, Key: k, Policy: "orphans", Reason: "row gone", Size: 7, ETag: "e", Modified: noon.AddDate(0, 0, -4),
		Trash: "t", Plan: "p", Detail: "d", State: RemovalIntent, Intended: noon.Add(time.Duration(run) * time.Hour),
	}
}

func ended(r Removal, state RemovalState) Removal {
	r.State, r.Detail, r.Trash, r.Ended = state, "because", "copy", r.Intended.Add(time.Minute)
	return r
}

func removeSample(t testing.TB, l *Ledger, run int64, k media.Key) {
	t.Helper()
	r := intent(run, k)
	must(t, l.Intend(t.Context(), []Removal{r}))
	must(t, l.EndRemovals(t.Context(), []Removal{ended(r, RemovalRemoved)}))
}

// journal is all of it, without ids.
func journal(t testing.TB, l *Ledger, q RemovalQuery) []Removal {
	t.Helper()
	rows, last := all(t, l.Removals(t.Context(), q)), int64(0)
	for i := range rows {
		if rows[i].ID <= last {
			t.Errorf("row %d after row %d", rows[i].ID, last)
		}
		last, rows[i].ID = rows[i].ID, 0
	}
	return rows
}

// TestRemovalRoundTrip: every column comes back, in each state.
func TestRemovalRoundTrip(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := mustOpen(t, dir)
	a, b, c := intent(1, "a/\xff'\x00"), intent(1, "a/e\u0301"), intent(1, "c")
	given := a
	given.ID, given.State, given.Ended, given.RestoredRun, given.RestoredETag = 99, RemovalRemoved, noon, 9, "x" // not read
	must(t, l.Intend(t.Context(), []Removal{given, b, c}))
	equal(t, journal(t, mustOpenReader(t, dir), RemovalQuery{}), []Removal{a, b, c})

	a, b = ended(a, RemovalRemoved), ended(b, RemovalKept)
	must(t, l.EndRemovals(t.Context(), []Removal{
		{Run: 1, Key: b.Key, State: b.State, Detail: b.Detail, Trash: b.Trash, Ended: b.Ended}, a,
	}))
	equal(t, journal(t, mustOpenReader(t, dir), RemovalQuery{}), []Removal{a, b, c})

	a.State, a.RestoredRun, a.RestoredETag, a.RestoredAt = RemovalRestored, 2, "f", noon.AddDate(0, 0, 1)
	must(t, l.Restored(t.Context(), Restoration{Run: 1, By: 2, Key: a.Key, ETag: "f", At: a.RestoredAt}))
	mustClose(t, l)
	equal(t, journal(t, mustOpen(t, dir), RemovalQuery{}), []Removal{a, b, c})
}

// TestIntendRefuses, and then nothing of the batch is written.
func TestIntendRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*Removal)
		is     error // nil: a mistake of the caller
	}{
		"open intent":      {func(r *Removal) { r.Key = "open" }, ErrIntended},
		"same run":         {func(r *Removal) { r.Key, r.Run = "kept", 1 }, ErrIntended},
		"twice in a batch": {func(r *Removal) { r.Key = "new" }, ErrIntended},
		"no key":           {func(r *Removal) { r.Key = "" }, nil},
		"no run":           {func(r *Removal) { r.Run = 0 }, nil},
		"no policy":        {func(r *Removal) { r.Policy = "" }, nil},
		"no time":          {func(r *Removal) { r.Intended = time.Time{} }, nil}, // no ceiling would count it
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := mustOpen(t, t.TempDir())
			must(t, l.Intend(t.Context(), []Removal{intent(1, "open"), intent(1, "kept")}))
			must(t, l.EndRemovals(t.Context(), []Removal{ended(intent(1, "kept"), RemovalKept)}))
			before := journal(t, l, RemovalQuery{})
			bad := intent(2, "bad")
			tt.change(&bad)
			err := l.Intend(t.Context(), []Removal{intent(2, "new"), bad})
			if err == nil || errors.Is(err, ErrIntended) != (tt.is != nil) || errors.Is(err, ErrBroken) {
				t.Errorf("got %v", err)
			}
			equal(t, journal(t, l, RemovalQuery{}), before)
			must(t, l.Intend(t.Context(), []Removal{intent(2, "kept"), intent(2, "new")}))
		})
	}
}

// TestRemovalStates: from each state to each other one, by the method for it.
func TestRemovalStates(t *testing.T) {
	t.Parallel()
	allowed := map[[2]RemovalState]bool{
		{RemovalIntent, RemovalRemoved}: true, {RemovalIntent, RemovalKept}: true, {RemovalRemoved, RemovalRestored}: true,
	}
	states := []RemovalState{RemovalIntent, RemovalRemoved, RemovalKept, RemovalRestored}
	for _, from := range states {
		for _, to := range append(states, "", "nonsense") {
			t.Run(fmt.Sprintf("%s to %s", from, to), func(t *testing.T) {
				t.Parallel()
				equal(t, to.Valid(), slices.Contains(states, to))
				l := mustOpen(t, t.TempDir())
				must(t, l.Intend(t.Context(), []Removal{intent(1, "k")}))
				if from != RemovalIntent {
					must(t, become(l, from))
				}
				before := journal(t, l, RemovalQuery{})
				equal(t, before[0].State, from)
				err := move(l, to)
				equal(t, err == nil, allowed[[2]RemovalState{from, to}])
				after := journal(t, l, RemovalQuery{})
				if err != nil {
					equal(t, after, before)
					must(t, l.Intend(t.Context(), []Removal{intent(2, "l")})) // the ledger is not broken
				} else {
					equal(t, after[0].State, to)
				}
			})
		}
	}
}

// become takes an intent to a state.
func become(l *Ledger, s RemovalState) error {
	if s == RemovalRestored {
		if err := move(l, RemovalRemoved); err != nil {
			return err
		}
	}
	return move(l, s)
}

func move(l *Ledger, s RemovalState) error {
	if s == RemovalRestored {
		return l.Restored(context.Background(), Restoration{Run: 1, By: 2, Key: "k", ETag: "e", At: noon})
	}
	return l.EndRemovals(context.Background(), []Removal{{Run: 1, Key: "k", State: s, Ended: noon}})
}

// TestRemovalOfAnother: an outcome without its intent is told, and undoes those
// beside it.
func TestRemovalOfAnother(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	must(t, l.Intend(t.Context(), []Removal{intent(1, "e\u0301")}))
	if err := l.EndRemovals(t.Context(), []Removal{ended(intent(1, "e\u0301"), RemovalRestored)}); !constrained(err) {
		t.Errorf("restored what was not removed: %v", err)
	}
	for _, r := range []Removal{intent(2, "e\u0301"), intent(1, "x"), intent(1, "\u00e9")} {
		wantIs(t, l.EndRemovals(t.Context(), []Removal{ended(intent(1, "e\u0301"), RemovalRemoved), ended(r, RemovalRemoved)}), ErrUnknown)
		wantIs(t, l.Restored(t.Context(), Restoration{Run: r.Run, By: 3, Key: r.Key, ETag: "e", At: noon}), ErrUnknown)
	}
	equal(t, journal(t, l, RemovalQuery{}), []Removal{intent(1, "e\u0301")})
}

// TestJournalIsKept: no statement of anybody's changes or drops what it says.
func TestJournalIsKept(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	must(t, l.Intend(t.Context(), []Removal{intent(1, "open"), intent(1, "kept"), intent(1, "removed"), intent(1, "restored")}))
	must(t, l.EndRemovals(t.Context(), []Removal{
		ended(intent(1, "kept"), RemovalKept), ended(intent(1, "removed"), RemovalRemoved), ended(intent(1, "restored"), RemovalRemoved),
	}))
	must(t, l.Restored(t.Context(), Restoration{Run: 1, By: 2, Key: "restored", ETag: "e", At: noon}))
	before := journal(t, l, RemovalQuery{})
	const columns = "run, key, policy, reason, size, etag, modified_ns, trash, plan, state, detail, intended_ns"
	for _, q := range []string{
		"DELETE FROM removal",
		"DELETE FROM removal WHERE state = 'kept'",
		"REPLACE INTO removal (" + columns + ") SELECT " + columns + " FROM removal WHERE state = 'intent'",
		"REPLACE INTO removal (id, " + columns + ") SELECT id, run + 1, key, policy, reason, size, etag, modified_ns, trash, plan, 'intent', detail, intended_ns FROM removal WHERE state = 'kept'",
		"REPLACE INTO removal (" + columns + ") SELECT run, key, policy, reason, size, etag, modified_ns, trash, plan, 'intent', detail, intended_ns FROM removal WHERE state = 'kept'",
		"INSERT INTO removal (" + columns + ") SELECT run + 1, key, policy, reason, size, etag, modified_ns, trash, plan, 'removed', detail, intended_ns FROM removal WHERE state = 'kept'",
		"UPDATE removal SET state = 'intent' WHERE state = 'kept'",
		"UPDATE removal SET state = state, detail = 'x' WHERE state = 'intent'",
		"UPDATE removal SET state = 'removed', restored_run = 1 WHERE state = 'intent'",
		"UPDATE removal SET state = 'removed', restored_etag = 'x' WHERE state = 'intent'",
		"UPDATE removal SET state = 'restored', trash = '' WHERE state = 'removed'",
		"UPDATE removal SET state = 'restored', detail = '' WHERE state = 'removed'",
		"UPDATE removal SET state = 'restored', ended_ns = 1 WHERE state = 'removed'",
		"UPDATE removal SET restored_run = 3 WHERE state = 'restored'",
		"UPDATE removal SET run = 7, state = 'removed' WHERE state = 'intent'",
		"UPDATE removal SET key = x'78', state = 'removed' WHERE state = 'intent'",
		"UPDATE removal SET normal = x'78', state = 'removed' WHERE state = 'intent'",
		"UPDATE removal SET intended_ns = 1, state = 'removed' WHERE state = 'intent'",
	} {
		if err := l.wait(t.Context(), func(s *session) error { return s.exec(q) }); !constrained(err) {
			t.Errorf("%s: %v", q, err)
		}
		equal(t, journal(t, l, RemovalQuery{}), before)
	}
	_, err := raw(t, l.path(t)).ExecContext(t.Context(), "DELETE FROM removal")
	if err == nil {
		t.Error("deleted")
	}
}

func (l *Ledger) path(t *testing.T) (name string) {
	t.Helper()
	must(t, l.read.QueryRowContext(t.Context(), "SELECT file FROM pragma_database_list").Scan(&name))
	return name
}

// TestRemovalsFail once, and say so.
func TestRemovalsFail(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	must(t, l.Intend(t.Context(), []Removal{intent(1, "a")}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	n := 0
	for _, err := range l.Removals(ctx, RemovalQuery{}) {
		wantIs(t, err, context.Canceled)
		n++
	}
	equal(t, n, 1)
	_, err := l.RemovedBy(ctx, "a")
	wantIs(t, err, context.Canceled)
	_, err = l.RemovedSince(ctx, "orphans", noon)
	wantIs(t, err, context.Canceled)
	_, err = l.Known(ctx, []media.Key{"a"})
	wantIs(t, err, context.Canceled)
}

func TestReaderCleansNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mustClose(t, mustOpen(t, dir))
	l, ctx := mustOpenReader(t, dir), t.Context()
	_, err := l.CancelSuspects(ctx, 1, "")
	for _, err := range []error{
		err,
		l.AddSuspects(ctx, 1, noon, nil),
		l.EndScan(ctx, Scan{}),
		l.Intend(ctx, nil),
		l.EndRemovals(ctx, nil),
		l.Restored(ctx, Restoration{Run: 1, By: 2, Key: "k", ETag: "e", At: noon}),
		l.SetCleaning(ctx, Cleaning{}),
		l.UsePlan(ctx, "p", 1),
	} {
		wantIs(t, err, ErrReadOnly)
	}
}
