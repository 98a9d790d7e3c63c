package ledger

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"example.org/mediamove/media"
)

func TestScan(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := mustOpen(t, dir)
	_, err := l.LastScan(t.Context())
	wantIs(t, err, ErrUnknown)
	run, keys, err := l.Control(t.Context(), noon)
	must(t, err)
	equal(t, []any{run, len(keys)}, []any{int64(0), 0})

	first := Scan{Run: 3, At: noon, Objects: 1 << 40, Bytes: 1 << 50, Owned: 5, Counts: map[string]int64{"accounts": 1 << 33, "imports": 0}}
	must(t, l.EndScan(t.Context(), first))
	second := Scan{Run: 4, At: noon.Add(-time.Hour), Objects: 2} // the clock was set back: runs tell
	withControl := second
	withControl.Control = []media.Key{"b\xff", "a", "a"}
	must(t, l.EndScan(t.Context(), withControl))
	mustClose(t, l)

	r := mustOpenReader(t, dir)
	got, err := r.LastScan(t.Context())
	must(t, err)
	equal(t, got, second)
	run, keys, err = r.Control(t.Context(), second.At)
	must(t, err)
	equal(t, []any{run, keys}, []any{int64(4), []media.Key{"a", "b\xff"}})
}

// TestEndScanAgain: what a run says last is what counts.
func TestEndScanAgain(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	sc := Scan{Run: 3, At: noon, Counts: map[string]int64{"accounts": 1}, Control: []media.Key{"a", "b"}}
	must(t, l.EndScan(t.Context(), sc))
	sc.Owned, sc.Control = 9, []media.Key{"b", "c"}
	must(t, l.EndScan(t.Context(), sc))
	_, keys, err := l.Control(t.Context(), noon)
	must(t, err)
	equal(t, keys, sc.Control)
	got, err := l.LastScan(t.Context())
	must(t, err)
	sc.Control = nil
	equal(t, got, sc)
}

// TestControl: the set that a run is tried on is never younger than asked for,
// and it doesn't go before there is a newer one that is old enough.
func TestControl(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		hours []int // when the scans ended, one after the other; negative: saw nothing owned
		ask   int   // the newest set at that hour or before
		want  int64 // its run; the runs count from 1
		sets  []int64
	}{
		"one":                         {[]int{0}, 0, 1, []int64{1}},
		"too young":                   {[]int{1}, 0, 0, []int64{1}},
		"the newest that is old":      {[]int{0, 10, 20, 30, 40}, 20, 3, []int64{3, 4, 5}},
		"an old one stays":            {[]int{0, 19, 19}, 18, 1, []int64{1, 2, 3}},
		"nightly":                     {[]int{0, 24, 48, 72}, 52, 3, []int64{3, 4}},
		"exactly old enough":          {[]int{0, 20, 40}, 20, 2, []int64{2, 3}},
		"an hour short":               {[]int{0, 21, 40}, 20, 1, []int64{1, 2, 3}},
		"none owned is no set":        {[]int{0, -24, -48, -72}, 52, 1, []int64{1}},
		"at the same time":            {[]int{0, 0}, 0, 2, []int64{1, 2}},
		"a clock that went back":      {[]int{30, 0, 50}, 30, 1, []int64{1, 3}},
		"nothing before anything was": {[]int{24, 48}, -1, 0, []int64{1, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := mustOpen(t, t.TempDir())
			at := func(h int) time.Time { return noon.Add(time.Duration(h) * time.Hour) }
			for i, h := range tt.hours {
				sc := Scan{Run: int64(i + 1), At: at(max(h, -h)), Control: []media.Key{media.Key(strconv.Itoa(i + 1)), "both"}}
				if h < 0 {
					sc.Control = nil
				}
				must(t, l.EndScan(t.Context(), sc))
			}
			run, keys, err := l.Control(t.Context(), at(tt.ask))
			must(t, err)
			equal(t, run, tt.want)
			if run > 0 {
				equal(t, keys, []media.Key{media.Key(strconv.FormatInt(run, 10)), "both"})
			}
			sets, err := collect(t.Context(), l.read, "SELECT DISTINCT run FROM control ORDER BY run",
				func(r row) (n int64, err error) { return n, r.Scan(&n) }, nil)
			must(t, err)
			equal(t, sets, tt.sets)
		})
	}
}

