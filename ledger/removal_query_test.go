package ledger

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"example.org/mediamove/media"
)

func TestRemovalQueries(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	odd := intent(3, "a/e\u0301")
	odd.Reason = "attachment cleared"
	must(t, l.Intend(t.Context(), []Removal{intent(1, "a/1"), intent(1, "b/1"), intent(1, "a0")}))
	must(t, l.EndRemovals(t.Context(), []Removal{ended(intent(1, "a/1"), RemovalKept), ended(intent(1, "b/1"), RemovalRemoved)}))
	must(t, l.Intend(t.Context(), []Removal{intent(2, "a/1"), odd}))
	at := func(h int) time.Time { return noon.Add(time.Duration(h) * time.Hour) }
	for name, tt := range map[string]struct {
		q    RemovalQuery
		want string
	}{
		"all":              {RemovalQuery{}, "1 a/1, 1 b/1, 1 a0, 2 a/1, 3 a/e\u0301"},
		"run":              {RemovalQuery{Run: 1}, "1 a/1, 1 b/1, 1 a0"},
		"key":              {RemovalQuery{Key: "a/1"}, "1 a/1, 2 a/1"},
		"spelling":         {RemovalQuery{Key: "a/\u00e9"}, "3 a/e\u0301"},
		"its own spelling": {RemovalQuery{Key: "a/e\u0301"}, "3 a/e\u0301"},
		"prefix":           {RemovalQuery{Prefix: "a/"}, "1 a/1, 2 a/1, 3 a/e\u0301"},
		"open":             {RemovalQuery{State: RemovalIntent}, "1 a0, 2 a/1, 3 a/e\u0301"},
		"removed":          {RemovalQuery{State: RemovalRemoved}, "1 b/1"},
		"no such state":    {RemovalQuery{State: "x"}, ""},
		"since":            {RemovalQuery{Since: at(2)}, "2 a/1, 3 a/e\u0301"},
		"until":            {RemovalQuery{Until: at(2)}, "1 a/1, 1 b/1, 1 a0"},
		"reason":           {RemovalQuery{Reason: "attachment cleared"}, "3 a/e\u0301"},
		"together": {
			RemovalQuery{Run: 1, Key: "a/1", Prefix: "a", State: RemovalKept, Since: at(1), Until: at(2), Reason: "row gone"},
			"1 a/1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, r := range journal(t, l, tt.q) {
				got = append(got, fmt.Sprintf("%d %s", r.Run, r.Key))
			}
			equal(t, strings.Join(got, ", "), tt.want)
		})
	}
}

// TestRemovalsWhileSettling: the open intents are read page by page while each
// gets its outcome.
func TestRemovalsWhileSettling(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	var batch []Removal
	for n := range 2*pageRows + 5 {
		batch = append(batch, intent(1, media.Key(fmt.Sprintf("a/%d", n))))
	}
	must(t, l.Intend(t.Context(), batch))
	n := 0
	for r, err := range l.Removals(t.Context(), RemovalQuery{State: RemovalIntent}) {
		must(t, err)
		equal(t, r.Key, batch[n].Key)
		if n%50 == 0 {
			must(t, l.EndRemovals(t.Context(), []Removal{ended(batch[n], RemovalKept), ended(batch[n+1], RemovalRemoved)}))
		}
		n++
	}
	equal(t, n, len(batch))
}

// TestJournalIsIndexed: it grows for years, and a run must not read all of it.
func TestJournalIsIndexed(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	query := func(q RemovalQuery) string { text, _ := q.query(); return text }
	for name, tt := range map[string]struct{ query, want string }{
		"open":    {query(RemovalQuery{State: RemovalIntent}), "removal_open (state=? AND rowid>?)"},
		"run":     {query(RemovalQuery{Run: 1, State: RemovalRemoved}), "removal_run (run=? AND rowid>?)"},
		"key":     {query(RemovalQuery{Key: "k"}), "removal_name (<expr>=?)"},
		"outcome": {endRemoval, "removal_name (<expr>=? AND run=? AND key=?)"},
		"restore": {restoreRemoval, "removal_name (<expr>=? AND run=? AND key=?)"},
		"files":   {goneQuery(), "COVERING INDEX removal_name (<expr>=?)"},
		"now":     {removedByQuery, "COVERING INDEX removal_name (<expr>=?)"},
		"since":   {removedSinceQuery, "removal_intended (intended_ns>?)"},
		"runs":    {removedByRunsQuery, "removal_run (run>? AND run<?)"},
		"back":    {putBackByRunsQuery, "removal_intended (intended_ns>?)"},
	} {
		plan, err := collect(t.Context(), l.read, "EXPLAIN QUERY PLAN "+tt.query, func(r row) (s string, err error) {
			var n int
			return s, r.Scan(&n, &n, &n, &s)
		}, make([]any, strings.Count(tt.query, "?")))
		must(t, err)
		if text := strings.Join(plan, "\n"); !strings.Contains(text, tt.want) || strings.Contains(text, "SCAN removal") {
			t.Errorf("%s:\n%s", name, text)
		}
	}
}
