package costs_test

import (
	"slices"
	"testing"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"example.org/mediamove/costs"
)

func TestMaxClassA(t *testing.T) {
	t.Parallel()
	list := costs.R2()
	for _, tt := range []struct {
		used   int64
		gb     string
		budget string
		want   int64
		free   int64
	}{
		{0, "0", "0", 1_000_000, 1_000_000},
		{1_000_000, "0", "0", 0, 0},
		{1_000_001, "0", "0", 0, 0},
		{999_999, "0", "4.49", 1, 1},
		{0, "100", "6.00", 2_000_000, 1_000_000}, // 1.35 and 4.50
		{0, "100", "5.85", 2_000_000, 1_000_000},
		{0, "100", "5.84", 1_000_000, 1_000_000},
		{1_200_000, "100", "5.85", 800_000, 0},
		{1_200_000, "100", "5.84", 0, 0}, // past it already
		{0, "100", "1.34", 0, 1_000_000}, // storage alone is
		{0, "100", "1.35", 1_000_000, 1_000_000},
	} {
		bill := list.Bill(costs.Use{Requests: costs.Usage{costs.PutObject: tt.used}, GBMonths: dec(tt.gb)}, costs.Use{})
		if got := list.MaxClassA(bill, dec(tt.budget)); got != tt.want {
			t.Errorf("after %d and %s GB-months, for %s: %d, want %d", tt.used, tt.gb, tt.budget, got, tt.want)
		}
		if got := list.FreeClassA(bill); got != tt.free {
			t.Errorf("after %d: %d free, want %d", tt.used, got, tt.free)
		}
	}
}

// TestMaxClassALaw: with that many the budget holds, with one more it doesn't.
func TestMaxClassALaw(t *testing.T) {
	t.Parallel()
	list := costs.R2()
	rapid.Check(t, func(t *rapid.T) {
		s, ia := anyUse(t, "standard"), anyUse(t, "infrequent")
		budget := list.Bill(s, ia).Total.Add(decimal.New(rapid.Int64Range(-9_000, 90_000).Draw(t, "more"), -3))
		n := list.MaxClassA(list.Bill(s, ia), budget)
		with := func(n int64) bool {
			return !list.Bill(addUse(s, costs.Use{Requests: costs.Usage{costs.UploadPart: n}}), ia).Total.GreaterThan(budget)
		}
		if n < 0 || with(0) != with(n) || with(n+1) {
			t.Fatalf("%d fit into %v: %v, %v, %v", n, budget, with(0), with(n), with(n+1))
		}
	})
}

// TestSpread: 2.5 million, of which each cycle has room for what Mastodon
// leaves of the million that it begins anyway, here the second.
func TestSpread(t *testing.T) {
	t.Parallel()
	o, p := instance()
	all := costs.Work{Requests: costs.Usage{costs.PutObject: 2_400_000, costs.UploadPart: 100_000, costs.GetObject: 3}, Bytes: 25 * gb}
	o.Planned = []costs.Work{all}
	shares, ok := o.Spread(costs.Cycle{}, 12)
	var got []int64
	var bytes []int64
	for _, s := range shares {
		got = append(got, s.Work.Requests.A())
		bytes = append(bytes, s.Work.Bytes)
	}
	// 40,000 a day: 1.2, 1.24, 1.24 and 1.12 million
	if !ok || !slices.Equal(got, []int64{800_000, 760_000, 760_000, 180_000}) || !slices.Equal(bytes, []int64{8 * gb, 7_600_000_000, 7_600_000_000, 1_800_000_000}) {
		t.Errorf("%v: %v, %v", ok, got, bytes)
	}
	for i, s := range shares {
		if usd(s.Bill, "Class A") != "4.50" || i > 0 && (s.Work.Day != s.Period.From || s.Period.From != shares[i-1].Period.To) {
			t.Errorf("share %d: %+v", i, s)
		}
	}
	last := shares[3]
	o.Planned = nil
	if got := last.Bill.Lines[0].Quantity.Sub(o.Forecast(last.Period).Bill.Lines[0].Quantity); !got.Equal(dec("25")) {
		t.Errorf("the last share's bill has %v GB-months more than without the plan", got)
	}
	o.Planned = []costs.Work{all}
	if shares[0].Period != p || shares[0].Work.Day != o.Today || shares[0].Work.Requests.B() != 3 {
		t.Errorf("the first share: %+v", shares[0])
	}
	if shares, ok := o.Spread(costs.Cycle{}, 3); ok || shares != nil {
		t.Errorf("three cycles are too few: %+v", shares)
	}
	o.Planned = nil
	if shares, ok := o.Spread(costs.Cycle{}, 1); !ok || len(shares) != 1 || shares[0].Work.Requests.A() != 0 {
		t.Errorf("nothing is planned: %+v, %v", shares, ok)
	}
}

// TestSpreadLaws: shares make the plan, and over the same cycles neither Class
// A nor storage costs more than all at once; Class A costs what it would
// without the plan.
func TestSpreadLaws(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := thirty()
		o := anyOutlook(t, p)
		o.Planned = []costs.Work{anyWork(t, p), anyWork(t, p)}
		for i := range o.Planned {
			o.Planned[i].Day = o.Today
		}
		shares, ok := o.Spread(costs.Cycle{}, 40)
		if !ok {
			return
		}
		var sum costs.Work
		without := o
		without.Planned = nil
		for _, s := range shares {
			sum.Requests = sum.Requests.Add(s.Work.Requests)
			sum.Bytes += s.Work.Bytes
			if s.Work.Requests.A() < 0 || s.Work.Bytes < 0 {
				t.Fatalf("share %+v", s)
			}
			if got, want := usd(s.Bill, "Class A"), usd(without.Forecast(s.Period).Bill, "Class A"); got != want {
				t.Fatalf("%v: Class A costs %s, without the plan %s", s.Period, got, want)
			}
			atOnce := o.Forecast(s.Period).Bill
			for _, meter := range []string{"Class A", costs.StorageMeter} {
				if s.Bill.Line(costs.StandardClass, meter).USD.GreaterThan(atOnce.Line(costs.StandardClass, meter).USD) {
					t.Fatalf("%v: %s costs %s, at once %s", s.Period, meter, usd(s.Bill, meter), usd(atOnce, meter))
				}
			}
		}
		if want := o.Planned[0].Requests.Add(o.Planned[1].Requests); sum.Requests != want || sum.Bytes != o.Planned[0].Bytes+o.Planned[1].Bytes {
			t.Fatalf("shares make %v and %d bytes, want %v", sum.Requests, sum.Bytes, want)
		}
	})
}
