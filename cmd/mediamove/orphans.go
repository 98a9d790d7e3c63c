package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/ledger"
)

type orphansOptions struct {
	cleanFlags
	guards    bool
	list      string
	save      string
	applyPlan string
	apply     bool
	allow     int64
	minAge    time.Duration
	limits    cleanup.Limits
	bytes     string
	trash     trashFlags
}

func newOrphans(w *world) *cobra.Command {
	o := new(orphansOptions)
	c := &cobra.Command{
		Use:   "orphans",
		Short: "Objects that no row of the database owns: find them, and remove them in two nights",
		Long: `Orphans lists the bucket once (one Class A per 1,000 objects) and asks the database
about every object: is its row gone, was its file replaced, was the attachment
cleared? It only marks what it finds. What may go was marked by a run at least 20
hours earlier, has not changed since, is older than --min-age by the server's clock,
and belongs to no row on a fresh look at the primary right before it goes.

Keys that are not Mastodon's, archives, imports, and objects of rows that are not
another server's copy are listed (--list unknown, --list review) and never removed.

--apply removes what may go, within the ceilings of a night, for timers. To look
first: --save FILE writes the plan, --apply-plan FILE applies exactly that file, once.
Every object is copied into the trash (STATE/trash, 30 days) before it is removed;
mediamove undo RUN puts it back. Nothing is removed before the switch, before
mediamove bind, or if a guard refuses: --guards lists them.
` + exitHelp,
		Example: `  mediamove orphans                          scan, mark, report
  mediamove orphans --apply                  nightly: remove what was marked before
  mediamove orphans --save plan.json         look at a plan first
  mediamove orphans --apply-plan plan.json   apply exactly that plan
  mediamove orphans --list review            what a person should look at`,
		Args: wantNothing("a plan is applied by: mediamove orphans --apply-plan FILE; --apply takes no value"),
		RunE: func(c *cobra.Command, _ []string) error { return runOrphans(c.Context(), w, o) },
	}
	o.addFlags(c.Flags())
	return c
}

// wantNothing refuses arguments: a file that was meant for another flag must not turn
// one command into another.
func wantNothing(hint string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usagef(hint, "unexpected argument %q: nothing was done", args[0])
		}
		return nil
	}
}

func (o *orphansOptions) addFlags(fs *pflag.FlagSet) {
	o.cleanFlags.addFlags(fs)
	def := cleanup.Ceilings()
	o.limits = def
	fs.BoolVar(&o.guards, "guards", false, "print the guards and their rules, and do nothing else")
	fs.StringVar(&o.list, "list", "", "print what the last scans found of this `KIND`, a line each: orphan, review or unknown")
	fs.StringVar(&o.save, "save", "", "write the plan to `FILE`, which must not exist; remove nothing")
	fs.StringVar(&o.applyPlan, "apply-plan", "", "apply the plan in `FILE`, once")
	fs.BoolVar(&o.apply, "apply", false, "remove what may go, within the ceilings")
	fs.Int64Var(&o.allow, "allow-above", 0, "with --apply-plan: let a plan above the ceilings go, once; the `NUMBER` of its candidates")
	fs.DurationVar(&o.minAge, "min-age", cleanup.MinAge, "leave alone what is younger, by the server's clock")
	fs.Int64Var(&o.limits.Objects, "max-objects", def.Objects, "ceiling of a night: objects of one class")
	fs.Float64Var(&o.limits.Share, "max-share", def.Share, "ceiling of a night: per cent of the objects of one class, but always 20 objects")
	fs.StringVar(&o.bytes, "max-bytes", "5GB", "ceiling of a night: bytes of one class")
	fs.StringVar(&o.trash.dir, "trash", "", "keep copies in `DIR` (default STATE/trash); \"none\" keeps none")
	fs.StringVar(&o.trash.max, "trash-max", "5GB", "bytes that the trash may hold; what does not fit is not removed")
}

// leastAge is below what Mastodon needs: it uploads inside an open transaction.
const leastAge = time.Hour

