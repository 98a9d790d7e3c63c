package costs_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"example.org/mediamove/costs"
)

// instance is an account of which ten whole days are known, with 40,000 Class A
// and 100,000 Class B a day and 100 GB that grow by 1 GB a day. Of November 11,
// the morning is.
func instance() (costs.Outlook, costs.Period) {
	p := thirty()
	today := p.From + 10
	a := standard(make(costs.Storage), perDay(costs.Period{From: p.From, To: today}, costs.Usage{costs.PutObject: 40_000, costs.GetObject: 100_000}))
	a.Standard.Requests[today] = costs.Usage{costs.PutObject: 5_000}
	for d := p.From; d < today; d++ {
		a.Standard.Stored[d] = (100 + int64(d-p.From)) * gb
	}
	return costs.Outlook{Prices: costs.R2(), Account: a, Today: today}, p
}

func usd(b costs.Bill, meter string) string {
	return costs.FormatUSD(b.Line(costs.StandardClass, meter).USD)
}

func TestForecast(t *testing.T) {
	t.Parallel()
	o, p := instance()
	f := o.Forecast(p)
	if a := f.Bill.Line(costs.StandardClass, "Class A"); a.Quantity.IntPart() != 1_200_000 || costs.FormatUSD(a.USD) != "4.50" {
		t.Errorf("Class A %v for %v", a.Quantity, a.USD)
	}
	if b := f.Bill.Line(costs.StandardClass, "Class B"); b.Quantity.IntPart() != 3_000_000 || !b.USD.IsZero() {
		t.Errorf("Class B %v for %v", b.Quantity, b.USD)
	}
	// the average of 100 to 129 GB is 114.5
	if s := f.Bill.Line(costs.StandardClass, costs.StorageMeter); !s.Quantity.Equal(dec("114.5")) || costs.FormatUSD(s.USD) != "1.575" {
		t.Errorf("storage %v for %v", s.Quantity, s.USD)
	}
	if len(f.Days) != 30 || f.Period != p || len(f.Bill.Lines) != 3 {
		t.Errorf("%d days of %v, %d lines", len(f.Days), f.Period, len(f.Bill.Lines))
	}
	for i, e := range f.Days {
		if e.Day != p.From+costs.Day(i) || e.Expected != (i >= 10) || e.ClassA != 40_000 || e.ClassB != 100_000 || e.Bytes != (100+int64(i))*gb {
			t.Errorf("day %d: %+v", i, e)
		}
	}
	if got := f.Days[29].Bill.Total; !got.Equal(f.Bill.Total) {
		t.Errorf("the last day ends at %v, the forecast at %v", got, f.Bill.Total)
	}
}

// TestCrosses: Class A steps on November 26, as 25 days make just a million;
// by then storage has cost 1.32.
func TestCrosses(t *testing.T) {
	t.Parallel()
	o, p := instance()
	f := o.Forecast(p)
	for _, tt := range []struct {
		budget, day, meter, rise, total string
	}{
		{"5.00", "2026-11-26", "Class A", "4.50", "5.82"},
		{"5.81", "2026-11-26", "Class A", "4.50", "5.82"},
		{"5.82", "2026-11-27", costs.StorageMeter, "0.06", "5.88"},
		{"6.00", "2026-11-29", costs.StorageMeter, "0.075", "6.015"},
		{"0.00", "2026-11-03", costs.StorageMeter, "0.015", "0.015"},
		{"-1", "2026-11-03", costs.StorageMeter, "0.015", "0.015"},
	} {
		s, ok := f.Crosses(dec(tt.budget))
		if !ok || s.Day.String() != tt.day || s.Meter != tt.meter || costs.FormatUSD(s.USD) != tt.rise || costs.FormatUSD(s.Total) != tt.total {
			t.Errorf("%s is crossed: %v, %+v; want %+v", tt.budget, ok, s, tt)
		}
	}
	if s, ok := f.Crosses(f.Bill.Total); ok {
		t.Errorf("the budget that is just used up is crossed: %+v", s)
	}
	var steps int
	for _, s := range f.Steps() {
		if s.Meter == "Class A" {
			steps++
		}
	}
	if steps != 1 {
		t.Errorf("%d steps of Class A", steps)
	}
}

