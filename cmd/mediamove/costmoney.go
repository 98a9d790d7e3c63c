package main

import (
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"example.org/mediamove/costs"
)

// currencies are the codes of ISO 4217 that money is paid in: a typo such as YEN must
// not head a column.
const currencies = `AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD
 CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD
 HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD
 MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG
 QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD
 TZS UAH UGX UYU UZS VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG`

// A purse shows US dollars, and another currency beside them if there is one.
type purse struct{ beside *costs.Currency }

// parsePurse wants both or neither. The list of currencies is asked last: it catches typos
// of the right shape, all others are told better by the parser.
func parsePurse(code, rate string) (purse, error) {
	switch {
	case code == "" && rate == "":
		return purse{}, nil
	case code == "":
		return purse{}, usagef("for instance --currency JPY --rate 152", "--rate %s: of which currency?", rate)
	case rate == "":
		return purse{}, usagef("for instance --currency JPY --rate 152; mediamove asks nobody for rates", "--currency %s: at which rate?", code)
	case code == "USD":
		return purse{}, usagef("leave both flags out: the bill is in US dollars", "--currency USD: that is what stands there anyway")
	}
	c, err := costs.ParseCurrency(code, rate)
	if err == nil && !slices.Contains(strings.Fields(currencies), code) {
		return purse{}, usagef("a code of ISO 4217, such as EUR or JPY", "--currency %s: no such currency", code)
	}
	if err != nil {
		return purse{}, usagef("for instance --currency JPY --rate 152", "--currency and --rate: %w", err)
	}
	return purse{&c}, nil
}

// code names the other currency; "" without one.
func (p purse) code() string {
	if p.beside == nil {
		return ""
	}
	return p.beside.Code
}

// other is an amount in the other currency; "" without one.
func (p purse) other(usd decimal.Decimal) string {
	if p.beside == nil {
		return ""
	}
	return p.beside.Format(usd)
}

// text is an amount in words: "5.84 USD (888 JPY)".
func (p purse) text(usd decimal.Decimal) string {
	s := costs.FormatUSD(usd) + " USD"
	if p.beside != nil {
		s += " (" + p.other(usd) + " " + p.code() + ")"
	}
	return s
}

// A money is an amount in JSON: a decimal string under each currency's own key.
type money map[string]string

// money is usd for JSON. The dollars are always there, so a script needs no --currency.
func (p purse) money(usd decimal.Decimal) money {
	m := money{"usd": costs.FormatUSD(usd)}
	if p.beside != nil {
		m[strings.ToLower(p.code())] = p.other(usd)
	}
	return m
}
