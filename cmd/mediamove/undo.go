package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
	"example.org/mediamove/owner"
)

type undoOptions struct {
	cleanFlags
	key   string
	trash trashFlags
}

func newUndo(w *world) *cobra.Command {
	o := new(undoOptions)
	c := &cobra.Command{
		Use:   "undo RUN",
		Short: "Take back what a cleanup run marked or removed",
		Long: `Undo puts back every object that the run removed and whose copy is in the trash, byte
for byte and with its headers, if nothing newer stands there; and cancels the marks
that the run made, so that their waiting begins anew. What was put back is not removed
again by itself. mediamove journal shows the runs. Rows that prune cleared have their
columns again if their objects are back; the journal of rows goes back for 90 days.
` + exitHelp,
		Example: `  mediamove undo 1187
  mediamove undo 1187 --key cache/media_attachments/files/…/original/….jpeg`,
		Args: wantArgs(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error { return runUndo(c.Context(), w, o, args[0]) },
	}
	o.addFlags(c.Flags())
	return c
}

func (o *undoOptions) addFlags(fs *pflag.FlagSet) {
	o.cleanFlags.addFlags(fs)
	fs.StringVar(&o.key, "key", "", "only this `KEY`")
	fs.StringVar(&o.trash.dir, "trash", "", "the copies are in `DIR` (default STATE/trash)")
	o.trash.max = "5GB" // nothing is added
}

func runUndo(ctx context.Context, w *world, o *undoOptions, arg string) (err error) {
	run, err := strconv.ParseInt(arg, 10, 64)
	if err != nil || run < 1 {
		return usagef("mediamove journal shows the runs", "RUN %q: not the number of a run", arg)
	}
	if o.trash.dir == noTrash {
		return usagef("name the folder, or leave it out", "--trash none: then nothing can be put back")
	}
	// Elsewhere nothing is made: a mistyped folder, or one of a disk that is not mounted,
	// would look like a trash that has lost its copies.
	if o.trash.dir != "" && !isFolder(o.trash.dir) {
		return usagef("is its disk mounted?", "--trash %s: there is no such folder", o.trash.dir)
	}
	c, err := o.begin(ctx, w, "undo")
	if err != nil {
		return err
	}
	defer func() { err = also(err, c.close()) }()
	return c.told(o.run(ctx, w, c, run))
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// An undoReport is the end of an undo.
type undoReport struct {
	c         *cleaning
	of        int64
	outcomes  map[string]cleanup.Sum
	failed    []cleanup.Undoing // the first of what could not be put back
	cancelled int64
	rows      cleanup.RowsUndone // of a prune
	pruned    bool
	forgotten int64 // rows that the journal has no more
	err       error
	seconds   float64
}

func (o *undoOptions) run(ctx context.Context, w *world, c *cleaning, run int64) error {
	r := &undoReport{c: c, of: run, outcomes: map[string]cleanup.Sum{}}
	side, stopSide := context.WithCancel(context.WithoutCancel(ctx))
	c.books.Go(func() { c.saveUsage(side) })
	r.err = o.steps(ctx, w, c, r)
	stopSide()
	c.books.Wait()
	r.err = ended(ctx, r.err)
	runErr := r.err
	if runErr == nil && r.left() > 0 {
		runErr = &somethingLeft{"not everything could be put back"}
	}
	runErr = also(runErr, c.finish(ctx, ledger.RunEnd{ExitCode: exitCode(runErr), Complete: r.err == nil, Bytes: r.outcomes[cleanup.PutBack].Bytes}))
	r.seconds = time.Since(c.began).Seconds()
	if o.json {
		return also(runErr, printJSON(w.stdout, r.json()))
	}
	_, err := io.WriteString(w.stdout, r.screen())
	return also(runErr, err)
}

func (o *undoOptions) steps(ctx context.Context, w *world, c *cleaning, r *undoReport) (err error) {
	if _, err := c.ledger.Run(ctx, r.of); errors.Is(err, ledger.ErrUnknown) || r.of == c.run {
		return usagef("mediamove journal shows the runs", "there is no run %d in this ledger", r.of)
	} else if err != nil {
		return err
	}
	if _, err := cleanup.Settle(ctx, c.bucket, c.ledger, c.now); err != nil {
		return err
	}
	if o.trash, err = o.trashOf(ctx, c, r.of); err != nil {
		return err
	}
	bin, err := o.trash.open(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bin.Store.Close()) }()
	undo := &cleanup.Undo{Bin: bin, Records: c.ledger, Run: c.run, Now: c.now}
	key := media.Key(strings.TrimPrefix(o.key, "/"))
	for done, err := range undo.Take(ctx, r.of, key) {
		if err != nil {
			return err
		}
		s := r.outcomes[done.Outcome]
		r.outcomes[done.Outcome] = cleanup.Sum{Objects: s.Objects + 1, Bytes: s.Bytes + done.Removal.Size}
		if !done.Back() && len(r.failed) < maxUndone {
			r.failed = append(r.failed, done)
		}
	}
	if err := r.undoRows(ctx, w, key); err != nil {
		return err
	}
	r.cancelled, err = undo.Marks(ctx, r.of, key)
	return err
}

// trashOf is where the run has put its copies: what was withdrawn is kept apart.
func (o *undoOptions) trashOf(ctx context.Context, c *cleaning, run int64) (trashFlags, error) {
	for r, err := range c.ledger.Removals(ctx, ledger.RemovalQuery{Run: run}) {
		if err != nil {
			return o.trash, err
		}
		f := trashOf(r.Policy)
		f.dir = o.trash.dir
		return f, nil
	}
	return o.trash, nil
}

// undoRows gives the rows of a prune their columns back, now that their objects are
// back. Only one object of them says nothing about a row's others.
func (r *undoReport) undoRows(ctx context.Context, w *world, key media.Key) (err error) {
	if key != "" {
		return nil
	}
	if r.forgotten, err = r.forgets(ctx); err != nil {
		return err
	}
	if r.pruned, err = cleanup.HasRows(ctx, r.c.ledger, r.of); err != nil || !r.pruned {
		return err
	}
	if err := r.c.openDatabase(ctx, w); err != nil {
		return err
	}
	if r.c.sight.Mark.Binding == nil || r.c.sight.Mark.Binding.Database != r.c.tie.Database {
		return &owner.RefusedError{
			Reason: "the objects are back, but this is not the database that the rows were cleared in",
			Hint:   "name the right one, then run again: it goes on with the rows",
		}
	}
	rows := cleanup.UndoRows{DB: r.c.db, Journal: r.c.ledger, Run: r.c.run, Now: r.c.now}
	r.rows, err = rows.Take(ctx, r.of)
	return err
}

// forgets asks how many of the rows have expired in the journal since.
func (r *undoReport) forgets(ctx context.Context) (int64, error) {
	of, err := r.c.ledger.Run(ctx, r.of)
	if err != nil {
		return 0, err
	}
	var counts struct {
		Prune   int64 `json:"rows"`
		Nightly int64 `json:"rows_cleared"`
		Missing int64 `json:"cleared"`
	}
	if len(of.Counts) > 0 { // a killed run has none
		if err := json.Unmarshal(of.Counts, &counts); err != nil {
			return 0, fmt.Errorf("read what run %d counted: %w", r.of, err)
		}
	}
	return cleanup.Forgotten(ctx, r.c.ledger, r.of, counts.Prune+counts.Nightly+counts.Missing)
}

// maxUndone bounds what the last screen lists one by one; the journal has all.
const maxUndone = 20

// left is how many objects are not back.
func (r *undoReport) left() (n int64) {
	for outcome, s := range r.outcomes {
		if outcome != cleanup.PutBack && outcome != cleanup.Already {
			n += s.Objects
		}
	}
	return n
}

func (r *undoReport) screen() string {
	var b strings.Builder
	fmt.Fprintf(&b, "undo of run %d (run %d)\n", r.of, r.c.run)
	for _, outcome := range cleanup.UndoOutcomes() {
		if s := r.outcomes[outcome]; s.Objects > 0 {
			fmt.Fprintf(&b, "  %-40s %10s  %s\n", outcome, count(s.Objects), size(s.Bytes))
		}
	}
	fmt.Fprintf(&b, "  %-40s %10s\n", "marks cancelled", count(r.cancelled))
	if r.pruned {
		fmt.Fprintf(&b, "  %-40s %10s\n", "rows restored", count(r.rows.Restored))
		fmt.Fprintf(&b, "  %-40s %10s\n", "rows that Mastodon has filled again", count(r.rows.Refilled))
		fmt.Fprintf(&b, "  %-40s %10s  (Mastodon fetches them when somebody looks)\n", "rows without their objects", count(r.rows.Lost))
	}
	if r.forgotten > 0 {
		fmt.Fprintf(&b, "  %-40s %10s  (after %d days: no row names their objects, and Mastodon fetches them when somebody looks)\n", "rows that the journal has forgotten", count(r.forgotten), ledger.ClearingLife/(24*time.Hour))
	}
	if len(r.outcomes) == 0 {
		b.WriteString("  nothing that this run removed is to be put back\n")
	}
	if r.outcomes[cleanup.Expired].Objects > 0 {
		b.WriteString("  (copies stay for 30 days, of what was withdrawn for 90, in the folder that the run was told: --trash DIR)\n")
	}
	for _, f := range r.failed {
		fmt.Fprintf(&b, "  not back: %s: %s\n", quoteKey(string(f.Removal.Key)), oneLine(strings.TrimSuffix(f.Outcome+": "+f.Detail, ": ")))
	}
	return b.String()
}
