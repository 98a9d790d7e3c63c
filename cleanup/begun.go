package cleanup

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
)

// Clearings remember which rows prune has cleared, or was about to.
type Clearings interface {
	Clearings(ctx context.Context, q ledger.ClearingQuery) iter.Seq2[ledger.Clearing, error]
	OpenClearing(ctx context.Context, c media.Class, rowID int64) (ledger.Clearing, error)
	AnyCleared(ctx context.Context) (bool, error)
}

// A begun is what a prune that was stopped has left to do: rows that it has cleared, and
// whose objects still stand. That these belong to nobody says nothing against the
// database, and they are prune's own to remove. The zero value knows of none.
type begun struct {
	clearings Clearings
	cleared   bool
	intents   map[rowID]media.Row // of one killed batch: perhaps cleared
}

func findBegun(ctx context.Context, c Clearings) (b begun, err error) {
	if c == nil {
		return b, nil
	}
	b = begun{clearings: c, intents: map[rowID]media.Row{}}
	for v, err := range c.Clearings(ctx, ledger.ClearingQuery{State: ledger.ClearIntent}) {
		if err != nil {
			return b, fmt.Errorf("read the journal of rows: %w", err)
		}
		if b.intents[rowID{v.Class, v.RowID}], err = mastodon.RowOf(v.Class, v.RowID, v.Columns); err != nil {
			return b, err
		}
	}
	b.cleared, err = c.AnyCleared(ctx)
	return b, err
}

// has reports whether the object at p, which nobody owns, is what prune has left.
func (b *begun) has(ctx context.Context, p media.Path) (bool, error) {
	if !prunable(p.Class) || !b.cleared && len(b.intents) == 0 {
		return false, nil
	}
	if was, ok := b.intents[rowID{p.Class, p.ID}]; ok && was.MayOwn(p) {
		return true, nil
	}
	open, err := b.clearings.OpenClearing(ctx, p.Class, p.ID)
	if errors.Is(err, ledger.ErrUnknown) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	was, err := mastodon.RowOf(open.Class, open.RowID, open.Columns)
	return err == nil && was.MayOwn(p), err
}
