package cleanup_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
)

// TestStillOnlyRemoves: of a plan stays what is a candidate today, unchanged; nothing is
// added to it.
func TestStillOnlyRemoves(t *testing.T) {
	t.Parallel()
	long := noon.AddDate(0, 0, -30)
	g := newNight(t, old(1, long), old(2, long), old(3, long), old(4, long), old(5, long), old(6, long))
	g.look()
	equal(t, len(g.later(20*time.Hour)), 6)
	plan, err := all(g.last.Candidates(t.Context()))
	must(t, err)
	plan = plan[:5]                            // 6 was not in it
	g.db.put(avatar(1), true)                  // came back
	g.objects[1].ETag = "other"                // was replaced
	g.objects = slices.Delete(g.objects, 2, 3) // 3 is gone
	plan[3].Size++                             // the plan speaks of another object
	strange := plan[0]
	strange.Key = "accounts/avatars/000/000/077/original/never-seen.png"
	equal(t, g.later(time.Hour), []media.Key{avatar(4), avatar(5), avatar(6)})
	dropped := int64(0)
	got, err := all(g.last.Still(t.Context(), each(append(plan, strange), nil), &dropped))
	must(t, err)
	equal(t, []any{got, dropped}, []any{[]cleanup.Candidate{plan[4]}, int64(5)})

	_, err = all(g.last.Still(t.Context(), each(plan, errScripted), &dropped))
	wantIs(t, err, errScripted)
}

// TestStillTooYoung: a plan can't make an object older than it is.
func TestStillTooYoung(t *testing.T) {
	t.Parallel()
	g := newNight(t, old(1, noon.AddDate(0, 0, -30)))
	g.look()
	plan := []cleanup.Candidate{{Key: avatar(1), Size: 10, ETag: "e"}}
	for _, tt := range []struct {
		d    time.Duration
		want int
	}{{20*time.Hour - 1, 0}, {1, 1}} {
		g.now = g.now.Add(tt.d)
		g.look()
		dropped := int64(0)
		got, err := all(g.last.Still(t.Context(), each(plan, nil), &dropped))
		must(t, err)
		equal(t, []int{len(got), int(dropped)}, []int{tt.want, 1 - tt.want})
	}
}

// TestStillTheSame: an object that was replaced, and is a candidate by now as it is, is
// not the one of the plan; nor is one that only an earlier run saw.
func TestStillTheSame(t *testing.T) {
	t.Parallel()
	g := newNight(t, old(1, noon.AddDate(0, 0, -30)), old(2, noon.AddDate(0, 0, -30)))
	g.look()
	g.later(20 * time.Hour)
	plan, err := all(g.last.Candidates(t.Context()))
	must(t, err)
	g.objects[0].ETag = "other"
	g.look()
	equal(t, g.later(20*time.Hour), []media.Key{avatar(1), avatar(2)})
	dropped := int64(0)
	got, err := all(g.last.Still(t.Context(), each(plan, nil), &dropped))
	must(t, err)
	equal(t, []any{got, dropped}, []any{plan[1:], int64(1)})

	g.objects = g.objects[:1]
	g.edit = func(o *cleanup.Orphans) { o.Hold = true } // the marks of what is gone stay
	equal(t, g.later(time.Hour), []media.Key{avatar(1)})
	got, err = all(g.last.Still(t.Context(), each(plan, nil), &dropped))
	must(t, err)
	equal(t, len(got), 0)
}

// TestDoubtedScan: a database that is contradicted leaves nothing behind that a later run
// is held against; its marks stay, and alone they are worth nothing.
func TestDoubtedScan(t *testing.T) {
	t.Parallel()
	g := newNight(t, avatars(300)...)
	for i := range g.objects {
		g.db.put(g.objects[i].Key, true)
	}
	g.look()
	before, err := g.ledger.LastScan(t.Context())
	must(t, err)

	wrong := newDB() // another database: everything is an orphan there
	right := g.db
	g.db, g.now = wrong, g.now.Add(20*time.Hour)
	r := g.look()
	equal(t, refusals(r), []string{"newest objects", "positive control"})
	after, err := g.ledger.LastScan(t.Context())
	must(t, err)
	equal(t, after, before)

	g.db = right
	equal(t, g.later(20*time.Hour), []media.Key(nil))
	g.db = wrong
	equal(t, g.later(time.Hour), []media.Key(nil)) // the waiting began anew
}

func refusals(r *cleanup.Report) (names []string) {
	for _, v := range r.Refusals {
		names = append(names, v.Guard)
	}
	return names
}

// TestControlOverNights: the control of a first run lets a second one delete, 20 hours
// later and not before.
func TestControlOverNights(t *testing.T) {
	t.Parallel()
	g := newNight(t, avatars(300)...)
	for i := range g.objects {
		g.db.put(g.objects[i].Key, true)
	}
	equal(t, refusals(g.look()), []string{"control size"})
	g.now = g.now.Add(20*time.Hour - 1)
	equal(t, refusals(g.look()), []string{"control size"})
	g.now = g.now.Add(1)
	equal(t, refusals(g.look()), []string(nil))
	for id := range int64(2) { // more than 0.5 % of 300
		delete(g.db.rows[media.Accounts], id+1)
	}
	equal(t, refusals(g.look()), []string{"positive control"})
}

