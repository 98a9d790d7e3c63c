package main

import (
	"strings"
	"testing"
	"time"

	"example.org/mediamove/fixtures"
	"example.org/mediamove/fixtures/instance"
	"example.org/mediamove/fixtures/pgtest"
)

// Other servers: staging's, replicas, and a copy of the cluster, which has the same
// identity and is as alive as the original.
func TestOtherServers(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	l := newBound(t, server, 21, fixtures.Options{})
	want := l.removable()

	staging := databases.Cluster(t).Create(t, "4.6")
	if err := instance.New(instance.Small(22, "4.6")).Load(t.Context(), staging.DSN); err != nil {
		t.Fatal(err)
	}
	l.status(staging)
	replica, lagging, clone := server.Replica(t), server.Replica(t), server.Clone(t)
	lagging.PauseReplay(t)

	// Days go by. The clone has its own Mastodon, which writes into the same bucket.
	l.night()
	l.posts(l.db, 40, 20*time.Minute)
	own := l.db.On(clone)
	l.posts(own, 20, 40*time.Minute)
	l.status(own)
	replica.CatchUp(t, server)
	for name, tt := range map[string]struct {
		db     pgtest.Instance
		reason string
	}{
		"staging":           {staging, "this is not the database that the bucket is bound to"},
		"a replica":         {l.db.On(replica), "replica"},
		"a lagging replica": {l.db.On(lagging), "replica"},
		"a living clone":    {own, `guard "newest objects"`},
	} {
		l.with(func() { l.use(tt.db) }, func() { l.refusedBy(name, tt.reason) })
		l.alive()
		l.well(name, len(want))
	}
	// The old primary after a failover: its replica goes on as the primary, with its identity.
	replica.Promote(t)
	promoted := l.db.On(replica)
	l.posts(promoted, 5, time.Minute)
	l.later(4 * time.Hour)
	l.posts(promoted, 5, time.Minute)
	l.status(promoted)
	l.refusedBy("the old primary", `guard "fresh"`)
	l.use(promoted)
	l.well("a failover", len(want))
	l.removes(want)
}

// Another machine, another ledger, another domain, a ledger from a backup: none of them is
// the one that was bound.
func TestOtherMachine(t *testing.T) {
	t.Parallel()
	l := newBound(t, databases.Cluster(t), 23, fixtures.Options{})
	want := l.removable()
	backup := l.copyState()
	other := t.TempDir() + "/other"
	join := func() { l.state = other }
	l.with(join, func() {
		mark, _ := l.bucket.Body(".mediamove/owner.json")
		id := between(t, string(mark), `"bucket_id": "`, `"`)
		if r := l.run("sync", "--join", id, l.root); r.code != exitOK && r.code != exitLeft {
			t.Fatal(r)
		}
	})
	elsewhere := func() { l.machine = strings.Repeat("cd", 16) }
	for name, tt := range map[string]struct {
		change       func()
		reason, hint string
	}{
		"another machine": {elsewhere, "another host is bound to clean this bucket", "bind --take-over"},
		"another ledger":  {join, "another ledger is bound", "check --state"},
		"another domain":  {func() { l.set("LOCAL_DOMAIN", "elsewhere.example") }, "example.com", "hint"},
		"a database of another name": {func() {
			l.use(l.copyOf("staging"))
		}, "not the database that the bucket is bound to", "check the DB_* settings"},
	} {
		l.with(tt.change, func() {
			l.refusedBy(name, tt.reason)
			if r := l.clean("orphans", "--apply"); !strings.Contains(r.stderr, tt.hint) {
				t.Errorf("%s: want the hint %q in %v", name, tt.hint, r)
			}
		})
		l.well(name, len(want))
	}
	l.removes(want)

	// A run has counted since the backup was made: what it knows is too old to act on.
	l.night()
	l.with(func() { l.state = backup }, func() {
		l.plantGone(3)
		l.refusedBy("a restored ledger", "the bucket counts 2 cleaning runs, this ledger knows of 1")
		l.night()
		l.refusedBy("a restored ledger, a night later", "stop the copy if there is one")
	})
	l.night()
	l.well("a restored ledger", 0) // its marks are its own
	l.night()
	l.well("two nights", 3)
}

// plantGone plants n objects whose rows were never there.
func (l *living) plantGone(n int) (keys []string) {
	l.t.Helper()
	for i := range n {
		o := instance.Object{
			Key: oldKey(i), Size: int64(100 + i), Modified: l.now().AddDate(-1, 0, 0), ContentType: "image/jpeg",
		}
		l.orphans[o.Key] = instance.Orphan{Object: o, Kind: instance.KindOrphan}
		instance.Fill(l.bucket, "", func(yield func(instance.Object) bool) { yield(o) })
		keys = append(keys, string(o.Key))
	}
	return keys
}

// A whole machine was cloned, with its ledger and its database, a night after the binding.
// Whoever cleans first goes on; the other is refused from then on, whatever it does.
func TestClonedMachine(t *testing.T) {
	t.Parallel()
	for _, first := range []string{"original", "clone"} {
		t.Run(first, func(t *testing.T) {
			t.Parallel()
			server := pgtest.Start(t)
			l := newBound(t, server, 24, fixtures.Options{})
			want := l.removable()
			state, db := l.copyState(), l.db.On(server.Clone(t))
			clone := func() { l.state = state; l.use(db) }
			nobody := func() {}
			winner, loser := nobody, clone
			if first == "clone" {
				winner, loser = clone, nobody
			}
			l.with(winner, func() { l.removes(want) })
			l.with(loser, func() { l.refusedBy("the second one", "they are not the same ones") })
			for range 2 {
				l.night()
				l.status(db)
				l.plantGone(3)
				l.with(loser, func() { l.refusedBy("the second one, later", "they are not the same ones") })
			}
			l.with(winner, func() {
				l.orphan(exitOK)
				l.night()
				l.status(db)
				l.removes(l.planted(3))
			})
			// A person decides that it is the other one after all.
			l.with(loser, func() {
				if r := l.clean("bind"); r.code != exitRefused || !strings.Contains(r.stderr, "--take-over") {
					t.Errorf("bind: %v", r)
				}
				l.bind("--take-over")
			})
			l.with(winner, func() { l.refusedBy("the first one, pushed aside", "they are not the same ones") })
		})
	}
}

// between cuts out what stands between two marks.
func between(t *testing.T, s, before, after string) string {
	t.Helper()
	_, s, ok := strings.Cut(s, before)
	s, _, ok2 := strings.Cut(s, after)
	if !ok || !ok2 {
		t.Fatalf("no %q in %q", before, s)
	}
	return s
}
