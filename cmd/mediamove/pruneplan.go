package main

import (
	"context"
	"iter"

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

// savePlan writes what has to go for a person to look at.
func (r *pruneReport) savePlan(ctx context.Context) error {
	p := r.sweep.plan(ctx, cleanup.PrunePlanSchema, cleanup.Age(r.o.minAge))
	p.Budget, p.AllowShare, p.Candidates, p.Classes = &r.budget, r.o.share, r.Freed, r.Classes
	if err := cleanup.WritePlan(r.o.save, p, cleanup.Objects(r.upto(ctx))); err != nil {
		return planFileError(err)
	}
	r.saved = p
	return nil
}
