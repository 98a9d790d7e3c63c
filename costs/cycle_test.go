package costs_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"example.org/mediamove/costs"
)

func TestCycle(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		day              int
		at, from, before string
	}{
		{1, "2026-11-22T12:00:00Z", "2026-11-01", "2026-12-01"},
		{15, "2026-11-22T12:00:00Z", "2026-11-15", "2026-12-15"},
		{15, "2026-11-14T23:59:59Z", "2026-10-15", "2026-11-15"},
		{15, "2026-11-15T00:00:00Z", "2026-11-15", "2026-12-15"},
		{15, "2026-11-15T08:59:00+09:00", "2026-10-15", "2026-11-15"}, // the 14th in UTC
		{1, "2026-11-30T22:00:00-05:00", "2026-12-01", "2027-01-01"},  // December in UTC
		{15, "2027-01-03T00:00:00Z", "2026-12-15", "2027-01-15"},
		{31, "2026-02-27T00:00:00Z", "2026-01-31", "2026-02-28"},
		{31, "2026-02-28T00:00:00Z", "2026-02-28", "2026-03-31"},
		{31, "2028-02-28T00:00:00Z", "2028-01-31", "2028-02-29"},
		{31, "2028-02-29T00:00:00Z", "2028-02-29", "2028-03-31"},
		{30, "2026-03-29T00:00:00Z", "2026-02-28", "2026-03-30"},
		{29, "2028-03-01T00:00:00Z", "2028-02-29", "2028-03-29"},
		{31, "2026-05-30T00:00:00Z", "2026-04-30", "2026-05-31"},
		{0, "2026-11-22T12:00:00Z", "2026-11-01", "2026-12-01"},
		{-5, "2026-11-22T12:00:00Z", "2026-11-01", "2026-12-01"},
		{99, "2026-04-29T12:00:00Z", "2026-03-31", "2026-04-30"},
	} {
		at, err := time.Parse(time.RFC3339, tt.at)
		if err != nil {
			t.Fatal(err)
		}
		p := costs.Cycle{Day: tt.day}.Of(at)
		if p.From.String() != tt.from || p.To.String() != tt.before {
			t.Errorf("day %d, %s: %v until before %v; want %s, %s", tt.day, tt.at, p.From, p.To, tt.from, tt.before)
		}
	}
}

func TestNewCycle(t *testing.T) {
	t.Parallel()
	for day, ok := range map[int]bool{0: false, 1: true, 31: true, 32: false, -1: false} {
		if c, err := costs.NewCycle(day); (err == nil) != ok || ok && c.Day != day {
			t.Errorf("%d: %v, %v", day, c, err)
		}
	}
}

// TestCycleLaws: the periods cover all days, each once; they begin on the
// cycle's day or on the last of a shorter month; leap years too.
func TestCycleLaws(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := costs.Cycle{Day: rapid.IntRange(1, 31).Draw(t, "day")}
		at := time.Unix(rapid.Int64Range(-3e9, 1e10).Draw(t, "at"), 0) // 1874 to 2286
		p := c.Of(at)
		if !p.Contains(costs.DayOf(at)) {
			t.Fatalf("%v is not in %v", at.UTC(), p)
		}
		for range 14 {
			year, month, first := p.From.Start().Date()
			last := time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
			if first != min(c.Day, last) {
				t.Fatalf("%v begins on %d, not on %d", p, first, min(c.Day, last))
			}
			if n := p.Days(); n < 28 || n > 31 || n != len(slices.Collect(p.All())) {
				t.Fatalf("%v has %d days", p, n)
			}
			if c.Month(year, month) != p || c.Of(p.From.Start()) != p || c.Of(p.To.Start().Add(-1)) != p {
				t.Fatalf("%v: Month is %v, its ends are in %v and %v", p, c.Month(year, month), c.Of(p.From.Start()), c.Of(p.To.Start().Add(-1)))
			}
			next := c.Next(p)
			if next.From != p.To {
				t.Fatalf("after %v comes %v", p, next)
			}
			p = next
		}
	})
}

