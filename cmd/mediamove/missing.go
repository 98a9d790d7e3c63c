package main

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/scanner"
)

type missingOptions struct {
	cleanFlags
	heal, null, withdraw bool
	list                 bool
	save, applyPlan      string
	share                float64
	minAge               time.Duration
	trash                trashFlags // of what is withdrawn
}

func newMissing(w *world) *cobra.Command {
	o := new(missingOptions)
	c := &cobra.Command{
		Use:   "missing [ROOT]",
		Short: "Rows whose objects are not in the bucket, and objects that should be hidden: find them, and heal",
		Long: `Missing lists the bucket once (one Class A per 1,000 objects), reads every row, and
asks for each object that a row needs and the listing lacks by name (one Class B each;
it says how many before). Only what the bucket then answers 404 for, and whose row still
needs it, is missing. It tells whose it is, why, as far as the ledger knows, and whether
disk or trash still have it. Rows that are being processed, or are younger than
--min-age, are left out. Without flags nothing is changed.

--heal puts back from ROOT or the trash what a row needs, if right before that its
account is not suspended and its post was not removed. Bytes must be those that were
moved, where the ledger knows them; nothing is ever overwritten.

--null-remote clears the columns of other servers' attachments whose original nobody
has, as Mastodon's own cleaner does, so that Mastodon fetches them again when somebody
looks. Never emoji, avatars, headers, or anything of local users. To look first: --save
FILE, then --apply-plan FILE.

It also finds objects that should not be public: of accounts that were suspended and
posts that a moderator removed since, and before the switch of files that were hidden on
disk after they were moved. R2 can't hide them; --withdraw moves them into a trash of
their own (STATE/withdrawn, 90 days). mediamove undo RUN puts them back, and so does
--heal once Mastodon shows them again.
` + exitHelp,
		Example: `  mediamove missing                              look, and change nothing
  mediamove missing --list                       a line for each missing object
  mediamove missing --heal /mnt/old/public/system
  mediamove missing --null-remote                let Mastodon fetch again what is lost
  mediamove missing --withdraw                   hide what suspended accounts have`,
		Args: wantArgs(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error { return runMissing(c.Context(), w, o, args) },
	}
	o.addFlags(c.Flags())
	return c
}

func (o *missingOptions) addFlags(fs *pflag.FlagSet) {
	o.cleanFlags.addFlags(fs)
	fs.BoolVar(&o.heal, "heal", false, "put back from disk or trash what a row needs")
	fs.BoolVar(&o.null, "null-remote", false, "clear rows of other servers' attachments whose original is lost, so that Mastodon fetches it again")
	fs.BoolVar(&o.withdraw, "withdraw", false, "move objects that should be hidden out of the bucket, into a trash")
	fs.BoolVar(&o.list, "list", false, "print a line for each missing object, and each that should be hidden, in place of the totals")
	fs.StringVar(&o.save, "save", "", "write the plan of --null-remote to `FILE`, which must not exist; clear nothing")
	fs.StringVar(&o.applyPlan, "apply-plan", "", "clear the rows of the plan in `FILE` that are still lost, once")
	fs.Float64Var(&o.share, "allow-share", cleanup.MaxShare, "per cent of the other servers' attachments that --null-remote may clear in one run")
	fs.DurationVar(&o.minAge, "min-age", cleanup.MinAge, "leave out rows and files that are younger, by the server's clock")
	fs.StringVar(&o.trash.dir, "trash", "", "keep withdrawn objects in `DIR` (default STATE/withdrawn), and look for copies there too")
	fs.StringVar(&o.trash.max, "trash-max", "20GB", "bytes that this trash may hold; what does not fit is not withdrawn")
}

// checkMissing refuses flags that can't be meant.
func (o *missingOptions) checkMissing() (err error) {
	switch {
	case o.save != "" && o.applyPlan != "":
		return usagef("type only one of them", "--save and --apply-plan are different runs")
	case o.fs.Changed("save") && o.save == "", o.fs.Changed("apply-plan") && o.applyPlan == "":
		return usagef("name the plan's file", "--save and --apply-plan want a file")
	case o.null && (o.save != "" || o.applyPlan != ""):
		return usagef("leave --null-remote out: a plan is of it", "--null-remote clears at once; --save writes its plan, --apply-plan applies one")
	case o.list && (o.changes() || o.save != ""):
		return usagef("first the one, then the other", "--list tells what a look has found, and not what became of it")
	case o.minAge < leastAge:
		return usagef("Mastodon commits the row before or after its upload", "--min-age %v: at least %v", o.minAge, leastAge)
	case !(o.share >= 0 && o.share <= 100):
		return usagef("from 0 to 100", "--allow-share wants per cent")
	case o.trash.dir == noTrash:
		return usagef("name a folder, or leave it out", "--trash none: what is withdrawn is always kept")
	case o.trash.dir != "" && !o.withdraw && !isFolder(o.trash.dir):
		return usagef("is its disk mounted?", "--trash %s: there is no such folder", o.trash.dir)
	}
	if _, err = parseSize("--trash-max", o.trash.max); err != nil {
		return err
	}
	o.trash.base, o.trash.keep = withdrawnFolder, cleanup.WithdrawKeep
	if o.save != "" {
		o.save, err = filepath.Abs(o.save)
	}
	return err
}

// changes reports whether this run is to have effects.
func (o *missingOptions) changes() bool { return o.heal || o.null || o.withdraw || o.applyPlan != "" }

func runMissing(ctx context.Context, w *world, o *missingOptions, args []string) (err error) {
	if err := o.checkMissing(); err != nil {
		return err
	}
	var plan *cleanup.PlanFile
	if o.applyPlan != "" {
		if plan, err = cleanup.OpenPlan(o.applyPlan); err != nil {
			return err
		}
		if plan.Schema != cleanup.MissingPlanSchema {
			return usagef("mediamove orphans or mediamove prune --apply-plan "+o.applyPlan, "this is a plan of another command: nothing was done")
		}
		o.minAge, o.share = time.Duration(plan.MinAge), plan.AllowShare
	}
	c, err := o.begin(ctx, w, "missing")
	if err != nil {
		return err
	}
	if c.tree, err = o.root(args, c.settings, w); err == nil && c.tree != nil {
		err = checkState(c.dir, c.tree.Root())
	}
	if err != nil {
		return c.abandon(ctx, err)
	}
	if err := c.openDatabase(ctx, w); err != nil {
		return c.abandon(ctx, err)
	}
	defer func() { err = also(err, c.close()) }()
	r := &missingReport{c: c, o: o}
	return c.told(r.run(ctx, w, plan))
}

// root opens the media root. One that is only in the settings may be gone: after the
// switch the disk is freed one day.
func (o *missingOptions) root(args []string, s mastodon.Settings, w *world) (*scanner.Tree, error) {
	if len(args) == 0 && s.RootPath == "" {
		return nil, nil
	}
	tree, err := openTree(args, s, nil, w.logger(o.verbose))
	if len(args) == 0 && errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return tree, err
}
