package billing

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"example.org/mediamove/costs"
)

// ErrNoRuns is returned for a ledger in which no run is recorded.
var ErrNoRuns = errors.New("no run is recorded in this ledger yet")

// A Month of the calendar stands for the billing cycle that begins in it.
type Month struct {
	Year  int
	Month time.Month // 0: none
}

// A MonthError is a month that there can be no report on.
type MonthError struct {
	Month  string
	Reason string
	Hint   string // what to do
}

// Error returns "month 2026-13: reason".
func (e *MonthError) Error() string { return fmt.Sprintf("month %q: %s", e.Month, e.Reason) }

var monthForm = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}$`)

// ParseMonth reads YYYY-MM. An error is a [*MonthError].
func ParseMonth(s string) (Month, error) {
	t, err := time.Parse("2006-01", s)
	if err != nil || !monthForm.MatchString(s) {
		return Month{}, &MonthError{s, "no month of the calendar", "year and month, such as 2026-11: the billing cycle that begins in it"}
	}
	return Month{t.Year(), t.Month()}, nil
}

// String returns YYYY-MM.
func (m Month) String() string { return fmt.Sprintf("%04d-%02d", m.Year, int(m.Month)) }

// monthOf returns the month in which a period begins.
func monthOf(p costs.Period) Month {
	begin := p.From.Start()
	return Month{begin.Year(), begin.Month()}
}

// period returns the cycle that is meant, if something can be known of it: by the
// ledger, or, if they are asked, by the analytics.
func (o Options) period(first time.Time, asked bool) (costs.Period, error) {
	if first.IsZero() {
		return costs.Period{}, ErrNoRuns
	}
	if o.Month.Month == 0 {
		return o.Cycle.Of(o.Now), nil
	}
	p, now := o.Cycle.Month(o.Month.Year, o.Month.Month), o.Cycle.Of(o.Now)
	switch {
	case p.From > now.From:
		return p, &MonthError{o.Month.String(), fmt.Sprintf("its cycle begins on %v, which lies ahead", p.From), "leave --month out for the running cycle, which began in " + monthOf(now).String()}
	case p.To <= costs.DayOf(first) && !asked:
		return p, &MonthError{
			o.Month.String(), fmt.Sprintf("its cycle ended on %v, before the first run", p.To-1),
			fmt.Sprintf("the first run was on %v: --month %v or later", costs.DayOf(first), monthOf(o.Cycle.Of(first))),
		}
	}
	return p, nil
}