// TestForecastKnowsOnce: a first sync is counted, but is no habit.
func TestForecastKnowsOnce(t *testing.T) {
	t.Parallel()
	for _, day := range []costs.Day{1, 3, 4, 8, 10} { // before the window, on its edge, in it, and today
		o, p := instance()
		plain := o.Forecast(p)
		sync := costs.Work{Day: p.From + day, Requests: costs.Usage{costs.PutObject: 900_000, costs.HeadObject: 7}, Bytes: 90 * gb}
		add(o.Account.Standard.Requests, sync.Day, sync.Requests)
		for d := sync.Day; d < o.Today; d++ {
			o.Account.Standard.Stored[d] += sync.Bytes
		}
		if sync.Day == o.Today {
			o.Account.Standard.Stored[o.Today] = 200 * gb
		}
		o.Once = []costs.Work{sync}
		f := o.Forecast(p)
		for i, e := range f.Days {
			want := plain.Days[i].ClassA
			if e.Day == sync.Day {
				want += 900_000
			}
			bytes := plain.Days[i].Bytes
			if e.Day >= sync.Day {
				bytes += sync.Bytes
			}
			if e.ClassA != want || e.Bytes != bytes {
				t.Errorf("sync on %v: %v has %d Class A and %d bytes, want %d and %d", sync.Day, e.Day, e.ClassA, e.Bytes, want, bytes)
			}
		}
	}
}

// TestForecastOnceTooMuch: one-off work of more than was counted takes nothing
// off the other days.
func TestForecastOnceTooMuch(t *testing.T) {
	t.Parallel()
	o, p := instance()
	o.Once = []costs.Work{{Day: o.Today - 1, Requests: costs.Usage{costs.PutObject: 90_000}}}
	if got := o.Forecast(p).Days[11].ClassA; got != 34_286 { // 6 × 40,000 in 7 days
		t.Errorf("%d Class A tomorrow", got)
	}
}

func TestForecastKnowsPlans(t *testing.T) {
	t.Parallel()
	o, p := instance()
	o.Planned = []costs.Work{
		{Requests: costs.Usage{costs.PutObject: 1_000}, Bytes: gb}, // no day: today
		{Day: p.From + 20, Requests: costs.Usage{costs.PutObject: 30_000, costs.GetObject: 5}, Bytes: 50 * gb},
		{Day: p.From + 25, Bytes: -60 * gb}, // is seen the day after
		{Day: p.To, Requests: costs.Usage{costs.PutObject: 1}, Bytes: 1},
	}
	f := o.Forecast(p)
	for i, want := range map[int]struct{ a, gb int64 }{
		9: {40_000, 109}, 10: {41_000, 111}, 19: {40_000, 120}, 20: {70_000, 171}, 25: {40_000, 176}, 26: {40_000, 117}, 29: {40_000, 120},
	} {
		if e := f.Days[i]; e.ClassA != want.a || e.Bytes != want.gb*gb {
			t.Errorf("%v: %d Class A, %d bytes; want %+v", e.Day, e.ClassA, e.Bytes, want)
		}
	}
	if got := f.Bill.Line(costs.StandardClass, "Class A").Quantity.IntPart(); got != 1_231_000 {
		t.Errorf("%d Class A in all", got)
	}
	next := o.Forecast(costs.Cycle{}.Next(p))
	if e := next.Days[0]; e.ClassA != 40_001 || e.Bytes != 121*gb+1 || !e.Expected {
		t.Errorf("the next period begins with %+v", e)
	}
	if got := next.Bill.Line(costs.StandardClass, "Class A").Quantity.IntPart(); got != 31*40_000+1 {
		t.Errorf("%d Class A in the next period", got)
	}
}

