package cleanup_test

import (
	"net/http"
	"testing"
	"time"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// intend leaves open intents behind, as a killed run does.
func (g *rig) intend(list []cleanup.Candidate) {
	g.t.Helper()
	var rows []ledger.Removal
	for _, c := range list {
		rows = append(rows, ledger.Removal{Run: 1, Key: c.Key, Policy: cleanup.Policy, Size: c.Size, ETag: c.ETag, Modified: c.Modified, Trash: "1/x", Intended: noon})
	}
	must(g.t, g.ledger.Intend(g.t.Context(), rows))
}

// TestSettle: the bucket says what became of an intent, over several pages of the journal.
func TestSettle(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	list := g.orphans(2300)
	g.intend(list)
	want := func(i int) ledger.RemovalState {
		if i%3 == 0 {
			return ledger.RemovalRemoved
		}
		return ledger.RemovalKept
	}
	for i, c := range list {
		switch i % 3 {
		case 0:
			g.server.Delete(string(c.Key))
		case 1:
			g.server.Put(string(c.Key), []byte("other"))
		}
	}
	equal(t, g.settle(), len(list))
	rows := g.rows()
	details := map[string]int{}
	for i, c := range list {
		r := rows[c.Key]
		if r.State != want(i) || r.Ended.IsZero() || r.Trash != "1/x" {
			t.Fatalf("%d: %+v", i, r)
		}
		details[r.Detail]++
	}
	equal(t, len(details), 3)
	equal(t, g.server.Usage()[costs.DeleteObject]+g.server.Usage()[costs.DeleteObjects], int64(0))
	equal(t, g.settle(), 0)
	g.close()
}

// TestSettleFails: who can't look says nothing.
func TestSettleFails(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	list := g.orphans(5)
	g.intend(list)
	g.server.SetFault(func(r fixtures.Request) fixtures.Fault {
		if r.Key == string(list[3].Key) {
			return fixtures.Fault{Status: http.StatusForbidden, Code: "AccessDenied"}
		}
		return fixtures.Fault{}
	})
	b := g.bucket()
	defer b.Close()
	_, err := cleanup.Settle(t.Context(), b, g.ledger, time.Now)
	wantIs(t, err, r2.ErrDenied)
	for _, r := range g.rows() {
		equal(t, r.State, ledger.RemovalIntent)
	}
	_, err = cleanup.Settle(t.Context(), b, &cutJournal{Journal: g.ledger, at: 1}, time.Now)
	if err == nil {
		t.Error("the journal failed, and no error")
	}
	equal(t, g.settle(), 5)
	g.truth()
}

// TestOpenIntentsCount: what a killed run may have removed counts as removed, until it is
// settled.
func TestOpenIntentsCount(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	list := g.orphans(3)
	g.intend(list)
	sum, err := g.ledger.RemovedSince(t.Context(), cleanup.Policy, noon)
	must(t, err)
	equal(t, sum[media.Accounts].Objects, int64(3))
	g.settle()
	sum, err = g.ledger.RemovedSince(t.Context(), cleanup.Policy, noon)
	must(t, err)
	equal(t, sum[media.Accounts].Objects, int64(0))
	g.truth()
}
