package ledger

import (
	"context"
	"slices"
	"testing"
	"time"

	"example.org/mediamove/media"
)

// BenchmarkClearings journals a night's rows in the batches of their UPDATE, and
// asks what a scan asks of a journal of that length.
func BenchmarkClearings(b *testing.B) {
	const rows = 100_000
	batch := make([]Clearing, rows)
	for n := range batch {
		batch[n] = clearIntent(1, 114_000_000_000_000_000+int64(n)*7919)
		batch[n].Columns = []byte(`{"file_file_name":"0123456789abcdef.jpeg","file_content_type":"image/jpeg","file_file_size":123456,` +
			`"file_updated_at":"2026-10-01T12:00:00.123456Z","thumbnail_file_name":null,"thumbnail_content_type":null,` +
			`"thumbnail_file_size":null,"thumbnail_updated_at":null}`)
	}
	var l *Ledger
	b.Run("intend", func(b *testing.B) {
		for b.Loop() {
			l = mustOpen(b, b.TempDir())
			perRow(b, rows, func() { inPages(b, batch, l.IntendClearing) })
		}
	})
	l = mustOpen(b, b.TempDir()) // that one is closed
	inPages(b, batch, l.IntendClearing)
	began := time.Now()
	advance(batch, ClearCleared)
	inPages(b, batch, l.EndClearings)
	b.Logf("cleared: %.1f µs a row", float64(time.Since(began).Microseconds())/rows)
	b.Run("open", func(b *testing.B) { benchOpen(b, l, batch) })
	advance(batch, ClearDone)
	inPages(b, batch, l.EndClearings)
	b.Run("any, none", func(b *testing.B) { benchAny(b, l, false) })
	var pages, size int64
	must(b, l.read.QueryRowContext(b.Context(), "SELECT page_count, page_size FROM pragma_page_count, pragma_page_size").Scan(&pages, &size))
	b.Logf("%d bytes a row", pages*size/rows)
}

func inPages(b *testing.B, batch []Clearing, do func(context.Context, []Clearing) error) {
	b.Helper()
	for page := range slices.Chunk(batch, 500) {
		must(b, do(b.Context(), page))
	}
}

func advance(batch []Clearing, s ClearState) {
	for i := range batch {
		batch[i] = batch[i].in(s)
	}
}

func benchAny(b *testing.B, l *Ledger, want bool) {
	for b.Loop() {
		if some, err := l.AnyCleared(b.Context()); some != want || err != nil {
			b.Fatal(some, err)
		}
	}
}

func benchOpen(b *testing.B, l *Ledger, batch []Clearing) {
	b.Run("any, some", func(b *testing.B) { benchAny(b, l, true) })
	b.Run("cleared", func(b *testing.B) {
		for n := 0; b.Loop(); n++ {
			c := batch[n*7919%len(batch)]
			if got, err := l.OpenClearing(b.Context(), media.MediaAttachments, c.RowID); err != nil || got.RowID != c.RowID {
				b.Fatal(got, err)
			}
		}
	})
	b.Run("unknown", func(b *testing.B) {
		for n := int64(1); b.Loop(); n++ {
			if _, err := l.OpenClearing(b.Context(), media.MediaAttachments, n); err == nil {
				b.Fatal(n)
			}
		}
	})
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			perRow(b, len(batch), func() {
				for _, err := range l.Clearings(b.Context(), ClearingQuery{State: ClearCleared}) {
					must(b, err)
				}
			})
		}
	})
}
