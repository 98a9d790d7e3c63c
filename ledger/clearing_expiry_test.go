package ledger

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.org/mediamove/media"
)

// scanAt records a whole scan: what is old is told by it.
func scanAt(t testing.TB, l *Ledger, run int64, at time.Time) {
	t.Helper()
	must(t, l.EndScan(t.Context(), Scan{Run: run, At: at}))
}

// finished is when c came to its end, zero if it has not.
func (c Clearing) finished() time.Time {
	if c.RestoredAt.After(c.Ended) {
		return c.RestoredAt
	}
	return c.Ended
}

// TestClearingsExpire: what is finished goes when it is older than that, to the
// nanosecond, and what is open never does.
func TestClearingsExpire(t *testing.T) {
	t.Parallel()
	for state := range way {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			l := mustOpen(t, t.TempDir())
			c := bring(t, l, clearIntent(1, 1), state)
			other := bring(t, l, clearIntent(400*24, 2), state) // more than a year later
			expire := func(want int64) {
				t.Helper()
				n, err := l.ExpireClearings(t.Context())
				must(t, err)
				equal(t, n, want)
			}
			expire(0) // without a scan nobody knows how late it is
			end := c.finished()
			if end.IsZero() {
				scanAt(t, l, 2, noon.AddDate(9, 0, 0))
				expire(0)
				equal(t, clearings(t, l, ClearingQuery{}), []Clearing{c, other})
				return
			}
			scanAt(t, l, 2, end.Add(ClearingLife))
			expire(0)
			equal(t, clearings(t, l, ClearingQuery{}), []Clearing{c, other})
			scanAt(t, l, 3, end.Add(ClearingLife+1))
			scanAt(t, l, 1, noon.AddDate(9, 0, 0)) // of an earlier run, whose clock was wrong
			expire(1)
			equal(t, clearings(t, l, ClearingQuery{}), []Clearing{other})
			expire(0)
			_, err := l.OpenClearing(t.Context(), c.Class, c.RowID)
			wantIs(t, err, ErrUnknown)
			must(t, l.IntendClearing(t.Context(), []Clearing{clearIntent(401*24, 1)})) // the row may be cleared again
		})
	}
}

// TestClearingsExpireInBatches: all of them, whole and at once, and their names are
// nowhere in the file any more.
func TestClearingsExpireInBatches(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := mustOpen(t, dir)
	const rows = 2*expireBatch + 7
	var batch []Clearing
	for n := range int64(rows) {
		c := clearIntent(1, n+1)
		c.Columns = []byte(`{"file_file_name":"secretname.png"}`)
		batch = append(batch, c)
	}
	must(t, l.IntendClearing(t.Context(), batch))
	for i := range batch {
		batch[i] = batch[i].in(ClearSkipped)
	}
	must(t, l.EndClearings(t.Context(), batch))
	open := clearIntent(1, rows+1)
	must(t, l.IntendClearing(t.Context(), []Clearing{open}))
	scanAt(t, l, 2, noon.AddDate(1, 0, 0))
	n, err := l.ExpireClearings(t.Context())
	must(t, err)
	equal(t, n, int64(rows))
	equal(t, clearings(t, l, ClearingQuery{}), []Clearing{open})
	mustClose(t, l)
	text, err := os.ReadFile(filepath.Join(dir, "ledger.db"))
	must(t, err)
	if bytes.Contains(text, []byte("secretname")) {
		t.Errorf("%d names are still in the file of %d pages", bytes.Count(text, []byte("secretname")), len(text)/4096)
	}
}

func TestClearingsExpireFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := mustOpen(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := l.ExpireClearings(ctx)
	wantIs(t, err, context.Canceled)
	mustClose(t, l)
	_, err = mustOpenReader(t, dir).ExpireClearings(t.Context())
	wantIs(t, err, ErrReadOnly)
}

// TestExpiryIsIndexed: every night asks, and mostly little or nothing has to go.
func TestExpiryIsIndexed(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	plan, err := collect(t.Context(), l.read, "EXPLAIN QUERY PLAN "+expireClearings, func(r row) (s string, err error) {
		var n int
		return s, r.Scan(&n, &n, &n, &s)
	}, []any{1, 1})
	must(t, err)
	if text := strings.Join(plan, "\n"); !strings.Contains(text, "INDEX clearing_finished (<expr><?)") || strings.Contains(text, "SCAN clearing") {
		t.Error(text)
	}
}

// TestExpiryNumber: the schema's number is the one that is documented.
func TestExpiryNumber(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	c := bring(t, l, clearIntent(1, 1), ClearDone)
	drop := func() error {
		return l.wait(t.Context(), func(s *session) error {
			return s.exec("DELETE FROM clearing WHERE class = ?", string(media.MediaAttachments))
		})
	}
	scanAt(t, l, 2, c.Ended.Add(ClearingLife))
	if err := drop(); !constrained(err) {
		t.Errorf("got %v", err)
	}
	scanAt(t, l, 2, c.Ended.Add(ClearingLife+1))
	must(t, drop())
}
