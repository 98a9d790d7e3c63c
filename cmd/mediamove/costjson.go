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

type costCycleJSON struct {
	First costs.Day `json:"first_day"`
	Last  costs.Day `json:"last_day"`
	Over  bool      `json:"over"`
}

type costPricesJSON struct {
	Name string `json:"name"`
	AsOf string `json:"as_of"`
}

type costCurrencyJSON struct {
	Code string `json:"code"`
	Rate string `json:"rate"`
}

type costBillJSON struct {
	Lines []costLineJSON `json:"lines"`
	Total money          `json:"total"`
}

type costLineJSON struct {
	Class    string `json:"storage_class"`
	Meter    string `json:"meter"`
	Unit     string `json:"unit"`
	Quantity string `json:"quantity"`
	Begun    string `json:"begun"`
	Units    string `json:"units"`
	Cost     money  `json:"cost"`
}

type costBudgetJSON struct {
	Amount  money         `json:"amount"`
	Holds   bool          `json:"holds"`
	Crossed *costStepJSON `json:"crossed,omitempty"`
	KeptBy  string        `json:"kept_by,omitempty"`
}

type costStepJSON struct {
	Day   costs.Day `json:"day"`
	Class string    `json:"storage_class"`
	Meter string    `json:"meter"`
	Total money     `json:"total"`
}

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

type ownJSON struct {
	opsJSON
	Adds     money         `json:"adds"`
	Commands []commandJSON `json:"commands"`
	Runs     []ownRunJSON  `json:"runs"`
}

type commandJSON struct {
	Command string `json:"command"`
	Runs    int    `json:"runs"`
	opsJSON
}

type ownRunJSON struct {
	Run       int64     `json:"run"`
	Command   string    `json:"command"`
	First     costs.Day `json:"first_day"`
	Last      costs.Day `json:"last_day"`
	Ended     bool      `json:"ended"`
	FirstSync bool      `json:"first_sync"`
	opsJSON
}

type costDayJSON struct {
	Day      costs.Day `json:"day"`
	Expected bool      `json:"expected"`
	ClassA   int64     `json:"class_a"`
	ClassB   int64     `json:"class_b"`
	Bytes    int64     `json:"bytes"`
	Total    money     `json:"total"`
}

type storedDayJSON struct {
	Day    costs.Day      `json:"day"`
	Bytes  int64          `json:"bytes"`
	Source billing.Source `json:"source"`
}

type operationsJSON struct {
	sharesJSON
	Types []typeJSON `json:"types"`
}

type sharesJSON struct {
	Total     int64 `json:"total"`
	Analytics int64 `json:"in_analytics"`
	NotYet    int64 `json:"not_in_analytics_yet"`
	Own       int64 `json:"mediamove"`
	Others    int64 `json:"others"`
	Unknown   int64 `json:"unknown"`
}

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
