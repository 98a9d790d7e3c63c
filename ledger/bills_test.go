package ledger

import (
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"

	"example.org/mediamove/costs"
	"example.org/mediamove/media"
)

// today is the day of noon.
func today() costs.Day { return costs.DayOf(noon) }

func TestUsageByRun(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	got, err := l.UsageByRun(t.Context(), 0, today()+9)
	must(t, err)
	equal(t, len(got), 0)

	moved := begin(t, l, noon)
	must(t, l.AddUsage(t.Context(), moved, noon, costs.Usage{costs.PutObject: 5, costs.GetObject: 1}))
	must(t, l.Finish(t.Context(), moved, RunEnd{At: noon.AddDate(0, 0, 1), Usage: costs.Usage{costs.PutObject: 12, costs.GetObject: 1}}))
	verified, err := l.Begin(t.Context(), "verify", noon.AddDate(0, 0, 1))
	must(t, err)
	must(t, l.AddUsage(t.Context(), verified, noon.AddDate(0, 0, 1), costs.Usage{costs.ListObjects: 3}))

	first := RunDay{moved, "sync", true, today(), costs.Usage{costs.PutObject: 5, costs.GetObject: 1}}
	second := RunDay{moved, "sync", true, today() + 1, costs.Usage{costs.PutObject: 7}}
	open := RunDay{verified, "verify", false, today() + 1, costs.Usage{costs.ListObjects: 3}}
	for _, tt := range []struct {
		from, to costs.Day
		want     []RunDay
	}{
		{today(), today() + 2, []RunDay{first, second, open}},
		{today() - 40, today() + 1, []RunDay{first}},
		{today() + 1, today() + 2, []RunDay{second, open}},
		{today() + 2, today() + 40, nil},
	} {
		got, err := l.UsageByRun(t.Context(), tt.from, tt.to)
		must(t, err)
		equal(t, got, tt.want)
	}
}

// A name of a later version counts as the dearest, a day that is none as damage.
func TestUsageByRunIsCareful(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	run := begin(t, l, noon)
	write := func(day, op string) {
		must(t, l.wait(t.Context(), func(s *session) error {
			return s.exec("INSERT INTO usage (run, day, op, count) VALUES (?, ?, ?, 4)", run, day, op)
		}))
	}
	write("2026-11-30", "FoldObject")
	write("2026-11-30", "SpindleObject")
	got, err := l.UsageByRun(t.Context(), today(), today()+1)
	must(t, err)
	equal(t, got, []RunDay{{run, "sync", false, today(), costs.Usage{costs.Unknown: 8}}})
	write("2026-11-31", "PutObject")
	_, err = l.UsageByRun(t.Context(), 0, today()+9)
	wantIs(t, err, ErrCorrupt)
}

// TestStoredByDay: days in UTC to the nanosecond, what is old in one sum, and an
// object that is stored anew in its new place only.
func TestStoredByDay(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	store := func(key string, size int64, run int64, at time.Time, origin Origin) {
		must(t, l.Store(t.Context(), Entry{File: media.File{Key: media.Key(key), Size: size}, Run: run, At: at, Origin: origin}))
	}
	midnight := today().Start()
	store("old", 1, 1, midnight.AddDate(-1, 0, 0), Put)
	store("older", 10, 2, midnight.Add(-1), Adopted)
	store("first", 100, 3, midnight, Put)
	store("adopted", 1000, 3, noon, Adopted)
	store("other run", 10_000, 4, midnight.Add(24*time.Hour-1), Put)
	store("next", 100_000, 4, midnight.Add(24*time.Hour), Put)
	store("after", 1_000_000, 4, midnight.Add(48*time.Hour), Put)
	must(t, l.Flush(t.Context()))
	days := func(from, to costs.Day) []StoredDay {
		t.Helper()
		got, err := l.StoredByDay(t.Context(), from, to)
		must(t, err)
		return got
	}
	want := []StoredDay{{today() - 1, 0, 11, 10}, {today(), 3, 1100, 1000}, {today(), 4, 10_000, 0}, {today() + 1, 4, 100_000, 0}}
	equal(t, days(today(), today()+2), want)
	equal(t, days(today(), today()+1), want[:3])
	equal(t, days(today()+9, today()+9), []StoredDay{{today() + 8, 0, 1_111_111, 1010}})
	store("first", 7, 5, midnight.AddDate(0, 0, 1), Put)
	must(t, l.Flush(t.Context()))
	equal(t, days(today(), today()+1), []StoredDay{want[0], {today(), 3, 1000, 1000}, want[2]})
	empty, err := mustOpen(t, t.TempDir()).StoredByDay(t.Context(), today(), today()+1)
	must(t, err)
	equal(t, empty, []StoredDay{{Day: today() - 1}})
}

