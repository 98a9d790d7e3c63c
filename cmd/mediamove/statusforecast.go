package main

import (
	"context"
	"fmt"
	"strings"
	"time"

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
	days, err := led.BucketDays(ctx, costs.DayOf(now)-forecastDays)
	if err != nil || len(days) == 0 {
		return o, err
	}
	last := days[len(days)-1]
	o.Bucket = &bucketDayJSON{last.Day, last.Objects - last.Removed.Objects, last.Bytes - last.Removed.Bytes}
	o.Growth = growth(days, now, o.Bucket.Bytes, budget)
	return o, nil
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
