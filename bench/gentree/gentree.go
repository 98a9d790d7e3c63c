// Package gentree makes media trees for benchmarks: the layout of a live
// instance, any number of files, the same bytes for the same [Spec].
//
// Ids are snowflakes spread over three years. An 18-digit id in groups of three
// shares only its first two folders with others, so such a tree has 3.2 to 3.5
// folders per file, and a walk is mostly about folders. That is what Mastodon's
// disk looks like too.
package gentree

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"example.org/mediamove/media"
)

// A Spec describes a tree. Sizes are log-normal around Median, except videos
// of 5 to 40 MB.
type Spec struct {
	Files  int
	Bytes  int64   // total to scale the sizes to; 0: as they fall
	Seed   uint64  // same seed, same tree
	Median float64 // bytes
	Sigma  float64 // of the logarithm of the size
	Videos float64 // share of files, 0 to 1
	Empty  bool    // every file has 0 bytes
}

// A Summary says what was made.
type Summary struct {
	Files, Dirs int
	Bytes       int64
	Sizes       [4]int64 // 50th, 90th and 99th percentile, maximum
}

// Make writes the tree below root, which must not exist. Its files are older
// than a year, so that nothing waits for them to settle.
func Make(root string, s Spec) (Summary, error) {
	if s.Files < 1 || s.Median < 0 || s.Bytes < 0 {
		return Summary{}, errors.New("a tree needs files, and sizes that are not negative")
	}
	if err := os.Mkdir(root, 0o755); err != nil {
		return Summary{}, err
	}
	sizes := s.sizes()
	w := newWriter(root, s.Seed)
	for f := range s.files(sizes) {
		if err := w.write(f); err != nil {
			return Summary{}, fmt.Errorf("make tree: %w", err)
		}
	}
	return summarize(sizes, w.dirs), nil
}

// All yields the files that [Make] would write, in that order, without writing
// any: for what needs the names and sizes of a million files and not the files.
func (s Spec) All() iter.Seq[media.File] {
	return func(yield func(media.File) bool) {
		inode := uint64(0)
		for f := range s.files(s.sizes()) {
			inode++
			if !yield(media.File{Key: f.key, Size: f.size, ModTime: f.mtime, Mode: 0o644, Inode: inode}) {
				return
			}
		}
	}
}

// summarize counts and sorts the sizes. A percentile is the size at that rank.
func summarize(sizes []int64, dirs int) Summary {
	sum := Summary{Files: len(sizes), Dirs: dirs}
	slices.Sort(sizes)
	for _, n := range sizes {
		sum.Bytes += n
	}
	for i, p := range []float64{0.5, 0.9, 0.99, 1} {
		sum.Sizes[i] = sizes[int(p*float64(len(sizes)-1))]
	}
	return sum
}

// videoLeast is the size from which a file is a video: no still image of
// Mastodon's reaches it (its limit is 16 MB before it scales them down).
const videoLeast = 5_000_000

// sizes draws the size of every file, and scales them if a total is given.
func (s Spec) sizes() []int64 {
	rng := rand.New(rand.NewPCG(s.Seed, 1))
	sizes := make([]int64, s.Files)
	if s.Empty {
		return sizes
	}
	var total int64
	for i := range sizes {
		if rng.Float64() < s.Videos {
			sizes[i] = videoLeast + rng.Int64N(35_000_000)
		} else {
			sizes[i] = max(1, int64(s.Median*math.Exp(s.Sigma*rng.NormFloat64())))
		}
		total += sizes[i]
	}
	if s.Bytes == 0 {
		return sizes
	}
	left := s.Bytes
	for i := range sizes {
		sizes[i] = int64(float64(sizes[i]) * float64(s.Bytes) / float64(total))
		left -= sizes[i]
	}
	sizes[0] += left // what rounding lost
	return sizes
}

// A file is one to be written.
type file struct {
	key   media.Key
	size  int64
	mtime time.Time
}

// epoch and span are when the records of the tree were made.
const (
	epoch = 1_640_995_200_000           // 2022-01-01, Unix milliseconds
	span  = 3 * 365 * 24 * 3600 * 1_000 // milliseconds
)

// kinds are the attachments of a tree by weight in percent: media with a
// thumbnail each, and what comes alone.
func kinds() []kind {
	return []kind{
		{65, media.Path{Cached: true, Class: "media_attachments", Attachment: "files"}, true},
		{20, media.Path{Class: "media_attachments", Attachment: "files"}, true},
		{8, media.Path{Cached: true, Class: "accounts", Attachment: "avatars"}, false},
		{7, media.Path{Cached: true, Class: "preview_cards", Attachment: "images"}, false},
	}
}

