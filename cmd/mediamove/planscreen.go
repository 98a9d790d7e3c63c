package main

import (
	"fmt"
	"strings"

	"github.com/shopspring/decimal"

	"example.org/mediamove/costs"
)

// printBills prints this cycle's bill beside that of a normal month after it.
func (r *planReport) printBills(b *strings.Builder) {
	line := func(cells ...any) {
		b.WriteString(strings.TrimRight(fmt.Sprintf("  %-12s %28s %10s   %28s %10s", cells...), " ") + "\n")
	}
	b.WriteString("\n")
	line("the bill", "this billing cycle", "", "a normal month after it", "")
	line("", r.books.cycle(), "", r.after(), "")
	for i, now := range r.cycle.Lines {
		then := r.month.Lines[i]
		line(now.Meter, quantity(now), dollars(now.USD), quantity(then), dollars(then.USD))
	}
	line("together", "", dollars(r.cycle.Total), "", dollars(r.month.Total))
	if r.budget != nil {
		line("budget "+dollars(*r.budget), "", r.verdict(r.cycle.Total), "", r.verdict(r.month.Total))
	}
	r.printBar(b)
}

// verdict judges one bill: the cycle with the sync in it may be over the budget although
// the months after it are not.
func (r *planReport) verdict(usd decimal.Decimal) string {
	if r.within(usd) {
		return "kept"
	}
	return "OVER"
}

func dollars(usd decimal.Decimal) string { return "$" + costs.FormatUSD(usd) }

// quantity is what a line of the bill measures.
func quantity(l costs.Line) string {
	if l.Meter == costs.StorageMeter {
		return l.Quantity.Round(2).String() + " GB-months"
	}
	return count(l.Quantity.IntPart())
}

// How a bar is drawn.
const (
	barUnits   = 4  // at most
	barColumns = 20 // per unit
)

// printBar shows where this cycle's Class A stand among the units that are billed whole.
func (r *planReport) printBar(b *strings.Builder) {
	rate := r.books.Standard.ClassA
	used, verify := r.books.usedSoFar().A(), r.books.pass(r.work).A()
	all := used + r.work.sync.A() + verify
	unit := rate.Size.IntPart()
	if unit < barColumns || all < unit/barColumns {
		return // nothing to see
	}
	units := (all + unit - 1) / unit
	sum := count(used) + " used + " + count(r.work.sync.A()) + " sync"
	if verify > 0 {
		sum += " + " + count(verify) + " verify"
	}
	_, _ = fmt.Fprintf(b, "\n  Class A    %s = %s: %s\n", sum, count(all), r.begun(units))
	if units > barUnits {
		return
	}
	b.WriteString("             ")
	for i := range units * barColumns {
		// The middle of a column decides its mark.
		switch at := (2*i + 1) * unit / (2 * barColumns); {
		case at < used:
			b.WriteString("▒")
		case at < all:
			b.WriteString("█")
		default:
			b.WriteString("·")
		}
		if (i+1)%barColumns == 0 {
			b.WriteString("|")
		}
	}
	b.WriteString("\n")
}

// begun says what of the units is paid.
func (r *planReport) begun(units int64) string {
	rate := r.books.Standard.ClassA
	free, _ := rate.Free.QuoRem(rate.Size, 0)
	if paid := units - free.IntPart(); paid > 0 {
		return fmt.Sprintf("%d × %s", paid, dollars(rate.USD))
	}
	return "free"
}

// printLevers puts the clearings, one for each age, into one table. The commands below it
// are those of one of them only, so that nobody types all.
func (r *planReport) printLevers(b *strings.Builder) {
	if len(r.levers) == 0 {
		return
	}
	b.WriteString("\n  levers\n")
	shrink := false
	for _, l := range r.levers {
		switch l.id {
		case leverStop:
			r.printStop(b, l)
		case leverSpread:
			r.printSpread(b, l)
		case leverShrink:
			if !shrink {
				b.WriteString("  - clear the cache first, with Mastodon's own commands; then plan again\n")
				_, _ = fmt.Fprintf(b, shrinkRow, "older than", "files", "bytes", "Class A left", "this cycle", "normal month", "")
			}
			shrink = true
			r.printShrink(b, l)
		}
	}
	if shrink {
		for _, c := range r.advised().commands {
			b.WriteString("      " + c + "\n")
		}
	}
}

// mark says whether a lever keeps the budget.
func (r *planReport) mark(l lever) string {
	if !l.keeps {
		return ""
	}
	return "  keeps " + dollars(*r.budget)
}

// printStop shows what goes now and what is left for the next cycle.
func (r *planReport) printStop(b *strings.Builder, l lever) {
	s := l.shares[0]
	_, _ = fmt.Fprintf(b, "  - stop before %s begins: %s this cycle instead of %s%s\n", r.nextUnit(), dollars(l.cycle), dollars(r.cycle.Total), r.mark(l))
	room := ""
	if !r.books.pass(r.work).IsZero() {
		room = "; room for one verify is left"
	}
	_, _ = fmt.Fprintf(b, "    %s%s now, %s for later%s\n", r.about(), files(s.files), count(r.work.files-s.files), room)
	for _, c := range l.commands {
		b.WriteString("      " + c + "\n")
	}
}

// nextUnit is what the sync would begin.
func (r *planReport) nextUnit() string {
	if used := r.books.usedSoFar().A() + r.books.pass(r.work).A(); decimal.NewFromInt(used).GreaterThan(r.books.Standard.ClassA.Free) {
		return "another paid million"
	}
	return "a paid million"
}

// printSpread has a row for each cycle. Only the first can be typed today: what the others
// may send depends on what others use until then, so they are planned again.
func (r *planReport) printSpread(b *strings.Builder, l lever) {
	_, _ = fmt.Fprintf(b, "  - spread over the cycle's end: so much today, then plan again; saves %s%s\n", dollars(l.saves), r.mark(l))
	for i, s := range l.shares {
		when := "today"
		if i > 0 {
			when = "from " + s.from.String() + " on"
		}
		_, _ = fmt.Fprintf(b, "      %-20s %14s   %12s Class A %12s\n", when, files(s.files), count(s.classA), dollars(s.usd))
	}
}

// about is for numbers that files in parts make inexact.
func (r *planReport) about() string {
	if r.work.sync[costs.UploadPart] > 0 || len(r.unsure) > 0 {
		return "about "
	}
	return ""
}

// shrinkRow is a row of the clearings: age, files, bytes, what is left, bills, mark.
const shrinkRow = "      %-11s %12s %10s %14s %12s %14s%s\n"

func (r *planReport) printShrink(b *strings.Builder, l lever) {
	_, _ = fmt.Fprintf(b, shrinkRow, fmt.Sprintf("%d days", l.days), count(l.cleared.Files), size(l.cleared.Bytes),
		count(l.work.sync.A()), dollars(l.cycle), dollars(l.month), r.mark(l))
}

// advised is the mildest clearing that keeps the budget; without one, or if none does,
// the mildest of those that save most.
func (r *planReport) advised() (best lever) {
	for _, l := range r.levers {
		switch {
		case l.id != leverShrink:
		case best.id == "", l.keeps && !best.keeps, !best.keeps && l.saves.GreaterThan(best.saves):
			best = l
		}
	}
	return best
}
