package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/ledger"
	"example.org/mediamove/owner"
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
	r := &orphansReport{c: c, o: o, kept: map[string]int64{}}
	survey := &cleanup.Survey{Bucket: c.bucket, Instance: c.db, Marks: c.ledger, Classes: c.db.Classes(), Run: c.run, Now: c.now, Clearings: c.ledger}
	side, stopSide := context.WithCancel(context.WithoutCancel(ctx))
	c.books.Go(func() { c.saveUsage(side) })
	progress := w.startProgress(side, c.session, func(time.Duration) frame { return c.cleanFrame(survey) })
	r.err = o.steps(ctx, c, r, survey, plan)
	stopSide()
	progress.wait()
	c.books.Wait()
	return o.conclude(ctx, w, c, r)
}

func (o *orphansOptions) steps(ctx context.Context, c *cleaning, r *orphansReport, survey *cleanup.Survey, plan *cleanup.PlanFile) (err error) {
	if r.settled, err = cleanup.Settle(ctx, c.bucket, c.ledger, c.now); err != nil {
		return err
	}
	if plan != nil {
		if why := cleanup.CheckPlan(&plan.Plan, c.claim.BucketID, c.ledgerID(ctx), c.now(), o.allow); why != nil {
			return r.refuse(why)
		}
	}
	bound := owner.CheckBound(ctx, c.sight.Mark, c.ledger, c.tie.Database, c.tie.Host)
	orphans := &cleanup.Orphans{
		Survey: survey, Memory: c.ledger, History: c.ledger, Marks: c.ledger, Guards: cleanup.Guards(), Limits: o.limits, MinAge: o.minAge,
		// The ledger is open for writing, so this process holds its lock.
		Facts: cleanup.Facts{Alone: true, Switched: c.claim.Switched, Bound: bound},
	}
	r.Report, err = orphans.Look(ctx)
	advise(r.Report, bound)
	if errors.Is(err, cleanup.ErrRows) && ctx.Err() == nil && (o.apply || plan != nil) {
		return r.refuse(r.Refusals[0]) // "whole": a guard like the others
	}
	if err != nil {
		return err
	}
	switch {
	case o.save != "" && r.doubted() != nil:
		return r.refuse(r.doubted()) // its list would be of a wrong database
	case o.save != "":
		return o.savePlan(ctx, c, r, orphans)
	case o.apply || plan != nil:
		return o.remove(ctx, c, r, orphans, plan)
	}
	return nil
}

// advise lets the guard "bound" say what to do about that very reason: who types bind
// for another database or on a copied machine undoes the guard.
func advise(found *cleanup.Report, bound error) {
	e, ok := errors.AsType[*owner.RefusedError](bound)
	if !ok || found == nil {
		return
	}
	for _, refusal := range found.Refusals {
		if refusal.Guard == "bound" {
			refusal.Hint = e.Hint
		}
	}
}

// refuse ends the run in order: nothing was changed, and the screen says why.
func (r *orphansReport) refuse(why error) error {
	r.refusal = why
	return nil
}

// doubted is the guard that contradicts the database, nil if none does.
func (r *orphansReport) doubted() error {
	for _, refusal := range r.Refusals {
		if refusal.Doubt {
			return refusal
		}
	}
	return nil
}

func (c *cleaning) ledgerID(ctx context.Context) string {
	id, err := c.ledger.Identity(ctx)
	if err != nil {
		return "" // which no plan has
	}
	return id.LedgerID
}

// savePlan writes what may go for a person to look at.
func (o *orphansOptions) savePlan(ctx context.Context, c *cleaning, r *orphansReport, orphans *cleanup.Orphans) error {
	made := r.Scan.At.UTC()
	p := &cleanup.Plan{
		Schema: cleanup.PlanSchema, ID: cleanup.NewPlanID(), BucketID: c.claim.BucketID, LedgerID: c.ledgerID(ctx), Run: c.run,
		Made: made, Expires: made.Add(cleanup.PlanLife), MinAge: cleanup.Age(o.minAge), Limits: o.limits,
		Candidates: r.Candidates, Classes: r.Classes, Reasons: r.Reasons, Above: r.Above,
	}
	if err := cleanup.WritePlan(o.save, p, orphans.Candidates(ctx)); err != nil {
		if errors.Is(err, os.ErrExist) || errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
			return &usageError{err, "name a new file in a folder that can be written"}
		}
		return err
	}
	r.saved, r.savedAt = p, o.save
	return nil
}

// remove asks the guards, and then removes.
func (o *orphansOptions) remove(ctx context.Context, c *cleaning, r *orphansReport, orphans *cleanup.Orphans, plan *cleanup.PlanFile) (err error) {
	switch {
	case len(r.Refusals) > 0:
		r.refusal = r.Refusals[0]
		r.expired = o.trash.expire(ctx, c)
		return nil
	case plan == nil && len(r.Above) > 0:
		r.refusal = &cleanup.AboveError{Above: r.Above, Candidates: r.Candidates}
		r.expired = o.trash.expire(ctx, c)
		return nil
	}
	bin, err := o.trash.open(ctx, c)
	if err != nil {
		return err
	}
	cleaner := &cleanup.Cleaner{
		Bucket: c.bucket, Rows: c.db, Journal: c.ledger, Run: c.run, Policy: cleanup.Policy, Now: c.now, Log: c.log,
		Control: r.Scan.Sample, Raise: func(ctx context.Context) error { return c.granted(ctx, o.access) }, Bound: c.stillBound,
	}
	if bin != nil {
		defer func() { err = errors.Join(err, bin.Store.Close()) }()
		cleaner.Bin = bin
		if r.expired, _, err = bin.Store.Expire(ctx); err != nil {
			return fmt.Errorf("empty the trash of what is too old: %w", err)
		}
	} else {
		r.expired = o.trash.expire(ctx, c)
	}
	candidates := orphans.Candidates(ctx)
	if plan != nil {
		if err := c.ledger.UsePlan(ctx, plan.ID, c.run); err != nil {
			r.refusal = err
			return nil
		}
		cleaner.Plan = plan.ID
		candidates = orphans.Still(ctx, plan.List(ctx), &r.dropped)
	}
	r.applied = true
	err = cleaner.Apply(ctx, candidates)
	r.removed, r.kept = cleaner.Removed(), cleaner.Kept()
	return err
}

// stillBound reads the mark anew (one Class B): a copy of this machine may have woken up.
func (c *cleaning) stillBound(ctx context.Context) error {
	mark, err := owner.ReadMark(ctx, c.bucket, c.settings.Bucket)
	if err != nil {
		return err
	}
	return owner.CheckBound(ctx, mark, c.ledger, c.tie.Database, c.tie.Host)
}

// cleanFrame says where a cleanup stands.
func (c *cleaning) cleanFrame(s *cleanup.Survey) frame {
	f := frame{parts: []string{count(s.Listed()) + " objects judged"}}
	if c.bucket.Stats().Paused {
		f.parts = append(f.parts, "waiting for the bucket")
	}
	f.parts = append(f.parts, c.requestParts()...)
	f.parts = append(f.parts, "B "+count(c.meter.Usage().B()))
	return f
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
