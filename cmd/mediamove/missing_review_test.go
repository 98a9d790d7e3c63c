package main

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/fixtures/instance"
	"example.org/mediamove/media"
)

const suspendThree = "UPDATE accounts SET suspended_at = now() WHERE id IN (SELECT account_id FROM media_attachments WHERE file_file_name IS NOT NULL ORDER BY id LIMIT 3)"

// A copy that waits for the bucket to answer again is asked about again, as a file is: its
// account may be suspended by then.
func TestHealFromTrashAsksBeforeEveryTry(t *testing.T) {
	t.Parallel()
	l := newSettled(t, instance.Small(73, "4.6"), 10)
	l.db.Exec(t, suspendThree)
	done := l.missing(exitOK, "--withdraw")
	if done.Withdrawn.Objects == 0 {
		t.Fatalf("%+v", done)
	}
	l.db.Exec(t, "UPDATE accounts SET suspended_at = NULL")
	before := l.stands()
	var once sync.Once
	l.bucket.SetFault(func(r fixtures.Request) (f fixtures.Fault) {
		if r.Op == costs.PutObject && !media.Key(r.Key).Reserved() {
			once.Do(func() {
				l.db.Exec(t, suspendThree)
				f = fixtures.Fault{Status: 503, Code: "SlowDown"}
			})
		}
		return f
	})
	out := l.missing(exitLeft, "--heal")
	if out.Healed.Trash != 0 {
		t.Errorf("%+v", out.Healed)
	}
	if extra := missing(l.stands(), before); len(extra) > 0 {
		t.Errorf("%q are public", extra)
	}
}

// A row that is cleared needs nothing any more: neither its original nor its preview is
// missing when the run is over.
func TestNulledRowsMissNothing(t *testing.T) {
	t.Parallel()
	l := newSettled(t, instance.Small(74, "4.6"), 10)
	l.db.Exec(t, "DELETE FROM unavailable_domains; DELETE FROM domain_blocks")
	originals := l.needed(5, func(p media.Path, _ instance.Object) bool {
		return p.Cached && p.Class == media.MediaAttachments && p.Attachment == "files" && p.Style == "original"
	})
	ids := map[int64]bool{}
	for _, k := range originals {
		p, err := media.Parse(k)
		if err != nil {
			t.Fatal(err)
		}
		ids[p.ID] = true
	}
	for k := range l.objects {
		if p, err := media.Parse(k); err == nil && p.Class == media.MediaAttachments && ids[p.ID] {
			l.lose(k)
		}
	}
	out := l.missing(exitOK, "--null-remote", "--allow-share", "50")
	if out.Nulled.Rows != 5 || out.Missing <= 5 || out.Left != 0 {
		t.Errorf("%+v, %d missing, %d left", out.Nulled, out.Missing, out.Left)
	}
	l.missing(exitOK)
}

// Copies in a trash of one's own are found by whoever names it, and until then nobody is
// told that nothing has them any more.
func TestHealFromATrashOfOnesOwn(t *testing.T) {
	t.Parallel()
	l := newSettled(t, instance.Small(75, "4.6"), 10)
	l.db.Exec(t, suspendThree)
	own := t.TempDir() + "/own"
	done := l.missing(exitOK, "--withdraw", "--trash", own)
	if done.Withdrawn.Objects == 0 {
		t.Fatalf("%+v", done)
	}
	l.db.Exec(t, "UPDATE accounts SET suspended_at = NULL")
	for _, g := range l.missing(exitLeft).Groups {
		if g.Source != cleanup.Unseen {
			t.Errorf("%+v", g)
		}
	}
	if r := l.clean("missing", "--heal", "--trash", own+"er"); r.code != exitUsage || !strings.Contains(r.stderr, "mounted") {
		t.Error(r)
	}
	out := l.missing(exitOK, "--heal", "--trash", own)
	if out.Healed.Trash != out.Missing || out.Missing == 0 || out.Left != 0 {
		t.Errorf("%+v, %d missing", out.Healed, out.Missing)
	}
}

