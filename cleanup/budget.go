package cleanup

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"time"

	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
)

// MaxShare is how much of the cache one run may clear without being told so, in per
// cent: a budget in the wrong unit asks for far more.
const MaxShare = 20

// A Budget is what the bucket may hold, in bytes.
type Budget struct {
	Bytes  int64 `json:"bytes"`  // above it, rows are cleared
	Target int64 `json:"target"` // down to it
}

// A PruneReport says what prune would do to people's cache.
type PruneReport struct {
	Budget  Budget
	Used    Sum // all of the bucket
	Orphans Sum // that are not removed yet: cache is never pruned in their place
	Cached  Sum // other servers' attachments and cards
	Open    Sum // of these, what may be cleared
	Kept    map[mastodon.Keep]Sum
	Oldest  map[media.Class]time.Time // the oldest row that is kept
	Resume  Sum                       // objects of rows that an earlier run cleared

	Rows     int64 // that are to be cleared
	Freed    Sum   // their objects
	Classes  map[media.Class]Sum
	Youngest map[media.Class]time.Time // the youngest row that goes
	Share    float64                   // of the cache, per cent
	Short    int64                     // bytes that can't be found: what may go does not reach the target
	// OrphansOver: without the orphans the bucket would be within its budget when all of it is done.
	OrphansOver bool
}

// After is what the bucket holds when all of it is done.
func (r *PruneReport) After() int64 { return r.Used.Bytes - r.Freed.Bytes - r.Resume.Bytes }

// Weigh works out how much has to go, and which rows that are.
func (c *Cache) Weigh(ctx context.Context, b Budget, used, orphans Sum) (*PruneReport, error) {
	return c.WeighWithin(ctx, b, used, orphans, 100)
}

// WeighWithin does not go down to the target if that were more of the cache than share
// per cent, as long as the bucket is within its budget: after some loud days nobody is
// there to allow more, and the next night goes on.
func (c *Cache) WeighWithin(ctx context.Context, b Budget, used, orphans Sum, share float64) (*PruneReport, error) {
	r := c.report(b, used, orphans)
	most := int64(share / 100 * float64(r.Cached.Bytes))
	if need := r.own() - b.Target; r.own() > b.Bytes {
		for row, err := range c.Ordered(ctx) {
			if err != nil {
				return nil, fmt.Errorf("sort what may be cleared: %w", err)
			}
			if r.Freed.Bytes+row.Bytes() > most && r.own()-r.Freed.Bytes <= b.Bytes {
				need = r.Freed.Bytes
				break
			}
			r.take(&row)
			if r.Freed.Bytes >= need {
				break
			}
		}
		r.Short = max(0, need-r.Freed.Bytes)
	}
	r.judge()
	return r, nil
}

// WeighPlan works out what is left of a plan today.
func (c *Cache) WeighPlan(ctx context.Context, b Budget, used, orphans Sum, s Selection) (*PruneReport, error) {
	r := c.report(b, used, orphans)
	for row, err := range c.Still(ctx, s, new(int64)) {
		if err != nil {
			return nil, fmt.Errorf("sort what may be cleared: %w", err)
		}
		r.take(&row)
	}
	if own := r.own() - r.Freed.Bytes; own > b.Bytes {
		r.Short = own - b.Target
	}
	r.judge()
	return r, nil
}

// report is what is known before anything is chosen.
func (c *Cache) report(b Budget, used, orphans Sum) *PruneReport {
	// What earlier runs cleared is no cache any more, and its objects go in any case.
	orphans = Sum{orphans.Objects - c.resume.Objects, orphans.Bytes - c.resume.Bytes}
	return &PruneReport{
		Budget: b, Used: used, Orphans: orphans, Cached: c.cached, Open: c.open, Kept: c.kept, Oldest: c.oldest, Resume: c.resume,
		Classes: map[media.Class]Sum{}, Youngest: map[media.Class]time.Time{},
	}
}

