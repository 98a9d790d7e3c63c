package costs_test

import (
	"strings"
	"testing"
	"unicode"

	"github.com/shopspring/decimal"

	"example.org/mediamove/costs"
)

func TestCurrency(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ code, rate, usd, exact, text string }{
		{"JPY", "152", "4.50", "684", "684"},
		{"JPY", "152", "1.455", "221.16", "221"},
		{"JPY", "152.35", "5.745", "875.25075", "875"},
		{"JPY", "1", "0.5", "0.5", "1"},
		{"JPY", "1", "1.5", "1.5", "2"}, // halves away from zero, not to even
		{"JPY", "1", "2.5", "2.5", "3"},
		{"JPY", "1", "-2.5", "-2.5", "-3"},
		{"JPY", "1", "0.499999", "0.499999", "0"},
		{"EUR", "0.86", "5.745", "4.9407", "4.94"},
		{"EUR", "1", "0.015", "0.015", "0.02"},
		{"KWD", "0.307", "1.455", "0.446685", "0.447"},
		{"USD", "1", "4.5", "4.5", "4.50"},
		{"JPY", "0.1", "0.1", "0.01", "0"}, // no binary fraction creeps in
	} {
		c, err := costs.ParseCurrency(tt.code, tt.rate)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Convert(dec(tt.usd)); !got.Equal(dec(tt.exact)) {
			t.Errorf("%s dollars are %v %s, want %s", tt.usd, got, tt.code, tt.exact)
		}
		if got := c.Format(dec(tt.usd)); got != tt.text {
			t.Errorf("%s dollars are written %q in %s, want %q", tt.usd, got, tt.code, tt.text)
		}
	}
}

func TestParseCurrencyRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ code, rate, want string }{
		{"jpy", "152", `currency "jpy": want three capital letters`},
		{"", "152", "want three capital letters"},
		{"JPYX", "152", "want three capital letters"},
		{"JPY", "", `rate "": want how much JPY one US dollar is`},
		{"JPY", "0", "want how much"},
		{"JPY", "0.000", "want how much"},
		{"JPY", "-152", "want how much"},
		{"JPY", "152,35", "want how much"},
		{"JPY", "1e2", "want how much"},
		{"JPY", "NaN", "want how much"},
	} {
		if _, err := costs.ParseCurrency(tt.code, tt.rate); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s at %s: %v, want %s", tt.code, tt.rate, err, tt.want)
		}
	}
}

func FuzzParseCurrency(f *testing.F) {
	f.Add("JPY", "152.35")
	f.Add("KWD", "0.307")
	f.Fuzz(func(t *testing.T, code, rate string) {
		c, err := costs.ParseCurrency(code, rate)
		if err != nil {
			return
		}
		if !c.PerUSD.IsPositive() || !c.Convert(decimal.NewFromInt(2)).Equal(c.PerUSD.Add(c.PerUSD)) {
			t.Errorf("%s %s: %v", code, rate, c)
		}
		_, places, _ := strings.Cut(c.Format(dec("1.23456")), ".")
		if len(places) != int(c.Places()) {
			t.Errorf("%s has %d places, want %d", code, len(places), c.Places())
		}
	})
}

func TestAssumptions(t *testing.T) {
	t.Parallel()
	all := costs.Assumptions()
	seen := map[costs.AssumptionID]bool{}
	for _, a := range all {
		if seen[a.ID] || a.ID == "" || !strings.HasSuffix(a.Text, ".") || strings.ContainsFunc(a.Text, unicode.IsControl) {
			t.Errorf("%+v is there twice, or is no line", a)
		}
		seen[a.ID] = true
	}
	for _, id := range []costs.AssumptionID{
		"decimal-gb", "day-boundary", "period-days", "short-months", "peak-of-sum", "metadata-bytes", "unfinished-parts",
		"missing-days", "unlisted-ops", "failed-requests", "cache-hits", "tier-transitions", "minimum-duration",
		"bucket-fee", "own-use", "sampled-counts", "straight-line",
	} {
		if !seen[id] {
			t.Errorf("%s is gone, and reports name it", id)
		}
	}
	notes := costs.Footnotes(costs.OwnUse, "nonsense", costs.DecimalGB)
	if len(notes) != 2 || notes[0].ID != costs.DecimalGB || notes[1].ID != costs.OwnUse {
		t.Errorf("footnotes %v", notes)
	}
	all[0].Text = "changed"
	if costs.Assumptions()[0].Text == "changed" {
		t.Error("a caller can change the texts")
	}
}
