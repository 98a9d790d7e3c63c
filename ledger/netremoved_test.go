package ledger

import (
	"context"
	"testing"
	"time"
)

// TestNetRemoved: what was kept, what is open, and what another run did does not count.
func TestNetRemoved(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	size := intent(1, "x").Size
	must(t, l.Intend(t.Context(), []Removal{intent(1, "a"), intent(1, "b"), intent(1, "kept"), intent(1, "open")}))
	must(t, l.EndRemovals(t.Context(), []Removal{ended(intent(1, "a"), RemovalRemoved), ended(intent(1, "b"), RemovalRemoved), ended(intent(1, "kept"), RemovalKept)}))
	must(t, l.Intend(t.Context(), []Removal{intent(2, "c")}))
	must(t, l.EndRemovals(t.Context(), []Removal{ended(intent(2, "c"), RemovalRemoved)}))
	must(t, l.Restored(t.Context(), Restoration{Run: 1, By: 3, Key: "b", ETag: "e", At: noon.Add(9 * time.Hour)}))
	for _, tt := range []struct{ from, to, want int64 }{
		{1, 2, 2}, {2, 3, 1}, {1, 3, 3}, {1, 4, 2}, {2, 4, 0}, {3, 4, -1}, {4, 9, 0}, {1, 1, 0},
	} {
		got, err := l.NetRemoved(t.Context(), tt.from, tt.to, time.Time{})
		must(t, err)
		equal(t, got, ClassSum{tt.want, tt.want * size})
	}
	got, err := l.NetRemoved(t.Context(), 3, 4, noon.AddDate(1, 0, 0))
	must(t, err)
	equal(t, got, ClassSum{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = l.NetRemoved(ctx, 1, 2, noon)
	wantIs(t, err, context.Canceled)
}
