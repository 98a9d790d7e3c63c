package costs_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"example.org/mediamove/costs"
)

func dec(s string) decimal.Decimal { return decimal.RequireFromString(s) }

func TestStandardIsDated(t *testing.T) {
	t.Parallel()
	p := costs.Standard()
	if _, err := time.Parse(time.DateOnly, p.AsOf); err != nil || !strings.HasPrefix(p.Source, "https://") || p.Name == "" {
		t.Errorf("%+v lacks a name, a date or a source", p)
	}
}

// TestR2 holds the embedded file to the price list of 2026-11-22.
func TestR2(t *testing.T) {
	t.Parallel()
	list := costs.R2()
	for _, tt := range []struct {
		name            string
		rate            costs.Rate
		usd, free, unit string
	}{
		{"Standard storage", list.Standard.Storage, "0.015", "10", "GB-month"},
		{"Standard Class A", list.Standard.ClassA, "4.5", "1000000", "million requests"},
		{"Standard Class B", list.Standard.ClassB, "0.36", "10000000", "million requests"},
		{"Standard retrieval", list.Standard.Retrieval, "0", "0", "GB"},
		{"IA storage", list.Infrequent.Storage, "0.01", "0", "GB-month"},
		{"IA Class A", list.Infrequent.ClassA, "9", "0", "million requests"},
		{"IA Class B", list.Infrequent.ClassB, "0.9", "0", "million requests"},
		{"IA retrieval", list.Infrequent.Retrieval, "0.01", "0", "GB"},
	} {
		if !tt.rate.USD.Equal(dec(tt.usd)) || !tt.rate.Free.Equal(dec(tt.free)) || tt.rate.Unit != tt.unit {
			t.Errorf("%s: %v a %s, %v free", tt.name, tt.rate.USD, tt.rate.Unit, tt.rate.Free)
		}
		for _, s := range []costs.Source{tt.rate.USDSource, tt.rate.FreeSource} {
			if _, err := time.Parse(time.DateOnly, s.AsOf); err != nil || !strings.HasPrefix(s.Text, "https://developers.cloudflare.com/r2/") {
				t.Errorf("%s: %+v", tt.name, s)
			}
		}
	}
	if list.Standard.MinimumDays != 0 || list.Infrequent.MinimumDays != 30 || list.Infrequent.MinimumSource.Text == "" {
		t.Errorf("minimum %d and %d days", list.Standard.MinimumDays, list.Infrequent.MinimumDays)
	}
	if list.Standard.Class != costs.StandardClass || list.Infrequent.Class != costs.InfrequentAccess || list.Infrequent.Name != "R2 Infrequent Access" {
		t.Errorf("classes %v, %v, %s", list.Standard.Class, list.Infrequent.Class, list.Infrequent.Name)
	}
}

func TestPriceFile(t *testing.T) {
	t.Parallel()
	file := costs.PriceFile()
	if list, err := costs.ParsePrices(file); err != nil || list.Name != costs.R2().Name {
		t.Errorf("%v, %v", list.Name, err)
	}
	clear(file)
	if got := costs.R2().Name; got != "R2" {
		t.Errorf("a caller can change the prices: %q", got)
	}
}

func BenchmarkR2(b *testing.B) {
	for b.Loop() {
		_ = costs.R2()
	}
}

func TestStorageClass(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]costs.StorageClass{
		"": costs.StandardClass, "STANDARD": costs.StandardClass, "Standard": costs.StandardClass,
		"STANDARD_IA": costs.InfrequentAccess, "InfrequentAccess": costs.InfrequentAccess, "infrequentAccess": costs.InfrequentAccess,
	} {
		if got, ok := costs.ParseStorageClass(name); !ok || got != want {
			t.Errorf("%q is %v, %v", name, got, ok)
		}
	}
	if got, ok := costs.ParseStorageClass("GLACIER"); ok || got != costs.StandardClass {
		t.Errorf("GLACIER is %v, %v", got, ok)
	}
	for _, c := range []costs.StorageClass{costs.StandardClass, costs.InfrequentAccess} {
		text, err := c.MarshalText()
		if back, ok := costs.ParseStorageClass(string(text)); err != nil || !ok || back != c || c.String() == "" {
			t.Errorf("%v is written %s, which is %v", c, text, back)
		}
	}
}

// TestRoom is exact at the steps: P6.
func TestRoom(t *testing.T) {
	t.Parallel()
	a := costs.Standard().ClassA
	for _, tt := range []struct {
		used int64
		usd  string
		want int64
	}{
		{0, "0", 1_000_000},
		{999_999, "0", 1},
		{1_000_000, "0", 0},
		{1_000_001, "0", 0},
		{1_000_000, "4.49", 0},
		{1_000_000, "4.50", 1_000_000},
		{1_000_001, "4.50", 999_999},
		{1_999_999, "8.99", 1},
		{2_000_000, "4.5", 0},
		{0, "4.499999999", 1_000_000},
		{0, "9", 3_000_000},
		{0, "-0.01", 0},
		{0, "1e30", math.MaxInt64},
	} {
		if got := a.Room(tt.used, dec(tt.usd)); got != tt.want {
			t.Errorf("after %d, for $%s: %d, want %d", tt.used, tt.usd, got, tt.want)
		}
	}
	for name, free := range map[string]costs.Rate{"zero": {}, "without a price": {Size: decimal.NewFromInt(1)}} {
		if got := free.Room(5, decimal.Zero); got != math.MaxInt64 {
			t.Errorf("%s: room for %d", name, got)
		}
	}
}

// TestRoomIsTheMost: what Room says still fits, and one more doesn't.
func TestRoomIsTheMost(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := costs.Standard()
		used := rapid.Int64Range(0, 1e10).Draw(t, "used")
		usd := decimal.New(rapid.Int64Range(0, 1e7).Draw(t, "usd"), -3)
		price := func(n int64) decimal.Decimal {
			return p.Bill(costs.Usage{costs.PutObject: n}, decimal.Zero).Total
		}
		room := p.ClassA.Room(used, usd)
		if room > 0 && price(used+room).GreaterThan(usd) {
			t.Fatalf("%d more cost %v", room, price(used+room))
		}
		if !price(used + room + 1).GreaterThan(usd) {
			t.Fatalf("%d more cost only %v", room+1, price(used+room+1))
		}
	})
}
