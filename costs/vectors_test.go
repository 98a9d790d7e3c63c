package costs_test

import (
	"os"
	"slices"
	"testing"

	"github.com/shopspring/decimal"

	"example.org/mediamove/costs"
)

// thirty is a period of 30 days, as the price list's examples have it.
func thirty() costs.Period {
	from := costs.Date(2026, 11, 1)
	return costs.Period{From: from, To: from + 30}
}

const gb = 1_000_000_000

// spans fills days in a row: spans(t0, 5, gb, 25, 3*gb).
func spans(from costs.Day, daysAndBytes ...int64) costs.Storage {
	s := make(costs.Storage)
	for pair := range slices.Chunk(daysAndBytes, 2) {
		for range pair[0] {
			s.Saw(from, pair[1])
			from++
		}
	}
	return s
}

// perDay is the same requests on each day.
func perDay(p costs.Period, u costs.Usage) map[costs.Day]costs.Usage {
	m := make(map[costs.Day]costs.Usage)
	for d := range p.All() {
		m[d] = u
	}
	return m
}

// once is all requests on the first day.
func once(p costs.Period, u costs.Usage) map[costs.Day]costs.Usage {
	return map[costs.Day]costs.Usage{p.From: u}
}

// TestVectors holds the model, by day, to the examples of Cloudflare's price
// lists (P1 to P5, P10) and to what follows from its rules (P6 to P9). P11 is
// about ETags.
func TestVectors(t *testing.T) {
	t.Parallel()
	p := thirty()
	reserve := readPrices(t, "testdata/cache_reserve.json")
	const million = 1_000_000
	for _, tt := range []struct {
		name    string
		prices  costs.PriceList
		account costs.Account
		lines   []string // dollars: storage, A, B of Standard; or all four of Infrequent Access
		gb      string   // GB-months, rounded to 4
		begun   int64
		total   string
	}{
		{
			"P1 1,000 objects of 1 GB, read 1,000 times each", costs.R2(),
			standard(spans(p.From, 30, 1000*gb), once(p, costs.Usage{costs.PutObject: 1000, costs.GetObject: million})),
			[]string{"14.85", "0.00", "0.00"},
			"1000", 1000, "14.85",
		},
		{
			"P2 the same for 5 days in Infrequent Access", costs.R2(),
			costs.Account{Infrequent: costs.Track{
				Requests:  once(p, costs.Usage{costs.PutObject: 1000, costs.GetObject: million}),
				Stored:    costs.StoredIn(p, slices.Values(stays(p.From, 5, 1000)), costs.R2().Infrequent.MinimumDays),
				Retrieved: map[costs.Day]int64{p.From: 1000 * gb},
			}},
			[]string{"10.00", "9.00", "0.90", "10.00"},
			"1000", 1000, "29.90",
		},
		{
			"P3 the files of a web site", costs.R2(),
			standard(spans(p.From, 30, 100_000*100_000), add(perDay(p, costs.Usage{costs.GetObject: 10 * million}), p.From, costs.Usage{costs.PutObject: 100_000})),
			[]string{"0.00", "0.00", "104.40"},
			"10", 10, "104.40",
		},
		{
			"P4 1 GB for 5 days, then 3 GB for 25", costs.R2(),
			standard(spans(p.From, 5, gb, 25, 3*gb), nil),
			[]string{"0.00", "0.00", "0.00"},
			"2.6667", 3, "0.00",
		},
		{
			"P7 a real instance", costs.R2(),
			standard(spans(p.From, 30, 500*gb), once(p, costs.Usage{costs.PutObject: 3_200_000, costs.HeadObject: 40 * million})),
			[]string{"7.35", "13.50", "10.80"},
			"500", 500, "31.65",
		},
		{
			"P8 the same in Infrequent Access", costs.R2(),
			costs.Account{Infrequent: costs.Track{
				Requests:  once(p, costs.Usage{costs.PutObject: 3_200_000, costs.HeadObject: 40 * million}),
				Stored:    spans(p.From, 30, 500*gb),
				Retrieved: map[costs.Day]int64{p.From: 1500 * gb, p.From + 29: 2500 * gb},
			}},
			[]string{"5.00", "36.00", "36.00", "40.00"},
			"500", 500, "117.00",
		},
		{
			"P9 a peak of one day", costs.R2(),
			standard(spans(p.From, 12, 100*gb, 1, 300*gb, 17, 100*gb), nil),
			[]string{"1.455", "0.00", "0.00"},
			"106.6667", 107, "1.455",
		},
		{
			"P10 Cache Reserve, written once", reserve,
			standard(spans(p.From, 30, 1000*gb), once(p, costs.Usage{costs.PutObject: 1000, costs.GetObject: million})),
			[]string{"15.00", "4.50", "0.36"},
			"1000", 1000, "19.86",
		},
		{
			"P10 Cache Reserve, rewritten daily", reserve,
			standard(spans(p.From, 30, 1000*gb), perDay(p, costs.Usage{costs.PutObject: million, costs.GetObject: 2 * million})),
			[]string{"15.00", "135.00", "21.60"},
			"1000", 1000, "171.60",
		},
	} {
		bill := tt.prices.BillOf(tt.account, p, p.To-1)
		lines := bill.Lines[:3]
		if len(tt.lines) == 4 {
			lines = bill.Lines[3:]
		}
		var got []string
		for _, l := range lines {
			got = append(got, costs.FormatUSD(l.USD))
		}
		if !slices.Equal(got, tt.lines) || costs.FormatUSD(bill.Total) != tt.total {
			t.Errorf("%s: %v, total %s; want %v, %s", tt.name, got, costs.FormatUSD(bill.Total), tt.lines, tt.total)
		}
		if l := lines[0]; !l.Quantity.Round(4).Equal(dec(tt.gb)) || !l.Begun.Equal(decimal.NewFromInt(tt.begun)) {
			t.Errorf("%s: %v GB-months, billed as %v; want %s, %d", tt.name, l.Quantity, l.Begun, tt.gb, tt.begun)
		}
	}
}

