package cleanup_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// fates are what a database says of rows.
type fates map[media.Class]map[int64]mastodon.Fate

func (f fates) Fates(_ context.Context, _ mastodon.PruneRule, ids map[media.Class][]int64) (map[media.Class]map[int64]mastodon.Fate, error) {
	out := map[media.Class]map[int64]mastodon.Fate{}
	for class, list := range ids {
		out[class] = map[int64]mastodon.Fate{}
		for _, id := range list {
			if fate, ok := f[class][id]; ok {
				out[class][id] = fate
			}
		}
	}
	return out, nil
}

// A cacheWorld is a bucket of cached rows, with what the database says of each.
type cacheWorld struct {
	db      *memoryDB
	fates   fates
	objects []r2.Object
}

func newCacheWorld() *cacheWorld {
	return &cacheWorld{newDB(), fates{media.MediaAttachments: {}, media.PreviewCards: {}}, nil}
}

// add makes a row whose objects have these sizes.
func (w *cacheWorld) add(f mastodon.Fate, sizes ...int64) {
	attachment := map[media.Class]string{media.MediaAttachments: "files", media.PreviewCards: "images"}[f.Class]
	for i, size := range sizes {
		k := media.Path{Cached: true, Class: f.Class, Attachment: attachment, ID: f.ID, Style: []string{"original", "small"}[i], Name: "a.png"}.Key()
		w.db.put(k, true)
		w.objects = append(w.objects, r2.Object{Key: k, Size: size, ETag: fmt.Sprint("e", i), LastModified: noon.AddDate(-1, 0, 0)})
	}
	w.fates[f.Class][f.ID] = f
}

// survey gathers the cache from one scan.
func (w *cacheWorld) survey(t testing.TB, c cleanup.Clearings) (*cleanup.Cache, *cleanup.Scan) {
	t.Helper()
	slices.SortFunc(w.objects, func(a, b r2.Object) int { return cmp.Compare(a.Key, b.Key) })
	scratch, err := ledger.NewScratch(t.Context(), t.TempDir())
	must(t, err)
	t.Cleanup(func() { _ = scratch.Close() })
	cache := &cleanup.Cache{Fates: w.fates, Scratch: scratch}
	s := survey(listing{w.objects, -1}, w.db, newMarks())
	s.Cache, s.Clearings = cache, c
	scan, err := s.Scan(t.Context())
	must(t, err)
	return cache, scan
}

// What goes first is a matter of class, week, size and id alone; what has to go is the
// shortest beginning of that which is enough; a plan of it names the same rows.
func TestCacheOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		w := newCacheWorld()
		var want []mastodon.Fate
		size := map[[2]any]int64{}
		monday := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
		for id := range rapid.Int64Range(1, 40).Draw(r, "rows") {
			f := mastodon.Fate{
				ID: id + 1, Class: rapid.SampledFrom([]media.Class{media.MediaAttachments, media.PreviewCards}).Draw(r, "class"),
				Since: monday.Add(time.Duration(rapid.Int64Range(-15*24*3600, 15*24*3600).Draw(r, "since")) * time.Second),
				Bytes: rapid.Int64Range(0, 5).Draw(r, "bytes"),
				Keep:  rapid.SampledFrom([]mastodon.Keep{"", "", mastodon.KeepYoung, mastodon.KeepFavourited}).Draw(r, "keep"),
			}
			a, b := rapid.Int64Range(0, 9).Draw(r, "original"), rapid.Int64Range(0, 9).Draw(r, "small")
			if f.Class == media.PreviewCards { // they have no other style
				w.add(f, a+b)
			} else {
				w.add(f, a, b)
			}
			if f.Keep == "" {
				want = append(want, f)
				size[[2]any{f.Class, f.ID}] = a + b
			}
		}
		slices.SortFunc(want, func(a, b mastodon.Fate) int {
			ya, wa := a.Since.ISOWeek()
			yb, wb := b.Since.ISOWeek()
			return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(ya, yb), cmp.Compare(wa, wb), cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.ID, b.ID))
		})
		cache, scan := w.survey(t, nil)
		got, err := all(cache.Ordered(t.Context()))
		must(t, err)
		if len(got) != len(want) {
			r.Fatalf("%d rows, want %d", len(got), len(want))
		}
		for i, row := range got {
			if row.ID != want[i].ID || row.Class != want[i].Class || row.Bytes() != size[[2]any{row.Class, row.ID}] || !row.Since.Equal(want[i].Since) {
				r.Fatalf("%d: %+v, want %+v", i, row, want[i])
			}
		}
		weighed(t, r, cache, scan, got)
	})
}

