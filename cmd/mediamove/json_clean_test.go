package main

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/fixtures/instance"
	"example.org/mediamove/ledger"
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
	misses(t, collected)
}

// inTrashOf edits every copy of one of the trashes.
func (l *living) inTrashOf(folder string, edit func(body []byte)) {
	l.t.Helper()
	err := filepath.WalkDir(filepath.Join(l.state, folder), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".json") {
			return err
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		edit(body)
		return os.WriteFile(path, body, 0o600)
	})
	if err != nil {
		l.t.Fatal(err)
	}
}

// misses runs missing in all the ways that print something of their own.
func misses(t *testing.T, collected func(schema string, code int, r result)) {
	t.Helper()
	var l *living
	clean := func(code int, args ...string) {
		t.Helper()
		collected("missing", code, l.clean(append([]string{"missing", "--json"}, args...)...))
	}
	l = newLiving(t, instance.Small(6, "4.6"), 0)
	clean(exitUsage, "--withdraw", "--before-switch")
	clean(exitOK, "--withdraw", "--before-switch", l.root) // not bound
	l = newSettled(t, instance.Small(5, "4.6"), 0)
	clean(exitOK)
	l.db.Exec(t, "DELETE FROM unavailable_domains; DELETE FROM domain_blocks") // all can be fetched again
	lost := l.needed(20, func(p media.Path, _ instance.Object) bool {
		return p.Cached && p.Class == media.MediaAttachments && p.Attachment == "files" && p.Style == "original"
	})
	l.lose(lost...)
	root := t.TempDir() + "/system"
	l.onDisk(root, 0o644, lost[:5]...)
	l.db.Exec(t, "UPDATE accounts SET suspended_at = now() WHERE id IN (SELECT account_id FROM media_attachments WHERE file_file_name IS NOT NULL ORDER BY id DESC LIMIT 3)")
	clean(exitLeft, root)
	collected("losses", exitLeft, l.clean("missing", "--list", "--json", root))
	plan := filepath.Join(t.TempDir(), "plan.json")
	clean(exitLeft, "--save", plan, "--allow-share", "90", root)
	clean(exitRefused, "--null-remote", "--allow-share", "0", root)
	clean(exitLeft, "--heal", "--apply-plan", plan, root)
	clean(exitOK, "--withdraw", "--null-remote", "--allow-share", "90", root)
	for _, copied := range l.removedBy(l.lastRun("missing"))[:1] {
		l.bucket.Put(copied, []byte("newer"))
		l.bucket.SetFault(func(r fixtures.Request) fixtures.Fault {
			if r.Op == costs.DeleteObject {
				return fixtures.Fault{Status: 400, Code: "InvalidArgument"}
			}
			return fixtures.Fault{}
		})
		clean(exitLeft, "--withdraw")
		l.bucket.Delete(copied)
		l.bucket.SetFault(nil)
	}
	l.db.Exec(t, "UPDATE accounts SET suspended_at = NULL")
	collected("losses", exitLeft, l.clean("missing", "--list", "--json"))
	l.inTrashOf("withdrawn", func(body []byte) { body[0] ^= 1 })
	clean(exitLeft, "--heal", root)
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
	collected("status", exitOK, l.clean("status", "--json", "--budget", share(110))) // nightly keeps it under more than that
	clean(exitOK, "nightly", "--budget", above)                                      // and this one keeps nothing
	below := share(75)
	clean(exitLeft, "prune", "--budget", below, "--allow-share", "100", "--save", filepath.Join(t.TempDir(), "plan.json")) // orphans keep it above
	l.bucket.SetFault(func(r fixtures.Request) fixtures.Fault {
		if r.Op == costs.GetObject && !strings.HasPrefix(r.Key, ".mediamove/") {
			return fixtures.Fault{Status: 400, Code: "InvalidArgument"}
		}
		return fixtures.Fault{}
	})
	clean(exitLeft, "prune", "--budget", below, "--apply", "--allow-share", "100", "--trash", filepath.Join(t.TempDir(), "trash"))
	clean(exitOK, "explain", string(l.restored(8001)))
}

// restored is the object of a young row that a run cleared and another restored.
func (l *living) restored(id int64) media.Key {
	l.t.Helper()
	key := (&cached{l}).plantRow(id, map[string]string{"created_at": "now()"})
	led, err := ledger.Open(l.t.Context(), l.state, ledger.Options{})
	if err != nil {
		l.t.Fatal(err)
	}
	c := ledger.Clearing{
		Run: 1, Class: media.MediaAttachments, RowID: id, Columns: []byte("{}"), Reason: "over budget", Bytes: 7, Detail: "d", Plan: "p", Intended: l.now(),
		ClearedAt: l.now(), Ended: l.now(), RestoredRun: 2, RestoredAt: l.now(),
	}
	err = led.IntendClearing(l.t.Context(), []ledger.Clearing{c})
	for _, c.State = range []ledger.ClearState{ledger.ClearCleared, ledger.ClearDone, ledger.ClearRestored} {
		err = errors.Join(err, led.EndClearings(l.t.Context(), []ledger.Clearing{c}))
	}
	if err = errors.Join(err, led.Close()); err != nil {
		l.t.Fatal(err)
	}
	return key
}
