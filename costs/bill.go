package costs

import (
	"encoding/json"
	"strings"

	"github.com/shopspring/decimal"
)

// The meters of a [Bill], as [Line] names them; the other two are
// ClassA.String() and ClassB.String().
const (
	StorageMeter   = "storage"
	RetrievalMeter = "retrieval"
)

// A Line is one meter of a [Bill].
type Line struct {
	Class    StorageClass
	Meter    string          // [StorageMeter], "Class A", "Class B", [RetrievalMeter]
	Unit     string          // as in [Rate]
	Quantity decimal.Decimal // GB-months, requests or GB, before the free tier
	Begun    decimal.Decimal // Quantity in units, rounded up
	Units    decimal.Decimal // whole units charged, after the free tier
	USD      decimal.Decimal // Units × price
}

// A Bill is what one account pays for one billing period. In JSON, all
// numbers are strings, and dollars have at least two decimals.
type Bill struct {
	Lines []Line
	Total decimal.Decimal // US dollars, exact
}

// A Use is what an account used of one storage class in one billing period.
type Use struct {
	Requests  Usage
	GBMonths  decimal.Decimal // see [Storage.GBMonths]
	Retrieved int64           // bytes read or copied; costs something in Infrequent Access only
}

// IsZero reports whether nothing was used.
func (u Use) IsZero() bool { return u.Requests.IsZero() && u.GBMonths.IsZero() && u.Retrieved == 0 }

func (u Use) quantities() quantities {
	return quantities{
		storage:   u.GBMonths,
		a:         decimal.NewFromInt(u.Requests.A()),
		b:         decimal.NewFromInt(u.Requests.B()),
		retrieved: decimal.New(u.Retrieved, -9),
	}
}

// quantities are a [Use] as its four meters count it.
type quantities struct{ storage, a, b, retrieved decimal.Decimal }

// Bill prices everything that an account used in one billing period: u, and
// the storage in GB-months. For a part of a period it says only what that
// part alone would have cost.
func (p Prices) Bill(u Usage, storageGBMonths decimal.Decimal) Bill {
	return billOf(p.lines(Use{Requests: u, GBMonths: storageGBMonths}.quantities()))
}

// Bill prices what an account used of both storage classes in one billing
// period. Infrequent Access has lines only if something of it was used.
//
// What a lifecycle rule moved is billed among the requests of Infrequent
// Access, wherever it is counted ([TierTransitions]).
func (l PriceList) Bill(standard, infrequent Use) Bill {
	moved := standard.Requests[LifecycleStorageTierTransition]
	standard.Requests[LifecycleStorageTierTransition] = 0
	infrequent.Requests[LifecycleStorageTierTransition] += moved
	lines := l.Standard.lines(standard.quantities())
	if !infrequent.IsZero() {
		lines = append(lines, l.Infrequent.lines(infrequent.quantities())...)
	}
	return billOf(lines)
}

// lines has storage, Class A and Class B first, always in this order.
func (p Prices) lines(q quantities) []Line {
	lines := []Line{
		p.Storage.line(p.Class, StorageMeter, q.storage),
		p.ClassA.line(p.Class, ClassA.String(), q.a),
		p.ClassB.line(p.Class, ClassB.String(), q.b),
	}
	if p.Retrieval.USD.IsPositive() {
		lines = append(lines, p.Retrieval.line(p.Class, RetrievalMeter, q.retrieved))
	}
	return lines
}

func (r Rate) line(class StorageClass, meter string, quantity decimal.Decimal) Line {
	units := r.units(quantity)
	return Line{
		Class:    class,
		Meter:    meter,
		Unit:     r.Unit,
		Quantity: quantity,
		Begun:    r.begun(quantity),
		Units:    units,
		USD:      units.Mul(r.USD),
	}
}

func billOf(lines []Line) Bill {
	b := Bill{Lines: lines}
	for _, l := range lines {
		b.Total = b.Total.Add(l.USD)
	}
	return b
}

// Line returns the line of a meter; an empty one if the bill has none.
func (b Bill) Line(class StorageClass, meter string) Line {
	for _, l := range b.Lines {
		if l.Class == class && l.Meter == meter {
			return l
		}
	}
	return Line{Class: class, Meter: meter}
}

// FormatUSD writes an amount exactly, with at least two decimals: "4.50", "0.015".
func FormatUSD(d decimal.Decimal) string {
	s := d.String() // without trailing zeros
	if _, cents, _ := strings.Cut(s, "."); len(cents) < 2 {
		return d.StringFixed(2)
	}
	return s
}

// MarshalJSON writes the bill's lines and total, see [Bill].
func (b Bill) MarshalJSON() ([]byte, error) {
	type line struct {
		Class    StorageClass `json:"storage_class"`
		Meter    string       `json:"meter"`
		Unit     string       `json:"unit"`
		Quantity string       `json:"quantity"`
		Begun    string       `json:"begun"`
		Units    string       `json:"units"`
		USD      string       `json:"usd"`
	}
	lines := make([]line, 0, len(b.Lines))
	for _, l := range b.Lines {
		lines = append(lines, line{l.Class, l.Meter, l.Unit, l.Quantity.String(), l.Begun.String(), l.Units.String(), FormatUSD(l.USD)})
	}
	return json.Marshal(struct {
		Lines    []line `json:"lines"`
		TotalUSD string `json:"total_usd"`
	}{lines, FormatUSD(b.Total)})
}
