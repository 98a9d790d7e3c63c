package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"example.org/mediamove/costs"
)

// A planReport is the end of a plan: its screen and --json.
type planReport struct {
	foresight
	root    string
	took    time.Duration
	command command
	budget  *decimal.Decimal // US dollars; nil: none
	books   books
	work    workload
	time    reckoned

	cycle, month costs.Bill // this billing cycle's; that of a normal month after it
	levers       []lever
	footnotes    []costs.Assumption
}

// report prices a plan.
func (s *planSetting) report(f foresight, root string, c command) *planReport {
	r := &planReport{foresight: f, root: root, command: c, budget: s.budget, work: f.workload()}
	r.books = books{s.tariff, costs.DayOf(s.now), f.used, f.stored}
	r.time = f.speed.reckon(r.work, s.rate)
	r.price()
	return r
}

// price works out the bills, what makes them smaller, and what they rest on.
func (r *planReport) price() {
	r.cycle = r.books.bill(r.work, r.books.cycle())
	r.month = r.books.bill(r.work, r.after())
	if r.Refused == nil {
		r.levers = r.pull()
	}
	r.footnotes = costs.Footnotes(costs.OwnUse, costs.DecimalGB, costs.PeriodDays, costs.DayBoundary, costs.MetadataBytes, costs.FailedRequests)
}

// after is the cycle after this one.
func (r *planReport) after() costs.Period { return r.books.Next(r.books.cycle()) }

const planWidth = 100 // columns

// screen is the plan for a terminal. A refusal comes first, and nothing is priced then:
// not one file would be sent.
func (r *planReport) screen() string {
	var b strings.Builder
	if r.Refused != nil {
		_, _ = fmt.Fprintf(&b, "REFUSED: sync would stop before it sends anything: %v\n\n", r.Refused)
	}
	_, _ = fmt.Fprintf(&b, "plan for %s   %s looked at in %s\n\n", quoteKey(r.root), files(r.Seen), span(r.took))
	r.printClasses(&b)
	r.printOthers(&b)
	r.printRequests(&b)
	if r.Refused == nil {
		r.printTime(&b)
		r.printBills(&b)
		r.printLevers(&b)
		r.printNotes(&b)
	}
	switch {
	case r.Refused != nil:
	case r.work.files == 0:
		b.WriteString("\nnothing was sent, and nothing is left to send\n")
	default:
		b.WriteString("\nnothing was sent. To move: mediamove sync\n")
	}
	return b.String()
}

// printClasses keeps local files and the remote cache apart, since only the cache can be
// cleared instead of being sent.
func (r *planReport) printClasses(b *strings.Builder) {
	if r.work.files == 0 {
		return
	}
	const row = "  %-22s %12s %10s %14s %10s %14s %10s\n"
	_, _ = fmt.Fprintf(b, row, "to send", "local", "bytes", "remote cache", "bytes", "together", "bytes")
	var cachedFiles, cachedBytes int64
	line := func(name string, files, bytes, cachedFiles, cachedBytes int64) {
		_, _ = fmt.Fprintf(b, row, name, count(files-cachedFiles), size(bytes-cachedBytes), count(cachedFiles), size(cachedBytes), count(files), size(bytes))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Classes)) {
		c := r.Classes[name]
		line(string(name), c.Files, c.Bytes, c.CachedFiles, c.CachedBytes)
		cachedFiles, cachedBytes = cachedFiles+c.CachedFiles, cachedBytes+c.CachedBytes
	}
	line("together", r.work.files, r.Bytes, cachedFiles, cachedBytes)
	b.WriteString("\n")
}

// printOthers lists what would not be sent, and why. Rows without files are left out.
func (r *planReport) printOthers(b *strings.Builder) {
	some := false
	for _, row := range []struct {
		name     string
		n, bytes int64
	}{
		{"present, proven earlier", r.Present, 0},
		{"replaced: transcoded since", r.Replaced, 0},
		{"adopted: in the bucket already", r.Adopted, 0},
		{"held back: not public on disk", r.Hidden.Files, r.Hidden.Bytes},
		{"held back: backups and imports", r.Private.Files, r.Private.Bytes},
		{"EXPOSED: moved earlier, hidden now", r.Exposed, 0},
		{"known, but changed on disk", r.Changed, 0},
		{"left: after the switch", r.Left - r.Removed, 0},
		{"left: removed by a cleanup run", r.Removed, 0},
		{"conflict: deleted by somebody else", r.Conflict, 0},
		{"vanished meanwhile", r.Vanished, 0},
		{"names that can't be a key", r.Failed, 0},
		{"outside Mastodon's folders", r.Outside, 0},
		{"unreadable", r.Unreadable, 0},
		{"links, FIFOs, devices", r.Links + r.Special, 0},
	} {
		if row.n == 0 {
			continue
		}
		line := fmt.Sprintf("  %-34s %12s", row.name, count(row.n))
		if row.bytes > 0 {
			line += fmt.Sprintf(" %10s", size(row.bytes))
		}
		b.WriteString(line + "\n")
		some = true
	}
	if some {
		b.WriteString("\n")
	}
}

