package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"example.org/mediamove/fixtures"
)

// A planned instance is one with 30 candidates more than a night allows, and a plan of all.
func newPlanned(t *testing.T, seed uint64) (l *living, want []string, plan string) {
	t.Helper()
	l = newBound(t, databases.Cluster(t), seed, fixtures.Options{})
	l.plantGone(30)
	l.orphan(exitOK)
	l.night()
	want = l.removable()
	plan = filepath.Join(t.TempDir(), "plan.json")
	before := l.stands()
	out := l.orphan(exitOK, "--save", plan)
	if out.Plan == nil || out.Plan.Objects != int64(len(want)) || out.Removed.Objects != 0 || len(missing(before, l.stands())) > 0 {
		t.Fatalf("%+v", out)
	}
	return l, want, plan
}

// A plan above the ceilings goes once, and only with its exact number.
func TestPlanAbove(t *testing.T) {
	t.Parallel()
	l, want, plan := newPlanned(t, 51)
	info, err := os.Stat(plan)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if r := l.clean("orphans", "--save", plan); r.code != exitUsage || !strings.Contains(r.stderr, "exists") {
		t.Errorf("the plan was written over: %v", r)
	}
	n := len(want)
	for _, number := range []string{"", "1", itoa(int64(n - 1)), itoa(int64(n + 1)), itoa(int64(-n)), "999999"} {
		args := []string{"orphans", "--apply-plan", plan}
		if number != "" {
			args = append(args, "--allow-above", number)
		}
		l.refusedBy("--allow-above "+number, `guard "ceilings"`, args...)
	}
	before := l.stands()
	number := itoa(int64(n))
	out := l.orphan(exitOK, "--apply-plan", plan, "--allow-above", number)
	if gone := missing(before, l.stands()); !slices.Equal(gone, want) || out.Dropped != 0 {
		t.Errorf("%d gone, want %d: %+v", len(gone), len(want), out)
	}
	run := l.lastRun("orphans")
	var journal struct{ Removals []removalJSON }
	decode(t, l.clean("journal", "--run", run, "--json"), exitOK, &journal)
	id := planID(t, plan)
	for _, r := range journal.Removals {
		if r.Plan != id {
			t.Errorf("%s went by plan %q", r.Key, r.Plan)
		}
	}
	if r := l.clean("undo", run); r.code != exitOK {
		t.Error(r)
	}
	l.refusedBy("applied again, after all is back", "applied", "orphans", "--apply-plan", plan, "--allow-above", number)
	l.owned()
}

// What a plan says that it takes is what applying it takes, but for copies that have to be
// read twice.
func TestPlanOperations(t *testing.T) {
	t.Parallel()
	l, want, _ := newPlanned(t, 57)
	plan := filepath.Join(t.TempDir(), "another.json")
	said := l.orphan(exitOK, "--save", plan).Plan
	did := l.orphan(exitOK, "--apply-plan", plan, "--allow-above", itoa(int64(len(want))))
	if did.Removed.Objects != int64(len(want)) || said.ClassA != did.ClassA || did.ClassB < said.ClassB || did.ClassB > said.ClassB+int64(len(want)) {
		t.Errorf("said %+v, did %d and %d: %v", said, did.ClassA, did.ClassB, did.Requests)
	}
}

func planID(t *testing.T, plan string) string {
	t.Helper()
	data, err := os.ReadFile(plan)
	var head struct{ ID string }
	if err == nil {
		err = json.Unmarshal(data, &head)
	}
	if err != nil || head.ID == "" {
		t.Fatal(head, err)
	}
	return head.ID
}

