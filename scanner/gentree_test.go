package scanner_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// fastDir returns a temporary directory in memory, where the machine has one.
func fastDir(tb testing.TB) string {
	tb.Helper()
	base := "/dev/shm"
	if info, err := os.Stat(base); err != nil || !info.IsDir() {
		return tb.TempDir()
	}
	dir, err := os.MkdirTemp(base, "scanner") //nolint:usetesting // not where TempDir would make it
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// genTree makes n empty files as Mastodon lays them out, two to an attachment
// (original and small), half of them under cache/. Ids are snowflakes of three
// years, so there are about 3.4 directories to a file.
func genTree(tb testing.TB, root string, n int) {
	tb.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	for i := 0; i < n; i += 2 {
		top := filepath.Join(root, "media_attachments/files")
		if i%4 == 0 {
			top = filepath.Join(root, "cache/media_attachments/files")
		}
		id := fmt.Sprintf("%018d", 109_000_000_000_000_000+rng.Int64N(6_200_000_000_000_000))
		for k := 0; k < len(id); k += 3 {
			top = filepath.Join(top, id[k:k+3])
		}
		name := fmt.Sprintf("%016x.png", rng.Uint64())
		for _, style := range []string{"original", "small"} {
			dir := filepath.Join(top, style)
			if err := os.MkdirAll(dir, 0o755); err != nil {
				tb.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
				tb.Fatal(err)
			}
		}
	}
}
