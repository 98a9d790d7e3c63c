package cleanup_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// TestNewestForeign: what mediamove wrote says nothing of when Mastodon was last alive.
// An object that it wrote and somebody changed since is Mastodon's.
func TestNewestForeign(t *testing.T) {
	t.Parallel()
	object := func(k media.Key, etag string, minutes int) r2.Object {
		return r2.Object{Key: k, ETag: etag, LastModified: noon.Add(-time.Duration(minutes) * time.Minute)}
	}
	for name, tt := range map[string]struct {
		objects []r2.Object
		want    time.Time
	}{
		"nothing":             {nil, time.Time{}},
		"only ours":           {[]r2.Object{object(avatar(1), "ours", 1), object(".mediamove/owner.json", "x", 0)}, time.Time{}},
		"ours is younger":     {[]r2.Object{object(avatar(1), "ours", 1), object(avatar(9), "e", 7)}, noon.Add(-7 * time.Minute)},
		"ours was replaced":   {[]r2.Object{object(avatar(1), "other", 1), object(avatar(9), "e", 7)}, noon.Add(-time.Minute)},
		"younger ones first":  {[]r2.Object{object(avatar(8), "e", 2), object(avatar(9), "e", 7)}, noon.Add(-2 * time.Minute)},
		"what nobody owns":    {[]r2.Object{object("robots.txt", "e", 3), object(avatar(1), "ours", 1)}, noon.Add(-3 * time.Minute)},
		"a page of ours last": {append([]r2.Object{object(avatar(9), "e", 60)}, slices.Repeat([]r2.Object{object(avatar(1), "ours", 1)}, 1500)...), noon.Add(-time.Hour)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMarks()
			m.known[avatar(1)] = "ours"
			scan, err := survey(listing{tt.objects, -1}, newDB(), m).Scan(t.Context())
			must(t, err)
			equal(t, scan.NewestForeign, tt.want)
		})
	}
}

// TestRecent: the youngest objects of Mastodon's own that are an hour old, over all
// pages and in whatever order they are listed, and how many of them nobody owns.
func TestRecent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		db, m := newDB(), newMarks()
		n := rapid.SampledFrom([]int{0, 1, 99, 100, 101, 2600}).Draw(r, "objects")
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(r, "seed"), 1))
		objects := avatars(n)
		type seen struct {
			age   int
			owned bool
		}
		var want []seen
		for i, age := range random.Perm(n) {
			o := &objects[i]
			o.LastModified = noon.Add(-time.Duration(age) * time.Minute)
			owned := random.IntN(2) == 0
			if owned {
				db.put(o.Key, true)
			}
			switch {
			case random.IntN(4) == 0:
				m.known[o.Key] = o.ETag
			case age >= 60:
				want = append(want, seen{age, owned})
			}
		}
		slices.SortFunc(want, func(a, b seen) int { return a.age - b.age })
		want = want[:min(len(want), cleanup.RecentSize)]
		unowned := 0
		for _, s := range want {
			if !s.owned {
				unowned++
			}
		}
		scan, err := survey(listing{objects, -1}, db, m).Scan(t.Context())
		must(t, err)
		got := scan.Recent
		if (got.Example != "") != (got.Unowned > 0) || got.Objects != int64(len(want)) || got.Unowned != int64(unowned) {
			r.Fatalf("%+v, want %d of %d", got, unowned, len(want))
		}
		if got.Example != "" && m.suspects[got.Example].Kind != ledger.Orphan {
			r.Fatalf("%s is owned", got.Example)
		}
	})
}

// TestRecentLeavesOut: what is ours, private or foreign is nothing that a database could
// have forgotten.
func TestRecentLeavesOut(t *testing.T) {
	t.Parallel()
	at := noon.Add(-time.Hour)
	scan, err := survey(listing{[]r2.Object{
		{Key: ".mediamove/owner.json", LastModified: at},
		{Key: "robots.txt", LastModified: at},
		{Key: "backups/dumps/000/000/001/original/a.zip", LastModified: at},
		{Key: avatar(1), LastModified: at.Add(1)},
		{Key: avatar(2), LastModified: at},
	}, -1}, newDB(), newMarks()).Scan(t.Context())
	must(t, err)
	equal(t, scan.Recent, cleanup.Recent{Objects: 1, Unowned: 1, Example: avatar(2)})
}

// endlessList yields n objects without holding them, as a bucket's listing does.
type endlessList int64

func (n endlessList) List(context.Context, string) iter.Seq2[r2.Object, error] {
	return func(yield func(r2.Object, error) bool) {
		for i := range int64(n) {
			if !yield(r2.Object{Key: avatar(i + 1), Size: 10, ETag: "0123456789abcdef", LastModified: noon.Add(-time.Duration(i%99) * time.Hour)}, nil) {
				return
			}
		}
	}
}

// forgetfulDB owns all but every hundredth account.
type forgetfulDB struct{ *memoryDB }

func (db forgetfulDB) Rows(_ context.Context, ids map[media.Class][]int64) (mastodon.Rows, error) {
	rows := mastodon.Rows{media.Accounts: {}}
	for _, id := range ids[media.Accounts] {
		if id%100 != 0 {
			rows[media.Accounts][id] = media.Row{Class: media.Accounts, ID: id, Remote: true, Files: []media.Filed{{Attachment: "avatars", Name: "a.png"}}}
		}
	}
	return rows, nil
}

// forgetfulMarks only count.
type forgetfulMarks struct {
	*marks
	n atomic.Int64
}

func (m *forgetfulMarks) AddSuspects(_ context.Context, _ int64, _ time.Time, s []ledger.Suspect) error {
	m.n.Add(int64(len(s)))
	return nil
}

// TestScanMemory: what a scan holds does not grow with the bucket.
func TestScanMemory(t *testing.T) {
	const objects = 1_000_000
	n, limit := int64(objects), uint64(8<<20)
	if raceDetector {
		n = objects / 10 // ten times slower
	}
	m := &forgetfulMarks{marks: newMarks()}
	s := &cleanup.Survey{Bucket: endlessList(n), Instance: forgetfulDB{newDB()}, Marks: m, Run: 3, Now: func() time.Time { return noon }}
	var before, most uint64
	var seen int64
	s.Each = func(context.Context, r2.Object) error {
		if seen++; seen%(n/10) == 1 {
			runtime.GC()
			var stats runtime.MemStats
			runtime.ReadMemStats(&stats)
			if before == 0 {
				before = stats.HeapAlloc
			}
			most = max(most, stats.HeapAlloc)
		}
		return nil
	}
	scan, err := s.Scan(t.Context())
	must(t, err)
	equal(t, []int64{scan.All.Objects, scan.Owned.Objects, m.n.Load(), s.Listed()}, []int64{n, n - n/100, n / 100, n})
	t.Logf("heap grew by %d bytes over %d objects", most-before, n)
	if most-before > limit {
		t.Errorf("heap grew by %d bytes over %d objects", most-before, n)
	}
}

// BenchmarkScan is what judging one object costs beside the database.
func BenchmarkScan(b *testing.B) {
	s := &cleanup.Survey{
		Bucket: endlessList(b.N), Instance: forgetfulDB{newDB()}, Marks: &forgetfulMarks{marks: newMarks()}, Run: 3,
		Now: func() time.Time { return noon },
	}
	if _, err := s.Scan(b.Context()); err != nil {
		b.Fatal(fmt.Errorf("scan: %w", err))
	}
}
