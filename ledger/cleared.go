package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"time"

	"example.org/mediamove/media"
)

// A ClearingQuery selects rows of the journal. What is zero selects all.
type ClearingQuery struct {
	Run   int64
	Class media.Class
	RowID int64 // best with Class: ids of different tables meet
	State ClearState
	Since time.Time // intended at that time or after it
	Until time.Time // intended before that time
}

func (q ClearingQuery) where() where {
	w := where{used: 2}
	if q.Run != 0 {
		w.and("run = ?", q.Run)
	}
	switch {
	case q.Class == "":
	case q.RowID == 0: // by id, or every page would sort the whole class
		w.and("+class = ?", string(q.Class))
	default:
		w.and("class = ?", string(q.Class))
	}
	if q.RowID != 0 {
		w.and("row_id = ?", q.RowID)
	}
	switch q.State {
	case "":
	case ClearIntent, ClearCleared: // in so many words, for the index of the open ones
		w.sql += " AND state = '" + string(q.State) + "'"
	default:
		w.and("state = ?", string(q.State))
	}
	if !q.Since.IsZero() {
		w.and("intended_ns >= ?", nanos(q.Since))
	}
	if !q.Until.IsZero() {
		w.and("intended_ns < ?", nanos(q.Until))
	}
	return w
}

// Clearings yields the rows of the journal that q selects, by ID. It may be used
// to settle them. An error is the last thing it yields.
func (l *Ledger) Clearings(ctx context.Context, q ClearingQuery) iter.Seq2[Clearing, error] {
	query, args := q.query()
	return keyset(func(last *Clearing) ([]Clearing, error) {
		var id int64
		if last != nil {
			id = last.ID
		}
		return collect(ctx, l.read, query, scanClearing, append([]any{id, pageRows}, args...))
	})
}

func (q ClearingQuery) query() (string, []any) {
	w := q.where()
	return "SELECT " + clearingColumns + " FROM clearing WHERE id > ?1" + w.sql + " ORDER BY id LIMIT ?2", w.args
}

const (
	openClearingQuery = "SELECT " + clearingColumns + ` FROM clearing
		WHERE state = 'cleared' AND id = (SELECT max(id) FROM clearing WHERE class = ? AND row_id = ?)`
	anyClearedQuery = `SELECT EXISTS (SELECT 1 FROM clearing WHERE state = 'cleared')`
)

// OpenClearing returns the latest clearing of that row if the row is cleared and
// its objects may still stand, else [ErrUnknown]: there is none, or the latest is
// in another state. An intent that a kill left open hides an earlier clearing
// until it is settled: it is unknown what the row holds.
func (l *Ledger) OpenClearing(ctx context.Context, class media.Class, rowID int64) (Clearing, error) {
	c, err := scanClearing(l.open.QueryRowContext(ctx, string(class), rowID))
	if errors.Is(err, sql.ErrNoRows) {
		return Clearing{}, fmt.Errorf("open clearing of %s %d: %w", class, rowID, ErrUnknown)
	}
	return c, failed("read ledger", err)
}

// AnyCleared reports whether any clearing is in state cleared, so that a scan
// without one needn't ask [Ledger.OpenClearing] at all.
func (l *Ledger) AnyCleared(ctx context.Context) (bool, error) {
	var some bool
	err := l.read.QueryRowContext(ctx, anyClearedQuery).Scan(&some)
	return some, failed("read ledger", err)
}

func scanClearing(r row) (Clearing, error) {
	var c Clearing
	var intended, cleared, ended, restored int64
	err := r.Scan(&c.ID, &c.Run, &c.Class, &c.RowID, &c.Columns, &c.Reason, &c.Bytes, &c.State, &c.Detail, &c.Plan,
		&intended, &cleared, &ended, &c.RestoredRun, &restored)
	c.Intended, c.ClearedAt, c.Ended, c.RestoredAt = instant(intended), instant(cleared), instant(ended), instant(restored)
	return c, err
}
