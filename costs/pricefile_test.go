package costs_test

import (
	"os"
	"strings"
	"testing"

	"github.com/shopspring/decimal"

	"example.org/mediamove/costs"
)

func priceFile(tb testing.TB) string {
	tb.Helper()
	data, err := os.ReadFile("prices.json")
	if err != nil {
		tb.Fatal(err)
	}
	return string(data)
}

func TestParsePrices(t *testing.T) {
	t.Parallel()
	file := strings.Replace(priceFile(t), `"0.015", "as_of": "2026-11-22", "source": "https://developers.cloudflare.com/r2/pricing/#r2-pricing"`,
		`0.02, "as_of": "2025-02-28", "source": "invoice of 2025-02"`, 1)
	list, err := costs.ParsePrices([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	p := list.Standard
	if !p.Storage.USD.Equal(dec("0.02")) || p.Storage.USDSource != (costs.Source{AsOf: "2025-02-28", Text: "invoice of 2025-02"}) {
		t.Errorf("%+v", p.Storage)
	}
	if p.AsOf != "2025-02-28" || p.Source != "invoice of 2025-02" || list.Infrequent.AsOf != "2026-11-22" {
		t.Errorf("as of %s, %s; %s", p.AsOf, p.Source, list.Infrequent.AsOf)
	}
	if got := costs.FormatUSD(p.Bill(costs.Usage{}, dec("100")).Total); got != "1.80" {
		t.Errorf("90 × 0.02 = %s", got)
	}
}

// TestParsePricesRefuses spoils a good file, once in each way.
func TestParsePricesRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ old, spoilt, want string }{
		{`"0.015"`, `"0,015"`, `read prices: standard.storage.usd.value: "0,015" is not a plain decimal such as 0.015`},
		{`"4.50"`, `"-4.50"`, `standard.class_a.usd.value: "-4.50"`},
		{`"4.50"`, `"$4.50"`, `standard.class_a.usd.value: "$4.50"`},
		{`"4.50"`, `4.5e9999`, `standard.class_a.usd.value: "4.5e9999"`},
		{`"4.50"`, `"1234567890"`, `is not a plain decimal`},
		{`"4.50"`, `"0.0000000001"`, `is not a plain decimal`},
		{`"4.50"`, `true`, `"standard.class_a.usd.value" is neither`},
		{`"4.50"`, `null`, `"standard.class_a.usd.value" is neither`},
		{`"4.50"`, `["4.50"]`, `"standard.class_a.usd.value" is neither`},
		{`"4.50"`, `{"a":"b"}`, `"standard.class_a.usd.value" is neither`},
		{`"per": "million requests"`, `"per": "thousand requests"`, `standard.class_a.per: "thousand requests" is not understood, want "million requests"`},
		{`"class_b": {`, `"calss_b": {`, `"standard.calss_b" is a field that is not known here`},
		{`"per": "GB-month",`, ``, `standard.storage.per: is missing`},
		{`"per": "GB-month",`, `"per": "GB-month", "per": "GB-month",`, `"standard.storage.per" is there twice`},
		{`"per": "GB-month",`, `"per": "GB-month", "note": "",`, `"standard.storage.note" is a field`},
		{`"per": "GB-month",`, `"per": "GB-month", "usd.value": "1",`, `"standard.storage.usd.value" is a field`},
		{`"per": "GB-month",`, `"per": "GB-month", "": "1",`, `is a field`},
		{`"per": "GB-month",`, `"per": "GB-month", "more": {},`, `"standard.storage.more" is a field`},
		{`"per": "GB-month"`, `"per": {}`, `standard.storage.per: is an object, want text`},
		{`{"value": "10", "as_of": "2026-11-22", "source": "https://developers.cloudflare.com/r2/pricing/#free-tier"}`, `"10"`, `standard.storage.free: is missing, or not an object`},
		{`{"value": "10",`, `{"value": "10.5",`, `standard.storage.free.value: 10.5 is not a whole number`},
		{`{"value": "30",`, `{"value": "3651",`, `infrequent_access.minimum_days.value: 3651 is more than 3650`},
		{`"as_of": "2026-11-22"`, `"as_of": "22.11.2026"`, `as_of: "22.11.2026" is not a day such as 2026-11-22`},
		{`"as_of": "2026-11-22"`, `"as_of": "2026-02-30"`, `as_of: "2026-02-30" is not a day`},
		{`, "source": "https://developers.cloudflare.com/r2/buckets/storage-classes/"`, ``, `standard.minimum_days.source: is missing`},
		{`"name": "R2"`, `"name": ""`, `name: "" is empty`},
		{`"name": "R2"`, `"name": "\u001b[31mR2"`, `not plain text`},
		{`"name": "R2"`, `"name": "R2` + "\xff" + `"`, `not plain text`},
		{`"mediamove.prices/1"`, `"mediamove.prices/2"`, `schema: "mediamove.prices/2" is not understood`},
		{`"name": "R2",`, `"name": "R2"`, `read prices: line 4 is not JSON`},
	} {
		file := strings.Replace(priceFile(t), tt.old, tt.spoilt, 1)
		list, err := costs.ParsePrices([]byte(file))
		if err == nil || !strings.Contains(err.Error(), tt.want) || list.Name != "" {
			t.Errorf("%s for %s: %v\nwant %s", tt.spoilt, tt.old, err, tt.want)
		}
	}
	for file, want := range map[string]string{
		"":                                  "line 1 is not JSON",
		"[]":                                "neither an object",
		`"text"`:                            "schema: is missing",
		"{}":                                "schema: is missing",
		priceFile(t) + "{}":                 "is not JSON",
		strings.Repeat(`{"a":`, 20):         "is not JSON",
		strings.Repeat("[", 1_000_000):      "is not JSON",
		`{"a":{"b":{"c":{"d":{"e":"f"}}}}}`: `"a.b.c.d" is neither`,
	} {
		if _, err := costs.ParsePrices([]byte(file)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %s", file, err, want)
		}
	}
}

