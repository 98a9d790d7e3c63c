package cleanup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
)

// PrunePolicy names this policy in the journal.
const PrunePolicy = "prune"

// RowBatch is how many rows one UPDATE clears.
const RowBatch = 500

// CacheLife is how long Mastodon may still hand out the address of a cleared file: its
// caches keep a record for ten minutes (lib/mastodon/redis_configuration.rb).
const CacheLife = 10*time.Minute + 30*time.Second

// A RowClearer clears columns in Mastodon's database.
type RowClearer interface {
	Snapshot(ctx context.Context, ids map[media.Class][]int64) ([]mastodon.Cleared, error)
	Clear(ctx context.Context, rule mastodon.PruneRule, class media.Class, rows []mastodon.Cleared) (cleared []int64, err error)
}

// A RowRescuer gives rows their columns back that should not have been cleared.
type RowRescuer interface {
	Touched(ctx context.Context, ids []int64) ([]int64, error)
	Restore(ctx context.Context, c mastodon.Cleared) (bool, error)
}

// A ClearJournal is written ahead of every UPDATE.
type ClearJournal interface {
	IntendClearing(ctx context.Context, c []ledger.Clearing) error
	EndClearings(ctx context.Context, c []ledger.Clearing) error
	Clearings(ctx context.Context, q ledger.ClearingQuery) iter.Seq2[ledger.Clearing, error]
}

// A Pruner clears rows, waits until nobody is told of their files any more, and then
// removes the objects. A kill at any point leaves orphans at worst, never a row whose
// file is gone.
type Pruner struct {
	Rows    RowClearer
	Past    RowRescuer
	Journal ClearJournal
	Opened  Clearings
	Cleaner *Cleaner
	Rule    mastodon.PruneRule
	Wait    time.Duration // [CacheLife]
	Sleep   func(ctx context.Context, d time.Duration) error

	cleared int64
	skipped int64
}

// Cleared is how many rows were cleared, and how many had changed and were left alone.
func (p *Pruner) Cleared() (cleared, skipped int64) { return p.cleared, p.skipped }

// Apply clears the rows, batch by batch.
func (p *Pruner) Apply(ctx context.Context, rows iter.Seq2[Prunable, error]) error {
	batch := make(map[media.Class]map[int64]*Prunable)
	n := 0
	for row, err := range rows {
		if err != nil {
			return err
		}
		if batch[row.Class] == nil {
			batch[row.Class] = make(map[int64]*Prunable)
		}
		batch[row.Class][row.ID] = &row
		if n++; n == RowBatch {
			if err := p.clear(ctx, batch); err != nil {
				return err
			}
			batch, n = make(map[media.Class]map[int64]*Prunable), 0
		}
	}
	if n == 0 {
		return nil
	}
	return p.clear(ctx, batch)
}

// clear takes a batch through snapshot, journal, UPDATE and journal.
func (p *Pruner) clear(ctx context.Context, batch map[media.Class]map[int64]*Prunable) error {
	if err := p.Cleaner.granted(ctx); err != nil {
		return err
	}
	ids := make(map[media.Class][]int64)
	for class, rows := range batch {
		for id := range rows {
			ids[class] = append(ids[class], id)
		}
	}
	snaps, err := p.Rows.Snapshot(ctx, ids)
	if err != nil {
		return fmt.Errorf("%w: before clearing: %w", ErrRows, err)
	}
	byClass := make(map[media.Class][]mastodon.Cleared)
	for _, s := range snaps {
		if row := batch[s.Class][s.ID]; row != nil && ownsAll(&s.Row, row.Objects) {
			byClass[s.Class] = append(byClass[s.Class], s)
		} else {
			p.skipped++
		}
	}
	for class, rows := range byClass {
		if err := p.clearClass(ctx, class, rows, batch[class]); err != nil {
			return err
		}
	}
	return nil
}

// ownsAll reports whether the row is still the one that was listed. One that was
// fetched again has another name.
func ownsAll(r *media.Row, objects []ledger.ListedObject) bool {
	for _, o := range objects {
		if p, err := media.Parse(o.Key); err != nil || !r.MayOwn(p) {
			return false
		}
	}
	return true
}

