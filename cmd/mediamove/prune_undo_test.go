package main

import (
	"strings"
	"testing"
	"time"

	"example.org/mediamove/fixtures/instance"
	"example.org/mediamove/media"
)

// Without a trash undo restores nothing, and says so.
func TestPruneUndoNothing(t *testing.T) {
	t.Parallel()
	c := newCached(t, instance.Small(61, "4.6"), 0)
	out := c.prune(exitOK, append([]string{"--apply"}, c.some(10)...)...)
	c.intact("undo", func() {
		r := c.clean("undo", itoa(out.Run))
		if r.code != exitLeft || !strings.Contains(r.stdout, "no copy was kept") || !strings.Contains(r.stdout, "Mastodon fetches them") {
			t.Error(r)
		}
	})
	c.whole()
}

// With a trash objects and columns come back as they were, but not where Mastodon has
// fetched the file again, or the row is gone.
func TestPruneUndo(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"4.2", "4.4", "4.6"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			c := newCached(t, instance.Small(62, version), 0)
			named, before := c.named(), c.stands()
			dir := t.TempDir() + "/kept"
			args := c.some(30)
			rows := c.ordered(pruneAge)
			out := c.prune(exitOK, append([]string{"--apply", "--trash", dir}, args...)...)
			if out.Removed.Objects < 10 {
				t.Fatalf("%+v", out)
			}
			c.whole()
			again, gone := rows[1].id, rows[2].id
			c.db.Exec(t, "UPDATE media_attachments SET file_file_name = 'again.png', file_content_type = 'image/png', file_file_size = 5, file_updated_at = now() WHERE id = "+itoa(again))
			c.bucket.Plant(objectAt(string(media.Path{Cached: true, Class: media.MediaAttachments, Attachment: "files", ID: again, Style: "original", Name: "again.png"}.Key()), c.now()), []byte("again"))
			c.db.Exec(t, "DELETE FROM media_attachments WHERE id = "+itoa(gone))
			r := c.clean("undo", itoa(out.Run), "--trash", dir)
			if r.code != exitOK || !strings.Contains(r.stdout, "rows restored") {
				t.Fatal(r)
			}
			if lost := missing(before, c.stands()); len(lost) > 0 {
				t.Errorf("%q are not back", lost)
			}
			now := c.named()
			for id, was := range named {
				if id != "m"+itoa(again) && id != "m"+itoa(gone) && now[id] != was {
					t.Errorf("%s is %q, and was %q", id, now[id], was)
				}
			}
			if !strings.HasPrefix(now["m"+itoa(again)], "again.png") || now["m"+itoa(gone)] != "" {
				t.Errorf("%q, %q", now["m"+itoa(again)], now["m"+itoa(gone)])
			}
			c.whole()
			// Twice is fine.
			if r := c.clean("undo", itoa(out.Run), "--trash", dir); r.code != exitOK {
				t.Error(r)
			}
		})
	}
}

// A run cleared rows and died; the next one removed their objects. To undo the first must
// not make its rows name what is gone.
func TestPruneUndoOfAKilledRun(t *testing.T) {
	t.Parallel()
	c := newCached(t, instance.Small(63, "4.6"), 0)
	args := append([]string{"prune", "--apply"}, c.some(20)...)
	first := c.dies(args, isDelete)
	c.whole()
	c.later(time.Hour)
	c.alive()
	if out := c.prune(exitOK, append([]string{"--apply", "--budget", "1TB"}, "--target", "1TB")...); out.Removed.Objects == 0 || out.Cleared != 0 {
		t.Fatalf("%+v", out)
	}
	c.whole()
	r := c.clean("undo", first)
	if r.code != exitOK && r.code != exitLeft {
		t.Error(r)
	}
	c.whole()
}
