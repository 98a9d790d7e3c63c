package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
	"example.org/mediamove/owner"
)

// A sweep is one look at the bucket and the database, which several jobs share.
type sweep struct {
	c       *cleaning
	survey  *cleanup.Survey
	cache   *cleanup.Cache // nil: nothing is to be pruned
	scratch *ledger.Scratch
	orphans *cleanup.Orphans
	found   *cleanup.Report
	bound   error // nil: mark, database, host and ledger belong together
	settled int
}

// newSweep prepares the look. With a budget it gathers the cache too.
func (c *cleaning) newSweep(ctx context.Context, limits cleanup.Limits, minAge time.Duration, b *budgetFlags) (s *sweep, err error) {
	s = &sweep{c: c, survey: &cleanup.Survey{Bucket: c.bucket, Instance: c.db, Marks: c.ledger, Run: c.run, Now: c.now, Classes: c.db.Classes(), Clearings: c.ledger}}
	if b != nil {
		if s.scratch, err = ledger.NewScratch(ctx, c.dir); err != nil {
			return nil, err
		}
		s.cache = &cleanup.Cache{Fates: c.db, Rule: b.rule(c.now()), Scratch: s.scratch}
		s.survey.Cache = s.cache
	}
	s.bound = owner.CheckBound(ctx, c.sight.Mark, c.ledger, c.tie.Database, c.tie.Host)
	s.orphans = &cleanup.Orphans{
		Survey: s.survey, Memory: c.ledger, History: c.ledger, Marks: c.ledger, Guards: cleanup.Guards(), Limits: limits, MinAge: minAge,
		// The ledger is open for writing, so this process holds its lock.
		Facts:  cleanup.Facts{Alone: true, Switched: c.claim.Switched, Bound: s.bound},
		Prunes: b != nil,
	}
	return s, nil
}

func (s *sweep) close() error {
	if s.scratch == nil {
		return nil
	}
	return s.scratch.Close()
}

// look settles what killed runs left open, and scans.
func (s *sweep) look(ctx context.Context) (err error) {
	if s.settled, err = cleanup.Settle(ctx, s.c.bucket, s.c.ledger, s.c.now); err != nil {
		return err
	}
	s.found, err = s.orphans.Look(ctx)
	advise(s.found, s.bound)
	return err
}

// cleaner removes things under the guards of this run.
func (s *sweep) cleaner(a access, policy string) *cleanup.Cleaner {
	c := s.c
	return &cleanup.Cleaner{
		Bucket: c.bucket, Rows: c.db, Journal: c.ledger, Run: c.run, Policy: policy, Now: c.now, Log: c.log,
		Control: s.found.Scan.Sample, Raise: func(ctx context.Context) error { return c.granted(ctx, a) }, Bound: c.stillBound,
	}
}

// granted counts this run in the mark before its first effect, once.
func (c *cleaning) granted(ctx context.Context, a access) error {
	if c.raised {
		return c.stillBound(ctx)
	}
	if err := owner.Raise(ctx, c.bucket, c.ledger, c.ownerOptions(a), c.tie); err != nil {
		return err
	}
	c.raised = true
	return nil
}

// A pruneReport is the end of a prune: the last screen and --json.
type pruneReport struct {
	*cleanup.PruneReport
	c      *cleaning
	o      *pruneOptions
	budget cleanup.Budget
	sweep  *sweep
	claims map[media.Class]mastodon.Usage // the database's own

	err     error
	refusal error
	saved   *cleanup.Plan
	applied bool
	rows    int64 // cleared
	skipped int64 // had changed
	dropped int64 // rows of the plan that may not be cleared any more
	removed cleanup.Sum
	kept    map[string]int64
	seconds float64
}

func (r *pruneReport) run(ctx context.Context, w *world, plan *cleanup.PlanFile) error {
	s, err := r.c.newSweep(ctx, cleanup.Ceilings(), cleanup.MinAge, &r.o.budgetFlags)
	if err != nil {
		r.err = err
		return r.conclude(ctx, w)
	}
	r.sweep = s
	side, stopSide := context.WithCancel(context.WithoutCancel(ctx))
	r.c.books.Go(func() { r.c.saveUsage(side) })
	progress := w.startProgress(side, r.c.session, func(time.Duration) frame { return r.c.cleanFrame(s.survey) })
	r.err = r.steps(ctx, plan)
	stopSide()
	progress.wait()
	r.c.books.Wait()
	r.err = errors.Join(r.err, s.close())
	return r.conclude(ctx, w)
}

