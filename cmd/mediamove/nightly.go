package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"example.org/mediamove/ledger"
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
