package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/ledger"
	"example.org/mediamove/owner"
)

// bindOptions are what was typed. takeOver is for a host that replaces the one that cleans.
type bindOptions struct {
	cleanFlags
	takeOver bool
}

func newBind(w *world) *cobra.Command {
	o := new(bindOptions)
	c := &cobra.Command{
		Use:   "bind",
		Short: "Tie database and bucket together, once; needed before anything is deleted",
		Long: `Bind lists the bucket once, reads every row that owns files, and shows how well the
two fit: the share of the objects that the rows need which are in the bucket. Under
90 % nothing is bound. It then asks for the domain, to be typed, and writes into the
owner mark which database this bucket belongs to and that this host, with this ledger,
is the one that cleans. The mark can be read in public: it holds hashes only.

Run it once, on the host that is to clean; again after a major upgrade of PostgreSQL,
or when a guard says that the database changed too much and you know why: it takes new
counts and a new control. --take-over makes this host the one that cleans.
` + exitHelp,
		Example: `  mediamove bind --env-file /home/mastodon/live/.env.production
  echo social.example | mediamove bind     without a terminal`,
		Args: wantNothing("bind takes no argument: the bucket and the database are those of the settings"),
		RunE: func(c *cobra.Command, _ []string) error { return runBind(c.Context(), w, o) },
	}
	o.addFlags(c.Flags())
	return c
}

func (o *bindOptions) addFlags(fs *pflag.FlagSet) {
	o.cleanFlags.addFlags(fs)
	fs.BoolVar(&o.takeOver, "take-over", false, "although another host or ledger is the one that cleans")
}

// runBind is a run like the others: with the ledger's lock, and in the books. It lists the
// bucket, which costs Class A operations.
func runBind(ctx context.Context, w *world, o *bindOptions) (err error) {
	c, err := o.begin(ctx, w, "bind")
	if err != nil {
		return err
	}
	if err := c.openDatabase(ctx, w); err != nil {
		return c.abandon(ctx, err)
	}
	defer func() { err = also(err, c.close()) }()
	return c.told(o.run(ctx, w, c))
}

// A bindReport is the end of a bind.
type bindReport struct {
	c       *cleaning
	match   *cleanup.Match
	scan    *cleanup.Scan
	mark    owner.Mark
	doubts  []string // the guards that contradict this database: binding overrules them
	bound   bool
	seconds float64
}

// run does the steps and writes down how they ended, before the result is printed.
func (o *bindOptions) run(ctx context.Context, w *world, c *cleaning) error {
	r := &bindReport{c: c}
	side, stopSide := context.WithCancel(context.WithoutCancel(ctx))
	c.books.Go(func() { c.saveUsage(side) })
	err := o.steps(ctx, w, c, r)
	stopSide()
	c.books.Wait()
	err = ended(ctx, err)
	err = also(err, c.finish(ctx, ledger.RunEnd{ExitCode: exitCode(err), Complete: err == nil}))
	r.seconds = time.Since(c.began).Seconds()
	if o.json && r.scan != nil && r.match != nil {
		return also(err, printJSON(w.stdout, r.json()))
	}
	if r.bound {
		_, printErr := fmt.Fprintf(w.stdout, "bound: %s, database %q, this host and this ledger clean bucket %s from now on\n",
			c.who.Domain, c.who.Name, c.settings.Bucket)
		return also(err, printErr)
	}
	return err
}

// steps writes the mark last: by then a person has seen how well the two fit, and has
// typed the domain. Only then is the scan accepted as the new control.
func (o *bindOptions) steps(ctx context.Context, w *world, c *cleaning, r *bindReport) error {
	if c.hosts == "" {
		_, err := w.machine()
		return &usageError{err, "the mark names the one host that may clean, by its machine id"}
	}
	orphans, err := o.look(ctx, w, c, r)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w.stderr, r.screen()); err != nil {
		return err
	}
	if err := r.fits(); err != nil {
		return err
	}
	if err := w.confirm(ctx, "Type the instance's domain to bind them: ", c.who.Domain); err != nil {
		return err
	}
	if r.mark, err = owner.Bind(ctx, c.bucket, c.ledger, c.ownerOptions(o.access), owner.BindRequest{
		Database: c.tie.Database, Host: c.tie.Host, TakeOver: o.takeOver,
	}); err != nil {
		return err
	}
	r.bound = true
	return orphans.Accept(ctx)
}

