package costs

import "github.com/shopspring/decimal"

// MaxClassA returns how many Class A operations in Standard storage fit on top
// of a bill of these prices before it passes the budget; none if it has already.
// For the limit of a run ([Meter.LimitA]) the bill should hold what is used so
// far and what else is to come in the period, as [Outlook.Forecast] says it, the
// bytes of that run among them.
func (l PriceList) MaxClassA(bill Bill, budget decimal.Decimal) int64 {
	a := bill.Line(StandardClass, ClassA.String())
	return l.Standard.ClassA.Room(a.Quantity.IntPart(), budget.Sub(bill.Total.Sub(a.USD)))
}

// FreeClassA returns how many more Class A operations are free on top of a bill.
func (l PriceList) FreeClassA(bill Bill) int64 {
	return l.Standard.ClassA.Room(bill.Line(StandardClass, ClassA.String()).Quantity.IntPart(), decimal.Zero)
}

// A Share is a part of planned work that one billing period can carry.
type Share struct {
	Period Period
	Work   Work
	Bill   Bill // of the period, with this share, and with the bytes of those before
}

// Spread divides the planned work over this period and those after it, so that
// it begins no million of Class A in any of them that would not be begun
// anyway. Requests of other classes all go into the first share, bytes go with
// the Class A operations. It is false, and there are no shares, if so many
// periods are not enough.
func (o Outlook) Spread(c Cycle, periods int) ([]Share, bool) {
	left := plannedWork(o.Planned)
	all := left
	var shares []Share
	o.Planned = nil
	p := c.Of(o.Today.Start())
	for range periods {
		n := max(0, min(left.Requests.A(), o.classAInBegun(p)))
		w := left.part(n, all)
		w.Day = max(o.Today, p.From)
		if len(shares) == 0 {
			w.Requests = w.Requests.Add(left.withoutA())
		}
		left.Requests = left.Requests.Sub(w.Requests)
		left.Bytes -= w.Bytes
		o.Planned = append(o.Planned, w)
		shares = append(shares, Share{p, w, o.Forecast(p).Bill})
		if left.Requests.A() <= 0 {
			return shares, true
		}
		p = c.Next(p)
	}
	return nil, false
}

// classAInBegun is how many more Class A operations the units have room for
// that the period begins anyway, the free ones among them.
func (o Outlook) classAInBegun(p Period) int64 {
	line := o.Forecast(p).Bill.Line(StandardClass, ClassA.String())
	return o.Prices.Standard.ClassA.Room(line.Quantity.IntPart(), line.USD)
}

func plannedWork(works []Work) (all Work) {
	for _, w := range works {
		all.Requests = all.Requests.Add(w.Requests)
		all.Bytes += w.Bytes
	}
	return all
}

// part is w cut down to n Class A operations, of which all has the total. The
// last part takes every byte that is left.
func (w Work) part(n int64, all Work) (part Work) {
	todo := n
	for op, count := range w.Requests.All() {
		if op.Class() == ClassA {
			part.Requests[op] = min(count, todo)
			todo -= part.Requests[op]
		}
	}
	part.Bytes = w.Bytes
	if n < w.Requests.A() {
		bytes := decimal.NewFromInt(all.Bytes).Mul(decimal.NewFromInt(n))
		whole, _ := bytes.QuoRem(decimal.NewFromInt(all.Requests.A()), 0)
		part.Bytes = min(w.Bytes, whole.IntPart())
	}
	return part
}

func (w Work) withoutA() (u Usage) {
	for op, n := range w.Requests.All() {
		if op.Class() != ClassA {
			u[op] = n
		}
	}
	return u
}
