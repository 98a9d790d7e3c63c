package billing

import (
	"slices"

	"github.com/shopspring/decimal"

	"example.org/mediamove/costs"
)

// A Report explains the bill of one billing cycle.
type Report struct {
	Prices costs.PriceList
	Period costs.Period
	Today  costs.Day // the last day with figures, for a cycle that is over too
	Over   bool      // the cycle has ended: the forecast is the bill

	Own  Own
	Adds decimal.Decimal // dollars: what mediamove's own requests add to Bill

	Bill     costs.Bill     // so far: all would be deleted now, and nobody came
	Forecast costs.Forecast // to the end of the cycle, day by day
	Budget   *Budget        // nil: none was given
	Levers   []costs.Effect // what would still make it cheaper; none once it is over

	Storage    []StorageDay
	Operations *Operations // nil: only mediamove's own are known, and the bill is for these

	Partial   []string // why the figures are not all; nil: they are
	Notes     []string // what to know beside it
	Footnotes []costs.Assumption
}

// A Budget is held against the forecast.
type Budget struct {
	USD     decimal.Decimal
	Crossed *costs.Step // by which the bill passes it; nil: it holds
}

// Report computes the report.
func (f Figures) Report() Report {
	r := Report{Prices: f.Prices, Period: f.Period, Today: f.today(), Over: f.over(), Own: f.own()}
	own := f.ownByDay()
	account := costs.Account{Standard: costs.Track{Requests: own}}
	if f.Account.operations() != nil {
		shares := f.shares(own)
		r.Operations = f.operations(shares)
		f.track(&account, shares)
	}
	stored := f.store(&account)
	for _, d := range stored {
		if f.Period.Contains(d.Day) {
			r.Storage = append(r.Storage, d)
		}
	}
	r.Bill = f.Prices.BillOf(account, f.Period, min(f.today(), f.Period.To-1))
	r.Adds = r.Bill.Total.Sub(f.Prices.BillOf(account.Without(own), f.Period, min(f.today(), f.Period.To-1)).Total)
	p := f.pace(stored)
	o := costs.Outlook{Prices: f.Prices, Account: account, Today: f.today(), Window: p.window, Once: f.once(p), Gaps: p.gaps}
	if r.Operations != nil {
		o.Own = own
	}
	r.Forecast = o.Forecast(f.Period)
	limit := r.Forecast.Bill.Total
	if f.Budget != nil {
		limit = *f.Budget
		r.Budget = &Budget{USD: limit}
		if step, crossed := r.Forecast.Crosses(limit); crossed {
			r.Budget.Crossed = &step
		}
	}
	if !r.Over {
		r.Levers = o.Levers(f.Period, limit)
	}
	r.Partial = f.partial()
	r.Notes = f.notes(r.Own, p, account)
	r.Footnotes = f.footnotes(&r, account)
	return r
}

// Keeps returns the lever that keeps the budget and takes the least away: sending up
// to the budget before sending only what is free, own requests before stored files,
// and those before what visitors read. It is false if the budget holds anyway, or if
// no lever alone keeps it.
func (r Report) Keeps() (costs.Effect, bool) {
	if r.Budget == nil || r.Budget.Crossed == nil {
		return costs.Effect{}, false
	}
	for _, id := range []string{costs.LeverClassABudget, costs.LeverClassAStep, costs.LeverStoreLess, costs.LeverClassBStep} {
		i := slices.IndexFunc(r.Levers, func(e costs.Effect) bool { return e.ID == id && e.Keeps })
		if i >= 0 {
			return r.Levers[i], true
		}
	}
	return costs.Effect{}, false
}

// uses reports whether anything was stored.
func uses(s costs.Storage) bool {
	for _, n := range s {
		if n > 0 {
			return true
		}
	}
	return false
}

// footnotes are the assumptions that this report rests on.
func (f Figures) footnotes(r *Report, a costs.Account) []costs.Assumption {
	ids := []costs.AssumptionID{costs.DecimalGB, costs.DayBoundary, costs.PeriodDays}
	add := func(applies bool, id ...costs.AssumptionID) {
		if applies {
			ids = append(ids, id...)
		}
	}
	use, infrequent := a.Standard.Use(f.Period, f.today()), a.Infrequent.Use(f.Period, f.today())
	all := use.Requests.Add(infrequent.Requests)
	var unlisted int64
	for op, n := range all.All() {
		if !op.Listed() {
			unlisted += n
		}
	}
	uploads := false
	if s := f.Account.storage(); s != nil {
		for _, row := range s.Rows {
			uploads = uploads || row.Uploads > 0
		}
	}
	add(f.Period.From.Start().Day() > 28 || f.Period.To.Start().Day() > 28, costs.ShortMonths)
	add(f.Account.storage() != nil, costs.PeakOfSum, costs.MetadataBytes)
	add(uploads, costs.UnfinishedParts)
	add(slices.ContainsFunc(r.Storage, func(d StorageDay) bool { return d.Source == Carried }), costs.MissingDays)
	add(unlisted > 0, costs.UnlistedOps)
	add(!all.IsZero(), costs.FailedRequests)
	add(r.Operations != nil, costs.CacheHits, costs.SampledCounts)
	add(all.Get(costs.LifecycleStorageTierTransition) > 0, costs.TierTransitions)
	add(!infrequent.IsZero(), costs.MinimumDuration)
	add(r.Operations == nil, costs.OwnUse)
	add(!r.Over, costs.StraightLine)
	return costs.Footnotes(ids...)
}
