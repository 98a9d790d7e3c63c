package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/cleanup/trash"
	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
	"example.org/mediamove/owner"
)

// cleanFlags are what every command takes that looks at bucket and database.
type cleanFlags struct {
	common
	settingFlags
	access
	spendFlags
	before, after bool
}

func (o *cleanFlags) addFlags(fs *pflag.FlagSet) {
	o.common.addFlags(fs)
	o.settingFlags.addFlags(fs)
	o.access.addFlags(fs)
	o.spendFlags.addFlags(fs)
	fs.BoolVar(&o.after, "after-switch", false, "Mastodon writes to the bucket already (as S3_ENABLED=true)")
	fs.BoolVar(&o.before, "before-switch", false, "count this run as before the switch")
}

func (o *cleanFlags) check() error {
	switch {
	case o.maxClassA < 1 && o.fs.Changed("max-class-a"):
		return usagef("leave it out for no limit", "--max-class-a %d: at least 1", o.maxClassA)
	case o.concurrency < 0:
		return usagef("leave it out: the right number is found by itself", "--max-concurrency %d: at least 1", o.concurrency)
	}
	return nil
}

// A cleaning is a run of a cleanup command: a session, what the mark says, and the
// database, if the command needs it.
type cleaning struct {
	*session
	sight owner.Sight
	db    *mastodon.Database
	who   mastodon.Identity
	tie   owner.Tie
	hosts string // hash of this host, "" if it has no machine id

	raised bool                                             // this run is counted in the mark
	sleep  func(ctx context.Context, d time.Duration) error // tests don't wait
}

// begin opens everything a cleanup command needs. On an error nothing is left open.
func (o *cleanFlags) begin(ctx context.Context, w *world, command string) (c *cleaning, err error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := o.bound(&o.access); err != nil {
		return nil, err
	}
	settings, err := o.resolve(w, o.settingFlags)
	if err != nil {
		return nil, err
	}
	if err := needSettings(settings); err != nil {
		return nil, err
	}
	if o.mode, err = switchMode(settings, o.before, o.after); err != nil {
		return nil, err
	}
	if err := o.needLedger(ctx, w); err != nil {
		return nil, err
	}
	x, err := w.open(ctx, errand{command, settings.RootPath, o.common, settings, o.access})
	if err != nil {
		return nil, err
	}
	c = &cleaning{session: x, sleep: w.sleep}
	if c.sleep == nil {
		c.sleep = sleep
	}
	if c.sight, err = owner.Look(ctx, x.bucket, x.ledger, x.ownerOptions(o.access)); err != nil {
		return nil, c.abandon(ctx, x.told(err))
	}
	x.claim = c.sight.Claim
	return c, nil
}

// needLedger refuses to make a ledger where there is none: nothing could be held
// against it, and a mistyped --state would leave one behind.
func (o *common) needLedger(ctx context.Context, w *world) error {
	led, err := o.reader(ctx, w)
	switch {
	case err == nil:
		return led.Close()
	case errors.Is(err, ledger.ErrNoLedger):
		return err
	}
	return nil // whatever it is, opening it for the run will say it
}

// abandon ends a run that did not come to its work.
func (c *cleaning) abandon(ctx context.Context, err error) error {
	err = ended(ctx, err)
	return errors.Join(err, c.finish(ctx, ledger.RunEnd{ExitCode: exitCode(err)}), c.close())
}

// openDatabase opens the instance's database and works out who this run is to the mark.
func (c *cleaning) openDatabase(ctx context.Context, w *world) (err error) {
	c.db, err = mastodon.OpenDatabase(ctx, mastodon.DatabaseOptions{Settings: c.settings, Log: c.log})
	if err != nil {
		return err
	}
	if c.who, err = c.db.Identity(ctx); err != nil {
		return err
	}
	machine, err := w.machine()
	if err != nil {
		c.log.WarnContext(ctx, "this host can't be told from others", "err", err)
	}
	c.hosts = owner.HostHash(c.sight.Mark.BucketID, machine)
	c.tie = owner.Tie{Database: c.who.Hash(), Host: c.hosts}
	return nil
}

func (c *cleaning) close() error {
	if c.db != nil {
		c.db.Close()
	}
	return c.session.close()
}

