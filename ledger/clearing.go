package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"example.org/mediamove/media"
)

// A ClearState says how far the clearing of a row has come. The words are stored.
type ClearState string

// The states. An intent becomes cleared or skipped; what was cleared becomes
// done; either of these may be restored. The schema refuses everything else.
const (
	ClearIntent   ClearState = "intent"   // about to be cleared; left behind by a kill, it may be or not
	ClearCleared  ClearState = "cleared"  // the row names no file any more, its objects stand
	ClearSkipped  ClearState = "skipped"  // not cleared, for the reason in Detail
	ClearDone     ClearState = "done"     // its objects were dealt with too: the removals tell how
	ClearRestored ClearState = "restored" // the row has its values again
)

// Valid reports whether s is one of the states.
func (s ClearState) Valid() bool {
	switch s {
	case ClearIntent, ClearCleared, ClearSkipped, ClearDone, ClearRestored:
		return true
	}
	return false
}

// A Clearing is one row of the database that prune makes forget its files. It is
// written before the row is touched, and goes [ClearingLife] after it is finished.
// What becomes of the objects is in [Removal] rows.
type Clearing struct {
	ID      int64 // in the order of the intents, from 1
	Run     int64
	Class   media.Class
	RowID   int64  // the row's id in Mastodon's table, from 1
	Columns []byte // JSON: what is set to NULL, with its values before; kept byte for byte
	Reason  string // why this one; short and stable, to group by
	Bytes   int64  // of its files, as the row says
	State   ClearState
	Detail  string // for one person and one row
	Plan    string // id of the plan; "": none

	Intended  time.Time // by the server's clock, as the others
	ClearedAt time.Time // when the row was cleared; its objects wait from then on
	Ended     time.Time // when it was skipped or done
	// What put the values back, and when; zero unless State is restored.
	RestoredRun int64
	RestoredAt  time.Time
}

const clearingColumns = `id, run, class, row_id, columns, reason, bytes, state, detail, plan,
	intended_ns, cleared_ns, ended_ns, restored_run, restored_ns`

const (
	insertClearing = `INSERT INTO clearing (run, class, row_id, columns, reason, bytes, state, detail, plan, intended_ns)
		VALUES (?,?,?,?,?,?,'intent',?,?,?)`
	// Each state sets what belongs to it.
	endClearing = `UPDATE clearing SET state = ?1,
		detail = iif(?1 = 'restored', detail, ?2),
		cleared_ns = iif(?1 = 'cleared', ?3, cleared_ns),
		ended_ns = iif(?1 IN ('skipped', 'done'), ?4, ended_ns),
		restored_run = iif(?1 = 'restored', ?5, restored_run),
		restored_ns = iif(?1 = 'restored', ?6, restored_ns)
		WHERE class = ?7 AND row_id = ?8 AND run = ?9`
)

// IntendClearing writes into the journal that all rows of c are about to be
// cleared, and returns when that is durable: no row may be touched before. All are
// written, or none. ID, State and what comes later are not read.
//
// It returns [ErrIntended] if a row has an open intent, or one of the same run.
// One that was cleared before and has files again may be intended again.
func (l *Ledger) IntendClearing(ctx context.Context, c []Clearing) error {
	for _, v := range c {
		if v.Class == media.Outside || v.RowID <= 0 || v.Run <= 0 || v.Intended.IsZero() || !json.Valid(v.Columns) {
			return fmt.Errorf("intend to clear %s %d: class, row, run, time and the columns as JSON are needed", v.Class, v.RowID)
		}
	}
	c = slices.Clone(c) // the writer may be at it after ctx has ended
	for i := range c {
		c[i].Columns = slices.Clone(c[i].Columns)
	}
	return l.wait(ctx, func(s *session) error {
		return s.overwriting(func() error { // a page that is split, or a row that is moved, would leave its old bytes behind
			for i := range c {
				if err := s.intendClearing(&c[i]); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

func (s *session) intendClearing(c *Clearing) error {
	_, err := s.clearing.ExecContext(context.Background(), c.Run, string(c.Class), c.RowID, string(c.Columns), c.Reason,
		c.Bytes, c.Detail, c.Plan, nanos(c.Intended))
	if constrained(err) {
		return fmt.Errorf("intend to clear %s %d: %w: %w", c.Class, c.RowID, ErrIntended, err)
	}
	return err
}

// EndClearings takes each of c, found by Run, Class and RowID, to its State, and
// returns when that is durable. Beside State it reads
//
//   - Detail and ClearedAt of what is cleared now,
//   - Detail and Ended of what is skipped or done,
//   - RestoredRun and RestoredAt of what is restored.
//
// All are recorded, or none: without an intent it is [ErrUnknown], and a state that
// can't follow is refused.
func (l *Ledger) EndClearings(ctx context.Context, c []Clearing) error {
	c = slices.Clone(c) // the writer may be at it after ctx has ended
	return l.wait(ctx, func(s *session) error {
		return s.overwriting(func() error {
			for i := range c {
				if err := s.endClearing(&c[i]); err != nil {
					return fmt.Errorf("end clearing of %s %d by run %d as %q: %w", c[i].Class, c[i].RowID, c[i].Run, c[i].State, err)
				}
			}
			return nil
		})
	})
}

func (s *session) endClearing(c *Clearing) error {
	res, err := s.cleared.ExecContext(context.Background(), string(c.State), c.Detail, nanos(c.ClearedAt), nanos(c.Ended),
		c.RestoredRun, nanos(c.RestoredAt), string(c.Class), c.RowID, c.Run)
	if err != nil {
		return err
	}
	return known(res)
}
