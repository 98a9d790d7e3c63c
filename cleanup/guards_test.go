package cleanup_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"example.org/mediamove/cleanup"
)

var noon = time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)

// sound are facts that no guard has anything against, each at the border.
func sound() *cleanup.Facts {
	return &cleanup.Facts{
		Alone: true, Switched: true,
		Scan: &cleanup.Scan{
			Run: 3, At: noon, Newest: noon.Add(-time.Hour), NewestForeign: noon,
			Control: cleanup.Control{Run: 1, Known: 1000, Listed: 200, Orphans: 1, Example: "x"},
			Recent:  cleanup.Recent{Objects: 100, Unowned: 50, Example: "y"},
			Counts:  map[string]int64{"accounts": 90, "statuses": 1, "new": 1},
		},
		Before: map[string]int64{"accounts": 100, "statuses": 1, "empty": 0},
	}
}

// TestGuards: each border, from both sides. "" is that all guards let it pass.
func TestGuards(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		edit func(*cleanup.Facts)
		want string
	}{
		"sound":                  {func(*cleanup.Facts) {}, ""},
		"an error in the scan":   {func(f *cleanup.Facts) { f.Whole = errors.New("cut") }, "whole"},
		"no scan":                {func(f *cleanup.Facts) { f.Scan = nil }, "whole"},
		"not alone":              {func(f *cleanup.Facts) { f.Alone = false }, "one runner"},
		"before the switch":      {func(f *cleanup.Facts) { f.Switched = false }, "switched"},
		"not bound":              {func(f *cleanup.Facts) { f.Bound = errors.New("another host") }, "bound"},
		"a replica":              {func(f *cleanup.Facts) { f.Primary = errors.New("in recovery") }, "primary"},
		"an hour and a bit":      {func(f *cleanup.Facts) { f.Scan.Newest = noon.Add(-time.Hour - 1) }, "fresh"},
		"an object comes later":  {func(f *cleanup.Facts) { f.Scan.NewestForeign = noon.Add(1) }, "fresh"},
		"rows are younger":       {func(f *cleanup.Facts) { f.Scan.Newest = noon.AddDate(0, 0, 9) }, ""},
		"no rows":                {func(f *cleanup.Facts) { f.Scan.Newest = time.Time{} }, "fresh"},
		"no objects of others":   {func(f *cleanup.Facts) { f.Scan.Newest, f.Scan.NewestForeign = time.Time{}, time.Time{} }, ""},
		"half of the newest":     {func(f *cleanup.Facts) { f.Scan.Recent = cleanup.Recent{Objects: 20, Unowned: 10} }, ""},
		"more than half of them": {func(f *cleanup.Facts) { f.Scan.Recent = cleanup.Recent{Objects: 20, Unowned: 11} }, "newest objects"},
		"too few of them":        {func(f *cleanup.Facts) { f.Scan.Recent = cleanup.Recent{Objects: 19, Unowned: 19} }, ""},
		"0.5 % of 1,000":         {func(f *cleanup.Facts) { f.Scan.Control.Listed, f.Scan.Control.Orphans = 1000, 5 }, ""},
		"0.6 % of 1,000":         {func(f *cleanup.Facts) { f.Scan.Control.Listed, f.Scan.Control.Orphans = 1000, 6 }, "positive control"},
		"more than 0.5 % of 399": {func(f *cleanup.Facts) { f.Scan.Control.Listed, f.Scan.Control.Orphans = 399, 2 }, "positive control"},
		"0.5 % of 400":           {func(f *cleanup.Facts) { f.Scan.Control.Listed, f.Scan.Control.Orphans = 400, 2 }, ""},
		"all of the control":     {func(f *cleanup.Facts) { f.Scan.Control.Listed, f.Scan.Control.Orphans = 1000, 1000 }, "positive control"},
		"a small control":        {func(f *cleanup.Facts) { f.Scan.Control.Listed, f.Scan.Control.Orphans = 199, 0 }, "control size"},
		"a control not listed":   {func(f *cleanup.Facts) { f.Scan.Control = cleanup.Control{Run: 1, Known: 1000} }, "control size"},
		"no control":             {func(f *cleanup.Facts) { f.Scan.Control = cleanup.Control{} }, "control size"},
		"89 % of the rows":       {func(f *cleanup.Facts) { f.Scan.Counts["accounts"] = 89 }, "row counts"},
		"the only row went":      {func(f *cleanup.Facts) { f.Scan.Counts["statuses"] = 0 }, "row counts"},
		"a table went":           {func(f *cleanup.Facts) { delete(f.Scan.Counts, "statuses") }, "row counts"},
		"no counts at all":       {func(f *cleanup.Facts) { f.Scan.Counts = nil }, "row counts"},
		"an empty table went":    {func(f *cleanup.Facts) { delete(f.Before, "empty"); f.Before["gone"] = 0 }, ""},
		"more rows":              {func(f *cleanup.Facts) { f.Scan.Counts["accounts"] = 1e15 }, ""},
		"no scan before":         {func(f *cleanup.Facts) { f.Before = nil }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := sound()
			tt.edit(f)
			var want []string
			if tt.want != "" {
				want = []string{tt.want}
			}
			if got := refusing(cleanup.Guards(), f); !slices.Equal(got, want) {
				t.Fatalf("refused by %q, want %q", got, want)
			}
		})
	}
}

