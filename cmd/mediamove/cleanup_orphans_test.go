package main

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/fixtures/instance"
	"example.org/mediamove/media"
)

// What is typed wrong removes nothing, and asks nobody.
func TestOrphansUsage(t *testing.T) {
	t.Parallel()
	l := newBound(t, databases.Cluster(t), 41, fixtures.Options{})
	plan := filepath.Join(t.TempDir(), "plan.json")
	l.orphan(exitOK, "--save", plan)
	l.unchanged("usage", func() {
		used := l.bucket.Usage()
		for args, want := range map[string]string{
			"orphans --apply " + plan:                        "unexpected argument",
			"orphans " + plan + " --apply":                   "unexpected argument",
			"orphans " + plan:                                "unexpected argument",
			"orphans --apply yes":                            "unexpected argument",
			"orphans --apply=" + plan:                        "invalid argument",
			"orphans --apply --apply-plan " + plan:           "different runs",
			"orphans --apply --save x.json":                  "different runs",
			"orphans --save x.json --apply-plan " + plan:     "different runs",
			"orphans --apply --list orphan":                  "different runs",
			"orphans --apply --guards":                       "different runs",
			"orphans --apply-plan=":                          "want a file",
			"orphans --save=":                                "want a file",
			"orphans --apply --allow-above 5":                "--allow-above belongs to --apply-plan",
			"orphans --apply --min-age 59m":                  "at least 1h0m0s",
			"orphans --apply --min-age -72h":                 "at least 1h0m0s",
			"orphans --apply --min-age 72":                   "invalid argument",
			"orphans --apply --max-objects 0":                "--max-objects wants a number from 1",
			"orphans --apply --max-objects -5":               "--max-objects wants a number from 1",
			"orphans --apply --max-share 0":                  "above 0 up to 100",
			"orphans --apply --max-share NaN":                "above 0 up to 100",
			"orphans --apply --max-share 101":                "above 0 up to 100",
			"orphans --apply --max-bytes 0B":                 "not a size in bytes",
			"orphans --apply --trash-max lots":               "not a size in bytes",
			"orphans --apply --max-class-a 0":                "at least 1",
			"orphans --apply --before-switch --after-switch": "contradict",
			"orphans --list lost":                            `--list "lost"`,
			"orphans --delete":                               "unknown flag",
			"orphans --apply-plan /nonexistent/plan.json":    "no such file",
			"orphans --force --apply":                        "unknown flag",
			"bind now":                                       "unexpected argument",
			"undo":                                           "accepts 1 arg",
			"undo 1 2":                                       "accepts 1 arg",
			"undo last":                                      "not the number of a run",
			"undo 0":                                         "not the number of a run",
			"undo 1 --trash none":                            "nothing can be put back",
			"journal 1":                                      "unexpected argument",
			"journal --only gone":                            `--only "gone"`,
			"journal --since yesterday":                      "not a time",
			"journal --until 2026-13-01":                     "not a time",
			"journal --run -1":                               "not the number of a run",
		} {
			if r := l.clean(strings.Fields(args)...); r.code != exitUsage || !strings.Contains(r.stderr, want) || !strings.Contains(r.stderr, "hint: ") || r.stdout != "" {
				t.Errorf("%s: want %q in %v", args, want, r)
			}
		}
		if l.bucket.Usage() != used {
			t.Error("the bucket was asked")
		}
		if r := l.clean("undo", "4711"); r.code != exitUsage || !strings.Contains(r.stderr, "there is no run 4711") {
			t.Error(r)
		}
	})
	// None of that used the plan up.
	if out := l.orphan(exitOK, "--apply-plan", plan); out.Removed.Objects != int64(len(l.removable())) {
		t.Errorf("%+v", out)
	}
}

