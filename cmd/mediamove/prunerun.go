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
)

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
	expired int64 // copies that the trash kept long enough
	kept    map[string]int64
	seconds float64
}

func (r *pruneReport) run(ctx context.Context, w *world, plan *cleanup.PlanFile) error {
	s, err := r.c.newPruneSweep(ctx, &r.o.budgetFlags)
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
	if err := r.sweep.settle(ctx); err != nil {
		return err
	}
	if err := r.sweep.look(ctx); err != nil {
		if why := r.sweep.unread(ctx, err); why != nil && effect {
			return r.refuse(why)
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
			if effect && r.o.trash.dir != noTrash {
				r.expired = r.o.trash.expire(ctx, r.c) // copies don't stay longer because of a guard
			}
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

// refuses says why nothing may be cleared. Guards do not keep anybody from a plan, as they
// are asked again when it is applied; but those do that contradict the database.
func (r *pruneReport) refuses() error {
	why := r.sweep.refused()
	if r.o.save != "" {
		why = r.sweep.doubted()
	}
	if why != nil {
		return why
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
		if r.expired, _, err = bin.Store.Expire(ctx); err != nil {
			return fmt.Errorf("empty the trash of what is too old: %w", err)
		}
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
