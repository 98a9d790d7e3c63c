package costs_test

import (
	"encoding/json"
	"fmt"
	"testing"

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

// anyUse stays below what an account can hold: 10¹² requests, 9 EB.
func anyUse(t *rapid.T, label string) costs.Use {
	return costs.Use{
		Requests:  anyUsage(t, label),
		GBMonths:  decimal.New(rapid.Int64Range(0, 1e12).Draw(t, label+" GB-months"), -6),
		Retrieved: rapid.Int64Range(0, 1e15).Draw(t, label+" retrieved"),
	}
}

func addUse(u, v costs.Use) costs.Use {
	return costs.Use{Requests: u.Requests.Add(v.Requests), GBMonths: u.GBMonths.Add(v.GBMonths), Retrieved: u.Retrieved + v.Retrieved}
}

// TestBillLaws: more use never costs less, lines make the total, and it is the
// same whether the free units are taken off before rounding up or afterwards.
func TestBillLaws(t *testing.T) {
	t.Parallel()
	list := costs.R2()
	rapid.Check(t, func(t *rapid.T) {
		standard, infrequent := anyUse(t, "standard"), anyUse(t, "infrequent")
		bill := list.Bill(standard, infrequent)
		for name, bigger := range map[string]costs.Bill{
			"standard":   list.Bill(addUse(standard, anyUse(t, "more")), infrequent),
			"infrequent": list.Bill(standard, addUse(infrequent, anyUse(t, "more of the other"))),
		} {
			if bill.Total.IsNegative() || bigger.Total.LessThan(bill.Total) {
				t.Fatalf("%s: %v grows to %v", name, bill.Total, bigger.Total)
			}
			for i, l := range bill.Lines {
				if bigger.Lines[i].USD.LessThan(l.USD) {
					t.Fatalf("%s: %s falls from %v to %v", name, l.Meter, l.USD, bigger.Lines[i].USD)
				}
			}
		}
		sum := decimal.Zero
		for _, l := range bill.Lines {
			rate := rateOf(list, l)
			afterwards := decimal.Max(decimal.Zero, l.Begun.Sub(rate.Free.Div(rate.Size)))
			if !l.Units.IsInteger() || !l.Begun.IsInteger() || !l.Units.Equal(afterwards) {
				t.Fatalf("%v %s of %v: %v units, %v begun", l.Class, l.Meter, l.Quantity, l.Units, l.Begun)
			}
			if over := l.Begun.Mul(rate.Size).Sub(l.Quantity); over.IsNegative() || over.GreaterThanOrEqual(rate.Size) {
				t.Fatalf("%v %s of %v begins %v units", l.Class, l.Meter, l.Quantity, l.Begun)
			}
			if got := bill.Line(l.Class, l.Meter); !got.USD.Equal(l.USD) {
				t.Fatalf("Line(%v, %s) is %v", l.Class, l.Meter, got)
			}
			sum = sum.Add(l.USD)
		}
		if !sum.Equal(bill.Total) {
			t.Fatalf("lines make %v, total %v", sum, bill.Total)
		}
	})
}

func rateOf(list costs.PriceList, l costs.Line) costs.Rate {
	p := list.Standard
	if l.Class == costs.InfrequentAccess {
		p = list.Infrequent
	}
	return map[string]costs.Rate{
		costs.StorageMeter: p.Storage, "Class A": p.ClassA, "Class B": p.ClassB, costs.RetrievalMeter: p.Retrieval,
	}[l.Meter]
}

// TestBillOfBothClasses: one free tier, for Standard only, and a lifecycle
// rule's moves at the other class's price.
func TestBillOfBothClasses(t *testing.T) {
	t.Parallel()
	list := costs.R2()
	alone := list.Bill(costs.Use{Requests: costs.Usage{costs.PutObject: 1_000_000}}, costs.Use{})
	if len(alone.Lines) != 3 || !alone.Total.IsZero() {
		t.Errorf("Standard alone: %v", alone)
	}
	if l := alone.Line(costs.InfrequentAccess, costs.StorageMeter); !l.USD.IsZero() || l.Meter != costs.StorageMeter {
		t.Errorf("a line that isn't there: %v", l)
	}
	bill := list.Bill(
		costs.Use{Requests: costs.Usage{costs.PutObject: 1_000_000, costs.LifecycleStorageTierTransition: 1}},
		costs.Use{Requests: costs.Usage{costs.GetObject: 1}, Retrieved: 1},
	)
	if len(bill.Lines) != 7 {
		t.Fatalf("%d lines, want 3 and 4", len(bill.Lines))
	}
	for _, want := range []struct {
		class costs.StorageClass
		meter string
		usd   string
	}{
		{costs.StandardClass, "Class A", "0.00"},
		{costs.InfrequentAccess, costs.StorageMeter, "0.00"},
		{costs.InfrequentAccess, "Class A", "9.00"},
		{costs.InfrequentAccess, "Class B", "0.90"},
		{costs.InfrequentAccess, costs.RetrievalMeter, "0.01"},
	} {
		if got := costs.FormatUSD(bill.Line(want.class, want.meter).USD); got != want.usd {
			t.Errorf("%v %s: %s, want %s", want.class, want.meter, got, want.usd)
		}
	}
	if got := costs.FormatUSD(bill.Total); got != "9.91" {
		t.Errorf("total %s", got)
	}
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
		`{"storage_class":"STANDARD","meter":"storage","unit":"GB-month","quantity":"10.5","begun":"11","units":"1","usd":"0.015"},` +
		`{"storage_class":"STANDARD","meter":"Class A","unit":"million requests","quantity":"1000001","begun":"2","units":"1","usd":"4.50"},` +
		`{"storage_class":"STANDARD","meter":"Class B","unit":"million requests","quantity":"0","begun":"0","units":"0","usd":"0.00"}],"total_usd":"4.515"}`
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
