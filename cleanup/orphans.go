package cleanup

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
)

// Policy names this policy in the journal.
const Policy = "orphans"

// Memory is what earlier scans left behind.
type Memory interface {
	LastScan(ctx context.Context) (ledger.Scan, error)
	EndScan(ctx context.Context, s ledger.Scan) error
	Suspects(ctx context.Context, q ledger.SuspectQuery) iter.Seq2[ledger.Suspect, error]
}

// History is what earlier runs removed, and what undo took back.
type History interface {
	RemovedSince(ctx context.Context, policy string, since time.Time) (map[media.Class]ledger.ClassSum, error)
	Removals(ctx context.Context, q ledger.RemovalQuery) iter.Seq2[ledger.Removal, error]
	SuspectAbout(ctx context.Context, k media.Key) (ledger.Suspect, error)
}

// A Canceller takes marks back.
type Canceller interface {
	CancelSuspects(ctx context.Context, run int64, k media.Key) (int64, error)
}

// Orphans finds what nobody owns, and decides what of it may go.
type Orphans struct {
	Survey  *Survey
	Memory  Memory
	History History
	Marks   Canceller
	Guards  []Guard // [Guards]; tests take one away
	Limits  Limits
	MinAge  time.Duration
	// Facts are those that only the caller knows; Scan and Before are filled in.
	Facts Facts
	// Hold records the scan by [Orphans.Accept] only: a person looks at it first.
	Hold bool
	// Undid says whether a person took a removal back with that run. What came back because
	// a row needed it is an orphan like any other once that row is gone. nil: all runs did.
	Undid func(ctx context.Context, run int64) (bool, error)
	// Prunes: a prune follows in this very run, and comes to what an earlier one left.
	Prunes bool

	scan *Scan
	// undone: undo has put something back, so that every candidate is looked up.
	undone bool
}

// A Report is what a scan found and what may go.
type Report struct {
	Scan     *Scan
	Refusals []*Refusal // guards that forbid every deletion
	Above    []Above    // classes beyond their ceilings
	Limits   Limits

	Candidates Sum
	Classes    map[media.Class]Sum // candidates
	Reasons    map[string]Sum      // candidates
	Waiting    Sum                 // orphans that are too young, or were seen too shortly ago
	Returned   Sum                 // orphans that undo put back: never candidates again
}

// Look scans the bucket and says what may go. Nothing but marks is changed. The error
// is that of the scan; then the report says only that nothing may be deleted.
func (o *Orphans) Look(ctx context.Context) (*Report, error) {
	r := &Report{Limits: o.Limits, Classes: map[media.Class]Sum{}, Reasons: map[string]Sum{}}
	last, err := o.Memory.LastScan(ctx)
	if err != nil && !errors.Is(err, ledger.ErrUnknown) {
		return nil, err
	}
	o.Facts.Before = last.Counts
	if o.scan, err = o.Survey.Scan(ctx); err != nil {
		o.Facts.Whole = err
		if errors.Is(err, mastodon.ErrReplica) { // a failover in the middle of it
			o.Facts.Primary = err
		}
		r.Refusals = Check(o.Guards, &o.Facts)
		return r, err
	}
	o.Facts.Scan, r.Scan = o.scan, o.scan
	if err := o.remember(ctx); err != nil {
		return nil, err
	}
	r.Refusals = Check(o.Guards, &o.Facts)
	if err := o.weigh(ctx, r); err != nil {
		return nil, err
	}
	return r, nil
}

// remember records the scan, unless it contradicts what is known: a later run must not
// be held against a wrong database.
func (o *Orphans) remember(ctx context.Context) error {
	if !Believed(o.Guards, &o.Facts) {
		// A wrong database must not make the first of two sightings.
		_, err := o.Marks.CancelSuspects(ctx, o.scan.Run, "")
		return err
	}
	if o.Hold {
		return nil
	}
	return o.Accept(ctx)
}

// Accept records the scan, so that later ones are held against it.
func (o *Orphans) Accept(ctx context.Context) error {
	s := o.scan
	return o.Memory.EndScan(ctx, ledger.Scan{
		Run: s.Run, At: s.At, Objects: s.All.Objects, Bytes: s.All.Bytes, Owned: s.Owned.Objects,
		Counts: s.Counts, Control: s.Sample,
	})
}

// weigh adds up the candidates, and holds them against the ceilings.
func (o *Orphans) weigh(ctx context.Context, r *Report) error {
	for _, err := range o.History.Removals(ctx, ledger.RemovalQuery{State: ledger.RemovalRestored}) {
		if err != nil {
			return fmt.Errorf("read the journal: %w", err)
		}
		o.undone = true
		break
	}
	for s, err := range o.Memory.Suspects(ctx, ledger.SuspectQuery{Run: o.scan.Run, Kind: ledger.Orphan}) {
		if err != nil {
			return fmt.Errorf("read the marks: %w", err)
		}
		returned, err := o.returned(ctx, s.Key)
		pruned := false
		if err == nil && !returned && o.ripe(&s) {
			pruned, err = o.pruned(ctx, s.Key)
		}
		switch {
		case err != nil:
			return err
		case returned:
			r.Returned.add(s.Size)
		case pruned || !o.ripe(&s):
			r.Waiting.add(s.Size)
		default:
			r.Candidates.add(s.Size)
			r.Classes[s.Key.Class()] = plus(r.Classes[s.Key.Class()], s.Size)
			r.Reasons[s.Reason] = plus(r.Reasons[s.Reason], s.Size)
		}
	}
	tonight, err := o.History.RemovedSince(ctx, Policy, o.scan.At.Add(-SightingGap))
	if err != nil {
		return err
	}
	gone := make(map[media.Class]Sum, len(tonight))
	for c, s := range tonight {
		gone[c] = Sum{s.Objects, s.Bytes}
	}
	r.Above = o.Limits.Above(o.scan.Classes, r.Classes, gone)
	return nil
}

