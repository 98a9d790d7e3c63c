package main

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/costs"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

type guardsJSON struct {
	Schema string      `json:"schema"`
	Guards []guardJSON `json:"guards"`
}

type guardJSON struct {
	Name    string `json:"name"`
	Rule    string `json:"rule,omitempty"`
	Refused bool   `json:"refused"`
	Reason  string `json:"reason,omitempty"`
	Hint    string `json:"hint,omitempty"`
}

type sumJSON struct {
	Objects int64 `json:"objects"`
	Bytes   int64 `json:"bytes"`
}

type groupJSON struct {
	Kind   ledger.SuspectKind `json:"kind"`
	Prefix string             `json:"prefix"`
	Reason string             `json:"reason"`
	sumJSON
}

type suspectJSON struct {
	Kind     string    `json:"kind"`
	Key      string    `json:"key"`
	Reason   string    `json:"reason"`
	Size     int64     `json:"size"`
	ETag     string    `json:"etag"`
	Modified time.Time `json:"modified"`
	FirstRun int64     `json:"first_run"`
	First    time.Time `json:"first_seen"`
	LastRun  int64     `json:"last_run"`
	Last     time.Time `json:"last_seen"`
}

type aboveJSON struct {
	Class          media.Class `json:"class"`
	Candidates     sumJSON     `json:"candidates"`
	Tonight        sumJSON     `json:"removed_within_20h"`
	AllowedObjects int64       `json:"allowed_objects"`
	AllowedBytes   int64       `json:"allowed_bytes"`
}

// aboveRows are the classes beyond their ceilings.
func aboveRows(above []cleanup.Above) []aboveJSON {
	rows := []aboveJSON{}
	for _, a := range above {
		rows = append(rows, aboveJSON{a.Class, sumOf(a.Candidates), sumOf(a.Tonight), a.Objects, a.Bytes})
	}
	return rows
}

type planFileJSON struct {
	File    string    `json:"file"`
	ID      string    `json:"id"`
	Objects int64     `json:"objects"`
	Bytes   int64     `json:"bytes"`
	Expires time.Time `json:"expires"`
}

type orphansPlanJSON struct {
	planFileJSON
	ClassA int64 `json:"class_a"`
	ClassB int64 `json:"class_b"`
}

type orphansJSON struct {
	Schema string `json:"schema"`
	Run    int64  `json:"run"`

	Objects int64       `json:"objects"`
	Bytes   int64       `json:"bytes"`
	Owned   sumJSON     `json:"owned"`
	Groups  []groupJSON `json:"groups"`
	Orphan  sumJSON     `json:"orphan"`
	Review  sumJSON     `json:"review"`
	Unknown sumJSON     `json:"unknown"`

	Candidates sumJSON            `json:"candidates"`
	Reasons    map[string]sumJSON `json:"reasons"`
	Waiting    sumJSON            `json:"waiting"`
	Returned   sumJSON            `json:"put_back"`
	MonthlyUSD string             `json:"monthly_usd"`

	Guards  []guardJSON      `json:"guards"`
	Above   []aboveJSON      `json:"above"`
	Applied bool             `json:"applied"`
	Removed sumJSON          `json:"removed"`
	Kept    map[string]int64 `json:"kept"`
	Dropped int64            `json:"dropped"`
	Settled int              `json:"settled"`
	Refusal string           `json:"refusal,omitempty"`
	Plan    *orphansPlanJSON `json:"plan,omitempty"`

	spentJSON
	Complete bool `json:"complete"`
}

func sumOf(s cleanup.Sum) sumJSON { return sumJSON(s) }

// sortGroups puts totals in the order of the screen: what may go first.
func sortGroups(totals map[cleanup.Group]cleanup.Sum) []groupJSON {
	out := []groupJSON{}
	for g, s := range totals {
		if g.Kind != "" {
			out = append(out, groupJSON{g.Kind, g.Prefix, g.Reason, sumOf(s)})
		}
	}
	slices.SortFunc(out, func(a, b groupJSON) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Prefix, b.Prefix), cmp.Compare(a.Reason, b.Reason))
	})
	return out
}

// ofKind adds up the groups of one kind.
func ofKind(groups []groupJSON, k ledger.SuspectKind) (s sumJSON) {
	for _, g := range groups {
		if g.Kind == k {
			s.Objects += g.Objects
			s.Bytes += g.Bytes
		}
	}
	return s
}