// look scans the bucket and holds the rows against it.
func (o *bindOptions) look(ctx context.Context, w *world, c *cleaning, r *bindReport) (_ *cleanup.Orphans, err error) {
	scratch, err := ledger.NewScratch(ctx, c.dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, scratch.Close()) }()
	assess := &cleanup.Assess{Catalog: c.db, Scratch: scratch}
	s := c.newSweep(ctx, &cleanup.Orphans{Limits: cleanup.Ceilings(), MinAge: cleanup.MinAge, Hold: true})
	s.survey.Each = assess.Each
	side, stop := context.WithCancel(context.WithoutCancel(ctx))
	progress := w.startProgress(side, c.session, func(time.Duration) frame { return c.cleanFrame(s.survey) })
	defer progress.wait()
	defer stop()
	if err := s.look(ctx); err != nil {
		return nil, err
	}
	r.scan = s.found.Scan
	for _, refusal := range s.found.Refusals {
		if refusal.Doubt {
			r.doubts = append(r.doubts, refusal.Guard+": "+oneLine(refusal.Reason))
		}
	}
	r.match, err = assess.Match(ctx)
	return s.orphans, err
}

// fits refuses what can't be one instance.
func (r *bindReport) fits() error {
	stale := r.scan.NewestForeign.Sub(r.scan.Newest)
	switch {
	case !r.match.Fits():
		return &owner.RefusedError{
			Reason: fmt.Sprintf("only %.1f %% of the objects that the rows need are in bucket %s, such as not %s; at least %d %% are needed",
				r.match.Percent(), r.c.settings.Bucket, r.match.Example, cleanup.BindPercent),
			Hint: "is this the database of this bucket? Has everything been moved: mediamove verify",
		}
	case !r.scan.NewestForeign.IsZero() && stale > time.Hour:
		return &owner.RefusedError{
			Reason: fmt.Sprintf("the newest row is %s older than what Mastodon wrote into the bucket last", span(stale)),
			Hint:   "this is not the live database: a restored one, staging's, or a replica that lags",
		}
	}
	return nil
}

// screen is what a person decides by. It goes to stderr, as the question does that follows.
func (r *bindReport) screen() string {
	var b strings.Builder
	newest, last := "none", "none"
	if !r.scan.Newest.IsZero() {
		newest = r.scan.Newest.UTC().Format(time.DateTime) + " UTC"
	}
	if !r.scan.NewestForeign.IsZero() {
		last = r.scan.NewestForeign.UTC().Format(time.DateTime) + " UTC"
	}
	fmt.Fprintf(&b, "bucket    %s: %s objects, %s; last written by Mastodon: %s\n", r.c.settings.Bucket, count(r.scan.All.Objects), size(r.scan.All.Bytes), last)
	fmt.Fprintf(&b, "database  %s of %s; newest row: %s\n", r.c.who.Name, r.c.who.Domain, newest)
	fmt.Fprintf(&b, "fit       %s of the %s objects that %s rows need are in the bucket (%.1f %%)\n",
		count(r.match.Present), count(r.match.Required), count(r.match.Rows), r.match.Percent())
	fmt.Fprintf(&b, "          %s of the bucket's objects are owned by a row (%.1f %%)\n", count(r.scan.Owned.Objects), percent(r.scan.Owned.Objects, r.scan.All.Objects))
	for _, doubt := range r.doubts {
		fmt.Fprintf(&b, "doubt     %s\n", doubt)
	}
	return b.String()
}

// percent of nothing is 0: JSON has no word for a NaN.
func percent(part, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return 100 * float64(part) / float64(whole)
}

// confirm has a person type a word.
func (w *world) confirm(ctx context.Context, question, want string) error {
	if _, err := io.WriteString(w.stderr, question); err != nil {
		return err
	}
	typed := make(chan string, 1)
	// A read from a terminal can't be called off. After a signal it is left behind, and ends
	// with the process.
	go func() {
		line, _ := bufio.NewReader(w.stdin).ReadString('\n')
		typed <- strings.TrimSpace(line)
	}()
	select {
	case line := <-typed:
		if line != want {
			return &owner.RefusedError{Reason: "not confirmed: nothing was changed", Hint: "type exactly: " + want}
		}
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
