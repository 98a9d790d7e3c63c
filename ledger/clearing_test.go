package ledger

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"example.org/mediamove/media"
)

const oldColumns = `{"file_file_name": "\u0000é\\\".jpeg", "file_updated_at":"2026-10-01T12:00:00.123456Z","thumbnail_file_size":null}`

func clearIntent(run, row int64) Clearing {
	return Clearing{
		Run: run, Class: media.MediaAttachments, RowID: row, Columns: []byte(oldColumns), Reason: "old", Bytes: 7,
		State: ClearIntent, Detail: "d", Plan: "p", Intended: noon.Add(time.Duration(run) * time.Hour),
	}
}

// in is c as EndClearings is given it and as it is read back then.
func (c Clearing) in(s ClearState) Clearing {
	switch c.State = s; s {
	case ClearCleared:
		c.Detail, c.ClearedAt = "cleared", c.Intended.Add(time.Minute)
	case ClearSkipped, ClearDone:
		c.Detail, c.Ended = string(s), c.Intended.Add(12*time.Minute)
	case ClearRestored:
		c.RestoredRun, c.RestoredAt = c.Run+1, c.Intended.Add(time.Hour)
	}
	return c
}

// way is what an intent goes through to come into a state.
var way = map[ClearState][]ClearState{
	ClearIntent:   nil,
	ClearSkipped:  {ClearSkipped},
	ClearCleared:  {ClearCleared},
	ClearDone:     {ClearCleared, ClearDone},
	ClearRestored: {ClearCleared, ClearRestored},
}

// bring writes c and takes it to a state.
func bring(t testing.TB, l *Ledger, c Clearing, to ClearState) Clearing {
	t.Helper()
	must(t, l.IntendClearing(t.Context(), []Clearing{c}))
	for _, s := range way[to] {
		c = c.in(s)
		must(t, l.EndClearings(t.Context(), []Clearing{c}))
	}
	return c
}

// clearings is all of them, without ids.
func clearings(t testing.TB, l *Ledger, q ClearingQuery) []Clearing {
	t.Helper()
	rows, last := all(t, l.Clearings(t.Context(), q)), int64(0)
	for i := range rows {
		if rows[i].ID <= last {
			t.Errorf("row %d after row %d", rows[i].ID, last)
		}
		last, rows[i].ID = rows[i].ID, 0
	}
	return rows
}

// TestClearingRoundTrip: every column comes back, in each state, and nothing is
// read that isn't the state's.
func TestClearingRoundTrip(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := mustOpen(t, dir)
	card := clearIntent(1, 1<<62)
	card.Class, card.Columns, card.Bytes, card.Plan = media.PreviewCards, []byte("{}"), 1<<40, ""
	rows := []Clearing{clearIntent(1, 1), clearIntent(1, 2), card}
	given := slices.Clone(rows)
	given[0].ID, given[0].State, given[0].Ended, given[0].ClearedAt = 99, ClearDone, noon, noon
	given[0].RestoredRun, given[0].RestoredAt = 9, noon
	must(t, l.IntendClearing(t.Context(), given))
	equal(t, clearings(t, mustOpenReader(t, dir), ClearingQuery{}), rows)

	for i, steps := range [][]ClearState{
		{ClearCleared, ClearDone, ClearRestored},
		{ClearSkipped},
		{ClearCleared, ClearRestored},
	} {
		for _, s := range steps {
			rows[i] = rows[i].in(s)
			given := Clearing{Run: rows[i].Run, Class: rows[i].Class, RowID: rows[i].RowID, State: s, Detail: rows[i].Detail}
			switch s { // what is not the state's must not be read
			case ClearCleared:
				given.ClearedAt, given.Ended, given.RestoredRun, given.RestoredAt = rows[i].ClearedAt, noon, 9, noon
			case ClearRestored:
				given.RestoredRun, given.RestoredAt = rows[i].RestoredRun, rows[i].RestoredAt
				given.Detail, given.ClearedAt, given.Ended = "x", noon, noon
			default:
				given.Ended, given.ClearedAt, given.RestoredRun, given.RestoredAt = rows[i].Ended, noon, 9, noon
			}
			must(t, l.EndClearings(t.Context(), []Clearing{given}))
			equal(t, clearings(t, mustOpenReader(t, dir), ClearingQuery{}), rows)
		}
	}
	mustClose(t, l)
	equal(t, clearings(t, mustOpen(t, dir), ClearingQuery{}), rows)
}

