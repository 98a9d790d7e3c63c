package main

import (
	"context"
	"errors"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/cleanup/trash"
	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/r2"
)

// A trashFault is that the trash itself can't be used: a job that wants no trash may go on.
type trashFault struct{ err error }

func (e *trashFault) Error() string { return e.err.Error() }
func (e *trashFault) Unwrap() error { return e.err }

// asTrashFault marks what the trash's own functions answer.
func asTrashFault(err error) error {
	if err == nil {
		return nil
	}
	return &trashFault{err}
}

// trashAlone reports whether nothing but the trash failed: neither the run as a whole nor
// bucket, database, ledger or a guard beside it.
func trashAlone(ctx context.Context, err error) bool {
	_, fault := errors.AsType[*trashFault](err)
	_, database := errors.AsType[*mastodon.DatabaseError](err)
	if ctx.Err() != nil || !fault && !errors.Is(err, trash.ErrBroken) {
		return false
	}
	for _, more := range []error{cleanup.ErrCanary, cleanup.ErrRows, ledger.ErrBroken, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, more) {
			return false
		}
	}
	return !database && !isRefusal(err) && !r2.Stops(err)
}