// TestForecastSpares: what is planned below 0 is what isn't sent in the end,
// down to what is metered.
func TestForecastSpares(t *testing.T) {
	t.Parallel()
	o, p := instance()
	o.Planned = []costs.Work{{Day: p.From + 27, Requests: costs.Usage{costs.PutObject: -90_000}}}
	f := o.Forecast(p)
	if f.Days[29].ClassA != 0 || f.Days[28].ClassA != 0 || f.Days[27].ClassA != 30_000 {
		t.Errorf("the last days have %d, %d, %d", f.Days[27].ClassA, f.Days[28].ClassA, f.Days[29].ClassA)
	}
	o.Planned[0].Requests[costs.PutObject] = -9_000_000
	f = o.Forecast(p)
	if f.Days[27].ClassA != 0 || f.Days[26].ClassA != 40_000 {
		t.Errorf("before its day %d, on it %d", f.Days[26].ClassA, f.Days[27].ClassA)
	}
	o.Planned = []costs.Work{{Requests: costs.Usage{costs.PutObject: -9_000_000, costs.GetObject: -10_000_000}, Bytes: -1000 * gb}}
	f = o.Forecast(p)
	if a := f.Bill.Line(costs.StandardClass, "Class A").Quantity.IntPart(); a != 405_000 || f.Days[10].ClassA != 5_000 {
		t.Errorf("%d Class A are left of those metered", a)
	}
	if b := f.Bill.Line(costs.StandardClass, "Class B").Quantity.IntPart(); b != 1_000_000 {
		t.Errorf("%d Class B", b)
	}
	if f.Days[10].Bytes != 110*gb || f.Days[11].Bytes != 0 {
		t.Errorf("today %d bytes, tomorrow %d", f.Days[10].Bytes, f.Days[11].Bytes)
	}
}

// TestForecastFromLittle: an account with no history, or only today's.
func TestForecastFromLittle(t *testing.T) {
	t.Parallel()
	p := thirty()
	o := costs.Outlook{Prices: costs.R2(), Today: p.From}
	if f := o.Forecast(p); !f.Bill.Total.IsZero() || len(f.Days) != 30 || len(f.Steps()) != 0 {
		t.Errorf("nothing costs %v", f.Bill.Total)
	}
	o.Account = standard(costs.Storage{p.From: 50 * gb}, once(p, costs.Usage{costs.PutObject: 11}))
	f := o.Forecast(p)
	if a := f.Bill.Line(costs.StandardClass, "Class A").Quantity.IntPart(); a != 330 || f.Days[29].Bytes != 50*gb {
		t.Errorf("from one day: %d Class A, %d bytes", a, f.Days[29].Bytes)
	}
	o.Today += 2 // the second day had no requests, and no figure for storage
	o.Account.Standard.Stored[o.Today] = 54 * gb
	f = o.Forecast(p)
	if f.Days[1].Bytes != 50*gb || f.Days[2].Bytes != 54*gb || f.Days[29].Bytes != 54*gb || f.Days[2].ClassA != 6 || f.Days[3].ClassA != 6 || f.Days[4].ClassA != 5 {
		t.Errorf("from two days: %+v", f.Days[:3])
	}
	if f := o.Forecast(costs.Period{From: p.From, To: p.From}); len(f.Days) != 0 || len(f.Bill.Lines) != 3 {
		t.Errorf("a period without days: %+v", f)
	}
}

// TestForecastWindow: a window of one day sees only yesterday; growth needs two.
func TestForecastWindow(t *testing.T) {
	t.Parallel()
	o, p := instance()
	add(o.Account.Standard.Requests, o.Today-1, costs.Usage{costs.PutObject: 60_000})
	for window, want := range map[int]int64{1: 100_000, 2: 70_000, 100: 46_000} {
		o.Window = window
		if got := o.Forecast(p).Days[15].ClassA; got != want {
			t.Errorf("window of %d days: %d a day, want %d", window, got, want)
		}
	}
	o.Window = 1
	if got := o.Forecast(p).Days[29].Bytes; got != 109*gb {
		t.Errorf("growth of one day: %d bytes", got)
	}
}

