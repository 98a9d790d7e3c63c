package costs

import (
	"iter"
	"maps"
	"slices"

	"github.com/shopspring/decimal"
)

// A Storage holds the most bytes that were stored at any time of each day, of
// all buckets together ([PeakOfSum]). A day that is not in it is not known.
type Storage map[Day]int64

// Saw notes that so many bytes were stored at some time of a day.
func (s Storage) Saw(d Day, bytes int64) { s[d] = max(s[d], bytes) }

// GBMonths returns what R2 bills storage by: the average of the daily peaks
// over the period, in GB of 10⁹ bytes ([PeriodDays], [DecimalGB]). A day that
// is not known counts as 0 bytes; see [Storage.Filled].
//
// A third of a GB-month has no end as a decimal, so there is an error below
// 10⁻¹⁸. It never moves a whole GB-month: short of one there is at least a byte
// for a day missing, which is 3×10⁻¹¹.
func (s Storage) GBMonths(p Period) decimal.Decimal {
	var sum decimal.Decimal
	for d := range p.All() {
		sum = sum.Add(decimal.NewFromInt(max(0, s[d])))
	}
	return gbMonths(sum, p)
}

func gbMonths(byteDays decimal.Decimal, p Period) decimal.Decimal {
	if p.Days() == 0 {
		return decimal.Zero
	}
	return byteDays.Shift(-9).DivRound(decimal.NewFromInt(int64(p.Days())), 18)
}

// Missing returns the days of the period that are not known.
func (s Storage) Missing(p Period) []Day {
	var days []Day
	for d := range p.All() {
		if _, ok := s[d]; !ok {
			days = append(days, d)
		}
	}
	return days
}

// Filled returns what was stored on the days of the period. A day that is not
// known is taken to be like the one before it, as data does not go by itself;
// what comes before the first known day stays unknown ([MissingDays]).
func (s Storage) Filled(p Period) Storage {
	filled := make(Storage, p.Days())
	last, known := s.before(p.From)
	for d := range p.All() {
		if n, ok := s[d]; ok {
			last, known = n, true
		}
		if known {
			filled[d] = last
		}
	}
	return filled
}

// before returns the last known peak before d.
func (s Storage) before(d Day) (bytes int64, known bool) {
	var last Day
	for day, n := range s {
		if day < d && (!known || day > last) {
			last, bytes, known = day, n, true
		}
	}
	return bytes, known
}

// earliest returns the first day of m.
func earliest[V any](m map[Day]V) (Day, bool) {
	if len(m) == 0 {
		return 0, false
	}
	return slices.Min(slices.Collect(maps.Keys(m))), true
}

// A Stay is an object's time in the bucket. The day on which it is deleted,
// moved or replaced is its last one, as the day's peak counts.
type Stay struct {
	Bytes      int64
	From, Last Day
}

// StoredIn adds up stays by day of the period. Each lasts for at least minimum
// days, as in Infrequent Access ([Prices.MinimumDays]): the days after a
// deletion are billed in the period they fall in ([MinimumDuration]).
func StoredIn(p Period, stays iter.Seq[Stay], minimum int) Storage {
	change := make(map[Day]int64, p.Days()+1) // of the bytes stored, from one day to the next
	for s := range stays {
		from := max(s.From, p.From)
		end := min(max(s.Last, s.From+Day(minimum)-1)+1, p.To)
		if from < end {
			change[from] += s.Bytes
			change[end] -= s.Bytes
		}
	}
	stored := make(Storage, p.Days())
	var now int64
	for d := range p.All() {
		now += change[d]
		stored[d] = now
	}
	return stored
}
