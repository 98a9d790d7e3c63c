package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"example.org/mediamove/billing"
	"example.org/mediamove/costs"
)

// A costReport is the report with the money and the time it is shown in.
type costReport struct {
	billing.Report
	purse
	now time.Time
}

// Bounds of the screen. What is beyond them only --json tells.
const (
	costWidth  = 100 // columns of the screen
	shownSteps = 6
	shownRuns  = 10
	shownTypes = 20
)

// screen is the report for a terminal: what the figures are worth first, then the
// bill, the budget, and what made it.
func (r *costReport) screen() string {
	var b strings.Builder
	r.printHead(&b)
	r.printBill(&b)
	r.printBudget(&b)
	r.printLevers(&b)
	r.printDays(&b)
	r.printOwn(&b)
	r.printOperations(&b)
	r.printNotes(&b)
	return b.String()
}

// paragraph prints text below a label of ten columns.
func paragraph(b *strings.Builder, label, text string) {
	const indent = "          "
	_, _ = fmt.Fprintf(b, "%-10s%s\n", label, wrap(oneLine(text), indent, costWidth))
}

// printHead says what is missing before it shows any amount: the bill of a part must not
// be taken for the whole one.
func (r *costReport) printHead(b *strings.Builder) {
	when := fmt.Sprintf("day %d of %d", r.Today-r.Period.From+1, r.Period.Days())
	if r.Over {
		when = "over"
	}
	_, _ = fmt.Fprintf(b, "R2 bill   %v   %s   as of %s UTC\n", r.Period, when, r.now.Format("2006-01-02 15:04"))
	paragraph(b, "prices", oneLine(r.Prices.Name)+", as read on "+r.Prices.Standard.AsOf)
	switch {
	case r.Operations == nil && len(r.Partial) > 0:
		paragraph(b, "of", "mediamove's own requests, by its ledger; Mastodon's come on top")
	case r.Operations == nil:
		paragraph(b, "of", "mediamove's own requests, by its ledger. Mastodon's come on top: --cloudflare asks for the account's")
	default:
		paragraph(b, "of", "the whole account, by Cloudflare's analytics and the ledger")
	}
	for _, why := range r.Partial {
		paragraph(b, "PARTIAL", why)
	}
}

// lineName names a meter of the bill.
func lineName(l costs.Line) string {
	name := l.Meter
	switch l.Meter {
	case costs.StorageMeter:
		name = "storage, GB-months"
	case costs.RetrievalMeter:
		name = "retrieval, GB"
	}
	if l.Class == costs.InfrequentAccess {
		return "IA " + name
	}
	return name
}

// lineQuantity is how much a meter has counted.
func lineQuantity(l costs.Line) string {
	switch l.Meter {
	case costs.StorageMeter, costs.RetrievalMeter:
		return l.Quantity.StringFixed(1)
	}
	return count(l.Quantity.IntPart())
}

// columns are the amounts of a row: dollars, and the other currency.
func (r *costReport) columns(usd decimal.Decimal) string {
	s := fmt.Sprintf("%9s", costs.FormatUSD(usd))
	if r.beside != nil {
		s += fmt.Sprintf("%10s", r.other(usd))
	}
	return s
}

