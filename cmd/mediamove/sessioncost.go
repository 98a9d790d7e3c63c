package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"regexp"
	"time"

	"github.com/shopspring/decimal"
	"github.com/spf13/pflag"

	"example.org/mediamove/costs"
	"example.org/mediamove/ledger"
	"example.org/mediamove/r2"
)

// billFlags say how the account is billed. Parsed, they are a tariff.
type billFlags struct {
	cycleDay int
	prices   string
}

func (o *billFlags) addFlags(fs *pflag.FlagSet) {
	fs.IntVar(&o.cycleDay, "cycle-day", 1, "`DAY` of the month on which the billing cycle begins, as on Cloudflare's invoice")
	fs.StringVar(&o.prices, "prices", "", "price list `FILE` instead of the built-in one")
}

// A tariff is what things cost, and from when to when they are billed together. The
// zero tariff costs nothing.
type tariff struct {
	costs.PriceList
	costs.Cycle
	typed bool // a cycle was typed: it is no calendar month
}

// tariff reads the price list if one was named. A day other than the first makes it a typed
// cycle, which the screens then name by its days.
func (o *billFlags) tariff() (tariff, error) {
	cycle, err := costs.NewCycle(o.cycleDay)
	if err != nil {
		return tariff{}, usagef("the day on which the period of Cloudflare's invoice begins, such as --cycle-day 15", "--cycle-day: %w", err)
	}
	t := tariff{costs.R2(), cycle, o.cycleDay != 1}
	if o.prices == "" {
		return t, nil
	}
	data, err := os.ReadFile(o.prices)
	if err == nil {
		t.PriceList, err = costs.ParsePrices(data)
	}
	if err != nil {
		return tariff{}, usagef(`name a price list ("schema": "mediamove.prices/1"), or leave it out for the built-in one`, "--prices: %w", err)
	}
	return t, nil
}

// requests is what requests alone cost, in one cycle.
func (t tariff) requests(u costs.Usage) decimal.Decimal {
	return t.Standard.Bill(u, decimal.Zero).Total
}

// month names the cycle in the middle of a sentence.
func (t tariff) month(p costs.Period) string {
	if !t.typed {
		return "this month"
	}
	return "from " + p.String()
}

// spendFlags bound what a run may cost.
type spendFlags struct {
	billFlags
	maxCost string
	typed   func(flag string) bool
}

func (o *spendFlags) addFlags(fs *pflag.FlagSet) {
	o.billFlags.addFlags(fs)
	o.typed = fs.Changed
	fs.StringVar(&o.maxCost, "max-cost", "", "end in order before this run's Class A operations add more than `USD` to the billing cycle's bill, as far as this ledger knows it; 0: begin no further million. Class B is not bounded")
}

// bound puts what was typed into the access.
func (o *spendFlags) bound(a *access) (err error) {
	if a.tariff, err = o.tariff(); err != nil || !o.typed("max-cost") {
		return err // an empty one is no limit that somebody meant
	}
	usd, err := parseUSD("--max-cost", o.maxCost)
	a.maxCost = &usd
	return err
}

// plainUSD takes no thousands separators: to half of the world 1,000 is one dollar.
var plainUSD = regexp.MustCompile(`^\$?([0-9]{1,9}(?:\.[0-9]{1,9})?)$`)

// parseUSD reads an amount for a flag: 4.50, 0, $6.
func parseUSD(flag, s string) (decimal.Decimal, error) {
	m := plainUSD.FindStringSubmatch(s)
	if m == nil {
		return decimal.Zero, usagef("US dollars, for instance "+flag+" 4.50", "%s %q: not an amount in dollars", flag, s)
	}
	return decimal.NewFromString(m[1])
}

// A brake is the limit on a run's Class A operations. It is set once, when the run
// begins; a run that goes on into the next cycle is bound as if all of it were in the
// first.
type brake struct {
	classA int64  // operations; 0 with flag "": no limit
	flag   string // which flag set it, as it was typed
	usd    bool   // that was --max-cost
	until  costs.Day
}

