package cleanup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"sync/atomic"
	"time"

	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// Batch is how many objects go between two looks at the database. It is also what one
// DeleteObjects takes.
const Batch = 1000

// Canaries is how many objects go first, one by one, and are looked at before any more.
const Canaries = 10

// LookLife is the longest time between a look at the rows and a deletion that rests on
// it. An outage may last for hours, and what the look found be over by then: the rows are
// looked at again, and a deletion that is not answered is given up; the next run asks the
// bucket what became of it.
const LookLife = lookLife + deleteLife

// A Deleter removes objects.
type Deleter interface {
	Delete(ctx context.Context, key media.Key) error
	DeleteBatch(ctx context.Context, keys []media.Key) ([]error, error)
	Head(ctx context.Context, key media.Key) (r2.Head, error)
}

// A Getter reads an object that is still the one that was listed.
type Getter interface {
	GetMatching(ctx context.Context, key media.Key, etag string) (io.ReadCloser, r2.Head, error)
}

// A Journal is written ahead of every effect.
type Journal interface {
	Intend(ctx context.Context, r []ledger.Removal) error
	EndRemovals(ctx context.Context, r []ledger.Removal) error
	Removals(ctx context.Context, q ledger.RemovalQuery) iter.Seq2[ledger.Removal, error]
}

// Rows are what the last look before a deletion asks.
type Rows interface {
	Rows(ctx context.Context, ids map[media.Class][]int64) (mastodon.Rows, error)
}

// A Bin keeps a proven copy of what is about to go.
type Bin interface {
	Add(ctx context.Context, run int64, o r2.Object) (name string, err error)
	// Drop removes the copy of an object that was not deleted after all.
	Drop(name string) error
}

// A Stay is why an object is left alone after the last look. The zero value lets it go.
type Stay struct {
	Why    string // one of the causes below
	Detail string
}

// A Cleaner removes candidates. It may be used for one run.
type Cleaner struct {
	Bucket  Deleter
	Rows    Rows
	Journal Journal
	Bin     Bin // nil: nothing is kept
	// Again, if set, is the last look before a deletion in place of the orphans' own.
	Again func(ctx context.Context, objects []r2.Object) ([]Stay, error)
	// Refetchable: what goes can be had again, and its name is never used twice. Without
	// a Bin nothing is asked of the bucket before it goes.
	Refetchable bool
	Run         int64
	Policy      string // "orphans"
	Plan        string // its id; "" if the run made its own
	Control     []media.Key
	Now         func() time.Time
	Log         *slog.Logger
	// Raise is called once, right before the first effect, and refuses if this
	// machine, ledger or database is not the one in the mark any more.
	Raise func(ctx context.Context) error
	// Bound is asked before every later batch: a copy of this machine may have woken up
	// since. nil: nobody can have.
	Bound func(ctx context.Context) error

	raised  bool
	removed atomic.Int64
	freed   atomic.Int64
	kept    map[string]int64
	single  bool // the server refuses batches
}

// Kept causes: why a candidate was left alone after all.
const (
	KeptOwned    = "somebody owns it on the last look"
	KeptShown    = "Mastodon shows it by now"
	KeptUnasked  = "the database was not heard, and the disk does not hide it"
	KeptChanged  = "changed since it was listed"
	KeptGone     = "gone already"
	KeptNoRoom   = "does not fit into the trash"
	KeptUnproven = "its copy could not be proven"
	KeptRefused  = "the bucket refused to delete it"
	keptBefore   = "the run ended before it came to it"

	// Unanswered counts beside them: their intents stay open, for the next run to look.
	Unanswered = "its deletion was not answered"
)

// Removed is how many objects this run removed, and their bytes.
func (c *Cleaner) Removed() Sum { return Sum{c.removed.Load(), c.freed.Load()} }

// Kept counts the candidates that were left alone, by cause.
func (c *Cleaner) Kept() map[string]int64 { return c.kept }

// left counts the candidates that should have gone and did not.
func (c *Cleaner) left() (n int64) {
	for _, why := range []string{KeptNoRoom, KeptUnproven, KeptRefused, Unanswered} {
		n += c.kept[why]
	}
	return n
}

// Apply removes the candidates: the first ten one by one, then in batches. After an
// error nothing more is removed; what was begun is in the journal.
func (c *Cleaner) Apply(ctx context.Context, candidates iter.Seq2[Candidate, error]) error {
	c.kept = map[string]int64{}
	var batch []Candidate
	canary := true
	flush := func() error {
		if err := c.batch(ctx, batch, canary); err != nil {
			return err
		}
		// If all of them were kept, nothing has been looked at yet.
		batch, canary = batch[:0], canary && c.removed.Load() == 0
		return nil
	}
	for cand, err := range candidates {
		if err != nil {
			return err
		}
		batch = append(batch, cand)
		if len(batch) == Batch || canary && len(batch) == Canaries {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if len(batch) == 0 {
		return nil
	}
	return flush()
}

// granted makes sure that this run may still have effects.
func (c *Cleaner) granted(ctx context.Context) error {
	switch {
	case !c.raised:
		if err := c.Raise(ctx); err != nil {
			return err
		}
		c.raised = true
		return nil
	case c.Bound != nil:
		return c.Bound(ctx)
	}
	return nil
}

// batch takes a batch through every step. Each step only makes it smaller.
func (c *Cleaner) batch(ctx context.Context, all []Candidate, canary bool) (err error) {
	if err := c.granted(ctx); err != nil {
		return err
	}
	w := newWork(c, all)
	// Called off while it waits, it would leave open what may or may not be written.
	if err := c.Journal.Intend(context.WithoutCancel(ctx), w.removals); err != nil {
		return fmt.Errorf("journal what is about to be removed: %w", err)
	}
	// What was not tried is known not to be gone. The outcome of a request that was
	// sent and not answered stays open, for the next run to look at.
	defer func() { err = errors.Join(err, w.record(context.WithoutCancel(ctx))) }()
	if err := w.keepCopies(ctx); err != nil {
		return err
	}
	if canary {
		if err := w.standing(ctx); err != nil {
			return err
		}
	}
	if err := w.lookAgain(ctx); err != nil {
		return err
	}
	if err := w.remove(ctx, canary); err != nil || !canary {
		return err
	}
	return w.canary(ctx)
}
