package ledger

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"example.org/mediamove/media"
)

func suspect(k media.Key, kind SuspectKind, etag string) Suspect {
	return Suspect{Key: k, Kind: kind, Reason: "row gone", Size: 7, ETag: etag, Modified: noon.AddDate(0, 0, -4)}
}

// seen is s as it reads back.
func (s Suspect) seen(first, last int64) Suspect {
	s.FirstRun, s.First, s.LastRun, s.Last = first, noon.Add(time.Duration(first)*time.Hour), last, noon.Add(time.Duration(last)*time.Hour)
	return s
}

// addSuspects is run's, run hours after noon.
func addSuspects(t testing.TB, l *Ledger, run int64, s ...Suspect) {
	t.Helper()
	must(t, l.AddSuspects(t.Context(), run, noon.Add(time.Duration(run)*time.Hour), s))
}

// TestSuspectGoesOn: the first sighting is what makes a suspect old, so it stays
// for the same object only.
func TestSuspectGoesOn(t *testing.T) {
	t.Parallel()
	first := suspect("a\xff", Orphan, "e")
	for name, tt := range map[string]struct {
		change func(*Suspect)
		since  int64
	}{
		"the same":      {func(*Suspect) {}, 1},
		"another cause": {func(s *Suspect) { s.Reason = "file name changed" }, 1},
		"size and time": {func(s *Suspect) { s.Size, s.Modified = 8, noon }, 1},
		"no time":       {func(s *Suspect) { s.Modified = time.Time{} }, 1},
		"its word":      {func(s *Suspect) { *s = s.seen(9, 9) }, 1},
		"another etag":  {func(s *Suspect) { s.ETag = "E" }, 2},
		"no etag":       {func(s *Suspect) { s.ETag = "" }, 2},
		"another kind":  {func(s *Suspect) { s.Kind = Review }, 2},
		"another key":   {func(s *Suspect) { s.Key = "a" }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := mustOpen(t, t.TempDir())
			addSuspects(t, l, 1, first)
			second := first
			tt.change(&second)
			addSuspects(t, l, 2, second)
			addSuspects(t, l, 2, second) // a listing may show a key twice
			got, err := l.SuspectAbout(t.Context(), second.Key)
			must(t, err)
			equal(t, got, second.seen(tt.since, 2))
		})
	}
}

// TestSuspectComesBack: one that was away for a while is a new one.
func TestSuspectComesBack(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	addSuspects(t, l, 1, suspect("a", Orphan, "e"))
	addSuspects(t, l, 1, suspect("a", Orphan, "f"))
	addSuspects(t, l, 1, suspect("a", Orphan, "e"))
	addSuspects(t, l, 2, suspect("b", Orphan, "e"))
	must(t, l.EndScan(t.Context(), Scan{Run: 2, At: noon}))
	_, err := l.SuspectAbout(t.Context(), "a")
	wantIs(t, err, ErrUnknown)
	addSuspects(t, l, 3, suspect("a", Orphan, "e"), suspect("b", Orphan, "e"))
	equal(t, all(t, l.Suspects(t.Context(), SuspectQuery{})),
		[]Suspect{suspect("a", Orphan, "e").seen(3, 3), suspect("b", Orphan, "e").seen(2, 3)})
}

// TestSuspectOfTheFuture: no time that a server may say is an age by overflow.
func TestSuspectOfTheFuture(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	for year, old := range map[int]bool{1969: true, 1971: true, 2026: true, 2262: false, 2263: false, 9999: false, 12_000: false} {
		s := suspect(media.Key(strconv.Itoa(year)), Orphan, "e")
		s.Modified = time.Date(year, 2, 1, 0, 0, 0, 0, time.UTC)
		addSuspects(t, l, 1, s)
		got := all(t, l.Suspects(t.Context(), SuspectQuery{ModifiedBefore: noon, Prefix: string(s.Key)}))
		equal(t, len(got) == 1, old)
	}
}

