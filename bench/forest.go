package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"example.org/mediamove/bench/gentree"
)

// treeTable names the trees; -quick has smaller ones of the same kind. Those
// that begin with o are never made: they only name objects, see [runFill]; those that
// begin with i are but a number of objects, see [runMastodon].
func treeTable(quick bool) map[string]gentree.Spec {
	if quick {
		return map[string]gentree.Spec{
			"t100k": {Files: 5000, Seed: 1, Median: 4096, Sigma: 0.6},
			"t10k":  {Files: 1000, Seed: 1, Median: 14000, Sigma: 1.4},
			"t4g":   {Files: 1000, Seed: 1, Bytes: 256 << 20, Median: 40960, Sigma: 1.4, Videos: 0.004},
			"t1g":   {Files: 1, Seed: 1, Bytes: 128 << 20, Median: 1},
			"e300k": {Files: 10000, Seed: 7, Empty: true},
			"s300k": {Files: 10000, Seed: 9, Median: 1000, Sigma: 0.6},
			"t1":    {Files: 1, Seed: 2, Median: 4096, Sigma: 0.6},
			"o100k": {Files: 2000, Seed: 11, Median: 14000, Sigma: 1.4},
			"o1m":   {Files: 20000, Seed: 11, Median: 14000, Sigma: 1.4},
			"i1m":   {Files: 20000},
		}
	}
	return map[string]gentree.Spec{
		"t100k": {Files: 100_000, Seed: 1, Median: 4096, Sigma: 0.6},
		"t10k":  {Files: 10_000, Seed: 1, Median: 14000, Sigma: 1.4},
		"t4g":   {Files: 20_000, Seed: 1, Bytes: 4 << 30, Median: 40960, Sigma: 1.4, Videos: 0.004},
		"t1g":   {Files: 1, Seed: 1, Bytes: 1 << 30, Median: 1},
		"e300k": {Files: 300_000, Seed: 7, Empty: true},
		"s300k": {Files: 300_000, Seed: 9, Median: 1000, Sigma: 0.6},
		"t1":    {Files: 1, Seed: 2, Median: 4096, Sigma: 0.6},
		"o100k": {Files: 100_000, Seed: 11, Median: 14000, Sigma: 1.4},
		"o1m":   {Files: 1_000_000, Seed: 11, Median: 14000, Sigma: 1.4},
		"i1m":   {Files: 1_000_000},
	}
}

// A tree is one that exists.
type tree struct {
	gentree.Summary
	dir   string
	tmpfs bool
}

// A forest makes trees when they are asked for and removes them when no
// measure needs them any more.
type forest struct {
	specs map[string]gentree.Spec
	dir   string // where -trees says; empty: choose
	work  string
	keep  bool
	grown map[string]tree
}

// newForest returns a forest without trees.
func newForest(c config) forest {
	return forest{treeTable(c.quick), c.trees, c.work, c.keep, make(map[string]tree)}
}

// sharedMemory is the tmpfs that every Linux has.
const sharedMemory = "/dev/shm"

// get returns the tree of that name, read once so that its pages are in memory.
// onDisk keeps it out of tmpfs.
func (f *forest) get(ctx context.Context, name string, onDisk bool) (tree, error) {
	id := name
	if onDisk {
		id += "-disk"
	}
	if t, ok := f.grown[id]; ok {
		return t, nil
	}
	base, err := f.place(f.specs[name], onDisk)
	if err != nil {
		return tree{}, err
	}
	t := tree{dir: filepath.Join(base, "mediamove-bench-"+id)}
	if t.tmpfs, err = isTmpfs(base); err != nil {
		return tree{}, err
	}
	if t.Summary, err = f.grow(ctx, t.dir, f.specs[name]); err != nil {
		return tree{}, err
	}
	f.grown[id] = t
	if !t.tmpfs {
		err = warm(t.dir)
	}
	return t, err
}

