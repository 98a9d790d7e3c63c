package costs

import (
	"slices"

	"github.com/shopspring/decimal"
)

// defaultWindow is a week, so that no weekday weighs more than another.
const defaultWindow = 7

func (o Outlook) window() Day {
	if o.Window < 1 {
		return defaultWindow
	}
	return Day(o.Window)
}

// A pace is what some days brought together. It is divided only when asked for
// a number of days, so that rounding doesn't add up.
type pace struct {
	sum  int64
	days int64
}

// after returns what so many days bring, rounded up.
func (p pace) after(days int64) int64 {
	whole, rest := decimal.NewFromInt(p.sum).Mul(decimal.NewFromInt(days)).QuoRem(decimal.NewFromInt(p.days), 0)
	if rest.IsPositive() {
		return whole.IntPart() + 1
	}
	return whole.IntPart()
}

// on returns what the nth day from now brings, so that n of them make after(n).
func (p pace) on(n int64) int64 { return p.after(n) - p.after(n-1) }

// habits returns the pace of each meter, from the last whole days on which
// anything is known, gaps left out. If there is none, from Today so far.
func (o Outlook) habits() [2][numMeters]pace {
	var days []Day
	if first, ok := o.Account.since(); ok {
		for d := max(first, o.Today-o.window()); d < o.Today; d++ {
			if !o.Gaps[d] {
				days = append(days, d)
			}
		}
	}
	if len(days) == 0 {
		days = []Day{o.Today}
	}
	var sum [2]counts
	for _, d := range days {
		for class, c := range o.habit(d) {
			sum[class] = sum[class].add(c, 1)
		}
	}
	var paces [2][numMeters]pace
	for class := range sum {
		for m, n := range sum[class] {
			paces[class][m] = pace{n, int64(len(days))}
		}
	}
	return paces
}

// habit is what was counted on a day without what was done once.
func (o Outlook) habit(d Day) [2]counts {
	seen := o.Account.counts(d)
	s := seen[StandardClass].add(o.once(d), -1)
	for m := range s {
		s[m] = max(0, s[m])
	}
	seen[StandardClass] = s
	return seen
}

func (o Outlook) once(d Day) (sum counts) {
	for _, w := range o.Once {
		if w.Day == d {
			sum = sum.add(w.counts(), 1)
		}
	}
	return sum
}

func (w Work) counts() counts { return counts{meterA: w.Requests.A(), meterB: w.Requests.B()} }

// requests returns the counts of each day of the period, known or expected. Of
// Today and of a gap a whole day's pace is expected at least.
func (o Outlook) requests(p Period) [][2]counts {
	paces := o.habits()
	days := make([][2]counts, 0, p.Days())
	for d := range p.All() {
		today := o.Account.counts(d)
		if d >= o.Today || o.Gaps[d] {
			habit := o.habit(d)
			for class := range paces {
				for m, pace := range paces[class] {
					expected := pace.on(max(1, int64(d-o.Today)))
					today[class][m] += max(0, expected-habit[class][m])
				}
			}
		}
		days = append(days, today)
	}
	for _, w := range o.Planned {
		if at := max(w.Day, o.Today); p.Contains(at) {
			i := int(at - p.From)
			days[i][StandardClass] = days[i][StandardClass].add(positive(w.counts()), 1)
		}
	}
	for _, w := range o.Planned {
		if at := max(w.Day, o.Today); p.Contains(at) {
			o.spare(days, p, at, w.counts())
		}
	}
	return days
}

func positive(c counts) counts {
	for m := range c {
		c[m] = max(0, c[m])
	}
	return c
}

// spare takes what w counts below 0 off the days from at on, the last ones
// first: as a limit would, that ends the work when it is reached. What is
// metered already can't be spared.
func (o Outlook) spare(days [][2]counts, p Period, at Day, w counts) {
	for m := range w {
		fewer := max(0, -w[m])
		for i, day := range slices.Backward(days) {
			d := p.From + Day(i)
			if d < at {
				break
			}
			off := min(fewer, day[StandardClass][m]-o.Account.counts(d)[StandardClass][m])
			days[i][StandardClass][m] -= off
			fewer -= off
		}
	}
}

// peaks returns the most bytes stored on each day of the period, known or expected.
func (o Outlook) peaks(p Period) [][2]int64 {
	days := make([][2]int64, p.Days())
	for class, s := range o.Account.stored() {
		known := s.Filled(Period{min(p.From, o.Today-o.window()), o.Today + 1})
		growth := o.growth(known, StorageClass(class))
		today := max(known[o.Today], known[o.Today-1]+growth.on(1))
		for i := range days {
			switch d := p.From + Day(i); {
			case d < o.Today:
				days[i][class] = max(0, known[d])
			case d == o.Today:
				days[i][class] = max(0, today)
			default:
				days[i][class] = max(0, today+growth.after(int64(d-o.Today)))
			}
		}
	}
	for i := range days {
		days[i][StandardClass] = max(0, days[i][StandardClass]+o.planned(p.From+Day(i)))
	}
	return days
}

// growth is by how much the stored bytes grow, from the last whole days that
// are known. What was stored once is left out. Without two days there is none.
func (o Outlook) growth(known Storage, class StorageClass) pace {
	first, ok := earliest(known)
	first = max(first, o.Today-o.window())
	last := o.Today - 1
	if !ok || first >= last {
		return pace{0, 1}
	}
	grown := known[last] - known[first]
	for _, w := range o.Once {
		if class == StandardClass && first < w.Day && w.Day <= last {
			grown -= w.Bytes
		}
	}
	return pace{grown, int64(last - first)}
}

// planned is what planned work adds to the bytes of a day. What is removed
// counts from the day after, as Today's peak has been reached.
func (o Outlook) planned(d Day) (bytes int64) {
	for _, w := range o.Planned {
		at := max(w.Day, o.Today)
		if w.Bytes < 0 {
			at = max(at, o.Today) + 1
		}
		if d >= at {
			bytes += w.Bytes
		}
	}
	return bytes
}