// TestP5AndP6 are about one started unit of each meter.
func TestP5AndP6(t *testing.T) {
	t.Parallel()
	list := costs.R2()
	infrequent := list.Bill(costs.Use{}, costs.Use{
		Requests: costs.Usage{costs.PutObject: 1_000_001, costs.GetObject: 1_000_001}, GBMonths: dec("1.1"), Retrieved: 1_100_000_000,
	})
	for _, l := range infrequent.Lines[3:] {
		if !l.Units.Equal(decimal.NewFromInt(2)) {
			t.Errorf("P5 %s: %v is billed as %v", l.Meter, l.Quantity, l.Units)
		}
	}
	for n, want := range map[int64]string{1_000_000: "0.00", 1_000_001: "4.50", 2_000_000: "4.50", 2_000_001: "9.00"} {
		bill := list.Bill(costs.Use{Requests: costs.Usage{costs.UploadPart: n}}, costs.Use{})
		if got := costs.FormatUSD(bill.Total); got != want {
			t.Errorf("P6 %d: %s, want %s", n, got, want)
		}
	}
}

func standard(s costs.Storage, r map[costs.Day]costs.Usage) costs.Account {
	return costs.Account{Standard: costs.Track{Stored: s, Requests: r}}
}

func add(m map[costs.Day]costs.Usage, d costs.Day, u costs.Usage) map[costs.Day]costs.Usage {
	m[d] = m[d].Add(u)
	return m
}

// stays are n objects of 1 GB that are kept for some days.
func stays(from costs.Day, days, n int) []costs.Stay {
	return slices.Repeat([]costs.Stay{{Bytes: gb, From: from, Last: from + costs.Day(days) - 1}}, n)
}

func readPrices(t *testing.T, name string) costs.PriceList {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	list, err := costs.ParsePrices(data)
	if err != nil {
		t.Fatal(err)
	}
	return list
}