// An orphan goes when it was seen twice, 20 hours apart, is three days old, and has not
// changed in between.
func TestOrphansWait(t *testing.T) {
	t.Parallel()
	l := newBound(t, databases.Cluster(t), 42, fixtures.Options{})
	old := l.removable()
	l.refusedBy("nothing refuses", "", "orphans", "--apply", "--before-switch")
	keys := l.plantGone(6)
	young := instance.Object{Key: oldKey(100), Size: 50, Modified: l.now().Add(-time.Hour), ContentType: "image/jpeg"}
	instance.Fill(l.bucket, "", slices.Values([]instance.Object{young}))
	out := l.removes(old) // these six were seen once
	if out.Waiting.Objects != 7 {
		t.Errorf("%d wait", out.Waiting.Objects)
	}
	l.later(19 * time.Hour)
	l.alive()
	l.bucket.Plant(fixtures.Object{Key: keys[0], LastModified: l.now().AddDate(-1, 0, 0)}, []byte("other bytes, as old"))
	l.removes(nil)
	l.later(2 * time.Hour)
	l.alive()
	l.bucket.Put(keys[1], []byte("written just now"))
	l.bucket.Delete(keys[2])
	l.removes(keys[3:6])
	l.later(20 * time.Hour)
	l.alive()
	l.removes(keys[:1], "--min-age", "100h")
	l.later(40 * time.Hour)
	l.alive()
	l.removes([]string{string(young.Key)})
	l.later(60 * time.Hour)
	l.alive()
	l.removes(keys[1:2])
}

// What is owned again, or has changed, between the scan and the deletion stays.
func TestOrphansLastLook(t *testing.T) {
	t.Parallel()
	l := newBound(t, databases.Cluster(t), 43, fixtures.Options{})
	keys := l.plantGone(10)
	l.orphan(exitOK)
	l.night()
	// The GET into the trash comes after the scan and before the last look.
	owned, changed, vanished := keys[0], keys[1], keys[2]
	var once atomic.Bool
	l.bucket.SetFault(func(r fixtures.Request) fixtures.Fault {
		if r.Op == costs.GetObject && !strings.HasPrefix(r.Key, ".mediamove/") && once.CompareAndSwap(false, true) {
			p, err := media.Parse(media.Key(owned))
			if err != nil {
				t.Error(err)
			}
			l.db.Exec(t, "INSERT INTO media_attachments (id, remote_url, type, file_file_name, file_content_type, created_at, updated_at) VALUES ($1, 'https://far.example/x', 0, 'gone.jpeg', 'image/jpeg', now(), now())", p.ID)
			l.bucket.Put(changed, []byte("new"))
			l.bucket.Delete(vanished)
		}
		return fixtures.Fault{}
	})
	before := l.stands()
	out := l.orphan(exitOK, "--apply")
	l.bucket.SetFault(nil)
	want := slices.Sorted(slices.Values(append(l.removable(), keys...)))
	want = slices.Compact(slices.DeleteFunc(want, func(k string) bool { return k == owned }))
	gone := missing(before, l.stands())
	if !slices.Equal(gone, want) || out.Removed.Objects != int64(len(want)-2) {
		t.Errorf("%d of %d gone: %+v", len(gone), len(want), out)
	}
	if body, _ := l.bucket.Body(changed); string(body) != "new" {
		t.Errorf("what was written in between has %q", body)
	}
	for why, n := range map[string]int64{"somebody owns it on the last look": 1, "changed since it was listed": 1, "gone already": 1} {
		if out.Kept[why] != n {
			t.Errorf("kept %v, want %d: %s", out.Kept, n, why)
		}
	}
	for key, why := range map[string]string{owned: "somebody owns it", changed: "changed since", vanished: "gone already"} {
		if r := l.clean("journal", "--key", key); !strings.Contains(r.stdout, "\tkept\t") || !strings.Contains(r.stdout, why) {
			t.Errorf("%s: want %q in %v", key, why, r)
		}
	}
	l.owned()
}

// Ceilings are per class and night, with what went earlier that night.
func TestOrphansCeilings(t *testing.T) {
	t.Parallel()
	l := newBound(t, databases.Cluster(t), 44, fixtures.Options{})
	l.plantGone(25)
	l.orphan(exitOK)
	l.night()
	const above = `guard "ceilings": `
	l.refusedBy("25 and more of one class", above)
	l.refusedBy("bytes", above, "orphans", "--apply", "--max-share", "100", "--max-bytes", "1KB")
	l.refusedBy("objects", above, "orphans", "--apply", "--max-share", "100", "--max-objects", "24")
	l.refusedBy("share", above, "orphans", "--apply", "--max-share", "1")
	var candidates []string
	for k := range l.orphans {
		if l.orphans[k].Kind == instance.KindOrphan {
			candidates = append(candidates, string(k))
		}
	}
	slices.Sort(candidates)
	l.removes(candidates, "--max-share", "100")

	// Ten more are ripe 20 hours after they were seen, and 19 after the others went.
	later := l.plantGone(40)[30:]
	for _, key := range l.planted(30) {
		l.bucket.Delete(key)
	}
	l.orphan(exitOK)
	l.later(19 * time.Hour)
	l.alive()
	l.removes(nil)
	l.later(2 * time.Hour)
	l.alive()
	l.removes(later) // the night is over
}

