package cleanup_test

import (
	"testing"
	"time"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

// TestWithdrawnAndBackIsAnOrphan: what was taken out of the bucket because it was to be
// hidden had an owner. That it came back says nothing of the day when it has none.
func TestWithdrawnAndBackIsAnOrphan(t *testing.T) {
	t.Parallel()
	g := newNight(t, old(1, noon.AddDate(0, 0, -30)), old(2, noon.AddDate(0, 0, -30)))
	g.look()
	r := ledger.Removal{Run: g.run, Key: avatar(1), Policy: cleanup.WithdrawPolicy, Size: 10, ETag: "e", Modified: noon, Intended: g.now}
	must(t, g.ledger.Intend(t.Context(), []ledger.Removal{r}))
	r.State, r.Ended = ledger.RemovalRemoved, g.now
	must(t, g.ledger.EndRemovals(t.Context(), []ledger.Removal{r}))
	must(t, g.ledger.Restored(t.Context(), ledger.Restoration{Run: g.run, By: g.run + 1, Key: avatar(1), ETag: "e", At: g.now}))
	equal(t, g.later(20*time.Hour), []media.Key{avatar(1), avatar(2)})
	equal(t, g.look().Returned, cleanup.Sum{})
}
