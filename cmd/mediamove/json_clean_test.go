package main

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/fixtures/instance"
	"example.org/mediamove/media"
)

// cleans runs the cleanup commands in all the ways that print something of their own.
func cleans(t *testing.T, collected func(schema string, code int, r result)) {
	t.Helper()
	l := newLiving(t, instance.Small(3, "4.6"), 80)
	clean := func(code int, command string, args ...string) {
		t.Helper()
		collected(command, code, l.clean(append([]string{command, "--json"}, args...)...))
	}
	collected("guards", exitOK, l.clean("orphans", "--guards", "--json"))
	clean(exitRefused, "orphans", "--apply")
	clean(exitLeft, "verify") // not bound: nobody can tell what was deleted
	l.typed = "example.com\n"
	clean(exitOK, "bind")
	l.night()
	collected("suspects", exitOK, l.clean("orphans", "--list", "orphan", "--json"))
	clean(exitOK, "orphans", "--save", filepath.Join(t.TempDir(), "above.json"), "--max-objects", "1")
	plan := filepath.Join(t.TempDir(), "plan.json")
	clean(exitOK, "orphans", "--save", plan)
	failing := func(op costs.Op, suffix string) {
		l.bucket.SetFault(func(r fixtures.Request) fixtures.Fault {
			if r.Op == op && strings.HasSuffix(r.Key, suffix) {
				return fixtures.Fault{Status: 400, Code: "InvalidArgument"}
			}
			return fixtures.Fault{}
		})
	}
	failing(costs.GetObject, ".png")
	clean(exitLeft, "orphans", "--apply-plan", plan)
	run := l.lastRun("orphans")
	removed := l.removedBy(run)
	l.bucket.Put(removed[0], []byte("newer"))
	failing(costs.PutObject, removed[1])
	clean(exitLeft, "undo", run)
	l.bucket.SetFault(nil)
	clean(exitLeft, "undo", run)
	clean(exitOK, "journal", "--run", run)
	clean(exitOK, "explain", removed[1])
	for key := range l.suspects() {
		if l.orphans[media.Key(key)].Kind == instance.KindOrphan {
			clean(exitOK, "explain", key)
		}
	}
	l.db.Exec(t, "DELETE FROM site_uploads") // fewer rows than the last scan saw
	clean(exitOK, "bind")
	prunes(t, collected)
}

// prunes runs prune and nightly in all the ways that print something of their own.
func prunes(t *testing.T, collected func(schema string, code int, r result)) {
	t.Helper()
	l := newLiving(t, instance.Small(4, "4.6"), 300)
	clean := func(code int, command string, args ...string) {
		t.Helper()
		collected(command, code, l.clean(append([]string{command, "--json"}, args...)...))
	}
	share := func(percent int64) string { // of what the bucket holds
		var held int64
		for _, o := range l.stands() {
			held += o.Size
		}
		return strconv.FormatInt(held*percent/100, 10) + "B"
	}
	clean(exitRefused, "prune", "--budget", "1kB", "--apply")
	clean(exitRefused, "nightly", "--budget", "1GB", "--apply")
	l.bind()
	above := share(120)
	for range 4 {
		l.night()
		clean(exitRefused, "nightly", "--budget", above, "--apply") // the orphans are above a ceiling
		l.bucket.Put("media_attachments/files/109/"+strconv.FormatInt(l.ahead.Load(), 10), make([]byte, 2000))
	}
	collected("status", exitOK, l.clean("status", "--json", "--budget", above))
	below := share(75)
	clean(exitLeft, "prune", "--budget", below, "--allow-share", "100", "--save", filepath.Join(t.TempDir(), "plan.json")) // orphans keep it above
	l.bucket.SetFault(func(r fixtures.Request) fixtures.Fault {
		if r.Op == costs.GetObject && !strings.HasPrefix(r.Key, ".mediamove/") {
			return fixtures.Fault{Status: 400, Code: "InvalidArgument"}
		}
		return fixtures.Fault{}
	})
	clean(exitLeft, "prune", "--budget", below, "--apply", "--allow-share", "100", "--trash", filepath.Join(t.TempDir(), "trash"))
}
