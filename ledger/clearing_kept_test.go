package ledger

import (
	"context"
	"testing"

	"example.org/mediamove/media"
)

// TestClearingsAreKept: no statement of anybody's changes or drops what they say, before its time.
func TestClearingsAreKept(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	for i, s := range []ClearState{ClearIntent, ClearCleared, ClearSkipped, ClearDone, ClearRestored} {
		bring(t, l, clearIntent(1, int64(i+1)), s)
	}
	must(t, l.EndScan(t.Context(), Scan{Run: 2, At: noon.Add(ClearingLife)})) // a day too early for all of them
	before := clearings(t, l, ClearingQuery{})
	const columns = "run, class, row_id, columns, reason, bytes, plan, state, detail, intended_ns"
	insert := func(verb, values string) string {
		return verb + " INTO clearing (" + columns + ") SELECT " + values + " FROM clearing WHERE state = 'skipped'"
	}
	again := "run + 1, class, row_id, columns, reason, bytes, plan, 'intent', detail, intended_ns"
	for _, q := range []string{
		"DELETE FROM clearing",
		"DELETE FROM clearing WHERE state = 'skipped'",
		"REPLACE INTO clearing (" + columns + ") SELECT " + columns + " FROM clearing WHERE state = 'intent'",
		"REPLACE INTO clearing (id, " + columns + ") SELECT id, " + again + " FROM clearing WHERE state = 'skipped'",
		insert("REPLACE", "run, class, row_id, columns, reason, bytes, plan, 'intent', detail, intended_ns"),
		insert("INSERT", "run + 1, class, row_id, columns, reason, bytes, plan, 'cleared', detail, intended_ns"),
		insert("INSERT", "run + 1, class, 1, columns, reason, bytes, plan, 'intent', detail, intended_ns"),
		"INSERT INTO clearing (cleared_ns, " + columns + ") SELECT 1, " + again + " FROM clearing WHERE state = 'skipped'",
		"INSERT INTO clearing (ended_ns, " + columns + ") SELECT 1, " + again + " FROM clearing WHERE state = 'skipped'",
		"INSERT INTO clearing (restored_run, " + columns + ") SELECT 1, " + again + " FROM clearing WHERE state = 'skipped'",
		"INSERT INTO clearing (restored_ns, " + columns + ") SELECT 1, " + again + " FROM clearing WHERE state = 'skipped'",
		"UPDATE clearing SET state = 'intent' WHERE state = 'cleared'",
		"UPDATE clearing SET detail = 'x'",
		"UPDATE clearing SET state = 'cleared', cleared_ns = 1, ended_ns = 1 WHERE state = 'intent'",
		"UPDATE clearing SET state = 'cleared', cleared_ns = 1, restored_run = 1 WHERE state = 'intent'",
		"UPDATE clearing SET state = 'cleared', cleared_ns = 1, restored_ns = 1 WHERE state = 'intent'",
		"UPDATE clearing SET state = 'skipped', ended_ns = 1, cleared_ns = 1 WHERE state = 'intent'",
		"UPDATE clearing SET state = 'skipped', ended_ns = 1, restored_run = 1 WHERE state = 'intent'",
		"UPDATE clearing SET state = 'skipped', ended_ns = 1, restored_ns = 1 WHERE state = 'intent'",
		"UPDATE clearing SET state = 'done', ended_ns = 1, cleared_ns = 1 WHERE state = 'cleared'",
		"UPDATE clearing SET state = 'done', ended_ns = 1, restored_run = 1 WHERE state = 'cleared'",
		"UPDATE clearing SET state = 'done', ended_ns = 1, restored_ns = 1 WHERE state = 'cleared'",
		"UPDATE clearing SET state = 'restored', restored_run = 1, restored_ns = 1, detail = 'x' WHERE state = 'cleared'",
		"UPDATE clearing SET state = 'restored', restored_run = 1, restored_ns = 1, cleared_ns = 1 WHERE state = 'done'",
		"UPDATE clearing SET state = 'restored', restored_run = 1, restored_ns = 1, ended_ns = 1 WHERE state = 'done'",
		"UPDATE clearing SET restored_run = 7 WHERE state = 'restored'",
	} {
		if err := l.wait(t.Context(), func(s *session) error { return s.exec(q) }); !constrained(err) {
			t.Errorf("%s: %v", q, err)
		}
		equal(t, clearings(t, l, ClearingQuery{}), before)
	}
	for column, value := range map[string]string{
		"id": "70", "run": "7", "class": "'c'", "row_id": "70", "columns": "'{}'", "reason": "'r'", "bytes": "8", "plan": "'q'", "intended_ns": "1",
	} {
		q := "UPDATE clearing SET state = 'skipped', ended_ns = 1, " + column + " = " + value + " WHERE state = 'intent'"
		if err := l.wait(t.Context(), func(s *session) error { return s.exec(q) }); !constrained(err) {
			t.Errorf("%s: %v", q, err)
		}
		equal(t, clearings(t, l, ClearingQuery{}), before)
	}
}

// TestClearingsFail once, and say so.
func TestClearingsFail(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	bring(t, l, clearIntent(1, 1), ClearCleared)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	n := 0
	for _, err := range l.Clearings(ctx, ClearingQuery{}) {
		wantIs(t, err, context.Canceled)
		n++
	}
	equal(t, n, 1)
	_, err := l.OpenClearing(ctx, media.MediaAttachments, 1)
	wantIs(t, err, context.Canceled)
	_, err = l.AnyCleared(ctx)
	wantIs(t, err, context.Canceled)
	_, err = l.BucketDays(ctx, 0)
	wantIs(t, err, context.Canceled)
}

func TestReaderPrunesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mustClose(t, mustOpen(t, dir))
	l, ctx := mustOpenReader(t, dir), t.Context()
	for _, err := range []error{
		l.IntendClearing(ctx, nil), l.EndClearings(ctx, nil), l.RecordBucket(ctx, BucketDay{Run: 1}),
	} {
		wantIs(t, err, ErrReadOnly)
	}
}
