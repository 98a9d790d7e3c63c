package gentree_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"example.org/mediamove/bench/gentree"
	"example.org/mediamove/media"
)

// plant makes a tree and returns a hash of all that a client could see in it.
func plant(t *testing.T, s gentree.Spec) (dir string, sum gentree.Summary, hash string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "tree")
	sum, err := gentree.Make(dir, s)
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	for f := range files(t, dir) {
		body, err := os.ReadFile(filepath.Join(dir, string(f.Key)))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(h, "%s %d %v %v %x\n", f.Key, f.Size, f.ModTime.UTC(), f.Mode, body)
	}
	return dir, sum, hex.EncodeToString(h.Sum(nil))
}

func files(t *testing.T, dir string) func(yield func(media.File) bool) {
	t.Helper()
	return func(yield func(media.File) bool) {
		err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			key, err := filepath.Rel(dir, name)
			if err == nil && !yield(media.File{Key: media.Key(key), Size: info.Size(), ModTime: info.ModTime(), Mode: info.Mode()}) {
				return fs.SkipAll
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestSameSeedSameTree(t *testing.T) {
	t.Parallel()
	s := gentree.Spec{Files: 80, Seed: 1, Median: 4096, Sigma: 1}
	_, one, hash := plant(t, s)
	_, two, again := plant(t, s)
	if hash != again || one != two {
		t.Error("the same spec made two trees")
	}
	s.Seed = 2
	if _, _, other := plant(t, s); other == hash {
		t.Error("another seed made the same tree")
	}
}

func TestTreeIsMastodons(t *testing.T) {
	t.Parallel()
	const n = 200
	dir, sum, _ := plant(t, gentree.Spec{Files: n, Seed: 3, Median: 2000, Sigma: 1})
	seen, bytes := 0, int64(0)
	for f := range files(t, dir) {
		seen++
		bytes += f.Size
		if _, err := media.Parse(f.Key); err != nil {
			t.Error(err)
		}
		if f.Key.Class() == "" || f.Key.Private() || f.Hidden() || time.Since(f.ModTime) < 24*time.Hour {
			t.Errorf("%+v would not be moved at once", f)
		}
	}
	if seen != n || sum.Files != n || sum.Bytes != bytes {
		t.Errorf("%d files of %d bytes on disk, the summary says %+v", seen, bytes, sum)
	}
	dirs := -1 // the root
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, _ error) error {
		if d.IsDir() {
			dirs++
		}
		return nil
	})
	if sum.Dirs != dirs {
		t.Errorf("%d folders on disk, the summary says %d", dirs, sum.Dirs)
	}
	if ratio := float64(dirs) / n; ratio < 3 || ratio > 4.5 {
		t.Errorf("%.1f folders per file", ratio)
	}
}

// All names exactly the files that Make writes, with their sizes and times.
func TestAllIsWhatMakeWrites(t *testing.T) {
	t.Parallel()
	for _, s := range []gentree.Spec{
		{Files: 1, Seed: 2, Median: 500},
		{Files: 60, Seed: 4, Median: 500, Sigma: 1},
		{Files: 60, Seed: 5, Median: 500, Sigma: 1, Bytes: 99_999},
		{Files: 20, Seed: 6, Empty: true},
	} {
		dir, _, _ := plant(t, s)
		onDisk := make(map[media.Key]media.File)
		for f := range files(t, dir) {
			onDisk[f.Key] = f
		}
		n := 0
		inodes := make(map[uint64]bool)
		for f := range s.All() {
			n++
			inodes[f.Inode] = true
			if g := onDisk[f.Key]; f.Size != g.Size || !f.ModTime.Equal(g.ModTime) || f.Mode != g.Mode {
				t.Errorf("%+v, on disk %+v", f, g)
			}
		}
		if n != len(onDisk) || len(inodes) != n {
			t.Errorf("%+v: %d files with %d inodes, %d on disk", s, n, len(inodes), len(onDisk))
		}
	}
	for range (gentree.Spec{Files: 5, Median: 1}).All() {
		break // must not go on after that
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		spec gentree.Spec
		ok   func(gentree.Summary) bool
	}{
		{"median", gentree.Spec{Files: 100, Median: 1000, Sigma: 0.5}, func(s gentree.Summary) bool {
			return s.Sizes[0] > 800 && s.Sizes[0] < 1200 && s.Sizes[1] > s.Sizes[0] && s.Sizes[3] >= s.Sizes[2]
		}},
		{"total", gentree.Spec{Files: 100, Median: 1000, Sigma: 0.5, Bytes: 123_456}, func(s gentree.Summary) bool { return s.Bytes == 123_456 }},
		{"empty", gentree.Spec{Files: 100, Median: 1000, Empty: true}, func(s gentree.Summary) bool { return s.Bytes == 0 }},
		{"one", gentree.Spec{Files: 1, Median: 1, Bytes: 10 << 20}, func(s gentree.Summary) bool { return s.Sizes == [4]int64{10 << 20, 10 << 20, 10 << 20, 10 << 20} }},
		{"videos", gentree.Spec{Files: 4, Median: 10, Videos: 1, Bytes: 24_000_000}, func(s gentree.Summary) bool { return s.Bytes == 24_000_000 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, sum, _ := plant(t, tt.spec); !tt.ok(sum) {
				t.Errorf("%+v", sum)
			}
		})
	}
}

// A large file has to be typed as one, and its content must not repeat.
func TestVideo(t *testing.T) {
	t.Parallel()
	dir, _, _ := plant(t, gentree.Spec{Files: 1, Median: 1, Bytes: 9 << 20})
	for f := range files(t, dir) {
		body, err := os.ReadFile(filepath.Join(dir, string(f.Key)))
		if err != nil {
			t.Fatal(err)
		}
		if kind, typed := media.ContentType(f.Key, body[:media.SniffLen]); !typed || kind != "video/mp4" {
			t.Errorf("%s is %s", f.Key, kind)
		}
		if string(body[1<<20:2<<20]) == string(body[2<<20:3<<20]) {
			t.Error("two MiB of it are the same")
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	there := t.TempDir()
	for name, s := range map[string]gentree.Spec{
		"no files":       {},
		"negative sizes": {Files: 1, Median: -1},
		"folder exists":  {Files: 1, Median: 1},
	} {
		if _, err := gentree.Make(there, s); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