// TestCountsOverNights: a table that shrank stays in doubt until somebody accepts it.
func TestCountsOverNights(t *testing.T) {
	t.Parallel()
	g := newNight(t)
	g.db.counts["accounts"] = 100
	g.look()
	g.db.counts["accounts"] = 89
	for range 2 {
		equal(t, refusals(g.look()), []string{"control size", "row counts"})
	}
	must(t, g.last.Accept(t.Context()))
	equal(t, refusals(g.look()), []string{"control size"})
}

// TestHold: what a person has not looked at yet is not recorded.
func TestHold(t *testing.T) {
	t.Parallel()
	g := newNight(t, avatars(3)...)
	g.edit = func(o *cleanup.Orphans) { o.Hold = true }
	g.look()
	_, err := g.ledger.LastScan(t.Context())
	wantIs(t, err, ledger.ErrUnknown)
	must(t, g.last.Accept(t.Context()))
	scan, err := g.ledger.LastScan(t.Context())
	must(t, err)
	equal(t, []any{scan.Run, scan.Objects, scan.Bytes, scan.At}, []any{int64(1), int64(3), int64(30), noon})
}

// TestLookFails: a scan that failed is no report to act upon, and leaves the last one.
func TestLookFails(t *testing.T) {
	t.Parallel()
	g := newNight(t, avatars(3)...)
	g.look()
	before, err := g.ledger.LastScan(t.Context())
	must(t, err)
	g.last.Survey.Instance = &memoryDB{fails: map[string]int{"Rows": 1}, calls: map[string]int{}}
	g.last.Survey.Run = 2
	r, err := g.last.Look(t.Context())
	wantIs(t, err, errScripted)
	if r.Scan != nil || len(r.Refusals) == 0 || r.Refusals[0].Guard != "whole" || r.Candidates != (cleanup.Sum{}) {
		t.Errorf("%+v", r)
	}
	after, err := g.ledger.LastScan(t.Context())
	must(t, err)
	equal(t, after, before)
}

func TestCheckPlan(t *testing.T) {
	t.Parallel()
	above := []cleanup.Above{{Class: media.Accounts, Candidates: cleanup.Sum{Objects: 30, Bytes: 7}, Objects: 20, Bytes: 5}}
	for name, tt := range map[string]struct {
		edit   func(*cleanup.Plan)
		now    time.Time
		typed  int64
		refuse bool
	}{
		"at once":                {nil, noon, 0, false},
		"just in time":           {nil, noon.Add(cleanup.PlanLife), 0, false},
		"too late":               {nil, noon.Add(cleanup.PlanLife + 1), 0, true},
		"clock an hour behind":   {nil, noon.Add(-time.Hour), 0, false},
		"of the future":          {nil, noon.Add(-time.Hour - 1), 0, true},
		"another bucket":         {func(p *cleanup.Plan) { p.BucketID = "other" }, noon, 0, true},
		"another ledger":         {func(p *cleanup.Plan) { p.LedgerID = "other" }, noon, 0, true},
		"above, not typed":       {func(p *cleanup.Plan) { p.Above = above }, noon, 0, true},
		"above, typed":           {func(p *cleanup.Plan) { p.Above = above }, noon, 30, false},
		"above, another number":  {func(p *cleanup.Plan) { p.Above = above }, noon, 31, true},
		"above, typed, too late": {func(p *cleanup.Plan) { p.Above = above }, noon.Add(cleanup.PlanLife + 1), 30, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := planOf(candidates(30))
			if tt.edit != nil {
				tt.edit(p)
			}
			err := cleanup.CheckPlan(p, "bucket", "ledger", tt.now, tt.typed)
			limit, isAbove := errors.AsType[*cleanup.AboveError](err)
			if (err != nil) != tt.refuse || err != nil && errors.Is(err, cleanup.ErrPlan) == isAbove {
				t.Fatal(err)
			}
			if isAbove {
				equal(t, limit.Error(), `guard "ceilings": 30 objects of accounts (7 bytes) would go, 20 objects and 5 bytes may go in one night`)
			}
		})
	}
}

// A failedOver database has become a replica since it was opened.
type failedOver struct{ *memoryDB }

func (failedOver) Rows(context.Context, map[media.Class][]int64) (mastodon.Rows, error) {
	return nil, fmt.Errorf("read rows: %w", mastodon.ErrReplica)
}

// TestFailover: the guard "primary" refuses by itself, not only when the database is opened.
func TestFailover(t *testing.T) {
	t.Parallel()
	g := newNight(t, old(1, noon.AddDate(0, 0, -30)))
	s := survey(listing{g.objects, -1}, g.db, nil)
	s.Instance, s.Marks, s.Run, s.Now = failedOver{g.db}, g.ledger, 1, func() time.Time { return g.now }
	o := &cleanup.Orphans{
		Survey: s, Memory: g.ledger, History: g.ledger, Marks: g.ledger, Guards: cleanup.Guards(),
		Facts: cleanup.Facts{Alone: true, Switched: true},
	}
	r, err := o.Look(t.Context())
	wantIs(t, err, cleanup.ErrRows)
	var names []string
	for _, refusal := range r.Refusals {
		names = append(names, refusal.Guard)
	}
	equal(t, names, []string{"whole", "primary"})
}
