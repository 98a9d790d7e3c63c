package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/costs"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
)

type holdingJSON struct {
	Class media.Class `json:"class"`
	Owner string      `json:"owner"`
	sumJSON
}

type keepJSON struct {
	Why mastodon.Keep `json:"why"`
	sumJSON
}

type claimJSON struct {
	Class       media.Class `json:"class"`
	LocalRows   int64       `json:"local_rows"`
	LocalBytes  int64       `json:"local_bytes"`
	RemoteRows  int64       `json:"remote_rows"`
	RemoteBytes int64       `json:"remote_bytes"`
}

type pruneJSON struct {
	Schema string `json:"schema"`
	Run    int64  `json:"run"`

	Budget   int64         `json:"budget_bytes"`
	Target   int64         `json:"target_bytes"`
	Objects  int64         `json:"objects"`
	Bytes    int64         `json:"bytes"`
	Holdings []holdingJSON `json:"holdings"`
	Claims   []claimJSON   `json:"database"`
	Orphans  sumJSON       `json:"orphans"`
	Cached   sumJSON       `json:"cached"`
	Open     sumJSON       `json:"open"`
	Kept     []keepJSON    `json:"kept"`
	Oldest   oldestJSON    `json:"oldest_kept"`
	Leftover sumJSON       `json:"leftover"`

	Rows        int64            `json:"rows"`
	Freed       sumJSON          `json:"freed"`
	Share       float64          `json:"share_percent"`
	Short       int64            `json:"short_bytes"`
	After       int64            `json:"bytes_after"`
	OrphansOver bool             `json:"orphans_over"`
	WithUSD     string           `json:"month_usd"`
	WithoutUSD  string           `json:"month_without_usd"`
	Guards      []guardJSON      `json:"guards"`
	Applied     bool             `json:"applied"`
	Cleared     int64            `json:"rows_cleared"`
	Skipped     int64            `json:"rows_skipped"`
	Dropped     int64            `json:"rows_dropped"`
	Removed     sumJSON          `json:"removed"`
	NotRemoved  map[string]int64 `json:"not_removed"`
	Expired     int64            `json:"copies_expired"`
	Refusal     string           `json:"refusal,omitempty"`
	Plan        *planFileJSON    `json:"plan,omitempty"`

	spentJSON
	Complete bool `json:"complete"`
}

// oldestJSON is by class.
type oldestJSON map[media.Class]time.Time

// claimRows are what the database says of itself, in a fixed order.
func claimRows(claims map[media.Class]mastodon.Usage) []claimJSON {
	out := []claimJSON{}
	for _, class := range slices.Sorted(maps.Keys(claims)) {
		c := claims[class]
		out = append(out, claimJSON{class, c.Local.Rows, c.Local.Bytes, c.Remote.Rows, c.Remote.Bytes})
	}
	return out
}

// holdingRows are whose the bytes are, in a fixed order.
func holdingRows(s *cleanup.Scan) []holdingJSON {
	out := []holdingJSON{}
	for h, sum := range s.Holdings {
		out = append(out, holdingJSON{h.Class, h.Owner, sumOf(sum)})
	}
	slices.SortFunc(out, func(a, b holdingJSON) int {
		return strings.Compare(string(a.Class)+" "+a.Owner, string(b.Class)+" "+b.Owner)
	})
	return out
}

func keepRows(kept map[mastodon.Keep]cleanup.Sum) []keepJSON {
	out := []keepJSON{}
	for _, why := range slices.Sorted(maps.Keys(kept)) {
		out = append(out, keepJSON{why, sumOf(kept[why])})
	}
	return out
}

// monthly is what so many bytes cost in a month by themselves.
func (c *cleaning) monthly(bytes int64) string {
	p := c.tariff.Of(time.Now())
	stored := costs.Storage{}
	for d := p.From; d < p.To; d++ {
		stored.Saw(d, bytes)
	}
	return costs.FormatUSD(c.tariff.Standard.Bill(costs.Usage{}, stored.GBMonths(p)).Total)
}

