package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"example.org/mediamove/billing"
	"example.org/mediamove/costs"
)

// printDays draws the cycle: what is known, and behind a line what is expected.
func (r *costReport) printDays(b *strings.Builder) {
	rows := []struct {
		name string
		unit func(int64) string
		of   func(costs.DayEstimate) int64
	}{
		{"Class A", count, func(e costs.DayEstimate) int64 { return e.ClassA }},
		{"Class B", count, func(e costs.DayEstimate) int64 { return e.ClassB }},
		{"stored", size, func(e costs.DayEstimate) int64 { return e.Bytes }},
	}
	// Today stands before the line, though its figures may still grow.
	known := len(r.Forecast.Days)
	if !r.Over {
		known = int(r.Today-r.Period.From) + 1
	}
	_, _ = fmt.Fprintf(b, "\nday by day  %s", r.Period.From.Start().Format("Jan 2"))
	if !r.Over {
		b.WriteString(", and behind the line as it is expected")
	}
	b.WriteString("\n")
	for _, row := range rows {
		values := make([]int64, 0, len(r.Forecast.Days))
		for _, e := range r.Forecast.Days {
			values = append(values, row.of(e))
		}
		// Each mark is one column and three bytes: to cut the row, count runes.
		drawn := []rune(spark(values))
		line := string(drawn[:known])
		if !r.Over {
			line += "│" + string(drawn[known:])
		}
		most := slices.MaxFunc(r.Forecast.Days, func(x, y costs.DayEstimate) int { return cmp.Compare(row.of(x), row.of(y)) })
		_, _ = fmt.Fprintf(b, "  %-8s  %s  at most %s on %v\n", row.name, line, row.unit(row.of(most)), most.Day)
	}
	r.printSources(b)
}

// printSources says which storage figures are not Cloudflare's.
func (r *costReport) printSources(b *strings.Builder) {
	days := map[billing.Source][]costs.Day{}
	for _, d := range r.Storage {
		days[d.Source] = append(days[d.Source], d.Day)
	}
	for _, s := range []struct {
		source billing.Source
		words  string
	}{
		{billing.FromCloudflare, "stored, by Cloudflare: "},
		{billing.FromLedger, "stored, by the ledger, which knows mediamove's own only: "},
		{billing.Carried, "stored, without a figure, taken from the day before and what was sent since: "},
	} {
		if len(days[s.source]) > 0 {
			_, _ = fmt.Fprintf(b, "  %s\n", wrap(s.words+billing.Ranges(days[s.source]), "    ", costWidth))
		}
	}
}

// printOwn shows what the ledger has booked, by command. Attempts that failed are counted
// too, as R2 may bill them.
func (r *costReport) printOwn(b *strings.Builder) {
	own := r.Own
	_, _ = fmt.Fprintf(b, "\nmediamove's own requests, by the ledger\n  %-10s%10s%15s%15s\n", "", "runs", "Class A", "Class B")
	most := int64(0)
	for _, c := range own.Commands {
		most = max(most, c.Usage.A())
	}
	for _, c := range own.Commands {
		line := fmt.Sprintf("  %-10s%10s%15s%15s   %s", c.Command, count(int64(c.Runs)), count(c.Usage.A()), count(c.Usage.B()), bar(c.Usage.A(), most, 30))
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	_, _ = fmt.Fprintf(b, "  %-10s%10s%15s%15s   they add %s to the bill\n", "together", count(int64(len(own.Runs))),
		count(own.Usage.A()), count(own.Usage.B()), r.text(r.Adds))
	r.printRuns(b)
}

// printRuns lists the dearest runs, in the order in which they ran.
func (r *costReport) printRuns(b *strings.Builder) {
	runs := slices.Clone(r.Own.Runs)
	slices.SortStableFunc(runs, func(a, b billing.RunUse) int {
		return cmp.Or(cmp.Compare(b.Usage.A(), a.Usage.A()), cmp.Compare(b.Usage.B(), a.Usage.B()))
	})
	rest := runs[min(shownRuns, len(runs)):]
	runs = runs[:len(runs)-len(rest)]
	slices.SortFunc(runs, func(a, b billing.RunUse) int { return cmp.Compare(a.Run, b.Run) })
	if len(runs) == 0 {
		return
	}
	const row = "  %-10s%10s%15s%15s   %s\n"
	_, _ = fmt.Fprintf(b, "\n"+row, "run", "", "Class A", "Class B", "on")
	for _, u := range runs {
		on := u.First.String()
		if u.Last != u.First {
			on = costs.Period{From: u.First, To: u.Last + 1}.String()
		}
		if u.FirstSync {
			on += ", the first sync"
		}
		if !u.Ended {
			on += ", without an end"
		}
		_, _ = fmt.Fprintf(b, row, strconv.FormatInt(u.Run, 10), u.Command, count(u.Usage.A()), count(u.Usage.B()), on)
	}
	if len(rest) > 0 {
		var use costs.Usage
		for _, u := range rest {
			use = use.Add(u.Usage)
		}
		_, _ = fmt.Fprintf(b, row, "others", count(int64(len(rest))), count(use.A()), count(use.B()), "all of them: --json")
	}
}

// printOperations sets mediamove's share beside Mastodon's, by type. Rare types are added up
// in one row, so that the columns still sum to the last one.
func (r *costReport) printOperations(b *strings.Builder) {
	o := r.Operations
	if o == nil {
		return
	}
	_, _ = fmt.Fprintf(b, "\n  %-25s%-9s%14s%14s%18s%15s\n", "operations", "", "in all", "mediamove", "Mastodon, others", "not in prices")
	row := func(name, class string, s billing.Shares) {
		_, _ = fmt.Fprintf(b, "  %-25s%-9s%14s%14s%18s%15s\n", name, class, count(s.Total()), count(s.Own), count(s.Others), count(s.Unknown))
	}
	var rest billing.Shares
	for i, t := range o.Types {
		if i < shownTypes {
			row(shorten(t.Type, 24), t.Op.Class().String(), t.Shares)
		} else {
			rest = rest.Add(t.Shares)
		}
	}
	if n := len(o.Types) - shownTypes; n > 0 {
		row(fmt.Sprintf("%d more types: --json", n), "", rest)
	}
	row("together", "", o.Shares)
	_, _ = fmt.Fprintf(b, "  %-34s%14s\n", "in Cloudflare's analytics", count(o.Analytics))
	_, _ = fmt.Fprintf(b, "  %-34s%14s   the ledger has more: late, sampled or missing\n", "not in the analytics yet", count(o.NotYet))
}

// shorten cuts a foreign name to so many columns.
func shorten(s string, width int) string {
	s = oneLine(s)
	if runes := []rune(s); len(runes) > width {
		return string(runes[:width-1]) + "…"
	}
	return s
}

// printNotes ends with what the figures rest on and Cloudflare does not document: whoever
// finds another amount on the invoice looks there first.
func (r *costReport) printNotes(b *strings.Builder) {
	if len(r.Notes) > 0 {
		b.WriteString("\n")
	}
	for _, n := range r.Notes {
		paragraph(b, "note", n)
	}
	b.WriteString("\nwhat this rests on\n")
	for _, f := range r.Footnotes {
		_, _ = fmt.Fprintf(b, "  · %s\n", wrap(f.Text, "    ", costWidth))
	}
}
