package main

import (
	"strings"
	"testing"
	"time"

	"example.org/mediamove/fixtures/instance"
)

// After 90 days a night forgets which rows were cleared, and undo says so. Copies that stood
// in a folder of their own so long come back all the same, and no row is touched.
func TestNightlyForgets(t *testing.T) {
	t.Parallel()
	c := newCached(t, instance.Small(84, "4.6"), 0)
	c.posts(c.db, 150, 5*time.Hour)
	dir := t.TempDir() + "/kept"
	before := c.stands()
	out := c.prune(exitOK, append([]string{"--apply", "--trash", dir}, c.some(10)...)...)
	key := missing(before, c.stands())[0]
	history := func(want int) {
		t.Helper()
		var s story
		decode(t, c.clean("explain", "--json", key), exitOK, &s)
		if len(s.Clearings) != want || len(s.Removals) != 1 {
			t.Errorf("%+v, %+v", s.Clearings, s.Removals)
		}
	}
	c.later(89 * 24 * time.Hour)
	c.alive()
	if n := c.nightly(exitOK, "--budget", "1GB"); n.Forgot != 0 {
		t.Errorf("%+v", n)
	}
	history(1)
	c.later(48 * time.Hour)
	c.alive()
	if n := c.nightly(exitOK, "--budget", "1GB"); n.Forgot != out.Cleared {
		t.Errorf("%+v, cleared were %d", n, out.Cleared)
	}
	history(0)
	named := c.named()
	r := c.clean("undo", itoa(out.Run), "--trash", dir)
	if r.code != exitOK || !strings.Contains(r.stdout, "rows that the journal has forgotten") || strings.Contains(r.stdout, "rows restored") {
		t.Error(r)
	}
	if lost := missing(before, c.stands()); len(lost) > 0 {
		t.Errorf("%q are not back", lost)
	}
	for id, now := range c.named() {
		if named[id] != now {
			t.Errorf("%s is %q, and was %q", id, now, named[id])
		}
	}
	c.whole()
}
