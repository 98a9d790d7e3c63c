package main

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.org/mediamove/fixtures/instance"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

func (l *living) missing(code int, args ...string) missingJSON {
	l.t.Helper()
	var out missingJSON
	decode(l.t, l.clean(append([]string{"missing", "--json"}, args...)...), code, &out)
	return out
}

// settled is a living instance that is bound, with two nights behind it, and whose rows
// are older than the age guard.
func newSettled(t *testing.T, spec instance.Spec, orphans int) *living {
	t.Helper()
	l := newLiving(t, spec, orphans)
	l.bind()
	l.night()
	l.orphan(exitOK)
	l.later(5 * 24 * time.Hour)
	l.alive()
	return l
}

// some of the objects that the instance owns and that rows need, by what they are.
func (l *living) needed(n int, like func(p media.Path, o instance.Object) bool) (keys []media.Key) {
	l.t.Helper()
	for k, o := range l.objects {
		if p, err := media.Parse(k); err == nil && like(p, o) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	if len(keys) < n {
		l.t.Fatalf("only %d objects are like that, want %d", len(keys), n)
	}
	return keys[:n]
}

func (l *living) lose(keys ...media.Key) {
	for _, k := range keys {
		l.bucket.Delete(string(k))
	}
}

// onDisk writes objects to a media root, as Mastodon left them there.
func (l *living) onDisk(root string, mode os.FileMode, keys ...media.Key) {
	l.t.Helper()
	for _, k := range keys {
		path := filepath.Join(root, filepath.FromSlash(string(k)))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			l.t.Fatal(err)
		}
		if err := os.WriteFile(path, instance.Body(l.objects[k]), mode); err != nil {
			l.t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			l.t.Fatal(err)
		}
	}
}

func TestMissingLife(t *testing.T) {
	t.Parallel()
	l := newSettled(t, instance.Small(71, "4.6"), 10)
	if out := l.missing(exitOK); out.Missing != 0 || out.Required == 0 || out.Absent != 0 {
		t.Fatalf("%+v", out)
	}
	remote := l.needed(30, func(p media.Path, _ instance.Object) bool {
		return p.Cached && p.Class == media.MediaAttachments && p.Attachment == "files" && p.Style == "original"
	})
	local := l.needed(6, func(p media.Path, _ instance.Object) bool {
		return !p.Cached && p.Class == media.MediaAttachments && p.Style == "small"
	})
	l.lose(remote...)
	l.lose(local...)
	out := l.missing(exitLeft)
	if out.Missing != 36 || out.Remote < 30 || out.Local == 0 {
		t.Fatalf("%+v", out)
	}
	r := l.clean("missing", "--list")
	for _, k := range append(slices.Clone(remote), local...) {
		if !strings.Contains(r.stdout, string(k)) {
			t.Errorf("%s is not listed", k)
		}
	}
	if r := l.clean("missing"); r.code != exitLeft || !strings.Contains(r.stdout, "--null-remote") {
		t.Error(r)
	}
	// Half of them are on disk, some of them hidden there.
	root := t.TempDir() + "/system"
	l.onDisk(root, 0o600, local...)
	l.onDisk(root, 0o644, remote[:10]...)
	out = l.missing(exitLeft, "--heal", root)
	if out.Healed == nil || out.Healed.Disk != 16 || out.Left != 20 {
		t.Fatalf("%+v, %+v", out, out.Healed)
	}
	for _, k := range append(slices.Clone(local), remote[:10]...) {
		if body, ok := l.bucket.Body(string(k)); !ok || string(body) != string(instance.Body(l.objects[k])) {
			t.Errorf("%s is not back", k)
		}
	}
	l.db.Exec(t, "DELETE FROM unavailable_domains; DELETE FROM domain_blocks")
	out = l.missing(exitOK, "--null-remote", "--allow-share", "50")
	if out.Nulled.Rows != 20 || out.Left != 0 {
		t.Fatalf("%+v", out.Nulled)
	}
	if out := l.missing(exitOK); out.Missing != 0 {
		t.Fatalf("%+v", out)
	}
}

func TestMissingWithdraw(t *testing.T) {
	t.Parallel()
	l := newSettled(t, instance.Small(72, "4.6"), 10)
	l.db.Exec(t, "UPDATE accounts SET suspended_at = now() WHERE id IN (SELECT account_id FROM media_attachments WHERE file_file_name IS NOT NULL ORDER BY id LIMIT 3)")
	out := l.missing(exitLeft)
	if out.Shown == 0 {
		t.Fatalf("%+v", out)
	}
	before := l.stands()
	done := l.missing(exitOK, "--withdraw")
	if done.Withdrawn.Objects != out.Shown {
		t.Fatalf("%+v", done)
	}
	if gone := missing(before, l.stands()); int64(len(gone)) != out.Shown {
		t.Fatalf("%d are gone", len(gone))
	}
	if out := l.missing(exitOK); out.Missing != 0 || out.Hidden == 0 {
		t.Fatalf("%+v", out)
	}
	l.db.Exec(t, "UPDATE accounts SET suspended_at = NULL")
	out = l.missing(exitLeft)
	if out.Missing == 0 {
		t.Fatalf("%+v", out)
	}
	out = l.missing(exitOK, "--heal")
	if out.Healed.Trash == 0 || out.Left != 0 {
		t.Fatalf("%+v", out)
	}
	run := strconv.FormatInt(done.Run, 10)
	if r := l.clean("undo", run); r.code != exitOK {
		t.Fatal(r)
	}
	if gone := missing(before, l.stands()); len(gone) != 0 {
		t.Fatalf("%q are gone", gone)
	}
	led := l.reader()
	defer led.Close()
	for r, err := range led.Removals(t.Context(), ledger.RemovalQuery{State: ledger.RemovalRemoved}) {
		t.Errorf("%v %+v", err, r)
	}
}
