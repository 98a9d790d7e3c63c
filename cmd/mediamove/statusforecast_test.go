package main

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

// A saw is a ledger of nights, in each of which so much came and so much was removed.
type saw struct {
	t     *testing.T
	led   *ledger.Ledger
	run   int64
	holds int64
	began time.Time
}

func newSaw(t *testing.T, holds int64) *saw {
	t.Helper()
	led, err := ledger.Open(t.Context(), t.TempDir(), ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = led.Close() })
	return &saw{t: t, led: led, holds: holds, began: at(3)}
}

func (s *saw) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// night lists, removes, and records its day unless it is killed before that. With a budget
// it ends as a nightly that kept it.
func (s *saw) night(day int, came, removed, kept int64, killed bool) time.Time {
	s.t.Helper()
	ctx, now := s.t.Context(), s.began.AddDate(0, 0, day)
	run, err := s.led.Begin(ctx, "nightly", now)
	s.must(err)
	s.run, s.holds = run, s.holds+came
	d := ledger.BucketDay{Day: costs.DayOf(now), Run: run, At: now, Bytes: s.holds, Removed: ledger.ClassSum{Bytes: removed}}
	r := ledger.Removal{Run: run, Key: media.Key(fmt.Sprintf("k/%d", run)), Policy: "prune", Reason: "r", Size: removed, ETag: "e", State: ledger.RemovalIntent, Intended: now}
	s.must(s.led.Intend(ctx, []ledger.Removal{r}))
	r.State, r.Ended = ledger.RemovalRemoved, now
	s.must(s.led.EndRemovals(ctx, []ledger.Removal{r}))
	s.holds -= removed
	if killed {
		return now
	}
	s.must(s.led.RecordBucket(ctx, d))
	counts := "{}"
	if kept > 0 {
		counts = fmt.Sprintf(`{"budget_kept": %d}`, kept)
	}
	s.must(s.led.Finish(ctx, run, ledger.RunEnd{At: now, Complete: true, Counts: []byte(counts)}))
	return now
}

func (s *saw) outlook(now time.Time, budget int64) *forecastJSON {
	s.t.Helper()
	o, err := readOutlook(s.t.Context(), s.led, now, budget)
	s.must(err)
	return o.Growth
}

// A bucket that prune takes back every night grows by what comes, and crosses nothing.
func TestForecastOfASaw(t *testing.T) {
	t.Parallel()
	const budget = 100_000
	s := newSaw(t, 99_000)
	var now time.Time
	for day := range 40 {
		now = s.night(day, 2000, 2000, budget, day%7 == 5) // some are killed, having removed
	}
	f := s.outlook(now, budget)
	if f == nil || math.Abs(f.BytesPerDay-2000) > 1e-6 || f.Crosses != nil || f.Kept != budget || !strings.Contains(f.words(), "+2 kB a day, and nightly keeps it under 100 kB") {
		t.Errorf("%+v: %s", f, f.words())
	}
	// Another budget than the one that it is kept under, or a timer that failed for days.
	if f := s.outlook(now, budget-500); f.Kept != 0 || f.Crosses == nil || f.Crosses.After(now.Add(24*time.Hour)) {
		t.Errorf("%+v", f)
	}
	if f := s.outlook(now, 0); f.Kept != budget || f.Crosses != nil {
		t.Errorf("%+v", f)
	}
	late := now.Add(keptFor + time.Second)
	if f := s.outlook(late, budget); f.Kept != 0 || f.Crosses == nil {
		t.Errorf("%+v", f)
	}
	// A night that could not keep it.
	now = s.night(40, 9000, 0, 0, false)
	if f := s.outlook(now, budget); f.Kept != 0 || f.Crosses == nil || !f.Crosses.Equal(now) {
		t.Errorf("%+v", f)
	}
}

// What undo puts back came from nobody.
func TestForecastAfterUndo(t *testing.T) {
	t.Parallel()
	s := newSaw(t, 50_000)
	for day := range 5 {
		s.night(day, 100, 10_000, 0, false)
	}
	run, err := s.led.Begin(t.Context(), "undo", s.began)
	s.must(err)
	s.must(s.led.Restored(t.Context(), ledger.Restoration{Run: s.run, By: run, Key: media.Key(fmt.Sprintf("k/%d", s.run)), ETag: "e", At: s.began.AddDate(0, 0, 5)}))
	s.holds += 10_000
	now := s.night(6, 200, 0, 0, false)
	if f := s.outlook(now, 50_000); f == nil || math.Abs(f.BytesPerDay-100) > 1e-6 || f.Crosses == nil {
		t.Errorf("%+v", f)
	}
}

// Two days tell nothing.
func TestForecastNeedsDays(t *testing.T) {
	t.Parallel()
	s := newSaw(t, 0)
	if f := s.outlook(s.began, 10); f != nil {
		t.Errorf("%+v", f)
	}
	for day := range 2 {
		s.night(day, 100, 0, 0, false)
	}
	if f := s.outlook(s.began.AddDate(0, 0, 2), 10); f != nil {
		t.Errorf("%+v", f)
	}
}
