package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

// journalOptions are what was typed: filters, all of which must hold. Empty ones ask for
// nothing.
type journalOptions struct {
	common
	run                 int64
	key, prefix, reason string
	state, since, until string
}

func newJournal(w *world) *cobra.Command {
	o := new(journalOptions)
	c := &cobra.Command{
		Use:   "journal",
		Short: "What was removed, when, why, by which run",
		Long: `Journal reads the ledger only. It prints one line per object that a cleanup run was
about to remove, oldest first, tab-separated: time, run, state, bytes, reason, key. The
states: removed; kept (left alone after all, and why); restored (undo put it back);
intent (the run was killed; the next one looks). Nothing is ever dropped from it.
` + exitHelp,
		Example: `  mediamove journal --run 1187
  mediamove journal --since 2026-11-20 --prefix cache/media_attachments --json`,
		Args: wantNothing("to look for one object: --key KEY"),
		RunE: func(c *cobra.Command, _ []string) error { return runJournal(c.Context(), w, o) },
	}
	fs := c.Flags()
	o.addFlags(fs)
	fs.Int64Var(&o.run, "run", 0, "only this `RUN`")
	fs.StringVar(&o.key, "key", "", "only this `KEY`")
	fs.StringVar(&o.prefix, "prefix", "", "only keys that begin with `TEXT`")
	fs.StringVar(&o.reason, "reason", "", "only this `REASON`, such as \"row gone\"")
	fs.StringVar(&o.state, "only", "", "only this `STATE`: removed, kept, restored or intent")
	fs.StringVar(&o.since, "since", "", "from this `TIME` on: 2026-11-20, or with a time as RFC 3339 has it (UTC)")
	fs.StringVar(&o.until, "until", "", "before this `TIME`")
	return c
}

// query is what the flags ask for.
func (o *journalOptions) query() (q ledger.RemovalQuery, err error) {
	q = ledger.RemovalQuery{
		Run: o.run, Key: media.Key(strings.TrimPrefix(o.key, "/")), Prefix: strings.TrimPrefix(o.prefix, "/"),
		Reason: o.reason, State: ledger.RemovalState(o.state),
	}
	if o.run < 0 {
		return q, usagef("mediamove journal shows the runs", "--run %d: not the number of a run", o.run)
	}
	if o.state != "" && !q.State.Valid() {
		return q, usagef("the states: removed, kept, restored, intent", "--only %q", o.state)
	}
	if q.Since, err = parseTime("--since", o.since); err != nil {
		return q, err
	}
	q.Until, err = parseTime("--until", o.until)
	return q, err
}

// parseTime reads a day or a time, UTC unless it says otherwise.
func parseTime(flag, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339, "2006-01-02T15:04", "2006-01-02 15:04"} {
		if t, err := time.ParseInLocation(layout, s, time.UTC); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usagef("for instance "+flag+" 2026-11-20, or 2026-11-20T03:13:00Z", "%s %q: not a time", flag, s)
}

// runJournal prints as it reads: after years the journal is longer than memory should be.
func runJournal(ctx context.Context, w *world, o *journalOptions) (err error) {
	q, err := o.query()
	if err != nil {
		return err
	}
	led, err := o.reader(ctx, w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, led.Close()) }()
	p := listPrinter{out: w.stdout, json: o.json}
	if err := p.begin("mediamove.journal/1", "removals"); err != nil {
		return err
	}
	for r, err := range led.Removals(ctx, q) {
		if err != nil {
			return err
		}
		if err := p.print(removalLine(&r), removalOf(&r)); err != nil {
			return err
		}
	}
	return p.end()
}

// removalLine is one line for a script. The key comes last, since it alone may hold a tab,
// and is quoted then.
func removalLine(r *ledger.Removal) string {
	reason := r.Reason
	if r.Detail != "" {
		reason += " (" + r.Detail + ")"
	}
	return fmt.Sprintf("%s\t%d\t%s\t%d\t%s\t%s", r.Intended.UTC().Format(time.RFC3339), r.Run, r.State, r.Size, oneLine(reason), quoteKey(string(r.Key)))
}

// A removalJSON is a row of the journal. Policy is why anything is removed at all, Reason
// why this object. Intended is before the deletion; without Ended the run was killed in
// between, and the object may be gone or not. Trash is the name of its copy.
type removalJSON struct {
	Run         int64      `json:"run"`
	Key         string     `json:"key"`
	Policy      string     `json:"policy"`
	Reason      string     `json:"reason"`
	State       string     `json:"state"`
	Detail      string     `json:"detail,omitempty"`
	Size        int64      `json:"size"`
	ETag        string     `json:"etag"`
	Modified    time.Time  `json:"modified"`
	Trash       string     `json:"trash,omitempty"`
	Plan        string     `json:"plan,omitempty"`
	Intended    time.Time  `json:"intended"`
	Ended       *time.Time `json:"ended,omitempty"`
	RestoredRun int64      `json:"restored_run,omitempty"`
	RestoredAt  *time.Time `json:"restored_at,omitempty"`
}

// removalOf puts a row of the journal into the shape of JSON, with all times in UTC.
func removalOf(r *ledger.Removal) removalJSON {
	return removalJSON{
		Run: r.Run, Key: string(r.Key), Policy: r.Policy, Reason: r.Reason, State: string(r.State), Detail: r.Detail,
		Size: r.Size, ETag: r.ETag, Modified: r.Modified.UTC(), Trash: r.Trash, Plan: r.Plan, Intended: r.Intended.UTC(),
		Ended: given(r.Ended), RestoredRun: r.RestoredRun, RestoredAt: given(r.RestoredAt),
	}
}

// given is nil for no time.
func given(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
