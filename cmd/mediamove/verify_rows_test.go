package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/fixtures/instance"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

// A recorded instance was moved by this ledger, before the switch: its disk has every file
// that a row names, and the bucket too.
type recorded struct {
	*living
	free []media.Key // local pictures' originals that no test has taken yet
	gone int         // recorded, in no row and not in the bucket, from the start
}

func newRecorded(t *testing.T, seed uint64) *recorded {
	t.Helper()
	l := &recorded{living: newLiving(t, instance.Small(seed, "4.6"), 0), gone: 3}
	l.root = t.TempDir() + "/all"
	for k, o := range l.objects {
		if !k.Private() {
			l.file(k, instance.Body(o), 0o644)
		}
	}
	l.set("S3_ENABLED", "")
	var out syncJSON
	decode(t, l.clean("sync", l.root, "--before-switch", "--json"), exitOK, &out)
	if out.Files.Adopted < 300 || !out.Complete {
		t.Fatalf("%+v", out)
	}
	l.set("S3_ENABLED", "true")
	l.bind()
	for _, k := range slices.Sorted(keysOf(l.objects)) {
		p, err := media.Parse(k)
		if err == nil && p.Class == media.MediaAttachments && !p.Cached && p.Style == "original" && p.Attachment == "files" &&
			strings.HasPrefix(l.objects[k].ContentType, "image/") && l.objects[k].Modified.Before(time.Now().AddDate(0, 0, -30)) {
			l.free = append(l.free, k)
		}
	}
	return l
}

// file writes one of the media root, a day old.
func (l *recorded) file(k media.Key, body []byte, mode os.FileMode) {
	l.t.Helper()
	path, old := filepath.Join(l.root, string(k)), time.Now().Add(-24*time.Hour)
	err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, body, 0o644), os.Chmod(path, mode), os.Chtimes(path, old, old))
	if err != nil {
		l.t.Fatal(err)
	}
}

// lose takes the next picture out of the bucket, and says whose it is.
func (l *recorded) lose() (k media.Key, id int64) {
	l.t.Helper()
	if len(l.free) == 0 {
		l.t.Fatal("too few pictures")
	}
	k, l.free = l.free[0], l.free[1:]
	l.bucket.Delete(string(k))
	p, err := media.Parse(k)
	if err != nil {
		l.t.Fatal(err)
	}
	return k, p.ID
}

func (l *recorded) attachment(id int64, set string) {
	l.t.Helper()
	l.db.Exec(l.t, fmt.Sprintf("UPDATE media_attachments SET %s WHERE id = %d", set, id))
}

// removedAs is a cleanup run that has removed k.
func (l *recorded) removedAs(k media.Key) (run int64) {
	l.t.Helper()
	ctx := l.t.Context()
	led, err := ledger.Open(ctx, l.state, ledger.Options{})
	if err != nil {
		l.t.Fatal(err)
	}
	run, err = led.Begin(ctx, "orphans", time.Now())
	r := []ledger.Removal{{Run: run, Key: k, Policy: "orphans", Reason: "row gone", ETag: "e", State: ledger.RemovalIntent, Intended: time.Now()}}
	err = errors.Join(err, led.Intend(ctx, r))
	r[0].State, r[0].Ended = ledger.RemovalRemoved, time.Now()
	err = errors.Join(err, led.EndRemovals(ctx, r), led.Finish(ctx, run, ledger.RunEnd{}), led.Close())
	if err != nil {
		l.t.Fatal(err)
	}
	return run
}

func (l *recorded) verify(code int, args ...string) (out verifyJSON) {
	l.t.Helper()
	decode(l.t, l.clean(append([]string{"verify", "--json"}, args...)...), code, &out)
	return out
}

// verdict is what a list of the last verify says of a key, with the cause.
func (l *recorded) verdict(k media.Key) string {
	l.t.Helper()
	r := l.clean("status", "--list", "missing,deleted,withdrawn")
	for line := range strings.Lines(r.stdout) {
		if f := strings.Split(strings.TrimSpace(line), "\t"); len(f) == 4 && f[3] == string(k) {
			return f[0] + ": " + f[2]
		}
	}
	return ""
}

