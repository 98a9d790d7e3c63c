package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/fixtures/instance"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

func (c *cached) save(args ...string) (file string, plan pruneJSON) {
	c.t.Helper()
	file = c.t.TempDir() + "/plan.json"
	return file, c.prune(exitOK, append([]string{"--save", file}, args...)...)
}

// A plan names exactly what a run would clear, is applied once, and what happened since
// takes rows out of it and never adds one.
func TestPrunePlan(t *testing.T) {
	t.Parallel()
	c := newCached(t, instance.Small(51, "4.6"), 0)
	file, plan := c.save(c.some(30)...)
	rows := c.ordered(pruneAge)[:plan.Rows]
	if plan.Plan == nil || plan.Plan.Bytes != plan.Freed.Bytes || len(rows) < 10 {
		t.Fatalf("%+v", plan)
	}
	c.later(3 * time.Hour)
	// A local user likes one, one is fetched again, one is deleted, one is of a server that is gone now.
	status := func(i int) string { return itoa(rows[i].id) }
	c.db.Exec(t, `INSERT INTO favourites (account_id, status_id, created_at, updated_at)
		SELECT (SELECT min(id) FROM accounts WHERE domain IS NULL), status_id, now(), now() FROM media_attachments WHERE id = `+status(1)+` ON CONFLICT DO NOTHING`)
	c.db.Exec(t, "UPDATE media_attachments SET file_file_name = 'again.png' WHERE id = "+status(3))
	again := media.Path{Cached: true, Class: media.MediaAttachments, Attachment: "files", ID: rows[3].id, Style: "original", Name: "again.png"}
	c.bucket.Plant(objectAt(string(again.Key()), c.now()), []byte("again"))
	c.db.Exec(t, "DELETE FROM media_attachments WHERE id = "+status(5))
	for _, o := range append(rows[3].objects, rows[5].objects...) {
		c.bucket.Delete(o.Key)
	}
	c.db.Exec(t, "INSERT INTO bookmarks (account_id, status_id, created_at, updated_at) SELECT (SELECT min(id) FROM accounts WHERE domain IS NULL), status_id, now(), now() FROM media_attachments WHERE id = "+status(7)+" ON CONFLICT DO NOTHING")

	c.alive()
	may := map[string]bool{}
	for _, r := range c.ordered(pruneAge) {
		may[string(r.class)+itoa(r.id)] = true
	}
	want := rows[:0:0]
	for i, r := range rows {
		if may[string(r.class)+itoa(r.id)] && i != 3 {
			want = append(want, r)
		}
	}
	if len(want) > len(rows)-3 { // two may be of one post
		t.Fatalf("%d of %d", len(want), len(rows))
	}
	before := c.stands()
	var out pruneJSON
	r := c.clean("prune", "--json", "--apply-plan", file)
	decode(t, r, r.code, &out)
	if out.Cleared != int64(len(want)) || out.Dropped != int64(len(rows)-len(want)) || out.Rows != int64(len(want)) || (out.Short > 0) != (r.code == exitLeft) || r.code != exitLeft && r.code != exitOK {
		t.Errorf("want %d of %d: %+v", len(want), len(rows), []int64{out.Cleared, out.Skipped, out.Dropped, out.Rows, out.Short})
	}
	c.without(before, want)
	c.named()
	if r := c.clean("prune", "--apply-plan", file); r.code != exitRefused || !strings.Contains(r.stderr, "applied once") {
		t.Errorf("twice: %v", r)
	}
	led := c.reader()
	defer led.Close()
	for v, err := range led.Clearings(t.Context(), ledger.ClearingQuery{Run: out.Run}) {
		if err != nil || v.Plan != plan.Plan.ID {
			t.Errorf("the journal does not name the plan: %+v, %v", v, err)
		}
	}
	for v, err := range led.Removals(t.Context(), ledger.RemovalQuery{Run: out.Run}) {
		if err != nil || v.Plan != plan.Plan.ID {
			t.Errorf("the journal does not name the plan: %+v, %v", v, err)
		}
	}
}

// A plan of a fifth stays one, whatever came to the cache since; and one that grew beyond
// it, because the rest of the cache went, is refused.
func TestPrunePlanShare(t *testing.T) {
	t.Parallel()
	c := newCached(t, instance.Small(52, "4.6"), 0)
	file, plan := c.save(c.some(10)...)
	c.db.Exec(t, "UPDATE preview_cards SET updated_at = updated_at") // nothing
	out := c.prune(exitOK, "--apply-plan", file)
	if out.Share > 25 || out.Removed.Bytes != plan.Freed.Bytes {
		t.Errorf("%+v", out)
	}
}

// Plans of another command, edited ones, old ones, and those of another ledger.
func TestPrunePlanUnfit(t *testing.T) {
	t.Parallel()
	c := newCached(t, instance.Small(53, "4.6"), 0)
	file, _ := c.save(c.some(10)...)
	orphans := t.TempDir() + "/orphans.json"
	c.orphan(exitOK, "--save", orphans)
	c.intact("wrong plans", func() {
		if r := c.clean("prune", "--apply-plan", orphans); r.code != exitUsage || !strings.Contains(r.stderr, "orphans --apply-plan") {
			t.Error(r)
		}
		if r := c.clean("orphans", "--apply-plan", file); r.code != exitUsage || !strings.Contains(r.stderr, "prune --apply-plan") {
			t.Error(r)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		edited := t.TempDir() + "/edited.json"
		if err := os.WriteFile(edited, []byte(strings.Replace(string(text), `"allow_share": 90`, `"allow_share": 91`, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if r := c.clean("prune", "--apply-plan", edited); r.code != exitRefused && r.code != exitUsage {
			t.Error(r)
		}
		if r := c.clean("prune", "--apply-plan", file+"x"); r.code != exitUsage {
			t.Error(r)
		}
		if r := c.clean("prune", "--budget", "1GB", "--save", file); r.code != exitUsage {
			t.Errorf("over a file that is there: %v", r)
		}
		c.later(25 * time.Hour)
		c.alive()
		if r := c.clean("prune", "--apply-plan", file); r.code != exitRefused || !strings.Contains(r.stderr, "expired") || strings.Contains(r.stderr, "mediamove orphans") {
			t.Errorf("an old one: %v", r)
		}
	})
	var head cleanup.Plan
	text, _ := os.ReadFile(file)
	if err := json.Unmarshal(text, &head); err == nil && head.Schema != cleanup.PrunePlanSchema {
		t.Errorf("%+v", head)
	}
}
