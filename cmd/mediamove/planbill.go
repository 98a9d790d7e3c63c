package main

import (
	"maps"
	"time"

	"github.com/shopspring/decimal"

	"example.org/mediamove/costs"
	"example.org/mediamove/uploader"
)

// A workload is what a sync would send, and what the bucket holds after it.
type workload struct {
	sync  costs.Usage
	first int64 // Class A of it that come before the first file
	files int64 // to send
	bytes int64
	grown int64 // bytes that the bucket holds more
	keys  int64 // in the bucket after it, the owner mark among them
}

// workload is what there is to price. A sync that is refused sends no file, but the
// requests before its first one would have gone out by then.
func (f *foresight) workload() workload {
	l := workload{sync: f.Sync, first: f.before, keys: f.recorded.Files + 1}
	if f.Refused == nil {
		l.files, l.bytes, l.grown = f.Pending+f.Replaced, f.Bytes, f.Grown
		l.keys += f.Pending
	}
	return l
}

// without is the workload when that much was cleared from the disk first.
// The bucket's part shrinks as well, since what is cleared never gets there.
func (l workload) without(s uploader.Spare) workload {
	l.sync = l.sync.Sub(s.Requests)
	l.files -= s.Files
	l.bytes -= s.Bytes
	l.grown -= s.Bytes
	l.keys -= s.Files
	return l
}

// verify is one pass over the listing, 1,000 keys a page, and a look at the mark.
func (l workload) verify() (u costs.Usage) {
	u[costs.ListObjects] = (l.keys + 999) / 1000
	u[costs.GetObject] = 1
	return u
}

// rotation is how many nights a normal month's verify takes to read everything back.
const rotation = 30

// nightly is what a normal night sends: verify --rotate 30, and a sync with nothing to do.
func (l workload) nightly() costs.Usage {
	u := l.verify()
	u[costs.GetObject] += 1 + (l.keys+rotation-1)/rotation
	return u
}

// books are what is known of the bill so far.
type books struct {
	tariff
	today  costs.Day
	used   map[costs.Day]costs.Usage // of this cycle
	stored costs.Storage
}

// cycle is the billing cycle that today belongs to.
func (b books) cycle() costs.Period { return b.Of(b.today.Start()) }

// usedSoFar is what this ledger used in this cycle.
func (b books) usedSoFar() (sum costs.Usage) {
	for _, u := range b.used {
		sum = sum.Add(u)
	}
	return sum
}

// pass is one verify in this cycle; none where that alone would begin a paid million, as
// it can wait for the next cycle.
func (b books) pass(l workload) costs.Usage {
	used := b.usedSoFar()
	if b.requests(used.Add(l.verify())).GreaterThan(b.requests(used)) {
		return costs.Usage{}
	}
	return l.verify()
}

// spreadOver is how many cycles a sync may be spread over.
const spreadOver = 12

// outlook is this cycle with the sync and a [books.pass] today, and normal months after it.
// All of it is known beforehand: nothing is reckoned on from the last days.
func (b books) outlook(l workload) costs.Outlook {
	requests := maps.Clone(b.used)
	if requests == nil {
		requests = make(map[costs.Day]costs.Usage)
	}
	requests[b.today] = requests[b.today].Add(b.pass(l))
	o := costs.Outlook{
		Prices: b.PriceList, Today: b.today,
		Account: costs.Account{Standard: costs.Track{Requests: requests, Stored: b.stored}},
		Planned: []costs.Work{{Day: b.today, Requests: l.sync, Bytes: l.grown}},
	}
	for d, u := range requests { // no day of these is a habit
		o.Once = append(o.Once, costs.Work{Day: d, Requests: u})
	}
	for d, n := range b.stored {
		o.Once = append(o.Once, costs.Work{Day: d, Bytes: n - b.stored[d-1]})
	}
	night := l.nightly()
	p := b.cycle()
	for range spreadOver {
		p = b.Next(p)
		for d := range p.All() {
			requests[d] = night
		}
	}
	return o
}

// bill is that of a period with the whole sync today.
func (b books) bill(l workload, p costs.Period) costs.Bill { return b.outlook(l).Forecast(p).Bill }

// filesIn is how many files so many of the sync's Class A operations send. Where files
// go in parts it is about so many.
func (l workload) filesIn(classA int64) int64 {
	work := l.sync.A() - l.first
	if work <= 0 {
		return 0
	}
	n := max(0, min(classA-l.first, work))
	files, _ := decimal.NewFromInt(l.files).Mul(decimal.NewFromInt(n)).QuoRem(decimal.NewFromInt(work), 0)
	return files.IntPart()
}

// reckoned is how long a sync takes.
type reckoned struct {
	took           time.Duration
	bytesPerSecond float64
	filesPerSecond float64 // 0: not known
	syncs          int     // that were measured
	rate           rateFrom
}

// rateFrom says where a rate comes from.
type rateFrom uint8

const (
	rateAssumed rateFrom = iota
	rateTyped
	rateMeasured
)

// reckon takes the slower of files and bytes.
// Bytes per second are those typed, else those measured, else an assumption, and the
// result says which. Files per second can only be measured: typed is a rate of bytes.
func (v speed) reckon(l workload, typed int64) reckoned {
	r := reckoned{bytesPerSecond: assumedRate, syncs: v.syncs}
	var bytes float64
	r.filesPerSecond, bytes = v.perSecond()
	switch {
	case typed > 0:
		r.bytesPerSecond, r.rate = float64(typed), rateTyped
	case bytes > 0:
		r.bytesPerSecond, r.rate = bytes, rateMeasured
	}
	seconds := float64(l.bytes) / r.bytesPerSecond
	if r.filesPerSecond > 0 {
		seconds = max(seconds, float64(l.files)/r.filesPerSecond)
	}
	r.took = time.Duration(min(seconds, longestTime.Seconds()) * float64(time.Second))
	return r
}

// longestTime is where a duration stops meaning anything.
const longestTime = 100 * 365 * 24 * time.Hour
