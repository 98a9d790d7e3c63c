package ledger

import (
	"fmt"
	"testing"
	"time"

	"example.org/mediamove/media"
)

func TestRotation(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := mustOpen(t, dir)
	for _, name := range []string{"30", "accounts/ü"} {
		r, err := l.Rotation(t.Context(), name)
		must(t, err)
		equal(t, r, Rotation{})
		want := Rotation{Of: 30, Slot: len(name), Began: noon}
		must(t, l.SetRotation(t.Context(), name, Rotation{Of: 7}))
		must(t, l.SetRotation(t.Context(), name, want))
		r, err = mustOpenReader(t, dir).Rotation(t.Context(), name)
		must(t, err)
		equal(t, r, want)
	}
}

func TestReadSince(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	entry := func(k media.Key) Entry { return Entry{File: media.File{Key: k}, ETag: "e", Run: 1, At: noon} }
	read := func(k media.Key, run int64, etag string) Evidence {
		return Evidence{Key: k, Level: ReadBack, ETag: etag, Run: run, At: noon.Add(-time.Hour)} // the clock was set back
	}
	for _, err := range []error{
		l.Store(t.Context(), entry("a")), l.AddEvidence(t.Context(), read("a", 5, "e")),
		l.AddEvidence(t.Context(), Evidence{Key: "a", Level: Listed, ETag: "e", Run: 9, At: noon}),
		l.Store(t.Context(), entry("other bytes")), l.AddEvidence(t.Context(), read("other bytes", 5, "f")),
		l.Store(t.Context(), entry("doubted since")), l.AddEvidence(t.Context(), read("doubted since", 5, "e")),
		l.Doubt(t.Context(), Doubt{Key: "doubted since", Verdict: Differs, ETag: "e", Run: 6, At: noon}),
		l.Store(t.Context(), entry("doubted before")), l.AddEvidence(t.Context(), read("doubted before", 5, "e")),
		l.Doubt(t.Context(), Doubt{Key: "doubted before", Verdict: Differs, ETag: "e", Run: 4, At: noon}),
		l.AddEvidence(t.Context(), read("not recorded", 5, "e")),
		l.Flush(t.Context()),
	} {
		must(t, err)
	}
	for k, want := range map[media.Key]bool{"a": true, "other bytes": false, "doubted since": false, "doubted before": true, "not recorded": false, "unknown": false} {
		for run, also := range map[int64]bool{0: true, 5: true, 6: false, 9: false} {
			got, err := l.ReadSince(t.Context(), k, run)
			must(t, err)
			if got != (want && also) {
				t.Errorf("%s since run %d: %t", k, run, got)
			}
		}
	}
	// What no listing can lift stays open until it is read back.
	var open []media.Key
	for d, err := range l.OpenDoubts(t.Context(), 10) {
		must(t, err)
		open = append(open, d.Key)
	}
	equal(t, open, []media.Key{"doubted since"})
	for range l.OpenDoubts(t.Context(), 6) {
		t.Error("a doubt of the run itself is no earlier one")
	}
	must(t, l.ForgetDoubts(t.Context(), 6))
	for range l.OpenDoubts(t.Context(), 10) {
		t.Error("it was to be forgotten")
	}
}

// TestEntriesBelow: the folder's own and no neighbour's, over page borders.
func TestEntriesBelow(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	counts := map[string]int{"a": pageRows + 3, "a/b": 2, "a.": 1, "a0": 1, "a/": 1, "": 1, "ab": pageRows, "b\xff": 1}
	for folder, n := range counts {
		for i := range n {
			e := sample(i)
			e.File.Key = media.Key(fmt.Sprintf("%s/%06d", folder, i))
			must(t, l.Store(t.Context(), e))
		}
	}
	must(t, l.Store(t.Context(), Entry{File: media.File{Key: "a"}}))
	must(t, l.Flush(t.Context()))
	for folder, want := range map[string]int{
		"a": pageRows + 3 + 2 + 1, "a/b": 2, "ab": pageRows, "": 1, "b\xff": 1, "none": 0, "a/b/000000": 0,
	} {
		got := all(t, l.EntriesBelow(t.Context(), folder))
		if len(got) != want {
			t.Errorf("%q: %d entries, want %d", folder, len(got), want)
		}
		for i, e := range got {
			if i > 0 && got[i-1].File.Key >= e.File.Key {
				t.Errorf("%q comes after %q", e.File.Key, got[i-1].File.Key)
			}
		}
	}
}
