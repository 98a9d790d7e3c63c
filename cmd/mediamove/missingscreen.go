package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/media"
)

// A missingJSON is one object for machines.
type missingJSON struct {
	Schema string `json:"schema"`
	Run    int64  `json:"run"`

	Rows      int64 `json:"rows"`
	Required  int64 `json:"required"`
	Young     int64 `json:"rows_young"`
	Busy      int64 `json:"rows_busy"`
	Absent    int64 `json:"asked"`
	Unlisted  int64 `json:"unlisted"`
	Meanwhile int64 `json:"deleted_meanwhile"`
	Hidden    int64 `json:"hidden"`

	Missing int64            `json:"missing"`
	Local   int64            `json:"missing_local"`
	Remote  int64            `json:"missing_remote"`
	Groups  []lossGroupJSON  `json:"groups"`
	Exposed []exposedRowJSON `json:"exposed"`
	Left    int64            `json:"left"`
	Shown   int64            `json:"exposed_left"`

	Guards    []guardJSON    `json:"guards"`
	Refusal   string         `json:"refusal,omitempty"`
	Healed    *healedJSON    `json:"healed,omitempty"`
	Nulled    *nulledJSON    `json:"cleared,omitempty"`
	Withdrawn *withdrawnJSON `json:"withdrawn,omitempty"`
	Plan      *planFileJSON  `json:"plan,omitempty"`

	spentJSON
	Complete bool `json:"complete"`
}

type lossGroupJSON struct {
	Owner   string         `json:"owner"` // local or remote
	Class   media.Class    `json:"class"`
	Cause   cleanup.Cause  `json:"cause"`
	Source  cleanup.Source `json:"source"`
	Objects int64          `json:"objects"`
}

type exposedRowJSON struct {
	Class media.Class `json:"class"`
	Why   string      `json:"why"`
	sumJSON
}

type healedJSON struct {
	Disk    int64            `json:"from_disk"`
	Trash   int64            `json:"from_trash"`
	There   int64            `json:"already_there"`
	NotBack map[string]int64 `json:"not_back"`
	Bytes   int64            `json:"bytes"`
}

type nulledJSON struct {
	May     int64 `json:"rows_lost"`
	Rows    int64 `json:"rows"`
	Skipped int64 `json:"rows_skipped"`
	Dropped int64 `json:"rows_dropped"`
}

type withdrawnJSON struct {
	sumJSON
	Kept   map[string]int64 `json:"kept"`
	Partly string           `json:"database_not_asked,omitempty"`
}

func ownerWord(local bool) string {
	if local {
		return "local"
	}
	return "remote"
}

// lossGroups puts what nobody else has first.
func lossGroups(groups map[cleanup.MissingGroup]int64) []lossGroupJSON {
	out := []lossGroupJSON{}
	for g, n := range groups {
		out = append(out, lossGroupJSON{ownerWord(g.Local), g.Class, g.Cause, g.Source, n})
	}
	slices.SortFunc(out, func(a, b lossGroupJSON) int {
		return cmp.Or(strings.Compare(a.Owner, b.Owner), cmp.Compare(a.Class, b.Class), cmp.Compare(b.Objects, a.Objects), cmp.Compare(a.Cause, b.Cause), cmp.Compare(a.Source, b.Source))
	})
	return out
}

func exposedRows(groups map[cleanup.ExposedGroup]cleanup.Sum) []exposedRowJSON {
	out := []exposedRowJSON{}
	for g, s := range groups {
		out = append(out, exposedRowJSON{g.Class, g.Why, sumOf(s)})
	}
	slices.SortFunc(out, func(a, b exposedRowJSON) int {
		return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(a.Why, b.Why))
	})
	return out
}

func (r *missingReport) json() missingJSON {
	out := missingJSON{
		Schema: "mediamove.missing/1", Run: r.c.run, Groups: []lossGroupJSON{}, Exposed: []exposedRowJSON{}, Guards: []guardJSON{},
		spentJSON: r.c.usedBy(r.seconds), Complete: r.err == nil,
	}
	if r.refusal != nil {
		out.Refusal = oneLine(r.refusal.Error())
	}
	if r.sweep != nil && r.sweep.found != nil {
		out.Guards = guardRows(r.sweep.found.Refusals)
	}
	if r.saved != nil {
		out.Plan = &planFileJSON{r.o.save, r.saved.ID, r.saved.Candidates.Objects, r.saved.Candidates.Bytes, r.saved.Expires}
	}
	if r.healed.asked {
		h := &r.healed
		out.Healed = &healedJSON{h.files.Moved, h.outcomes[cleanup.PutBack], h.files.Adopted + h.outcomes[cleanup.Already], h.notBack(), h.bytes}
	}
	if r.nulled.asked {
		out.Nulled = &nulledJSON{r.nulled.may, r.nulled.rows, r.nulled.skipped, r.nulled.dropped}
	}
	if r.hidden.asked {
		out.Withdrawn = &withdrawnJSON{sumOf(r.hidden.removed), map[string]int64{}, r.hidden.partly}
		maps.Copy(out.Withdrawn.Kept, r.hidden.kept)
	}
	m := r.MissingReport
	if m == nil {
		return out
	}
	out.Rows, out.Required, out.Young, out.Busy = m.Rows, m.Required, m.Young, m.Busy
	out.Absent, out.Unlisted, out.Meanwhile, out.Hidden = m.Absent, m.Unlisted, m.Meanwhile, m.Hidden
	out.Local, out.Remote = m.Lost(true), m.Lost(false)
	out.Missing, out.Left, out.Shown = out.Local+out.Remote, r.left(), r.exposed()
	out.Groups, out.Exposed = lossGroups(m.Groups), exposedRows(m.Exposed)
	return out
}

