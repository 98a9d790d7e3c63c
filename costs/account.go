package costs

// A Track is what one storage class saw, by UTC day.
type Track struct {
	Requests  map[Day]Usage // a day that is missing had none
	Stored    Storage
	Retrieved map[Day]int64 // bytes read or copied
}

// Use adds up the days of the period, from its first to last; what comes after
// last counts nothing, as if everything were deleted and nobody came any more.
// So for a running period it is what is certain by then.
func (t Track) Use(p Period, last Day) Use {
	seen := Period{p.From, min(p.To, last+1)}
	u := Use{GBMonths: t.Stored.Filled(seen).GBMonths(p)}
	for d := range seen.All() {
		u.Requests = u.Requests.Add(t.Requests[d])
		u.Retrieved += t.Retrieved[d]
	}
	return u
}

// An Account is what all buckets of an account saw, by storage class.
type Account struct{ Standard, Infrequent Track }

// Without returns the account as it would be without these requests in Standard.
func (a Account) Without(own map[Day]Usage) Account {
	rest := make(map[Day]Usage, len(a.Standard.Requests))
	for d, u := range a.Standard.Requests {
		for op, n := range own[d].All() {
			u[op] = max(0, u[op]-n)
		}
		rest[d] = u
	}
	a.Standard.Requests = rest
	return a
}

// BillOf prices what an account used from the first day of the period to last.
// With a last day before the period's own it is what is certain by then.
func (l PriceList) BillOf(a Account, p Period, last Day) Bill {
	return l.Bill(a.Standard.Use(p, last), a.Infrequent.Use(p, last))
}

// The meters that count up during a period.
const (
	meterA = iota
	meterB
	meterRetrieved
	numMeters
)

type counts [numMeters]int64

func (c counts) add(d counts, sign int64) counts {
	for m := range c {
		c[m] += sign * d[m]
	}
	return c
}

// counts returns a day's counts by storage class, as [PriceList.Bill] puts them.
func (a Account) counts(d Day) [2]counts {
	s, i := a.Standard.Requests[d], a.Infrequent.Requests[d]
	moved := s[LifecycleStorageTierTransition]
	return [2]counts{
		StandardClass:    {s.A() - moved, s.B(), a.Standard.Retrieved[d]},
		InfrequentAccess: {i.A() + moved, i.B(), a.Infrequent.Retrieved[d]},
	}
}

func (a Account) stored() [2]Storage {
	return [2]Storage{StandardClass: a.Standard.Stored, InfrequentAccess: a.Infrequent.Stored}
}

// since returns the first day on which a request is known.
func (a Account) since() (Day, bool) {
	s, ok := earliest(a.Standard.Requests)
	i, also := earliest(a.Infrequent.Requests)
	switch {
	case ok && also:
		return min(s, i), true
	case also:
		return i, true
	}
	return s, ok
}
