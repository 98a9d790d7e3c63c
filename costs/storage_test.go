package costs_test

import (
	"fmt"
	"math/big"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"example.org/mediamove/costs"
)

func TestSaw(t *testing.T) {
	t.Parallel()
	s := make(costs.Storage)
	for _, n := range []int64{5, 9, 0, 7} {
		s.Saw(1, n)
	}
	s.Saw(2, 0)
	if s[1] != 9 || len(s) != 2 {
		t.Errorf("%v: the peak of a day counts, and 0 is known", s)
	}
}

func TestFilledAndMissing(t *testing.T) {
	t.Parallel()
	s := costs.Storage{3: 30, 5: 50, 6: 0, 11: 110}
	p := costs.Period{From: 1, To: 9}
	if got := s.Missing(p); !slices.Equal(got, []costs.Day{1, 2, 4, 7, 8}) {
		t.Errorf("missing %v", got)
	}
	for p, want := range map[costs.Period]costs.Storage{
		p:                  {3: 30, 4: 30, 5: 50, 6: 0, 7: 0, 8: 0}, // nothing is known of 1 and 2
		{From: 4, To: 6}:   {4: 30, 5: 50},                          // 4 is like 3, outside the period
		{From: 20, To: 22}: {20: 110, 21: 110},
		{From: 0, To: 2}:   {},
	} {
		got := s.Filled(p)
		if len(got) != len(want) {
			t.Errorf("%v: %v, want %v", p, got, want)
		}
		for d, n := range want {
			if m, ok := got[d]; !ok || m != n {
				t.Errorf("%v: %v, want %v", p, got, want)
			}
		}
	}
	if len(s) != 4 {
		t.Errorf("the original is changed: %v", s)
	}
	if got := (costs.Storage{}).Filled(p); len(got) != 0 {
		t.Errorf("nothing is filled to %v", got)
	}
}

func TestGBMonths(t *testing.T) {
	t.Parallel()
	february := costs.Cycle{}.Month(2026, 2)
	for _, tt := range []struct {
		stored costs.Storage
		p      costs.Period
		want   string
	}{
		{spans(thirty().From, 5, gb, 25, 3*gb), thirty(), "2.666666666666666667"},
		{spans(february.From, 28, 100*gb), february, "100"}, // an average, so short months cost as much
		{spans(february.From, 14, 100*gb), february, "50"},
		{spans(thirty().From, 30, 1), thirty(), "0.000000001"},
		{spans(thirty().From, 40, gb), thirty(), "1"}, // what comes later doesn't count
		{costs.Storage{thirty().From: -gb}, thirty(), "0"},
		{nil, thirty(), "0"},
		{spans(0, 5, gb), costs.Period{From: 3, To: 3}, "0"},
	} {
		if got := tt.stored.GBMonths(tt.p); !got.Equal(dec(tt.want)) {
			t.Errorf("%v: %v, want %s", tt.p, got, tt.want)
		}
	}
}

// TestGBMonthsAreExact compares the units billed with those of fractions that
// never round, at byte-days around whole GB-months.
func TestGBMonthsAreExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := costs.Cycle{Day: rapid.IntRange(1, 31).Draw(t, "cycle")}.Month(2027, 1+monthBelow(t))
		whole := rapid.Int64Range(0, 100_000).Draw(t, "GB-months")
		stored := make(costs.Storage)
		byteDays := new(big.Int)
		for d := range p.All() {
			stored[d] = whole * gb
		}
		stored[p.From] += rapid.Int64Range(-2, 2).Draw(t, "bytes more")
		for _, n := range stored {
			byteDays.Add(byteDays, big.NewInt(max(0, n)))
		}
		exact := new(big.Rat).SetFrac(byteDays, big.NewInt(int64(p.Days())*gb))
		units := new(big.Int).Div(new(big.Int).Add(exact.Num(), new(big.Int).Sub(exact.Denom(), big.NewInt(1))), exact.Denom())
		bill := costs.R2().Bill(costs.Use{GBMonths: stored.GBMonths(p)}, costs.Use{})
		if got := bill.Lines[0].Begun; got.BigInt().Cmp(units) != 0 {
			t.Fatalf("%v GB-months begin %v units, want %v", exact.FloatString(20), got, units)
		}
	})
}

func TestStoredIn(t *testing.T) {
	t.Parallel()
	p := costs.Period{From: 10, To: 20}
	all := []costs.Stay{
		{Bytes: 1, From: 12, Last: 12},    // gone on the day it came: counts that day
		{Bytes: 10, From: 0, Last: 11},    // from before
		{Bytes: 100, From: 18, Last: 99},  // beyond the end
		{Bytes: 1000, From: 20, Last: 30}, // after it
		{Bytes: 10_000, From: 1, Last: 3}, // before it
	}
	for minimum, want := range map[int][]int64{
		0: {10, 10, 1, 0, 0, 0, 0, 0, 100, 100},
		1: {10, 10, 1, 0, 0, 0, 0, 0, 100, 100},
		5: {10, 10, 1, 1, 1, 1, 1, 0, 100, 100},
		// 10,000 came on day 1: its 12 days end with day 12
		12: {10_010, 10_010, 10_001, 1, 1, 1, 1, 1, 101, 101},
	} {
		stored := costs.StoredIn(p, slices.Values(all), minimum)
		var got []int64
		for d := range p.All() {
			got = append(got, stored[d])
		}
		if !slices.Equal(got, want) || len(stored.Missing(p)) != 0 {
			t.Errorf("at least %d days: %v, want %v", minimum, got, want)
		}
	}
}

