package main

import (
	"context"
	"fmt"
	"strings"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/costs"
	"example.org/mediamove/ledger"
)

// bucketDay is what the bucket held tonight, for forecasts.
func (r *nightlyReport) bucketDay() ledger.BucketDay {
	return r.c.bucketDay(r.sweep.found.Scan, r.removed())
}

// bucketDay is what a scan found, and what the run removed after it. A forecast needs it
// of every run that removes anything.
func (c *cleaning) bucketDay(s *cleanup.Scan, removed cleanup.Sum) ledger.BucketDay {
	at := c.now()
	d := ledger.BucketDay{
		Day: costs.DayOf(at), Run: c.run, At: at, Objects: s.All.Objects, Bytes: s.All.Bytes,
		Parts: map[ledger.BucketPart]ledger.ClassSum{}, Removed: ledger.ClassSum(removed),
	}
	for h, sum := range s.Holdings {
		part := ledger.BucketPart{Class: h.Class, Owner: holderOf(h.Owner)}
		was := d.Parts[part]
		d.Parts[part] = ledger.ClassSum{Objects: was.Objects + sum.Objects, Bytes: was.Bytes + sum.Bytes}
	}
	return d
}

// holderOf names an owner as the ledger does: what a person has to look at is an
// orphan too.
func holderOf(owner string) ledger.Holder {
	switch owner {
	case "local":
		return ledger.HeldLocal
	case "remote":
		return ledger.HeldRemote
	case string(ledger.Orphan), string(ledger.Review):
		return ledger.HeldOrphan
	}
	return ledger.HeldUnknown
}

// removed is what went tonight.
func (r *nightlyReport) removed() cleanup.Sum {
	a, b := r.orphans.removed, r.prune.removed
	return cleanup.Sum{Objects: a.Objects + b.Objects, Bytes: a.Bytes + b.Bytes}
}

// holds is what the bucket holds when the night is over.
func (r *nightlyReport) holds() int64 { return r.sweep.found.Scan.All.Bytes - r.removed().Bytes }

type nightlyJSON struct {
	Schema string `json:"schema"`
	Run    int64  `json:"run"`

	Budget   int64         `json:"budget_bytes"`
	Bytes    int64         `json:"bytes"`
	After    int64         `json:"bytes_after"`
	Objects  int64         `json:"objects"`
	Holdings []holdingJSON `json:"holdings"`
	Guards   []guardJSON   `json:"guards"`
	Applied  bool          `json:"applied"`
	Orphans  nightOrphans  `json:"orphans"`
	Prune    nightPrune    `json:"prune"`
	Missing  *nightMissing `json:"missing,omitempty"`
	Aborted  int           `json:"uploads_aborted"`
	Settled  int           `json:"settled"`
	Forgot   int64         `json:"rows_forgotten"`
	Expired  int64         `json:"copies_expired"`
	Forecast *forecastJSON `json:"forecast,omitempty"`
	Problems []string      `json:"problems"`

	spentJSON
	Complete bool `json:"complete"`
}

type nightOrphans struct {
	Candidates sumJSON     `json:"candidates"`
	Waiting    sumJSON     `json:"waiting"`
	Review     sumJSON     `json:"review"`
	Unknown    sumJSON     `json:"unknown"`
	Above      []aboveJSON `json:"above"`
	Removed    sumJSON     `json:"removed"`
}

type nightPrune struct {
	Rows    int64   `json:"rows"`
	Freed   sumJSON `json:"freed"`
	Cleared int64   `json:"rows_cleared"`
	Skipped int64   `json:"rows_skipped"`
	Removed sumJSON `json:"removed"`
	Share   float64 `json:"share_percent"`
	Short   int64   `json:"short_bytes"`
}

