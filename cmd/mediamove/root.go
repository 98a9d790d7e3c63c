package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"example.org/mediamove/mastodon"
)

const longHelp = `Mediamove moves a Mastodon instance's media (public/system) from local disk to
Cloudflare R2 while the instance keeps running. It can be interrupted at any
instant and continues where it stopped. It never changes a local file and never
overwrites an object that it did not put there itself.

Settings have Mastodon's own names (S3_BUCKET, S3_ENDPOINT, AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY, LOCAL_DOMAIN, …) and come from the environment or from
Mastodon's own file: --env-file /home/mastodon/live/.env.production.`

const exitHelp = `
Exit status: 0 nothing left to do · 1 stopped, run again · 2 usage or settings ·
3 ended in order but something is left or differs · 4 a guard refused ·
75 another run holds the lock · 130, 143 interrupted, run again to continue.`

// newRoot puts the commands together. Errors are printed by [world.complain], each with
// a hint: cobra would print the usage below them.
func newRoot(w *world) *cobra.Command {
	root := &cobra.Command{
		Use:           "mediamove",
		Short:         "Move a Mastodon instance's media to Cloudflare R2",
		Long:          longHelp + "\n" + exitHelp,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noSuchCommand,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },

		SuggestionsMinimumDistance: 2,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return &usageError{err, c.CommandPath() + " --help lists the flags"}
	})
	root.AddCommand(newPlan(w), newSync(w), newVerify(w), newStatus(w), newExplain(w),
		newBind(w), newOrphans(w), newMissing(w), newPrune(w), newNightly(w), newUndo(w), newJournal(w), newCost(w), newDemo(w))
	return root
}

// noSuchCommand refuses what is no command, and guesses what was meant.
func noSuchCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := c.CommandPath() + " --help lists the commands"
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean " + c.CommandPath() + " " + near[0] + "? " + hint
	}
	return usagef(hint, "unknown command %q", args[0])
}

// version is what the build knows of itself.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return info.Main.Version
}

// wantArgs turns a wrong number of arguments into a usage error.
func wantArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return &usageError{err, "usage: " + c.UseLine()}
		}
		return nil
	}
}

// common are the flags of every command.
type common struct {
	envFile string
	state   string
	json    bool
	verbose bool
}

func (o *common) addFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.envFile, "env-file", "", "Mastodon's settings `FILE`, usually .env.production")
	fs.StringVar(&o.state, "state", "", "`DIR` for the ledger (default $STATE_DIRECTORY, else $XDG_STATE_HOME/mediamove)")
	fs.BoolVar(&o.json, "json", false, "print the result as one JSON object")
	fs.BoolVarP(&o.verbose, "verbose", "v", false, "log more")
}

// stateDir is where the ledger lives.
func (o *common) stateDir(w *world) (string, error) {
	dir := o.state
	if dir == "" {
		// systemd may name several folders; the first is ours.
		dir, _, _ = strings.Cut(w.getenv("STATE_DIRECTORY"), ":")
	}
	if dir == "" && w.getenv("XDG_STATE_HOME") != "" {
		dir = filepath.Join(w.getenv("XDG_STATE_HOME"), "mediamove")
	}
	if dir == "" && w.getenv("HOME") != "" {
		dir = filepath.Join(w.getenv("HOME"), ".local", "state", "mediamove")
	}
	if dir == "" {
		return "", usagef("name one: --state DIR", "no folder for the ledger: neither STATE_DIRECTORY, XDG_STATE_HOME nor HOME is set")
	}
	return filepath.Abs(dir)
}

// checkState refuses a state folder inside the media root: it would be served to
// the world, and moved.
func checkState(state, root string) error {
	for dir := state; ; dir = filepath.Dir(dir) {
		at, err := filepath.EvalSymlinks(dir)
		if err == nil {
			rest, _ := filepath.Rel(dir, state)
			full := filepath.Join(at, rest)
			if rel, err := filepath.Rel(root, full); err == nil && rel != ".." && !strings.HasPrefix(rel, "../") {
				return usagef("choose a folder elsewhere: --state DIR", "the state folder %s is inside the media root %s", state, root)
			}
			return nil
		}
		if !errors.Is(err, os.ErrNotExist) || dir == filepath.Dir(dir) {
			return nil // opening it will say what is wrong
		}
	}
}

// settingFlags are Mastodon's names as flags. A flag wins.
type settingFlags struct {
	fs *pflag.FlagSet
}

var settingNames = map[string]string{
	"bucket":   "S3_BUCKET",
	"endpoint": "S3_ENDPOINT",
	"region":   "S3_REGION",
	"prefix":   "S3_KEY_PREFIX",
	"domain":   "LOCAL_DOMAIN",
	"account":  "CLOUDFLARE_ACCOUNT_ID",
}

func (o *settingFlags) addFlags(fs *pflag.FlagSet) {
	o.fs = fs
	fs.String("bucket", "", "instead of S3_BUCKET")
	fs.String("endpoint", "", "instead of S3_ENDPOINT (`URL` without the bucket)")
	fs.String("region", "", "instead of S3_REGION")
	fs.String("prefix", "", "instead of S3_KEY_PREFIX")
	fs.String("domain", "", "instead of LOCAL_DOMAIN")
}

// resolve reads the instance's settings.
func (o *common) resolve(w *world, f settingFlags) (mastodon.Settings, error) {
	flags := make(map[string]string)
	if f.fs != nil {
		f.fs.Visit(func(flag *pflag.Flag) {
			if name, ok := settingNames[flag.Name]; ok {
				flags[name] = flag.Value.String()
			}
		})
	}
	return mastodon.Resolve(mastodon.Sources{Flags: flags, Environ: w.environ, EnvFile: o.envFile})
}