// printBill sets what was used beside what is expected, or stands alone where the cycle is
// over. Below it are the steps, since units are charged whole: they are where money goes.
func (r *costReport) printBill(b *strings.Builder) {
	head := fmt.Sprintf("%9s", "USD")
	if r.beside != nil {
		head += fmt.Sprintf("%10s", r.code())
	}
	first := "so far"
	if r.Over {
		first = "used"
	}
	write := func(name, quantity, amount, later, laterAmount string) {
		_, _ = fmt.Fprintf(b, "  %-20s%15s%s", name, quantity, amount)
		if !r.Over {
			_, _ = fmt.Fprintf(b, "   %15s%s", later, laterAmount)
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
	write("", first, head, "by "+(r.Period.To-1).String(), head)
	for _, end := range r.Forecast.Bill.Lines {
		now := r.Bill.Line(end.Class, end.Meter)
		write(lineName(end), lineQuantity(now), r.columns(now.USD), lineQuantity(end), r.columns(end.USD))
	}
	write("together", "", r.columns(r.Bill.Total), "", r.columns(r.Forecast.Bill.Total))
	for i, s := range r.steps() {
		if i == shownSteps {
			b.WriteString("  … and so on: --json has every day\n")
			break
		}
		verb := "will begin"
		if s.Day <= r.Today {
			verb = "began"
		}
		_, _ = fmt.Fprintf(b, "  %v  %s %s a paid unit: + %s\n", s.Day, meterName(s), verb, r.text(s.USD))
	}
}

// meterName names what a step is about in the middle of a sentence.
func meterName(s costs.Step) string {
	if s.Class == costs.InfrequentAccess {
		return "IA " + s.Meter
	}
	return s.Meter
}

// steps are the dear ones: storage makes a small one nearly every day.
func (r *costReport) steps() []costs.Step {
	return slices.DeleteFunc(r.Forecast.Steps(), func(s costs.Step) bool { return s.Meter == costs.StorageMeter })
}

// printBudget comes right after the bill: whoever gave a budget wants to know this first.
func (r *costReport) printBudget(b *strings.Builder) {
	if r.Budget == nil {
		return
	}
	b.WriteString("\n")
	paragraph(b, "budget", r.verdict())
}

// verdict says whether the budget holds, and else when it is crossed, by what, and
// what keeps it.
func (r *costReport) verdict() string {
	text, c := r.text(r.Budget.USD)+": ", r.Budget.Crossed
	switch {
	case c == nil && r.Over:
		return text + "held, with " + r.text(r.Budget.USD.Sub(r.Bill.Total)) + " to spare"
	case c == nil:
		return text + "holds to the end as it goes now, with " + r.text(r.Budget.USD.Sub(r.Forecast.Bill.Total)) + " to spare"
	}
	by := fmt.Sprintf(" on %v, by %s: %s by the end of that day", c.Day, meterName(*c), r.text(c.Total))
	switch {
	case r.Over || r.Bill.Total.GreaterThan(r.Budget.USD):
		text += "CROSSED" + by
	case c.Day < r.Today:
		text += "PROBABLY CROSSED, as days are missing," + by
	default:
		text += "WILL BE CROSSED" + by
	}
	if r.Over {
		return text
	}
	if e, ok := r.Keeps(); ok {
		return text + ". It would hold with: " + leverName(e)
	}
	return text + ". Nothing below keeps it alone"
}

// leverName says what a lever does.
func leverName(e costs.Effect) string {
	if e.ID == costs.LeverStoreLess {
		return "store " + size(-e.Work.Bytes) + " less from tomorrow on"
	}
	return e.Label
}

// leverAdvice says how it is done, and the command that does it.
func leverAdvice(e costs.Effect) (advice, command string) {
	switch e.ID {
	case costs.LeverClassAStep, costs.LeverClassABudget:
		if e.Room == 0 {
			return "no Class A is left in this cycle: no sync until the next one; Mastodon's own uploads count too", ""
		}
		others := e.Room - e.Own
		if e.Own <= 0 {
			return fmt.Sprintf("%s more Class A in this cycle, and others than mediamove are expected to send %s: no sync until the next one",
				count(e.Room), count(others)), ""
		}
		command = fmt.Sprintf("mediamove sync --max-class-a %d", e.Own)
		if others > 0 {
			return fmt.Sprintf("%s more Class A in this cycle; %s of them are left for mediamove, as others are expected to send %s",
				count(e.Room), count(e.Own), count(others)), command
		}
		return count(e.Room) + " more Class A in this cycle, Mastodon's own uploads among them", command
	case costs.LeverClassBStep:
		return "what Cloudflare's cache answers costs nothing: a custom domain with a cache rule for S3_ALIAS_HOST", ""
	case costs.LeverStoreLess:
		return "Mastodon's own tools clear the cache of other servers' media, rows and files together",
			"tootctl media remove --days N; tootctl preview_cards remove"
	}
	return "", ""
}

// printLevers prices each lever by itself. They do not add up: two of them may save the
// same unit.
func (r *costReport) printLevers(b *strings.Builder) {
	if len(r.Levers) == 0 {
		return
	}
	b.WriteString("\nwhat would make it cheaper\n")
	for _, e := range r.Levers {
		keeps := ""
		if r.Budget != nil && r.Budget.Crossed != nil && e.Keeps {
			keeps = ", within the budget"
		}
		advice, command := leverAdvice(e)
		_, _ = fmt.Fprintf(b, "  %s\n    %s\n", leverName(e), wrap(fmt.Sprintf("saves %s: %s in the end%s. %s",
			r.text(e.Saves), r.text(e.Bill.Total), keeps, capital(advice)), "    ", costWidth))
		if command != "" {
			_, _ = fmt.Fprintf(b, "    → %s\n", command)
		}
	}
}

// capital begins a sentence.
func capital(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
