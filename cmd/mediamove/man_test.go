package main

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra/doc"
)

var update = flag.Bool("update", false, "write docs/man anew")

// docs/man says what the commands say of themselves. The generator is linked
// into tests only, never into mediamove.
func TestManPages(t *testing.T) {
	t.Parallel()
	const golden = "../../docs/man"
	dir := t.TempDir()
	root := newRoot(&world{})
	root.DisableAutoGenTag = true
	header := &doc.GenManHeader{Section: "1", Source: "mediamove", Manual: "Mediamove", Date: new(time.Unix(0, 0).UTC())}
	if err := doc.GenManTree(root, header, dir); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.RemoveAll(golden); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(golden, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
	}
	want, got := pages(t, golden), pages(t, dir)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
		t.Fatalf("make man is due (-docs/man +commands):\n%s", diff)
	}
	for name := range got {
		if diff := cmp.Diff(want[name], got[name]); diff != "" {
			t.Errorf("%s is stale: make man (-docs/man +commands)\n%s", name, diff)
		}
	}
}

// pages reads a folder of man pages.
func pages(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		texts[e.Name()] = string(data)
	}
	return texts
}