func (r *pruneReport) json() pruneJSON {
	out := pruneJSON{
		Schema: "mediamove.prune/1", Run: r.c.run, Budget: r.budget.Bytes, Target: r.budget.Target,
		Holdings: []holdingJSON{}, Claims: claimRows(r.claims), Kept: []keepJSON{}, Oldest: oldestJSON{}, Guards: []guardJSON{}, WithUSD: "0.00", WithoutUSD: "0.00",
		Applied: r.applied, Cleared: r.rows, Skipped: r.skipped, Dropped: r.dropped, Removed: sumOf(r.removed), NotRemoved: r.kept, Expired: r.expired,
		spentJSON: r.c.usedBy(r.seconds), Complete: r.err == nil,
	}
	if out.NotRemoved == nil {
		out.NotRemoved = map[string]int64{}
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
	p := r.PruneReport
	if p == nil {
		return out
	}
	out.Objects, out.Bytes, out.Holdings = p.Used.Objects, p.Used.Bytes, holdingRows(r.sweep.found.Scan)
	out.Orphans, out.Cached, out.Open, out.Kept, out.Leftover = sumOf(p.Orphans), sumOf(p.Cached), sumOf(p.Open), keepRows(p.Kept), sumOf(p.Resume)
	out.Oldest = p.Oldest
	out.Rows, out.Freed, out.Share, out.Short, out.After, out.OrphansOver = p.Rows, sumOf(p.Freed), p.Share, p.Short, p.After(), p.OrphansOver
	out.WithUSD, out.WithoutUSD = r.c.monthly(p.After()), r.c.monthly(p.Used.Bytes)
	return out
}

// showPrune prints the end of a run.
func (w *world) showPrune(ctx context.Context, r *pruneReport) error {
	if r.o.json {
		return printJSON(w.stdout, r.json())
	}
	var b strings.Builder
	if r.PruneReport != nil {
		r.printFound(&b)
		r.printPlan(&b)
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

func (r *pruneReport) printFound(b *strings.Builder) {
	fmt.Fprintf(b, "prune: run %d, bucket %s holds %s objects, %s (%s bytes); budget %s (%s bytes), target %s\n\n",
		r.c.run, r.c.settings.Bucket, count(r.Used.Objects), size(r.Used.Bytes), count(r.Used.Bytes), size(r.budget.Bytes), count(r.budget.Bytes), size(r.budget.Target))
	for _, h := range holdingRows(r.sweep.found.Scan) {
		fmt.Fprintf(b, "  %-24s %-8s %12s objects %10s\n", orDash(string(h.Class)), h.Owner, count(h.Objects), size(h.Bytes))
	}
	for _, c := range claimRows(r.claims) {
		if c.LocalRows+c.RemoteRows > 0 {
			fmt.Fprintf(b, "  %-24s the database says: local %s, remote %s (originals and thumbnails only)\n", c.Class, size(c.LocalBytes), size(c.RemoteBytes))
		}
	}
	fmt.Fprintf(b, "\n  other servers' attachments and cards   %12s objects %10s\n", count(r.Cached.Objects), size(r.Cached.Bytes))
	fmt.Fprintf(b, "    may be cleared                       %12s objects %10s\n", count(r.Open.Objects), size(r.Open.Bytes))
	for _, k := range keepRows(r.Kept) {
		fmt.Fprintf(b, "    kept: %-30s %12s objects %10s\n", k.Why, count(k.Objects), size(k.Bytes))
	}
	for _, class := range slices.Sorted(maps.Keys(r.Oldest)) {
		fmt.Fprintf(b, "    oldest kept of %-20s %20s\n", class, r.Oldest[class].UTC().Format(time.DateOnly))
	}
	if r.Orphans.Objects > 0 {
		fmt.Fprintf(b, "  orphans, not removed yet               %12s objects %10s\n", count(r.Orphans.Objects), size(r.Orphans.Bytes))
	}
}

func (r *pruneReport) printPlan(b *strings.Builder) {
	if r.Rows == 0 {
		b.WriteString("\nto clear   nothing\n")
		return
	}
	fmt.Fprintf(b, "\nto clear   %s rows with %s (%s): %.1f %% of the cache\n", count(r.Rows), objectsOf(r.Freed.Objects), size(r.Freed.Bytes), r.Share)
	for _, class := range slices.Sorted(maps.Keys(r.Classes)) {
		s := r.Classes[class]
		fmt.Fprintf(b, "           %-20s %s, %s, fetched until %s\n", class, objectsOf(s.Objects), size(s.Bytes), r.Youngest[class].UTC().Format(time.DateOnly))
	}
	fmt.Fprintf(b, "after it   %s; a month costs $%s for storage, $%s without it\n", size(r.After()), r.c.monthly(r.After()), r.c.monthly(r.Used.Bytes))
	b.WriteString("           whoever looks at one of them sees it after a moment: Mastodon fetches it again\n")
}

func (r *pruneReport) printDone(b *strings.Builder) {
	if r.applied {
		fmt.Fprintf(b, "\ncleared    %s rows; %s had changed and were left alone\n", count(r.rows), count(r.skipped))
		fmt.Fprintf(b, "removed    %s (%s)\n", objectsOf(r.removed.Objects), size(r.removed.Bytes))
	}
	for _, why := range slices.Sorted(maps.Keys(r.kept)) {
		fmt.Fprintf(b, "kept       %s: %s\n", objectsOf(r.kept[why]), why)
	}
	if r.dropped > 0 {
		fmt.Fprintf(b, "kept       %s rows of the plan: they may not be cleared any more\n", count(r.dropped))
	}
	if r.expired > 0 {
		fmt.Fprintf(b, "trash      %s expired after 30 days\n", objectsOf(r.expired))
	}
	if why := r.over(); why != "" {
		fmt.Fprintf(b, "\nNOT within the budget: %s\n", why)
	}
	if r.saved != nil {
		fmt.Fprintf(b, "\nplan       %s: %s rows, %s (%s), to be applied by %s\n", r.o.save, count(r.Rows), objectsOf(r.saved.Candidates.Objects), size(r.saved.Candidates.Bytes), r.saved.Expires.Format("2006-01-02 15:04 UTC"))
	}
}

// printNext is the line that says what to do next.
func (r *pruneReport) printNext(b *strings.Builder) {
	switch {
	case r.err != nil, r.refusal != nil, r.PruneReport == nil:
	case r.saved != nil:
		fmt.Fprintf(b, "next       look at it, then: mediamove prune --apply-plan %s\n", r.o.save)
	case r.OrphansOver:
		b.WriteString("next       let the orphans go once: mediamove orphans --save plan.json, which says how\n")
	case r.applied || r.Rows == 0:
	case r.CheckShare(r.o.share) != nil:
		fmt.Fprintf(b, "next       --apply would refuse to clear so much at once; is the unit right? If so: --allow-share %.0f\n", min(100, math.Ceil(r.Share)))
	default:
		fmt.Fprintf(b, "next       mediamove prune%s --apply\n", r.o.typed())
	}
}

// typed are the flags that decide what goes, as they were typed.
func (o *pruneOptions) typed() string {
	var b strings.Builder
	for _, name := range []string{"budget", "target", "min-age", "allow-share"} {
		if f := o.fs.Lookup(name); f != nil && f.Changed {
			fmt.Fprintf(&b, " --%s %s", name, quoteArg(f.Value.String()))
		}
	}
	return b.String()
}

// quoteArg keeps "2 GB" one argument.
func quoteArg(s string) string {
	if strings.ContainsAny(s, " \t'\"") {
		return strconv.Quote(s)
	}
	return s
}