func (r *nightlyReport) json() nightlyJSON {
	out := nightlyJSON{
		Schema: "mediamove.nightly/1", Run: r.c.run, Budget: r.budget.Bytes, Holdings: []holdingJSON{}, Guards: []guardJSON{}, Applied: r.o.apply,
		Orphans: nightOrphans{Above: []aboveJSON{}}, Aborted: r.aborted, Forgot: r.forgot, Problems: []string{},
		spentJSON: r.c.usedBy(r.seconds), Complete: len(r.errs) == 0,
	}
	for _, err := range r.errs {
		out.Problems = append(out.Problems, oneLine(err.Error()))
	}
	if !r.looked() {
		return out
	}
	found := r.sweep.found
	groups := sortGroups(found.Scan.Totals)
	out.Objects, out.Bytes, out.After, out.Holdings = found.Scan.All.Objects, found.Scan.All.Bytes, r.holds(), holdingRows(found.Scan)
	out.Expired = r.orphans.expired
	out.Guards, out.Settled, out.Forecast = guardRows(found.Refusals), r.sweep.settled, r.forecast
	out.Orphans.Candidates, out.Orphans.Waiting, out.Orphans.Removed = sumOf(found.Candidates), sumOf(found.Waiting), sumOf(r.orphans.removed)
	out.Orphans.Review, out.Orphans.Unknown = ofKind(groups, ledger.Review), ofKind(groups, ledger.Unknown)
	out.Orphans.Above = aboveRows(found.Above)
	out.Missing = r.missing
	if p := r.prune.PruneReport; p != nil {
		out.Prune = nightPrune{p.Rows, sumOf(p.Freed), r.prune.rows, r.prune.skipped, sumOf(r.prune.removed), p.Share, p.Short}
	}
	return out
}

// looked reports whether there is a whole scan to tell of.
func (r *nightlyReport) looked() bool {
	return r.sweep != nil && r.sweep.found != nil && r.sweep.found.Scan != nil
}

// screen is a summary of at most 15 lines.
func (r *nightlyReport) screen(ctx context.Context) (string, error) {
	used, usd, err := r.c.spent(ctx)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	if r.looked() {
		r.printNight(&b)
	}
	for i, err := range r.errs {
		if i == maxProblems {
			fmt.Fprintf(&b, "problem    and %d more: --json has all\n", len(r.errs)-i)
			break
		}
		fmt.Fprintf(&b, "problem    %s\n", oneLine(err.Error()))
	}
	fmt.Fprintf(&b, "requests   Class A %s   Class B %s   cost $%s   (%s of %s free Class A %s)\n",
		count(r.c.meter.Usage().A()), count(r.c.meter.Usage().B()), costs.FormatUSD(usd),
		count(used.A()), count(r.c.tariff.Standard.ClassA.Free.IntPart()), r.c.tariff.month(r.c.tariff.Of(r.c.began)))
	return b.String(), nil
}

// maxProblems keeps the summary short.
const maxProblems = 3

func (r *nightlyReport) printNight(b *strings.Builder) {
	found := r.sweep.found
	fmt.Fprintf(b, "nightly    run %d, bucket %s: %s, %s; budget %s\n",
		r.c.run, r.c.settings.Bucket, objectsOf(found.Scan.All.Objects), size(found.Scan.All.Bytes), size(r.budget.Bytes))
	if n := len(found.Refusals); n > 0 {
		fmt.Fprintf(b, "guards     %q refused: %s\n           %s\n", found.Refusals[0].Guard, oneLine(found.Refusals[0].Reason), found.Refusals[0].Hint)
	} else {
		fmt.Fprintf(b, "guards     all %d let it pass\n", len(cleanup.Guards()))
	}
	fmt.Fprintf(b, "orphans    %s may go (%s), %s waiting", count(found.Candidates.Objects), size(found.Candidates.Bytes), count(found.Waiting.Objects))
	if r.o.apply {
		fmt.Fprintf(b, "; removed %s (%s)", count(r.orphans.removed.Objects), size(r.orphans.removed.Bytes))
	}
	b.WriteString("\n")
	if p := r.prune.PruneReport; p != nil {
		fmt.Fprintf(b, "prune      %s rows, %s (%.1f %% of the cache) have to go", count(p.Rows), size(p.Freed.Bytes), p.Share)
		if r.o.apply {
			fmt.Fprintf(b, "; cleared %s rows, removed %s", count(r.prune.rows), size(r.prune.removed.Bytes))
		}
		b.WriteString("\n")
	}
	r.missing.print(b)
	if int64(r.sweep.settled+r.aborted)+r.orphans.expired+r.forgot > 0 {
		fmt.Fprintf(b, "leftovers  %d intents of killed runs settled, %d uploads aborted, %d copies and %d rows of the journal expired\n",
			r.sweep.settled, r.aborted, r.orphans.expired, r.forgot)
	}
	fmt.Fprintf(b, "now        %s", size(r.holds()))
	if r.forecast != nil {
		fmt.Fprintf(b, "; %s", r.forecast.words())
	}
	b.WriteString("\n")
	if r.o.apply && r.removed().Objects > 0 {
		fmt.Fprintf(b, "undo       mediamove undo %d\n", r.c.run)
	}
	if !r.o.apply {
		b.WriteString("next       nothing was changed: --apply does it\n")
	}
}
