package main

import (
	"context"
	"errors"
	"iter"
	"os"

	"example.org/mediamove/cleanup"
)

// planned takes the rows from a plan.
func (r *pruneReport) planned(ctx context.Context, plan *cleanup.PlanFile) (func(context.Context) iter.Seq2[cleanup.Prunable, error], error) {
	chosen, err := cleanup.Select(plan.List(ctx))
	if err != nil {
		return nil, err
	}
	found := r.sweep.found
	r.PruneReport, err = r.sweep.cache.WeighPlan(ctx, r.budget, found.Scan.All, orphansOf(found), chosen)
	return func(ctx context.Context) iter.Seq2[cleanup.Prunable, error] {
		return r.sweep.cache.Still(ctx, chosen, &r.dropped)
	}, err
}

func (r *pruneReport) savePlan(ctx context.Context) error {
	made := r.sweep.found.Scan.At.UTC()
	p := &cleanup.Plan{
		Schema: cleanup.PrunePlanSchema, ID: cleanup.NewPlanID(), BucketID: r.c.claim.BucketID, LedgerID: r.c.ledgerID(ctx), Run: r.c.run,
		Made: made, Expires: made.Add(cleanup.PlanLife), MinAge: cleanup.Age(r.o.minAge), Budget: &r.budget, AllowShare: r.o.share,
		Candidates: r.Freed, Classes: r.Classes, Reasons: map[string]cleanup.Sum{},
	}
	if err := cleanup.WritePlan(r.o.save, p, cleanup.Objects(r.sweep.cache.Upto(ctx, r.PruneReport))); err != nil {
		if errors.Is(err, os.ErrExist) || errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
			return &usageError{err, "name a new file in a folder that can be written"}
		}
		return err
	}
	r.saved = p
	return nil
}
