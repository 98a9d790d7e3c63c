package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/fixtures/instance"
)

// newMovedLiving is an instance whose own tree was moved, and whose rows for it are all
// gone: what was moved are orphans now, of which the ledger has proofs.
func newMovedLiving(t *testing.T, seed uint64) (l *living, moved []string) {
	t.Helper()
	l = newLiving(t, instance.Small(seed, "4.6"), 0)
	l.root = t.TempDir() + "/second"
	if _, err := fixtures.Tree(l.root, fixtures.Small(30)); err != nil {
		t.Fatal(err)
	}
	l.set("S3_ENABLED", "")
	before := l.stands()
	var out syncJSON
	decode(t, l.run("sync", l.root, "--before-switch", "--json"), exitOK, &out)
	l.set("S3_ENABLED", "true")
	for k := range l.stands() {
		if _, old := before[k]; !old {
			moved = append(moved, k)
		}
	}
	if slices.Sort(moved); len(moved) < 20 {
		t.Fatalf("%d moved: %+v", len(moved), out)
	}
	l.posts(l.db, 150, 5*time.Hour)
	l.bind()
	l.later(60 * time.Hour)
	l.alive()
	l.orphan(exitOK)
	l.night()
	return l, moved
}

// What a cleanup run removed is removed to everybody: verify does not miss it, and nothing
// sends it again. After undo it is there and verified as it was.
func TestRemovedToEverybody(t *testing.T) {
	t.Parallel()
	l, moved := newMovedLiving(t, 81)
	before := l.stands()
	verified := func(code int, args ...string) (out verifyJSON) {
		t.Helper()
		decode(t, l.run(append([]string{"verify", l.root, "--json"}, args...)...), code, &out)
		return out
	}
	first := verified(exitOK, "--read") // what the rig moved first, and took away, is in no row
	if first.Removed != 0 || first.Deleted == 0 || first.Missing != 0 || first.Same < int64(len(moved)) {
		t.Fatalf("%+v", first)
	}
	l.removes(moved, "--max-share", "100")
	run := l.lastRun("orphans")
	after := verified(exitOK, "--read")
	if after.Removed != int64(len(moved)) || after.Missing != 0 || after.Deleted != first.Deleted || after.Same != first.Same-int64(len(moved)) {
		t.Errorf("%+v", after)
	}
	away := func(what string) {
		t.Helper()
		if gone := missing(before, l.stands()); !slices.Equal(gone, moved) {
			t.Fatalf("after %s %d of %d are away", what, len(gone), len(moved))
		}
	}
	touched := filepath.Join(l.root, filepath.FromSlash(moved[0]))
	if err := os.Chtimes(touched, time.Now(), time.Now().Add(-time.Minute)); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"sync", l.root},
		{"sync", l.root, "--before-switch"},
		{"sync", l.root, "--before-switch", "--retry-failed"},
		{"verify", l.root, "--before-switch", "--repair"},
		{"verify", l.root, "--before-switch", "--repair", "--replace-differing"},
	} {
		r := l.run(args...)
		if r.code != exitOK && (r.code != exitLeft || args[0] != "verify") { // to verify, the instance's own are extra
			t.Errorf("%v: %v", args, r)
		}
		away(strings.Join(args, " "))
	}
	if r := l.clean("explain", moved[1]); !strings.Contains(r.stdout, "removed by run "+run) {
		t.Error(r)
	}

	if r := l.clean("undo", run); r.code != exitOK {
		t.Fatal(r)
	}
	if lost := missing(before, l.stands()); len(lost) > 0 {
		t.Fatalf("%q are not back", lost)
	}
	back := verified(exitOK, "--read")
	if back.Removed != 0 || back.Missing != 0 || back.Deleted != first.Deleted || back.Same != first.Same {
		t.Errorf("after undo %+v, before %+v", back, first)
	}
	used := l.bucket.Usage().Get(costs.PutObject)
	if r := l.run("sync", l.root, "--before-switch"); r.code != exitOK {
		t.Error(r)
	}
	if puts := l.bucket.Usage().Get(costs.PutObject) - used; puts > 1 { // the mark may be written
		t.Errorf("%d objects were sent", puts)
	}
	// The record is as it was: what goes missing now is missing.
	l.bucket.Delete(moved[2])
	if out := verified(exitLeft, "--before-switch"); out.Missing != first.Deleted+1 || out.Removed != 0 {
		t.Errorf("%+v", out)
	}
}