func plus(s Sum, bytes int64) Sum {
	s.add(bytes)
	return s
}

// ripe reports whether s was seen early enough, twice, and is old enough. Both by the
// server's clock, as are the marks.
func (o *Orphans) ripe(s *ledger.Suspect) bool {
	return s.Kind == ledger.Orphan && s.LastRun == o.scan.Run && !s.First.IsZero() && !s.Modified.IsZero() &&
		!s.First.After(o.scan.At.Add(-SightingGap)) && !s.Modified.After(o.scan.At.Add(-o.MinAge))
}

// returned reports whether undo put k back. Who did that wants to keep it. What was
// withdrawn had an owner when it went, and is not kept once that is gone.
func (o *Orphans) returned(ctx context.Context, k media.Key) (bool, error) {
	if !o.undone {
		return false, nil
	}
	for r, err := range o.History.Removals(ctx, ledger.RemovalQuery{Key: k, State: ledger.RemovalRestored}) {
		if err != nil {
			return false, err
		}
		if r.Policy == WithdrawPolicy {
			continue
		}
		if o.Undid == nil {
			return true, nil
		}
		if undid, err := o.Undid(ctx, r.RestoredRun); err != nil || undid {
			return undid, err
		}
	}
	return false, nil
}

// pruned reports whether k's object is prune's to deal with: it comes to it in this run,
// or it is not known yet whether the row will have its file again.
func (o *Orphans) pruned(ctx context.Context, k media.Key) (bool, error) {
	p, reason := askable(k)
	if reason != "" {
		return false, nil
	}
	if o.Prunes {
		return o.Survey.begun.has(ctx, p)
	}
	_, open := o.Survey.begun.intents[rowID{p.Class, p.ID}]
	return open, nil
}

// Candidates yields what may go, by key. The guards and ceilings are the caller's to
// hold against it.
func (o *Orphans) Candidates(ctx context.Context) iter.Seq2[Candidate, error] {
	return func(yield func(Candidate, error) bool) {
		for s, err := range o.Memory.Suspects(ctx, ledger.SuspectQuery{Run: o.scan.Run, Kind: ledger.Orphan}) {
			if err != nil {
				yield(Candidate{}, fmt.Errorf("read the marks: %w", err))
				return
			}
			c, ok, err := o.candidate(ctx, &s)
			if (err != nil || ok) && !yield(c, err) {
				return
			}
		}
	}
}

func (o *Orphans) candidate(ctx context.Context, s *ledger.Suspect) (c Candidate, ok bool, err error) {
	if !o.ripe(s) {
		return c, false, nil
	}
	if returned, err := o.returned(ctx, s.Key); err != nil || returned {
		return c, false, err
	}
	if pruned, err := o.pruned(ctx, s.Key); err != nil || pruned {
		return c, false, err
	}
	return Candidate{Key: s.Key, Reason: s.Reason, Size: s.Size, ETag: s.ETag, Modified: s.Modified, First: s.First}, true, nil
}

// Still yields those of a plan that are candidates today, unchanged: what happened since
// the plan was made takes candidates away and never adds one. dropped counts them.
func (o *Orphans) Still(ctx context.Context, plan iter.Seq2[Candidate, error], dropped *int64) iter.Seq2[Candidate, error] {
	return func(yield func(Candidate, error) bool) {
		for want, err := range plan {
			if err != nil {
				yield(Candidate{}, err)
				return
			}
			s, err := o.History.SuspectAbout(ctx, want.Key)
			if errors.Is(err, ledger.ErrUnknown) {
				*dropped++
				continue
			}
			if err != nil {
				yield(Candidate{}, err)
				return
			}
			c, ok, err := o.candidate(ctx, &s)
			if err == nil && (!ok || c.ETag != want.ETag || c.Size != want.Size) {
				*dropped++
				continue
			}
			if !yield(c, err) {
				return
			}
		}
	}
}

// CheckPlan refuses a plan that was made for another bucket or ledger, is too old, or
// is beyond the limits that it carries. typed is how many objects the person allowed.
func CheckPlan(p *Plan, bucketID, ledgerID string, now time.Time, typed int64) error {
	switch {
	case p.BucketID != bucketID || p.LedgerID != ledgerID:
		return fmt.Errorf("%w: it was made for another bucket or with another ledger", ErrPlan)
	case now.After(p.Expires) || now.Before(p.Made.Add(-time.Hour)):
		return fmt.Errorf("%w: it expired at %s", ErrPlan, stamp(p.Expires))
	case len(p.Above) > 0 && typed != p.Candidates.Objects:
		return &AboveError{p.Above, p.Candidates}
	}
	return nil
}

// An AboveError says that more would go than the ceilings allow.
type AboveError struct {
	Above      []Above
	Candidates Sum
}

func (e *AboveError) Error() string {
	a := e.Above[0]
	return fmt.Sprintf("guard \"ceilings\": %d objects of %s (%d bytes) would go, %d objects and %d bytes may go in one night",
		a.Candidates.Objects, a.Class, a.Candidates.Bytes, a.Objects, a.Bytes)
}
