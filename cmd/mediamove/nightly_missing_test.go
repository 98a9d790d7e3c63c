package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/fixtures/instance"
	"example.org/mediamove/media"
)

// A night says what rows need and lack, loudly if it is a local user's, from the listing
// that it has made anyway; and that something should be hidden.
func TestNightlyMissing(t *testing.T) {
	t.Parallel()
	c := newCached(t, instance.Small(81, "4.6"), 0)
	c.later(5 * 24 * time.Hour)
	c.alive()
	if out := c.nightly(exitOK, "--budget", "1TB", "--apply"); out.Missing == nil || *out.Missing != (nightMissing{}) {
		t.Fatalf("%+v", out.Missing)
	}
	ours := map[int64]bool{}
	var id int64
	c.each("SELECT id FROM media_attachments WHERE remote_url = '' AND file_file_name IS NOT NULL AND coalesce(processing, 2) = 2", nil, []any{&id}, func() { ours[id] = true })
	local := c.needed(2, func(p media.Path, _ instance.Object) bool {
		return p.Class == media.MediaAttachments && p.Attachment == "files" && p.Style == "original" && ours[p.ID]
	})
	remote := c.needed(3, func(p media.Path, _ instance.Object) bool {
		return p.Class == media.Accounts && p.Cached && p.Style == "original"
	})
	c.lose(local...)
	c.lose(remote...)
	file := t.TempDir() + "/m.prom"
	c.night()
	out := c.nightly(exitOK, "--budget", "1TB", "--apply", "--metrics-file", file)
	if m := out.Missing; m == nil || m.Local != 2 || m.Remote != 3 || m.Asked != 5 || m.Exposed.Objects != 0 {
		t.Fatalf("%+v", m)
	}
	if n := out.Requests[costs.ListObjects]; n != (out.Objects+1+999)/1000 {
		t.Errorf("%d listings", n)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{`mediamove_missing{owner="local"} 2`, `mediamove_missing{owner="remote"} 3`, "mediamove_exposed_objects 0"} {
		if !strings.Contains(string(text), line+"\n") {
			t.Errorf("no %s in %s", line, text)
		}
	}
	c.db.Exec(t, "UPDATE accounts SET suspended_at = now() WHERE id IN (SELECT account_id FROM media_attachments WHERE file_file_name IS NOT NULL AND remote_url <> '' LIMIT 2)")
	c.night()
	r := c.clean("nightly", "--budget", "1TB", "--apply")
	if r.code != exitOK || !strings.Contains(r.stdout, "MISSING    2 objects of LOCAL users") || !strings.Contains(r.stdout, "should be hidden") {
		t.Errorf("%v", r)
	}
	if n := strings.Count(r.stdout, "\n"); n > 15 {
		t.Errorf("%d lines: %s", n, r.stdout)
	}
}

// A database that is contradicted says nothing about what is missing; a bucket that
// can't be asked fails the report, and nothing else of the night.
func TestNightlyMissingUntold(t *testing.T) {
	t.Parallel()
	c := newCached(t, instance.Small(82, "4.6"), 0)
	c.posts(c.db, 150, 5*time.Hour)
	c.later(5 * 24 * time.Hour)
	c.alive()
	c.lose(c.needed(2, func(p media.Path, _ instance.Object) bool { return p.Class == media.Accounts && p.Style == "original" })...)
	staging := c.copyOf("staging")
	staging.Exec(t, "DELETE FROM media_attachments")
	c.instead(staging, func() {
		if out := c.nightly(exitRefused, "--budget", "1TB", "--apply"); out.Missing != nil {
			t.Errorf("%+v", out.Missing)
		}
	})
	c.bucket.SetFault(func(r fixtures.Request) fixtures.Fault {
		if r.Op == costs.GetObject && !media.Key(r.Key).Reserved() {
			return fixtures.Fault{Status: 400, Code: "InvalidArgument"}
		}
		return fixtures.Fault{}
	})
	c.night()
	if out := c.nightly(exitStopped, "--budget", "1TB", "--apply"); out.Missing != nil || len(out.Problems) != 1 {
		t.Errorf("%+v", out)
	}
}
