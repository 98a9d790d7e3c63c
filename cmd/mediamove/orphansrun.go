package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/ledger"
)

// An orphansReport is the end of a run: the last screen and --json.
type orphansReport struct {
	*cleanup.Report
	c       *cleaning
	o       *orphansOptions
	err     error
	settled int   // intents of killed runs that were looked at
	expired int64 // copies that the trash kept long enough
	saved   *cleanup.Plan
	savedAt string
	applied bool
	removed cleanup.Sum
	kept    map[string]int64
	dropped int64 // of the plan's candidates: not candidates any more
	refusal error // why nothing was removed although it was asked for
	seconds float64
}

// run is the run itself.
func (o *orphansOptions) run(ctx context.Context, w *world, c *cleaning, plan *cleanup.PlanFile) error {
	sw := c.newSweep(ctx, &cleanup.Orphans{Limits: o.limits, MinAge: o.minAge})
	r := &orphansReport{c: c, o: o, kept: map[string]int64{}}
	side, stopSide := context.WithCancel(context.WithoutCancel(ctx))
	c.books.Go(func() { c.saveUsage(side) })
	progress := w.startProgress(side, c.session, func(time.Duration) frame { return c.cleanFrame(sw.survey) })
	r.err = o.steps(ctx, r, sw, plan)
	stopSide()
	progress.wait()
	c.books.Wait()
	return o.conclude(ctx, w, c, r)
}

func (o *orphansOptions) steps(ctx context.Context, r *orphansReport, s *sweep, plan *cleanup.PlanFile) error {
	err := s.settle(ctx)
	if r.settled = s.settled; err != nil {
		return err
	}
	if plan != nil {
		if why := cleanup.CheckPlan(&plan.Plan, r.c.claim.BucketID, r.c.ledgerID(ctx), r.c.now(), o.allow); why != nil {
			return r.refuse(why)
		}
	}
	effect := o.apply || plan != nil
	err = s.look(ctx)
	r.Report = s.found
	if why := s.unread(ctx, err); why != nil && effect {
		return r.refuse(why)
	}
	switch {
	case err != nil:
		return err
	case o.save != "" && s.doubted() != nil:
		return r.refuse(s.doubted())
	case o.save != "":
		return o.savePlan(ctx, r, s)
	case effect:
		return o.remove(ctx, r, s, plan)
	}
	return nil
}

// refuse ends the run in order: nothing was changed, and the screen says why.
func (r *orphansReport) refuse(why error) error {
	r.refusal = why
	return nil
}

// savePlan writes what may go for a person to look at.
func (o *orphansOptions) savePlan(ctx context.Context, r *orphansReport, s *sweep) error {
	p := s.plan(ctx, cleanup.PlanSchema, cleanup.Age(o.minAge))
	p.Limits, p.Candidates, p.Classes, p.Reasons, p.Above = o.limits, r.Candidates, r.Classes, r.Reasons, r.Above
	if err := cleanup.WritePlan(o.save, p, s.orphans.Candidates(ctx)); err != nil {
		return planFileError(err)
	}
	r.saved, r.savedAt = p, o.save
	return nil
}

// remove asks the guards, and then removes.
func (o *orphansOptions) remove(ctx context.Context, r *orphansReport, s *sweep, plan *cleanup.PlanFile) (err error) {
	c := s.c
	switch {
	case s.refused() != nil:
		r.refusal = s.refused()
		r.expired = o.trash.expire(ctx, c)
		return nil
	case plan == nil && len(r.Above) > 0:
		r.refusal = &cleanup.AboveError{Above: r.Above, Candidates: r.Candidates}
		r.expired = o.trash.expire(ctx, c)
		return nil
	}
	bin, err := o.trash.open(ctx, c)
	if err != nil {
		return asTrashFault(err)
	}
	cleaner := s.cleaner(o.access, cleanup.Policy)
	if bin != nil {
		defer func() { err = errors.Join(err, asTrashFault(bin.Store.Close())) }()
		cleaner.Bin = bin
		if r.expired, _, err = bin.Store.Expire(ctx); err != nil {
			return asTrashFault(fmt.Errorf("empty the trash of what is too old: %w", err))
		}
	} else {
		r.expired = o.trash.expire(ctx, c)
	}
	candidates := s.orphans.Candidates(ctx)
	if plan != nil {
		if err := c.ledger.UsePlan(ctx, plan.ID, c.run); err != nil {
			r.refusal = err
			return nil
		}
		cleaner.Plan = plan.ID
		candidates = s.orphans.Still(ctx, plan.List(ctx), &r.dropped)
	}
	r.applied = true
	err = cleaner.Apply(ctx, candidates)
	r.removed, r.kept = cleaner.Removed(), cleaner.Kept()
	return err
}

// conclude writes down the end of the run, and tells it.
func (o *orphansOptions) conclude(ctx context.Context, w *world, c *cleaning, r *orphansReport) error {
	r.err = ended(ctx, r.err)
	if r.removed.Objects > 0 {
		r.err = errors.Join(r.err, c.ledger.RecordBucket(context.WithoutCancel(ctx), c.bucketDay(r.Scan, r.removed)))
	}
	runErr := r.outcome()
	counts, err := json.Marshal(r.counts())
	end := ledger.RunEnd{ExitCode: exitCode(runErr), Complete: r.err == nil, Counts: counts, Bytes: r.removed.Bytes}
	runErr = also(runErr, errors.Join(err, c.finish(ctx, end)))
	r.seconds = time.Since(c.began).Seconds()
	return also(runErr, w.showOrphans(ctx, c, r))
}

// counts is what the ledger keeps of the run.
func (r *orphansReport) counts() map[string]int64 {
	m := map[string]int64{"removed": r.removed.Objects}
	if r.Report != nil && r.Scan != nil {
		m["objects"], m["owned"], m["candidates"] = r.Scan.All.Objects, r.Scan.Owned.Objects, r.Candidates.Objects
	}
	for why, n := range r.kept {
		m["kept: "+why] = n
	}
	return m
}

// left is how many candidates should have gone and did not.
func (r *orphansReport) left() (n int64) {
	for _, why := range []string{cleanup.KeptNoRoom, cleanup.KeptUnproven, cleanup.KeptRefused, cleanup.Unanswered} {
		n += r.kept[why]
	}
	return n
}

// outcome is what the exit status tells.
func (r *orphansReport) outcome() error {
	switch {
	case r.err != nil:
		return r.err
	case r.refusal != nil:
		return r.refusal
	case r.left() > 0:
		return &somethingLeft{"not all that may go is gone"}
	}
	return nil
}