type kind struct {
	percent int
	path    media.Path
	pair    bool // original and small
}

// files yields one file per size.
func (s Spec) files(sizes []int64) func(yield func(file) bool) {
	return func(yield func(file) bool) {
		rng := rand.New(rand.NewPCG(s.Seed, 2))
		for i := 0; i < len(sizes); {
			k := pick(rng.IntN(100))
			ms := epoch + rng.Int64N(span)
			p := k.path
			p.ID = ms<<16 | rng.Int64N(1<<16)
			stem := fmt.Sprintf("%016x", rng.Uint64())
			styles := []string{"original", "small"}
			if !k.pair || i+1 == len(sizes) {
				styles = styles[:1]
			}
			ext := extension(sizes[i])
			for _, style := range styles {
				p.Style, p.Name = style, stem+ext
				if !yield(file{p.Key(), sizes[i], time.UnixMilli(ms)}) {
					return
				}
				i++
				ext = ".png" // the thumbnail of whatever it is
			}
		}
	}
}

// pick returns the kind for a number from 0 to 99.
func pick(percent int) kind {
	all := kinds()
	for _, k := range all {
		if percent -= k.percent; percent < 0 {
			return k
		}
	}
	return all[0]
}

// extension says what a file is named by its size alone; its first bytes follow
// the name.
func extension(size int64) string {
	if size >= videoLeast {
		return ".mp4"
	}
	return ".png"
}

// A writer writes files and the folders above them.
type writer struct {
	root   string
	dirs   int
	shared map[string]bool // upper folders that exist
	noise  []byte
	rng    *rand.Rand
}

// noiseSize is odd to any page or part size, so that no two large files of a
// tree hold the same blocks.
const noiseSize = 4<<20 + 4099

// newWriter prepares the bytes that all files are cut from: drawing them anew
// for each would take longer than writing them.
func newWriter(root string, seed uint64) *writer {
	w := &writer{root: root, shared: make(map[string]bool), rng: rand.New(rand.NewPCG(seed, 3))}
	var key [32]byte
	key[0] = byte(seed)
	w.noise = make([]byte, noiseSize)
	src := rand.NewChaCha8(key)
	_, _ = src.Read(w.noise) // never fails
	return w
}

// write writes one file and sets its time.
func (w *writer) write(f file) error {
	if err := w.mkdir(path.Dir(string(f.key))); err != nil {
		return err
	}
	name := filepath.Join(w.root, string(f.key))
	out, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	err = errors.Join(w.fill(out, f), out.Close())
	if err != nil {
		return err
	}
	return os.Chtimes(name, f.mtime, f.mtime)
}

// fill writes the first bytes of a PNG or an MP4, as the name says, and noise.
func (w *writer) fill(out *os.File, f file) error {
	head := "\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR"
	if path.Ext(string(f.key)) == ".mp4" {
		head = "\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2"
	}
	head = head[:min(int64(len(head)), f.size)]
	if _, err := out.WriteString(head); err != nil {
		return err
	}
	at := w.rng.IntN(len(w.noise))
	for left := f.size - int64(len(head)); left > 0; {
		n := min(left, int64(len(w.noise)-at))
		if _, err := out.Write(w.noise[at : at+int(n)]); err != nil {
			return err
		}
		left -= n
		at = 0
	}
	return nil
}

// sharedDepth is how deep folders have more than one child often enough to be
// worth remembering; those below are nearly always new.
const sharedDepth = 5

// mkdir makes a folder and those above it. It tries the folder first, because
// nearly always only that one is missing.
func (w *writer) mkdir(dir string) error {
	if w.shared[dir] {
		return nil
	}
	full := filepath.Join(w.root, dir)
	err := os.Mkdir(full, 0o755)
	if errors.Is(err, fs.ErrNotExist) {
		if err := w.mkdir(path.Dir(dir)); err != nil {
			return err
		}
		err = os.Mkdir(full, 0o755)
	}
	switch {
	case err == nil:
		w.dirs++
	case !errors.Is(err, fs.ErrExist):
		return err
	}
	if depth(dir) <= sharedDepth {
		w.shared[dir] = true
	}
	return nil
}

// depth counts the folders in a path.
func depth(dir string) (n int) {
	for dir != "." {
		dir = path.Dir(dir)
		n++
	}
	return n
}
