package costs_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"example.org/mediamove/costs"
)

// TestBill holds Standard to the examples of Cloudflare's price list and to
// what follows from its rules.
func TestBill(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		a, b                      int64
		gb                        string
		storage, classA, classB   string // dollars
		storageUnits, aUnits, sum string
	}{
		"P1 1,000 objects of 1 GB":        {1_000, 1_000_000, "1000", "14.85", "0.00", "0.00", "990", "0", "14.85"},
		"P3 assets of a web site":         {100_000, 300_000_000, "10", "0.00", "0.00", "104.40", "0", "0", "104.40"},
		"P4 1 GB 5 days, 3 GB 25 days":    {0, 0, "2.6666666666666667", "0.00", "0.00", "0.00", "0", "0", "0.00"},
		"P5 started units":                {2_000_001, 11_000_001, "11.1", "0.03", "9.00", "0.72", "2", "2", "9.75"},
		"P6 the free million":             {1_000_000, 10_000_000, "0", "0.00", "0.00", "0.00", "0", "0", "0.00"},
		"P6 one above it":                 {1_000_001, 10_000_001, "0", "0.00", "4.50", "0.36", "0", "1", "4.86"},
		"P6 two millions":                 {2_000_000, 0, "0", "0.00", "4.50", "0.00", "0", "1", "4.50"},
		"P6 one above two":                {2_000_001, 0, "0", "0.00", "9.00", "0.00", "0", "2", "9.00"},
		"P7 a real instance":              {3_200_000, 40_000_000, "500", "7.35", "13.50", "10.80", "490", "3", "31.65"},
		"P9 one day's peak":               {0, 0, "106.6666666666666667", "1.455", "0.00", "0.00", "97", "0", "1.455"},
		"nothing":                         {0, 0, "0", "0.00", "0.00", "0.00", "0", "0", "0.00"},
		"a hair above the free GB-months": {0, 0, "10.000000000000000000000001", "0.015", "0.00", "0.00", "1", "0", "0.015"},
	} {
		used := costs.Usage{costs.PutObject: tt.a, costs.GetObject: tt.b, costs.DeleteObject: 5_000_000}
		bill := costs.Standard().Bill(used, decimal.RequireFromString(tt.gb))
		got := []string{
			costs.FormatUSD(bill.Lines[0].USD), costs.FormatUSD(bill.Lines[1].USD), costs.FormatUSD(bill.Lines[2].USD),
			bill.Lines[0].Units.String(), bill.Lines[1].Units.String(), costs.FormatUSD(bill.Total),
		}
		want := []string{tt.storage, tt.classA, tt.classB, tt.storageUnits, tt.aUnits, tt.sum}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s:\n got %v\nwant %v", name, got, want)
		}
	}
}

// TestRounding is P5 as Cloudflare words it, without a free tier.
func TestRounding(t *testing.T) {
	t.Parallel()
	one := decimal.NewFromInt(1)
	p := costs.Prices{
		Storage: costs.Rate{Size: one, USD: one},
		ClassA:  costs.Rate{Size: decimal.NewFromInt(1_000_000), USD: one},
		ClassB:  costs.Rate{Size: decimal.NewFromInt(1_000_000), USD: one},
	}
	bill := p.Bill(costs.Usage{costs.PutObject: 1_000_001, costs.GetObject: 1_000_000}, decimal.RequireFromString("1.1"))
	for i, want := range []int64{2, 2, 1} {
		if l := bill.Lines[i]; !l.Units.Equal(decimal.NewFromInt(want)) || !l.USD.Equal(l.Units) {
			t.Errorf("%s: %v units for %v, want %d", l.Meter, l.Units, l.USD, want)
		}
	}
}

func TestStandardIsDated(t *testing.T) {
	t.Parallel()
	p := costs.Standard()
	if _, err := time.Parse(time.DateOnly, p.AsOf); err != nil || !strings.HasPrefix(p.Source, "https://") || p.Name == "" {
		t.Errorf("%+v lacks a name, a date or a source", p)
	}
}

func TestBillLaws(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := costs.Standard()
		u, more := anyUsage(t, "u"), anyUsage(t, "more")
		gb := decimal.New(rapid.Int64Range(0, 1e9).Draw(t, "GB-months"), -4)
		bill, bigger := p.Bill(u, gb), p.Bill(u.Add(more), gb)
		if bill.Total.IsNegative() || bigger.Total.LessThan(bill.Total) {
			t.Fatalf("%v grows to %v", bill.Total, bigger.Total)
		}
		sum := decimal.Zero
		for _, l := range bill.Lines {
			if !l.Units.IsInteger() {
				t.Fatalf("%s: %v units", l.Meter, l.Units)
			}
			sum = sum.Add(l.USD)
		}
		if !sum.Equal(bill.Total) {
			t.Fatalf("lines make %v, total %v", sum, bill.Total)
		}
	})
}

func TestFormatUSD(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"0": "0.00", "4.5": "4.50", "4.50": "4.50", "0.015": "0.015", "1.4550": "1.455", "12": "12.00",
		"-0.3": "-0.30", "1e3": "1000.00", "123456789012345678901.123456": "123456789012345678901.123456",
	} {
		if got := costs.FormatUSD(decimal.RequireFromString(in)); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

func TestBillJSON(t *testing.T) {
	t.Parallel()
	bill := costs.Standard().Bill(costs.Usage{costs.PutObject: 1_000_001}, decimal.RequireFromString("10.5"))
	got, err := json.Marshal(bill)
	want := `{"lines":[` +
		`{"meter":"storage","unit":"GB-month","quantity":"10.5","units":"1","usd":"0.015"},` +
		`{"meter":"Class A","unit":"million requests","quantity":"1000001","units":"1","usd":"4.50"},` +
		`{"meter":"Class B","unit":"million requests","quantity":"0","units":"0","usd":"0.00"}],"total_usd":"4.515"}`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v\nwant %s", got, err, want)
	}
}

func ExamplePrices_Bill() {
	u := costs.Usage{costs.PutObject: 3_000_000, costs.ListObjects: 200_000, costs.HeadObject: 40_000_000}
	bill := costs.Standard().Bill(u, decimal.NewFromInt(500))
	for _, l := range bill.Lines {
		fmt.Println(l.Meter, l.Units, "×", l.Unit, costs.FormatUSD(l.USD))
	}
	fmt.Println(costs.FormatUSD(bill.Total))
	// Output:
	// storage 490 × GB-month 7.35
	// Class A 3 × million requests 13.50
	// Class B 30 × million requests 10.80
	// 31.65
}
