package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"example.org/mediamove/costs"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
	"example.org/mediamove/owner"
	"example.org/mediamove/scanner"
	"example.org/mediamove/uploader"
)

type planOptions struct {
	common
	settingFlags
	allowLinks    []string
	before, after bool
}

func newPlan(w *world) *cobra.Command {
	o := new(planOptions)
	c := &cobra.Command{
		Use:   "plan [ROOT]",
		Short: "Say what a sync would do: files, operations, dollars; sends nothing",
		Long: `Plan walks ROOT and decides about every file as sync would, with the same code.
It sends no request, needs no credentials, and works while a sync is running.` + "\n" + exitHelp,
		Args: wantArgs(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error { return runPlan(c.Context(), w, o, args) },
	}
	o.addFlags(c.Flags())
	return c
}

func (o *planOptions) addFlags(fs *pflag.FlagSet) {
	o.common.addFlags(fs)
	o.settingFlags.addFlags(fs)
	fs.BoolVar(&o.after, "after-switch", false, "plan as after the switch (as S3_ENABLED=true)")
	fs.BoolVar(&o.before, "before-switch", false, "plan as before the switch")
	fs.StringSliceVar(&o.allowLinks, "allow-link", nil, "enter this top `FOLDER` although it is a link to another disk")
}

func runPlan(ctx context.Context, w *world, o *planOptions, args []string) (err error) {
	settings, err := o.resolve(w, o.settingFlags)
	if err != nil {
		return err
	}
	mode, err := switchMode(settings, o.before, o.after)
	if err != nil {
		return err
	}
	tree, err := openTree(args, settings, o.allowLinks, w.logger(o.verbose))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tree.Close()) }()
	began := time.Now()
	p, err := o.plan(ctx, w, tree, mode)
	if err != nil {
		return err
	}
	r := &planReport{p, tree.Root(), time.Since(began), planCost(p.Sync)}
	if o.json {
		err = printJSON(w.stdout, r.json())
	} else {
		_, err = io.WriteString(w.stdout, r.screen())
	}
	return errors.Join(p.Refused, err)
}

// plan decides with the ledger, if there is one.
func (o *planOptions) plan(ctx context.Context, w *world, tree *scanner.Tree, mode owner.Switch) (_ uploader.Plan, err error) {
	policy := uploader.DefaultPolicy(0)
	policy.Switched = mode == owner.After
	dir, err := o.stateDir(w)
	if err != nil {
		return uploader.Plan{}, err
	}
	led, err := ledger.OpenReader(ctx, dir)
	if errors.Is(err, ledger.ErrNoLedger) {
		return uploader.MakePlan(ctx, ledger.AllNew(tree.Files(ctx)), policy, true)
	}
	if err != nil {
		return uploader.Plan{}, stateError(dir, err)
	}
	defer func() { err = errors.Join(err, led.Close()) }()
	last, err := led.LastWalk(ctx)
	if err != nil {
		return uploader.Plan{}, err
	}
	if err := uploader.CheckEmptied(ctx, tree, last, nil); err != nil {
		return uploader.Plan{}, err
	}
	id, err := led.Identity(ctx)
	if err != nil {
		return uploader.Plan{}, err
	}
	policy.LastWalk = last.Began
	policy.Switched = policy.Switched || (mode != owner.Before && !id.SwitchedAt.IsZero())
	return uploader.MakePlan(ctx, led.Pending(ctx, tree.Files(ctx)), policy, !id.Probed)
}

// planCost prices the operations alone, inside an otherwise empty month.
func planCost(u costs.Usage) decimal.Decimal {
	return costs.Standard().Bill(u, decimal.Zero).Total
}

type planReport struct {
	uploader.Plan
	root string
	took time.Duration
	cost decimal.Decimal
}

type classJSON struct {
	Files       int64 `json:"files"`
	Bytes       int64 `json:"bytes"`
	CachedFiles int64 `json:"cached_files"`
	CachedBytes int64 `json:"cached_bytes"`
}

type opsJSON struct {
	ClassA   int64       `json:"class_a"`
	ClassB   int64       `json:"class_b"`
	Requests costs.Usage `json:"requests"`
}

