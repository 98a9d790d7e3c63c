package ledger

import (
	"maps"
	"testing"
	"time"

	"pgregory.net/rapid"

	"example.org/mediamove/costs"
	"example.org/mediamove/media"
)

func bucketDay(day costs.Day, run int64) BucketDay {
	return BucketDay{
		Day: day, Run: run, At: noon.Add(time.Duration(run) * time.Hour), Objects: 10 * run, Bytes: 1<<40 + run,
		Parts: map[BucketPart]ClassSum{
			{media.MediaAttachments, HeldRemote}: {7 * run, 1 << 40},
			{media.MediaAttachments, HeldLocal}:  {2 * run, run},
			{media.Outside, HeldUnknown}:         {run, 0},
		},
		Removed: ClassSum{run, 100 * run},
	}
}

func TestBucketRoundTrip(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := mustOpen(t, dir)
	later, earlier := bucketDay(20_001, 5), bucketDay(20_000, 4)
	later.Parts, later.At, later.Removed = map[BucketPart]ClassSum{}, time.Time{}, ClassSum{}
	must(t, l.RecordBucket(t.Context(), later))
	given := earlier
	given.Before = ClassSum{9, 9} // not read
	must(t, l.RecordBucket(t.Context(), given))
	mustClose(t, l)

	r := mustOpenReader(t, dir)
	for since, want := range map[costs.Day][]BucketDay{
		0:      {earlier, later},
		20_000: {earlier, later},
		20_001: {later},
		20_002: nil,
	} {
		got, err := r.BucketDays(t.Context(), since)
		must(t, err)
		equal(t, got, want)
	}
}

func TestRecordBucketRefuses(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	noRun, owner := bucketDay(20_000, 1), bucketDay(20_000, 1)
	noRun.Run = 0
	owner.Parts = map[BucketPart]ClassSum{{media.Accounts, "mine"}: {}}
	for name, d := range map[string]BucketDay{"no run": noRun, "owner": owner} {
		if err := l.RecordBucket(t.Context(), d); err == nil {
			t.Errorf("%s: recorded", name)
		}
	}
	days, err := l.BucketDays(t.Context(), 0)
	must(t, err)
	equal(t, len(days), 0)
	for h, want := range map[Holder]bool{HeldLocal: true, HeldRemote: true, HeldOrphan: true, HeldUnknown: true, "": false, "x": false} {
		equal(t, h.Valid(), want)
	}
}

// TestBucketIsCorrupt: what can't be read is said, and not taken for nothing.
func TestBucketIsCorrupt(t *testing.T) {
	t.Parallel()
	for _, q := range []string{"UPDATE bucket SET parts = '[{'", "UPDATE bucket SET day = 'z'"} {
		l := mustOpen(t, t.TempDir())
		must(t, l.RecordBucket(t.Context(), bucketDay(20_000, 1)))
		must(t, l.wait(t.Context(), func(s *session) error { return s.exec(q) }))
		_, err := l.BucketDays(t.Context(), 0)
		wantIs(t, err, ErrCorrupt)
	}
}

// TestBucketModel: whatever runs list, remove and record, and how often, the last
// run's listing is the day's, and growth from day to day is what was added.
func TestBucketModel(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	must(t, l.write.session.exec("PRAGMA synchronous = OFF")) // nothing is killed here, and an fsync takes long
	first := costs.Day(20_000)
	rapid.Check(t, func(r *rapid.T) {
		days := rapid.IntRange(1, 5).Draw(r, "days")
		defer func() { first += costs.Day(days) }() // the next history's days are its own
		added := make(map[costs.Day]int64)          // before the last listing of the day, since that of the day before
		var bytes, since int64 = 1000, 0
		var run int64
		last := make(map[costs.Day]BucketDay)
		for d := first; d < first+costs.Day(days); d++ {
			for range rapid.IntRange(1, 3).Draw(r, "runs") {
				run++
				grown := rapid.Int64Range(0, 100).Draw(r, "grown")
				bytes, since = bytes+grown, since+grown
				v := BucketDay{Day: d, Run: run, Bytes: bytes, Parts: map[BucketPart]ClassSum{}, Before: last[d].Before}
				v.Before = ClassSum{v.Before.Objects + last[d].Removed.Objects, v.Before.Bytes + last[d].Removed.Bytes}
				if err := l.RecordBucket(t.Context(), v); err != nil {
					r.Fatal(err)
				}
				added[d], since = added[d]+since, 0
				if removed := rapid.Int64Range(0, bytes).Draw(r, "removed"); removed > 0 {
					bytes -= removed
					for _, v.Removed = range []ClassSum{{1, removed / 2}, {2, removed}} { // step by step
						if err := l.RecordBucket(t.Context(), v); err != nil {
							r.Fatal(err)
						}
					}
				}
				last[d] = v
				if run > 1 && rapid.Bool().Draw(r, "late") { // an earlier run's word comes too late
					if err := l.RecordBucket(t.Context(), BucketDay{Day: d, Run: run - 1, Bytes: 1}); err != nil {
						r.Fatal(err)
					}
				}
			}
		}
		got, err := l.BucketDays(t.Context(), first)
		if err != nil || len(got) != days {
			r.Fatal(len(got), err)
		}
		for i, b := range got {
			if want := last[b.Day]; b.Run != want.Run || b.Bytes != want.Bytes || b.Removed != want.Removed ||
				b.Before != want.Before || !maps.Equal(b.Parts, want.Parts) {
				r.Fatalf("got %+v, want %+v", b, want)
			}
			if i == 0 {
				continue
			}
			a := got[i-1]
			if grown := b.Bytes - (a.Bytes - a.Removed.Bytes) + b.Before.Bytes; grown != added[b.Day] {
				r.Fatalf("%s: grew by %d, want %d", b.Day, grown, added[b.Day])
			}
		}
	})
}