// TestForecastGaps: a day that isn't known slows nothing down, and is expected to have
// been like the others; what is known of it stays.
func TestForecastGaps(t *testing.T) {
	t.Parallel()
	for name, gaps := range map[string][]costs.Day{
		"yesterday": {1}, "long ago": {9}, "some": {1, 2, 5}, "the whole window": {1, 2, 3, 4, 5, 6, 7},
	} {
		o, p := instance()
		o.Account.Standard.Requests[o.Today] = costs.Usage{costs.PutObject: 40_000, costs.GetObject: 100_000}
		o.Once = []costs.Work{{Day: o.Today - 1, Requests: costs.Usage{costs.PutObject: 300_000}}}
		add(o.Account.Standard.Requests, o.Today-1, costs.Usage{costs.PutObject: 300_000})
		whole := o.Forecast(p)
		o.Gaps = map[costs.Day]bool{}
		for _, n := range gaps {
			d := o.Today - n
			o.Gaps[d] = true
			delete(o.Account.Standard.Requests, d)
			if d == o.Today-1 {
				o.Account.Standard.Requests[d] = costs.Usage{costs.PutObject: 300_000}
			}
		}
		f := o.Forecast(p)
		if got, want := f.Bill.Line(costs.StandardClass, "Class A").Quantity, whole.Bill.Line(costs.StandardClass, "Class A").Quantity; !got.Equal(want) {
			t.Errorf("%s: %v Class A, want %v", name, got, want)
		}
		for i, e := range f.Days {
			if e.ClassB != 100_000 || e.Expected != (e.Day >= o.Today || o.Gaps[e.Day]) || e.ClassA != whole.Days[i].ClassA {
				t.Errorf("%s: %+v", name, e)
			}
		}
	}
}

// TestForecastShrinks: a cache that is pruned goes down to nothing, not below.
func TestForecastShrinks(t *testing.T) {
	t.Parallel()
	o, p := instance()
	for d := p.From; d < o.Today; d++ {
		o.Account.Standard.Stored[d] = (30 - 2*int64(d-p.From)) * gb
	}
	f := o.Forecast(p)
	if f.Days[10].Bytes != 12*gb || f.Days[11].Bytes != 10*gb || f.Days[16].Bytes != 0 || f.Days[29].Bytes != 0 {
		t.Errorf("%d, %d, %d, %d bytes", f.Days[10].Bytes, f.Days[11].Bytes, f.Days[16].Bytes, f.Days[29].Bytes)
	}
}

func TestForecastOfInfrequentAccess(t *testing.T) {
	t.Parallel()
	o, p := instance()
	o.Account.Infrequent = costs.Track{
		Requests:  perDay(costs.Period{From: p.From, To: o.Today}, costs.Usage{costs.GetObject: 10}),
		Stored:    costs.Storage{p.From - 20: 100 * gb},
		Retrieved: map[costs.Day]int64{o.Today - 1: 7 * gb},
	}
	o.Once = []costs.Work{{Day: o.Today - 1, Bytes: 8 * gb}} // in Standard, as all work
	o.Account.Standard.Requests[o.Today-1] = costs.Usage{costs.PutObject: 39_993, costs.LifecycleStorageTierTransition: 7}
	f := o.Forecast(p)
	for meter, want := range map[string]string{costs.StorageMeter: "1.00", "Class A": "9.00", "Class B": "0.90", costs.RetrievalMeter: "0.27"} {
		if got := costs.FormatUSD(f.Bill.Line(costs.InfrequentAccess, meter).USD); got != want {
			t.Errorf("%s: %s, want %s", meter, got, want)
		}
	}
	for _, e := range f.Days {
		if len(e.Bill.Lines) != 7 || e.ClassA != 40_000 {
			t.Errorf("%v: %d lines, %d Class A", e.Day, len(e.Bill.Lines), e.ClassA)
		}
	}
}

// TestForecastSince: history begins with the first request of either class.
func TestForecastSince(t *testing.T) {
	t.Parallel()
	p := thirty()
	older := costs.Track{Requests: map[costs.Day]costs.Usage{p.From: {costs.GetObject: 70}}}
	newer := costs.Track{Requests: map[costs.Day]costs.Usage{p.From + 3: {costs.GetObject: 70}}}
	for _, tt := range []struct {
		account costs.Account
		want    int64 // on the next day, of Class B
	}{
		{costs.Account{Standard: older, Infrequent: newer}, 28}, // 5 days of each 70
		{costs.Account{Standard: newer, Infrequent: older}, 28},
		{costs.Account{Infrequent: older}, 14},
		{costs.Account{Infrequent: newer}, 35},
		{costs.Account{Standard: newer}, 35},
	} {
		o := costs.Outlook{Prices: costs.R2(), Account: tt.account, Today: p.From + 5}
		if got := o.Forecast(p).Days[6].ClassB; got != tt.want {
			t.Errorf("%+v: %d a day, want %d", tt.account, got, tt.want)
		}
	}
}

