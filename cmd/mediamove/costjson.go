package main

import (
	"time"

	"example.org/mediamove/billing"
	"example.org/mediamove/costs"
)

// A costJSON is cost report's --json.
type costJSON struct {
	Schema   string            `json:"schema"`
	MadeAt   time.Time         `json:"made_at"`
	Cycle    costCycleJSON     `json:"cycle"`
	Scope    string            `json:"scope"`
	Partial  bool              `json:"partial"`
	Reasons  []string          `json:"reasons"`
	Prices   costPricesJSON    `json:"prices"`
	Currency *costCurrencyJSON `json:"currency,omitempty"`

	Bill     costBillJSON    `json:"bill"`
	Forecast *costBillJSON   `json:"forecast,omitempty"`
	Budget   *costBudgetJSON `json:"budget,omitempty"`
	Levers   []costLeverJSON `json:"levers"`

	Own        ownJSON         `json:"own"`
	Days       []costDayJSON   `json:"days"`
	Storage    []storedDayJSON `json:"storage"`
	Operations *operationsJSON `json:"operations,omitempty"`

	Notes     []string           `json:"notes"`
	Footnotes []costs.Assumption `json:"footnotes"`
}

// A costCycleJSON is the billing cycle. Both days belong to it, by UTC.
type costCycleJSON struct {
	First costs.Day `json:"first_day"`
	Last  costs.Day `json:"last_day"`
	Over  bool      `json:"over"`
}

// A costPricesJSON names the price list. AsOf is the day on which somebody read it on
// Cloudflare's page, not the day of the report.
type costPricesJSON struct {
	Name string `json:"name"`
	AsOf string `json:"as_of"`
}

// A costCurrencyJSON is the other currency. Rate is how much of it one dollar is, as it
// was typed: nobody is asked for rates.
type costCurrencyJSON struct {
	Code string `json:"code"`
	Rate string `json:"rate"`
}

// A costBillJSON is the bill so far, or the one that is expected: a script reads both alike.
type costBillJSON struct {
	Lines []costLineJSON `json:"lines"`
	Total money          `json:"total"`
}

// A costLineJSON is one meter of a bill. Quantity is what was measured; Begun is that in
// units of the price list, rounded up; Units are those of them that are charged, after the
// free ones. They are decimal strings, since a float would not hold them.
type costLineJSON struct {
	Class    string `json:"storage_class"`
	Meter    string `json:"meter"`
	Unit     string `json:"unit"`
	Quantity string `json:"quantity"`
	Begun    string `json:"begun"`
	Units    string `json:"units"`
	Cost     money  `json:"cost"`
}

// A costBudgetJSON holds the forecast against --budget, not the bill so far. KeptBy is the
// ID of the lever that keeps it and takes the least away.
type costBudgetJSON struct {
	Amount  money         `json:"amount"`
	Holds   bool          `json:"holds"`
	Crossed *costStepJSON `json:"crossed,omitempty"`
	KeptBy  string        `json:"kept_by,omitempty"`
}

// A costStepJSON is where the bill passes the budget: the meter that does it, on which day,
// and the bill by the end of that day.
type costStepJSON struct {
	Day   costs.Day `json:"day"`
	Class string    `json:"storage_class"`
	Meter string    `json:"meter"`
	Total money     `json:"total"`
}

// A costLeverJSON is one thing that makes it cheaper, by itself: two of them may save the
// same unit, so what they save can't be added up. Either Room is there, requests that the
// whole account may still send, and 0 is an answer too; or Bytes, to store less of from
// tomorrow on. Total is the forecast with it.
type costLeverJSON struct {
	ID     string `json:"id"`
	Label  string `json:"label"`
	Room   *int64 `json:"room,omitempty"`
	Bytes  int64  `json:"bytes,omitempty"`
	Saves  money  `json:"saves"`
	Total  money  `json:"total"`
	Keeps  *bool  `json:"keeps_budget,omitempty"`
	Advice string `json:"advice"`
	Run    string `json:"command,omitempty"`
}

// An ownJSON is what mediamove itself used in the cycle. Adds is by how much that makes the
// bill dearer, not what it would cost alone: what stays within the free tier, or in a unit
// that others have begun anyway, adds nothing.
type ownJSON struct {
	opsJSON
	Adds     money         `json:"adds"`
	Commands []commandJSON `json:"commands"`
	Runs     []ownRunJSON  `json:"runs"`
}

// A commandJSON sums up the runs of one command.
type commandJSON struct {
	Command string `json:"command"`
	Runs    int    `json:"runs"`
	opsJSON
}

// An ownRunJSON is what one run used. One that has not ended was killed, or is at work. The
// first sync is marked since the forecast takes it for no habit.
type ownRunJSON struct {
	Run       int64     `json:"run"`
	Command   string    `json:"command"`
	First     costs.Day `json:"first_day"`
	Last      costs.Day `json:"last_day"`
	Ended     bool      `json:"ended"`
	FirstSync bool      `json:"first_sync"`
	opsJSON
}

// A costDayJSON is one day of the cycle; an expected one is not over yet. Bytes is the most
// that was stored on it, Total the bill if everything were deleted after it.
type costDayJSON struct {
	Day      costs.Day `json:"day"`
	Expected bool      `json:"expected"`
	ClassA   int64     `json:"class_a"`
	ClassB   int64     `json:"class_b"`
	Bytes    int64     `json:"bytes"`
	Total    money     `json:"total"`
}

// A storedDayJSON is what was stored on one day. Source says how far to believe it: measured
// by Cloudflare, added up by the ledger, or carried over from the day before.
type storedDayJSON struct {
	Day    costs.Day      `json:"day"`
	Bytes  int64          `json:"bytes"`
	Source billing.Source `json:"source"`
}