// weighed holds a report and a plan against the rows in their order.
func weighed(t *testing.T, r *rapid.T, cache *cleanup.Cache, scan *cleanup.Scan, rows []cleanup.Prunable) {
	used := scan.All
	b := cleanup.Budget{Bytes: rapid.Int64Range(0, used.Bytes).Draw(r, "budget")}
	b.Target = rapid.Int64Range(0, b.Bytes).Draw(r, "target")
	if exact := rapid.IntRange(0, len(rows)).Draw(r, "exactly"); exact > 0 { // not a byte too many
		b.Target = used.Bytes
		for _, row := range rows[:exact] {
			b.Target -= row.Bytes()
		}
		b.Bytes = max(b.Target, min(b.Bytes, used.Bytes-1))
	}
	report, err := cache.Weigh(t.Context(), b, used, cleanup.Sum{})
	must(t, err)
	n, freed := 0, int64(0)
	for used.Bytes > b.Bytes && n < len(rows) && freed < used.Bytes-b.Target {
		freed += rows[n].Bytes()
		n++
	}
	short := int64(0)
	if used.Bytes > b.Bytes {
		short = max(0, used.Bytes-b.Target-freed)
	}
	if report.Rows != int64(n) || report.Freed.Bytes != freed || report.Short != short {
		r.Fatalf("%+v: want %d rows with %d bytes, short by %d", report, n, freed, short)
	}
	chosen, err := all(cache.Upto(t.Context(), report))
	must(t, err)
	equal(t, len(chosen), n)
	selection, err := cleanup.Select(cleanup.Objects(cache.Upto(t.Context(), report)))
	must(t, err)
	var dropped int64
	still, err := all(cache.Still(t.Context(), selection, &dropped))
	must(t, err)
	if len(still) != n || dropped != 0 {
		r.Fatalf("a plan of %d rows names %d, %d are dropped", n, len(still), dropped)
	}
	share := rapid.Float64Range(0, 100).Draw(r, "share")
	within, err := cache.WeighWithin(t.Context(), b, used, cleanup.Sum{}, share)
	must(t, err)
	over := used.Bytes - within.Freed.Bytes - b.Bytes
	if within.Rows > report.Rows || within.Share > share && within.Rows > 0 && over+rows[within.Rows-1].Bytes() <= 0 || within.Rows < report.Rows && over > 0 {
		r.Fatalf("within %.1f %%: %+v, without %+v", share, within, report)
	}
}

// begunRows are clearings without their database.
func begunRows(t *testing.T, states ...ledger.ClearState) (*ledger.Ledger, *cacheWorld) {
	t.Helper()
	l, err := ledger.Open(t.Context(), t.TempDir(), ledger.Options{})
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	w := newCacheWorld()
	for i, state := range states {
		id := int64(i + 1)
		k := media.Path{Cached: true, Class: media.MediaAttachments, Attachment: "files", ID: id, Style: "original", Name: "a.png"}.Key()
		w.objects = append(w.objects, r2.Object{Key: k, Size: 7, ETag: "e", LastModified: noon.AddDate(-1, 0, 0)})
		w.db.rows[media.MediaAttachments][id] = media.Row{Class: media.MediaAttachments, ID: id, Remote: true, Files: []media.Filed{{Attachment: "files"}}}
		c := ledger.Clearing{Run: 1, Class: media.MediaAttachments, RowID: id, Columns: []byte(`{"file_file_name":"a.png"}`), Intended: noon, ClearedAt: noon, Ended: noon}
		if state == "" {
			continue
		}
		must(t, l.IntendClearing(t.Context(), []ledger.Clearing{c}))
		for _, next := range map[ledger.ClearState][]ledger.ClearState{
			ledger.ClearCleared: {ledger.ClearCleared}, ledger.ClearDone: {ledger.ClearCleared, ledger.ClearDone}, ledger.ClearSkipped: {ledger.ClearSkipped},
		}[state] {
			c.State = next
			must(t, l.EndClearings(t.Context(), []ledger.Clearing{c}))
		}
	}
	return l, w
}

// What a stopped prune has left is prune's own, and no witness against the database.
func TestCacheLeftovers(t *testing.T) {
	t.Parallel()
	l, w := begunRows(t, ledger.ClearIntent, ledger.ClearCleared, ledger.ClearDone, ledger.ClearSkipped, "")
	other := media.Path{Cached: true, Class: media.MediaAttachments, Attachment: "files", ID: 2, Style: "original", Name: "older.png"}.Key()
	w.objects = append(w.objects, r2.Object{Key: other, Size: 7, ETag: "e", LastModified: noon.AddDate(-1, 0, 0)})
	var keys []media.Key
	for _, o := range w.objects {
		keys = append(keys, o.Key)
	}
	m := newMarks()
	m.run, m.control = 2, keys
	scratch, err := ledger.NewScratch(t.Context(), t.TempDir())
	must(t, err)
	t.Cleanup(func() { _ = scratch.Close() })
	cache := &cleanup.Cache{Fates: w.fates, Scratch: scratch}
	slices.SortFunc(w.objects, func(a, b r2.Object) int { return cmp.Compare(a.Key, b.Key) })
	s := survey(listing{w.objects, -1}, w.db, m)
	s.Cache, s.Clearings = cache, l
	scan, err := s.Scan(t.Context())
	must(t, err)
	if c := scan.Control; c.Listed != 4 || c.Orphans != 4 || scan.Recent.Objects != 4 {
		t.Errorf("%+v, %+v", c, scan.Recent)
	}
	var left []int64
	for c, err := range cache.Leftovers(t.Context()) {
		must(t, err)
		p, _ := media.Parse(c.Key)
		left = append(left, p.ID)
	}
	equal(t, left, []int64{1, 2})
	report, err := cache.Weigh(t.Context(), cleanup.Budget{Bytes: 28, Target: 28}, scan.All, cleanup.Sum{Objects: 6, Bytes: 42})
	must(t, err)
	equal(t, []int64{report.Resume.Bytes, report.Orphans.Bytes, report.After()}, []int64{14, 28, 28})
}
