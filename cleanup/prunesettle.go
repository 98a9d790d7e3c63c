package cleanup

import (
	"context"
	"fmt"

	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
)

// Settle looks at every row whose clearing a killed run left without an outcome: the
// database tells. One that was cleared although a local user had touched it gets its
// columns back: the killed run did not come to that. It must not be asked of a database
// that the guards doubt.
func (p *Pruner) Settle(ctx context.Context) (n int, err error) {
	for c, err := range p.Journal.Clearings(ctx, ledger.ClearingQuery{State: ledger.ClearIntent}) {
		if err != nil {
			return n, fmt.Errorf("read the journal of rows: %w", err)
		}
		if err := p.settle(ctx, &c); err != nil {
			return n, err
		}
		if err := p.Journal.EndClearings(ctx, []ledger.Clearing{c}); err != nil {
			return n, fmt.Errorf("journal the row: %w", err)
		}
		n++
	}
	return n, nil
}

// settle finds the outcome of an intent.
func (p *Pruner) settle(ctx context.Context, c *ledger.Clearing) error {
	c.Ended = p.Cleaner.Now()
	snaps, err := p.Rows.Snapshot(ctx, map[media.Class][]int64{c.Class: {c.RowID}})
	if err != nil {
		return fmt.Errorf("%w: look what became of a row: %w", ErrRows, err)
	}
	was, err := mastodon.RowOf(c.Class, c.RowID, c.Columns)
	if err != nil {
		return err
	}
	if len(snaps) == 1 && sameNames(&was, &snaps[0].Row) {
		c.State, c.Detail = ledger.ClearSkipped, "the run was interrupted before the row was cleared"
		return nil
	}
	switch back, err := p.rescue(ctx, c, was); {
	case err != nil:
		return fmt.Errorf("%w: give row %d of %s its columns back: %w", ErrRows, c.RowID, c.Class, err)
	case back:
		c.State, c.Detail = ledger.ClearSkipped, "the run was interrupted; a local user had touched it, and it has its file again"
	default:
		c.State, c.ClearedAt, c.Detail = ledger.ClearCleared, c.Ended, "the run was interrupted; the row names its file no more"
	}
	return nil
}

// rescue gives a cleared row its columns back if it should not have been cleared.
func (p *Pruner) rescue(ctx context.Context, c *ledger.Clearing, was media.Row) (bool, error) {
	if c.Class != media.MediaAttachments || c.Reason == LostOriginal { // which what people did brings back to nobody
		return false, nil
	}
	touched, err := p.Past.Touched(ctx, []int64{c.RowID})
	if err != nil || len(touched) == 0 {
		return false, err
	}
	if err := p.Cleaner.granted(ctx); err != nil {
		return false, err
	}
	return p.Past.Restore(ctx, mastodon.Cleared{ID: c.RowID, Class: c.Class, Row: was, Columns: c.Columns})
}

// sameNames reports whether two states of a row name the same files.
func sameNames(a, b *media.Row) bool {
	if len(a.Files) != len(b.Files) {
		return false
	}
	for i := range a.Files {
		if a.Files[i].Name != b.Files[i].Name {
			return false
		}
	}
	return true
}
