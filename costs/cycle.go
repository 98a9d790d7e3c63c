package costs

import (
	"fmt"
	"time"
)

// A Cycle is an account's billing cycle: it begins on the same day of each
// month, that of the account's first purchase, and not on the first of the
// calendar month (developers.cloudflare.com/billing/manage/billable-usage).
//
// In a month without that day the cycle begins on the month's last one, and in
// the next month on the right day again ([ShortMonths]): with 31 on January 31,
// February 28, March 31. So a period has 28 to 31 days, and every day belongs
// to just one period.
type Cycle struct {
	Day int // 1 to 31; below that counts as 1, above as 31, so the zero Cycle is the calendar month
}

// NewCycle returns the cycle that begins on that day of the month, or an error
// unless day is 1 to 31.
func NewCycle(day int) (Cycle, error) {
	if day < 1 || day > 31 {
		return Cycle{}, fmt.Errorf("billing cycle: no month has a day %d, want 1 to 31", day)
	}
	return Cycle{day}, nil
}

// start is the first day of the period that begins in a month.
func (c Cycle) start(year int, month time.Month) Day {
	first, next := Date(year, month, 1), Date(year, month+1, 1)
	return min(first+Day(max(c.Day, 1))-1, next-1)
}

// Month returns the period that begins in that month. Months out of range roll
// over as in [time.Date].
func (c Cycle) Month(year int, month time.Month) Period {
	return Period{c.start(year, month), c.start(year, month+1)}
}

// Of returns the period that t is in.
func (c Cycle) Of(t time.Time) Period {
	year, month, _ := t.UTC().Date()
	if p := c.Month(year, month); p.From <= DayOf(t) {
		return p
	}
	return c.Month(year, month-1)
}

// Next returns the period after p.
func (c Cycle) Next(p Period) Period { return c.Of(p.To.Start()) }
