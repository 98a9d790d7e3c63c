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
	must(t, l.AddEvidence(t.Context(), Evidence{Key: "a", Level: ReadBack, At: noon}))
	must(t, l.AddEvidence(t.Context(), Evidence{Key: "a", Level: Listed, At: noon.Add(9)}))
	must(t, l.AddEvidence(t.Context(), Evidence{Key: "b", Level: ReadBack, At: noon.Add(9)}))
	must(t, l.Flush(t.Context()))
	for since, want := range map[time.Time]bool{{}: true, noon.Add(-1): true, noon: true, noon.Add(1): false} {
		got, err := l.ReadSince(t.Context(), "a", since)
		must(t, err)
		if got != want {
			t.Errorf("since %v: %t", since, got)
		}
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
