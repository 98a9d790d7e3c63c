package cloudflare

import (
	"fmt"
	"time"
)

const (
	day = 24 * time.Hour

	// retention is how far back Cloudflare answers
	// (developers.cloudflare.com/r2/platform/metrics-analytics: 31 days), less an hour
	// for clocks that differ and for our own waits: a query that begins a second too
	// early is refused as a whole.
	retention = 31*day - time.Hour

	// settled is when a day that is over may be called complete. How late figures
	// come in is not documented; storage has one in about ten minutes.
	settled = time.Hour

	// asked is how long a span one query is first tried with: shorter spans are
	// sampled less, more queries meet the limit.
	asked = 7 * day

	maxDays = 400
)

// A span is the time from from up to, not including, to; whole seconds in UTC.
type span struct{ from, to time.Time }

// dayOf returns the day that t is in.
func dayOf(t time.Time) time.Time { return t.UTC().Truncate(day) }

// daysOf returns the days that have a part in [from, to), as a span.
func daysOf(from, to time.Time) (span, error) {
	s := span{dayOf(from), dayOf(to)}
	if to.After(s.to) {
		s.to = s.to.Add(day)
	}
	switch n := s.to.Sub(s.from) / day; {
	case !from.Before(to):
		return span{}, fmt.Errorf("no time between %s and %s", from.Format(time.DateOnly), to.Format(time.DateOnly))
	case n > maxDays:
		return span{}, fmt.Errorf("%d days asked for, more than %d", n, maxDays)
	}
	return s, nil
}

// kept returns the part of s that Cloudflare can answer now, in whole hours at its
// begin; if there is none, it ends before it begins.
func (s span) kept(now time.Time) span {
	if first := now.UTC().Add(time.Hour - retention - 1).Truncate(time.Hour); first.After(s.from) {
		s.from = first
	}
	if last := now.UTC().Truncate(time.Second); last.Before(s.to) {
		s.to = last
	}
	return s
}

// oneDay reports whether no two days have a part in s.
func (s span) oneDay() bool { return !dayOf(s.from).Add(day).Before(s.to) }

// cut returns the parts of s between the multiples of step.
func (s span) cut(step time.Duration) []span {
	var parts []span
	for from := s.from; from.Before(s.to); {
		to := from.Truncate(step).Add(step)
		if to.After(s.to) {
			to = s.to
		}
		parts = append(parts, span{from, to})
		from = to
	}
	return parts
}

// parts returns s in days, or a day in hours; nil if it is within one hour.
func (s span) parts() []span {
	step := day
	if s.oneDay() {
		step = time.Hour
	}
	if parts := s.cut(step); len(parts) > 1 {
		return parts
	}
	return nil
}

// weeks returns s in spans of at most [asked], the first one beginning with it.
func (s span) weeks() []span {
	var parts []span
	for from := s.from; from.Before(s.to); {
		to := dayOf(from).Add(asked)
		if to.After(s.to) {
			to = s.to
		}
		parts = append(parts, span{from, to})
		from = to
	}
	return parts
}
