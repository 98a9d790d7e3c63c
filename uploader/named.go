package uploader

import (
	"context"
	"errors"

	"example.org/mediamove/ledger"
)

// ErrUnnamed reports that no row of the database names a key any more, or that Mastodon
// hides the file: its object must not be made.
var ErrUnnamed = errors.New("no row shows it")

// byRows reports whether the database alone decides what is sent: once Mastodon writes to
// the bucket, the modes on disk are those of the day of the switch, and what is missing
// was deleted by its owner unless a row says otherwise.
func (p Policy) byRows() bool { return p.named && p.Switched }

// decideByRows is decide where rows decide: they are asked right before the request.
func decideByRows(c ledger.Candidate) verdict {
	switch c.State {
	case ledger.Same:
		return present
	case ledger.Touched:
		return recheck
	}
	return send
}

// A namedError is what [Options.Named] answered.
type namedError struct{ error }

func (e *namedError) Unwrap() error { return e.error }

// whyUnnamed is the answer itself, without the request that it called off.
func whyUnnamed(err error) string {
	if e, ok := errors.AsType[*namedError](err); ok {
		return e.Error()
	}
	return err.Error()
}

// mayBeSent is asked right before each request that would make an object or a part of it.
func (u *Uploader) mayBeSent(ctx context.Context, c *content) error {
	err := c.mayBeSent()
	if u.Policy.byRows() && errors.Is(err, errHidden) {
		err = nil
	}
	if err != nil || u.Named == nil {
		return err
	}
	if err := u.Named(ctx, c.file.Key); err != nil {
		if errors.Is(err, ErrUnnamed) {
			c.unnamed.Store(true)
		}
		return &namedError{err}
	}
	return nil
}

// hiddenSince reports whether an object that is in the bucket should not be: its file
// was hidden, or its row went, between two requests.
func (u *Uploader) hiddenSince(c *content) bool {
	return c.unnamed.Load() || !u.Policy.byRows() && errors.Is(c.mayBeSent(), errHidden)
}

// heal sends what a row names and the bucket lacks. Where the ledger has a record, the
// file must be the one that was moved; where it has none, the row is the record. It
// never replaces anything.
func (u *Uploader) heal(ctx context.Context, c *content) (*outcome, error) {
	old, err := u.Journal.Entry(context.WithoutCancel(ctx), c.file.Key)
	switch {
	case errors.Is(err, ledger.ErrUnknown):
	case err != nil:
		return nil, stop(err)
	case !c.oldBytes(&old):
		return c.notOurs(), nil
	}
	return u.put(ctx, c, "")
}