func (p *Pruner) clearClass(ctx context.Context, class media.Class, rows []mastodon.Cleared, of map[int64]*Prunable) error {
	now := p.Cleaner.Now()
	entries := make([]ledger.Clearing, len(rows))
	at := make(map[int64]int, len(rows))
	for i, r := range rows {
		entries[i] = ledger.Clearing{
			Run: p.Cleaner.Run, Class: class, RowID: r.ID, Columns: r.Columns, Reason: cmp.Or(of[r.ID].Reason, overBudget), Bytes: of[r.ID].Bytes(),
			State: ledger.ClearIntent, Plan: p.Cleaner.Plan, Intended: now,
		}
		at[r.ID] = i
	}
	if err := p.Journal.IntendClearing(context.WithoutCancel(ctx), entries); err != nil {
		return fmt.Errorf("journal the rows that are about to be cleared: %w", err)
	}
	done, err := p.Rows.Clear(ctx, p.Rule, class, rows)
	if err != nil {
		return fmt.Errorf("%w: clear %d rows: %w", ErrRows, len(rows), err)
	}
	now = p.Cleaner.Now()
	for i := range entries {
		entries[i].State, entries[i].Ended = ledger.ClearSkipped, now
	}
	for _, id := range done {
		e := &entries[at[id]]
		e.State, e.ClearedAt = ledger.ClearCleared, now
		p.cleared++
	}
	p.skipped += int64(len(entries) - len(done))
	if err := p.Journal.EndClearings(context.WithoutCancel(ctx), entries); err != nil {
		return fmt.Errorf("journal the rows that were cleared: %w", err)
	}
	return nil
}

// Remove waits, and then removes the objects of every row that was cleared: those of
// this run, and before them what an earlier run did not come to.
func (p *Pruner) Remove(ctx context.Context, leftovers iter.Seq2[Candidate, error], rows iter.Seq2[Prunable, error]) error {
	if err := p.await(ctx); err != nil {
		return err
	}
	if err := p.Cleaner.Apply(ctx, p.objects(ctx, leftovers, rows)); err != nil || p.Cleaner.left() > 0 {
		return err // the next run comes to what is left
	}
	return p.finish(ctx)
}

// await lets Mastodon's caches forget the files, those of an earlier run too. It goes by
// time that was slept: the server's clock is only known from answers, and none comes
// meanwhile.
func (p *Pruner) await(ctx context.Context) error {
	var last time.Time
	for c, err := range p.Journal.Clearings(ctx, ledger.ClearingQuery{State: ledger.ClearCleared}) {
		if err != nil {
			return fmt.Errorf("read the journal of rows: %w", err)
		}
		if c.ClearedAt.After(last) {
			last = c.ClearedAt
		}
	}
	if last.IsZero() {
		return nil
	}
	for wait := min(p.Wait, last.Add(p.Wait).Sub(p.Cleaner.Now())); wait > 0; wait -= time.Minute {
		if err := p.Sleep(ctx, min(wait, time.Minute)); err != nil {
			return err
		}
	}
	return nil
}

// objects yields what may go now, in the order in which the rows were cleared.
func (p *Pruner) objects(ctx context.Context, leftovers iter.Seq2[Candidate, error], rows iter.Seq2[Prunable, error]) iter.Seq2[Candidate, error] {
	return func(yield func(Candidate, error) bool) {
		for c, err := range leftovers {
			if !yield(c, err) || err != nil {
				return
			}
		}
		for row, err := range rows {
			if err != nil {
				yield(Candidate{}, err)
				return
			}
			open, err := p.Opened.OpenClearing(ctx, row.Class, row.ID)
			if errors.Is(err, ledger.ErrUnknown) || err == nil && open.Run != p.Cleaner.Run {
				continue // it was skipped
			}
			if err != nil {
				yield(Candidate{}, err)
				return
			}
			for i := range row.Objects {
				if !yield(candidateOf(&row.Objects[i], overBudget), nil) {
					return
				}
			}
		}
	}
}

// finish closes the books of every row whose objects have been dealt with.
func (p *Pruner) finish(ctx context.Context) error {
	var batch []ledger.Clearing
	for c, err := range p.Journal.Clearings(ctx, ledger.ClearingQuery{State: ledger.ClearCleared}) {
		if err != nil {
			return fmt.Errorf("read the journal of rows: %w", err)
		}
		c.State, c.Ended = ledger.ClearDone, p.Cleaner.Now()
		if batch = append(batch, c); len(batch) == RowBatch {
			if err := p.Journal.EndClearings(ctx, batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	if len(batch) == 0 {
		return nil
	}
	return p.Journal.EndClearings(ctx, batch)
}
