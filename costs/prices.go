package costs

import (
	"encoding/json"
	"strings"

	"github.com/shopspring/decimal"
)

// A Rate is the price of one meter. R2 bills whole units: a started one counts.
type Rate struct {
	Unit string          // what one unit is: "GB-month", "million requests"
	Size decimal.Decimal // how much of the measured quantity one unit holds
	Free decimal.Decimal // quantity per account and month that costs nothing, in whole units
	USD  decimal.Decimal // per unit
}

// units is how many units quantity is billed as, after the free part.
func (r Rate) units(quantity decimal.Decimal) decimal.Decimal {
	rest := quantity.Sub(r.Free)
	if !rest.IsPositive() {
		return decimal.Zero
	}
	whole, part := rest.QuoRem(r.Size, 0) // exact, where Div would round
	if part.IsPositive() {
		whole = whole.Add(decimal.NewFromInt(1))
	}
	return whole
}

// Prices is a price list as it stood on a day.
type Prices struct {
	Name   string // "R2 Standard"
	AsOf   string // the day it was read, YYYY-MM-DD
	Source string // URL of the list

	Storage Rate // quantity in GB-months: 10⁹ bytes, the average of daily peaks over 30 days
	ClassA  Rate // quantity in requests
	ClassB  Rate // quantity in requests
}

// Standard returns the prices of R2's Standard storage in US dollars. Its free
// tier belongs to the account, not to a bucket. Reading and traffic are free.
func Standard() Prices {
	const million = 1_000_000
	return Prices{
		Name:    "R2 Standard",
		AsOf:    "2026-11-22",
		Source:  "https://developers.cloudflare.com/r2/pricing/",
		Storage: Rate{Unit: "GB-month", Size: decimal.NewFromInt(1), Free: decimal.NewFromInt(10), USD: decimal.New(15, -3)},
		ClassA:  Rate{Unit: "million requests", Size: decimal.NewFromInt(million), Free: decimal.NewFromInt(million), USD: decimal.New(450, -2)},
		ClassB:  Rate{Unit: "million requests", Size: decimal.NewFromInt(million), Free: decimal.NewFromInt(10 * million), USD: decimal.New(36, -2)},
	}
}

// A Line is one meter of a [Bill].
type Line struct {
	Meter    string          // "storage", "Class A", "Class B"
	Unit     string          // as in [Rate]
	Quantity decimal.Decimal // GB-months or requests, before the free tier
	Units    decimal.Decimal // whole units charged, after it
	USD      decimal.Decimal // Units × price
}

// A Bill is what one account pays for one billing period. In JSON, all
// numbers are strings, and dollars have at least two decimals.
type Bill struct {
	Lines []Line
	Total decimal.Decimal // US dollars, exact
}

// Bill prices everything that an account used in one billing period: u, and
// the storage in GB-months. For a part of a period it says only what that
// part alone would have cost.
func (p Prices) Bill(u Usage, storageGBMonths decimal.Decimal) Bill {
	b := Bill{Lines: []Line{
		p.Storage.line("storage", storageGBMonths),
		p.ClassA.line(ClassA.String(), decimal.NewFromInt(u.A())),
		p.ClassB.line(ClassB.String(), decimal.NewFromInt(u.B())),
	}}
	for _, l := range b.Lines {
		b.Total = b.Total.Add(l.USD)
	}
	return b
}

func (r Rate) line(meter string, quantity decimal.Decimal) Line {
	units := r.units(quantity)
	return Line{Meter: meter, Unit: r.Unit, Quantity: quantity, Units: units, USD: units.Mul(r.USD)}
}

// FormatUSD writes an amount exactly, with at least two decimals: "4.50", "0.015".
func FormatUSD(d decimal.Decimal) string {
	s := d.String() // without trailing zeros
	if _, cents, _ := strings.Cut(s, "."); len(cents) < 2 {
		return d.StringFixed(2)
	}
	return s
}

// MarshalJSON writes the bill's lines and total, see [Bill].
func (b Bill) MarshalJSON() ([]byte, error) {
	type line struct {
		Meter    string `json:"meter"`
		Unit     string `json:"unit"`
		Quantity string `json:"quantity"`
		Units    string `json:"units"`
		USD      string `json:"usd"`
	}
	lines := make([]line, 0, len(b.Lines))
	for _, l := range b.Lines {
		lines = append(lines, line{l.Meter, l.Unit, l.Quantity.String(), l.Units.String(), FormatUSD(l.USD)})
	}
	return json.Marshal(struct {
		Lines    []line `json:"lines"`
		TotalUSD string `json:"total_usd"`
	}{lines, FormatUSD(b.Total)})
}
