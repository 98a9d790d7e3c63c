package cloudflare

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// brief writes a coverage as one letter a day.
func brief(c Coverage) string {
	letters := map[Day]string{}
	for reason, letter := range map[Reason]string{
		TooOld: "o", NotAnswered: "a", NotOver: "n", TooMany: "m", NoRows: "0", Gap: "g",
	} {
		letters[Day{State: Missing, Reason: reason}] = letter
		letters[Day{State: Partial, Reason: reason}] = strings.ToUpper(letter)
	}
	letters[Day{State: Complete}] = "."
	var b strings.Builder
	for _, d := range c {
		letter, ok := letters[Day{State: d.State, Reason: d.Reason}]
		if !ok {
			letter = "?"
		}
		b.WriteString(letter)
	}
	return b.String()
}

func daily(bucket string, from time.Time, days int) []event {
	var all []event
	for i := range days {
		all = append(all, event{from.AddDate(0, 0, i).Add(11 * time.Hour), bucket, "PutObject", Success, ClassStandard, 1, 0})
	}
	return all
}

// Now is 20 November, 12:00. The answers begin at 20 October, 13:00.
func TestWhichDaysAreKnown(t *testing.T) {
	t.Parallel()
	oct := func(d int) time.Time { return nov(d).AddDate(0, -1, 0) }
	tests := []struct {
		name     string
		now      time.Time
		from, to time.Time
		keeps    time.Duration
		want     string
		asked    int
	}{
		{"days in the middle", noon(), nov(10), nov(13), 0, "...", 1},
		{"parts of days are days", noon(), nov(10).Add(23 * time.Hour), nov(12).Add(time.Second), 0, "...", 1},
		{"another zone's midnight", noon(), nov(10).In(time.FixedZone("JST", 9*3600)), nov(11).In(time.FixedZone("JST", 9*3600)), 0, ".", 1},
		{"today is not over, tomorrow not here", noon(), nov(19), nov(22), 0, ".Nn", 1},
		{"just over", nov(20).Add(59 * time.Minute), nov(18), nov(20), 0, ".N", 1},
		{"an hour over", nov(20).Add(time.Hour), nov(18), nov(20), 0, "..", 1},
		{"the first second of a day", nov(20), nov(19), nov(21), 0, "Nn", 1},
		{"a cycle of 33 days", noon(), oct(18), nov(20), 0, "oo" + "o" + strings.Repeat(".", 30), 5},
		{"all too old", noon(), nov(1).AddDate(0, -3, 0), nov(1).AddDate(0, -3, 4), 0, "oooo", 0},
		{"all ahead", noon(), nov(21), nov(23), 0, "nn", 0},
		{"kept exactly since midnight", nov(20).Add(-time.Hour), oct(20), oct(22), 0, "..", 1},
		{"a second later it isn't", nov(20).Add(-time.Hour + time.Second), oct(20), oct(22), 0, "O.", 1},
		{"a plan that keeps a week", noon(), nov(10), nov(20), 7 * day, "oooo......", 1 + 7 + 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := &api{now: tt.now, keeps: tt.keeps, events: append(daily("media", oct(10), 43), daily("media", oct(10).Add(-11*time.Hour), 43)...)}
			o, err := a.client(t).Operations(t.Context(), "media", tt.from, tt.to)
			if err != nil {
				t.Fatal(err)
			}
			if got := brief(o.Coverage); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			if got := len(a.queries()); got != tt.asked {
				t.Errorf("%d queries, want %d: %v", got, tt.asked, a.queries())
			}
			for _, d := range o.Coverage {
				for _, r := range o.Rows {
					if d.State == Complete && r.Day.Equal(d.Date) && r.Requests != 2 {
						t.Errorf("%+v lacks some: %+v", d, r)
					}
				}
			}
			if o.Coverage.Whole() != (strings.Trim(tt.want, ".") == "") {
				t.Errorf("%s whole: %t", tt.want, o.Coverage.Whole())
			}
		})
	}
}

func TestSpansThatCantBeAsked(t *testing.T) {
	t.Parallel()
	a := &api{}
	c := a.client(t)
	for want, s := range map[string]span{
		"no time between":          {nov(3), nov(3)},
		"no time between 2026-11-": {nov(4), nov(3)},
		"401 days asked for":       {nov(1), nov(1).AddDate(0, 0, 401)},
		"days asked for, more":     {time.Time{}, nov(1)},
	} {
		if _, err := c.Storage(t.Context(), "", s.from, s.to); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", s, err)
		}
	}
	if s, err := c.Storage(t.Context(), "", nov(1).AddDate(0, 0, -400), nov(1)); err != nil || len(s.Coverage) != 400 {
		t.Error(len(s.Coverage), err)
	}
}

// However a span is cut, its parts are the span.
func TestCutting(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		from := time.Unix(rapid.Int64Range(0, 1<<32).Draw(t, "from"), 0).UTC()
		s := span{from, from.Add(time.Duration(rapid.Int64Range(1, 20*86_400).Draw(t, "seconds")) * time.Second)}
		for name, parts := range map[string][]span{"weeks": s.weeks(), "days": s.cut(day), "hours": s.cut(time.Hour), "parts": s.parts()} {
			if parts == nil {
				if name != "parts" || s.from.Truncate(time.Hour) != s.to.Add(-1).Truncate(time.Hour) {
					t.Fatalf("no %s of %v", name, s)
				}
				continue
			}
			at := s.from
			for _, p := range parts {
				if !p.from.Equal(at) || !p.from.Before(p.to) {
					t.Fatalf("%s of %v: %v", name, s, parts)
				}
				if name == "days" && !p.oneDay() || name == "weeks" && p.to.Sub(p.from) > asked {
					t.Fatalf("%s of %v: %v is too long", name, s, p)
				}
				at = p.to
			}
			if !at.Equal(s.to) {
				t.Fatalf("%s of %v end at %s", name, s, at)
			}
		}
	})
}

func TestCoverageLists(t *testing.T) {
	t.Parallel()
	c := Coverage{
		{nov(1), Missing, TooOld, SamplingUnknown},
		{nov(2), Complete, "", Sampled},
		{nov(3), Partial, NotOver, Sampled},
	}
	var got []string
	for d := range c.In(Missing) {
		got = append(got, "missing "+d.Date.Format(time.DateOnly))
	}
	for d := range c.Sampled() {
		got = append(got, "sampled "+d.Date.Format(time.DateOnly))
		break
	}
	if diff := cmp.Diff([]string{"missing 2026-11-01", "sampled 2026-11-02"}, got); diff != "" {
		t.Error(diff)
	}
	if c.Whole() || c[1:2].Whole() || !(Coverage{{nov(1), Complete, "", Unsampled}, {nov(2), Complete, "", SamplingUnknown}}).Whole() {
		t.Error("whole")
	}
	for s, want := range map[Sampling]string{SamplingUnknown: "unknown", Unsampled: "no", Sampled: "yes"} {
		if s.String() != want || s.with(s) != s || s.with(Sampled) != Sampled || Sampled.with(s) != Sampled {
			t.Errorf("%d is %s", s, s)
		}
	}
	if Unsampled.with(SamplingUnknown) != SamplingUnknown || SamplingUnknown.with(Unsampled) != SamplingUnknown {
		t.Error("one unknown figure makes the day unknown")
	}
}
