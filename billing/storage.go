package billing

import (
	"example.org/mediamove/costs"
)

// A Source says where a day's storage figure comes from.
type Source string

// The sources of storage figures.
const (
	// FromCloudflare: the highest of the day, by Cloudflare's count.
	FromCloudflare Source = "cloudflare"
	// FromLedger: what mediamove knows to be there; others' objects come on top.
	FromLedger Source = "ledger"
	// Carried: Cloudflare has no figure; its last one before, and what mediamove
	// has sent since.
	Carried Source = "carried"
)

// A StorageDay is the most that was stored on one day.
type StorageDay struct {
	Day    costs.Day
	Bytes  int64
	Source Source
}

// known is what the ledger knows to be stored, by day.
type known struct {
	bytes map[costs.Day]int64 // all of it
	put   map[costs.Day]int64 // what was not there before mediamove came
}

func (f Figures) known() known {
	k := known{map[costs.Day]int64{}, map[costs.Day]int64{}}
	asked := f.asked()
	var bytes, put int64
	rest := f.Stored
	for d := asked.From - 1; d < asked.To; d++ {
		for len(rest) > 0 && rest[0].Day <= d {
			bytes, put = bytes+rest[0].Bytes, put+rest[0].Bytes-rest[0].Adopted
			rest = rest[1:]
		}
		k.bytes[d], k.put[d] = bytes, put
	}
	return k
}

// peaks are Cloudflare's highest figures, by day and storage class. A class of
// which a day has nothing, while it has something of the other, was empty.
func (f Figures) peaks() map[costs.Day][2]int64 {
	days := map[costs.Day][2]int64{}
	if s := f.Account.storage(); s != nil {
		for _, r := range s.Rows {
			class, _ := costs.ParseStorageClass(r.StorageClass)
			d := costs.DayOf(r.Day)
			p := days[d]
			p[class] = min(p[class]+min(r.Bytes(), absurdBytes), absurdBytes)
			days[d] = p
		}
	}
	return days
}

// store fills in what was stored on each day that was asked about, and returns the
// days with their sources. What is known by nobody stays unknown.
func (f Figures) store(a *costs.Account) []StorageDay {
	a.Standard.Stored, a.Infrequent.Stored = costs.Storage{}, costs.Storage{}
	peaks, own := f.peaks(), f.known()
	last, some := costs.Day(0), false // the last day that Cloudflare has
	var days []StorageDay
	for d := range f.asked().All() {
		var p [2]int64
		var source Source
		switch figure, ok := peaks[d]; {
		case ok:
			p, source, last, some = figure, FromCloudflare, d, true
		case some:
			p, source = peaks[last], Carried
			p[costs.StandardClass] += max(0, own.put[d]-own.put[last])
		case d >= costs.DayOf(f.Began.First):
			p[costs.StandardClass], source = own.bytes[d], FromLedger
		default:
			continue
		}
		a.Standard.Stored[d] = p[costs.StandardClass]
		a.Infrequent.Stored[d] = p[costs.InfrequentAccess]
		days = append(days, StorageDay{d, p[costs.StandardClass] + p[costs.InfrequentAccess], source})
	}
	return days
}