// FuzzParsePrices: whatever is accepted can be billed with, and obeys the
// rules that the model rests on. Text is put in place of some of a good file,
// up to all of it: whole files would be slow to mutate.
func FuzzParsePrices(f *testing.F) {
	good := priceFile(f)
	at := func(s string) uint16 { return uint16(strings.Index(good, s)) }
	f.Add(uint16(0), uint16(0), "")
	f.Add(uint16(0), uint16(len(good)), `{"schema":"mediamove.prices/1","name":"x","standard":{}}`)
	f.Add(at("0.015"), uint16(5), "123456789.123456789")
	f.Add(at(`"4.50"`), uint16(6), "1e3")
	f.Add(at("2026-11-22"), uint16(10), "2024-02-29")
	f.Add(at("storage"), uint16(7), "class_a")
	f.Fuzz(func(t *testing.T, at, cut uint16, text string) {
		from := min(int(at), len(good))
		data := []byte(good[:from] + text + good[min(from+int(cut), len(good)):])
		list, err := costs.ParsePrices(data)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "read prices: ") {
				t.Errorf("error %v", err)
			}
			return
		}
		use := costs.Use{Requests: costs.Usage{costs.PutObject: 3_000_001, costs.GetObject: 99}, GBMonths: dec("10.1"), Retrieved: 1}
		bill := list.Bill(use, use)
		if bill.Total.IsNegative() || !bill.Total.Equal(list.Bill(use, use).Total) {
			t.Errorf("total %v", bill.Total)
		}
		for _, p := range []costs.Prices{list.Standard, list.Infrequent} {
			for _, r := range []costs.Rate{p.Storage, p.ClassA, p.ClassB, p.Retrieval} {
				if r.USD.IsNegative() || r.Free.IsNegative() || !r.Free.Mod(r.Size).Equal(decimal.Zero) || r.USDSource.AsOf < p.AsOf || r.FreeSource.Text == "" {
					t.Errorf("rate %+v", r)
				}
			}
			if p.Name == "" || p.MinimumDays < 0 || p.Source == "" {
				t.Errorf("%+v", p)
			}
		}
	})
}
