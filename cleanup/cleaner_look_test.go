package cleanup_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// lateDelete says of one object what the client says when its tries are used up, or when
// the server itself refused.
type lateDelete struct {
	cleanup.Deleter
	key media.Key
	err error
}

func (l lateDelete) Delete(ctx context.Context, k media.Key) error {
	if k == l.key {
		return l.err
	}
	return l.Deleter.Delete(ctx, k)
}

// TestOneLate: the tries for one object are used up while others get through, and the
// server deletes it later, as one behind a gateway may that has said 504. It must not be
// recorded as kept; what it refused must.
func TestOneLate(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]ledger.RemovalState{
		0: ledger.RemovalRemoved, 500: ledger.RemovalRemoved, 504: ledger.RemovalRemoved, 524: ledger.RemovalRemoved,
		429: ledger.RemovalKept, 501: ledger.RemovalKept,
	} {
		g := newRig(t)
		list := g.orphans(5)
		g.edit = func(c *cleanup.Cleaner) {
			c.Bucket = lateDelete{c.Bucket, list[2].Key, &r2.Error{Op: costs.DeleteObject, Key: list[2].Key, Status: status, Err: r2.ErrTransient}}
		}
		c, err := g.clean(t.Context(), list)
		must(t, err)
		equal(t, c.Removed().Objects, int64(4))
		if want == ledger.RemovalRemoved {
			equal(t, c.Kept(), map[string]int64{cleanup.Unanswered: 1})
			g.server.Delete(string(list[2].Key))
		}
		g.settle()
		equal(t, g.rows()[list[2].Key].State, want)
		g.truth()
	}
}

// slowDelete answers what one deletion came to minutes later.
type slowDelete struct {
	cleanup.Deleter
	key media.Key
	d   time.Duration
}

func (s slowDelete) Delete(ctx context.Context, k media.Key) error {
	err := s.Deleter.Delete(ctx, k)
	if k == s.key {
		time.Sleep(s.d)
	}
	return err
}

// TestLookGrowsOld: while deletions take long the rows are looked at again. Who owns an
// object by then keeps it, unless its deletion was sent: only the bucket knows then.
func TestLookGrowsOld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		list := g.orphans(8)
		g.edit = func(c *cleanup.Cleaner) {
			late := lateDelete{c.Bucket, list[1].Key, &r2.Error{Op: costs.DeleteObject, Key: list[1].Key, Err: r2.ErrTransient}}
			c.Bucket = slowDelete{late, list[3].Key, cleanup.LookLife}
		}
		looks := 0
		g.db.before = func(map[media.Class][]int64) {
			if looks++; looks == 2 {
				for _, i := range []int{1, 2, 6} { // one not answered, one gone, one to come
					p, _ := media.Parse(list[i].Key)
					g.db.rows[p.Class][p.ID] = media.Row{Class: p.Class, ID: p.ID, Remote: true, Files: []media.Filed{{Attachment: "avatars", Name: "a.png"}}}
				}
			}
		}
		c, err := g.clean(t.Context(), list)
		must(t, err)
		equal(t, looks, 2)
		equal(t, c.Kept(), map[string]int64{cleanup.KeptOwned: 1, cleanup.Unanswered: 1})
		equal(t, g.rows()[list[6].Key].State, ledger.RemovalKept)
		equal(t, g.rows()[list[1].Key].State, ledger.RemovalIntent)
		g.server.Delete(string(list[1].Key))
		g.truth()
	})
}

// TestOutage: a deletion does not wait through an outage. When the bucket is back, what
// the last look at the rows found may be over, and nothing more goes.
func TestOutage(t *testing.T) {
	t.Parallel()
	for _, op := range []costs.Op{costs.DeleteObject, costs.DeleteObjects} {
		synctest.Test(t, func(t *testing.T) {
			g := newRig(t)
			list := g.orphans(40)
			var looked time.Time
			g.db.before = func(map[media.Class][]int64) { looked = time.Now() }
			down, late := time.Now().Add(30*time.Minute), 0
			g.server.SetFault(func(r fixtures.Request) fixtures.Fault {
				if r.Op == op && time.Now().Before(down) {
					return fixtures.Fault{CutBefore: true}
				}
				if r.Op == op && time.Since(looked) > cleanup.LookLife {
					late++
				}
				return fixtures.Fault{}
			})
			_, err := g.clean(t.Context(), list)
			wantIs(t, err, context.DeadlineExceeded)
			if late > 0 {
				t.Errorf("%d deletions by an old look at the rows", late)
			}
			g.truth()
		})
	}
}

// What a policy removes although it is owned may be in the control: that it goes is no
// alarm, and the canary looks at something else.
func TestCanaryOfWhatIsOwned(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	list := g.orphans(25)
	var goes []media.Key
	for _, c := range list {
		g.db.put(c.Key, true)
		goes = append(goes, c.Key)
	}
	g.edit = func(c *cleanup.Cleaner) {
		c.Policy, c.Control = cleanup.WithdrawPolicy, append(goes, g.control...)
		c.Again = func(_ context.Context, objects []r2.Object) ([]cleanup.Stay, error) {
			return make([]cleanup.Stay, len(objects)), nil
		}
	}
	c, err := g.clean(t.Context(), list)
	must(t, err)
	equal(t, c.Removed().Objects, int64(25))
	g.truth()
}
