package ledger

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"example.org/mediamove/media"
)

func TestClearingQueries(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	bring(t, l, clearIntent(1, 1), ClearDone)
	bring(t, l, clearIntent(1, 2), ClearCleared)
	bring(t, l, clearIntent(2, 1), ClearSkipped)
	card := clearIntent(2, 2)
	card.Class = media.PreviewCards
	bring(t, l, card, ClearIntent)
	bring(t, l, clearIntent(3, 2), ClearRestored)
	at := func(h int) time.Time { return noon.Add(time.Duration(h) * time.Hour) }
	for name, tt := range map[string]struct {
		q    ClearingQuery
		want string
	}{
		"all":           {ClearingQuery{}, "1 m1, 1 m2, 2 m1, 2 p2, 3 m2"},
		"run":           {ClearingQuery{Run: 1}, "1 m1, 1 m2"},
		"class":         {ClearingQuery{Class: media.MediaAttachments}, "1 m1, 1 m2, 2 m1, 3 m2"},
		"row":           {ClearingQuery{Class: media.MediaAttachments, RowID: 2}, "1 m2, 3 m2"},
		"any class":     {ClearingQuery{RowID: 2}, "1 m2, 2 p2, 3 m2"},
		"intent":        {ClearingQuery{State: ClearIntent}, "2 p2"},
		"cleared":       {ClearingQuery{State: ClearCleared}, "1 m2"},
		"done":          {ClearingQuery{State: ClearDone}, "1 m1"},
		"skipped":       {ClearingQuery{State: ClearSkipped}, "2 m1"},
		"restored":      {ClearingQuery{State: ClearRestored}, "3 m2"},
		"no such state": {ClearingQuery{State: "' OR 1 --"}, ""},
		"since":         {ClearingQuery{Since: at(2)}, "2 m1, 2 p2, 3 m2"},
		"until":         {ClearingQuery{Until: at(2)}, "1 m1, 1 m2"},
		"together": {
			ClearingQuery{Run: 2, Class: media.PreviewCards, RowID: 2, State: ClearIntent, Since: at(2), Until: at(3)},
			"2 p2",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, c := range clearings(t, l, tt.q) {
				got = append(got, fmt.Sprintf("%d %.1s%d", c.Run, c.Class, c.RowID))
			}
			equal(t, strings.Join(got, ", "), tt.want)
		})
	}
}

// TestOpenClearing: what the latest of a row says counts, and each row by itself.
func TestOpenClearing(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		states []ClearState // one run after the other
		open   int64        // run; 0: none
		some   bool
	}{
		"never":                {nil, 0, false},
		"intent":               {[]ClearState{ClearIntent}, 0, false},
		"skipped":              {[]ClearState{ClearSkipped}, 0, false},
		"cleared":              {[]ClearState{ClearCleared}, 1, true},
		"done":                 {[]ClearState{ClearDone}, 0, false},
		"restored":             {[]ClearState{ClearRestored}, 0, false},
		"again":                {[]ClearState{ClearDone, ClearCleared}, 2, true},
		"twice":                {[]ClearState{ClearCleared, ClearCleared}, 2, true},
		"skipped since":        {[]ClearState{ClearCleared, ClearSkipped}, 0, true},
		"restored since":       {[]ClearState{ClearCleared, ClearRestored}, 0, true},
		"intended since":       {[]ClearState{ClearCleared, ClearIntent}, 0, true},
		"done, cleared, done":  {[]ClearState{ClearDone, ClearCleared, ClearDone}, 0, true},
		"skipped, then really": {[]ClearState{ClearSkipped, ClearCleared}, 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := mustOpen(t, t.TempDir())
			var last Clearing
			for i, s := range tt.states {
				last = bring(t, l, clearIntent(int64(i+1), 5), s)
			}
			some, err := l.AnyCleared(t.Context())
			must(t, err)
			equal(t, some, tt.some)
			got, err := l.OpenClearing(t.Context(), media.MediaAttachments, 5)
			if tt.open == 0 {
				wantIs(t, err, ErrUnknown)
			} else {
				must(t, err)
				got.ID = 0
				equal(t, got, last)
			}
			for class, row := range map[media.Class]int64{media.PreviewCards: 5, media.MediaAttachments: 6} {
				_, err := l.OpenClearing(t.Context(), class, row)
				wantIs(t, err, ErrUnknown)
			}
		})
	}
}

