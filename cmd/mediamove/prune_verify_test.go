package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.org/mediamove/fixtures/instance"
)

// What prune removed is removed to verify, not missing; explain knows the run, and sync
// does not send it again.
func TestPruneVerified(t *testing.T) {
	t.Parallel()
	c := &cached{newLiving(t, instance.Small(56, "4.6"), 0)}
	c.root = t.TempDir() + "/moved"
	for k, o := range c.objects {
		path := filepath.Join(c.root, filepath.FromSlash(string(k)))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, instance.Body(o), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, o.Modified, o.Modified); err != nil {
			t.Fatal(err)
		}
	}
	c.set("S3_ENABLED", "")
	if r := c.run("sync", c.root, "--before-switch"); r.code != exitOK && r.code != exitLeft {
		t.Fatal(r)
	}
	c.set("S3_ENABLED", "true")
	c.grow()
	verified := func() (out verifyJSON) {
		t.Helper()
		r := c.run("verify", c.root, "--json")
		decode(t, r, r.code, &out)
		return out
	}
	first := verified()
	before := c.stands()
	out := c.prune(exitOK, append([]string{"--apply"}, c.some(15)...)...)
	gone := missing(before, c.stands())
	if len(gone) < 5 || out.Removed.Objects != int64(len(gone)) {
		t.Fatalf("%d: %+v", len(gone), out)
	}
	after := verified()
	if after.Removed != int64(len(gone)) || after.Missing != first.Missing || after.Same != first.Same-int64(len(gone)) {
		t.Errorf("first %+v, after %+v", first, after)
	}
	if r := c.clean("explain", gone[0]); !strings.Contains(r.stdout, "removed by run "+itoa(out.Run)) {
		t.Error(r)
	}
	if r := c.run("sync", c.root, "--before-switch"); r.code != exitOK && r.code != exitLeft {
		t.Error(r)
	}
	if back := missing(before, c.stands()); len(back) != len(gone) {
		t.Errorf("%d are gone after a sync, %d before", len(back), len(gone))
	}
	c.later(time.Hour)
}