// A plan that was altered, is too old, or another bucket's or ledger's, is none.
func TestPlanUnfit(t *testing.T) {
	t.Parallel()
	l, want, plan := newPlanned(t, 52)
	allow := itoa(int64(len(want)))
	data, err := os.ReadFile(plan)
	if err != nil {
		t.Fatal(err)
	}
	owned := string(slices.Sorted(keysOf(l.objects))[0])
	edits := map[string]func([]byte) []byte{
		"another key": func(b []byte) []byte { return bytes.Replace(b, []byte(want[0]), []byte(owned), 1) },
		"a higher ceiling": func(b []byte) []byte {
			return bytes.Replace(b, []byte(`"objects": 1000`), []byte(`"objects": 9999`), 1)
		},
		"a later end": func(b []byte) []byte { return bytes.Replace(b, []byte(`"expires": "20`), []byte(`"expires": "21`), 1) },
		"no limits":   func(b []byte) []byte { return bytes.Replace(b, []byte(`"above":`), []byte(`"below":`), 1) },
		"a line less": func(b []byte) []byte {
			list, end, _ := bytes.Cut(b, []byte("\n],"))
			return slices.Concat(list[:bytes.LastIndex(list, []byte(",\n{"))], []byte("\n],"), end)
		},
		"cut":              func(b []byte) []byte { return b[:len(b)/2] },
		"cut at its end":   func(b []byte) []byte { return b[:len(b)-1] },
		"something behind": func(b []byte) []byte { return append(slices.Clone(b), "{}\n"...) },
		"empty":            func([]byte) []byte { return nil },
		"a key list":       func([]byte) []byte { return []byte(owned + "\n") },
		"another sum": func(b []byte) []byte {
			return append(slices.Clone(b[:len(b)-10]), b[len(b)-10]^1, b[len(b)-9], b[len(b)-8], b[len(b)-7], b[len(b)-6], b[len(b)-5], b[len(b)-4], '"', '}', '\n')
		},
	}
	for name, edit := range edits {
		bad := filepath.Join(t.TempDir(), "bad.json")
		altered := edit(data)
		if bytes.Equal(altered, data) {
			t.Fatalf("%s: nothing was altered", name)
		}
		if err := os.WriteFile(bad, altered, 0o600); err != nil {
			t.Fatal(err)
		}
		l.refusedBy(name, "the plan can't be applied", "orphans", "--apply-plan", bad, "--allow-above", allow)
	}
	// The same bucket, another ledger: its marks were never made here.
	other, _, theirs := newPlanned(t, 52)
	l.refusedBy("another bucket's", "made for another bucket or with another ledger", "orphans", "--apply-plan", theirs, "--allow-above", allow)
	other.refusedBy("this one's there", "made for another bucket or with another ledger", "orphans", "--apply-plan", plan, "--allow-above", allow)

	l.later(23 * time.Hour)
	l.alive()
	r := l.clean("orphans", "--apply-plan", plan, "--allow-above", "1") // not expired yet
	if r.code != exitRefused || !strings.Contains(r.stderr, "ceilings") {
		t.Error(r)
	}
	l.later(time.Hour + time.Minute)
	l.alive()
	l.refusedBy("a day later", "it expired at", "orphans", "--apply-plan", plan, "--allow-above", allow)
	// A clock that runs backwards does not make it young again.
	l.later(-3 * 24 * time.Hour)
	l.refusedBy("made in the future", "the plan can't be applied", "orphans", "--apply-plan", plan, "--allow-above", allow)
}

// What happened since a plan was made takes candidates away, and never adds one.
func TestPlanDrift(t *testing.T) {
	t.Parallel()
	l, want, plan := newPlanned(t, 53)
	gone := l.planted(30)
	ownedAgain, changed, vanished := gone[0], gone[1], gone[2]
	l.db.Exec(t, "INSERT INTO media_attachments (id, remote_url, type, file_file_name, file_content_type, created_at, updated_at) VALUES (900000001, 'https://far.example/x', 0, 'gone.jpeg', 'image/jpeg', now(), now())")
	// A new orphan is ripe when the plan is applied, and was not when it was made.
	ripe := l.plantGone(31)[30]
	l.bucket.Plant(fixtures.Object{Key: changed, LastModified: l.now().AddDate(-1, 0, 0)}, []byte("other bytes"))
	l.bucket.Delete(vanished)
	l.orphan(exitOK)
	l.later(21 * time.Hour)
	l.alive()
	before := l.stands()
	out := l.orphan(exitOK, "--apply-plan", plan, "--allow-above", itoa(int64(len(want))))
	removed := missing(before, l.stands())
	expect := slices.DeleteFunc(slices.Clone(want), func(k string) bool { return k == ownedAgain || k == changed || k == vanished })
	if !slices.Equal(removed, expect) || out.Dropped != 3 {
		t.Errorf("%d removed, want %d; %d dropped, kept %v", len(removed), len(expect), out.Dropped, out.Kept)
	}
	if _, ok := l.bucket.Object(ripe); !ok {
		t.Error("an orphan that the plan does not name was removed")
	}
	if body, _ := l.bucket.Body(changed); string(body) != "other bytes" {
		t.Errorf("what changed has %q", body)
	}
	r := l.clean("orphans")
	if !strings.Contains(r.stdout, "guards     all") {
		t.Error(r)
	}
}

// A plan is no way past the guards: it is refused with the wrong database, and is not
// used up by that.
func TestPlanGuarded(t *testing.T) {
	t.Parallel()
	l, want, plan := newPlanned(t, 54)
	args := []string{"orphans", "--apply-plan", plan, "--allow-above", itoa(int64(len(want)))}
	db := l.copyOf("wrong")
	weekAgo(l, db)
	l.instead(db, func() { l.refusedBy("restored", `guard "fresh"`, args...) })
	l.refusedBy("before the switch", `guard "switched"`, append(args, "--before-switch")...)
	l.with(func() { l.machine = strings.Repeat("cd", 16) }, func() { l.refusedBy("another host", "another host is bound", args...) })
	if r := l.clean(append(args, "--trash", "/nonexistent/of/trash")...); r.code != exitUsage {
		t.Error(r)
	}
	before := l.stands()
	if r := l.clean(args...); r.code != exitOK || !slices.Equal(missing(before, l.stands()), want) {
		t.Error(r)
	}
	// A wrong database makes no plan.
	bad := filepath.Join(t.TempDir(), "bad.json")
	l.instead(db, func() {
		l.orphan(exitOK)
		l.night()
		l.refusedBy("a plan of a wrong database", `guard "`, "orphans", "--save", bad)
		l.refusedBy("a prune's plan of it", `guard "`, "prune", "--budget", "1kB", "--allow-share", "100", "--save", bad)
	})
	if _, err := os.Stat(bad); !os.IsNotExist(err) {
		t.Errorf("there is a plan: %v", err)
	}
	l.owned()
}