// own is what counts against the budget.
func (r *PruneReport) own() int64 { return r.Used.Bytes - r.Resume.Bytes - r.Orphans.Bytes }

// judge looks at what was chosen.
func (r *PruneReport) judge() {
	own := r.own() - r.Freed.Bytes
	r.OrphansOver = own <= r.Budget.Bytes && own+r.Orphans.Bytes > r.Budget.Bytes
	if r.Cached.Bytes > 0 {
		r.Share = 100 * float64(r.Freed.Bytes) / float64(r.Cached.Bytes)
	}
}

func (r *PruneReport) take(row *Prunable) {
	r.Rows++
	for i := range row.Objects {
		r.Freed.add(row.Objects[i].Size)
		r.Classes[row.Class] = plus(r.Classes[row.Class], row.Objects[i].Size)
	}
	if row.Since.After(r.Youngest[row.Class]) {
		r.Youngest[row.Class] = row.Since
	}
}

// ErrShare refuses to clear more of the cache at once than people expect.
var ErrShare = errors.New("too much of the cache would go at once")

// CheckShare refuses a run that would clear more than [MaxShare] of the cache.
func (r *PruneReport) CheckShare(allowed float64) error {
	if r.Share <= max(MaxShare, allowed) {
		return nil
	}
	return fmt.Errorf("%w: %.0f %% of %d bytes; is the budget in the right unit?", ErrShare, r.Share, r.Cached.Bytes)
}

// Upto yields the rows that Weigh has chosen.
func (c *Cache) Upto(ctx context.Context, r *PruneReport) iter.Seq2[Prunable, error] {
	return func(yield func(Prunable, error) bool) {
		n := int64(0)
		for row, err := range c.Ordered(ctx) {
			if n++; err == nil && n > r.Rows {
				return
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

// Objects takes rows apart, for a plan's file.
func Objects(rows iter.Seq2[Prunable, error]) iter.Seq2[Candidate, error] {
	return func(yield func(Candidate, error) bool) {
		for row, err := range rows {
			if err != nil {
				yield(Candidate{}, err)
				return
			}
			for i := range row.Objects {
				c := candidateOf(&row.Objects[i], cmp.Or(row.Reason, overBudget))
				c.Row, c.First = row.ID, row.Since
				if !yield(c, nil) {
					return
				}
			}
		}
	}
}

// overBudget is the reason in the journal.
const overBudget = "over budget"

// A rowID names a row among those of all prunable classes.
type rowID struct {
	class media.Class
	id    int64
}

// A Selection is what a plan names: rows, each with a digest of its objects. It is held
// in memory, some 60 bytes a row.
type Selection map[rowID][sha256.Size]byte

// Select reads a plan.
func Select(plan iter.Seq2[Candidate, error]) (Selection, error) {
	s := Selection{}
	for c, err := range plan {
		if err != nil {
			return nil, err
		}
		id := rowID{c.Key.Class(), c.Row}
		s[id] = fold(s[id], c.Key, c.ETag)
	}
	return s, nil
}

// fold adds an object to a digest; objects come in the order of their keys.
func fold(sum [sha256.Size]byte, k media.Key, etag string) [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%x %q %q", sum, k, etag))
}

// Still yields those of the selection that may be cleared today, with the very same
// objects: what happened since takes rows away and never adds one.
func (c *Cache) Still(ctx context.Context, s Selection, dropped *int64) iter.Seq2[Prunable, error] {
	return func(yield func(Prunable, error) bool) {
		*dropped = int64(len(s))
		for row, err := range c.Ordered(ctx) {
			if err != nil {
				yield(row, err)
				return
			}
			want, named := s[rowID{row.Class, row.ID}]
			var sum [sha256.Size]byte
			for _, o := range row.Objects {
				sum = fold(sum, o.Key, o.ETag)
			}
			if !named || sum != want {
				continue
			}
			*dropped--
			if !yield(row, nil) {
				return
			}
		}
	}
}
