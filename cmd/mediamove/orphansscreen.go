package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/ledger"
)

// showOrphans prints the end of a run.
func (w *world) showOrphans(ctx context.Context, c *cleaning, r *orphansReport) error {
	if r.o.json {
		return printJSON(w.stdout, r.json())
	}
	var b strings.Builder
	if r.Report != nil && r.Scan != nil {
		r.printFound(&b)
		r.printGuards(&b)
	}
	r.printDone(&b)
	if err := c.printSpent(ctx, &b); err != nil {
		return err
	}
	r.printNext(&b)
	_, err := io.WriteString(w.stdout, b.String())
	return err
}

func (r *orphansReport) printFound(b *strings.Builder) {
	s := r.Scan
	fmt.Fprintf(b, "orphans: run %d judged %s objects (%s) in bucket %s; %s (%s) are owned by a row\n\n",
		r.c.run, count(s.All.Objects), size(s.All.Bytes), r.c.settings.Bucket, count(s.Owned.Objects), size(s.Owned.Bytes))
	groups := sortGroups(s.Totals)
	if len(groups) > 0 {
		fmt.Fprintf(b, "  %-8s %-34s %-40s %10s %10s\n", "", "below", "why", "objects", "bytes")
	}
	for _, g := range groups {
		fmt.Fprintf(b, "  %-8s %-34s %-40s %10s %10s\n", g.Kind, orDash(g.Prefix), g.Reason, count(g.Objects), size(g.Bytes))
	}
	if len(groups) > 0 {
		b.WriteString("\n")
	}
	fmt.Fprintf(b, "  may go    %10s objects %10s   seen twice, 20 h apart, and older than %s; $%s a month\n",
		count(r.Candidates.Objects), size(r.Candidates.Bytes), hours(r.o), r.monthly())
	fmt.Fprintf(b, "  waiting   %10s objects %10s   orphans that are too young or were seen once\n", count(r.Waiting.Objects), size(r.Waiting.Bytes))
	if r.Returned.Objects > 0 {
		fmt.Fprintf(b, "  put back  %10s objects %10s   by undo: left alone\n", count(r.Returned.Objects), size(r.Returned.Bytes))
	}
	for _, kind := range []struct {
		kind ledger.SuspectKind
		name string
		why  string
	}{{ledger.Review, "to review", "never removed: mediamove orphans --list review"}, {ledger.Unknown, "unknown", "never removed: mediamove orphans --list unknown"}} {
		if sum := ofKind(groups, kind.kind); sum.Objects > 0 {
			fmt.Fprintf(b, "  %-9s %10s objects %10s   %s\n", kind.name, count(sum.Objects), size(sum.Bytes), kind.why)
		}
	}
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func hours(o *orphansOptions) string {
	if h := o.minAge.Hours(); h == float64(int(h)) {
		return fmt.Sprintf("%d h", int(h))
	}
	return o.minAge.String()
}

// printRefusals tells which guards forbid deletions, or that none does.
func printRefusals(b *strings.Builder, refusals []*cleanup.Refusal) {
	if len(refusals) == 0 {
		fmt.Fprintf(b, "\nguards     all %d let it pass\n", len(cleanup.Guards()))
	}
	for i, refusal := range refusals {
		name := "guards"
		if i > 0 {
			name = ""
		}
		fmt.Fprintf(b, "%s%-10s refused by %q: %s\n%-10s   %s\n", lineIf(i == 0), name, refusal.Guard, oneLine(refusal.Reason), "", refusal.Hint)
	}
}

func (r *orphansReport) printGuards(b *strings.Builder) {
	printRefusals(b, r.Refusals)
	for _, a := range r.Above {
		fmt.Fprintf(b, "ceiling    %s: %s objects (%s) may go, a night's ceiling is %s and %s", a.Class, count(a.Candidates.Objects), size(a.Candidates.Bytes), count(a.Objects), size(a.Bytes))
		if a.Tonight.Objects > 0 {
			fmt.Fprintf(b, ", %s went already", count(a.Tonight.Objects))
		}
		b.WriteString("\n")
	}
}

func lineIf(first bool) string {
	if first {
		return "\n"
	}
	return ""
}

func (r *orphansReport) printDone(b *strings.Builder) {
	if r.settled > 0 {
		fmt.Fprintf(b, "\nan earlier run was killed: %s looked at and journalled\n", objectsOf(int64(r.settled)))
	}
	if r.applied {
		fmt.Fprintf(b, "\nremoved    %s (%s)", objectsOf(r.removed.Objects), size(r.removed.Bytes))
		if r.removed.Objects > 0 {
			fmt.Fprintf(b, "; to take it back: mediamove undo %d", r.c.run)
		}
		b.WriteString("\n")
	}
	for _, why := range slices.Sorted(maps.Keys(r.kept)) {
		fmt.Fprintf(b, "kept       %s: %s\n", objectsOf(r.kept[why]), why)
	}
	if r.dropped > 0 {
		fmt.Fprintf(b, "kept       %s of the plan: no candidates any more\n", objectsOf(r.dropped))
	}
	if r.expired > 0 {
		fmt.Fprintf(b, "trash      %s expired after 30 days\n", objectsOf(r.expired))
	}
	if r.saved != nil {
		fmt.Fprintf(b, "\nplan       %s: %s (%s), to be applied by %s\n", r.savedAt, objectsOf(r.saved.Candidates.Objects), size(r.saved.Candidates.Bytes), r.saved.Expires.Format("2006-01-02 15:04 UTC"))
		listed, read := r.toApply()
		fmt.Fprintf(b, "to apply   about Class A %s (the listing, the mark, each 1,000 deletions)   Class B %s (a copy of each)\n", count(listed), count(read))
	}
}

// toApply is what applying the saved plan takes, if nothing has to be sent twice: the
// bucket is listed again, the mark is read and raised, every object is copied into the
// trash (read twice where its ETag proves nothing), and the first ten are looked at, with as
// many that somebody owns.
func (r *orphansReport) toApply() (classA, classB int64) {
	n, first := r.saved.Candidates.Objects, min(r.saved.Candidates.Objects, cleanup.Canaries)
	batches := (n - first + cleanup.Batch - 1) / cleanup.Batch
	classA = max(1, (r.Scan.All.Objects+cleanup.Batch-1)/cleanup.Batch)
	classB = 1
	if n > 0 {
		classA += 1 + batches
		classB += 1 + batches + n + first + 2*cleanup.Canaries
	}
	return classA, classB
}

func objectsOf(n int64) string {
	if n == 1 {
		return "1 object"
	}
	return count(n) + " objects"
}

// printNext is the line that says what to do next.
func (r *orphansReport) printNext(b *strings.Builder) {
	switch {
	case r.Report == nil || r.err != nil || len(r.Refusals) > 0: // the guards say what to do
	case r.saved != nil && len(r.Above) > 0:
		fmt.Fprintf(b, "next       look at it, then allow it once: mediamove orphans --apply-plan %s --allow-above %d\n", r.savedAt, r.saved.Candidates.Objects)
	case r.saved != nil:
		fmt.Fprintf(b, "next       look at it, then: mediamove orphans --apply-plan %s\n", r.savedAt)
	case len(r.Above) > 0 && !r.applied:
		b.WriteString("next       look: mediamove orphans --save plan.json, which says how to allow it once\n")
	case !r.applied && r.refusal == nil && r.Candidates.Objects > 0:
		b.WriteString("next       look: mediamove orphans --save plan.json; or remove: mediamove orphans --apply\n")
	}
}
