package cleanup_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// A night is a real ledger, and a bucket and a database in memory, over many runs.
type night struct {
	t       *testing.T
	ledger  *ledger.Ledger
	db      *memoryDB
	objects []r2.Object
	now     time.Time
	run     int64
	last    *cleanup.Orphans
	edit    func(*cleanup.Orphans)
}

func newNight(t *testing.T, objects ...r2.Object) *night {
	t.Helper()
	return &night{t: t, ledger: openLedger(t, t.TempDir()), db: newDB(), objects: objects, now: noon}
}

func openLedger(t testing.TB, dir string) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Open(t.Context(), dir, ledger.Options{})
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// look is one run at g.now.
func (g *night) look() *cleanup.Report {
	g.t.Helper()
	g.run++
	s := survey(listing{g.objects, -1}, g.db, nil)
	at := g.now
	s.Marks, s.Run, s.Now = g.ledger, g.run, func() time.Time { return at }
	g.last = &cleanup.Orphans{
		Survey: s, Memory: g.ledger, History: g.ledger, Marks: g.ledger, Guards: cleanup.Guards(), Limits: cleanup.Ceilings(), MinAge: cleanup.MinAge,
		Facts: cleanup.Facts{Alone: true, Switched: true},
	}
	g.db.newest = at
	if g.edit != nil {
		g.edit(g.last)
	}
	r, err := g.last.Look(g.t.Context())
	must(g.t, err)
	return r
}

// later looks again after d and returns what may go.
func (g *night) later(d time.Duration) []media.Key {
	g.t.Helper()
	g.now = g.now.Add(d)
	r := g.look()
	list, err := all(g.last.Candidates(g.t.Context()))
	must(g.t, err)
	var keys []media.Key
	for _, c := range list {
		keys = append(keys, c.Key)
	}
	equal(g.t, r.Candidates.Objects, int64(len(keys)))
	return keys
}

// old is an orphan last modified at that time.
func old(id int64, modified time.Time) r2.Object {
	return r2.Object{Key: avatar(id), Size: 10, ETag: "e", LastModified: modified}
}

// TestRipe: seen twice 20 hours apart, and three days old at the second time, both to the
// nanosecond by the clock that is handed in.
func TestRipe(t *testing.T) {
	t.Parallel()
	long := noon.AddDate(0, 0, -30)
	for name, tt := range map[string]struct {
		modified time.Time
		gap      time.Duration
		minAge   time.Duration
		want     bool
	}{
		"two nights":            {long, 24 * time.Hour, cleanup.MinAge, true},
		"20 hours":              {long, 20 * time.Hour, cleanup.MinAge, true},
		"not quite 20 hours":    {long, 20*time.Hour - 1, cleanup.MinAge, false},
		"the same moment":       {long, 0, cleanup.MinAge, false},
		"the clock went back":   {long, -time.Hour, cleanup.MinAge, false},
		"72 hours":              {noon.Add(20*time.Hour - 72*time.Hour), 20 * time.Hour, cleanup.MinAge, true},
		"not quite 72 hours":    {noon.Add(20*time.Hour - 72*time.Hour + 1), 20 * time.Hour, cleanup.MinAge, false},
		"of the future":         {noon.AddDate(1, 0, 0), 20 * time.Hour, cleanup.MinAge, false},
		"of no time":            {time.Time{}, 20 * time.Hour, cleanup.MinAge, false},
		"another least age":     {noon.Add(20*time.Hour - 96*time.Hour), 20 * time.Hour, 96 * time.Hour, true},
		"not quite another age": {noon.Add(20*time.Hour - 96*time.Hour + 1), 20 * time.Hour, 96 * time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newNight(t, old(1, tt.modified))
			g.edit = func(o *cleanup.Orphans) {
				trusting(o)
				o.MinAge = tt.minAge
			}
			first := g.look()
			equal(t, []cleanup.Sum{first.Candidates, first.Waiting}, []cleanup.Sum{{}, {Objects: 1, Bytes: 10}})
			if got := g.later(tt.gap); (len(got) == 1) != tt.want {
				t.Errorf("candidates %q", got)
			}
		})
	}
}

