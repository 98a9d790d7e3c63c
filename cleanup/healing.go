package cleanup

import (
	"context"
	"iter"
	"time"

	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

// Evidence is what is written down of objects that are sent.
type Evidence interface {
	Store(ctx context.Context, e ledger.Entry) error
	Note(ctx context.Context, f ledger.Finding) error
	Entry(ctx context.Context, k media.Key) (ledger.Entry, error)
}

// Returns are the journal of what was removed and came back.
type Returns interface {
	Removals(ctx context.Context, q ledger.RemovalQuery) iter.Seq2[ledger.Removal, error]
	Restored(ctx context.Context, r ledger.Restoration) error
}

// A HealingJournal is the ledger as [Healing] needs it.
type HealingJournal interface {
	Evidence
	Returns
}

// Healing is the journal of a run that puts objects back because rows name them. It
// passes everything on, and what a cleanup run had removed counts as restored from then
// on: sync and verify take it for an object as any other again.
type Healing struct {
	Journal HealingJournal
	Run     int64 // the run that puts back
	Now     func() time.Time
}

// Store records e. If this run has just proven the object, and the last that the journal
// says of it is that it was removed, it is restored first: a kill in between leaves an
// object without news, and never one that nobody would send or miss again.
func (h *Healing) Store(ctx context.Context, e ledger.Entry) error {
	if e.Run == h.Run {
		if err := h.restored(ctx, &e); err != nil {
			return err
		}
	}
	return h.Journal.Store(ctx, e)
}

// restored settles the last removal of the key. An intent that a kill left open is not
// touched: whoever cleans next looks at the object, and finds it.
func (h *Healing) restored(ctx context.Context, e *ledger.Entry) error {
	var last ledger.Removal
	for r, err := range h.Journal.Removals(ctx, ledger.RemovalQuery{Key: e.File.Key}) {
		if err != nil {
			return err
		}
		last = r
	}
	if last.State != ledger.RemovalRemoved {
		return nil
	}
	return h.Journal.Restored(ctx, ledger.Restoration{Run: last.Run, Key: last.Key, By: h.Run, ETag: e.ETag, At: h.Now()})
}

// Note records f as the ledger does.
func (h *Healing) Note(ctx context.Context, f ledger.Finding) error { return h.Journal.Note(ctx, f) }

// Entry reads what is recorded of k as the ledger does.
func (h *Healing) Entry(ctx context.Context, k media.Key) (ledger.Entry, error) {
	return h.Journal.Entry(ctx, k)
}
