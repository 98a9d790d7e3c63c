package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/fixtures/instance"
	"example.org/mediamove/media"
)

// newHalfway is an instance before the switch, all of whose files a sync has moved.
func newHalfway(t *testing.T, seed uint64, version string) *losing {
	t.Helper()
	l := newLosing(t, seed, version)
	var keys []media.Key
	for _, k := range slices.Sorted(maps.Keys(l.objects)) {
		keys = append(keys, k)
		l.bucket.Delete(string(k))
	}
	for _, k := range slices.Sorted(maps.Keys(l.orphans)) {
		l.bucket.Delete(string(k))
	}
	l.lays(0o644, keys...)
	l.syncs()
	return l
}

// syncs once more; what is hidden is no failure.
func (l *losing) syncs() {
	l.t.Helper()
	if r := l.clean("sync", l.root); r.code != exitOK && r.code != exitLeft {
		l.t.Fatal(r)
	}
}

// hides makes files unreadable to the web server, as Mastodon does when it hides them.
func (l *losing) hides(mode os.FileMode, keys ...media.Key) {
	l.t.Helper()
	for _, k := range keys {
		if err := os.Chmod(l.file(k), mode); err != nil {
			l.t.Fatal(err)
		}
	}
}

// goneSince is what before had and the bucket has not.
func (l *losing) goneSince(before map[string]fixtures.Object) []string {
	return missing(before, l.stands())
}

func namesOf(keys []media.Key) (names []string) {
	for _, k := range keys {
		names = append(names, media.Normal(string(k)))
	}
	slices.Sort(names)
	return names
}

// Before the switch the disk says what is hidden, and needs no database for it: what
// became 0600 after it was moved goes out of the bucket, in every class, and nothing else.
// The next sync does not send it again, and undo brings it back.
func TestWithdrawBeforeTheSwitch(t *testing.T) {
	t.Parallel()
	l := newHalfway(t, 61, "4.6")
	hidden, both := l.take(1), l.rowsWith(1, media.Accounts, true)
	l.hides(0o600, hidden...)
	// Somebody was suspended, and her files are still readable: only the database says so.
	l.db.Exec(t, fmt.Sprintf("UPDATE accounts SET suspended_at = now() WHERE id IN (%s)", idList(both)))
	l.syncs()
	before, sent := l.stands(), len(l.bucket.Objects())
	l.unchanged("looking", func() {
		if out := l.missing(exitLeft, l.root); out.Missing != 0 || out.Shown < int64(len(hidden)) {
			t.Fatalf("%+v", out)
		}
	})
	out := l.missing(exitLeft, "--withdraw", l.root) // what only the database knows is left
	if gone := l.goneSince(before); !slices.Equal(gone, namesOf(hidden)) || out.Withdrawn.Partly == "" || out.Withdrawn.Objects != int64(len(hidden)) {
		t.Fatalf("%d are gone, want %d: %q\n%+v", len(gone), len(hidden), gone, out.Withdrawn)
	}
	for range 2 {
		if l.syncs(); len(l.bucket.Objects()) != sent-len(hidden) {
			t.Fatalf("%d objects, want %d", len(l.bucket.Objects()), sent-len(hidden))
		}
	}
	// They are as they should be: hidden, and nobody misses them.
	if out := l.missing(exitLeft, l.root); out.Missing != 0 || out.Hidden < int64(len(hidden)) {
		t.Errorf("%+v", out)
	}
	l.unchanged("nothing more to hide", func() { l.missing(exitLeft, "--withdraw", l.root) })

	// The bound database is heard.
	l.bind()
	bound := l.stands()
	done := l.missing(exitOK, "--withdraw", l.root)
	for _, k := range l.goneSince(bound) {
		p, _ := media.Parse(media.Key(k))
		if !l.hiddenBy(p, both) {
			t.Errorf("%s was withdrawn", k)
		}
	}
	if done.Withdrawn.Objects == 0 || done.Withdrawn.Partly != "" {
		t.Errorf("%+v", done.Withdrawn)
	}
	// It puts back nothing that is hidden on disk, whatever the database says.
	l.unchanged("healing what is hidden", func() {
		n := len(l.stands())
		l.missing(exitOK, "--heal", l.root)
		if len(l.stands()) != n {
			t.Errorf("%d objects, and there were %d", len(l.stands()), n)
		}
	})
	for _, run := range []int64{done.Run, out.Run} {
		if r := l.clean("undo", itoa(run)); r.code != exitOK {
			t.Fatal(r)
		}
	}
	after := l.stands()
	for k, was := range before {
		is := after[k]
		is.LastModified = was.LastModified
		if d := cmp.Diff(was, is, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%s: %s", k, d)
		}
		body, _ := l.bucket.Body(k)
		if o, ok := l.objects[media.Key(k)]; ok && !bytes.Equal(body, instance.Body(o)) {
			t.Errorf("%s has other bytes", k)
		}
	}
}

// hiddenBy reports whether one of the accounts hides p.
func (l *losing) hiddenBy(p media.Path, accounts []int64) bool {
	if p.Class == media.Accounts {
		return slices.Contains(accounts, p.ID)
	}
	n := int64(0)
	l.each(fmt.Sprintf("SELECT count(*) FROM media_attachments WHERE id = %d AND account_id IN (%s)", p.ID, idList(accounts)), nil, []any{&n}, func() {})
	return p.Class == media.MediaAttachments && n > 0
}

// A file that is readable again is no secret: it is not withdrawn, whatever a sync has seen.
func TestWithdrawLooksAgain(t *testing.T) {
	t.Parallel()
	l := newHalfway(t, 62, "4.4")
	hidden := l.take(1)
	l.hides(0o600, hidden...)
	l.syncs()
	again := hidden[:len(hidden)/2]
	l.hides(0o644, again...)
	before := l.stands()
	out := l.missing(exitLeft, "--withdraw", l.root)
	if gone := l.goneSince(before); !slices.Equal(gone, namesOf(hidden[len(again):])) || out.Withdrawn.Kept[cleanup.KeptUnasked] != int64(len(again)) {
		t.Errorf("%d are gone: %+v", len(gone), out.Withdrawn)
	}
	// Without a disk nobody can say what is hidden there.
	l.unchanged("no disk", func() {
		if r := l.clean("missing", "--withdraw"); r.code != exitUsage {
			t.Error(r)
		}
	})
	for k := range before {
		if media.Key(k).Private() || strings.HasPrefix(k, "backups/") {
			t.Errorf("%s is in the bucket", k)
		}
	}
}
