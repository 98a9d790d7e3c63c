package main

import (
	"context"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/mastodon"
)

// budgetFlags say how much the bucket may hold.
type budgetFlags struct {
	budget, target string
	minAge         time.Duration
	share          float64
}

const (
	pruneAge = 7 * 24 * time.Hour  // attachments that are younger stay
	cardAge  = 30 * 24 * time.Hour // preview cards: they come back only when the link is posted again
)

func (o *budgetFlags) addFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.budget, "budget", "", "the bucket may hold so many `BYTES`: 100GB is 100,000,000,000, 100GiB is 107,374,182,400")
	fs.StringVar(&o.target, "target", "", "if it holds more, go down to so many `BYTES` (default 95 % of the budget)")
	fs.Float64Var(&o.share, "allow-share", 0, "let one run clear up to so many `PERCENT` of the cache (default 20)")
}

// parse checks both numbers against each other.
func (o *budgetFlags) parse() (b cleanup.Budget, err error) {
	if b.Bytes, err = parseBudget("--budget", o.budget); err != nil {
		return b, err
	}
	b.Target = b.Bytes / 100 * 95
	if o.target != "" {
		if b.Target, err = parseBudget("--target", o.target); err != nil {
			return b, err
		}
	}
	switch {
	case b.Target > b.Bytes:
		return b, usagef("for instance --budget 100GB --target 95GB", "--target is above --budget")
	case !(o.share >= 0) || o.share > 100: // NaN is neither
		return b, usagef("per cent of the cache, for instance --allow-share 40", "--allow-share %g", o.share)
	case o.minAge < pruneLeast:
		return b, usagef("what was fetched a moment ago is what people look at", "--min-age %v: at least %v", o.minAge, pruneLeast)
	}
	return b, nil
}

// parseBudget reads a size that people know by its unit: 100 is never meant.
func parseBudget(flag, s string) (int64, error) {
	n, err := parseSize(flag, s)
	if err == nil && !strings.HasSuffix(strings.TrimSpace(s), "B") {
		return 0, usagef("spell the unit out: 5GB is 5,000,000,000 bytes, 5GiB is 5,368,709,120", "%s %q: in which unit?", flag, s)
	}
	return n, err
}

// pruneLeast is the least age of an attachment that may be cleared.
const pruneLeast = 24 * time.Hour

func (o *budgetFlags) rule(now time.Time) mastodon.PruneRule {
	return mastodon.PruneRule{Before: now.Add(-o.minAge), CardsBefore: now.Add(-max(cardAge, o.minAge))}
}

type pruneOptions struct {
	cleanFlags
	budgetFlags
	save, applyPlan string
	apply           bool
	trash           trashFlags
}

func newPrune(w *world) *cobra.Command {
	o := new(pruneOptions)
	c := &cobra.Command{
		Use:   "prune",
		Short: "Remote cache down to a byte budget: what other servers still have goes first",
		Long: `Prune lists the bucket once (one Class A per 1,000 objects). If it holds more than
--budget, it works out what has to go to reach --target, and --apply clears it: first
the columns of the rows, as Mastodon's own cleaner does, so that Mastodon fetches a file
again when somebody looks at it; ten minutes later the objects.

What goes first: other servers' attachments before preview cards (older than 30 days);
the older week first, by when it was fetched; within a week the larger first. Never
what a local user favourited, bookmarked, boosted, replied to, quoted or reported, what
is younger than --min-age, or what its server can't give again. Avatars, headers and
emoji stay: they don't come back by themselves. Local users' files can't be touched: not
by the query, not by the policy, not by the role in docs/grants.sql.

Orphans are counted apart; no cache is cleared in their place.
` + exitHelp,
		Example: `  mediamove prune --budget 100GB                    what would go, and what it does to people
  mediamove prune --budget 100GB --target 90GB --apply
  mediamove prune --budget 100GB --save plan.json   look first; then --apply-plan plan.json`,
		Args: wantNothing("a plan is applied by: mediamove prune --apply-plan FILE; --apply takes no value"),
		RunE: func(c *cobra.Command, _ []string) error { return runPrune(c.Context(), w, o) },
	}
	o.addFlags(c.Flags())
	return c
}

func (o *pruneOptions) addFlags(fs *pflag.FlagSet) {
	o.cleanFlags.addFlags(fs)
	o.budgetFlags.addFlags(fs)
	fs.DurationVar(&o.minAge, "min-age", pruneAge, "leave alone attachments that were fetched more recently")
	fs.StringVar(&o.save, "save", "", "write the plan to `FILE`, which must not exist; clear nothing")
	fs.StringVar(&o.applyPlan, "apply-plan", "", "apply the plan in `FILE`, once")
	fs.BoolVar(&o.apply, "apply", false, "clear what has to go")
	fs.StringVar(&o.trash.dir, "trash", noTrash, "keep copies in `DIR`; none are kept by default, as all of it can be fetched again")
	fs.StringVar(&o.trash.max, "trash-max", "5GB", "bytes that the trash may hold; what does not fit is not removed")
}

func (o *pruneOptions) check() (b cleanup.Budget, err error) {
	modes := 0
	for _, asked := range []bool{o.apply, o.save != "", o.applyPlan != ""} {
		if asked {
			modes++
		}
	}
	switch {
	case modes > 1:
		return b, usagef("type only one of them", "--apply, --save and --apply-plan are different runs")
	case o.fs.Changed("apply-plan") && o.applyPlan == "", o.fs.Changed("save") && o.save == "":
		return b, usagef("name the plan's file", "--save and --apply-plan want a file")
	case o.budget == "" && o.applyPlan == "":
		return b, usagef("for instance --budget 100GB", "--budget is missing: how many bytes may the bucket hold?")
	case o.applyPlan != "" && (o.budget != "" || o.target != "" || o.fs.Changed("min-age") || o.fs.Changed("allow-share")):
		return b, usagef("leave them out: the plan has its own", "--budget, --target, --min-age and --allow-share do not go with --apply-plan")
	}
	if o.save != "" {
		if o.save, err = filepath.Abs(o.save); err != nil {
			return b, err
		}
	}
	if _, err = parseSize("--trash-max", o.trash.max); err != nil {
		return b, err
	}
	if o.applyPlan != "" {
		return b, nil
	}
	return o.parse()
}

func runPrune(ctx context.Context, w *world, o *pruneOptions) (err error) {
	budget, err := o.check()
	if err != nil {
		return err
	}
	var plan *cleanup.PlanFile
	if o.applyPlan != "" {
		if plan, err = cleanup.OpenPlan(o.applyPlan); err != nil {
			return err
		}
		if plan.Schema != cleanup.PrunePlanSchema || plan.Budget == nil {
			return usagef("mediamove orphans --apply-plan "+o.applyPlan, "this is no plan of prune: nothing was done")
		}
		budget, o.minAge, o.share = *plan.Budget, time.Duration(plan.MinAge), plan.AllowShare
	}
	c, err := o.begin(ctx, w, "prune")
	if err != nil {
		return err
	}
	if err := c.openDatabase(ctx, w); err != nil {
		return c.abandon(ctx, err)
	}
	defer func() { err = also(err, c.close()) }()
	r := &pruneReport{c: c, o: o, budget: budget}
	return c.told(r.run(ctx, w, plan))
}

// sleep waits, or returns early with the reason why not.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