// An operationsJSON is what the whole account did, which only Cloudflare can tell.
type operationsJSON struct {
	sharesJSON
	Types []typeJSON `json:"types"`
}

// A sharesJSON divides one total twice: by who has counted it, Cloudflare or for the rest
// the ledger alone, and by whose it was.
type sharesJSON struct {
	Total     int64 `json:"total"`
	Analytics int64 `json:"in_analytics"`
	NotYet    int64 `json:"not_in_analytics_yet"`
	Own       int64 `json:"mediamove"`
	Others    int64 `json:"others"`
	Unknown   int64 `json:"unknown"`
}

// A typeJSON is one type of operation, under Cloudflare's own name. The class of one that
// the price list does not name is a caution: Class A, the dearer one.
type typeJSON struct {
	Type   string `json:"type"`
	Class  string `json:"class"`
	Listed bool   `json:"listed"`
	sharesJSON
}

// className is S3's word for a storage class.
func className(c costs.StorageClass) string {
	text, _ := c.MarshalText() // never fails
	return string(text)
}

func sharesOf(s billing.Shares) sharesJSON {
	return sharesJSON{s.Total(), s.Analytics, s.NotYet, s.Own, s.Others, s.Unknown}
}

// json turns the report into the shape that docs/json.md promises. Lists are empty rather
// than null, so that a script can go through them without asking.
func (r *costReport) json() costJSON {
	j := costJSON{
		Schema: "mediamove.cost/1", MadeAt: r.now.UTC().Truncate(time.Second),
		Cycle: costCycleJSON{r.Period.From, r.Period.To - 1, r.Over}, Scope: "mediamove",
		Partial: len(r.Partial) > 0, Reasons: append([]string{}, r.Partial...),
		Prices: costPricesJSON{r.Prices.Name, r.Prices.Standard.AsOf},
		Bill:   r.billJSON(r.Bill), Levers: []costLeverJSON{},
		Own: r.ownJSON(), Days: []costDayJSON{}, Storage: []storedDayJSON{},
		Notes: append([]string{}, r.Notes...), Footnotes: r.Footnotes,
	}
	if r.beside != nil {
		j.Currency = &costCurrencyJSON{r.beside.Code, r.beside.PerUSD.String()}
	}
	if !r.Over {
		j.Forecast = new(r.billJSON(r.Forecast.Bill))
	}
	j.Budget = r.budgetJSON()
	for _, e := range r.Levers {
		j.Levers = append(j.Levers, r.leverJSON(e))
	}
	for _, e := range r.Forecast.Days {
		j.Days = append(j.Days, costDayJSON{e.Day, e.Expected && !r.Over, e.ClassA, e.ClassB, e.Bytes, r.money(e.Bill.Total)})
	}
	for _, d := range r.Storage {
		j.Storage = append(j.Storage, storedDayJSON(d))
	}
	// Without Cloudflare's answer nobody knows what others did: the scope stays mediamove.
	if o := r.Operations; o != nil {
		j.Scope = "account"
		j.Operations = &operationsJSON{sharesJSON: sharesOf(o.Shares), Types: []typeJSON{}}
		for _, t := range o.Types {
			j.Operations.Types = append(j.Operations.Types, typeJSON{t.Type, t.Op.Class().String(), t.Op.Listed(), sharesOf(t.Shares)})
		}
	}
	return j
}

func (r *costReport) billJSON(b costs.Bill) costBillJSON {
	j := costBillJSON{Lines: []costLineJSON{}, Total: r.money(b.Total)}
	for _, l := range b.Lines {
		j.Lines = append(j.Lines, costLineJSON{className(l.Class), l.Meter, l.Unit, l.Quantity.String(), l.Begun.String(), l.Units.String(), r.money(l.USD)})
	}
	return j
}

// budgetJSON is nil without --budget, and then the field is left out.
func (r *costReport) budgetJSON() *costBudgetJSON {
	if r.Budget == nil {
		return nil
	}
	j := &costBudgetJSON{Amount: r.money(r.Budget.USD), Holds: r.Budget.Crossed == nil}
	if c := r.Budget.Crossed; c != nil {
		j.Crossed = &costStepJSON{c.Day, className(c.Class), c.Meter, r.money(c.Total)}
	}
	if e, ok := r.Keeps(); ok {
		j.KeptBy = e.ID
	}
	return j
}

// leverJSON leaves keeps_budget out where there is no budget: false would say that the
// lever is too weak for it.
func (r *costReport) leverJSON(e costs.Effect) costLeverJSON {
	j := costLeverJSON{ID: e.ID, Label: leverName(e), Saves: r.money(e.Saves), Total: r.money(e.Bill.Total)}
	j.Advice, j.Run = leverAdvice(e)
	if e.ID == costs.LeverStoreLess {
		j.Bytes = -e.Work.Bytes
	} else {
		j.Room = &e.Room
	}
	if r.Budget != nil {
		j.Keeps = &e.Keeps
	}
	return j
}

func (r *costReport) ownJSON() ownJSON {
	j := ownJSON{opsJSON: opsOf(r.Own.Usage), Adds: r.money(r.Adds), Commands: []commandJSON{}, Runs: []ownRunJSON{}}
	for _, c := range r.Own.Commands {
		j.Commands = append(j.Commands, commandJSON{c.Command, c.Runs, opsOf(c.Usage)})
	}
	for _, u := range r.Own.Runs {
		j.Runs = append(j.Runs, ownRunJSON{u.Run, u.Command, u.First, u.Last, u.Ended, u.FirstSync, opsOf(u.Usage)})
	}
	return j
}
