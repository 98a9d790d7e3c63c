package owner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.org/mediamove/ledger"
	"example.org/mediamove/r2"
)

// A Tie is who wants to clean: the hashes of the database that is open and of this host.
type Tie struct{ Database, Host string }

// Raise counts one more cleaning run in the mark, before the run's first effect: one
// GET and one PUT on condition of what was read (more after a lost answer). It grants
// the run by nil only, and a [*RefusedError] says what is not as it was bound.
//
// The value it writes is committed to the ledger first and is random, so of any number
// of copies of this machine and its ledger at most one replaces the same value: the
// others find one that they don't know, for ever. The counter can't tell that a copy
// was made during a run and raised it since; hold a mark read anew ([ReadMark]) against
// [CheckBound] before each batch.
//
// Only a plain success grants. What was found by a look after a lost answer may be the
// write of a copy that was made of the running process, so it is raised once more.
func Raise(ctx context.Context, b Bucket, l CleaningLedger, o Options, t Tie) error {
	c, err := newCleaner(ctx, b, l, o)
	if err != nil {
		return err
	}
	return c.repeat(ctx, func(ctx context.Context) (bool, error) { return c.raise(ctx, t) })
}

// A cleaner is a claimer that may write the counter.
type cleaner struct {
	*claimer
	cl    CleaningLedger
	heeds bool // the server was seen to refuse a wrong If-Match
}

func newCleaner(ctx context.Context, b Bucket, l CleaningLedger, o Options) (*cleaner, error) {
	if o.ProbeDelay == 0 {
		o.ProbeDelay = DefaultProbeDelay
	}
	c, err := newClaimer(ctx, b, l, o)
	if err != nil {
		return nil, err
	}
	c.b = b
	return &cleaner{claimer: c, cl: l}, nil
}

// rounds is how often an attempt is made when answers get lost, or others write the mark.
const rounds = 8

// repeat calls f, which begins by reading the mark, until it is done.
func (c *cleaner) repeat(ctx context.Context, f func(context.Context) (bool, error)) error {
	for n := range rounds {
		if n > 0 {
			select {
			case <-time.After(c.o.ProbeDelay):
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		if done, err := f(ctx); done || err != nil {
			return err
		}
	}
	return fmt.Errorf("raise the cleaning counter: %w", errUnsettled)
}

var errUnsettled = errors.New("its answers get lost, or somebody else keeps writing the owner mark; run again")

// raise makes one attempt and reports whether the run is granted.
func (c *cleaner) raise(ctx context.Context, t Tie) (bool, error) {
	if err := c.see(ctx); err != nil {
		return false, err
	}
	books, err := c.books(ctx)
	if err != nil {
		return false, err
	}
	if err := t.holds(c.mark, c.id.LedgerID, books); err != nil {
		return false, err
	}
	now := *c.mark.Binding
	fresh := !books.Open || atIntent(&now, books)
	if fresh {
		books = ledger.Cleaning{Count: now.Count, Token: now.Token, Open: true, NextCount: now.Count + 1, NextToken: randomID()}
	}
	// Else a write of an earlier run may still be on its way, and would look like a
	// stranger's if it came after another intent: it is made to arrive first. A copy
	// of the ledger may do the same, so that alone grants nothing.
	now.Count, now.Token = books.NextCount, books.NextToken
	c.mark.Binding = &now
	end, err := c.count(ctx, books)
	return fresh && end == stored, err
}

func (c *cleaner) books(ctx context.Context) (ledger.Cleaning, error) { return cleaning(ctx, c.cl) }

// An outcome is what became of a write of the mark.
type outcome uint8

const (
	refused outcome = iota // nothing of ours is there: read it again
	found                  // it is there, by a look
	stored                 // it is there, by this write
)

// count commits the intent, writes the mark, and commits that it is there. A kill
// anywhere leaves a ledger that knows the mark's value.
func (c *cleaner) count(ctx context.Context, books ledger.Cleaning) (outcome, error) {
	if err := c.commit(ctx, books); err != nil {
		return refused, err
	}
	data, err := c.mark.Encode()
	if err != nil {
		return refused, fmt.Errorf("encode the owner mark: %w", err)
	}
	_, err = c.b.PutDoc(ctx, MarkName, data, c.etag)
	end := stored
	switch {
	case errors.Is(err, r2.ErrFound):
		end = found
	case errors.Is(err, r2.ErrChanged):
		return refused, nil
	case err != nil:
		return refused, fmt.Errorf("write the owner mark: %w", err)
	}
	return end, c.commit(ctx, ledger.Cleaning{Count: books.NextCount, Token: books.NextToken})
}

func (c *cleaner) commit(ctx context.Context, books ledger.Cleaning) error {
	if err := c.cl.SetCleaning(ctx, books); err != nil {
		return fmt.Errorf("record the cleaning counter in the ledger: %w", err)
	}
	return nil
}
