package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"example.org/mediamove/fixtures/instance"
	"example.org/mediamove/media"
)

// effects are the ways in which missing changes something.
var effects = [][]string{{"--heal"}, {"--null-remote", "--allow-share", "100"}, {"--withdraw"}, {"--heal", "--null-remote", "--allow-share", "100", "--withdraw"}}

// untouched expects of every effect that it is refused: nothing is healed, cleared or
// withdrawn, and the exit status says so.
func (c *cached) untouched(what, reason string, flags ...[]string) {
	c.t.Helper()
	for _, more := range flags {
		stands := c.stands()
		c.intact(what, func() {
			r := c.clean(slices.Concat([]string{"missing"}, more, []string{c.root})...)
			if r.code != exitRefused || !strings.Contains(r.stderr, reason) || !strings.Contains(r.stderr, "hint: ") {
				c.t.Errorf("%s, %v: want a refusal that says %q, got %v", what, more, reason, r)
			}
		})
		if more := missing(c.stands(), stands); len(more) > 0 {
			c.t.Fatalf("%s: %q came into the bucket", what, more)
		}
	}
}

// newBereft has lost what can be healed, and what can be cleared.
func newBereft(t *testing.T, seed uint64) (c *cached, onDisk, nowhere []media.Key) {
	t.Helper()
	c = newCached(t, instance.Small(seed, "4.6"), 0)
	c.db.Exec(t, `UPDATE media_attachments SET created_at = created_at - interval '7 days', updated_at = updated_at - interval '7 days', file_updated_at = created_at - interval '7 days'
		WHERE file_file_name IS NOT NULL`)
	remote := c.needed(16, func(p media.Path, _ instance.Object) bool {
		return p.Cached && p.Class == media.MediaAttachments && p.Attachment == "files" && p.Style == "original" && c.fetched(p.ID)
	})
	c.posts(c.db, 150, 5*time.Hour)
	onDisk, nowhere = remote[:8], remote[8:]
	c.onDisk(c.root, 0o644, onDisk...)
	c.lose(remote...)
	for range 2 {
		c.orphan(exitOK)
		c.night()
	}
	c.posts(c.db, 10, time.Hour)
	return c, onDisk, nowhere
}

// suspendAll hides everything, in a database that is not the right one.
const suspendAll = "UPDATE accounts SET suspended_at = now() WHERE id > 0"

// A database that is not the live one decides nothing: not who sees what, not what comes
// back, and no row is cleared in it.
func TestMissingWrongDatabase(t *testing.T) {
	t.Parallel()
	c, onDisk, _ := newBereft(t, 63)
	for i, tt := range wrongDatabases()[:6] {
		if tt.early {
			continue
		}
		db := c.copyOf("missing" + string(rune('a'+i)))
		tt.spoil(c.living, db)
		db.Exec(t, suspendAll)
		c.instead(db, func() { c.untouched(tt.name, tt.reason, effects...) })
		c.alive()
	}
	staging := c.copyOf("missingz")
	staging.Exec(t, suspendAll)
	c.with(func() { c.use(staging) }, func() { c.untouched("another database", "not the database that the bucket is bound to", effects...) })
	c.alive()
	// The right one heals.
	if out := c.missing(exitLeft, "--heal", c.root); out.Healed.Disk != int64(len(onDisk)) {
		t.Errorf("%+v", out.Healed)
	}
}

// Whatever forbids orphans forbids clearing and withdrawing; and without a bound database
// nothing is put back.
func TestMissingGuards(t *testing.T) {
	t.Parallel()
	c, onDisk, nowhere := newBereft(t, 64)
	c.db.Exec(t, "DELETE FROM unavailable_domains; DELETE FROM domain_blocks")
	plan := filepath.Join(t.TempDir(), "plan.json")
	c.intact("a plan", func() {
		if out := c.missing(exitLeft, "--save", plan, "--allow-share", "100", c.root); out.Plan.Objects != int64(len(nowhere)) {
			t.Fatalf("%+v", out.Plan)
		}
	})

	c.with(func() { c.machine = strings.Repeat("cd", 16) }, func() { c.untouched("another machine", "another host", effects[1], effects[2]) })
	c.untouched("too large a share", "of other servers are lost", []string{"--null-remote", "--allow-share", "1"}, []string{"--save", plan + "2", "--allow-share", "1"})

	// What was lost when the plan was made, and is there again or was changed, stays as it is.
	back, renamed := nowhere[0], nowhere[1]
	instance.Fill(c.bucket, "", slices.Values([]instance.Object{c.objects[back]}))
	p, err := media.Parse(renamed)
	if err != nil {
		t.Fatal(err)
	}
	c.db.Exec(t, "UPDATE media_attachments SET file_file_name = 'again.jpeg', file_updated_at = file_updated_at + interval '1 second' WHERE id = "+itoa(p.ID))
	before := c.named()
	out := c.missing(exitLeft, "--apply-plan", plan, c.root)
	after := c.named()
	cleared := 0
	for _, k := range nowhere {
		p, _ := media.Parse(k)
		_, was := before["m"+itoa(p.ID)]
		_, is := after["m"+itoa(p.ID)]
		if keeps := k == back || k == renamed; was && is != keeps && c.fetched(p.ID) {
			t.Errorf("%s: names a file: %t", k, is)
		}
		if was && !is {
			cleared++
		}
	}
	if len(before)-len(after) != cleared || out.Nulled.Rows != int64(cleared) || out.Nulled.Dropped != 2 || cleared == 0 {
		t.Errorf("%d were cleared, %d rows less: %+v", cleared, len(before)-len(after), out.Nulled)
	}
	c.intact("the same plan again", func() {
		if r := c.clean("missing", "--apply-plan", plan, c.root); r.code != exitRefused || !strings.Contains(r.stderr, "hint: ") {
			t.Error(r)
		}
	})
	for name, args := range map[string][]string{
		"orphans": {"orphans", "--apply-plan", plan}, "prune": {"prune", "--apply-plan", plan},
	} {
		if r := c.clean(args...); r.code != exitUsage {
			t.Errorf("%s: %v", name, r)
		}
	}
	if out := c.missing(exitLeft, "--heal", c.root); out.Healed.Disk != int64(len(onDisk)) {
		t.Errorf("%+v", out.Healed)
	}

	fresh := &cached{newLiving(t, instance.Small(65, "4.6"), 0)}
	fresh.untouched("unbound", "mediamove bind", effects...)
}

// fetched reports whether a row is of a post that Mastodon can fetch the file of.
func (c *cached) fetched(id int64) bool {
	n := 0
	c.each(`SELECT count(*) FROM media_attachments m JOIN accounts a ON a.id = m.account_id JOIN statuses s ON s.id = m.status_id
		WHERE a.domain <> '' AND s.deleted_at IS NULL AND m.id = `+itoa(id), nil, []any{&n}, func() {})
	return n > 0
}
