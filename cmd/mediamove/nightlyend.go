package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"example.org/mediamove/ledger"
)

// outcome is what stopped the night, or else the first of 2, 4, 1, 3 that occurred.
func (r *nightlyReport) outcome() error {
	for _, err := range r.errs {
		if _, signal := errors.AsType[*stopped](err); signal || errors.Is(err, ledger.ErrLocked) {
			return err
		}
	}
	for _, code := range []int{exitUsage, exitRefused, exitStopped, exitLeft} {
		for _, err := range r.errs {
			if got := exitCode(err); got == code {
				return err
			}
		}
	}
	return errors.Join(r.errs...)
}

// conclude writes down the end of the night, the bucket's day and the metrics, and tells.
func (r *nightlyReport) conclude(ctx context.Context, w *world) error {
	for i := range r.errs {
		r.errs[i] = ended(ctx, r.errs[i])
	}
	ctx = context.WithoutCancel(ctx)
	if r.sweep != nil && r.sweep.found != nil && r.sweep.found.Scan != nil {
		r.note(r.c.ledger.RecordBucket(ctx, r.bucketDay()))
		r.note(r.foresee(ctx))
	}
	runErr := r.outcome()
	counts, err := json.Marshal(r.counts())
	end := ledger.RunEnd{ExitCode: exitCode(runErr), Complete: len(r.errs) == 0, Counts: counts}
	runErr = also(runErr, errors.Join(err, r.c.finish(ctx, end)))
	r.seconds = time.Since(r.c.began).Seconds()
	if r.o.metricsFile != "" {
		runErr = also(runErr, r.writeMetrics(ctx, runErr))
	}
	if r.o.json {
		return also(runErr, printJSON(w.stdout, r.json()))
	}
	screen, err := r.screen(ctx)
	if err == nil {
		_, err = io.WriteString(w.stdout, screen)
	}
	return also(runErr, err)
}

func (r *nightlyReport) counts() map[string]int64 {
	m := map[string]int64{"aborted": int64(r.aborted)}
	if r.orphans != nil {
		m["orphans_removed"] = r.orphans.removed.Objects
	}
	if r.prune != nil {
		m["rows_cleared"], m["pruned"] = r.prune.rows, r.prune.removed.Objects
	}
	if r.keeps() {
		m[keptCount] = r.budget.Bytes
	}
	return m
}