// After the switch the rows say what became of every object that is not there: deleted by
// Mastodon, hidden by it, or lost; and what a row shows is sent again, from whatever the
// disk has of it.
func TestVerifyByRows(t *testing.T) {
	t.Parallel()
	l := newRecorded(t, 301)
	deleted, id := l.lose()
	l.db.Exec(t, fmt.Sprintf("DELETE FROM media_attachments WHERE id = %d", id))
	renamed, id := l.lose()
	l.attachment(id, "file_file_name = 'another.png'")
	lost, _ := l.lose()
	suspended, id := l.lose()
	l.attachment(id, "account_id = (SELECT min(id) FROM accounts)")
	l.db.Exec(t, "UPDATE accounts SET suspended_at = now() WHERE id = (SELECT min(id) FROM accounts)")
	discarded, id := l.lose()
	l.attachment(id, "account_id = (SELECT max(id) FROM accounts), status_id = (SELECT max(id) FROM statuses)")
	l.db.Exec(t, "UPDATE statuses SET deleted_at = now() WHERE id = (SELECT max(id) FROM statuses)")
	busy, id := l.lose()
	l.attachment(id, "processing = 1")
	young, id := l.lose()
	l.attachment(id, "updated_at = now()")
	hidden, _ := l.lose() // a suspension that is over: the disk was not told of it
	l.file(hidden, instance.Body(l.objects[hidden]), 0o600)
	edited, _ := l.lose()
	l.file(edited, []byte("not what was moved"), 0o644)
	nowhere, _ := l.lose()
	if err := os.Remove(filepath.Join(l.root, string(nowhere))); err != nil {
		t.Fatal(err)
	}
	removed, _ := l.lose() // by a cleanup run that had a wrong database
	run := l.removedAs(removed)
	orphan, id := l.lose()
	l.removedAs(orphan)
	l.db.Exec(t, fmt.Sprintf("DELETE FROM media_attachments WHERE id = %d", id))

	const named, unnamed = "missing: a row names it", "deleted: no row names it: "
	want := map[media.Key]string{
		deleted: unnamed + "row gone", renamed: unnamed + "file name changed",
		lost: named, edited: named, nowhere: named, hidden: named, removed: named,
		suspended: "withdrawn: hidden by Mastodon, and not in the bucket: account suspended",
		discarded: "withdrawn: hidden by Mastodon, and not in the bucket: post removed by a moderator",
		busy:      "missing: its row is still being processed", young: named + ", but was changed less than 72 hours ago",
	}
	for _, args := range [][]string{{l.root}, {}} {
		out := l.verify(exitLeft, args...)
		if out.Missing != 7 || out.Deleted != int64(2+l.gone) || out.Removed != 1 || out.Differences != 7 || !out.Complete || out.Asked != int64(12+l.gone) || out.Unasked != "" {
			t.Errorf("%v: %+v", args, out)
		}
		for k, verdict := range want {
			if got := l.verdict(k); got != verdict {
				t.Errorf("%v: %s: %q, want %q", args, k, got, verdict)
			}
		}
	}
	before := l.bucket.Usage()
	out := l.verify(exitLeft, "--repair", "--replace-differing", l.root)
	if out.Repaired != 4 || out.Held != 3 || out.Differences != 3 || l.bucket.Usage().Sub(before).Get(costs.PutObject) > 5 { // the mark may be told of the switch
		t.Errorf("%+v", out)
	}
	for k := range want {
		body, there := l.bucket.Body(string(k))
		back := slices.Contains([]media.Key{lost, young, hidden, removed}, k)
		if there != back || back && string(body) != string(instance.Body(l.objects[k])) {
			t.Errorf("%s: there %t, want %t", k, there, back)
		}
	}
	if r := l.clean("journal", "--run", itoa(run)); !strings.Contains(r.stdout, "restored") {
		t.Errorf("the journal does not know that it is back: %v", r)
	}
	l.bucket.Delete(string(removed)) // an object as any other again
	l.verify(exitLeft)
	if got := l.verdict(removed); got != named {
		t.Errorf("%q", got)
	}
}

// What is certified after the switch names what Mastodon deleted, and nothing that a row
// misses.
func TestCertificateByRowsOfADatabase(t *testing.T) {
	t.Parallel()
	l := newRecorded(t, 302)
	deleted, id := l.lose()
	l.db.Exec(t, fmt.Sprintf("DELETE FROM media_attachments WHERE id = %d", id))
	lost, _ := l.lose()
	file := filepath.Join(t.TempDir(), "move.cert")
	if out := l.verify(exitLeft, "--certificate", file); out.Certificate != nil || !strings.Contains(out.Refusal, "1 differences") {
		t.Errorf("%+v", out)
	}
	l.verify(exitOK, "--repair", l.root)
	out := l.verify(exitOK, "--certificate", file, l.root)
	if out.Certificate == nil || out.Deleted != int64(1+l.gone) || out.Missing != 0 {
		t.Fatalf("%+v", out)
	}
	list, err := os.ReadFile(file + ".sha256")
	if err != nil || !strings.Contains(string(list), "# absent "+string(deleted)+"\n") || strings.Contains(string(list), "# absent "+string(lost)) {
		t.Errorf("%v\n%.300s", err, list)
	}
	if out := l.verify(exitOK, "--against", file); out.Missing != 0 || out.Recorded != out.Same {
		t.Errorf("%+v", out)
	}
}