type planJSON struct {
	Schema  string                    `json:"schema"`
	Files   uploader.Files            `json:"files"`
	Exposed int64                     `json:"exposed"`
	Outside int64                     `json:"outside"`
	Refused bool                      `json:"refused"`
	Bytes   map[media.Class]classJSON `json:"bytes"`
	Sync    opsJSON                   `json:"sync"`
	Verify  opsJSON                   `json:"verify"`
	CostUSD string                    `json:"cost_usd"`
}

func (r *planReport) json() planJSON {
	classes := make(map[media.Class]classJSON)
	for name, c := range r.Classes {
		classes[name] = classJSON(*c)
	}
	verify := r.verify()
	return planJSON{
		"mediamove.plan/1", r.Files, r.Exposed, r.Outside, r.Refused != nil, classes,
		opsJSON{r.Sync.A(), r.Sync.B(), r.Sync},
		opsJSON{verify.A(), verify.B(), verify},
		r.cost.StringFixed(2),
	}
}

// verify is one pass over the listing afterwards: 1,000 keys a page.
func (r *planReport) verify() (u costs.Usage) {
	keys := r.Pending + r.Present + r.Changed + 1 // and the owner mark
	u[costs.ListObjects] = (keys + 999) / 1000
	u[costs.GetObject] = 1
	return u
}

func (r *planReport) screen() string {
	var b strings.Builder
	if r.Refused != nil {
		_, _ = fmt.Fprintf(&b, "REFUSED: sync would stop before it sends anything: %v\n\n", r.Refused)
	}
	_, _ = fmt.Fprintf(&b, "plan for %s   %s looked at in %s\n\n", quoteKey(r.root), files(r.Seen), span(r.took))
	r.printClasses(&b)
	r.printOthers(&b)
	verify := r.verify()
	_, _ = fmt.Fprintf(&b, "\n  sync     Class A %s   Class B %s   $%s in a month without other operations\n", count(r.Sync.A()), count(r.Sync.B()), r.cost.StringFixed(2))
	_, _ = fmt.Fprintf(&b, "  verify   Class A %s   Class B %s   one pass over the bucket's listing afterwards\n", count(verify.A()), count(verify.B()))
	switch {
	case r.Refused != nil:
	case r.Pending == 0:
		b.WriteString("\nnothing was sent, and nothing is left to send\n")
	default:
		b.WriteString("\nnothing was sent. To move: mediamove sync\n")
	}
	return b.String()
}

func (r *planReport) printClasses(b *strings.Builder) {
	if r.Pending == 0 {
		return
	}
	const row = "  %-22s %12s %10s   %12s %10s\n"
	var cachedFiles, cachedBytes int64
	_, _ = fmt.Fprintf(b, row, "to send", "files", "bytes", "in cache/", "bytes")
	for _, name := range slices.Sorted(maps.Keys(r.Classes)) {
		c := r.Classes[name]
		_, _ = fmt.Fprintf(b, row, name, count(c.Files), size(c.Bytes), count(c.CachedFiles), size(c.CachedBytes))
		cachedFiles, cachedBytes = cachedFiles+c.CachedFiles, cachedBytes+c.CachedBytes
	}
	_, _ = fmt.Fprintf(b, row, "together", count(r.Pending), size(r.Bytes), count(cachedFiles), size(cachedBytes))
	b.WriteString("\n")
}

func (r *planReport) printOthers(b *strings.Builder) {
	for _, row := range []struct {
		name string
		n    int64
	}{
		{"present, proven earlier", r.Present},
		{"held back: not public on disk", r.HeldBack},
		{"EXPOSED: moved earlier, hidden now", r.Exposed},
		{"known, but changed on disk", r.Changed},
		{"left: after the switch", r.Left},
		{"names that can't be a key", r.Failed},
		{"outside Mastodon's folders", r.Outside},
		{"unreadable", r.Unreadable},
		{"links, FIFOs, devices", r.Links + r.Special},
	} {
		if row.n > 0 {
			_, _ = fmt.Fprintf(b, "  %-34s %13s\n", row.name, count(row.n))
		}
	}
}