// TestStoredInSplits: over the cycles that it touches, a stay is billed for
// just its days, or for the minimum if that is longer.
func TestStoredInSplits(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := costs.Cycle{Day: rapid.IntRange(1, 31).Draw(t, "cycle")}
		p := c.Month(2027, 1+monthBelow(t))
		from := p.From + costs.Day(rapid.IntRange(0, 40).Draw(t, "from"))
		days := rapid.Int64Range(1, 90).Draw(t, "days")
		minimum := rapid.Int64Range(0, 60).Draw(t, "minimum")
		stay := costs.Stay{Bytes: 7, From: from, Last: from + costs.Day(days) - 1}
		var sum int64
		for range 7 {
			for _, n := range costs.StoredIn(p, slices.Values([]costs.Stay{stay}), int(minimum)) {
				sum += n
			}
			p = c.Next(p)
		}
		if want := 7 * max(days, minimum); sum != want {
			t.Fatalf("%d byte-days, want %d", sum, want)
		}
	})
}

// TestUseSplits: the days of two halves of a period make the whole.
func TestUseSplits(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := thirty()
		track := anyTrack(t, p)
		whole := track.Use(p, p.To-1)
		at := p.From + costs.Day(rapid.IntRange(-1, 31).Draw(t, "last day"))
		before := track.Use(p, at)
		after := costs.Track{Requests: track.Requests, Retrieved: track.Retrieved}.Use(costs.Period{From: max(p.From, at+1), To: p.To}, p.To)
		if before.Requests.Add(after.Requests) != whole.Requests || before.Retrieved+after.Retrieved != whole.Retrieved {
			t.Fatalf("%v and %v make %v", before, after, whole)
		}
		if before.GBMonths.GreaterThan(whole.GBMonths) || at < p.From && !before.IsZero() {
			t.Fatalf("up to %v: %v GB-months, in all %v", at, before.GBMonths, whole.GBMonths)
		}
		if list := costs.R2(); list.BillOf(costs.Account{Infrequent: track}, p, at).Total.GreaterThan(list.Bill(costs.Use{}, whole).Total) {
			t.Fatalf("the part up to %v costs more than the whole", at)
		}
	})
}

// TestUseKeepsToThePeriod: nothing from outside counts, but the bytes that were
// there before it are still there.
func TestUseKeepsToThePeriod(t *testing.T) {
	t.Parallel()
	p := thirty()
	track := costs.Track{
		Requests:  perDay(costs.Period{From: p.From - 5, To: p.To + 5}, costs.Usage{costs.PutObject: 1}),
		Stored:    costs.Storage{p.From - 2: 30 * gb, p.To: 900 * gb},
		Retrieved: map[costs.Day]int64{p.From - 1: 1, p.From: 2, p.To - 1: 4, p.To: 8},
	}
	for last, want := range map[costs.Day]costs.Use{
		p.To + 10:   {Requests: costs.Usage{costs.PutObject: 30}, Retrieved: 6, GBMonths: dec("30")},
		p.To - 1:    {Requests: costs.Usage{costs.PutObject: 30}, Retrieved: 6, GBMonths: dec("30")},
		p.From + 14: {Requests: costs.Usage{costs.PutObject: 15}, Retrieved: 2, GBMonths: dec("15")},
		p.From - 1:  {},
	} {
		got := track.Use(p, last)
		if got.Requests != want.Requests || got.Retrieved != want.Retrieved || !got.GBMonths.Equal(want.GBMonths) || got.IsZero() != want.IsZero() {
			t.Errorf("until %v: %+v, want %+v", last, got, want)
		}
	}
}

func anyTrack(t *rapid.T, p costs.Period) costs.Track {
	track := costs.Track{Requests: map[costs.Day]costs.Usage{}, Stored: costs.Storage{}, Retrieved: map[costs.Day]int64{}}
	for d := range p.All() {
		if rapid.Bool().Draw(t, "known") {
			track.Requests[d] = costs.Usage{
				costs.PutObject: rapid.Int64Range(0, 300_000).Draw(t, "A"), costs.GetObject: rapid.Int64Range(0, 3_000_000).Draw(t, "B"),
			}
			track.Stored[d] = rapid.Int64Range(0, 1_000*gb).Draw(t, "bytes")
			track.Retrieved[d] = rapid.Int64Range(0, 100*gb).Draw(t, "retrieved")
		}
	}
	return track
}

func ExampleStorage_GBMonths() {
	p := costs.Cycle{Day: 15}.Month(2026, 11)
	stored := make(costs.Storage)
	for d := range p.All() {
		stored.Saw(d, 100*gb)
	}
	stored.Saw(p.From+7, 300*gb) // a copy was there for an hour
	months := stored.GBMonths(p)
	bill := costs.Standard().Bill(costs.Usage{}, months)
	fmt.Println(months.Round(3), bill.Total)
	// Output: 106.667 1.455
}

// monthBelow is a month of a year, from 0.
func monthBelow(t *rapid.T) time.Month { return time.Month(rapid.IntRange(0, 11).Draw(t, "month")) }
