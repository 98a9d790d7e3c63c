package main

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/shopspring/decimal"
	"github.com/spf13/pflag"

	"example.org/mediamove/costs"
	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
	"example.org/mediamove/owner"
	"example.org/mediamove/r2"
	"example.org/mediamove/scanner"
)

// A session is a run that may touch the bucket: the tree, the ledger with its
// lock, the bucket with its meter, and the claim that lets it write.
type session struct {
	tree     *scanner.Tree
	ledger   *ledger.Ledger
	bucket   *r2.Bucket
	meter    costs.Meter
	claim    owner.Claim
	settings mastodon.Settings
	log      *slog.Logger
	dir      string // the state folder
	run      int64
	began    time.Time
	books    sync.WaitGroup // saveUsage
	keeper   *bookkeeper

	tariff tariff
	limit  brake
	others costs.Usage // of this billing cycle, before this run
}

// access says how a command reaches the bucket.
// concurrency, bytesPerSecond and maxClassA are 0 where no bound was typed. join is the ID
// behind --join.
type access struct {
	concurrency    int
	bytesPerSecond int64
	maxClassA      int64
	maxCost        *decimal.Decimal // US dollars; nil: no limit
	tariff         tariff
	proxy          string
	join           string
	newBucket      bool
	mode           owner.Switch
}

// addFlags are those of every command that sends requests.
func (a *access) addFlags(fs *pflag.FlagSet) {
	fs.IntVar(&a.concurrency, "max-concurrency", 0, "bound the requests in flight; the right number is found by itself (default 160)")
	fs.Int64Var(&a.maxClassA, "max-class-a", 0, "end in order before the `N`+1st Class A operation of this run")
	fs.StringVar(&a.proxy, "proxy", "", "HTTP proxy `URL`; proxy variables of the environment are ignored")
}

// needSettings makes the settings complete for a run that touches the bucket.
func needSettings(s mastodon.Settings) error {
	missing := s.Missing()
	if len(missing) == 0 {
		return nil
	}
	return usagef("set it in the environment, or name Mastodon's settings: --env-file /home/mastodon/live/.env.production",
		"not set: %s", joinWords(missing))
}

// An errand is what a run is about.
type errand struct {
	command  string
	root     string // the media root
	options  common
	settings mastodon.Settings
	access   access
}

// open begins a run. Everything that can be wrong without asking the bucket is
// found before the bucket is asked.
func (w *world) open(ctx context.Context, e errand) (_ *session, err error) {
	x := &session{settings: e.settings, tariff: e.access.tariff, log: w.logger(e.options.verbose), began: time.Now()}
	defer func() {
		if err != nil {
			err = errors.Join(err, x.close())
		}
	}()
	if x.bucket, err = w.bucket(e.settings, e.access, &x.meter, x.log); err != nil {
		return x, err
	}
	dir, err := e.options.stateDir(w)
	if err != nil {
		return x, err
	}
	if err := checkState(dir, e.root); err != nil {
		return x, err
	}
	x.dir = dir
	if e.access.newBucket {
		if err := x.putAside(ctx, e.access); err != nil {
			return x, stateError(dir, x.told(err))
		}
	}
	if x.ledger, err = ledger.Open(ctx, dir, ledger.Options{Log: x.log}); err != nil {
		return x, stateError(dir, err)
	}
	// From here on the ledger's lock is held, so nobody books beside this run.
	if err := x.countOthers(ctx); err != nil {
		return x, err
	}
	// The limit stands before the first request of this run; putAside has set its own.
	x.brake(e.access)
	if x.run, err = x.ledger.Begin(ctx, e.command, x.began); err != nil {
		return x, err
	}
	x.openBooks(ctx)
	return x, nil
}

// putAside makes room for a new ledger, but only if that one would be granted the
// bucket: else a mistyped name would cost the ledger of the right one. The new one
// keeps the switch: another bucket does not undo it, only --before-switch does.
func (x *session) putAside(ctx context.Context, a access) error {
	if err := x.countAside(ctx, a); err != nil {
		return err
	}
	x.brake(a) // asking is a request too
	if err := owner.WouldGrant(ctx, x.bucket, x.ownerOptions(a)); err != nil {
		return err
	}
	return ledger.SetAside(ctx, x.dir, x.began)
}