// TestClearingsWhileSettling: the open ones are read page by page while each goes
// on to its next state.
func TestClearingsWhileSettling(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	var batch []Clearing
	for n := range 2*pageRows + 6 {
		batch = append(batch, clearIntent(1, int64(n+1)))
	}
	must(t, l.IntendClearing(t.Context(), batch))
	for _, step := range [][2]ClearState{{ClearIntent, ClearCleared}, {ClearCleared, ClearDone}} {
		n := 0
		for c, err := range l.Clearings(t.Context(), ClearingQuery{State: step[0]}) {
			must(t, err)
			equal(t, c.RowID, int64(n+1))
			if n%100 == 0 {
				to := min(n+100, len(batch))
				for i := range batch[n:to] {
					batch[n+i] = batch[n+i].in(step[1])
				}
				must(t, l.EndClearings(t.Context(), batch[n:to]))
			}
			n++
		}
		// A page was read before its rows went on; the next began with rows that hadn't.
		equal(t, n, len(batch))
	}
	equal(t, clearings(t, l, ClearingQuery{State: ClearDone}), batch)
}

// TestClearingsAreIndexed: they grow for years, and a run must not read all of them.
func TestClearingsAreIndexed(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	query := func(q ClearingQuery) string { text, _ := q.query(); return text }
	for name, tt := range map[string]struct{ query, want string }{
		"intent":        {query(ClearingQuery{State: ClearIntent}), "clearing_open (state=? AND rowid>?)"},
		"cleared":       {query(ClearingQuery{State: ClearCleared}), "clearing_open (state=? AND rowid>?)"},
		"cleared since": {query(ClearingQuery{State: ClearCleared, Class: "c", Since: noon}), "clearing_open (state=? AND rowid>?)"},
		"run":           {query(ClearingQuery{Run: 1}), "clearing_run (run=? AND rowid>?)"},
		"run's cards":   {query(ClearingQuery{Run: 1, Class: "c", State: ClearDone}), "clearing_run (run=? AND rowid>?)"},
		"class":         {query(ClearingQuery{Class: "c"}), "INTEGER PRIMARY KEY (rowid>?)"},
		"since":         {query(ClearingQuery{Since: noon}), "INTEGER PRIMARY KEY (rowid>?)"},
		"row":           {query(ClearingQuery{Class: "c", RowID: 1}), "clearing_row (class=? AND row_id=?)"},
		"open":          {openClearingQuery, "COVERING INDEX clearing_row (class=? AND row_id=?)"},
		"any":           {anyClearedQuery, "clearing_open (state=?)"},
		"step":          {endClearing, "clearing_row (class=? AND row_id=? AND run=?)"},
	} {
		n := strings.Count(tt.query, "?")
		if tt.query == endClearing {
			n = 9 // numbered, and used more than once
		}
		plan, err := collect(t.Context(), l.read, "EXPLAIN QUERY PLAN "+tt.query, func(r row) (s string, err error) {
			var n int
			return s, r.Scan(&n, &n, &n, &s)
		}, make([]any, n))
		must(t, err)
		text := strings.Join(plan, "\n")
		if !strings.Contains(text, tt.want) || strings.Contains(text, "SCAN clearing") ||
			name != "row" && strings.Contains(text, "TEMP B-TREE") {
			t.Errorf("%s:\n%s", name, text)
		}
	}
}

// TestNothingWasPruned: then all of it says so.
func TestNothingWasPruned(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	some, err := l.AnyCleared(t.Context())
	must(t, err)
	_, unknown := l.OpenClearing(t.Context(), media.MediaAttachments, 1)
	days, err := l.BucketDays(t.Context(), 0)
	must(t, err)
	equal(t, []any{some, errors.Is(unknown, ErrUnknown), len(days), len(clearings(t, l, ClearingQuery{}))}, []any{false, true, 0, 0})
}