func (r *pruneReport) steps(ctx context.Context, plan *cleanup.PlanFile) (err error) {
	if plan != nil {
		if why := cleanup.CheckPlan(&plan.Plan, r.c.claim.BucketID, r.c.ledgerID(ctx), r.c.now(), 0); why != nil {
			return r.refuse(why)
		}
	}
	effect := r.o.apply || plan != nil
	if err := r.sweep.look(ctx); err != nil {
		if errors.Is(err, cleanup.ErrRows) && ctx.Err() == nil && effect && r.sweep.found != nil {
			return r.refuse(r.sweep.found.Refusals[0]) // "whole": a guard like the others
		}
		return err
	}
	if r.claims, err = r.c.db.Usage(ctx); err != nil {
		return err
	}
	found := r.sweep.found
	rows, id := r.upto, ""
	if plan == nil {
		r.PruneReport, err = r.sweep.cache.Weigh(ctx, r.budget, found.Scan.All, orphansOf(found))
	} else {
		id = plan.ID
		rows, err = r.planned(ctx, plan)
	}
	if err != nil {
		return err
	}
	if r.o.save != "" || effect {
		if why := r.refuses(); why != nil {
			return r.refuse(why)
		}
	}
	switch {
	case r.o.save != "":
		return r.savePlan(ctx)
	case !effect:
		return nil
	case plan != nil:
		if why := r.c.ledger.UsePlan(ctx, plan.ID, r.c.run); why != nil {
			return r.refuse(why)
		}
	}
	return r.apply(ctx, id, rows)
}

// refuses says why nothing may be cleared. Guards do not keep anybody from a plan: they
// are asked again when it is applied.
func (r *pruneReport) refuses() error {
	if found := r.sweep.found; r.o.save == "" && len(found.Refusals) > 0 {
		return found.Refusals[0]
	}
	return r.CheckShare(r.o.share)
}

// refuse ends the run in order: nothing was changed, and the screen says why.
func (r *pruneReport) refuse(why error) error {
	r.refusal = why
	return nil
}

// orphansOf adds up what nobody owns and may go one day.
func orphansOf(r *cleanup.Report) cleanup.Sum {
	return cleanup.Sum(ofKind(sortGroups(r.Scan.Totals), ledger.Orphan))
}

// upto yields the rows that were chosen.
func (r *pruneReport) upto(ctx context.Context) iter.Seq2[cleanup.Prunable, error] {
	return r.sweep.cache.Upto(ctx, r.PruneReport)
}

// apply clears the rows, waits, and removes their objects.
func (r *pruneReport) apply(ctx context.Context, plan string, rows func(context.Context) iter.Seq2[cleanup.Prunable, error]) (err error) {
	bin, err := r.o.trash.open(ctx, r.c)
	if err != nil {
		return err
	}
	p := r.pruner()
	p.Cleaner.Plan = plan
	if bin != nil {
		defer func() { err = errors.Join(err, bin.Store.Close()) }()
		p.Cleaner.Bin = bin
	}
	r.applied = true
	settled, err := p.Settle(ctx)
	if r.sweep.settled += settled; err != nil {
		return err
	}
	err = p.Apply(ctx, rows(ctx))
	r.rows, r.skipped = p.Cleared()
	if err != nil {
		return err
	}
	err = p.Remove(ctx, r.sweep.cache.Leftovers(ctx), rows(ctx))
	r.removed, r.kept = p.Cleaner.Removed(), p.Cleaner.Kept()
	return err
}

func (r *pruneReport) pruner() *cleanup.Pruner {
	cleaner := r.sweep.cleaner(r.o.access, cleanup.PrunePolicy)
	cleaner.Refetchable = true
	return &cleanup.Pruner{
		Rows: r.c.db, Past: r.c.db, Journal: r.c.ledger, Opened: r.c.ledger, Cleaner: cleaner, Rule: r.sweep.cache.Rule,
		Wait: cleanup.CacheLife, Sleep: r.c.sleep,
	}
}

// conclude writes down the end of the run, and tells it.
func (r *pruneReport) conclude(ctx context.Context, w *world) error {
	r.err = ended(ctx, r.err)
	if r.removed.Objects > 0 {
		r.err = errors.Join(r.err, r.c.ledger.RecordBucket(context.WithoutCancel(ctx), r.c.bucketDay(r.sweep.found.Scan, r.removed)))
	}
	runErr := r.outcome()
	counts, err := json.Marshal(map[string]int64{"rows": r.rows, "removed": r.removed.Objects})
	end := ledger.RunEnd{ExitCode: exitCode(runErr), Complete: r.err == nil, Counts: counts, Bytes: r.removed.Bytes}
	runErr = also(runErr, errors.Join(err, r.c.finish(ctx, end)))
	r.seconds = time.Since(r.c.began).Seconds()
	return also(runErr, w.showPrune(ctx, r))
}

// outcome is what the exit status tells.
func (r *pruneReport) outcome() error {
	switch {
	case r.err != nil:
		return r.err
	case r.refusal != nil:
		return r.refusal
	case r.over() != "":
		return &somethingLeft{r.over()}
	}
	return nil
}

// over says why the bucket is not within its budget when the run is done.
func (r *pruneReport) over() string {
	switch {
	case r.PruneReport == nil:
		return ""
	case r.OrphansOver:
		return "orphans keep the bucket over its budget"
	case r.Short > 0:
		return fmt.Sprintf("what may go does not reach the target: %s are missing", size(r.Short))
	case r.applied && r.Used.Bytes-r.removed.Bytes > r.budget.Bytes:
		return "the bucket is still over its budget"
	}
	return ""
}
