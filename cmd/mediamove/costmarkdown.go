package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"example.org/mediamove/costs"
)

// announcement is the bill for the people who pay it: plain words, and nothing that
// tells of keys, ids or machines. Reasons and notes may quote a server, so only their
// sense is told.
func (r *costReport) announcement() string {
	var b strings.Builder
	last := (r.Period.To - 1).Start()
	_, _ = fmt.Fprintf(&b, "## What storing our media costs: %s\n\n", dates(r.Period))
	b.WriteString("Pictures, videos and sounds of this instance are kept in Cloudflare R2. ")
	if r.Over {
		b.WriteString("This is the bill of a billing period that is over.\n\n")
	} else {
		_, _ = fmt.Fprintf(&b, "This is the bill as it stood on %s, and as it is expected to end.\n\n", day(r.now))
	}
	r.announceBill(&b, last)
	r.announceBudget(&b)
	if len(r.Partial) > 0 {
		b.WriteString("Some of these figures are missing or are estimates, so the real bill may differ.\n\n")
	}
	if r.Operations == nil {
		b.WriteString("Only the work of the program that moves the files is counted here; what Mastodon itself does comes on top.\n\n")
	}
	_, _ = fmt.Fprintf(&b, "Prices in US dollars as Cloudflare listed them on %s.", r.listed())
	if r.beside != nil {
		_, _ = fmt.Fprintf(&b, " One dollar is counted as %s %s.", r.beside.PerUSD, r.code())
	}
	b.WriteString(" Cloudflare charges started units: each million of requests, each gigabyte.\n")
	return b.String()
}

// day is a date as people say it.
func day(t time.Time) string { return t.UTC().Format("2 January 2006") }

// dates is a period with both its ends named: the last day belongs to it.
func dates(p costs.Period) string { return day(p.From.Start()) + " to " + day((p.To - 1).Start()) }

// listed is when the prices were read.
func (r *costReport) listed() string {
	d, err := costs.ParseDay(r.Prices.Standard.AsOf)
	if err != nil {
		return r.Prices.Standard.AsOf
	}
	return day(d.Start())
}

// announceBill prints the table; last is the last day of the cycle. Infrequent Access has
// rows only where something is stored so: most instances never use it.
func (r *costReport) announceBill(b *strings.Builder, last time.Time) {
	if r.Over {
		b.WriteString("| | used | cost |\n|---|--:|--:|\n")
	} else {
		_, _ = fmt.Fprintf(b, "| | used so far | cost so far | expected by %s | will cost |\n|---|--:|--:|--:|--:|\n", last.Format("2 January"))
	}
	for _, end := range r.Forecast.Bill.Lines {
		now := r.Bill.Line(end.Class, end.Meter)
		if end.Class == costs.InfrequentAccess && end.Quantity.IsZero() {
			continue
		}
		_, _ = fmt.Fprintf(b, "| %s | %s | %s |", plainName(end), plainQuantity(now), r.price(now.USD))
		if !r.Over {
			_, _ = fmt.Fprintf(b, " %s | %s |", plainQuantity(end), r.price(end.USD))
		}
		b.WriteString("\n")
	}
	_, _ = fmt.Fprintf(b, "| **Together** | | **%s** |", r.price(r.Bill.Total))
	if !r.Over {
		_, _ = fmt.Fprintf(b, " | **%s** |", r.price(r.Forecast.Bill.Total))
	}
	b.WriteString("\n\n")
}

// plainName names a meter for people who never saw the price list.
func plainName(l costs.Line) string {
	name := map[string]string{
		costs.StorageMeter:    "Storing, average over the whole period",
		costs.ClassA.String(): "Saving and listing files (requests of Class A)",
		costs.ClassB.String(): "Showing files (requests of Class B)",
		costs.RetrievalMeter:  "Reading back",
	}[l.Meter]
	if l.Class == costs.InfrequentAccess {
		name += ", rarely used files"
	}
	return name
}

// plainQuantity is a number of requests, or of GB. Storage is the average over the period,
// as its name says, so GB-months are plain GB here.
func plainQuantity(l costs.Line) string {
	q := lineQuantity(l)
	if l.Meter == costs.StorageMeter || l.Meter == costs.RetrievalMeter {
		q += " GB"
	}
	return q
}

// price is an amount as people write it: "$5.84 (888 JPY)".
func (r *costReport) price(usd decimal.Decimal) string {
	s := "$" + costs.FormatUSD(usd)
	if r.beside != nil {
		s += " (" + r.other(usd) + " " + r.code() + ")"
	}
	return s
}

// announceBudget says that the budget was passed only if the bill so far shows it. What
// rests on days without figures is told as an expectation.
func (r *costReport) announceBudget(b *strings.Builder) {
	if r.Budget == nil {
		return
	}
	_, _ = fmt.Fprintf(b, "Our budget for this period is %s. ", r.price(r.Budget.USD))
	switch c := r.Budget.Crossed; {
	case c == nil && r.Over:
		b.WriteString("It was kept.\n\n")
	case c == nil:
		b.WriteString("As it goes now, it will be kept.\n\n")
	case c.Day <= r.Today && r.Bill.Total.GreaterThan(r.Budget.USD):
		_, _ = fmt.Fprintf(b, "It was passed on %s.\n\n", day(c.Day.Start()))
	default:
		_, _ = fmt.Fprintf(b, "As it goes now, it will be passed on %s.\n\n", day(c.Day.Start()))
	}
}