// counts are what the ledger remembers of the run.
func (r *missingReport) counts() map[string]int64 {
	out := map[string]int64{"healed": r.healed.back(), "cleared": r.nulled.rows, "withdrawn": r.hidden.removed.Objects}
	if r.MissingReport != nil {
		out["missing_local"], out["missing_remote"], out["exposed"] = r.Lost(true), r.Lost(false), r.Shown().Objects
	}
	return out
}

// notBack are the losses that could not be put back, by why.
func (h *healed) notBack() map[string]int64 {
	out := map[string]int64{}
	for why, n := range h.outcomes {
		if why != cleanup.PutBack && why != cleanup.Already {
			out[why] += n
		}
	}
	f := &h.files
	for why, n := range map[string]int64{
		"the disk has other bytes than were moved": f.Changed, "gone from disk by now": f.Vanished, cleanup.Newer: f.Conflict,
		cleanup.Unnamed: f.Left, "held back": f.HeldBack, cleanup.NotPut: f.Failed,
	} {
		if n > 0 {
			out[why] += n
		}
	}
	return out
}

// showMissing prints the end of a run.
func (w *world) showMissing(ctx context.Context, r *missingReport) error {
	if r.o.json {
		return printJSON(w.stdout, r.json())
	}
	var b strings.Builder
	if r.MissingReport != nil {
		r.printFound(&b)
	}
	if r.sweep != nil && r.sweep.found != nil {
		printRefusals(&b, r.sweep.found.Refusals)
	}
	r.printDone(&b)
	if err := r.c.printSpent(ctx, &b); err != nil {
		return err
	}
	r.printNext(&b)
	_, err := io.WriteString(w.stdout, b.String())
	return err
}

func (r *missingReport) printFound(b *strings.Builder) {
	m := r.MissingReport
	local, remote := m.Lost(true), m.Lost(false)
	fmt.Fprintf(b, "missing: run %d, bucket %s: %s rows need %s objects; %s are not there: %s of local users, %s of other servers\n",
		r.c.run, r.c.settings.Bucket, count(m.Rows), count(m.Required), count(local+remote), count(local), count(remote))
	if rows := lossGroups(m.Groups); len(rows) > 0 {
		fmt.Fprintf(b, "\n  %-7s %-22s %-42s %-8s %10s\n", "whose", "class", "why", "still on", "objects")
		for _, g := range rows {
			fmt.Fprintf(b, "  %-7s %-22s %-42s %-8s %10s\n", g.Owner, g.Class, g.Cause, g.Source, count(g.Objects))
		}
	}
	b.WriteString("\n")
	for _, line := range []struct {
		n    int64
		what string
	}{
		{m.Unlisted, "are there, although the listing lacks them"},
		{m.Meanwhile, "went during the run, with their rows"},
		{m.Hidden, "are not there because Mastodon hides them: as it should be"},
		{m.Busy, "rows are being processed: left out"},
		{m.Young, "rows are younger than " + r.o.minAge.String() + ": left out"},
	} {
		if line.n > 0 {
			fmt.Fprintf(b, "  %10s %s\n", count(line.n), line.what)
		}
	}
	if rows := exposedRows(m.Exposed); len(rows) > 0 {
		fmt.Fprintf(b, "\nto hide    %s (%s) are public and should not be\n", objectsOf(m.Shown().Objects), size(m.Shown().Bytes))
		for _, g := range rows {
			fmt.Fprintf(b, "  %-30s %-42s %10s %10s\n", g.Class, g.Why, count(g.Objects), size(g.Bytes))
		}
	}
}

