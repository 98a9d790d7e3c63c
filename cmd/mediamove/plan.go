package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"time"

	"github.com/shopspring/decimal"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"example.org/mediamove/costs"
	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/owner"
	"example.org/mediamove/scanner"
	"example.org/mediamove/uploader"
)

// planOptions are what was typed. sync --dry-run fills them in too, so that it says the
// same as plan does.
type planOptions struct {
	common
	settingFlags
	billFlags
	allowLinks, allowEmpty   []string
	before, after, newBucket bool
	join, rate, budget       string
	rateFlag                 string // that set the rate, if not --rate
}

// newPlan makes the command that needs nothing but a tree: no credentials, no bucket.
func newPlan(w *world) *cobra.Command {
	o := new(planOptions)
	c := &cobra.Command{
		Use:   "plan [ROOT]",
		Short: "Say what a sync would do: files, operations, dollars, time; sends nothing",
		Long: `Plan walks ROOT and decides about every file as sync would, with the same code.
It sends no request, needs no credentials, and works while a sync is running.

It prices the sync after what this ledger used in the running billing cycle, and a
normal month after it, and names the levers: where to stop, how to spread the sync
over two cycles, what Mastodon's own tootctl could clear from the cache first. The
account's other use is not known here: Mastodon's own requests, other buckets.

The number of Class A operations is what sync then counts, if files and bucket stay
as they are; where that can't be known without a request, plan says so.` + "\n" + exitHelp,
		Example: `  mediamove plan --env-file /home/mastodon/live/.env.production /home/mastodon/live/public/system
  mediamove plan --cycle-day 15 --budget 6.00 ROOT   which lever keeps the bill under $6
  mediamove plan --rate 5MB ROOT                     how long over a line of 40 Mbit/s`,
		Args: wantArgs(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error { return runPlan(c.Context(), w, o, args) },
	}
	o.addFlags(c.Flags())
	return c
}

func (o *planOptions) addFlags(fs *pflag.FlagSet) {
	o.common.addFlags(fs)
	o.settingFlags.addFlags(fs)
	o.billFlags.addFlags(fs)
	fs.StringVar(&o.budget, "budget", "", "mark what keeps the billing cycle's bill within `USD`, such as 6.00")
	fs.StringVar(&o.rate, "rate", "", "reckon the time with this upload `RATE` in bytes per second: 20MB is 20,000,000")
	fs.StringVar(&o.join, "join", "", "`ID`: plan to join a bucket that another ledger or tool filled")
	fs.BoolVar(&o.newBucket, "new-bucket", false, "plan to begin with another bucket and a new ledger")
	fs.BoolVar(&o.after, "after-switch", false, "plan as after the switch (as S3_ENABLED=true)")
	fs.BoolVar(&o.before, "before-switch", false, "plan as before the switch")
	fs.StringSliceVar(&o.allowLinks, "allow-link", nil, "enter this top `FOLDER` although it is a link to another disk")
	fs.StringSliceVar(&o.allowEmpty, "allow-empty", nil, "go on although this top `FOLDER` has lost all its files")
}

// A planSetting is what was typed, understood.
type planSetting struct {
	*planOptions
	settings mastodon.Settings
	mode     owner.Switch
	tariff   tariff
	budget   *decimal.Decimal // US dollars; nil: none
	rate     int64            // bytes per second; 0: none
	now      time.Time
}

// understand finds what was mistyped before the tree is walked, which can take minutes.
func (o *planOptions) understand(w *world) (s planSetting, err error) {
	s = planSetting{planOptions: o, now: w.time()}
	if s.settings, err = o.resolve(w, o.settingFlags); err != nil {
		return s, err
	}
	if s.mode, err = switchMode(s.settings, o.before, o.after); err != nil {
		return s, err
	}
	if s.tariff, err = o.tariff(); err != nil {
		return s, err
	}
	if s.rate, err = parseRate(o.rate); errors.Is(err, errRate) {
		name := cmp.Or(o.rateFlag, "--rate")
		return s, usagef("decimal bytes per second, for instance "+name+" 20MB", "%s %q: %w", name, o.rate, errRate)
	}
	if o.budget != "" {
		usd, err := parseUSD("--budget", o.budget)
		if err != nil {
			return s, err
		}
		s.budget = &usd
	}
	return s, checkEmpty(o.allowEmpty)
}

// runPlan prints the plan of a sync that would be refused too. It ends with the refusal
// then, so that the exit status is the one sync would have.
func runPlan(ctx context.Context, w *world, o *planOptions, args []string) (err error) {
	s, err := o.understand(w)
	if err != nil {
		return err
	}
	tree, err := openTree(args, s.settings, o.allowLinks, w.logger(o.verbose))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tree.Close()) }()
	dir, err := o.stateDir(w)
	if err != nil {
		return err
	}
	f, err := s.look(ctx, dir, tree)
	if err != nil {
		return err
	}
	r := s.report(f, tree.Root(), syncCommand(o.fs, args))
	if r.took = w.time().Sub(s.now); o.json {
		err = printJSON(w.stdout, r.json())
	} else {
		_, err = io.WriteString(w.stdout, r.screen())
	}
	return errors.Join(f.Refused, err)
}

// A foresight is what a plan comes to, and what it rests on.
// used are this cycle's requests by UTC day, stored the bytes in the bucket by day, both
// as far as this ledger knows them.
type foresight struct {
	uploader.Plan
	before   int64 // the sync's Class A before its first file
	joining  bool
	unsure   []string        // why the sync's Class A may come out otherwise
	recorded uploader.Totals // objects in the bucket, by the ledger
	used     map[costs.Day]costs.Usage
	stored   costs.Storage
	speed    speed
}

// look walks the tree and decides with the ledger, if there is one.
// It takes no lock, so a plan can be made while a sync runs.
func (s *planSetting) look(ctx context.Context, dir string, tree *scanner.Tree) (f foresight, err error) {
	led, err := ledger.OpenReader(ctx, dir)
	if errors.Is(err, ledger.ErrNoLedger) {
		c := s.claim(ledger.Identity{}, true)
		f.trust(c, s.join != "")
		f.Plan, err = uploader.MakePlan(ctx, ledger.AllNew(tree.Files(ctx)), s.policy(ledger.Identity{}, c))
		return f, err
	}
	if err != nil {
		return f, stateError(dir, err)
	}
	defer func() { err = errors.Join(err, led.Close()) }()
	return s.lookWith(ctx, led, tree)
}

// policy is what a sync would go by, but for what its ledger holds.
// The ledger remembers the switch: only --before-switch takes it back.
func (s *planSetting) policy(id ledger.Identity, c claim) uploader.PlanOptions {
	o := uploader.PlanOptions{Policy: uploader.DefaultPolicy(0), Prefix: prefix(s.settings.KeyPrefix), Now: s.now, Before: c.requests}
	o.Policy.Switched = s.mode == owner.After || s.mode != owner.Before && !id.SwitchedAt.IsZero()
	o.Joining = s.join != "" || id.Joining
	return o
}