// ownerOptions are the same for everything that looks at the mark in this run: what was
// asked under other ones could be granted something else.
func (x *session) ownerOptions(a access) owner.Options {
	return owner.Options{
		Domain: x.settings.LocalDomain, BucketName: x.settings.Bucket,
		Endpoint: x.settings.Endpoint, Prefix: x.settings.KeyPrefix,
		Join: a.join, Switch: a.mode, Log: x.log,
	}
}

// claimBucket reads the owner mark and settles what this run may do.
func (x *session) claimBucket(ctx context.Context, a access) (err error) {
	if x.claim, err = owner.Check(ctx, x.bucket, x.ledger, x.ownerOptions(a)); err != nil {
		return err
	}
	if !x.claim.Joined {
		return nil
	}
	// What an earlier walk saw was held against another bucket.
	return x.ledger.SetWalk(ctx, ledger.Walk{})
}

// switchMode combines the settings with what was typed; typing wins.
func switchMode(s mastodon.Settings, before, after bool) (owner.Switch, error) {
	switch {
	case before && after:
		return 0, usagef("type only one of them", "--before-switch and --after-switch contradict each other")
	case before:
		return owner.Before, nil
	case after, s.S3Enabled:
		return owner.After, nil
	}
	return owner.Unset, nil
}

// bucket makes the client, which sends nothing yet. Plain HTTP has to be asked for by
// S3_PROTOCOL: media would cross the network readable.
func (w *world) bucket(s mastodon.Settings, a access, meter *costs.Meter, log *slog.Logger) (*r2.Bucket, error) {
	c := r2.Config{
		Endpoint: s.Endpoint, Region: s.Region, Bucket: s.Bucket, Prefix: s.KeyPrefix,
		AccessKeyID: s.AccessKeyID, SecretAccessKey: r2.Secret(s.SecretAccessKey), ACL: s.Permission,
		AllowHTTP: s.Protocol == "http" && s.Source("S3_PROTOCOL") != "", MaxConcurrency: a.concurrency, BytesPerSecond: a.bytesPerSecond,
		Meter: meter, Log: log, Transport: w.transport,
	}
	if a.proxy != "" {
		proxy, err := url.Parse(a.proxy)
		if err != nil || proxy.Host == "" {
			return nil, usagef("for instance --proxy http://127.0.0.1:3128", "--proxy is no URL")
		}
		c.Proxy = proxy
	}
	return r2.Open(c)
}

// finish writes the run's end into the ledger, whatever the run's context says.
// What was booked ahead and never sent is given back before that.
func (x *session) finish(ctx context.Context, end ledger.RunEnd) error {
	ctx = context.WithoutCancel(ctx)
	end.At, end.Usage = time.Now(), x.meter.Usage()
	return errors.Join(x.keeper.settle(ctx, end.At), x.ledger.Finish(ctx, x.run, end))
}

// close gives back what open has got, however far that came.
func (x *session) close() error {
	var errs []error
	if x.ledger != nil {
		errs = append(errs, x.ledger.Close())
	}
	if x.tree != nil {
		errs = append(errs, x.tree.Close())
	}
	return errors.Join(errs...)
}

// openTree opens the media root named on the command line or in the settings.
func openTree(args []string, s mastodon.Settings, links []string, log *slog.Logger) (*scanner.Tree, error) {
	root := s.RootPath
	if len(args) > 0 {
		root = args[0]
	}
	if root == "" {
		return nil, usagef("for instance: mediamove sync /home/mastodon/live/public/system",
			"no media root: neither an argument nor PAPERCLIP_ROOT_PATH")
	}
	if err := topFolders("--allow-link", links); err != nil {
		return nil, err
	}
	return scanner.Open(root, scanner.Options{AllowLinks: links, Log: log})
}

// topFolders checks the names given to a flag.
func topFolders(flag string, names []string) error {
	for _, name := range names {
		if !slices.Contains(media.TopFolders(), path.Clean(name)) {
			return usagef("the folders it may name: "+joinWords(media.TopFolders()), "%s %q: not a top folder of a media root", flag, name)
		}
	}
	return nil
}

// joinWords lists words as a sentence does: a, b and c.
func joinWords(words []string) string {
	switch len(words) {
	case 0:
		return ""
	case 1:
		return words[0]
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
}