// TestCleaning: the counter survives a kill just as it was set.
func TestCleaning(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := mustOpen(t, dir)
	got, err := l.Cleaning(t.Context())
	must(t, err)
	equal(t, got, Cleaning{})
	for _, c := range []Cleaning{
		{Count: 1, Token: "t"},
		{Count: 1, Token: "t", Open: true, NextCount: 2, NextToken: "u"},
		{Count: 1 << 60, Token: "u"},
	} {
		must(t, l.SetCleaning(t.Context(), c))
		got, err := mustOpenReader(t, dir).Cleaning(t.Context())
		must(t, err)
		equal(t, got, c)
	}
}

// TestUsePlan: a plan is used once, by whichever run and after whichever restart.
func TestUsePlan(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := mustOpen(t, dir)
	must(t, l.UsePlan(t.Context(), "a", 1))
	must(t, l.UsePlan(t.Context(), "b", 1))
	mustClose(t, l)
	l = mustOpen(t, dir)
	for _, run := range []int64{1, 2} {
		err := l.UsePlan(t.Context(), "a", run)
		wantIs(t, err, ErrUsed)
		equal(t, err.Error(), "use plan a: used already by run 1")
	}
	must(t, l.UsePlan(t.Context(), "c", 2)) // the refusal broke nothing
}

// TestKnown: what we sent or put back is ours, and no more than that.
func TestKnown(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	storeSamples(t, l, 0, 30) // of run 3; those that end in 9 are adopted
	key := func(n int) media.Key { return sample(n).File.Key }
	const odd, normal = media.Key("a/\xff'/e\u0301"), media.Key("a/\xff'/\u00e9")
	for run, k := range map[int64]media.Key{2: key(2), 4: key(4), 5: key(9), 6: odd, 7: key(7)} {
		removeSample(t, l, run, k)
		if k != key(7) {
			must(t, l.Restored(t.Context(), Restoration{Run: run, By: run, Key: k, ETag: fmt.Sprint("back ", run), At: noon}))
		}
	}
	removeSample(t, l, 8, key(4))
	must(t, l.Restored(t.Context(), Restoration{Run: 8, By: 8, Key: key(4), ETag: "back 8", At: noon}))
	for name, tt := range map[string]struct {
		keys []media.Key
		want map[media.Key]string
	}{
		"none":                     {nil, map[media.Key]string{}},
		"sent":                     {[]media.Key{key(1), key(1)}, map[media.Key]string{key(1): sample(1).ETag}},
		"adopted":                  {[]media.Key{key(19)}, map[media.Key]string{}},
		"unknown":                  {[]media.Key{"x", ""}, map[media.Key]string{}},
		"sent after it was back":   {[]media.Key{key(2)}, map[media.Key]string{key(2): sample(2).ETag}},
		"back twice":               {[]media.Key{key(4)}, map[media.Key]string{key(4): "back 8"}},
		"adopted, then back":       {[]media.Key{key(9)}, map[media.Key]string{key(9): "back 5"}},
		"never sent, then back":    {[]media.Key{odd}, map[media.Key]string{odd: "back 6"}},
		"another spelling of that": {[]media.Key{normal}, map[media.Key]string{}},
		"removed after it was sent": {
			[]media.Key{key(7), key(1), odd},
			map[media.Key]string{key(7): sample(7).ETag, key(1): sample(1).ETag, odd: "back 6"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := l.Known(t.Context(), tt.keys)
			must(t, err)
			equal(t, got, tt.want)
		})
	}
}
