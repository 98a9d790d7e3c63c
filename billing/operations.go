package billing

import (
	"cmp"
	"slices"

	"example.org/mediamove/cloudflare"
	"example.org/mediamove/costs"
)

// Operations are what was done to all buckets of the account in the cycle, by type,
// and whose it was.
type Operations struct {
	Types []TypeUse // the dearest class first, then the most
	Shares
}

// A TypeUse is one type of operation.
type TypeUse struct {
	Type string   // Cloudflare's name; "Unknown" for what the ledger calls so
	Op   costs.Op // Unknown for a name that costs has not
	Shares
}

// Shares divide what was counted. Analytics and NotYet together are Own, Others and
// Unknown together.
type Shares struct {
	Analytics int64 // by Cloudflare
	NotYet    int64 // by the ledger beyond that, day by day: late, sampled or missing figures

	Own     int64 // mediamove's, by the ledger
	Others  int64 // Mastodon's, its visitors' and whoever else's
	Unknown int64 // not mediamove's, of a type that R2's price list doesn't name
}

// Total is what the account did, as far as it is known.
func (s Shares) Total() int64 { return s.Analytics + s.NotYet }

// Add returns both together.
func (s Shares) Add(t Shares) Shares {
	return Shares{s.Analytics + t.Analytics, s.NotYet + t.NotYet, s.Own + t.Own, s.Others + t.Others, s.Unknown + t.Unknown}
}

// What nobody has on one day: above these, sums could end where an int64 does.
const (
	absurd      = 1_000_000_000_000 // requests of one kind
	absurdBytes = 100_000 * absurd
)

// An opDay is what was counted of one type on one day.
type opDay struct {
	day  costs.Day
	name string
	op   costs.Op
}

// A tally is what Cloudflare counted.
type tally struct{ all, standard int64 }

// counted are the requests by Cloudflare's count, in both storage classes and in the
// one in which mediamove's are.
func counted(o *cloudflare.Operations) map[opDay]tally {
	counts := map[opDay]tally{}
	for _, r := range o.Rows {
		k := opDay{costs.DayOf(r.Day), r.Op.String(), r.Op}
		if r.Op == costs.Unknown {
			k.name = r.Type
		}
		t, n := counts[k], min(r.Requests, absurd)
		t.all += n
		if class, _ := costs.ParseStorageClass(r.StorageClass); class == costs.StandardClass {
			t.standard += n
		}
		counts[k] = t
	}
	return counts
}

// shares holds the ledger against the analytics, day by day and type by type. A
// day's requests of mediamove's that Cloudflare has not (yet) are added: they were
// sent, whatever the day's figures say. Those of Infrequent Access are others': held
// against them too, they would hide what is late in Standard.
func (f Figures) shares(own map[costs.Day]costs.Usage) map[opDay]Shares {
	all := map[opDay]Shares{}
	seen := counted(f.Account.operations())
	for k, t := range seen {
		all[k] = Shares{Analytics: t.all}
	}
	for d, u := range own {
		for op, n := range u.All() {
			k := opDay{d, op.String(), op}
			s := all[k]
			s.Own, s.NotYet = n, max(0, n-seen[k].standard)
			all[k] = s
		}
	}
	for k, s := range all {
		rest := s.Total() - s.Own
		if k.op.Listed() {
			s.Others = rest
		} else {
			s.Unknown = rest
		}
		all[k] = s
	}
	return all
}

// operations adds up the days of the cycle.
func (f Figures) operations(shares map[opDay]Shares) *Operations {
	var o Operations
	types := map[string]TypeUse{}
	for k, s := range shares {
		if f.Period.Contains(k.day) && s.Total() > 0 {
			types[k.name] = TypeUse{k.name, k.op, types[k.name].Add(s)}
			o.Shares = o.Add(s)
		}
	}
	for _, t := range types {
		o.Types = append(o.Types, t)
	}
	slices.SortFunc(o.Types, func(a, b TypeUse) int {
		return cmp.Or(cmp.Compare(a.Op.Class(), b.Op.Class()), cmp.Compare(b.Total(), a.Total()), cmp.Compare(a.Type, b.Type))
	})
	return &o
}

// track puts Cloudflare's operations where they are billed, and what the ledger has
// beyond them into Standard, which is all that mediamove asks for.
func (f Figures) track(a *costs.Account, shares map[opDay]Shares) {
	a.Standard.Requests, a.Infrequent.Requests = map[costs.Day]costs.Usage{}, map[costs.Day]costs.Usage{}
	a.Infrequent.Retrieved = map[costs.Day]int64{}
	for _, d := range f.Account.operations().Coverage {
		if d.State != cloudflare.Missing {
			a.Standard.Requests[costs.DayOf(d.Date)] = costs.Usage{}
		}
	}
	for _, r := range f.Account.operations().Rows {
		d, t := costs.DayOf(r.Day), &a.Standard
		if class, _ := costs.ParseStorageClass(r.StorageClass); class == costs.InfrequentAccess {
			t = &a.Infrequent
			if r.Op == costs.GetObject {
				t.Retrieved[d] = min(t.Retrieved[d]+min(r.ResponseBytes, absurdBytes), absurdBytes)
			}
		}
		u := t.Requests[d]
		u[r.Op] += min(r.Requests, absurd)
		t.Requests[d] = u
	}
	for k, s := range shares {
		if s.NotYet > 0 {
			u := a.Standard.Requests[k.day]
			u[k.op] += s.NotYet
			a.Standard.Requests[k.day] = u
		}
	}
}