// What went earlier that night counts.
func TestOrphansSameNight(t *testing.T) {
	t.Parallel()
	l := newLiving(t, instance.Small(45, "4.6"), 0)
	l.posts(l.db, 150, 5*time.Hour)
	l.bind()
	first := l.plantGone(15)
	l.night()
	l.orphan(exitOK)
	l.later(2 * time.Hour)
	for i := range 10 {
		o := instance.Object{Key: oldKey(50 + i), Size: 10, Modified: l.now().AddDate(-1, 0, 0)}
		instance.Fill(l.bucket, "", slices.Values([]instance.Object{o}))
	}
	l.orphan(exitOK)
	l.later(19 * time.Hour)
	l.alive()
	l.removes(first)
	l.later(3 * time.Hour)
	l.alive()
	l.refusedBy("15 went this night, 10 more may", `guard "ceilings": 10 objects of media_attachments`)
	r := l.clean("orphans")
	if !strings.Contains(r.stdout, "15 went already") {
		t.Error(r)
	}
	l.later(18 * time.Hour)
	l.alive()
	if out := l.orphan(exitOK, "--apply"); out.Removed.Objects != 10 {
		t.Errorf("%+v", out)
	}
}

// Where the copies go, and what does not go without one.
func TestOrphansTrash(t *testing.T) {
	t.Parallel()
	l := newBound(t, databases.Cluster(t), 46, fixtures.Options{})
	want := l.removable()
	inRoot := filepath.Join(l.root, "accounts", "trash")
	l.set("PAPERCLIP_ROOT_PATH", l.root)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for dir, words := range map[string]string{
		inRoot:                          "is inside the media root",
		file:                            "file",
		filepath.Join(file, "below"):    "not a directory",
		"/nonexistent/parent/of/trash":  "no such file or directory",
		filepath.Join("/proc", "trash"): "trash",
	} {
		l.unchanged(dir, func() {
			if r := l.clean("orphans", "--apply", "--trash", dir); r.code != exitUsage || !strings.Contains(r.stderr, words) || !strings.Contains(r.stderr, "hint: ") {
				t.Errorf("%s: %v", dir, r)
			}
		})
	}
	before := l.stands()
	out := l.orphan(exitLeft, "--apply", "--trash-max", "3KB")
	gone := missing(before, l.stands())
	if out.Kept["does not fit into the trash"] == 0 || int64(len(gone)) != out.Removed.Objects || len(gone) == len(want) {
		t.Errorf("%d gone, %+v", len(gone), out)
	}
	rest := slices.DeleteFunc(want, func(k string) bool { return slices.Contains(gone, k) })
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	half := len(l.stands())
	l.night()
	l.removes(rest, "--trash", elsewhere)
	run := l.lastRun("orphans")
	if r := l.clean("undo", run); r.code != exitLeft || !strings.Contains(r.stdout, "in the folder that the run was told: --trash DIR") {
		t.Error(r)
	}
	if r := l.clean("undo", run, "--trash", elsewhere+"x"); r.code != exitUsage || !strings.Contains(r.stderr, "there is no such folder") {
		t.Error(r)
	}
	if _, err := os.Stat(elsewhere + "x"); !errors.Is(err, os.ErrNotExist) {
		t.Error("a mistyped trash was made")
	}
	if r := l.clean("undo", run, "--trash", elsewhere); r.code != exitOK || len(l.stands()) != half {
		t.Errorf("%d objects of %d: %v", len(l.stands()), half, r)
	}

	keys := l.plantGone(4)
	l.orphan(exitOK)
	l.night()
	l.removes(keys, "--trash", "none")
	r := l.clean("undo", l.lastRun("orphans"))
	if r.code != exitLeft || !strings.Contains(r.stdout, "no copy was kept") {
		t.Error(r)
	}
}

