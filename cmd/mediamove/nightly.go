package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/costs"
	"example.org/mediamove/ledger"
	"example.org/mediamove/owner"
)

type nightlyOptions struct {
	cleanFlags
	budgetFlags
	apply       bool
	takeOver    bool
	metricsFile string
	orphanTrash trashFlags
}

func newNightly(w *world) *cobra.Command {
	o := new(nightlyOptions)
	c := &cobra.Command{
		Use:   "nightly",
		Short: "Everything that a night needs, for the timer: orphans, prune, leftovers, metrics",
		Long: `Nightly looks at the mark and the database, lists the bucket once for all of its jobs,
and then, with --apply: removes orphans within their ceilings, prunes the cache to
--budget, aborts uploads in parts that a killed run of this ledger left behind (never
anybody else's), empties the trash of what is too old, and writes the metrics. Without
--apply it only reports.

A guard that refuses forbids every deletion of the night; reports and metrics are still
made. A ceiling forbids only the orphans, and so does a trash that is full or can't be
used. On a host that the mark does not name it does nothing and says so in one line;
--take-over moves the work to this host.
` + exitHelp,
		Example: `  mediamove nightly --budget 100GB             what it would do
  mediamove nightly --budget 100GB --apply --metrics-file /var/lib/node_exporter/mediamove.prom`,
		Args: wantNothing("nightly takes no argument"),
		RunE: func(c *cobra.Command, _ []string) error { return runNightly(c.Context(), w, o) },
	}
	o.addFlags(c.Flags())
	return c
}

func (o *nightlyOptions) addFlags(fs *pflag.FlagSet) {
	o.cleanFlags.addFlags(fs)
	o.budgetFlags.addFlags(fs)
	fs.DurationVar(&o.minAge, "prune-min-age", pruneAge, "leave alone attachments that were fetched more recently")
	fs.BoolVar(&o.apply, "apply", false, "remove and clear; without it only report")
	fs.BoolVar(&o.takeOver, "take-over", false, "make this host the one that cleans")
	fs.StringVar(&o.metricsFile, "metrics-file", "", "write Prometheus metrics to `FILE`, for node_exporter's textfile collector")
	fs.StringVar(&o.orphanTrash.dir, "trash", "", "keep copies of orphans in `DIR` (default STATE/trash); \"none\" keeps none")
	fs.StringVar(&o.orphanTrash.max, "trash-max", "5GB", "bytes that the trash may hold; what does not fit is not removed")
}

// A nightlyReport is the end of a night.
type nightlyReport struct {
	c        *cleaning
	o        *nightlyOptions
	budget   cleanup.Budget
	sweep    *sweep
	orphans  *orphansReport
	prune    *pruneReport
	aborted  int   // uploads in parts
	forgot   int64 // rows that the journal keeps no longer
	errs     []error
	forecast *forecastJSON
	seconds  float64
}

func runNightly(ctx context.Context, w *world, o *nightlyOptions) (err error) {
	if o.budget == "" {
		return usagef("for instance --budget 100GB", "--budget is missing: how many bytes may the bucket hold?")
	}
	budget, err := o.parse()
	if err != nil {
		return err
	}
	if _, err := parseSize("--trash-max", o.orphanTrash.max); err != nil {
		return err
	}
	if o.metricsFile != "" {
		if o.metricsFile, err = checkMetricsFile(o.metricsFile); err != nil {
			return err
		}
	}
	c, err := o.begin(ctx, w, "nightly")
	if errors.Is(err, ledger.ErrNoLedger) && !o.takeOver && o.elsewhere(ctx, w) {
		return w.notHere()
	}
	if err != nil {
		return o.unbegun(ctx, w, budget, err)
	}
	if mine, err := o.mine(ctx, w, c); !mine {
		return err
	}
	if err := c.openDatabase(ctx, w); err != nil {
		return o.unbegun(ctx, w, budget, c.abandon(ctx, err))
	}
	defer func() { err = also(err, c.close()) }()
	r := &nightlyReport{c: c, o: o, budget: budget}
	return c.told(r.run(ctx, w))
}

// mine reports whether this host is the one that cleans. Another one ends the run here,
// in order: a timer runs on every host.
func (o *nightlyOptions) mine(ctx context.Context, w *world, c *cleaning) (bool, error) {
	b := c.sight.Mark.Binding
	if b == nil || o.takeOver {
		return true, nil
	}
	machine, _ := w.machine()
	if machine != "" && b.Host == owner.HostHash(c.sight.Mark.BucketID, machine) {
		return true, nil
	}
	return false, errors.Join(w.notHere(), c.finish(ctx, ledger.RunEnd{Complete: true}), c.close())
}