// TestCycleYears: twelve periods make a year, whatever the day; 366 days only
// if February 29 falls into them.
func TestCycleYears(t *testing.T) {
	t.Parallel()
	for day := 1; day <= 31; day++ {
		c := costs.Cycle{Day: day}
		for year, want := range map[int]int{2026: 365, 2028: 366, 2100: 365, 2000: 366} {
			days := 0
			for month := time.January; month <= time.December; month++ {
				days += c.Month(year, month).Days()
			}
			if days != want {
				t.Errorf("day %d: %d has %d days", day, year, days)
			}
		}
	}
}

func TestElapsed(t *testing.T) {
	t.Parallel()
	p := thirty()
	start := p.From.Start()
	for _, tt := range []struct {
		after time.Duration
		want  string
	}{
		{-time.Hour, "0"},
		{0, "0"},
		{15 * 24 * time.Hour, "0.5"},
		{10 * 24 * time.Hour, "0.333333333"},
		{20 * 24 * time.Hour, "0.666666666"}, // rounded down
		{30*24*time.Hour - 1, "0.999999999"},
		{30 * 24 * time.Hour, "1"},
		{90 * 24 * time.Hour, "1"},
	} {
		if got := p.Elapsed(start.Add(tt.after)); !got.Equal(dec(tt.want)) {
			t.Errorf("after %v: %v, want %s", tt.after, got, tt.want)
		}
	}
}

func TestDay(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 8, 0, 0, 0, time.FixedZone("JST", 9*60*60))
	d := costs.DayOf(at)
	if d.String() != "2026-11-21" || d != costs.Date(2026, 11, 21) || !d.Start().Equal(time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("%v is %v", at, d)
	}
	for _, s := range []string{"1970-01-01", "1969-12-31", "2000-02-29", "0001-01-01", "9999-12-31"} {
		d, err := costs.ParseDay(s)
		if err != nil || d.String() != s || costs.DayOf(d.Start()) != d || costs.DayOf(d.Start().Add(24*time.Hour-1)) != d {
			t.Errorf("%s: %v, %v", s, d, err)
		}
	}
	for _, s := range []string{"", "2026-02-29", "2026-1-1", "22.11.2026", "2026-11-22T00:00:00Z"} {
		if d, err := costs.ParseDay(s); err == nil {
			t.Errorf("%q is %v", s, d)
		}
	}
	p := costs.Period{From: costs.Date(2026, 11, 15), To: costs.Date(2026, 12, 15)}
	if p.String() != "2026-11-15 to 2026-12-14" || p.Contains(p.To) || p.Contains(p.From-1) || !p.Contains(p.From) {
		t.Errorf("%v", p)
	}
	for range p.All() {
		break // an early end is fine
	}
	if n := (costs.Period{From: p.To, To: p.From}).Days(); n != 0 {
		t.Errorf("a period that ends before it begins has %d days", n)
	}
}

func TestDayJSON(t *testing.T) {
	t.Parallel()
	stored := costs.Storage{costs.Date(2026, 11, 22): 5}
	data, err := json.Marshal(stored)
	if err != nil || string(data) != `{"2026-11-22":5}` {
		t.Fatalf("%s, %v", data, err)
	}
	var back costs.Storage
	if err := json.Unmarshal(data, &back); err != nil || back[costs.Date(2026, 11, 22)] != 5 {
		t.Errorf("%v, %v", back, err)
	}
	if err := json.Unmarshal([]byte(`{"22":5}`), &back); err == nil {
		t.Error("22 is read as a day")
	}
}

func FuzzParseDay(f *testing.F) {
	f.Add("2026-11-22")
	f.Add("0000-00-00")
	f.Fuzz(func(t *testing.T, s string) {
		d, err := costs.ParseDay(s)
		if err == nil && d.String() != s {
			t.Errorf("%q is %v", s, d)
		}
	})
}