// What people have deleted is gone from the trash after 30 days, also where a guard refuses
// every night, and where no more copies are kept.
func TestTrashEnds(t *testing.T) {
	t.Parallel()
	l := newBound(t, databases.Cluster(t), 48, fixtures.Options{})
	want := l.removable()
	l.removes(want)
	run := l.lastRun("orphans")
	copied := func() bool {
		_, err := os.Stat(l.inTrash(run, want[0]))
		return err == nil
	}
	refused := func(days int) {
		t.Helper()
		l.later(time.Duration(days) * 24 * time.Hour)
		l.alive()
		l.with(func() { l.machine = strings.Repeat("cd", 16) }, func() { l.refusedBy("another host", `guard "bound"`) })
	}
	if refused(29); !copied() {
		t.Fatal("its copy went too early")
	}
	if refused(2); copied() {
		t.Error("a guard keeps the copy")
	}
	want = l.plantGone(4)
	l.orphan(exitOK)
	l.night()
	l.removes(want)
	run = l.lastRun("orphans")
	l.later(31 * 24 * time.Hour)
	l.alive()
	if l.orphan(exitOK, "--apply", "--trash", "none"); copied() {
		t.Error("--trash none keeps the copy")
	}
}

// A run that must not spend more ends in order, wherever that is.
func TestOrphansMaxClassA(t *testing.T) {
	t.Parallel()
	l := newBound(t, databases.Cluster(t), 47, fixtures.Options{PageSize: 100})
	want := l.removable()
	dry := l.orphan(exitOK)
	if dry.ClassA < 10 {
		t.Fatalf("%+v", dry)
	}
	for _, n := range []int64{1, dry.ClassA / 2, dry.ClassA - 1, dry.ClassA} { // the last one lists all, and can't count in the mark
		l.unchanged("--max-class-a "+itoa(n), func() {
			if r := l.clean("orphans", "--apply", "--max-class-a", itoa(n)); r.code != exitLeft || !strings.Contains(r.stderr, "max-class-a") {
				t.Errorf("%d: %v", n, r)
			}
		})
		l.alive()
	}
	l.removes(want)
}

// Ctrl-C in the middle: what was done is in the journal, and the next run does the rest.
func TestOrphansInterrupted(t *testing.T) {
	t.Parallel()
	for _, at := range []int64{1, 7, 11, 20} {
		t.Run(itoa(at), func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			var n atomic.Int64
			l := newBound(t, databases.Cluster(t), 48, fixtures.Options{OnDelete: func(string) {
				if n.Add(1) == at {
					cancel(&stopped{syscall.SIGINT})
				}
			}})
			want := l.removable()
			before := l.stands()
			n.Store(0)
			r := l.cleanCtx(ctx, "orphans", "--apply")
			if r.code != 130 {
				t.Fatal(r)
			}
			run := l.lastRun("orphans")
			l.alive()
			l.orphan(exitOK) // settles
			gone := missing(before, l.stands())
			if told := slices.Sorted(slices.Values(l.removedBy(run))); !slices.Equal(told, gone) || int64(len(gone)) < at {
				t.Errorf("%d are gone, the journal says %d", len(gone), len(told))
			}
			if open := l.clean("journal", "--only", "intent"); open.stdout != "" {
				t.Error(open)
			}
			rest := slices.DeleteFunc(slices.Clone(want), func(k string) bool { return slices.Contains(gone, k) })
			if len(rest) > 0 {
				l.removes(rest)
			}
			if r := l.clean("undo", run); r.code != exitOK {
				t.Error(r)
			}
			if back := missing(before, l.stands()); !slices.Equal(back, rest) {
				t.Errorf("after the undo of the interrupted run %d are gone, want %d", len(back), len(rest))
			}
		})
	}
}

// What an admin is told without any database settings.
func TestNoDatabase(t *testing.T) {
	t.Parallel()
	l := newBound(t, databases.Cluster(t), 49, fixtures.Options{})
	for name := range maps.Keys(l.db.Settings) {
		if name != "LOCAL_DOMAIN" {
			l.env = l.but(name + "=")
			l.env = slices.DeleteFunc(l.env, func(line string) bool { return strings.HasPrefix(line, name) })
		}
	}
	for _, command := range []string{"bind", "orphans"} {
		r := l.clean(command)
		if r.code != exitUsage || !strings.Contains(r.stderr, "DB_HOST") || !strings.Contains(r.stderr, "localhost") || !strings.Contains(r.stderr, "hint: ") {
			t.Errorf("%s: %v", command, r)
		}
	}
	// Neither needs one.
	for _, args := range [][]string{{"journal"}, {"orphans", "--guards"}, {"orphans", "--list", "orphan"}} {
		if r := l.clean(args...); r.code != exitOK {
			t.Errorf("%v: %v", args, r)
		}
	}
}