func (r *missingReport) printDone(b *strings.Builder) {
	if r.sweep != nil && r.sweep.settled > 0 {
		fmt.Fprintf(b, "\nan earlier run was killed: %s looked at and journalled\n", objectsOf(int64(r.sweep.settled)))
	}
	if h := &r.healed; h.asked {
		fmt.Fprintf(b, "\nput back   %s from disk, %s from the trash", count(h.files.Moved), count(h.outcomes[cleanup.PutBack]))
		if there := h.files.Adopted + h.outcomes[cleanup.Already]; there > 0 {
			fmt.Fprintf(b, "; %s were there by then", count(there))
		}
		fmt.Fprintf(b, " (%s)\n", size(h.bytes))
		not := h.notBack()
		for _, why := range slices.Sorted(maps.Keys(not)) {
			fmt.Fprintf(b, "not back   %s: %s\n", objectsOf(not[why]), why)
		}
		for _, e := range h.examples {
			fmt.Fprintf(b, "  %s: %s\n", quoteKey(string(e.Loss.Key)), oneLine(strings.TrimSuffix(e.Outcome+": "+e.Detail, ": ")))
		}
	}
	if n := &r.nulled; n.asked && r.saved == nil {
		fmt.Fprintf(b, "\ncleared    %s of %s rows whose original nobody has: Mastodon fetches it again when somebody looks\n", count(n.rows), count(n.may))
		if n.skipped > 0 {
			fmt.Fprintf(b, "kept       %s rows that have changed, or cannot be fetched again\n", count(n.skipped))
		}
		if n.dropped > 0 {
			fmt.Fprintf(b, "kept       %s rows of the plan: not lost any more\n", count(n.dropped))
		}
	}
	if h := &r.hidden; h.asked {
		fmt.Fprintf(b, "\nwithdrawn  %s (%s) into the trash", objectsOf(h.removed.Objects), size(h.removed.Bytes))
		if h.removed.Objects > 0 {
			fmt.Fprintf(b, "; to take it back: mediamove undo %d", r.c.run)
		}
		b.WriteString("\n")
		for _, why := range slices.Sorted(maps.Keys(h.kept)) {
			fmt.Fprintf(b, "kept       %s: %s\n", objectsOf(h.kept[why]), why)
		}
		if h.partly != "" {
			fmt.Fprintf(b, "only what is hidden on disk: the database was not heard, for %s\n", h.partly)
		}
	}
	if r.saved != nil {
		fmt.Fprintf(b, "\nplan       %s: %s rows, to be applied by %s\n", r.o.save, count(r.saved.Candidates.Objects), r.saved.Expires.Format("2006-01-02 15:04 UTC"))
	}
}

// printNext is the line that says what to do next.
func (r *missingReport) printNext(b *strings.Builder) {
	if r.MissingReport == nil || r.err != nil || r.refusal != nil {
		return
	}
	if r.saved != nil {
		fmt.Fprintf(b, "next       look at it, then: mediamove missing --apply-plan %s\n", r.o.save)
		return
	}
	copies := r.From(cleanup.OnDisk) + r.From(cleanup.InTrash)
	switch {
	case copies > 0 && !r.healed.asked:
		fmt.Fprintf(b, "next       %s can be put back: mediamove missing --heal\n", count(copies))
	case r.left() > 0 && r.c.tree == nil && !r.healed.asked:
		b.WriteString("next       if a disk or a backup may still have them: mediamove missing --heal ROOT\n")
	}
	if n := r.From(cleanup.Unseen); n > 0 {
		fmt.Fprintf(b, "next       of %s nobody knows if disk or trash have them: --trash DIR if the copies are elsewhere; can this user read ROOT?\n", objectsOf(n))
	}
	if r.Nullable > 0 && !r.nulled.asked {
		b.WriteString("next       other servers' originals that nobody has: mediamove missing --null-remote lets Mastodon fetch them again\n")
	}
	if r.exposed() > 0 && !r.hidden.asked {
		b.WriteString("next       hide what should not be public: mediamove missing --withdraw\n")
	}
}

// printList prints a line for each loss, and each object that should be hidden.
func (r *missingReport) printList(ctx context.Context, w *world) error {
	p := listPrinter{out: w.stdout, json: r.o.json}
	if err := p.begin("mediamove.losses/1", "objects"); err != nil {
		return err
	}
	for l, err := range r.look.Found(context.WithoutCancel(ctx)) {
		if err != nil {
			return err
		}
		line := fmt.Sprintf("missing\t%s\t%s\t%s\t%s", ownerWord(l.Local), l.Source, withRun(l.Cause, l.Run), quoteKey(string(l.Key)))
		if err := p.print(line, lossJSON{"missing", ownerWord(l.Local), string(l.Key), string(l.Cause), l.Run, l.Source, l.Size}); err != nil {
			return err
		}
	}
	for c, err := range r.look.Shown(context.WithoutCancel(ctx)) {
		if err != nil {
			return err
		}
		line := fmt.Sprintf("exposed\t\tbucket\t%s\t%s", c.Reason, quoteKey(string(c.Key)))
		if err := p.print(line, lossJSON{"exposed", "", string(c.Key), c.Reason, 0, "bucket", c.Size}); err != nil {
			return err
		}
	}
	return p.end()
}

// A lossJSON is a line of --list.
type lossJSON struct {
	Kind   string         `json:"kind"`
	Owner  string         `json:"owner,omitempty"`
	Key    string         `json:"key"`
	Why    string         `json:"why"`
	Run    int64          `json:"run,omitempty"`
	Source cleanup.Source `json:"source"`
	Size   int64          `json:"size"`
}

// withRun names the run that a cause speaks of.
func withRun(c cleanup.Cause, run int64) string {
	if run == 0 {
		return string(c)
	}
	return fmt.Sprintf("%s (run %d)", c, run)
}
