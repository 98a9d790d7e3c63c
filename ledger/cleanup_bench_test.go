package ledger

import (
	"fmt"
	"slices"
	"testing"

	"example.org/mediamove/media"
)

// BenchmarkSuspects marks pages of a thousand as a scan does, marks them again
// as the next one does, ends that scan, and reads them as a plan does.
func BenchmarkSuspects(b *testing.B) {
	const rows = 100_000
	all := make([]Suspect, rows)
	for n, e := range entries(rows) {
		all[n] = suspect(e.File.Key, Orphan, e.ETag)
	}
	for b.Loop() {
		l := mustOpen(b, b.TempDir())
		for run, name := range []string{"first", "second"} {
			b.Run(name, func(b *testing.B) {
				perRow(b, rows, func() {
					for page := range slices.Chunk(all, 1000) {
						addSuspects(b, l, int64(run+1), page...)
					}
				})
			})
		}
		b.Run("end", func(b *testing.B) {
			perRow(b, rows, func() { must(b, l.EndScan(b.Context(), Scan{Run: 2, At: noon})) })
		})
		b.Run("read", func(b *testing.B) {
			perRow(b, rows, func() {
				for _, err := range l.Suspects(b.Context(), SuspectQuery{Run: 2, Kind: Orphan, FirstBefore: noon.AddDate(0, 0, 1)}) {
					must(b, err)
				}
			})
		})
	}
}

// BenchmarkRemovals journals a night's work in batches of a thousand, and looks
// up a tree beside a journal of that length.
func BenchmarkRemovals(b *testing.B) {
	const rows = 100_000
	all := entries(rows)
	l := mustOpen(b, b.TempDir())
	storeAll(b, l, all)
	var files []media.File
	var intents, outcomes []Removal
	for _, e := range all {
		files = append(files, e.File)
		intents = append(intents, intent(1, e.File.Key+"x"))
		outcomes = append(outcomes, ended(intent(1, e.File.Key+"x"), RemovalRemoved))
	}
	b.Run("pending, no journal", func(b *testing.B) {
		for b.Loop() {
			perRow(b, rows, func() { pendAll(b, l, files, Same) })
		}
	})
	b.Run("intend", func(b *testing.B) {
		perRow(b, rows, func() {
			for page := range slices.Chunk(intents, 1000) {
				must(b, l.Intend(b.Context(), page))
			}
		})
	})
	b.Run("end", func(b *testing.B) {
		perRow(b, rows, func() {
			for page := range slices.Chunk(outcomes, 1000) {
				must(b, l.EndRemovals(b.Context(), page))
			}
		})
	})
	b.Run("pending, journal", func(b *testing.B) {
		for b.Loop() {
			perRow(b, rows, func() { pendAll(b, l, files, Same) })
		}
	})
	b.Run("known", func(b *testing.B) {
		var keys []media.Key
		for _, f := range files {
			keys = append(keys, f.Key)
		}
		for b.Loop() {
			perRow(b, rows, func() {
				for page := range slices.Chunk(keys, 1000) {
					if got, err := l.Known(b.Context(), page); err != nil || len(got) < 900 {
						b.Fatal(fmt.Sprint(len(got), err))
					}
				}
			})
		}
	})
}