// Whoever says that a run is before the switch is spared the guards of afterwards. That is
// not for anybody to say once Mastodon writes to the bucket.
func TestWithdrawIsNotSparedTheGuards(t *testing.T) {
	t.Parallel()
	l := newSettled(t, instance.Small(76, "4.6"), 10)
	l.db.Exec(t, suspendThree)
	hidden := l.missing(exitLeft).Shown
	l.unchanged("what can't be meant", func() {
		if r := l.clean("missing", "--withdraw", "--trash", l.state+"/trash"); r.code != exitUsage || !strings.Contains(r.stderr, "30 days") {
			t.Error(r)
		}
		for _, with := range [][]string{{"--withdraw"}, {"--heal"}, {"--null-remote"}, {"--save", t.TempDir() + "/plan"}} {
			if r := l.clean(append([]string{"missing", "--list"}, with...)...); r.code != exitUsage || !strings.Contains(r.stderr, "--list") {
				t.Error(r)
			}
		}
	})
	l.with(func() { l.machine = strings.Repeat("cd", 16) }, func() {
		l.unchanged("another host", func() {
			if out := l.missing(exitRefused, "--withdraw"); out.Withdrawn.Objects != 0 {
				t.Errorf("%+v", out.Withdrawn)
			}
			if r := l.clean("missing", "--withdraw", "--before-switch", l.root); r.code != exitRefused || !strings.Contains(r.stderr, "--before-switch") {
				t.Error(r)
			}
		})
	})
	if out := l.missing(exitOK, "--withdraw"); out.Withdrawn.Objects != hidden {
		t.Errorf("%+v of %d", out.Withdrawn, hidden)
	}
}

// A file that a full disk or a broken copy has cut short is nobody's picture: what the
// ledger has no record of is held against what the row says.
func TestHealDoesNotPublishHalfAFile(t *testing.T) {
	t.Parallel()
	l := newSettled(t, instance.Small(77, "4.6"), 10)
	lost := l.needed(3, func(p media.Path, o instance.Object) bool {
		return p.Class == media.MediaAttachments && p.Attachment == "files" && p.Style == "original" && o.Size > 20
	})
	previews := l.needed(1, func(p media.Path, _ instance.Object) bool { return p.Class == media.Accounts && p.Style == "static" })
	l.lose(lost...)
	l.lose(previews...)
	root := t.TempDir() + "/system"
	l.onDisk(root, 0o644, lost...)
	l.onDisk(root, 0o644, previews...)
	for k, size := range map[media.Key]int64{lost[0]: 0, lost[1]: 10, previews[0]: 0} {
		if err := os.Truncate(filepath.Join(root, string(k)), size); err != nil {
			t.Fatal(err)
		}
	}
	out := l.missing(exitLeft, "--heal", root)
	if out.Healed.Disk != 1 || out.Left != 3 || out.Healed.NotBack[cleanup.Short] != 3 {
		t.Errorf("%+v, %d left", out.Healed, out.Left)
	}
	for _, k := range []media.Key{lost[0], lost[1], previews[0]} {
		if _, there := l.bucket.Body(string(k)); there {
			t.Errorf("%s was sent", k)
		}
	}
}

// Before the switch the disk says what is hidden, to --heal as to sync: what was withdrawn
// for it is not missing, and does not come back from the trash while it says so.
func TestHealBeforeTheSwitchHeedsTheDisk(t *testing.T) {
	t.Parallel()
	l := newRecorded(t, 307)
	l.set("S3_ENABLED", "")
	var out syncJSON
	decode(t, l.clean("sync", l.root, "--before-switch", "--json"), exitOK, &out)
	k := l.free[0]
	path := filepath.Join(l.root, string(k))
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := l.clean("sync", l.root); r.code != exitOK && r.code != exitLeft {
		t.Fatal(r)
	}
	l.later(5 * 24 * time.Hour)
	l.alive()
	there := func() bool {
		_, ok := l.bucket.Body(string(k))
		return ok
	}
	if done := l.missing(exitOK, "--withdraw", l.root); done.Withdrawn.Objects != 1 || there() {
		t.Fatalf("%+v", done.Withdrawn)
	}
	for _, args := range [][]string{{l.root}, {l.root, "--heal"}, {"--heal"}} {
		if got := l.missing(exitOK, args...); got.Missing != 0 || got.Hidden == 0 || there() {
			t.Errorf("%v: there %t, %d missing, %d hidden", args, there(), got.Missing, got.Hidden)
		}
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := l.missing(exitOK, "--heal", l.root); got.Missing != 1 || !there() {
		t.Errorf("there %t, %d missing", there(), got.Missing)
	}
}