// TestWaitingBeginsAnew: whatever breaks the row of sightings makes it begin again.
func TestWaitingBeginsAnew(t *testing.T) {
	t.Parallel()
	for name, between := range map[string]func(*night){
		"other bytes":   func(g *night) { g.objects[0].ETag = "f" },
		"another owner": func(g *night) { g.db.put(avatar(1), true); g.look(); delete(g.db.rows[media.Accounts], 1) },
		"it was away": func(g *night) {
			was := g.objects
			g.objects = nil
			g.look()
			g.objects = was
		},
		"a person was to look at it": func(g *night) {
			g.db.rows[media.Accounts][1] = media.Row{Class: media.Accounts, ID: 1, Files: []media.Filed{{Attachment: "avatars"}}}
			g.look()
			delete(g.db.rows[media.Accounts], 1)
		},
		"its marks were cancelled": func(g *night) {
			_, err := g.ledger.CancelSuspects(g.t.Context(), 1, "")
			must(g.t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newNight(t, old(1, noon.AddDate(0, 0, -30)))
			g.look()
			g.now = g.now.Add(10 * time.Hour)
			between(g)
			equal(t, g.later(10*time.Hour), []media.Key(nil))
			equal(t, g.later(20*time.Hour-1), []media.Key(nil))
			equal(t, g.later(1), []media.Key{avatar(1)})
		})
	}
}

// TestOnlyOrphansGo: what a person should see, and what is not known, waits for ever.
func TestOnlyOrphansGo(t *testing.T) {
	t.Parallel()
	modified := noon.AddDate(0, 0, -30)
	g := newNight(t, old(1, modified), old(2, modified), old(3, modified), r2.Object{Key: "robots.txt", ETag: "e", LastModified: modified},
		r2.Object{Key: "backups/dumps/000/000/001/original/a.zip", ETag: "e", LastModified: modified})
	g.db.put(avatar(1), true)
	g.db.rows[media.Accounts][2] = media.Row{Class: media.Accounts, ID: 2, Files: []media.Filed{{Attachment: "avatars", Name: "b.png"}}}
	g.look()
	equal(t, g.later(100*24*time.Hour), []media.Key{avatar(3)})
}

// TestReport adds up what may go and what has to wait, and holds it against the ceilings
// with what went since the last night.
func TestReport(t *testing.T) {
	t.Parallel()
	var objects []r2.Object
	for id := range int64(30) {
		objects = append(objects, old(id+1, noon.AddDate(0, 0, -30)))
	}
	objects = append(objects, old(31, noon))
	g := newNight(t, objects...)
	g.edit = trusting
	g.look()
	g.now = g.now.Add(20 * time.Hour)
	for i, hours := range []int{19, 20, 21} { // before now: the last one was another night
		for id := range int64(3) {
			g.removed(int64(i+1), avatar(100*int64(i+1)+id), g.now.Add(-time.Duration(hours)*time.Hour))
		}
	}
	r := g.look()
	sum := cleanup.Sum{Objects: 30, Bytes: 300}
	equal(t, []cleanup.Sum{r.Candidates, r.Waiting, r.Returned}, []cleanup.Sum{sum, {Objects: 1, Bytes: 10}, {}})
	equal(t, r.Classes, map[media.Class]cleanup.Sum{media.Accounts: sum})
	equal(t, r.Reasons, map[string]cleanup.Sum{"row gone": sum})
	equal(t, r.Above, []cleanup.Above{{
		Class: media.Accounts, Candidates: sum, Tonight: cleanup.Sum{Objects: 6, Bytes: 60}, Objects: 20, Bytes: cleanup.Ceilings().Bytes,
	}})
}

// removed journals that a run removed k.
func (g *night) removed(run int64, k media.Key, at time.Time) {
	g.t.Helper()
	r := ledger.Removal{Run: run, Key: k, Policy: cleanup.Policy, Size: 10, ETag: "e", Modified: noon, Intended: at}
	must(g.t, g.ledger.Intend(g.t.Context(), []ledger.Removal{r}))
	r.State, r.Ended = ledger.RemovalRemoved, at
	must(g.t, g.ledger.EndRemovals(g.t.Context(), []ledger.Removal{r}))
}

