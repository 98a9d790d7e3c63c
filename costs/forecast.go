package costs

import "github.com/shopspring/decimal"

// An Outlook is what is known about an account on some day, and how it is
// thought to go on: in a straight line from the last whole days
// ([StraightLine]). Counts are computed exactly below 10¹⁵ a day.
type Outlook struct {
	Prices  PriceList
	Account Account
	Today   Day // the last day with figures; they may still grow
	Window  int // how many whole days before Today set the pace; below 1: 7

	// Once is what happened once and is no habit, such as a first sync. It is
	// part of Account, and is left out of the pace.
	Once []Work

	// Gaps are days before Today of which not all requests are known. They are no
	// part of the pace, and at least the pace is expected of each of them.
	Gaps map[Day]bool

	// Own is the part of the Account's Standard requests that a limit of one's own
	// can end, as it can Once and Planned; nil: all of them.
	Own map[Day]Usage

	// Planned is what will happen once, on top of the pace. What should have
	// happened before Today happens on Today.
	Planned []Work
}

// Work is something done once: a sync, or a cache that is emptied. It counts
// in Standard storage, which is all that mediamove writes. Below 0 it is that
// much less of what is expected otherwise.
type Work struct {
	Day      Day // on which the requests are sent, and from which on the bytes are stored
	Requests Usage
	Bytes    int64
}

// A DayEstimate is one day of a [Forecast], both storage classes together.
type DayEstimate struct {
	Day      Day
	Expected bool // not all of it is metered: a gap, Today and later
	ClassA   int64
	ClassB   int64
	Bytes    int64 // the day's peak
	Bill     Bill  // of the period, if all were deleted after this day and nobody came
}

// A Forecast says how a period goes, day by day, and what it costs in the end.
type Forecast struct {
	Period Period
	Days   []DayEstimate
	Bill   Bill
}

// Forecast says how the period goes: what is known of it, and what is expected
// of the rest. The period may also lie ahead as a whole.
func (o Outlook) Forecast(p Period) Forecast {
	sum := tally{prices: o.Prices, period: p}
	f := Forecast{Period: p, Days: make([]DayEstimate, 0, p.Days()), Bill: sum.bill()}
	used, stored := o.requests(p), o.peaks(p)
	for i := range used {
		sum.infrequent = sum.infrequent || used[i][InfrequentAccess] != counts{} || stored[i][InfrequentAccess] > 0
	}
	for i := range used {
		s, ia, day := used[i][StandardClass], used[i][InfrequentAccess], p.From+Day(i)
		sum.add(used[i], stored[i])
		f.Bill = sum.bill()
		f.Days = append(f.Days, DayEstimate{
			Day:      day,
			Expected: day >= o.Today || o.Gaps[day],
			ClassA:   s[meterA] + ia[meterA],
			ClassB:   s[meterB] + ia[meterB],
			Bytes:    stored[i][StandardClass] + stored[i][InfrequentAccess],
			Bill:     f.Bill,
		})
	}
	return f
}

// A tally adds up the days of a period.
type tally struct {
	prices     PriceList
	period     Period
	infrequent bool // of which something is used: the bill has its lines
	used       [2]counts
	byteDays   [2]decimal.Decimal
}

func (t *tally) add(used [2]counts, stored [2]int64) {
	for class := range used {
		t.used[class] = t.used[class].add(used[class], 1)
		t.byteDays[class] = t.byteDays[class].Add(decimal.NewFromInt(stored[class]))
	}
}

func (t *tally) bill() Bill {
	lines := t.prices.Standard.lines(t.quantities(StandardClass))
	if t.infrequent {
		lines = append(lines, t.prices.Infrequent.lines(t.quantities(InfrequentAccess))...)
	}
	return billOf(lines)
}

func (t *tally) quantities(class StorageClass) quantities {
	n := t.used[class]
	return quantities{
		storage:   gbMonths(t.byteDays[class], t.period),
		a:         decimal.NewFromInt(n[meterA]),
		b:         decimal.NewFromInt(n[meterB]),
		retrieved: decimal.New(n[meterRetrieved], -9),
	}
}

// A Step is a day on which a meter begins a unit that costs something.
type Step struct {
	Day   Day
	Class StorageClass
	Meter string
	USD   decimal.Decimal // by how much the meter costs more than the day before
	Total decimal.Decimal // the bill by the end of the day
}

// Steps returns all of them, day by day. Storage has one for nearly each
// day; those of "Class A" are the dear ones.
func (f Forecast) Steps() []Step {
	var steps []Step
	var before Bill
	for _, e := range f.Days {
		for _, l := range e.Bill.Lines {
			if more := l.USD.Sub(before.Line(l.Class, l.Meter).USD); more.IsPositive() {
				steps = append(steps, Step{e.Day, l.Class, l.Meter, more, e.Bill.Total})
			}
		}
		before = e.Bill
	}
	return steps
}

// Crosses returns the step by which the bill passes the budget; of several on
// that day, the dearest. It is false if the budget holds.
func (f Forecast) Crosses(budget decimal.Decimal) (Step, bool) {
	var by Step
	var found bool
	for _, s := range f.Steps() {
		if found && s.Day != by.Day {
			break
		}
		if s.Total.GreaterThan(budget) && (!found || s.USD.GreaterThan(by.USD)) {
			by, found = s, true
		}
	}
	return by, found
}