// elsewhere reports whether the mark names another host, where there is no ledger yet.
func (o *nightlyOptions) elsewhere(ctx context.Context, w *world) bool {
	settings, err := o.resolve(w, o.settingFlags)
	if err != nil {
		return false
	}
	bucket, err := w.bucket(settings, o.access, new(costs.Meter), w.logger(o.verbose))
	if err != nil {
		return false
	}
	defer bucket.Close()
	mark, err := owner.ReadMark(ctx, bucket, settings.Bucket)
	machine, _ := w.machine()
	return err == nil && mark.Binding != nil && machine != "" && mark.Binding.Host != owner.HostHash(mark.BucketID, machine)
}

// notHere is all that is said on a host that the mark does not name.
func (w *world) notHere() error {
	_, err := fmt.Fprintln(w.stdout, "nightly: another host cleans this bucket; nothing to do here (to move it: mediamove nightly --take-over)")
	return err
}

func (r *nightlyReport) run(ctx context.Context, w *world) error {
	side, stopSide := context.WithCancel(context.WithoutCancel(ctx))
	r.c.books.Go(func() { r.c.saveUsage(side) })
	err := r.steps(ctx, side, w)
	stopSide()
	r.c.books.Wait()
	r.note(err)
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
	if why := r.sweep.refused(); why != nil || !r.o.apply {
		r.prune.PruneReport, err = r.sweep.cache.WeighWithin(ctx, r.budget, r.sweep.found.Scan.All, orphansOf(r.sweep.found), max(cleanup.MaxShare, r.o.share))
		if err == nil && r.o.apply {
			r.orphans.expired = r.o.orphanTrash.expire(ctx, r.c) // what people deleted doesn't stay because of a guard
			r.note(r.maintain(ctx))
			err = why
		}
		return err
	}
	return r.effects(ctx)
}

// effects removes orphans, then prunes: an orphan that goes makes room for cache.
func (r *nightlyReport) effects(ctx context.Context) error {
	settled, err := r.prune.pruner().Settle(ctx)
	if r.sweep.settled += settled; err != nil {
		return err
	}
	switch err = r.orphans.o.remove(ctx, r.orphans, r.sweep, nil); {
	case err == nil:
	case trashAlone(ctx, err): // of the orphans only, as a ceiling is
		r.orphans.err = err
		r.note(err)
	default:
		r.orphans.err = err
		return err
	}
	r.note(r.orphans.refusal) // a ceiling: of the orphans only
	if r.orphans.left() > 0 {
		r.note(&somethingLeft{"not all orphans that may go are gone"})
	}
	used, orphans := r.sweep.found.Scan.All, orphansOf(r.sweep.found)
	used = cleanup.Sum{Objects: used.Objects - r.orphans.removed.Objects, Bytes: used.Bytes - r.orphans.removed.Bytes}
	orphans = cleanup.Sum{Objects: orphans.Objects - r.orphans.removed.Objects, Bytes: orphans.Bytes - r.orphans.removed.Bytes}
	if r.prune.PruneReport, err = r.sweep.cache.WeighWithin(ctx, r.budget, used, orphans, max(cleanup.MaxShare, r.o.share)); err != nil {
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
	return errors.Join(r.leftovers(ctx), r.maintain(ctx))
}

func (r *nightlyReport) takeOver(ctx context.Context) error {
	b := r.c.sight.Mark.Binding
	if b == nil || b.Database != r.c.tie.Database {
		return &owner.RefusedError{
			Reason: "the mark does not name this database, so there is nothing to take over",
			Hint:   "mediamove bind, which shows how well database and bucket fit",
		}
	}
	mark, err := owner.Bind(ctx, r.c.bucket, r.c.ledger, r.c.ownerOptions(r.o.access), owner.BindRequest{
		Database: r.c.tie.Database, Host: r.c.tie.Host, TakeOver: true,
	})
	if err == nil {
		r.c.sight.Mark = mark
	}
	return err
}

func (r *nightlyReport) orphanOptions() *orphansOptions {
	return &orphansOptions{cleanFlags: r.o.cleanFlags, apply: r.o.apply, minAge: cleanup.MinAge, limits: cleanup.Ceilings(), trash: r.o.orphanTrash}
}

func (r *nightlyReport) pruneOptions() *pruneOptions {
	return &pruneOptions{cleanFlags: r.o.cleanFlags, budgetFlags: r.o.budgetFlags, apply: r.o.apply, trash: trashFlags{dir: noTrash, max: "5GB"}}
}

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
