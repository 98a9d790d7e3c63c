package costs

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/shopspring/decimal"
)

// schemaPrices is the version of the form that [ParsePrices] reads.
const schemaPrices = "mediamove.prices/1"

// plainDecimal has a bound, so that no number in a file is costly to compute with.
var plainDecimal = regexp.MustCompile(`^[0-9]{1,9}(\.[0-9]{1,9})?$`)

// ParsePrices reads a price list from JSON, such as prices.json in this
// package:
//
//	{"schema": "mediamove.prices/1", "name": "R2",
//	 "standard": {"storage": METER, "class_a": METER, "class_b": METER, "retrieval": METER, "minimum_days": NUMBER},
//	 "infrequent_access": {the same}}
//
// METER is {"per": UNIT, "usd": NUMBER, "free": NUMBER}. UNIT says what one usd
// is for and must be "GB-month", "million requests" or "GB", as R2 has them; free
// is in whole ones of these. NUMBER is {"value": "0.015", "as_of": "2026-11-22",
// "source": "https://…"}, its value in quotes or not.
//
// It is strict, as a bill from a misread price is worse than none: every field
// must be there once, and no other. The error names the field.
func ParsePrices(data []byte) (PriceList, error) {
	f, err := readFields(data)
	if err != nil {
		return PriceList{}, fmt.Errorf("read prices: %w", err)
	}
	list := f.list()
	if err := cmp.Or(f.unknown(), f.err); err != nil { // a misspelled field is also a missing one
		return PriceList{}, fmt.Errorf("read prices: %w", err)
	}
	return list, nil
}

// A fields holds a JSON document by path: "standard.storage.usd.value" → text.
// It remembers the first error, so that reading needs no check at each step.
type fields struct {
	all  map[string]any // a string, a json.Number, or object{}
	used map[string]bool
	err  error
}

type object struct{}

func readFields(data []byte) (*fields, error) {
	var raw json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, located(data, err)
	}
	f := &fields{all: make(map[string]any), used: make(map[string]bool)}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return f, f.read(d, "")
}

// located puts the line in front of a JSON error.
func located(data []byte, err error) error {
	at, ok := errors.AsType[*json.SyntaxError](err)
	if !ok {
		return err
	}
	before := data[:min(int(at.Offset), len(data))]
	return fmt.Errorf("line %d is not JSON: %w", bytes.Count(before, []byte("\n"))+1, err)
}

// read takes in the value at path.
func (f *fields) read(d *json.Decoder, path string) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	switch token := token.(type) {
	case string, json.Number:
		f.all[path] = token
		return nil
	case json.Delim:
		if token == '{' && strings.Count(path, ".") < deepest {
			f.all[path] = object{}
			return f.readObject(d, path)
		}
	}
	return fmt.Errorf("%q is neither an object nor text nor a number that belongs here", path)
}

// deepest is how many dots the longest path has: standard.storage.usd.value.
const deepest = 3

func (f *fields) readObject(d *json.Decoder, path string) error {
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return err
		}
		name, _ := token.(string) // JSON has nothing else here
		inner := strings.TrimPrefix(path+"."+name, ".")
		_, twice := f.all[inner]
		switch {
		case name == "" || strings.Contains(name, "."):
			return fmt.Errorf("%q is a field that is not known here", inner)
		case twice:
			return fmt.Errorf("%q is there twice", inner)
		}
		if err := f.read(d, inner); err != nil {
			return err
		}
	}
	_, err := d.Token() // the closing brace
	return err
}

// unknown is an error about a field that nobody asked for.
func (f *fields) unknown() error {
	for _, path := range slices.Sorted(maps.Keys(f.all)) {
		if path != "" && !f.used[path] {
			return fmt.Errorf("%q is a field that is not known here", path)
		}
	}
	return nil
}

func (f *fields) fail(path, format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf("%s: %s", path, fmt.Sprintf(format, args...))
	}
}

// text returns what is at path: text, or a number as it is written.
func (f *fields) text(path string) string {
	f.used[path] = true
	switch v := f.all[path].(type) {
	case string:
		if v == "" || strings.ContainsFunc(v, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) {
			f.fail(path, "%q is empty or not plain text", v)
		}
		return v
	case json.Number:
		return v.String()
	case object:
		f.fail(path, "is an object, want text or a number")
	default:
		f.fail(path, "is missing")
	}
	return ""
}

// within notes that path must be an object, and returns path + ".".
func (f *fields) within(path string) string {
	f.used[path] = true
	if _, ok := f.all[path].(object); !ok {
		f.fail(path, "is missing, or not an object")
	}
	return path + "."
}

// want fails unless path says exactly what is wanted.
func (f *fields) want(path, wanted string) string {
	if got := f.text(path); got != wanted {
		f.fail(path, "%q is not understood, want %q", got, wanted)
	}
	return wanted
}

// number reads a NUMBER of [ParsePrices].
func (f *fields) number(path string) (decimal.Decimal, Source) {
	in := f.within(path)
	text := f.text(in + "value")
	if !plainDecimal.MatchString(text) {
		f.fail(in+"value", "%q is not a plain decimal such as 0.015", text)
		text = "0"
	}
	from := Source{AsOf: f.text(in + "as_of"), Text: f.text(in + "source")}
	if _, err := time.Parse(time.DateOnly, from.AsOf); err != nil {
		f.fail(in+"as_of", "%q is not a day such as 2026-11-22", from.AsOf)
	}
	return decimal.RequireFromString(text), from
}

// whole reads a NUMBER without a fraction.
func (f *fields) whole(path string) (decimal.Decimal, Source) {
	n, from := f.number(path)
	if !n.IsInteger() {
		f.fail(path+".value", "%v is not a whole number", n)
	}
	return n, from
}

func (f *fields) rate(path, unit string, size int64) Rate {
	in := f.within(path)
	r := Rate{Unit: f.want(in+"per", unit), Size: decimal.NewFromInt(size)}
	r.USD, r.USDSource = f.number(in + "usd")
	r.Free, r.FreeSource = f.whole(in + "free")
	r.Free = r.Free.Mul(r.Size)
	return r
}

func (f *fields) prices(path, list string, class StorageClass) Prices {
	in := f.within(path)
	p := Prices{
		Name:      list + " " + class.String(),
		Class:     class,
		Storage:   f.rate(in+"storage", "GB-month", 1),
		ClassA:    f.rate(in+"class_a", "million requests", 1_000_000),
		ClassB:    f.rate(in+"class_b", "million requests", 1_000_000),
		Retrieval: f.rate(in+"retrieval", "GB", 1),
	}
	days, from := f.whole(in + "minimum_days")
	if days.GreaterThan(decimal.NewFromInt(longestMinimum)) {
		f.fail(in+"minimum_days.value", "%v is more than %d", days, longestMinimum)
	}
	p.MinimumDays, p.MinimumSource = int(days.IntPart()), from
	p.Source = p.Storage.USDSource.Text
	p.AsOf = from.AsOf
	for _, r := range []Rate{p.Storage, p.ClassA, p.ClassB, p.Retrieval} {
		p.AsOf = min(p.AsOf, r.USDSource.AsOf, r.FreeSource.AsOf)
	}
	return p
}

// longestMinimum bounds the minimum duration: ten years.
const longestMinimum = 3650

func (f *fields) list() PriceList {
	f.want("schema", schemaPrices)
	name := f.text("name")
	return PriceList{
		Name:       name,
		Standard:   f.prices("standard", name, StandardClass),
		Infrequent: f.prices("infrequent_access", name, InfrequentAccess),
	}
}
