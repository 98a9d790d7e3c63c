package main

import (
	"os"
	"testing"
	"time"

	"example.org/mediamove/fixtures/instance"
)

// A trash of prune's own ends after 30 days as that of orphans does, also while a guard
// refuses; who types no trash touches none.
func TestPruneTrashExpires(t *testing.T) {
	t.Parallel()
	c := newCached(t, instance.Small(88, "4.6"), 0)
	c.posts(c.db, 150, 5*time.Hour)
	c.plantGone(t, 5, 200)
	c.full()
	dir := t.TempDir() + "/kept"
	copies := func(dir string) (n int) {
		t.Helper()
		entries, err := os.ReadDir(dir)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return len(entries) // one of each run
	}
	pass := func(days int) {
		c.later(time.Duration(days) * 24 * time.Hour)
		c.alive()
	}
	pass(1)
	c.removes(c.planted(5))
	first := c.prune(exitOK, append([]string{"--apply", "--trash", dir}, c.some(5)...)...)
	if first.Removed.Objects == 0 || first.Expired != 0 || copies(dir) != 1 {
		t.Fatalf("%+v, %d", first, copies(dir))
	}
	pass(29)
	if out := c.prune(exitOK, "--apply", "--trash", dir, "--budget", "1TB"); out.Expired != 0 || copies(dir) != 1 {
		t.Errorf("%+v", out)
	}
	pass(2)
	if out := c.prune(exitOK, "--apply", "--budget", "1TB"); out.Expired != 0 || copies(dir) != 1 || copies(c.state+"/trash") != 1 {
		t.Errorf("%+v, %d", out, copies(c.state+"/trash"))
	}
	if out := c.prune(exitOK, "--trash", dir, "--budget", "1TB"); out.Expired != 0 || copies(dir) != 1 { // dry
		t.Errorf("%+v", out)
	}
	c.later(3 * time.Hour) // nobody posts: the guard fresh refuses
	c.bucket.Plant(objectAt("media_attachments/files/111/222/333/444/555/666/original/new.png", c.now()), []byte("new"))
	if out := c.prune(exitRefused, append([]string{"--apply", "--trash", dir}, c.some(5)...)...); out.Expired != first.Removed.Objects || copies(dir) != 0 {
		t.Errorf("%+v, %d", out, copies(dir))
	}
	c.alive()
	second := c.prune(exitOK, append([]string{"--apply", "--trash", dir}, c.some(5)...)...)
	pass(31)
	if out := c.prune(exitOK, append([]string{"--apply", "--trash", dir}, c.some(5)...)...); out.Expired != second.Removed.Objects || out.Expired == 0 || copies(dir) != 1 {
		t.Errorf("%+v, %d", out, copies(dir))
	}
}