// now is the server's clock, by which every age is measured.
func (c *cleaning) now() time.Time { return time.Now().Add(c.bucket.Stats().ClockOffset) }

// machine is the id by which systemd tells this host from every other.
func (w *world) machine() (string, error) {
	if w.machineID != "" {
		return w.machineID, nil
	}
	paths := w.machineFiles
	if paths == nil {
		paths = []string{"/etc/machine-id", "/var/lib/dbus/machine-id"}
	}
	for _, path := range paths {
		if id, err := os.ReadFile(path); err == nil && len(strings.TrimSpace(string(id))) >= 32 {
			return strings.TrimSpace(string(id)), nil
		}
	}
	return "", errors.New("no /etc/machine-id: systemd-machine-id-setup makes one")
}

// trashFlags say where copies are kept.
type trashFlags struct {
	dir  string
	max  string
	base string        // the folder's name in the state folder; "": trash
	keep time.Duration // 0: [trash.DefaultKeep]
}

const noTrash = "none"

// open opens the trash, or returns nil if none is wanted.
func (f trashFlags) open(ctx context.Context, c *cleaning) (*cleanup.Trash, error) {
	if f.dir == noTrash {
		return nil, nil
	}
	limit, err := parseSize("--trash-max", f.max)
	if err != nil {
		return nil, err
	}
	dir, err := f.folder(c)
	if err != nil {
		return nil, err
	}
	if c.settings.RootPath != "" {
		if err := checkState(dir, c.settings.RootPath); err != nil {
			return nil, usagef("choose a folder elsewhere: what is inside the media root is served to the world", "the trash %s is inside the media root", dir)
		}
	}
	store, err := trash.Open(ctx, trash.Options{Dir: dir, Max: limit, Keep: cmp.Or(f.keep, trash.DefaultKeep), Now: c.now, Parts: uploadsOf{c.session}})
	if _, onDisk := errors.AsType[*fs.PathError](err); onDisk && !errors.Is(err, trash.ErrBroken) {
		return nil, &usageError{err, "its folder must be there and be one that can be written: --trash DIR"}
	}
	if err != nil {
		return nil, err
	}
	return &cleanup.Trash{Store: store, Bucket: c.bucket, Entries: c.ledger}, nil
}

// folder is where the trash is.
func (f trashFlags) folder(c *cleaning) (string, error) {
	if f.dir == "" {
		return filepath.Join(c.dir, cmp.Or(f.base, "trash")), nil
	}
	dir, err := filepath.Abs(f.dir)
	if err != nil {
		return "", fmt.Errorf("find the trash: %w", err)
	}
	return dir, nil
}

// expire empties a trash that this run puts nothing into of what is too old: copies of what
// people have deleted must not stay longer because a guard refuses, or no more are kept.
// A trash that can't be opened only warns.
func (f trashFlags) expire(ctx context.Context, c *cleaning) (expired int64) {
	if f.dir == noTrash {
		f.dir = ""
	}
	dir, err := f.folder(c)
	if err == nil {
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			return 0
		}
	}
	bin, err := f.open(ctx, c)
	if err == nil {
		expired, _, err = bin.Store.Expire(ctx)
		err = errors.Join(err, bin.Store.Close())
	}
	if err != nil {
		c.log.WarnContext(ctx, "the trash keeps what is too old", "err", err)
	}
	return expired
}

// uploadsOf keeps the ledger's books of uploads in parts, so that none is forgotten.
type uploadsOf struct{ x *session }

// Started records an upload before its first part is sent.
func (u uploadsOf) Started(ctx context.Context, k media.Key, id string) error {
	return u.x.ledger.AddUpload(ctx, ledger.Upload{Key: k, ID: id, Run: u.x.run, At: time.Now()})
}

// Ended forgets it.
func (u uploadsOf) Ended(ctx context.Context, id string) error {
	return u.x.ledger.RemoveUpload(ctx, id)
}

// parseSize reads decimal or binary bytes, which a flag must spell out.
func parseSize(flag, s string) (int64, error) {
	n, err := parseRate(s)
	if err != nil || n <= 0 {
		return 0, usagef("spell the unit out: 5GB is 5,000,000,000 bytes, 5GiB is 5,368,709,120", "%s %q: not a size in bytes", flag, s)
	}
	return n, nil
}
