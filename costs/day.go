package costs

import (
	"fmt"
	"iter"
	"time"

	"github.com/shopspring/decimal"
)

// A Day is a day in UTC, counted from 1970-01-01. Days can be compared and
// added to. As text, in JSON too, it is YYYY-MM-DD.
type Day int

// DayOf returns the day in UTC that t is on ([DayBoundary]).
func DayOf(t time.Time) Day {
	y, m, d := t.UTC().Date()
	return Date(y, m, d)
}

// Date returns a day of the calendar. Months and days out of range roll over
// as in [time.Date].
func Date(year int, month time.Month, day int) Day {
	return Day(time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix() / (24 * 60 * 60)) // divides evenly
}

// ParseDay reads YYYY-MM-DD.
func ParseDay(s string) (Day, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return 0, fmt.Errorf("read day: %q is not a day such as 2026-11-22", s)
	}
	return DayOf(t), nil
}

// Start returns the instant at which the day begins.
func (d Day) Start() time.Time { return time.Unix(int64(d)*24*60*60, 0).UTC() }

// String returns YYYY-MM-DD.
func (d Day) String() string { return d.Start().Format(time.DateOnly) }

// MarshalText writes YYYY-MM-DD.
func (d Day) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (d *Day) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDay(string(text))
	return err
}

// A Period is a row of days: From is its first, To the first after it.
type Period struct {
	From Day `json:"from"`
	To   Day `json:"to"`
}

// Days returns how many days the period has.
func (p Period) Days() int { return max(0, int(p.To-p.From)) }

// Contains reports whether d is a day of the period.
func (p Period) Contains(d Day) bool { return p.From <= d && d < p.To }

// All yields the days in order.
func (p Period) All() iter.Seq[Day] {
	return func(yield func(Day) bool) {
		for d := p.From; d < p.To; d++ {
			if !yield(d) {
				return
			}
		}
	}
}

// Elapsed returns which part of the period is over at t, from 0 to 1, rounded
// down to nine decimals: 1 means that it has ended.
func (p Period) Elapsed(t time.Time) decimal.Decimal {
	start, end := p.From.Start(), p.To.Start()
	switch {
	case !t.Before(end):
		return decimal.NewFromInt(1)
	case !t.After(start):
		return decimal.Zero
	}
	part, _ := decimal.NewFromInt(int64(t.Sub(start))).QuoRem(decimal.NewFromInt(int64(end.Sub(start))), 9)
	return part
}

// String returns its first and its last day: "2026-11-15 to 2026-12-14".
func (p Period) String() string { return p.From.String() + " to " + (p.To - 1).String() }
