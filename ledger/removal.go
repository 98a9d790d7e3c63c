package ledger

import (
	"context"
	"fmt"
	"slices"
	"time"

	"example.org/mediamove/media"
)

// A RemovalState says how far a removal has come. The words are stored.
type RemovalState string

// The states. An intent becomes removed or kept, and what was removed may be
// restored; the schema refuses everything else.
const (
	RemovalIntent   RemovalState = "intent"   // about to be deleted; left behind by a kill, it may be or not
	RemovalRemoved  RemovalState = "removed"  // deleted
	RemovalKept     RemovalState = "kept"     // not deleted, for the reason in Detail
	RemovalRestored RemovalState = "restored" // deleted, and put back later
)

// Valid reports whether s is one of the states.
func (s RemovalState) Valid() bool {
	switch s {
	case RemovalIntent, RemovalRemoved, RemovalKept, RemovalRestored:
		return true
	}
	return false
}

// A Removal is one row of the journal. It is written before its object is
// deleted, and never goes.
type Removal struct {
	ID       int64 // in the order of the intents, from 1
	Run      int64
	Key      media.Key // any bytes
	Policy   string    // why things are removed at all, e.g. "orphans"
	Reason   string    // why this one; short and stable, to group by
	Size     int64     // bytes
	ETag     string    // of the object that was to go, without quotes
	Modified time.Time
	Trash    string // name of its copy in the trash; "": none
	Plan     string // id of the plan; "": none
	State    RemovalState
	Detail   string // for one person and one object
	Intended time.Time
	Ended    time.Time // zero: it has no outcome
	// What put it back; zero unless State is restored. ETag is what the bucket
	// answered.
	RestoredRun  int64
	RestoredETag string
	RestoredAt   time.Time
}

const removalColumns = `id, run, key, policy, reason, size, etag, modified_ns, trash, plan, state, detail,
	intended_ns, ended_ns, restored_run, restored_etag, restored_ns`

const (
	insertIntent = `INSERT INTO removal (run, key, normal, policy, reason, size, etag, modified_ns, trash, plan, state, detail, intended_ns)
		VALUES (?,?,?,?,?,?,?,?,?,?,'intent',?,?)`
	endRemoval = `UPDATE removal SET state = ?, detail = ?, trash = ?, ended_ns = ?
		WHERE coalesce(normal, key) = ? AND run = ? AND key = ?`
	restoreRemoval = `UPDATE removal SET state = 'restored', restored_run = ?, restored_etag = ?, restored_ns = ?
		WHERE coalesce(normal, key) = ? AND run = ? AND key = ?`
)

// Intend writes into the journal that all of r are about to be deleted, and
// returns when that is durable: nothing may be deleted before. All are written,
// or none. ID, State, Ended and what was restored are not read.
//
// It returns [ErrIntended] if a key has an open intent, or one of the same run.
func (l *Ledger) Intend(ctx context.Context, r []Removal) error {
	for _, v := range r {
		if v.Key == "" || v.Run <= 0 || v.Policy == "" || v.Intended.IsZero() {
			return fmt.Errorf("intend to remove %q: key, run, policy and time are needed", v.Key)
		}
	}
	r = slices.Clone(r) // the writer may be at it after ctx has ended
	return l.wait(ctx, func(s *session) error {
		for i := range r {
			if err := s.intendTo(&r[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *session) intendTo(r *Removal) error {
	_, err := s.intend.ExecContext(context.Background(), r.Run, []byte(r.Key), storedNormal(r.Key), r.Policy, r.Reason,
		r.Size, r.ETag, anyNanos(r.Modified), r.Trash, r.Plan, r.Detail, nanos(r.Intended))
	if constrained(err) {
		return fmt.Errorf("intend to remove %q: %w: %w", r.Key, ErrIntended, err)
	}
	return err
}

// normalOf is the name under which a removal is found: R2 keeps one object for
// all spellings.
func normalOf(k media.Key) []byte { return []byte(media.Normal(string(k))) }

func storedNormal(k media.Key) any {
	if n := media.Normal(string(k)); n != string(k) {
		return []byte(n)
	}
	return nil
}

// EndRemovals records what came of intents: State (removed or kept), Detail,
// Trash and Ended of each of r, found by Run and Key. It returns when that is
// durable. All are recorded, or none: without an intent it is [ErrUnknown], and
// an outcome is never changed.
func (l *Ledger) EndRemovals(ctx context.Context, r []Removal) error {
	r = slices.Clone(r) // the writer may be at it after ctx has ended
	return l.wait(ctx, func(s *session) error {
		for _, v := range r {
			res, err := s.outcome.ExecContext(context.Background(),
				string(v.State), v.Detail, v.Trash, nanos(v.Ended), normalOf(v.Key), v.Run, []byte(v.Key))
			if err == nil {
				err = known(res)
			}
			if err != nil {
				return fmt.Errorf("end removal of %q by run %d: %w", v.Key, v.Run, err)
			}
		}
		return nil
	})
}

// A Restoration is an object that undo has put back.
type Restoration struct {
	Run  int64 // that had removed it
	Key  media.Key
	By   int64  // the run that put it back
	ETag string // that the bucket answered
	At   time.Time
}

// Restored records r, and returns when that is durable. It is [ErrUnknown] if the run
// has no such row, and an error unless that is removed.
func (l *Ledger) Restored(ctx context.Context, r Restoration) error {
	return l.wait(ctx, func(s *session) error {
		res, err := s.conn.ExecContext(context.Background(), restoreRemoval,
			r.By, r.ETag, nanos(r.At), normalOf(r.Key), r.Run, []byte(r.Key))
		if err == nil {
			err = known(res)
		}
		if err != nil {
			return fmt.Errorf("restore %q of run %d: %w", r.Key, r.Run, err)
		}
		return nil
	})
}

// known returns ErrUnknown if a change has found no row.
func known(res interface{ RowsAffected() (int64, error) }) error {
	n, err := res.RowsAffected()
	if err == nil && n == 0 {
		return ErrUnknown
	}
	return err
}