// TestStoredByDayLosesNothing: whatever the days asked for, all bytes before the
// last one are in the sums, each once.
func TestStoredByDayLosesNothing(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	type object struct {
		day  costs.Day
		size int64
	}
	var objects []object
	rapid.Check(t, func(rt *rapid.T) {
		o := object{day: today() + costs.Day(rapid.IntRange(-9, 9).Draw(rt, "day")), size: rapid.Int64Range(0, 1e12).Draw(rt, "size")}
		at := o.day.Start().Add(time.Duration(rapid.Int64Range(0, int64(24*time.Hour)-1).Draw(rt, "time")))
		e := sample(len(objects))
		e.File.Size, e.At, e.Run = o.size, at, rapid.Int64Range(1, 3).Draw(rt, "run")
		must(t, l.Store(t.Context(), e))
		must(t, l.Flush(t.Context()))
		objects = append(objects, o)
		from := today() + costs.Day(rapid.IntRange(-9, 9).Draw(rt, "from"))
		to := from + costs.Day(rapid.IntRange(0, 9).Draw(rt, "days"))
		got, err := l.StoredByDay(t.Context(), from, to)
		must(t, err)
		sums := map[costs.Day]int64{}
		for _, d := range got {
			sums[d.Day] += d.Bytes
		}
		for _, o := range objects {
			if o.day < to {
				sums[max(o.day, from-1)] -= o.size
			}
		}
		for d, left := range sums {
			if left != 0 || d < from-1 || d >= to {
				rt.Fatalf("%v: %d bytes too many, asked for %v to %v", d, left, from, to)
			}
		}
	})
}

func TestBeginning(t *testing.T) {
	t.Parallel()
	pending := func(n string) json.RawMessage { return json.RawMessage(`{"moved":1,"pending":` + n + `}`) }
	whole := RunEnd{At: noon, Complete: true, Counts: pending("0")}
	for name, tt := range map[string]struct {
		ends []RunEnd // of syncs, one after the other; without At: killed
		want int64
	}{
		"nothing but killed ones":                   {[]RunEnd{{}, {}}, 0},
		"whole at once":                             {[]RunEnd{whole, whole}, 1},
		"killed, interrupted, then whole":           {[]RunEnd{{}, {At: noon, ExitCode: 130, Counts: pending("7")}, whole}, 3},
		"a limit leaves files":                      {[]RunEnd{{At: noon, ExitCode: 3, Counts: pending("7")}}, 0},
		"an unreadable folder, and all of the rest": {[]RunEnd{{At: noon, ExitCode: 3, Counts: pending("0")}}, 1},
		"denied at once":                            {[]RunEnd{{At: noon, ExitCode: 2}}, 0},
		"nothing counted":                           {[]RunEnd{{At: noon, ExitCode: 3}}, 0},
		"interrupted without any pending":           {[]RunEnd{{At: noon, ExitCode: 143, Counts: pending("0")}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := mustOpen(t, t.TempDir())
			b, err := l.Beginning(t.Context())
			must(t, err)
			equal(t, b, Beginning{})
			for i, end := range tt.ends {
				run := begin(t, l, noon.AddDate(0, 0, i))
				if !end.At.IsZero() {
					must(t, l.Finish(t.Context(), run, end))
				}
			}
			b, err = l.Beginning(t.Context())
			must(t, err)
			equal(t, b, Beginning{noon, tt.want})
		})
	}
}

// A verify comes to no move's end.
func TestBeginningIsOfASync(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	run, err := l.Begin(t.Context(), "verify", noon)
	must(t, err)
	must(t, l.Finish(t.Context(), run, RunEnd{At: noon, Complete: true}))
	b, err := l.Beginning(t.Context())
	must(t, err)
	equal(t, b, Beginning{First: noon})
}
