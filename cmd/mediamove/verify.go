package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"example.org/mediamove/mastodon"
	"example.org/mediamove/r2"
	"example.org/mediamove/scanner"
	"example.org/mediamove/verify"
)

// verifyOptions are what was typed. sample, headers and visits count objects; rotate is
// into how many parts the bucket is divided.
type verifyOptions struct {
	common
	settingFlags
	access
	spendFlags
	before, after bool
	allowLinks    []string
	allowEmpty    []string

	read    bool
	sample  int64
	rotate  int
	seed    uint64
	headers int64
	public  bool
	visits  int64

	repair, replace bool
	certificate     string
	against         string
}

func newVerify(w *world) *cobra.Command {
	o := new(verifyOptions)
	c := &cobra.Command{
		Use:   "verify [ROOT]",
		Short: "Prove that every object is there, with the right bytes; or say which is not, and why",
		Long: `Verify lists the bucket once, one Class A per 1,000 objects, and holds the listing
against the ledger and, when ROOT is given, against a fresh walk of the disk. It
changes no file, and without --repair no object.

A listing proves that an object is there with the size and MD5 that were stored with
it. Bytes that rotted at rest show only when they are read back: --read reads all of
them, --sample some, --rotate 30 the next thirtieth, so that 30 runs read everything.
Objects sent in parts have no MD5 of the whole; their ETag is held against the
recorded one.

After the switch (S3_ENABLED=true) objects that nobody here knows are Mastodon's own.
If the settings name the database, and mediamove bind tied it to the bucket, its rows say
what became of each object that is not there: deleted by Mastodon, as it should be, or
missing because a row names it. --repair then sends again what a row shows, hidden on disk
or not, and nothing else.

--certificate FILE writes, if nothing differs, what was proven and how, and beside it
a list for: sha256sum -c. Both hold file names, which are personal data: 0600.
--against FILE checks the bucket later with nothing but these two files.
` + exitHelp,
		Example: `  mediamove verify                                 the bucket against the ledger
  mediamove verify ROOT                            and against the disk
  mediamove verify --rotate 30                     nightly: read a thirtieth back
  mediamove verify --sample 3000 --public          also as a visitor sees it
  mediamove verify --repair ROOT                   send again what is missing
  mediamove verify --read --certificate move.cert ROOT`,
		Args: wantArgs(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error { return runVerify(c.Context(), w, o, args) },
	}
	o.addFlags(c.Flags())
	return c
}

func (o *verifyOptions) addFlags(fs *pflag.FlagSet) {
	o.common.addFlags(fs)
	o.settingFlags.addFlags(fs)
	fs.BoolVar(&o.read, "read", false, "read every object back and compare size, MD5 and SHA-256; goes on where it was interrupted")
	fs.Int64Var(&o.sample, "sample", 0, "read about `N` objects back, spread over classes and sizes")
	fs.IntVar(&o.rotate, "rotate", 0, "read the next `N`th part back; N runs read everything")
	fs.Uint64Var(&o.seed, "seed", 0, "draw the same samples again: the `NUMBER` that the earlier run printed")
	fs.Int64Var(&o.headers, "headers", 0, "look at the headers of about `N` objects by HEAD")
	fs.BoolVar(&o.public, "public", false, "look at a sample as a visitor, through S3_ALIAS_HOST")
	fs.Int64Var(&o.visits, "visits", 200, "about how many objects --public visits")
	fs.BoolVar(&o.repair, "repair", false, "send again what is missing and is on disk with the recorded bytes; after the switch only what a row of the database shows")
	fs.BoolVar(&o.replace, "replace-differing", false, "with --repair: overwrite objects that differ, if they are still as this run saw them; never after the switch")
	fs.StringVar(&o.certificate, "certificate", "", "write a certificate to `FILE`, which must not exist, and the list to FILE.sha256")
	fs.StringVar(&o.against, "against", "", "check the bucket against the certificate in `FILE`, without the ledger")
	o.access.addFlags(fs)
	o.spendFlags.addFlags(fs)
	fs.BoolVar(&o.after, "after-switch", false, "Mastodon writes to the bucket already (as S3_ENABLED=true)")
	fs.BoolVar(&o.before, "before-switch", false, "count this run as before the switch")
	fs.StringSliceVar(&o.allowLinks, "allow-link", nil, "enter this top `FOLDER` although it is a link to another disk")
	fs.StringSliceVar(&o.allowEmpty, "allow-empty", nil, "go on although this top `FOLDER` has lost all its files")
}

// maxSample bounds what a sample holds in memory.
const maxSample = 1_000_000

// check refuses flags that can't be meant.
func (o *verifyOptions) check(args []string) error {
	reads := 0
	for _, asked := range []bool{o.read, o.sample != 0, o.rotate != 0} {
		if asked {
			reads++
		}
	}
	switch {
	case reads > 1:
		return usagef("type only one of them", "--read, --sample and --rotate are three ways to choose what is read")
	case max(o.sample, o.headers, o.visits) > maxSample:
		return usagef("to look at so many: --read, or --rotate 30", "--sample, --headers and --visits: %s objects at most", count(maxSample))
	case o.sample < 0 || o.headers < 0 || o.visits < 1, o.sample == 0 && o.fs.Changed("sample"), o.headers == 0 && o.fs.Changed("headers"):
		return usagef("for instance --sample 3000", "--sample, --headers and --visits want a number of objects")
	case o.rotate < 0 || o.rotate > 1000, o.rotate == 0 && o.fs.Changed("rotate"):
		return usagef("for instance --rotate 30", "--rotate %d: from 1 to 1000 parts", o.rotate)
	case o.replace && !o.repair:
		return usagef("type both: --repair --replace-differing", "--replace-differing belongs to --repair")
	case o.repair && o.certificate != "":
		return usagef("verify --repair first; then verify --certificate, which sees all of it anew", "--repair and --certificate do not go together")
	case o.maxClassA < 1 && o.fs.Changed("max-class-a"):
		return usagef("leave it out for no limit", "--max-class-a %d: at least 1", o.maxClassA)
	case o.against != "" && o.fs.Changed("max-cost"):
		return usagef("bound it by --max-class-a", "--max-cost goes by what the ledger used, and --against takes no ledger")
	case o.concurrency < 0:
		return usagef("leave it out: the right number is found by itself", "--max-concurrency %d: at least 1", o.concurrency)
	case o.against != "" && (len(args) > 0 || o.repair || o.certificate != "" || o.rotate != 0):
		return usagef("to compare a disk with a certificate: cd public/system && sha256sum --quiet -c FILE.sha256",
			"--against compares the bucket with a certificate, and nothing else")
	}
	return checkEmpty(o.allowEmpty)
}

// runVerify finds what is wrong with flags and settings before the bucket is asked: the
// listing of a large one takes its time, and Class A operations.
func runVerify(ctx context.Context, w *world, o *verifyOptions, args []string) (err error) {
	if err := o.check(args); err != nil {
		return err
	}
	if err := o.bound(&o.access); err != nil {
		return err
	}
	settings, err := o.resolve(w, o.settingFlags)
	if err != nil {
		return err
	}
	if err := needSettings(settings); err != nil {
		return err
	}
	if o.mode, err = switchMode(settings, o.before, o.after); err != nil {
		return err
	}
	if err := o.checkPublic(settings); err != nil {
		return err
	}
	// A sample that found something has to be drawn again to look closer.
	if !o.fs.Changed("seed") {
		o.seed = randomSeed()
	}
	if o.against != "" {
		return o.runAgainst(ctx, w, settings)
	}
	return o.runLedger(ctx, w, settings, args)
}

// checkPublic finds what is wrong with the public host before a long listing does.
func (o *verifyOptions) checkPublic(s mastodon.Settings) error {
	switch {
	case !o.public:
		return nil
	case s.AliasHost == "":
		return usagef("set S3_ALIAS_HOST, or name Mastodon's settings: --env-file /home/mastodon/live/.env.production", "--public visits S3_ALIAS_HOST, which is not set")
	}
	// Only whether it can be made is asked here; nothing is sent.
	front, err := r2.OpenPublic(r2.PublicConfig{Host: s.AliasHost, Protocol: s.Protocol, Prefix: s.KeyPrefix})
	if err != nil {
		return err
	}
	front.Close()
	return nil
}

// runLedger verifies with the ledger, and with the disk if one is named.
func (o *verifyOptions) runLedger(ctx context.Context, w *world, settings mastodon.Settings, args []string) (err error) {
	var tree *scanner.Tree
	root := ""
	if len(args) > 0 || o.repair { // --repair may take PAPERCLIP_ROOT_PATH; a look at the disk is asked for by name
		if tree, err = openTree(args, settings, o.allowLinks, w.logger(o.verbose)); err != nil {
			return err
		}
		root = tree.Root()
	}
	if err := o.checkCertificate(root, settings.RootPath); err != nil {
		return closing(err, tree)
	}
	if err := o.needLedger(ctx, w); err != nil {
		return closing(err, tree)
	}
	x, err := w.open(ctx, errand{"verify", root, o.common, settings, o.access})
	if err != nil {
		return closing(err, tree)
	}
	x.tree = tree
	defer func() { err = also(err, x.close()) }()
	return x.told(o.runVerifier(ctx, w, x, func(ctx context.Context, r *verifyReport) (*verify.Verifier, error) { return o.verifier(ctx, x, r) }))
}

// closing closes the tree of a run that did not begin; later the session owns it.
func closing(err error, tree *scanner.Tree) error {
	if tree == nil {
		return err
	}
	return errors.Join(err, tree.Close())
}

// checkCertificate finds out early what would make the certificate fail at the end
// of a long run, or make it public.
func (o *verifyOptions) checkCertificate(roots ...string) error {
	if o.certificate == "" {
		return nil
	}
	path, err := filepath.Abs(o.certificate)
	if err != nil {
		return fmt.Errorf("find the certificate's folder: %w", err)
	}
	o.certificate = path
	switch err := verify.CanSaveCertificate(path); {
	case errors.Is(err, fs.ErrExist):
		return &usageError{err, "name another file; a certificate is never overwritten"}
	case err != nil:
		return &usageError{err, "name a file in a folder that can be written"}
	}
	for _, root := range roots {
		if at, err := filepath.EvalSymlinks(root); err == nil {
			root = at
		}
		if root != "" && checkState(filepath.Dir(path), root) != nil {
			return usagef("choose a folder elsewhere: what is inside is served to the world, and moved", "the certificate would be inside the media root %s", root)
		}
	}
	return nil
}

// randomSeed draws a seed that is easy to type.
func randomSeed() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint64(b[:])>>34 + 1
}