// checkOrphans refuses flags that can't be meant.
func (o *orphansOptions) checkOrphans() (err error) {
	modes := 0
	for _, asked := range []bool{o.apply, o.save != "", o.applyPlan != "", o.guards, o.list != ""} {
		if asked {
			modes++
		}
	}
	switch {
	case modes > 1:
		return usagef("type only one of them", "--apply, --save, --apply-plan, --list and --guards are different runs")
	case o.fs.Changed("apply-plan") && o.applyPlan == "", o.fs.Changed("save") && o.save == "":
		return usagef("name the plan's file", "--save and --apply-plan want a file")
	case o.allow != 0 && o.applyPlan == "":
		return usagef("write a plan, look at it, then: --apply-plan FILE --allow-above NUMBER", "--allow-above belongs to --apply-plan")
	case o.minAge < leastAge:
		return usagef("Mastodon uploads before it commits the row: an object is visible before it is owned", "--min-age %v: at least %v", o.minAge, leastAge)
	case o.limits.Objects < 1 || !(o.limits.Share > 0) || o.limits.Share > 100 || math.IsNaN(o.limits.Share):
		return usagef("to remove nothing, leave out --apply", "--max-objects wants a number from 1, --max-share one above 0 up to 100")
	case o.list != "" && !ledger.SuspectKind(o.list).Valid():
		return usagef("the kinds: orphan, review, unknown", "--list %q", o.list)
	}
	if o.limits.Bytes, err = parseSize("--max-bytes", o.bytes); err != nil {
		return err
	}
	o.limits.Least = min(o.limits.Least, o.limits.Objects)
	if _, err = parseSize("--trash-max", o.trash.max); err != nil {
		return err
	}
	if o.save != "" {
		o.save, err = filepath.Abs(o.save)
	}
	return err
}

func runOrphans(ctx context.Context, w *world, o *orphansOptions) (err error) {
	if err := o.checkOrphans(); err != nil {
		return err
	}
	switch {
	case o.guards:
		return o.printGuards(w)
	case o.list != "":
		return o.printList(ctx, w)
	}
	var plan *cleanup.PlanFile
	if o.applyPlan != "" {
		if plan, err = cleanup.OpenPlan(o.applyPlan); err != nil {
			return err
		}
		if plan.Schema != cleanup.PlanSchema {
			return usagef("mediamove prune --apply-plan "+o.applyPlan, "this is a plan of prune, not of orphans: nothing was done")
		}
		o.minAge, o.limits = time.Duration(plan.MinAge), plan.Limits
	}
	c, err := o.begin(ctx, w, "orphans")
	if err != nil {
		return err
	}
	if err := c.openDatabase(ctx, w); err != nil {
		return c.abandon(ctx, err)
	}
	defer func() { err = also(err, c.close()) }()
	return c.told(o.run(ctx, w, c, plan))
}

func (o *orphansOptions) printGuards(w *world) error {
	if o.json {
		out := guardsJSON{Schema: "mediamove.guards/1", Guards: []guardJSON{}}
		for _, g := range cleanup.Guards() {
			out.Guards = append(out.Guards, guardJSON{Name: g.Name, Rule: g.Rule})
		}
		out.Guards = append(out.Guards, guardJSON{Name: "ceilings", Rule: ceilingRule(o.limits)})
		return printJSON(w.stdout, out)
	}
	var b strings.Builder
	b.WriteString("Nothing is removed unless each of these lets it pass:\n\n")
	for _, g := range cleanup.Guards() {
		fmt.Fprintf(&b, "  %-17s %s\n", g.Name, g.Rule)
	}
	fmt.Fprintf(&b, "  %-17s %s\n", "ceilings", ceilingRule(o.limits))
	_, err := io.WriteString(w.stdout, b.String())
	return err
}

func ceilingRule(l cleanup.Limits) string {
	return fmt.Sprintf("per class and night: %g %% of its objects, at least %s, at most %s and %s", l.Share, count(l.Least), count(l.Objects), size(l.Bytes))
}

// printList shows what the last scans marked, without a run.
func (o *orphansOptions) printList(ctx context.Context, w *world) (err error) {
	led, err := o.reader(ctx, w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, led.Close()) }()
	p := listPrinter{out: w.stdout, json: o.json}
	if err := p.begin("mediamove.suspects/1", "suspects"); err != nil {
		return err
	}
	for s, err := range led.Suspects(ctx, ledger.SuspectQuery{Kind: ledger.SuspectKind(o.list)}) {
		if err != nil {
			return err
		}
		line := fmt.Sprintf("%s\t%d\t%s\t%s\t%s", s.Kind, s.Size, oneLine(s.Reason), s.First.UTC().Format(time.RFC3339), quoteKey(string(s.Key)))
		if err := p.print(line, suspectOf(&s)); err != nil {
			return err
		}
	}
	return p.end()
}