func BenchmarkForecast(b *testing.B) {
	o, p := instance()
	for b.Loop() {
		_ = o.Forecast(p)
	}
}

func anyOutlook(t *rapid.T, p costs.Period) costs.Outlook {
	o := costs.Outlook{
		Prices:  costs.R2(),
		Account: costs.Account{Standard: anyTrack(t, p)},
		Today:   p.From + costs.Day(rapid.IntRange(-2, 33).Draw(t, "today")),
		Window:  rapid.IntRange(0, 12).Draw(t, "window"),
	}
	if rapid.Bool().Draw(t, "infrequent too") {
		o.Account.Infrequent = anyTrack(t, p)
	}
	for _, track := range []costs.Track{o.Account.Standard, o.Account.Infrequent} {
		for d := o.Today + 1; d < p.To; d++ { // the future isn't metered
			delete(track.Requests, d)
			delete(track.Stored, d)
			delete(track.Retrieved, d)
		}
	}
	return o
}

func anyWork(t *rapid.T, p costs.Period) costs.Work {
	return costs.Work{
		Day:      p.From + costs.Day(rapid.IntRange(-3, 33).Draw(t, "work's day")),
		Requests: costs.Usage{costs.PutObject: rapid.Int64Range(0, 3_000_000).Draw(t, "work's A"), costs.ListObjects: 3, costs.HeadObject: 9},
		Bytes:    rapid.Int64Range(0, 500*gb).Draw(t, "work's bytes"),
	}
}

// TestForecastLaws: the bill never falls during a period, what is metered stays,
// more work never costs less and less never more, and when the period is over,
// the forecast is the bill.
func TestForecastLaws(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := thirty()
		o := anyOutlook(t, p)
		f := o.Forecast(p)
		var last costs.DayEstimate
		for _, e := range f.Days {
			if e.Bill.Total.LessThan(last.Bill.Total) || e.ClassA < 0 || e.ClassB < 0 || e.Bytes < 0 {
				t.Fatalf("from %+v to %+v", last, e)
			}
			metered := o.Account.Standard.Requests[e.Day].Add(o.Account.Infrequent.Requests[e.Day])
			if e.ClassA < metered.A() || !e.Expected && e.ClassA != metered.A() {
				t.Fatalf("%v: %d Class A, metered %d", e.Day, e.ClassA, metered.A())
			}
			last = e
		}
		if now := o.Prices.BillOf(o.Account, p, o.Today); now.Total.GreaterThan(f.Bill.Total) || o.Today >= p.To && !now.Total.Equal(f.Bill.Total) {
			t.Fatalf("so far %v, in the end %v", now.Total, f.Bill.Total)
		}
		w := anyWork(t, p)
		o.Planned = []costs.Work{w}
		if more := o.Forecast(p).Bill.Total; more.LessThan(f.Bill.Total) {
			t.Fatalf("with more work %v instead of %v", more, f.Bill.Total)
		}
		o.Planned = []costs.Work{{Day: w.Day, Requests: costs.Usage{}.Sub(w.Requests), Bytes: -w.Bytes}}
		if less := o.Forecast(p).Bill.Total; less.GreaterThan(f.Bill.Total) {
			t.Fatalf("with less work %v instead of %v", less, f.Bill.Total)
		}
	})
}

// TestCrossesLaw: the budget holds on every day before the one that is named.
func TestCrossesLaw(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := anyOutlook(t, thirty()).Forecast(thirty())
		budget := dec("0.015").Mul(dec("1").Add(f.Bill.Total.Mul(dec("100")).Floor().Mod(dec("97"))))
		over := slices.IndexFunc(f.Days, func(e costs.DayEstimate) bool { return e.Bill.Total.GreaterThan(budget) })
		s, ok := f.Crosses(budget)
		if ok != (over >= 0) || ok && (s.Day != f.Days[over].Day || !s.Total.Equal(f.Days[over].Bill.Total) || !s.USD.IsPositive()) {
			t.Fatalf("%v is passed on day %d, but %+v, %v", budget, over, s, ok)
		}
		for _, other := range f.Steps() {
			if ok && other.Day == s.Day && other.USD.GreaterThan(s.USD) {
				t.Fatalf("%+v is dearer than %+v", other, s)
			}
		}
	})
}
