package costs

import (
	"bytes"
	_ "embed"
	"math"
	"strings"

	"github.com/shopspring/decimal"
)

// r2Prices is the price list that the program knows, in the form that
// [ParsePrices] documents.
//
//go:embed prices.json
var r2Prices []byte

// A Source is where and when a number was read.
type Source struct {
	AsOf string // the day, YYYY-MM-DD
	Text string // a URL, or words such as "invoice of 2026-10-15"
}

// A Rate is the price of one meter. R2 bills whole units: a started one counts.
// The zero Rate costs nothing.
type Rate struct {
	Unit string          // what one unit is: "GB-month", "million requests", "GB"
	Size decimal.Decimal // how much of the measured quantity one unit holds
	Free decimal.Decimal // quantity per account and month that costs nothing, in whole units
	USD  decimal.Decimal // per unit

	FreeSource, USDSource Source
}

// begun is how many units of quantity have been begun, free ones included.
func (r Rate) begun(quantity decimal.Decimal) decimal.Decimal {
	if !quantity.IsPositive() || !r.Size.IsPositive() {
		return decimal.Zero
	}
	whole, part := quantity.QuoRem(r.Size, 0) // exact, where Div would round
	if part.IsPositive() {
		whole = whole.Add(decimal.NewFromInt(1))
	}
	return whole
}

// units is how many units quantity is billed as. The free part is taken off
// before rounding up; as it is whole units, doing so afterwards is the same.
func (r Rate) units(quantity decimal.Decimal) decimal.Decimal {
	return r.begun(quantity.Sub(r.Free))
}

// Room returns how many more requests, after used ones, this meter counts
// before it costs more than usd; for 0, how many are left of the free ones.
// Below 0 dollars there is no room. A meter that costs nothing has room for
// [math.MaxInt64].
func (r Rate) Room(used int64, usd decimal.Decimal) int64 {
	if usd.IsNegative() {
		return 0
	}
	if !r.USD.IsPositive() || !r.Size.IsPositive() {
		return math.MaxInt64
	}
	units, _ := usd.QuoRem(r.USD, 0)
	room := r.Free.Add(units.Mul(r.Size)).Floor().Sub(decimal.NewFromInt(used))
	switch {
	case room.IsNegative():
		return 0
	case room.GreaterThan(decimal.NewFromInt(math.MaxInt64)):
		return math.MaxInt64
	}
	return room.IntPart()
}

// A StorageClass is what R2 stores an object as. The zero value is Standard.
type StorageClass uint8

// R2's storage classes. mediamove writes Standard only; an account may hold both.
const (
	StandardClass StorageClass = iota
	InfrequentAccess
)

// String returns "Standard" or "Infrequent Access".
func (c StorageClass) String() string {
	if c == InfrequentAccess {
		return "Infrequent Access"
	}
	return "Standard"
}

// MarshalText writes S3's word for the class: STANDARD or STANDARD_IA.
func (c StorageClass) MarshalText() ([]byte, error) {
	if c == InfrequentAccess {
		return []byte("STANDARD_IA"), nil
	}
	return []byte("STANDARD"), nil
}

// ParseStorageClass understands S3's word for a class and that of Cloudflare's
// analytics, in any case; no word at all is Standard, as in S3. Anything else
// is Standard and false.
func ParseStorageClass(name string) (StorageClass, bool) {
	switch strings.ToUpper(name) {
	case "", "STANDARD":
		return StandardClass, true
	case "STANDARD_IA", "INFREQUENTACCESS":
		return InfrequentAccess, true
	}
	return StandardClass, false
}

// Prices are those of one storage class.
type Prices struct {
	Name   string // "R2 Standard"
	Class  StorageClass
	AsOf   string // the oldest day that one of the numbers was read on, YYYY-MM-DD
	Source string // of the storage price

	Storage   Rate // quantity in GB-months: 10⁹ bytes, the average of daily peaks over the billing period
	ClassA    Rate // quantity in requests
	ClassB    Rate // quantity in requests
	Retrieval Rate // quantity in GB read or copied

	MinimumDays   int // an object is billed for at least so many days; see [StoredIn]
	MinimumSource Source
}

// A PriceList is what R2 costs. Its free tier belongs to the account, not to a
// bucket. Traffic is free.
type PriceList struct {
	Name                 string // "R2"
	Standard, Infrequent Prices
}

// PriceFile returns the file that [R2] comes from: a pattern for one's own.
func PriceFile() []byte { return bytes.Clone(r2Prices) }

// R2 returns R2's price list as the program knows it, in US dollars. It reads
// the file each time, so keep it rather than ask for every line of a table.
func R2() PriceList {
	list, err := ParsePrices(r2Prices)
	if err != nil {
		panic("costs: the embedded price list: " + err.Error()) // TestR2 reads the very same bytes
	}
	return list
}

// Standard returns the prices of R2's Standard storage in US dollars.
func Standard() Prices { return R2().Standard }
