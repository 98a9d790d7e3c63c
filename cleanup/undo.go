package cleanup

import (
	"context"
	"fmt"
	"iter"
	"time"

	"example.org/mediamove/cleanup/trash"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

// A Records is the journal as undo needs it.
type Records interface {
	Removals(ctx context.Context, q ledger.RemovalQuery) iter.Seq2[ledger.Removal, error]
	Restored(ctx context.Context, r ledger.Restoration) error
	CancelSuspects(ctx context.Context, run int64, k media.Key) (int64, error)
}

// A Returner puts a copy back where it was.
type Returner interface {
	PutBack(ctx context.Context, name string) (trash.Restored, error)
}

// An Undoing is what became of one removed object.
type Undoing struct {
	Removal ledger.Removal
	Outcome string // [PutBack] or why not
	Detail  string
}

// Outcomes of an undo.
const (
	PutBack = "put back"
	Already = "was there already"
	NoCopy  = "no copy was kept"
	Expired = "its copy is not in the trash any more"
	Newer   = "something newer stands there"
	Damaged = "its copy is damaged"
	NotPut  = "could not be put back"
)

// UndoOutcomes lists them in the order in which they are told.
func UndoOutcomes() []string {
	return []string{PutBack, Already, NoCopy, Expired, Newer, Damaged, NotPut}
}

// Back reports whether the object stands where it stood.
func (u *Undoing) Back() bool { return u.Outcome == PutBack || u.Outcome == Already }

// An Undo takes back what one run did.
type Undo struct {
	Bin     Returner // nil: no trash
	Records Records
	Run     int64 // the run that undoes
	Now     func() time.Time
}

// Take puts back every object that run removed and a copy of which is in the trash, only
// key if that is not empty, and cancels the marks that run made. Each result is yielded;
// an error of the whole is the last thing.
func (u *Undo) Take(ctx context.Context, run int64, key media.Key) iter.Seq2[Undoing, error] {
	return func(yield func(Undoing, error) bool) {
		for r, err := range u.Records.Removals(ctx, ledger.RemovalQuery{Run: run, Key: key, State: ledger.RemovalRemoved}) {
			if err != nil {
				yield(Undoing{}, fmt.Errorf("read the journal: %w", err))
				return
			}
			done, err := u.one(ctx, r)
			if err != nil {
				yield(done, err)
				return
			}
			if !yield(done, nil) {
				return
			}
		}
	}
}

// Marks cancels what run marked, so that the waiting begins anew.
func (u *Undo) Marks(ctx context.Context, run int64, key media.Key) (int64, error) {
	return u.Records.CancelSuspects(ctx, run, key)
}

func (u *Undo) one(ctx context.Context, r ledger.Removal) (Undoing, error) {
	done := Undoing{Removal: r}
	if r.Trash == "" || u.Bin == nil {
		done.Outcome = NoCopy
		return done, nil
	}
	back, err := u.Bin.PutBack(ctx, r.Trash)
	if done.Outcome, done.Detail, err = returned(ctx, back, err); err != nil || !done.Back() {
		return done, err
	}
	return done, u.Records.Restored(ctx, ledger.Restoration{Run: r.Run, By: u.Run, Key: r.Key, ETag: back.ETag, At: u.Now()})
}