// printRequests says beside the numbers whether they are exact: they are what a limit or
// a budget is chosen by.
func (r *planReport) printRequests(b *strings.Builder) {
	sure := "exact, if files and bucket stay as they are"
	if len(r.unsure) > 0 {
		sure = "the most that it can be; see below"
	}
	verify := r.work.verify()
	_, _ = fmt.Fprintf(b, "  sync     Class A %12s   Class B %9s   %s\n", count(r.Sync.A()), count(r.Sync.B()), sure)
	printFolded(b, "", "           ", operations(r.Sync))
	_, _ = fmt.Fprintf(b, "  verify   Class A %12s   Class B %9s   one pass over the bucket's listing afterwards\n", count(verify.A()), count(verify.B()))
	for _, why := range r.unsure {
		printFolded(b, "  !", "    ", why)
	}
}

// operations names what is counted.
func operations(u costs.Usage) string {
	var words []string
	for op, n := range u.All() {
		words = append(words, count(n)+"×"+op.String())
	}
	return strings.Join(words, ", ")
}

// printTime always says where the rate is from: what is assumed must not look measured.
func (r *planReport) printTime(b *strings.Builder) {
	if r.work.files == 0 {
		return
	}
	t := r.time
	how := map[rateFrom]string{rateTyped: "as typed", rateAssumed: "an assumption: --rate says better", rateMeasured: "measured"}[t.rate]
	text := fmt.Sprintf("%s at %s/s (%s)", span(t.took), size(int64(t.bytesPerSecond)), how)
	if t.filesPerSecond > 0 {
		text += fmt.Sprintf(" or %s/s (measured), whichever is slower; measured in the last %d syncs that moved %d files or more", files(int64(t.filesPerSecond)), t.syncs, speedFiles)
	} else {
		text += "; many small files take longer, and no sync has measured yet how many a second go"
	}
	printFolded(b, "  time", "           ", text)
}

// notes say what the bills take for granted, beside what Cloudflare doesn't document.
func (r *planReport) notes() []string {
	night := r.work.nightly()
	today := "the sync and one verify today"
	if r.books.pass(r.work).IsZero() {
		today = "the sync today, but no verify, which alone would begin a paid million"
	}
	notes := []string{
		fmt.Sprintf("This cycle: what this ledger used so far, %s; storage as the ledger has it, with what would be moved from today on. A normal month: nothing new, and every night a sync and a verify --rotate %d, %s Class A and %s Class B.",
			today, rotation, count(night.A()), count(night.B())),
	}
	if slices.ContainsFunc(r.levers, func(l lever) bool { return l.id == leverShrink }) {
		notes = append(notes, "Ages are those of files on disk; tootctl goes by those of rows, which it clears together with the files. Media come back when somebody looks at them, if their server still has them; previews only when their link is posted again, so none younger than 14 days should go.")
	}
	return notes
}

// printNotes numbers what the bills take for granted, ours before Cloudflare's.
func (r *planReport) printNotes(b *strings.Builder) {
	b.WriteString("\n")
	notes := r.notes()
	for _, n := range r.footnotes {
		notes = append(notes, n.Text)
	}
	for i, note := range notes {
		printFolded(b, fmt.Sprintf("%3d", i+1), "     ", note)
	}
}

// printFolded prints text behind a label, in lines that begin where the indent ends.
func printFolded(b *strings.Builder, label, indent, text string) {
	for line := range strings.SplitSeq(wrap(text, "", planWidth-len(indent)), "\n") {
		_, _ = fmt.Fprintf(b, "%-*s%s\n", len(indent), label, line)
		label = ""
	}
}
