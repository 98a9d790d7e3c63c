package main

import (
	"context"
	"time"

	"example.org/mediamove/cleanup"
)

// A nightlyReport is the end of a night.
type nightlyReport struct {
	c        *cleaning
	o        *nightlyOptions
	budget   cleanup.Budget
	sweep    *sweep
	orphans  *orphansReport
	prune    *pruneReport
	look     *missingLook  // over the same listing
	missing  *nightMissing // nil: it came to no result
	aborted  int           // uploads in parts
	forgot   int64         // rows that the journal keeps no longer
	errs     []error
	forecast *forecastJSON
	seconds  float64
}

func (r *nightlyReport) run(ctx context.Context, w *world) error {
	side, stopSide := context.WithCancel(context.WithoutCancel(ctx))
	r.c.books.Go(func() { r.c.saveUsage(side) })
	r.note(r.steps(ctx, side, w))
	if r.looked() {
		r.note(r.misses(ctx, side, w))
	}
	stopSide()
	r.c.books.Wait()
	r.note(r.closeMissing())
	if r.sweep != nil {
		r.note(r.sweep.close())
	}
	return r.conclude(ctx, w)
}

// note keeps an error; the night goes on with what it may still do.
func (r *nightlyReport) note(err error) {
	if err != nil {
		r.errs = append(r.errs, err)
	}
}

// steps are the jobs of a night, in their order. Only an error of the look, or one of the
// whole run, keeps the later ones from being done.
func (r *nightlyReport) steps(ctx, side context.Context, w *world) (err error) {
	if r.o.takeOver {
		if err := r.takeOver(ctx); err != nil {
			return err
		}
	}
	if r.sweep, err = r.c.newPruneSweep(ctx, &r.o.budgetFlags); err != nil {
		return err
	}
	if err := r.openMissing(ctx, w); err != nil {
		return err
	}
	brief, stop := context.WithCancel(side)
	progress := w.startProgress(brief, r.c.session, func(time.Duration) frame { return r.c.cleanFrame(r.sweep.survey) })
	defer progress.wait()
	defer stop()
	r.orphans = &orphansReport{c: r.c, o: r.orphanOptions(), kept: map[string]int64{}}
	r.prune = &pruneReport{c: r.c, o: r.pruneOptions(), budget: r.budget, sweep: r.sweep}
	if err := r.sweep.settle(ctx); err != nil {
		return err
	}
	if err := r.sweep.look(ctx); err != nil {
		if why := r.sweep.unread(ctx, err); why != nil && r.o.apply {
			return why
		}
		return err
	}
	r.orphans.Report, r.orphans.settled = r.sweep.found, r.sweep.settled
	why := r.sweep.refused()
	if r.o.apply && why == nil {
		return r.effects(ctx)
	}
	r.prune.PruneReport, err = r.weigh(ctx, r.sweep.found.Scan.All, orphansOf(r.sweep.found))
	if err != nil || !r.o.apply {
		return err
	}
	r.orphans.expired = r.o.orphanTrash.expire(ctx, r.c) // what people deleted doesn't stay because of a guard
	r.note(r.maintain(ctx))
	return why
}

// effects are the jobs that change something, in their order: an orphan that goes makes
// room for cache. One that fails keeps the later ones from being done; what a job only
// notes does not.
func (r *nightlyReport) effects(ctx context.Context) error {
	for _, job := range []func(context.Context) error{r.settleRows, r.removeOrphans, r.pruneCache, r.leftovers, r.maintain} {
		if err := job(ctx); err != nil {
			return err
		}
	}
	return nil
}

// settleRows looks at the rows that a killed run was about to clear.
func (r *nightlyReport) settleRows(ctx context.Context) error {
	settled, err := r.prune.pruner().Settle(ctx)
	r.sweep.settled += settled
	return err
}

// removeOrphans stays within the ceilings. A ceiling, or a trash that can't be used, is of
// the orphans only.
func (r *nightlyReport) removeOrphans(ctx context.Context) error {
	r.orphans.err = r.orphans.o.remove(ctx, r.orphans, r.sweep, nil)
	if err := r.orphans.err; err != nil && !trashAlone(ctx, err) {
		return err
	}
	r.note(r.orphans.err)
	r.note(r.orphans.refusal)
	if r.orphans.left() > 0 {
		r.note(&somethingLeft{"not all orphans that may go are gone"})
	}
	return nil
}

// pruneCache takes the bucket down to its budget, if what the orphans left is above it.
func (r *nightlyReport) pruneCache(ctx context.Context) (err error) {
	gone := r.orphans.removed
	used, orphans := r.sweep.found.Scan.All, orphansOf(r.sweep.found)
	used = cleanup.Sum{Objects: used.Objects - gone.Objects, Bytes: used.Bytes - gone.Bytes}
	orphans = cleanup.Sum{Objects: orphans.Objects - gone.Objects, Bytes: orphans.Bytes - gone.Bytes}
	if r.prune.PruneReport, err = r.weigh(ctx, used, orphans); err != nil {
		return err
	}
	if err := r.prune.CheckShare(r.o.share); err != nil {
		r.note(err)
	} else if r.prune.err = r.prune.apply(ctx, "", r.prune.upto); r.prune.err != nil {
		return r.prune.err
	}
	if why := r.prune.over(); why != "" {
		r.note(&somethingLeft{why})
	}
	return nil
}

// weigh works out what has to go, for nobody is there to allow more than a share.
func (r *nightlyReport) weigh(ctx context.Context, used, orphans cleanup.Sum) (*cleanup.PruneReport, error) {
	return r.sweep.cache.WeighWithin(ctx, r.budget, used, orphans, max(cleanup.MaxShare, r.o.share))
}

func (r *nightlyReport) orphanOptions() *orphansOptions {
	return &orphansOptions{cleanFlags: r.o.cleanFlags, apply: r.o.apply, minAge: cleanup.MinAge, limits: cleanup.Ceilings(), trash: r.o.orphanTrash}
}

func (r *nightlyReport) pruneOptions() *pruneOptions {
	return &pruneOptions{cleanFlags: r.o.cleanFlags, budgetFlags: r.o.budgetFlags, apply: r.o.apply, trash: trashFlags{dir: noTrash, max: "5GB"}}
}