// json is the report for machines.
func (r *orphansReport) json() orphansJSON {
	out := orphansJSON{
		Schema: "mediamove.orphans/1", Run: r.c.run, Groups: []groupJSON{}, Reasons: map[string]sumJSON{},
		Guards: []guardJSON{}, Above: []aboveJSON{}, MonthlyUSD: "0.00",
		Applied: r.applied, Removed: sumOf(r.removed), Kept: r.kept, Dropped: r.dropped, Settled: r.settled,
		spentJSON: r.c.usedBy(r.seconds), Complete: r.err == nil,
	}
	if r.refusal != nil {
		out.Refusal = oneLine(r.refusal.Error())
	}
	if r.Report == nil {
		return out
	}
	out.Candidates, out.Waiting, out.Returned = sumOf(r.Candidates), sumOf(r.Waiting), sumOf(r.Returned)
	for reason, s := range r.Reasons {
		out.Reasons[reason] = sumOf(s)
	}
	out.Guards, out.MonthlyUSD = guardRows(r.Refusals), r.monthly()
	out.Above = aboveRows(r.Above)
	if r.saved != nil {
		a, b := r.toApply()
		out.Plan = &orphansPlanJSON{planFileJSON{r.savedAt, r.saved.ID, r.saved.Candidates.Objects, r.saved.Candidates.Bytes, r.saved.Expires}, a, b}
	}
	if s := r.Scan; s != nil {
		out.Objects, out.Bytes, out.Owned = s.All.Objects, s.All.Bytes, sumOf(s.Owned)
		out.Groups = sortGroups(s.Totals)
		out.Orphan, out.Review, out.Unknown = ofKind(out.Groups, ledger.Orphan), ofKind(out.Groups, ledger.Review), ofKind(out.Groups, ledger.Unknown)
	}
	return out
}

// guardRows tells of every guard whether it refused, and why.
func guardRows(refusals []*cleanup.Refusal) []guardJSON {
	rows := []guardJSON{}
	for _, g := range cleanup.Guards() {
		row := guardJSON{Name: g.Name}
		for _, refusal := range refusals {
			if refusal.Guard == g.Name {
				row.Refused, row.Reason, row.Hint = true, oneLine(refusal.Reason), refusal.Hint
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// monthly is what the candidates' storage costs in a month, before it is rounded up
// with everything else.
func (r *orphansReport) monthly() string {
	rate := r.c.tariff.Standard.Storage
	gb := decimal.NewFromInt(r.Candidates.Bytes).Div(decimal.NewFromInt(1e9))
	return costs.FormatUSD(gb.Div(rate.Size).Mul(rate.USD).Round(4))
}

type undoJSON struct {
	Schema    string             `json:"schema"`
	Run       int64              `json:"run"`
	Of        int64              `json:"of"`
	Outcomes  map[string]sumJSON `json:"outcomes"`
	Cancelled int64              `json:"marks_cancelled"`
	NotBack   []undoneJSON       `json:"not_back"`
	Rows      rowsUndoneJSON     `json:"rows"`
	spentJSON
	Complete bool `json:"complete"`
}

type rowsUndoneJSON struct {
	Restored int64 `json:"restored"`
	Refilled int64 `json:"refilled"`
	Lost     int64 `json:"lost"`

	Forgotten int64 `json:"forgotten"`
}

type undoneJSON struct {
	Key    string `json:"key"`
	Why    string `json:"why"`
	Detail string `json:"detail,omitempty"`
}

func (r *undoReport) json() undoJSON {
	out := undoJSON{
		Schema: "mediamove.undo/1", Run: r.c.run, Of: r.of, Outcomes: map[string]sumJSON{}, Cancelled: r.cancelled, NotBack: []undoneJSON{}, Rows: rowsUndoneJSON{r.rows.Restored, r.rows.Refilled, r.rows.Lost, r.forgotten},
		spentJSON: r.c.usedBy(r.seconds), Complete: r.err == nil,
	}
	for outcome := range maps.Keys(r.outcomes) {
		out.Outcomes[outcome] = sumOf(r.outcomes[outcome])
	}
	for _, f := range r.failed {
		out.NotBack = append(out.NotBack, undoneJSON{string(f.Removal.Key), f.Outcome, oneLine(f.Detail)})
	}
	return out
}

type bindJSON struct {
	Schema       string     `json:"schema"`
	Run          int64      `json:"run"`
	Domain       string     `json:"domain"`
	Database     string     `json:"database"`
	NewestRow    *time.Time `json:"newest_row"`
	NewestObject *time.Time `json:"newest_object"`
	Rows         int64      `json:"rows"`
	Required     int64      `json:"required"`
	Present      int64      `json:"present"`
	Percent      float64    `json:"present_percent"`
	Objects      int64      `json:"objects"`
	Owned        int64      `json:"owned"`
	OwnedPercent float64    `json:"owned_percent"`
	Doubts       []string   `json:"doubts"`
	Bound        bool       `json:"bound"`
	spentJSON
}

func (r *bindReport) json() bindJSON {
	return bindJSON{
		Schema: "mediamove.bind/1", Run: r.c.run, Domain: r.c.who.Domain, Database: r.c.who.Name,
		NewestRow: given(r.scan.Newest), NewestObject: given(r.scan.NewestForeign),
		Rows: r.match.Rows, Required: r.match.Required, Present: r.match.Present, Percent: r.match.Percent(),
		Objects: r.scan.All.Objects, Owned: r.scan.Owned.Objects, OwnedPercent: percent(r.scan.Owned.Objects, r.scan.All.Objects),
		Doubts: append([]string{}, r.doubts...), Bound: r.bound, spentJSON: r.c.usedBy(r.seconds),
	}
}
