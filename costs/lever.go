package costs

import (
	"slices"

	"github.com/shopspring/decimal"
)

// A Lever is one thing that makes a bill smaller.
type Lever struct {
	ID    string
	Label string // a few words
	Work  Work   // what it changes; fewer requests or bytes are below 0
	Room  int64  // requests that the account may still send from now on in this period; 0 if that isn't what the lever is about
	Own   int64  // of Room, what others aren't expected to need: the limit to set. Of Class A only; at 0 or less there is none that keeps to Room
}

// The levers of [Outlook.Levers].
const (
	LeverClassAStep   = "class-a-step"
	LeverClassABudget = "class-a-budget"
	LeverClassBStep   = "class-b-step"
	LeverStoreLess    = "store-less"
)

// An Effect is what a lever does to the bill of a period.
type Effect struct {
	Lever
	Bill  Bill
	Saves decimal.Decimal // of the bill without the lever
	Keeps bool            // the bill is within the budget
}

// Try prices levers, each alone, against what the period costs without them.
func (o Outlook) Try(p Period, budget decimal.Decimal, levers ...Lever) []Effect {
	total := o.Forecast(p).Bill.Total
	effects := make([]Effect, 0, len(levers))
	for _, l := range levers {
		with := o
		with.Planned = slices.Concat(o.Planned, []Work{l.Work})
		bill := with.Forecast(p).Bill
		effects = append(effects, Effect{
			Lever: l,
			Bill:  bill,
			Saves: total.Sub(bill.Total),
			Keeps: !bill.Total.GreaterThan(budget),
		})
	}
	return effects
}

// Levers returns what can still be done in a period, by the account's numbers
// alone:
//
//   - [LeverClassAStep], [LeverClassBStep]: begin no further million of that class;
//   - [LeverClassABudget]: end Class A where the budget is used up, if that is later;
//   - [LeverStoreLess]: store so many bytes less from tomorrow on, the fewest
//     that keep the budget.
//
// Those of Class A spare nothing but what is expected of [Outlook.Own], and keep a
// budget only if something of the room is left for that.
//
// Only those that save something are returned, and the last two only if they
// keep a budget that would be crossed without them.
func (o Outlook) Levers(p Period, budget decimal.Decimal) []Effect {
	f := o.Forecast(p)
	a := f.Bill.Line(StandardClass, ClassA.String())
	used := o.used(p)
	levers := []Lever{
		o.shared(p, o.step(f, LeverClassAStep, PutObject, used[meterA])),
		o.step(f, LeverClassBStep, GetObject, used[meterB]),
	}
	if f.Bill.Total.GreaterThan(budget) {
		room := o.Prices.Standard.ClassA.Room(used[meterA], budget.Sub(f.Bill.Total.Sub(a.USD))) // not MaxClassA: of what is expected, too
		if room != levers[0].Room {
			levers = append(levers, o.shared(p, Lever{
				ID:    LeverClassABudget,
				Label: "end Class A where the budget is used up",
				Work:  o.limit(p, PutObject, a.Quantity.IntPart()-used[meterA]-room),
				Room:  room,
			}))
		}
		levers = append(levers, o.storeLess(f, budget))
	}
	var effects []Effect
	for _, e := range o.Try(p, budget, levers...) {
		e.Keeps = e.Keeps && (e.Own > 0 || e.ID != LeverClassAStep && e.ID != LeverClassABudget)
		if e.Saves.IsPositive() && (e.Keeps || e.ID == LeverClassAStep || e.ID == LeverClassBStep) {
			effects = append(effects, e)
		}
	}
	return effects
}

// used is what the account has sent in Standard storage in this period so far; in
// gaps, what is expected of them.
func (o Outlook) used(p Period) (sum counts) {
	for i, day := range o.requests(p) {
		if d := p.From + Day(i); d >= o.Today {
			day = o.Account.counts(d)
		}
		sum = sum.add(day[StandardClass], 1)
	}
	return sum
}

// ahead is the Class A that is expected in Standard storage beyond what is used.
func (o Outlook) ahead(p Period) (n int64) {
	for _, day := range o.requests(p) {
		n += day[StandardClass][meterA]
	}
	return n - o.used(p)[meterA]
}

// shared leaves others what they are expected to send: a lever of Class A can end
// one's own requests only.
func (o Outlook) shared(p Period, l Lever) Lever {
	all, others := o.ahead(p), int64(0)
	if o.Own != nil {
		rest := o
		rest.Account, rest.Once, rest.Planned = o.Account.Without(o.Own), nil, nil
		others = rest.ahead(p)
	}
	l.Own = l.Room - others
	if own := max(0, all-others); -l.Work.Requests[PutObject] > own {
		l.Label = "send no further Class A of mediamove's own"
		l.Work.Requests[PutObject] = -own
	}
	return l
}

// limit is that many requests fewer. They are counted as one operation of the
// class, as the forecast doesn't tell operations apart.
func (o Outlook) limit(p Period, op Op, fewer int64) (w Work) {
	w.Day = max(o.Today, p.From)
	w.Requests[op] = -max(0, fewer)
	return w
}

// step ends the class of op with the unit that has been begun, or with the free ones.
func (o Outlook) step(f Forecast, id string, op Op, used int64) Lever {
	rate := o.Prices.Standard.ClassA
	if op.Class() == ClassB {
		rate = o.Prices.Standard.ClassB
	}
	line := f.Bill.Line(StandardClass, op.Class().String())
	now := rate.units(decimal.NewFromInt(used)).Mul(rate.USD)
	room := rate.Room(used, now)
	return Lever{
		ID:    id,
		Label: "begin no further million of " + op.Class().String(),
		Work:  o.limit(f.Period, op, line.Quantity.IntPart()-used-room),
		Room:  room,
	}
}

// storeLess divides the byte-days above what the budget leaves for storage by
// the days to come. It may be more than is stored: then it keeps nothing.
func (o Outlook) storeLess(f Forecast, budget decimal.Decimal) Lever {
	l := Lever{ID: LeverStoreLess, Label: "store less from tomorrow on", Work: Work{Day: o.Today}}
	rate := o.Prices.Standard.Storage
	line := f.Bill.Line(StandardClass, StorageMeter)
	left := budget.Sub(f.Bill.Total.Sub(line.USD))
	days := int64(f.Period.To - max(o.Today+1, f.Period.From))
	if days < 1 || !rate.USD.IsPositive() {
		return l
	}
	units, _ := left.QuoRem(rate.USD, 0)
	var have decimal.Decimal
	for _, e := range o.peaks(f.Period) {
		have = have.Add(decimal.NewFromInt(e[StandardClass]))
	}
	may := rate.Free.Add(units.Mul(rate.Size)).Shift(9).Mul(decimal.NewFromInt(int64(f.Period.Days())))
	if over := have.Sub(may); over.IsPositive() {
		less, rest := over.QuoRem(decimal.NewFromInt(days), 0)
		if rest.IsPositive() {
			less = less.Add(decimal.NewFromInt(1))
		}
		l.Work.Bytes = -less.IntPart()
	}
	return l
}
