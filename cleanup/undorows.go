package cleanup

import (
	"context"
	"fmt"
	"iter"
	"time"

	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
)

// A RowReturner gives a row its columns back, where they are still empty.
type RowReturner interface {
	Restore(ctx context.Context, c mastodon.Cleared) (bool, error)
}

// A RowJournal is the journal of rows and of their objects.
type RowJournal interface {
	Clearings(ctx context.Context, q ledger.ClearingQuery) iter.Seq2[ledger.Clearing, error]
	EndClearings(ctx context.Context, c []ledger.Clearing) error
	Removals(ctx context.Context, q ledger.RemovalQuery) iter.Seq2[ledger.Removal, error]
}

// UndoRows gives rows that one prune cleared their columns back, after [Undo] has put
// back their objects: a row must never name a file that is not there.
type UndoRows struct {
	DB      RowReturner
	Journal RowJournal
	Run     int64 // the run that undoes
	Now     func() time.Time
}

// RowsUndone counts what became of the rows of a prune.
type RowsUndone struct {
	Restored int64
	Refilled int64 // Mastodon has fetched the file again, or the row is gone
	Lost     int64 // their objects are not back: Mastodon fetches them when somebody looks
}

// HasRows reports whether run cleared rows that are not restored.
func HasRows(ctx context.Context, j RowJournal, run int64) (bool, error) {
	for c, err := range j.Clearings(ctx, ledger.ClearingQuery{Run: run}) {
		if err != nil {
			return false, fmt.Errorf("read the journal of rows: %w", err)
		}
		if c.State == ledger.ClearCleared || c.State == ledger.ClearDone {
			return true, nil
		}
	}
	return false, nil
}

// Forgotten is how many of the rows that run cleared, as it counted them itself, have
// expired in the journal: nothing can give them their columns back.
func Forgotten(ctx context.Context, j RowJournal, run, cleared int64) (int64, error) {
	for c, err := range j.Clearings(ctx, ledger.ClearingQuery{Run: run}) {
		if err != nil {
			return 0, fmt.Errorf("read the journal of rows: %w", err)
		}
		if c.State != ledger.ClearIntent && c.State != ledger.ClearSkipped {
			cleared--
		}
	}
	return max(0, cleared), nil
}

// Take gives back what it can.
func (u *UndoRows) Take(ctx context.Context, run int64) (n RowsUndone, err error) {
	lost, err := u.lost(ctx, run)
	if err != nil {
		return n, err
	}
	for c, err := range u.Journal.Clearings(ctx, ledger.ClearingQuery{Run: run}) {
		if err != nil {
			return n, fmt.Errorf("read the journal of rows: %w", err)
		}
		if c.State != ledger.ClearCleared && c.State != ledger.ClearDone {
			continue
		}
		if lost[rowID{c.Class, c.RowID}] {
			n.Lost++
			continue
		}
		was, err := mastodon.RowOf(c.Class, c.RowID, c.Columns)
		if err != nil {
			return n, err
		}
		back, err := u.DB.Restore(ctx, mastodon.Cleared{ID: c.RowID, Class: c.Class, Row: was, Columns: c.Columns})
		if err != nil {
			return n, fmt.Errorf("give row %d of %s its columns back: %w", c.RowID, c.Class, err)
		}
		if !back {
			n.Refilled++
			continue
		}
		c.State, c.RestoredRun, c.RestoredAt = ledger.ClearRestored, u.Run, u.Now()
		if err := u.Journal.EndClearings(ctx, []ledger.Clearing{c}); err != nil {
			return n, fmt.Errorf("journal the row: %w", err)
		}
		n.Restored++
	}
	return n, nil
}

// lost are the rows of which an object is not back, whichever run removed it: the one
// that cleared a row may have been killed before it came to that, and what it left is the
// next one's to remove, or an orphan.
func (u *UndoRows) lost(ctx context.Context, run int64) (map[rowID]bool, error) {
	lost := map[rowID]bool{}
	for c, err := range u.Journal.Clearings(ctx, ledger.ClearingQuery{Run: run}) {
		if err != nil {
			return nil, fmt.Errorf("read the journal of rows: %w", err)
		}
		for r, err := range u.Journal.Removals(ctx, ledger.RemovalQuery{Since: c.Intended}) {
			if err != nil {
				return nil, fmt.Errorf("read the journal: %w", err)
			}
			if r.State == ledger.RemovalKept || r.State == ledger.RemovalRestored {
				continue
			}
			if p, err := media.Parse(r.Key); err == nil && prunable(p.Class) {
				lost[rowID{p.Class, p.ID}] = true
			}
		}
		break // they are in the order in which they were intended
	}
	return lost, nil
}