// TestReturnedStays: what undo has put back is never a candidate again, however long it
// waits, also not by an old plan.
func TestReturnedStays(t *testing.T) {
	t.Parallel()
	g := newNight(t, old(1, noon.AddDate(0, 0, -30)), old(2, noon.AddDate(0, 0, -30)))
	g.look()
	equal(t, g.later(20*time.Hour), []media.Key{avatar(1), avatar(2)})
	plan, err := all(g.last.Candidates(t.Context()))
	must(t, err)
	g.removed(g.run, avatar(1), g.now)
	must(t, g.ledger.Restored(t.Context(), ledger.Restoration{Run: g.run, By: g.run + 1, Key: avatar(1), ETag: "e", At: g.now}))
	for range 3 {
		equal(t, g.later(1000*time.Hour), []media.Key{avatar(2)})
	}
	equal(t, g.look().Returned, cleanup.Sum{Objects: 1, Bytes: 10})
	dropped := int64(0)
	still, err := all(g.last.Still(t.Context(), each(plan, nil), &dropped))
	must(t, err)
	equal(t, []any{len(still), still[0].Key, dropped}, []any{1, avatar(2), int64(1)})
}

// TestHealedMayGo: what came back because a row needed it is an orphan like any other once
// that row is gone; what a person took back is not.
func TestHealedMayGo(t *testing.T) {
	t.Parallel()
	g := newNight(t, old(1, noon.AddDate(0, 0, -30)), old(2, noon.AddDate(0, 0, -30)))
	const healing = 70
	g.edit = func(o *cleanup.Orphans) {
		o.Undid = func(_ context.Context, run int64) (bool, error) { return run != healing, nil }
	}
	g.look()
	for id, by := range map[int64]int64{1: healing, 2: healing + 1} {
		g.removed(g.run, avatar(id), g.now)
		must(t, g.ledger.Restored(t.Context(), ledger.Restoration{Run: g.run, By: by, Key: avatar(id), ETag: "e", At: g.now}))
	}
	equal(t, g.later(1000*time.Hour), []media.Key{avatar(1)})
	g.last.Undid = func(context.Context, int64) (bool, error) { return false, errScripted }
	_, err := all(g.last.Candidates(t.Context()))
	wantIs(t, err, errScripted)
}

// trusting takes the guards away that hold a bucket of orphans alone against its
// database: no live one has that.
func trusting(o *cleanup.Orphans) {
	o.Guards = slices.DeleteFunc(o.Guards, func(g cleanup.Guard) bool { return g.Name == "newest objects" || g.Name == "fresh" })
}

// TestDoubtedMarks: what a wrong database marks is not the first of two sightings, and
// what a right one marked stays.
func TestDoubtedMarks(t *testing.T) {
	t.Parallel()
	month := noon.AddDate(0, 0, -30)
	g := newNight(t, old(1, month))
	g.look()
	g.objects = append(g.objects, old(2, month))
	g.edit = func(o *cleanup.Orphans) { o.Facts.Primary = errors.New("a replica") }
	g.later(time.Hour)
	g.edit = nil
	equal(t, g.later(19*time.Hour), []media.Key{avatar(1)})
	equal(t, g.later(time.Hour), []media.Key{avatar(1)})
	equal(t, g.later(19*time.Hour), []media.Key{avatar(1), avatar(2)})
}

// TestManyNights: the page size of the ledger is no border.
func TestManyNights(t *testing.T) {
	t.Parallel()
	var objects []r2.Object
	for id := range int64(2500) {
		objects = append(objects, old(id+1, noon.AddDate(0, 0, -30)))
	}
	g := newNight(t, objects...)
	g.edit = trusting
	g.look()
	got := g.later(20 * time.Hour)
	equal(t, []any{len(got), got[0], got[2499]}, []any{2500, avatar(1), avatar(2500)})
}

// TestUndoMarks: the waiting of what a run marked first begins anew.
func TestUndoMarks(t *testing.T) {
	t.Parallel()
	g := newNight(t, old(1, noon.AddDate(0, 0, -30)), old(2, noon.AddDate(0, 0, -30)))
	g.look()
	u := &cleanup.Undo{Records: g.ledger, Run: 2, Now: time.Now}
	for _, tt := range []struct {
		run int64
		key media.Key
		n   int64
	}{{2, "", 0}, {1, avatar(2), 1}, {1, "", 1}} {
		n, err := u.Marks(t.Context(), tt.run, tt.key)
		must(t, err)
		equal(t, n, tt.n)
	}
	equal(t, g.later(20*time.Hour), []media.Key(nil))
}