func refusing(guards []cleanup.Guard, f *cleanup.Facts) (names []string) {
	for _, r := range cleanup.Check(guards, f) {
		names = append(names, r.Guard)
	}
	return names
}

// situations are what only one guard sees. The wrong day that each stands for is said
// beside it.
func situations() map[string]func(*cleanup.Facts) {
	return map[string]func(*cleanup.Facts){
		"whole":            func(f *cleanup.Facts) { f.Whole = errors.New("list the bucket: page 7") },
		"one runner":       func(f *cleanup.Facts) { f.Alone = false },                                 // a second run
		"switched":         func(f *cleanup.Facts) { f.Switched = false },                              // the move has not ended
		"bound":            func(f *cleanup.Facts) { f.Bound = errors.New("the counter is not ours") }, // a cloned machine
		"primary":          func(f *cleanup.Facts) { f.Primary = errors.New("in recovery") },
		"fresh":            func(f *cleanup.Facts) { f.Scan.Newest = noon.Add(-2 * time.Hour) }, // restored from this morning
		"newest objects":   func(f *cleanup.Facts) { f.Scan.Recent.Unowned = 51 },               // a copy that lives on by itself
		"positive control": func(f *cleanup.Facts) { f.Scan.Control.Orphans = 100 },             // a table lost its names
		"control size":     func(f *cleanup.Facts) { f.Scan.Control.Listed, f.Scan.Control.Orphans = 3, 0 },
		"row counts":       func(f *cleanup.Facts) { f.Scan.Counts["accounts"] = 5 }, // a table was emptied
	}
}

// TestEveryGuardIsNeeded: without any one of them a situation passes that must not.
func TestEveryGuardIsNeeded(t *testing.T) {
	t.Parallel()
	all := situations()
	for i, g := range cleanup.Guards() {
		situation, ok := all[g.Name]
		if !ok {
			t.Errorf("nothing is refused by %q alone", g.Name)
			continue
		}
		delete(all, g.Name)
		f := sound()
		situation(f)
		if got := refusing(cleanup.Guards(), f); !slices.Equal(got, []string{g.Name}) {
			t.Errorf("%q: refused by %q", g.Name, got)
		}
		without := slices.Delete(cleanup.Guards(), i, i+1)
		if got := refusing(without, f); len(got) > 0 {
			t.Errorf("without %q it is refused by %q still", g.Name, got)
		}
	}
	if len(all) > 0 {
		t.Errorf("situations without a guard: %v", all)
	}
}

// TestBelieved: a scan that contradicts the database is not held against later ones;
// one that others forbid to act upon is.
func TestBelieved(t *testing.T) {
	t.Parallel()
	doubtful := []string{"primary", "fresh", "newest objects", "positive control", "row counts"}
	for name, situation := range situations() {
		f := sound()
		situation(f)
		if got, want := cleanup.Believed(cleanup.Guards(), f), !slices.Contains(doubtful, name); got != want {
			t.Errorf("%q: believed is %t", name, got)
		}
	}
	if !cleanup.Believed(cleanup.Guards(), sound()) {
		t.Error("what nobody refuses is not believed")
	}
}

// TestGuardsTell: an admin gets to know what is wrong and what to do, and the error says
// which guard it was.
func TestGuardsTell(t *testing.T) {
	t.Parallel()
	for name, situation := range situations() {
		f := sound()
		situation(f)
		for _, r := range cleanup.Check(cleanup.Guards(), f) {
			if r.Guard != name || r.Reason == "" || r.Hint == "" || r.Error() != `guard "`+name+`": `+r.Reason {
				t.Errorf("%q: %+v", name, r)
			}
		}
	}
	seen := map[string]bool{}
	for _, g := range cleanup.Guards() {
		if g.Rule == "" || seen[g.Name] {
			t.Errorf("%q: no rule, or twice", g.Name)
		}
		seen[g.Name] = true
	}
}
