package costs

import (
	"fmt"
	"regexp"

	"github.com/shopspring/decimal"
)

// A Currency is another money to show amounts in, beside US dollars. R2 bills
// dollars; the rate is the reader's own.
type Currency struct {
	Code   string          // ISO 4217: "JPY"
	PerUSD decimal.Decimal // how much of it one dollar is
}

var currencyCode = regexp.MustCompile(`^[A-Z]{3}$`)

// ParseCurrency reads a code of three capital letters and a plain decimal above
// 0: "JPY" and "152.35".
func ParseCurrency(code, perUSD string) (Currency, error) {
	switch {
	case !currencyCode.MatchString(code):
		return Currency{}, fmt.Errorf("currency %q: want three capital letters, such as JPY", code)
	case !plainDecimal.MatchString(perUSD) || decimal.RequireFromString(perUSD).IsZero():
		return Currency{}, fmt.Errorf("rate %q: want how much %s one US dollar is, such as 152.35", perUSD, code)
	}
	return Currency{code, decimal.RequireFromString(perUSD)}, nil
}

// Places returns how many decimals amounts are written with, as in ISO 4217: 0
// for yen.
func (c Currency) Places() int32 {
	switch c.Code {
	case "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF":
		return 0
	case "BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND":
		return 3
	}
	return 2
}

// Convert returns what usd dollars are, exactly.
func (c Currency) Convert(usd decimal.Decimal) decimal.Decimal { return usd.Mul(c.PerUSD) }

// Format writes what usd dollars are, rounded to the nearest, halves away from
// zero: "684". Rounded lines may add up to another total than the rounded total.
func (c Currency) Format(usd decimal.Decimal) string {
	return c.Convert(usd).StringFixed(c.Places())
}