// TestIntendClearingRefuses, and then nothing of the batch is written.
func TestIntendClearingRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*Clearing)
		is     error // nil: a mistake of the caller
	}{
		"open intent":      {func(c *Clearing) { c.RowID = 1 }, ErrIntended},
		"same run":         {func(c *Clearing) { c.RowID, c.Run = 2, 1 }, ErrIntended},
		"twice in a batch": {func(c *Clearing) { c.RowID = 3 }, ErrIntended},
		"no class":         {func(c *Clearing) { c.Class = "" }, nil},
		"no row":           {func(c *Clearing) { c.RowID = 0 }, nil},
		"no run":           {func(c *Clearing) { c.Run = 0 }, nil},
		"no time":          {func(c *Clearing) { c.Intended = time.Time{} }, nil},
		"no columns":       {func(c *Clearing) { c.Columns = nil }, nil},
		"half the columns": {func(c *Clearing) { c.Columns = []byte(`{"a":`) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := mustOpen(t, t.TempDir())
			must(t, l.IntendClearing(t.Context(), []Clearing{clearIntent(1, 1)}))
			bring(t, l, clearIntent(1, 2), ClearCleared)
			before := clearings(t, l, ClearingQuery{})
			bad := clearIntent(2, 4)
			tt.change(&bad)
			err := l.IntendClearing(t.Context(), []Clearing{clearIntent(2, 3), bad})
			if err == nil || errors.Is(err, ErrIntended) != (tt.is != nil) || errors.Is(err, ErrBroken) {
				t.Errorf("got %v", err)
			}
			equal(t, clearings(t, l, ClearingQuery{}), before)
			card := clearIntent(2, 1) // another table's row, one that was cleared, and one that nothing is known of
			card.Class = media.PreviewCards
			must(t, l.IntendClearing(t.Context(), []Clearing{card, clearIntent(2, 2), clearIntent(2, 3)}))
		})
	}
}

// TestColumnsAreTaken: what the caller does with its buffer afterwards is its own
// affair, also if it has stopped waiting.
func TestColumnsAreTaken(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	hold, held := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(hold) })
	t.Cleanup(release)
	must(t, l.write.add(t.Context(), job{done: make(chan error, 1), do: func(*session) error { close(held); <-hold; return nil }}))
	<-held
	ctx, cancel := context.WithCancel(t.Context())
	c := clearIntent(1, 1)
	given := make(chan error)
	go func() { given <- l.IntendClearing(ctx, []Clearing{c}) }()
	for queued := 0; queued == 0; runtime.Gosched() {
		l.write.mu.Lock()
		queued = len(l.write.queue)
		l.write.mu.Unlock()
	}
	cancel()
	wantIs(t, <-given, context.Canceled)
	clear(c.Columns)
	release()
	must(t, l.Flush(t.Context()))
	equal(t, clearings(t, l, ClearingQuery{}), []Clearing{clearIntent(1, 1)})
}

// TestClearingStates: from each state to each other one.
func TestClearingStates(t *testing.T) {
	t.Parallel()
	allowed := map[[2]ClearState]bool{
		{ClearIntent, ClearCleared}: true, {ClearIntent, ClearSkipped}: true, {ClearCleared, ClearDone}: true,
		{ClearCleared, ClearRestored}: true, {ClearDone, ClearRestored}: true,
	}
	states := []ClearState{ClearIntent, ClearCleared, ClearSkipped, ClearDone, ClearRestored}
	for _, from := range states {
		for _, to := range append(slices.Clone(states), "", "nonsense") {
			t.Run(fmt.Sprintf("%s to %s", from, to), func(t *testing.T) {
				t.Parallel()
				equal(t, to.Valid(), slices.Contains(states, to))
				l := mustOpen(t, t.TempDir())
				c := bring(t, l, clearIntent(1, 1), from)
				err := l.EndClearings(t.Context(), []Clearing{c.in(to)})
				if allowed[[2]ClearState{from, to}] {
					must(t, err)
					equal(t, clearings(t, l, ClearingQuery{}), []Clearing{c.in(to)})
					return
				}
				if !constrained(err) || errors.Is(err, ErrBroken) {
					t.Errorf("got %v", err)
				}
				equal(t, clearings(t, l, ClearingQuery{}), []Clearing{c})
				must(t, l.IntendClearing(t.Context(), []Clearing{clearIntent(2, 2)})) // the ledger is not broken
			})
		}
	}
}

// TestClearingNeedsItsTime: a run must know how long objects have waited, and by
// whom a row was restored.
func TestClearingNeedsItsTime(t *testing.T) {
	t.Parallel()
	for from, tt := range map[ClearState][]func(*Clearing){
		ClearIntent: {
			func(c *Clearing) { c.State, c.ClearedAt, c.Ended = ClearCleared, time.Time{}, noon },
			func(c *Clearing) { c.State, c.Ended = ClearSkipped, time.Time{} },
		},
		ClearCleared: {
			func(c *Clearing) { c.State, c.Ended = ClearDone, time.Time{} },
			func(c *Clearing) { c.State, c.RestoredRun, c.RestoredAt = ClearRestored, 0, noon },
			func(c *Clearing) { c.State, c.RestoredRun, c.RestoredAt = ClearRestored, 2, time.Time{} },
		},
	} {
		l := mustOpen(t, t.TempDir())
		c := bring(t, l, clearIntent(1, 1), from)
		for i, change := range tt {
			bad := c
			change(&bad)
			if err := l.EndClearings(t.Context(), []Clearing{bad}); !constrained(err) {
				t.Errorf("%s, %d: %v", from, i, err)
			}
		}
	}
}

// TestClearingOfAnother: a step without its intent is told, and undoes those
// beside it.
func TestClearingOfAnother(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	must(t, l.IntendClearing(t.Context(), []Clearing{clearIntent(1, 1)}))
	card := clearIntent(1, 1)
	card.Class = media.PreviewCards
	for _, c := range []Clearing{clearIntent(2, 1), clearIntent(1, 2), card} {
		wantIs(t, l.EndClearings(t.Context(), []Clearing{clearIntent(1, 1).in(ClearCleared), c.in(ClearCleared)}), ErrUnknown)
	}
	equal(t, clearings(t, l, ClearingQuery{}), []Clearing{clearIntent(1, 1)})
}
