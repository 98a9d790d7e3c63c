package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"example.org/mediamove/cleanup/trash"
	"example.org/mediamove/costs"
	"example.org/mediamove/ledger"
)

// An outlookJSON is how the bucket grows and what the month has used.
type outlookJSON struct {
	Month  monthJSON      `json:"month"`
	Bucket *bucketDayJSON `json:"bucket,omitempty"` // as the last nightly left it
	Growth *forecastJSON  `json:"growth,omitempty"`
}

// A monthJSON is what this ledger used in the calendar month (UTC).
type monthJSON struct {
	ClassA int64 `json:"class_a"`
	ClassB int64 `json:"class_b"`
	FreeA  int64 `json:"class_a_free"`
}

// A bucketDayJSON is what the last nightly left in the bucket: what it counted, less what
// it then removed.
type bucketDayJSON struct {
	Day     costs.Day `json:"day"`
	Objects int64     `json:"objects"`
	Bytes   int64     `json:"bytes"`
}

// readOutlook works out the forecast. A budget of 0 is none.
func readOutlook(ctx context.Context, led *ledger.Ledger, now time.Time, budget int64) (outlookJSON, error) {
	// Status takes no --cycle-day, so its month is the calendar's.
	cycle, err := costs.NewCycle(1)
	if err != nil {
		return outlookJSON{}, err
	}
	p := cycle.Of(now)
	used, err := led.MonthUsage(ctx, p.From.Start(), p.To.Start())
	if err != nil {
		return outlookJSON{}, err
	}
	o := outlookJSON{Month: monthJSON{used.A(), used.B(), costs.R2().Standard.ClassA.Free.IntPart()}}
	days, err := readDays(ctx, led, now)
	if err != nil || len(days.days) == 0 {
		return o, err
	}
	last := days.days[len(days.days)-1]
	o.Bucket = &bucketDayJSON{last.Day, last.Objects - last.Removed.Objects, last.Bytes - last.Removed.Bytes}
	kept, err := keptUnder(ctx, led, now)
	if budget > 0 && kept > budget {
		kept = 0
	}
	o.Growth = days.growth(now, o.Bucket.Bytes, budget, kept)
	return o, err
}

// keptCount is the budget, among what the ledger keeps of a night that kept the bucket
// under it.
const keptCount = "budget_kept"

// keptFor is how long the last such night is a promise: a timer that failed since then
// keeps nothing.
const keptFor = 3 * 24 * time.Hour

// keptUnder is the budget under which nightly keeps the bucket, 0 if it does not.
func keptUnder(ctx context.Context, led *ledger.Ledger, now time.Time) (int64, error) {
	r, err := led.Latest(ctx, "nightly")
	switch {
	case errors.Is(err, ledger.ErrUnknown):
		return 0, nil
	case err != nil:
		return 0, err
	case len(r.Counts) == 0 || now.Sub(r.At) > keptFor:
		return 0, nil
	}
	var counts map[string]int64
	if err := json.Unmarshal(r.Counts, &counts); err != nil {
		return 0, fmt.Errorf("read what run %d counted: %w", r.ID, err)
	}
	return counts[keptCount], nil
}

// keeps reports whether tonight's prune has kept the bucket under its budget, as it will
// every night.
func (r *nightlyReport) keeps() bool {
	return r.prune != nil && r.prune.applied && r.prune.outcome() == nil && r.looked() && r.holds() <= r.budget.Bytes
}

// foresee works out the growth from the recorded days, tonight's included.
func (r *nightlyReport) foresee(ctx context.Context) error {
	now := r.c.now()
	days, err := readDays(ctx, r.c.ledger, now)
	if err != nil {
		return err
	}
	kept := int64(0)
	if r.keeps() {
		kept = r.budget.Bytes
	}
	r.forecast = days.growth(now, r.holds(), r.budget.Bytes, kept)
	return nil
}

// A forecastJSON says how the bucket grows. BytesPerDay does not count what cleanup runs
// removed. A bucket that prune keeps at its budget every night crosses it on no day.
type forecastJSON struct {
	BytesPerDay float64    `json:"bytes_per_day"`
	Days        int        `json:"days"` // that it is told from
	Crosses     *time.Time `json:"crosses_budget,omitempty"`
	Kept        int64      `json:"kept_under_bytes,omitempty"`
}

func (f *forecastJSON) words() string {
	line := fmt.Sprintf("without cleanup it would change by %s a day", signed(int64(f.BytesPerDay)))
	switch {
	case f.Kept > 0:
		line += ", and nightly keeps it under " + size(f.Kept)
	case f.Crosses != nil:
		line += ", and pass the budget on " + f.Crosses.Format(time.DateOnly)
	}
	return line
}

func signed(n int64) string {
	if n < 0 {
		return "-" + size(-n)
	}
	return "+" + size(n)
}

const (
	forecastDays = 30 // how far back a forecast looks
	leastDays    = 3  // how many days it needs
)

// pastDays are what the bucket held, and what cleanup runs removed between the first and
// the last listing of it.
type pastDays struct {
	days    []ledger.BucketDay
	removed int64
}

// readDays asks the journal for what went: a run that was killed has recorded no day.
func readDays(ctx context.Context, led *ledger.Ledger, now time.Time) (p pastDays, err error) {
	p.days, err = led.BucketDays(ctx, costs.DayOf(now)-forecastDays)
	if err != nil || len(p.days) < leastDays {
		return p, err
	}
	first, last := p.days[0], p.days[len(p.days)-1]
	net, err := led.NetRemoved(ctx, first.Run, last.Run, first.At.Add(-trash.DefaultKeep))
	p.removed = net.Bytes
	return p, err
}

// growth is the bytes that came from the first listing to the last, by day. Without enough
// days it is nil. A budget, and one that the bucket is kept under, of 0 is none.
func (p *pastDays) growth(now time.Time, holds, budget, kept int64) *forecastJSON {
	if len(p.days) < leastDays {
		return nil
	}
	first, last := p.days[0], p.days[len(p.days)-1]
	span := int(last.Day - first.Day)
	if span < leastDays-1 {
		return nil
	}
	f := &forecastJSON{BytesPerDay: float64(last.Bytes-first.Bytes+p.removed) / float64(span), Days: span, Kept: kept}
	if kept == 0 && budget > 0 && f.BytesPerDay > 0 {
		left := max(0, float64(budget-holds)/f.BytesPerDay)
		if left < 3650 {
			f.Crosses = new(now.Add(time.Duration(left * 24 * float64(time.Hour))).UTC().Truncate(time.Second))
		}
	}
	return f
}

// print leaves out what no nightly has told yet.
func (o *outlookJSON) print(b *strings.Builder) {
	fmt.Fprintf(b, "\nthis month  Class A %s of %s free, Class B %s, as far as this ledger knows\n", count(o.Month.ClassA), count(o.Month.FreeA), count(o.Month.ClassB))
	if o.Bucket != nil {
		fmt.Fprintf(b, "bucket      %s objects, %s, after the night of %s\n", count(o.Bucket.Objects), size(o.Bucket.Bytes), o.Bucket.Day)
	}
	if o.Growth != nil {
		fmt.Fprintf(b, "growth      %s (told from %d days)\n", o.Growth.words(), o.Growth.Days)
	}
}
