package main

import (
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/media"
	"example.org/mediamove/uploader"
)

// A planJSON is plan's --json. If Exact, Sync is what a sync then counts; else it is the
// most, for the reasons in Unsure. If Refused, a sync would stop before its first file,
// and there are no levers. Joining is part of not being exact: the listing of the bucket
// comes on top. CostUSD is what the sync would cost in a month without anything else.
type planJSON struct {
	Schema    string                    `json:"schema"`
	Files     uploader.Files            `json:"files"`
	Exposed   int64                     `json:"exposed"`
	Outside   int64                     `json:"outside"`
	Refused   bool                      `json:"refused"`
	Held      heldJSON                  `json:"held_back"`
	Bytes     map[media.Class]classJSON `json:"bytes"`
	Recorded  totalsJSON                `json:"recorded"`
	Sync      opsJSON                   `json:"sync"`
	Verify    opsJSON                   `json:"verify"`
	CostUSD   string                    `json:"cost_usd"`
	Exact     bool                      `json:"exact"`
	Joining   bool                      `json:"joining"`
	Unsure    []string                  `json:"unsure"`
	Cycle     cycleJSON                 `json:"cycle"`
	Month     periodJSON                `json:"normal_month"`
	BudgetUSD string                    `json:"budget_usd,omitempty"`
	Time      timeJSON                  `json:"time"`
	Levers    []leverJSON               `json:"levers"`
	Notes     []string                  `json:"notes"`
	Footnotes []costs.Assumption        `json:"footnotes"`
}

// A classJSON is what would be sent of one class. The cached ones are part of it: other
// servers' media, which tootctl could clear instead.
type classJSON struct {
	Files       int64 `json:"files"`
	Bytes       int64 `json:"bytes"`
	CachedFiles int64 `json:"cached_files"`
	CachedBytes int64 `json:"cached_bytes"`
}

// A totalsJSON counts files on disk, or objects in the bucket.
type totalsJSON struct {
	Files int64 `json:"files"`
	Bytes int64 `json:"bytes"`
}

// A heldJSON is what stays on disk: not public by its mode, or backups and imports, which
// never are. Both together are files.held_back.
type heldJSON struct {
	Hidden  totalsJSON `json:"hidden"`
	Private totalsJSON `json:"private"`
}

// An opsJSON is a number of requests: by operation, and summed up by R2's classes. Free
// operations such as a deletion are in Requests only.
type opsJSON struct {
	ClassA   int64       `json:"class_a"`
	ClassB   int64       `json:"class_b"`
	Requests costs.Usage `json:"requests"`
}

func opsOf(u costs.Usage) opsJSON { return opsJSON{u.A(), u.B(), u} }

// A periodJSON is a cycle with its bill. Both days belong to it.
type periodJSON struct {
	First costs.Day  `json:"first_day"`
	Last  costs.Day  `json:"last_day"`
	Bill  costs.Bill `json:"bill"`
}

func periodOf(p costs.Period, b costs.Bill) periodJSON { return periodJSON{p.From, p.To - 1, b} }

// A cycleJSON is the running cycle. Used is what this ledger sent in it so far; the bill
// holds that, the sync and one verify.
type cycleJSON struct {
	periodJSON
	Used opsJSON `json:"used"`
}

// A timeJSON is how long a sync takes. From says where the rate is from; its words are
// stable: typed, measured, assumed.
type timeJSON struct {
	Seconds        int64  `json:"seconds"`
	BytesPerSecond int64  `json:"bytes_per_second"`
	From           string `json:"from"`
	FilesPerSecond int64  `json:"files_per_second,omitempty"`
}

// A leverJSON makes the bill smaller. ClassA is what a sync in this cycle then sends.
// Shares are of stop and spread, Days and Cleared of shrink-cache.
type leverJSON struct {
	ID       string      `json:"id"`
	Days     int         `json:"days,omitempty"`
	Cleared  *totalsJSON `json:"cleared,omitempty"`
	ClassA   int64       `json:"class_a"`
	Shares   []shareJSON `json:"shares,omitempty"`
	Commands []string    `json:"commands"`
	CycleUSD string      `json:"cycle_usd"`
	MonthUSD string      `json:"normal_month_usd"`
	SavesUSD string      `json:"saves_usd"`
	Keeps    *bool       `json:"keeps_budget,omitempty"`
}

// A shareJSON is one cycle's part of a sync. Files is a guess where some go in parts. USD is
// the bill of the whole cycle, not the price of the share.
type shareJSON struct {
	From   costs.Day `json:"from"`
	ClassA int64     `json:"class_a"`
	Files  int64     `json:"files"`
	USD    string    `json:"usd"`
}

// json turns the report into the shape that docs/json.md promises; within a version of the
// schema fields are only added.
func (r *planReport) json() planJSON {
	classes := make(map[media.Class]classJSON)
	for name, c := range r.Classes {
		classes[name] = classJSON(*c)
	}
	out := planJSON{
		Schema: "mediamove.plan/1", Files: r.Files, Exposed: r.Exposed, Outside: r.Outside, Refused: r.Refused != nil,
		Held:  heldJSON{totalsJSON(r.Hidden), totalsJSON(r.Private)},
		Bytes: classes, Recorded: totalsJSON(r.recorded), Sync: opsOf(r.Sync), Verify: opsOf(r.work.verify()),
		CostUSD: costs.FormatUSD(r.books.requests(r.Sync)), Exact: len(r.unsure) == 0, Joining: r.joining, Unsure: append([]string{}, r.unsure...),
		Cycle:  cycleJSON{periodOf(r.books.cycle(), r.cycle), opsOf(r.books.usedSoFar())},
		Month:  periodOf(r.after(), r.month),
		Time:   r.time.json(),
		Levers: []leverJSON{}, Notes: r.notes(), Footnotes: r.footnotes,
	}
	if r.budget != nil {
		out.BudgetUSD = costs.FormatUSD(*r.budget)
	}
	for _, l := range r.levers {
		out.Levers = append(out.Levers, r.leverJSON(l))
	}
	return out
}

func (t reckoned) json() timeJSON {
	from := map[rateFrom]string{rateTyped: "typed", rateAssumed: "assumed", rateMeasured: "measured"}[t.rate]
	return timeJSON{int64(t.took.Round(time.Second).Seconds()), int64(t.bytesPerSecond), from, int64(t.filesPerSecond)}
}

func (r *planReport) leverJSON(l lever) leverJSON {
	j := leverJSON{
		ID: l.id, Days: l.days, ClassA: l.work.sync.A(), Commands: append([]string{}, l.commands...),
		CycleUSD: costs.FormatUSD(l.cycle), MonthUSD: costs.FormatUSD(l.month), SavesUSD: costs.FormatUSD(l.saves),
	}
	if l.id == leverShrink {
		j.Cleared = new(totalsJSON(l.cleared.Totals))
	}
	for _, s := range l.shares {
		j.Shares = append(j.Shares, shareJSON{s.from, s.classA, s.files, costs.FormatUSD(s.usd)})
	}
	if len(l.shares) > 0 {
		j.ClassA = l.shares[0].classA
	}
	if r.budget != nil {
		j.Keeps = new(l.keeps)
	}
	return j
}
