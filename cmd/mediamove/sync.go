package main

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"path"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
	"example.org/mediamove/uploader"
)

// syncOptions are what was typed. before and after win over the settings.
type syncOptions struct {
	common
	settingFlags
	access
	spendFlags
	bandwidth     string
	before, after bool
	allowLinks    []string
	allowEmpty    []string
	retryFailed   bool
	dryRun        bool
}

func newSync(w *world) *cobra.Command {
	o := new(syncOptions)
	c := &cobra.Command{
		Use:   "sync [ROOT]",
		Short: "Move what is not in the bucket yet; resumable, safe to interrupt",
		Long: `Sync walks ROOT (public/system; default PAPERCLIP_ROOT_PATH), asks the ledger what
is new, and sends each new file once, on condition that the key does not exist.
Local users' media go before the remote cache. Run it again after any end: what
is proven costs no request.

Held back, because R2 would publish them: backups/, imports/, and every file that
neither group nor others may read.` + "\n" + exitHelp,
		Example: `  mediamove sync --env-file /home/mastodon/live/.env.production /home/mastodon/live/public/system
  mediamove sync --dry-run ROOT      what would be done, and what it costs
  mediamove sync --bwlimit 20MB --max-class-a 900000 ROOT
  mediamove sync --max-cost 0 ROOT   end before the free million of the month is used up`,
		Args: wantArgs(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error { return runSync(c.Context(), w, o, args) },
	}
	o.addFlags(c.Flags())
	return c
}

func (o *syncOptions) addFlags(fs *pflag.FlagSet) {
	o.common.addFlags(fs)
	o.settingFlags.addFlags(fs)
	o.access.addFlags(fs)
	fs.StringVar(&o.bandwidth, "bwlimit", "", "bound the upload `RATE` in bytes per second: 20MB is 20,000,000")
	o.spendFlags.addFlags(fs)
	fs.StringVar(&o.join, "join", "", "`ID`: join a bucket that another ledger or tool filled, and adopt what is there")
	fs.BoolVar(&o.newBucket, "new-bucket", false, "put the old ledger aside and begin with another bucket")
	fs.BoolVar(&o.after, "after-switch", false, "Mastodon writes to the bucket already (as S3_ENABLED=true)")
	fs.BoolVar(&o.before, "before-switch", false, "take back an earlier --after-switch or S3_ENABLED=true")
	fs.StringSliceVar(&o.allowLinks, "allow-link", nil, "enter this top `FOLDER` although it is a link to another disk")
	fs.StringSliceVar(&o.allowEmpty, "allow-empty", nil, "go on although this top `FOLDER` has lost all its files")
	fs.BoolVar(&o.retryFailed, "retry-failed", false, "try again what failed, without a walk")
	fs.BoolVar(&o.dryRun, "dry-run", false, "decide about every file, send nothing (as plan)")
}

// runSync finds what is wrong with flags, settings and tree before the run is begun: what
// never began needs no line in the ledger.
func runSync(ctx context.Context, w *world, o *syncOptions, args []string) (err error) {
	if err := o.check(); err != nil {
		return err
	}
	if err := o.bound(&o.access); err != nil {
		return err
	}
	if o.dryRun {
		if o.retryFailed {
			return usagef("mediamove status --list failed shows what would be tried", "--dry-run walks the tree, --retry-failed does not: type only one of them")
		}
		return runPlan(ctx, w, o.plan(), args)
	}
	settings, err := o.resolve(w, o.settingFlags)
	if err != nil {
		return err
	}
	if err := needSettings(settings); err != nil {
		return err
	}
	if o.bytesPerSecond, err = parseRate(o.bandwidth); err != nil {
		return err
	}
	if o.mode, err = switchMode(settings, o.before, o.after); err != nil {
		return err
	}
	log := w.logger(o.verbose)
	for _, warning := range settings.Warnings {
		log.WarnContext(ctx, "settings to look at", "what", warning.Text, "hint", warning.Hint)
	}
	tree, err := openTree(args, settings, o.allowLinks, log)
	if err != nil {
		return err
	}
	x, err := w.open(ctx, errand{"sync", tree.Root(), o.common, settings, o.access})
	if err != nil {
		return errors.Join(err, tree.Close())
	}
	x.tree = tree
	defer func() { err = also(err, x.close()) }()
	return x.told(o.sync(ctx, w, x))
}

// plan is the same, without a bucket.
func (o *syncOptions) plan() *planOptions {
	return &planOptions{
		common: o.common, settingFlags: o.settingFlags, billFlags: o.billFlags, before: o.before, after: o.after,
		allowLinks: o.allowLinks, allowEmpty: o.allowEmpty, join: o.join, newBucket: o.newBucket, rate: o.bandwidth, rateFlag: "--bwlimit",
	}
}

// check refuses flags that can't be meant.
func (o *syncOptions) check() error {
	switch {
	case o.maxClassA < 1 && o.fs.Changed("max-class-a"):
		return usagef("leave it out for no limit; mediamove plan sends nothing", "--max-class-a %d: at least 1", o.maxClassA)
	case o.concurrency < 0:
		return usagef("leave it out: the right number is found by itself", "--max-concurrency %d: at least 1", o.concurrency)
	}
	return checkEmpty(o.allowEmpty)
}

// checkEmpty refuses --allow-empty for what is no class.
func checkEmpty(names []string) error {
	classes := make([]string, 0, len(names))
	for _, name := range names {
		// Classes stand below cache/ too, maybe on a disk of their own.
		classes = append(classes, strings.TrimPrefix(name, "cache/"))
	}
	return topFolders("--allow-empty", classes)
}

// allowed is --allow-empty as a set.
func allowed(names []string) map[string]bool {
	set := make(map[string]bool)
	for _, name := range names {
		set[path.Clean(name)] = true
	}
	return set
}

// sync is the run itself: claim the bucket, tidy up, move, write down the end.
func (o *syncOptions) sync(ctx context.Context, w *world, x *session) error {
	last, err := x.prepare(ctx, o)
	if err != nil {
		return errors.Join(err, x.finish(ctx, ledger.RunEnd{ExitCode: exitCode(ended(ctx, err))}))
	}
	u, err := x.uploader(ctx, o, last)
	if err != nil {
		return errors.Join(err, x.finish(ctx, ledger.RunEnd{ExitCode: exitCode(ended(ctx, err))}))
	}
	side, stopSide := context.WithCancel(context.WithoutCancel(ctx))
	x.books.Go(func() { x.saveUsage(side) })
	progress := w.startProgress(side, x, func(elapsed time.Duration) frame { return x.syncFrame(u.Stats(), elapsed) })
	runErr := u.Run(ctx, x.ledger.Pending(ctx, x.files(ctx, o)))
	stopSide()
	progress.wait()
	x.books.Wait() // the last word about the requests is the end of the run
	return o.conclude(ctx, w, x, x.report(o, u, runErr))
}

// conclude writes down the end of the run, and tells it.
func (o *syncOptions) conclude(ctx context.Context, w *world, x *session, r *syncReport) error {
	r.err = errors.Join(r.err, x.ledger.Flush(context.WithoutCancel(ctx)))
	if r.Complete && r.err == nil {
		r.err = ended(ctx, x.wholeWalk(ctx, r.tops))
		r.Complete = r.err == nil
	}
	if x.claim.Joined && r.decided && r.err == nil {
		r.err = x.joined(context.WithoutCancel(ctx))
	}
	runErr := r.err
	if runErr == nil && r.left() {
		runErr = &somethingLeft{"something is left"}
	}
	counts, err := json.Marshal(r.Files)
	end := ledger.RunEnd{ExitCode: exitCode(runErr), Complete: r.Complete, Counts: counts, Bytes: r.BytesMoved}
	runErr = also(runErr, errors.Join(err, x.finish(ctx, end)))
	return also(runErr, w.showSync(ctx, x, r, o))
}

// prepare does all that comes before the first file.
func (x *session) prepare(ctx context.Context, o *syncOptions) (last ledger.Walk, err error) {
	if last, err = x.ledger.LastWalk(ctx); err != nil {
		return last, err
	}
	if err := uploader.CheckEmptied(ctx, x.tree, last, allowed(o.allowEmpty)); err != nil {
		return last, err
	}
	if err := x.claimBucket(ctx, o.access); err != nil {
		return last, err
	}
	leftovers, err := x.ledger.Uploads(ctx)
	if err != nil {
		return last, err
	}
	return last, uploader.Leftovers(ctx, leftovers, x.bucket, x.ledger, x.log)
}

// uploader makes what sends the files, with what earlier runs have learned: when the last
// whole walk was, which keys somebody else has deleted, and what a listing showed.
func (x *session) uploader(ctx context.Context, o *syncOptions, last ledger.Walk) (*uploader.Uploader, error) {
	policy := uploader.DefaultPolicy(x.run)
	policy.Switched, policy.LastWalk = x.claim.Switched, last.Began
	opt := uploader.Options{
		Disk: x.tree, Bucket: x.bucket, Journal: x.ledger, Parts: x.ledger,
		Policy: policy, Log: x.log, TempDir: x.dir, Workers: o.concurrency, Prefix: prefix(x.settings.KeyPrefix), Retry: o.retryFailed,
	}
	var err error
	if opt.Gone, err = uploader.GoneKeys(x.ledger.Findings(ctx, ledger.Conflict)); err != nil {
		return nil, err
	}
	listing, err := x.listing(ctx, o)
	if err != nil {
		return nil, err
	}
	if listing {
		opt.Listing = x.ledger
	}
	return uploader.New(opt), nil
}

// prefix is how S3_KEY_PREFIX stands before a key.
func prefix(s string) string {
	if s = strings.Trim(s, "/"); s != "" {
		s += "/"
	}
	return s
}

// listingAge is how long a listing is believed: a joining run that was killed does
// not list again, but what others deleted since must not count as there for ever.
const listingAge = 12 * time.Hour

// believed reports whether a run that begins now goes by the listing of an earlier one.
func believed(state ledger.ListingState, at, now time.Time, join string) bool {
	return state == ledger.ListingComplete && join == "" && now.Sub(at) < listingAge
}

// listing makes the bucket's listing ready if this ledger is joining. To type --join
// again lists again.
func (x *session) listing(ctx context.Context, o *syncOptions) (bool, error) {
	if !x.claim.Joined {
		return false, nil
	}
	state, at, err := x.ledger.ListingState(ctx)
	if err != nil {
		return false, err
	}
	if believed(state, at, x.began, o.join) {
		return true, nil
	}
	n, err := uploader.Enlist(ctx, x.bucket, x.ledger)
	x.log.InfoContext(ctx, "listed the bucket, to adopt what is there", "objects", n)
	return true, err
}

// files is what this run looks at: the tree, or earlier failures.
func (x *session) files(ctx context.Context, o *syncOptions) iter.Seq2[media.File, error] {
	if o.retryFailed {
		return uploader.Again(ctx, x.ledger.Findings(ctx, ledger.Failed), x.tree)
	}
	return x.tree.Files(ctx)
}

// wholeWalk remembers that every folder was read and every file decided.
func (x *session) wholeWalk(ctx context.Context, tops map[string]int64) error {
	return errors.Join(
		x.ledger.SetWalk(ctx, ledger.Walk{Began: x.began, Run: x.run, Classes: tops}),
		x.ledger.ForgetFindings(ctx, x.run),
	)
}

// joined ends the joining: every file was held against the listing.
func (x *session) joined(ctx context.Context) error {
	id, err := x.ledger.Identity(ctx)
	if err != nil {
		return err
	}
	id.Joining = false
	return errors.Join(x.ledger.SetIdentity(ctx, id), x.ledger.DropListing(ctx))
}

// report collects what the last screen and --json say.
func (x *session) report(o *syncOptions, u *uploader.Uploader, err error) *syncReport {
	whole, tops := u.Walk()
	stats := u.Stats()
	usage := x.meter.Usage()
	return &syncReport{
		Counts: stats.Counts, Complete: whole && !o.retryFailed && err == nil,
		err: err, tops: tops, decided: u.Ended() && stats.Pending == 0 && !o.retryFailed,
		Run: x.run, Seconds: time.Since(x.began).Seconds(), Requests: usage,
		limited: errors.Is(err, r2.ErrLimit), limit: x.limit, tariff: x.tariff, at: time.Now(),
		switched: x.claim.Switched, modeUnset: o.mode == 0 && !x.claim.Switched,
		bucket: x.settings.Bucket, domain: x.settings.LocalDomain, root: x.tree.Root(),
		retry: o.retryFailed,
	}
}