// Nothing that can be read later holds a secret: no screen, no ledger, no trash, no plan,
// no mark.
func TestNoSecrets(t *testing.T) {
	t.Parallel()
	const canary = "pw-canary-4711"
	l := newLiving(t, instance.Small(82, "4.6"), 60)
	l.set("DB_PASS", canary) // the socket asks for none
	secrets := []string{canary, fixtures.Secret}
	l.posts(l.db, 150, 5*time.Hour)
	plan := filepath.Join(t.TempDir(), "plan.json")
	l.typed = "example.com\n"
	seen := 0
	look := func(code int, args ...string) {
		t.Helper()
		r := l.clean(args...)
		if r.code != code {
			t.Errorf("%v: %v", args, r)
		}
		for _, secret := range secrets {
			if strings.Contains(r.String(), secret) {
				t.Errorf("%v tells a secret: %v", args, r)
			}
		}
		seen++
	}
	look(exitOK, "bind", "--verbose")
	l.night()
	look(exitOK, "orphans", "--save", plan, "--verbose")
	look(exitOK, "orphans", "--apply-plan", plan, "--verbose")
	run := l.lastRun("orphans")
	look(exitOK, "journal", "--json")
	look(exitOK, "undo", run, "--verbose")
	l.with(func() { l.set("DB_NAME", "no_such_database") }, func() { look(exitUsage, "orphans", "--apply", "--verbose") })
	l.with(func() { l.set("DATABASE_URL", "postgres://u:"+canary+"@/x?sslmode=nonsense") }, func() { look(exitUsage, "orphans", "--apply", "--verbose") })
	l.with(func() { l.set("AWS_SECRET_ACCESS_KEY", canary) }, func() { look(exitUsage, "orphans", "--apply", "--verbose") })
	for _, secret := range secrets {
		for _, dir := range []string{l.state, filepath.Dir(plan)} {
			if name := holds(t, dir, secret); name != "" {
				t.Errorf("%s holds a secret", name)
			}
		}
		if strings.Contains(l.markText(), secret) {
			t.Error("the mark holds a secret")
		}
	}
	// The look finds what is there.
	if holds(t, l.state, l.removable()[0]) == "" {
		t.Error("the ledger does not know what it removed")
	}
}

// Below a prefix the rest of the bucket is nobody's business.
func TestOrphansPrefix(t *testing.T) {
	t.Parallel()
	l := newBound(t, databases.Cluster(t), 83, fixtures.Options{})
	want := l.removable()
	for _, o := range l.bucket.Objects() {
		body, _ := l.bucket.Body(o.Key)
		at := o.Key
		o.Key = "media/" + at
		l.bucket.Plant(o, body)
		l.bucket.Plant(fixtures.Object{Key: "mediaX/" + at, LastModified: o.LastModified}, body)
	}
	before := l.stands()
	l.set("S3_KEY_PREFIX", "media/")
	out := l.orphan(exitOK, "--apply")
	delete(before, "media/.mediamove/owner.json") // it counts
	gone := missing(before, l.stands())
	for i := range gone {
		gone[i] = strings.TrimPrefix(gone[i], "media/")
	}
	if !slices.Equal(gone, want) || out.Removed.Objects != int64(len(want)) {
		t.Errorf("%d gone, want %d: %q", len(gone), len(want), gone)
	}
	l.owned()
	if r := l.clean("undo", l.lastRun("orphans")); r.code != exitOK || len(missing(before, l.stands())) > 0 {
		t.Error(r)
	}
}

// A table that this version of Mastodon does not have leaves its class to people.
func TestOrphansWithoutTable(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"3.5", "4.2", "4.4"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			l := newLiving(t, instance.Small(84, version), 60)
			if version == "3.5" {
				l.db.Exec(t, "DROP TABLE preview_card_providers")
			}
			for _, key := range []string{"preview_card_providers/icons/000/000/001/original/a.png", "imports/data/000/000/001/original/a.csv"} {
				l.bucket.Plant(fixtures.Object{Key: key, LastModified: l.now().AddDate(-1, 0, 0)}, []byte("x"))
			}
			l.bind()
			l.night()
			want := l.removable()
			if version != "3.5" {
				want = append(want, "preview_card_providers/icons/000/000/001/original/a.png")
				slices.Sort(want)
			}
			l.removes(want)
		})
	}
}