// Between the comparison and the PUT, rows are looked at once more, each right before its
// request.
func TestVerifyRepairRacesWithRows(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(l *recorded, id int64){
		"deleted": func(l *recorded, id int64) {
			l.db.Exec(l.t, fmt.Sprintf("DELETE FROM media_attachments WHERE id = %d", id))
		},
		"another":   func(l *recorded, id int64) { l.attachment(id, "file_file_name = 'another.png'") },
		"suspended": func(l *recorded, _ int64) { l.db.Exec(l.t, "UPDATE accounts SET suspended_at = now()") },
		"away":      func(l *recorded, _ int64) { l.db.Exec(l.t, "ALTER TABLE media_attachments RENAME TO elsewhere") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newRecorded(t, 303)
			k, id := l.lose()
			l.attachment(id, "account_id = (SELECT min(id) FROM accounts)")
			var marks atomic.Int64
			l.bucket.SetFault(func(r fixtures.Request) fixtures.Fault {
				if r.Op == costs.GetObject && media.Key(r.Key).Reserved() {
					if marks.Add(1) == 2 { // whoever repairs asks for the right to write
						change(l, id)
					}
				}
				return fixtures.Fault{}
			})
			out := l.verify(exitLeft, "--repair", l.root)
			if _, there := l.bucket.Body(string(k)); there || out.Missing != 1 || out.Repaired != 0 || out.Held != 1 || marks.Load() < 2 {
				t.Errorf("there %t, %+v, mark read %d times", there, out, marks.Load())
			}
		})
	}
}

// Rows are asked only of the database that the bucket is bound to. Without one all is as it
// was, and says why; one that can't be reached is no answer.
func TestVerifyWithoutRows(t *testing.T) {
	t.Parallel()
	l := newRecorded(t, 304)
	deleted, id := l.lose()
	other := l.copyOf("other")
	l.db.Exec(t, fmt.Sprintf("DELETE FROM media_attachments WHERE id = %d", id))
	missing := int64(1 + l.gone)
	as := func(out verifyJSON, why string) {
		t.Helper()
		if out.Missing != missing || out.Deleted != 0 || out.Asked != 0 || !strings.Contains(out.Unasked, why) || out.Unasked == "" != (why == "") {
			t.Errorf("%+v", out)
		}
	}
	l.with(func() { l.use(other) }, func() {
		as(l.verify(exitLeft), "another database")
		as(l.verify(exitLeft, "--repair", l.root), "another database")
		if r := l.clean("verify"); !strings.Contains(r.stdout, "not asked: the database, which knows what Mastodon has deleted: the settings name another") {
			t.Error(r)
		}
	})
	l.with(func() {
		for _, name := range []string{"DATABASE_URL", "DB_HOST", "DB_NAME", "DB_USER"} {
			l.set(name, "")
		}
	}, func() { as(l.verify(exitLeft), "") })
	l.with(func() { l.set("DB_HOST", t.TempDir()) }, func() {
		out := l.verify(exitStopped, "--repair", l.root)
		as(out, "")
		if out.Complete || len(out.Unknown) != 1 || !strings.Contains(out.Unknown[0], "Mastodon has deleted") || !strings.Contains(out.Unknown[0], "DB_HOST") || out.Same == 0 || out.Repaired != 0 {
			t.Errorf("%+v", out)
		}
		if r := l.clean("verify", "--certificate", filepath.Join(t.TempDir(), "c")); r.code != exitStopped || !strings.Contains(r.stdout, "COULD NOT TELL") || !strings.Contains(r.stdout, "no certificate") {
			t.Error(r)
		}
	})
	l.with(func() { l.set("DB_PORT", "a port") }, func() {
		if r := l.clean("verify"); r.code != exitUsage {
			t.Error(r)
		}
	})
	// Before the switch nobody asks.
	if out := l.verify(exitLeft, "--before-switch"); out.Deleted != 0 || out.Asked != 0 || out.Unasked != "" {
		t.Errorf("%+v", out)
	}
	if out := l.verify(exitOK); out.Deleted != missing || out.Missing != 0 {
		t.Errorf("%+v", out)
	}
	if r := l.clean("verify", "--repair", l.root); r.code != exitOK || !strings.Contains(r.stdout, "by Mastodon: no row names them") {
		t.Error(r)
	}
	if _, there := l.bucket.Body(string(deleted)); there {
		t.Error("what Mastodon deleted was sent again")
	}
	unbound := newLiving(t, instance.Small(305, "4.6"), 0)
	var out verifyJSON
	decode(t, unbound.clean("verify", "--json"), exitLeft, &out)
	if out.Unasked != "mediamove bind first" || out.Missing != int64(l.gone) {
		t.Errorf("%+v", out)
	}
}