func TestSuspectQueries(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	old := suspect("cache/a", Orphan, "e")
	review := suspect("cache/b", Review, "e")
	young := suspect("cache0", Orphan, "e")
	young.Modified = noon
	odd := suspect("\xff\xff", Unknown, "e")
	timeless := suspect("\xff\xff\x00", Unknown, "e")
	timeless.Modified = time.Time{}
	addSuspects(t, l, 1, old, young, odd)
	addSuspects(t, l, 2, old, review, timeless)
	at := func(h int) time.Time { return noon.Add(time.Duration(h) * time.Hour) }
	for name, tt := range map[string]struct {
		q    SuspectQuery
		want []media.Key
	}{
		"all":                 {SuspectQuery{}, []media.Key{"cache/a", "cache/b", "cache0", "\xff\xff", "\xff\xff\x00"}},
		"seen by the last":    {SuspectQuery{Run: 2}, []media.Key{"cache/a", "cache/b", "\xff\xff\x00"}},
		"kind":                {SuspectQuery{Kind: Orphan}, []media.Key{"cache/a", "cache0"}},
		"first":               {SuspectQuery{FirstBefore: at(1)}, []media.Key{"cache/a", "cache0", "\xff\xff"}},
		"first, too young":    {SuspectQuery{FirstBefore: at(1).Add(-1)}, nil},
		"modified":            {SuspectQuery{ModifiedBefore: noon.AddDate(0, 0, -4)}, []media.Key{"cache/a", "cache/b", "\xff\xff"}},
		"modified, too young": {SuspectQuery{ModifiedBefore: noon.AddDate(0, 0, -4).Add(-1)}, nil},
		"prefix":              {SuspectQuery{Prefix: "cache/"}, []media.Key{"cache/a", "cache/b"}},
		"a key as prefix":     {SuspectQuery{Prefix: "cache0"}, []media.Key{"cache0"}},
		"prefix without end":  {SuspectQuery{Prefix: "\xff"}, []media.Key{"\xff\xff", "\xff\xff\x00"}},
		"prefix before all":   {SuspectQuery{Prefix: "a\xff"}, nil},
		"together": {
			SuspectQuery{Run: 2, Kind: Orphan, FirstBefore: at(1), ModifiedBefore: noon.AddDate(0, 0, -3), Prefix: "cache"},
			[]media.Key{"cache/a"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []media.Key
			for _, s := range all(t, l.Suspects(t.Context(), tt.q)) {
				got = append(got, s.Key)
			}
			equal(t, got, tt.want)
		})
	}
}

// TestSuspectsWhileWriting: a run reads the old ones while it adds to them.
func TestSuspectsWhileWriting(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := mustOpen(t, dir)
	var want []Suspect
	for n := range 2*pageRows + 3 {
		want = append(want, suspect(media.Key(fmt.Sprintf("a/%05d", n)), Orphan, "e"))
	}
	addSuspects(t, l, 1, want...)
	n := 0
	for s, err := range l.Suspects(t.Context(), SuspectQuery{FirstBefore: noon.Add(time.Hour)}) {
		must(t, err)
		equal(t, s.Key, want[n].Key)
		if n%100 == 0 {
			addSuspects(t, l, 2, want[n], suspect(s.Key+"x", Orphan, "e"))
		}
		n++
	}
	equal(t, n, len(want))
	equal(t, len(all(t, mustOpenReader(t, dir).Suspects(t.Context(), SuspectQuery{Run: 2}))), 2*11)
}

// TestCancelSuspects takes back the marks of one run, and no other's.
func TestCancelSuspects(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		run  int64
		key  media.Key
		n    int64
		left []media.Key
	}{
		"all":               {1, "", 2, []media.Key{"c"}},
		"one":               {1, "a", 1, []media.Key{"b", "c"}},
		"one of another":    {1, "c", 0, []media.Key{"a", "b", "c"}},
		"only seen by it":   {2, "a", 0, []media.Key{"a", "b", "c"}},
		"no such key":       {1, "ab", 0, []media.Key{"a", "b", "c"}},
		"no run of cleanup": {9, "", 0, []media.Key{"a", "b", "c"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := mustOpen(t, t.TempDir())
			addSuspects(t, l, 1, suspect("a", Orphan, "e"), suspect("b", Review, "e"))
			addSuspects(t, l, 2, suspect("a", Orphan, "e"), suspect("c", Orphan, "e"))
			n, err := l.CancelSuspects(t.Context(), tt.run, tt.key)
			must(t, err)
			equal(t, n, tt.n)
			var left []media.Key
			for _, s := range all(t, l.Suspects(t.Context(), SuspectQuery{})) {
				left = append(left, s.Key)
			}
			equal(t, left, tt.left)
		})
	}
}

func TestSuspectKinds(t *testing.T) {
	t.Parallel()
	for kind, valid := range map[SuspectKind]bool{Orphan: true, Review: true, Unknown: true, "": false, "ORPHAN": false} {
		equal(t, kind.Valid(), valid)
		l := mustOpen(t, t.TempDir())
		err := l.AddSuspects(t.Context(), 1, noon, []Suspect{suspect("a", Orphan, "e"), suspect("b", kind, "e")})
		equal(t, err == nil, valid)
		equal(t, len(all(t, l.Suspects(t.Context(), SuspectQuery{}))) == 2, valid)
	}
}