// brakeOf is the tighter one of --max-class-a and --max-cost, after what this ledger
// used in the cycle.
func brakeOf(a access, used costs.Usage, now time.Time) brake {
	none := brake{classA: math.MaxInt64, until: a.tariff.Of(now).To}
	b := none
	if a.maxClassA > 0 {
		b.classA, b.flag = a.maxClassA, fmt.Sprintf("--max-class-a %d", a.maxClassA)
	}
	if a.maxCost != nil {
		// What a killed run booked ahead may have been sent or not. Neither may be taken
		// for a unit that is paid already.
		certain := used
		certain[costs.Unknown] = 0
		for _, u := range []costs.Usage{used, certain} {
			bill := a.tariff.Standard.Bill(u, decimal.Zero)
			if n := a.tariff.MaxClassA(bill, bill.Total.Add(*a.maxCost)); n < b.classA {
				b.classA, b.flag, b.usd = n, "--max-cost "+a.maxCost.String(), true
			}
		}
	}
	return b
}

// brake bounds what the meter lets through from now on. What the transport asks the
// meter for comes before each request, so the limit is never passed.
func (x *session) brake(a access) {
	if x.limit = brakeOf(a, x.others, x.began); x.limit.flag != "" {
		x.meter.LimitA(x.limit.classA)
	}
}

// hint says when it makes sense to run again.
func (b brake) hint() string {
	if b.usd {
		return fmt.Sprintf("the billing cycle ends with %s: run the same command again after that, or allow more", b.until-1)
	}
	return "run the same command again to go on; --max-class-a counts per run"
}

// said is the last screen's word on the limit.
func (b brake) said() string {
	if !b.usd {
		return "ended in order at " + b.flag + "; run the same command again to go on"
	}
	return fmt.Sprintf("ended in order at %s: one Class A operation more than this run's %s would have cost more.\nThe billing cycle ends with %s; run the same command again after that to go on",
		b.flag, count(b.classA), b.until-1)
}

// A limitError is the end of a run by its own limit.
type limitError struct {
	error
	hint string
}

func (e *limitError) Unwrap() error { return e.error }

// told adds to an error what the limit was, if that is what ended the run.
func (x *session) told(err error) error {
	if x.limit.flag == "" || !errors.Is(err, r2.ErrLimit) {
		return err
	}
	return &limitError{fmt.Errorf("%w, at %s", err, x.limit.flag), x.limit.hint()}
}

// limited is the last screen's line about the limit, if that is what ended the run.
func (x *session) limited(err error) string {
	if x.limit.flag == "" || !errors.Is(err, r2.ErrLimit) {
		return ""
	}
	return x.limit.said() + "\n"
}

// countOthers notes what other runs used in this cycle. Nobody else writes to the ledger
// while this run has its lock.
func (x *session) countOthers(ctx context.Context) error {
	p := x.tariff.Of(x.began)
	used, err := x.ledger.MonthUsage(ctx, p.From.Start(), p.To.Start())
	x.others = used
	return err
}

// countAside does the same for a ledger that is about to be put aside, for the requests
// before that; the next one takes over what was used. One that can't be read is no
// reason to keep it.
func (x *session) countAside(ctx context.Context, a access) error {
	led, err := ledger.OpenReader(ctx, x.dir)
	if errors.Is(err, ledger.ErrNoLedger) || err != nil && a.maxCost == nil {
		return nil
	}
	if err != nil {
		return err
	}
	p := x.tariff.Of(x.began)
	x.others, err = led.MonthUsage(ctx, p.From.Start(), p.To.Start())
	return errors.Join(err, led.Close())
}

// adds is what this run's requests add so far to the bill of the cycle in which it
// began.
func (x *session) adds(u costs.Usage) decimal.Decimal {
	return x.tariff.requests(x.others.Add(u)).Sub(x.tariff.requests(x.others))
}

// spent is what all runs used in the billing cycle by now, and what this one added to
// the bill, or to the bills if it went on into another cycle. Call it when the run is
// in the books.
func (x *session) spent(ctx context.Context) (used costs.Usage, usd decimal.Decimal, err error) {
	today := costs.DayOf(time.Now())
	p := x.tariff.Of(x.began)
	for {
		if used, err = x.ledger.MonthUsage(ctx, p.From.Start(), p.To.Start()); err != nil {
			return used, usd, err
		}
		usd = usd.Add(x.tariff.requests(used))
		if p.To > today {
			return used, usd.Sub(x.tariff.requests(x.others)), nil
		}
		p = x.tariff.Next(p)
	}
}