// place chooses the folder for a tree: tmpfs if that has room twice over.
func (f *forest) place(s gentree.Spec, onDisk bool) (string, error) {
	if onDisk {
		return f.work, nil
	}
	if f.dir != "" {
		return f.dir, os.MkdirAll(f.dir, 0o755)
	}
	var st unix.Statfs_t
	if unix.Statfs(sharedMemory, &st) != nil {
		return f.work, nil
	}
	room := int64(st.Bavail) * st.Bsize
	if free, err := availableMemory(); err == nil {
		room = min(room, free)
	}
	if room < 2*footprint(s) {
		return f.work, nil
	}
	return sharedMemory, nil
}

// footprint guesses the bytes that a tree takes in tmpfs: its own, half a page
// lost per file, and about 4.4 inodes of 1 KB per file.
func footprint(s gentree.Spec) int64 {
	bytes := max(s.Bytes, int64(float64(s.Files)*s.Median*2.7))
	if s.Empty {
		bytes = 0
	}
	return bytes + int64(s.Files)*7000
}

// grow makes a tree in a process of its own, see [runGentree]. With -keep
// one of the same spec is used again.
func (f *forest) grow(ctx context.Context, dir string, s gentree.Spec) (sum gentree.Summary, err error) {
	label := dir + ".json"
	want := fmt.Sprintf("%+v", s)
	var kept struct {
		Spec    string
		Summary gentree.Summary
	}
	if b, err := os.ReadFile(label); err == nil && f.keep && json.Unmarshal(b, &kept) == nil && kept.Spec == want {
		return kept.Summary, nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return sum, err
	}
	self, err := os.Executable()
	if err != nil {
		return sum, err
	}
	fmt.Fprintln(os.Stderr, "bench: making", dir)
	var out, said bytes.Buffer
	cmd := exec.CommandContext(ctx, self, append([]string{"gentree", "-out", dir}, treeFlags(s)...)...)
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return sum, fmt.Errorf("make tree: %w: %s", err, said.Bytes())
	}
	if err := json.Unmarshal(out.Bytes(), &kept.Summary); err != nil || !f.keep {
		return kept.Summary, err
	}
	kept.Spec = want
	b, err := json.Marshal(kept)
	return kept.Summary, errors.Join(err, os.WriteFile(label, b, 0o644))
}

// treeFlags says s to the gentree subcommand, number by number so that nothing
// is rounded.
func treeFlags(s gentree.Spec) []string {
	return []string{
		"-files=" + strconv.Itoa(s.Files),
		"-bytes=" + strconv.FormatInt(s.Bytes, 10),
		"-seed=" + strconv.FormatUint(s.Seed, 10),
		"-median=" + strconv.FormatFloat(s.Median, 'g', -1, 64),
		"-sigma=" + strconv.FormatFloat(s.Sigma, 'g', -1, 64),
		"-videos=" + strconv.FormatFloat(s.Videos, 'g', -1, 64),
		"-empty=" + strconv.FormatBool(s.Empty),
	}
}

// fell removes the trees that none of the measures to come uses.
func (f *forest) fell(coming []measure) {
	if f.keep {
		return
	}
	for id, t := range f.grown {
		if !slices.ContainsFunc(coming, func(m measure) bool { return slices.Contains(m.trees, id) }) {
			os.RemoveAll(t.dir)
			delete(f.grown, id)
		}
	}
}

// warm reads every file, so that the first client doesn't pay for the disk. No
// file is held in memory: see [runGentree] why the harness stays small.
func warm(dir string) error {
	return filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, f)
		return errors.Join(err, f.Close())
	})
}

// isTmpfs reports whether dir is in memory, which the report has to say: no
// walk of a real disk is that quick.
func isTmpfs(dir string) (bool, error) {
	var st unix.Statfs_t
	err := unix.Statfs(dir, &st)
	return st.Type == unix.TMPFS_MAGIC, err
}
