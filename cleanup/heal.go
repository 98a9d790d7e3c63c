package cleanup

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"golang.org/x/text/unicode/norm"

	"example.org/mediamove/cleanup/trash"
	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// ErrUnnamed says that nobody needs an object now: its row is gone, names another file,
// or is hidden. It must not be put back.
var ErrUnnamed = errors.New("no row that Mastodon shows needs it now")

// A Witness says of one key at a time whether a row needs it, right before it is sent.
type Witness struct {
	Rows    Standings
	Classes []media.Class // that the database has a table for
	Disk    Disk          // before the switch: what is hidden there is hidden; else nil
}

// Needed returns nil if a row that is not hidden requires k on the primary now, and its
// file is not hidden either, else [ErrUnnamed] with the reason, or the error of asking.
func (w *Witness) Needed(ctx context.Context, k media.Key) error {
	p, err := media.Parse(k)
	if err != nil || p.Class.Private() || !slices.Contains(w.Classes, p.Class) {
		return fmt.Errorf("%w: it is no attachment", ErrUnnamed)
	}
	rows, err := w.Rows.Standing(ctx, map[media.Class][]int64{p.Class: {p.ID}})
	if err != nil {
		return fmt.Errorf("%w: does one need %s? %w", ErrRows, k, err)
	}
	now, ok := rows[p.Class][p.ID]
	switch {
	case !ok:
		return fmt.Errorf("%w: its row is gone", ErrUnnamed)
	case now.Hidden != mastodon.Shown:
		return fmt.Errorf("%w: %s", ErrUnnamed, now.Hidden)
	case now.Row.Busy:
		return fmt.Errorf("%w: still being processed", ErrUnnamed)
	case !now.Row.Requires(k):
		return fmt.Errorf("%w: its row names other files", ErrUnnamed)
	case hiddenOnDisk(w.Disk, k):
		return fmt.Errorf("%w: its file is hidden on disk", ErrUnnamed)
	}
	return nil
}

// A Returning puts back from the trash what rows need.
type Returning struct {
	Needed  func(ctx context.Context, k media.Key) error // [Witness.Needed]
	Bin     func(policy string) Returner                 // the trash of a policy, [Trash.Asking]; nil: it has none
	Records Records
	Run     int64
	Now     func() time.Time
}

// Healed is what became of one lost object.
type Healed struct {
	Loss    Loss
	Outcome string // [PutBack], [Already], [Unnamed] or why not
	Detail  string
}

// Unnamed is what became of a loss that no row needed any more when its turn came.
const Unnamed = "no row needs it any more"

// Short is what became of a loss of which the disk has a part, and the ledger no record.
const Short = "its file on disk is cut short"

// Take puts back every loss whose copy is in a trash, unless it is back already. Each
// result is yielded; an error of the whole is the last thing.
func (h *Returning) Take(ctx context.Context, losses iter.Seq2[Loss, error]) iter.Seq2[Healed, error] {
	return func(yield func(Healed, error) bool) {
		for l, err := range losses {
			if err != nil {
				yield(Healed{}, err)
				return
			}
			if l.Copy == "" {
				continue
			}
			done, err := h.one(ctx, &l)
			if err != nil {
				yield(Healed{Loss: l}, fmt.Errorf("put back %s: %w", l.Key, err))
				return
			}
			if done.Outcome != "" && !yield(done, nil) {
				return
			}
		}
	}
}

func (h *Returning) one(ctx context.Context, l *Loss) (done Healed, err error) {
	done.Loss = *l
	removed, err := h.removed(ctx, l)
	if err != nil || removed.Key == "" {
		return done, err // its file on disk was sent
	}
	bin := h.Bin(l.Policy)
	if bin == nil {
		return done, nil
	}
	switch err := h.Needed(ctx, l.Key); {
	case errors.Is(err, ErrUnnamed):
		done.Outcome, done.Detail = Unnamed, err.Error()
		return done, nil
	case err != nil:
		return done, err
	}
	back, err := bin.PutBack(ctx, l.Copy)
	if done.Outcome, done.Detail, err = returned(ctx, back, err); err != nil || done.Outcome != PutBack && done.Outcome != Already {
		return done, err
	}
	return done, h.Records.Restored(ctx, ledger.Restoration{Run: l.Run, By: h.Run, Key: removed.Key, ETag: back.ETag, At: h.Now()})
}

// removed is the journal's row of the object, as R2 spells it; zero if it is not any
// more the one that its run removed.
func (h *Returning) removed(ctx context.Context, l *Loss) (ledger.Removal, error) {
	for r, err := range h.Records.Removals(ctx, ledger.RemovalQuery{Run: l.Run, Key: l.Key}) {
		if err != nil || r.State == ledger.RemovalRemoved && r.Trash == l.Copy {
			return r, err
		}
	}
	return ledger.Removal{}, nil
}

// returned tells what came of putting a copy back. An error is one that ends the run.
func returned(ctx context.Context, back trash.Restored, err error) (outcome, detail string, _ error) {
	switch {
	case err == nil && back.Found:
		return Already, "", nil
	case err == nil:
		return PutBack, "", nil
	case errors.Is(err, ErrUnnamed):
		return Unnamed, err.Error(), nil
	case errors.Is(err, trash.ErrTaken):
		return Newer, "", nil
	case errors.Is(err, trash.ErrUnknown):
		return Expired, "", nil
	case errors.Is(err, trash.ErrDamaged):
		return Damaged, err.Error(), nil
	case stopsRun(ctx, err):
		return "", "", err
	}
	return NotPut, err.Error(), nil
}

// A Withdrawal decides a second time, right before an object goes, whether it should be
// hidden.
type Withdrawal struct {
	Rows Standings
	// Disk, before the switch: a file that is hidden there must not be public, whatever the
	// database says. nil after the switch, or without a media root.
	Disk Disk
	// Unasked: the database is not the bound one and says nothing.
	Unasked bool
}

// Again is for [Cleaner.Again].
func (w *Withdrawal) Again(ctx context.Context, objects []r2.Object) ([]Stay, error) {
	rows, err := w.rows(ctx, objects)
	if err != nil {
		return nil, err
	}
	stays := make([]Stay, len(objects))
	for i, o := range objects {
		p, _ := media.Parse(o.Key) // of no class, so without a row
		now, ok := rows[p.Class][p.ID]
		switch {
		case hiddenOnDisk(w.Disk, o.Key):
		case w.Unasked:
			stays[i] = Stay{Why: KeptUnasked}
		case !ok || now.Hidden == mastodon.Shown || !now.Row.MayOwn(p):
			stays[i] = Stay{Why: KeptShown}
		}
	}
	return stays, nil
}

// rows asks for the rows that can be hidden.
func (w *Withdrawal) rows(ctx context.Context, objects []r2.Object) (map[media.Class]map[int64]mastodon.Standing, error) {
	ids := idsOf(objects)
	maps.DeleteFunc(ids, func(c media.Class, _ []int64) bool { return !slices.Contains(hideable(), c) })
	if w.Unasked || len(ids) == 0 {
		return nil, nil
	}
	return w.Rows.Standing(ctx, ids)
}

// hiddenOnDisk reports whether k's file must not be public. The disk may spell its name
// otherwise than the bucket, which composes all.
func hiddenOnDisk(d Disk, k media.Key) bool {
	if d == nil {
		return false
	}
	f, err := d.Stat(k)
	if apart := media.Key(norm.NFD.String(string(k))); err != nil && apart != k {
		f, err = d.Stat(apart)
	}
	return err == nil && f.Hidden()
}
