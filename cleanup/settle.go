package cleanup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// A Header looks at one object.
type Header interface {
	Head(ctx context.Context, key media.Key) (r2.Head, error)
}

// Settle looks at every intent that a killed run left without an outcome: the bucket
// tells whether the object went (one Class B each). Nothing is sent again, since what was
// true when it was intended may not be now.
func Settle(ctx context.Context, b Header, j Journal, now func() time.Time) (n int, err error) {
	var batch []ledger.Removal
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		if err := j.EndRemovals(ctx, batch); err != nil {
			return fmt.Errorf("journal what an earlier run removed: %w", err)
		}
		n += len(batch)
		batch = batch[:0]
		return nil
	}
	for r, err := range j.Removals(ctx, ledger.RemovalQuery{State: ledger.RemovalIntent}) {
		if err != nil {
			return n, fmt.Errorf("read the journal: %w", err)
		}
		if err := settleOne(ctx, b, &r); err != nil {
			return n, err
		}
		r.Ended = now()
		if batch = append(batch, r); len(batch) == Batch {
			if err := flush(); err != nil {
				return n, err
			}
		}
	}
	return n, flush()
}

func settleOne(ctx context.Context, b Header, r *ledger.Removal) error {
	head, err := b.Head(ctx, r.Key)
	switch {
	case errors.Is(err, r2.ErrNotFound):
		r.State, r.Detail = ledger.RemovalRemoved, "the run was interrupted; the bucket does not have it"
	case err != nil:
		return fmt.Errorf("look what became of %s: %w", r.Key, err)
	case head.ETag != r.ETag:
		r.State, r.Detail = ledger.RemovalKept, "the run was interrupted; another object stands there"
	default:
		r.State, r.Detail = ledger.RemovalKept, "the run was interrupted before it was deleted"
	}
	return nil
}
