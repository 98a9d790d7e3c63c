package ledger

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"example.org/mediamove/media"
)

// small limits make a few rows many runs, merged again and again.
var small = limits{arena: 300, merge: 0, fewer: 3}

func mustScratch(t testing.TB, l limits) *Scratch {
	t.Helper()
	s, err := NewScratch(t.Context(), t.TempDir())
	must(t, err)
	if l != (limits{}) {
		s.limits = l
	}
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

// byNormal is the order that Sorted promises, in other words.
func byNormal(a, b Loose) int {
	return cmp.Or(
		strings.Compare(media.Normal(string(a.Key)), media.Normal(string(b.Key))),
		cmp.Compare(a.Side, b.Side),
		strings.Compare(string(a.Key), string(b.Key)),
	)
}

// oddKeys meet, once normal or not; some are no UTF-8, or begin alike.
var oddKeys = []media.Key{
	"", "\x00", "a", "a\x00", "a\x00b", "a/b", "a0", "caf\u00e9", "cafe\u0301", "cafe", "cafe\u0301x", "caf\u00e9/x",
	"\xff", "\xc3", "e\u0301\xff", "\u212b", "\u00c5", "A\u030a", "\u1112\u1161", "\ud558", "z",
}

func drawLoose(r *rapid.T) Loose {
	key := rapid.OneOf(
		rapid.SampledFrom(oddKeys),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 400), func(b []byte) media.Key { return media.Key(b) }),
	).Draw(r, "key")
	v := Loose{Side: Side(rapid.IntRange(int(OnDisk), int(InBucket)).Draw(r, "side")), Key: key}
	at := time.Unix(rapid.Int64Range(-1<<40, 1<<40).Draw(r, "s"), rapid.Int64Range(0, 999_999_999).Draw(r, "ns"))
	if v.Side != InBucket {
		v.File = media.File{
			Key: key, Size: rapid.Int64().Draw(r, "size"), ModTime: at,
			Mode: fs.FileMode(rapid.Uint32().Draw(r, "mode")), Inode: rapid.Uint64().Draw(r, "inode"),
		}
	}
	if v.Side != OnDisk {
		v.Object = ListedObject{
			Key: key, Size: rapid.Int64().Draw(r, "size"), ETag: rapid.String().Draw(r, "etag"), LastModified: at.UTC(),
		}
	}
	if data := rapid.SliceOf(rapid.Byte()).Draw(r, "data"); len(data) > 0 {
		v.Data = data
	}
	return v
}

// TestScratchSorts whatever comes, through memory, runs, and merged runs; twice.
func TestScratchSorts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		s, err := NewScratch(t.Context(), t.TempDir())
		if err != nil {
			r.Fatal(err)
		}
		defer s.Close()
		s.limits = small
		s.limits.arena = rapid.SampledFrom([]int{1, 300, 100_000}).Draw(r, "arena")
		want := rapid.SliceOfN(rapid.Custom(drawLoose), 0, 50).Draw(r, "rows")
		for _, v := range want {
			if err := s.Add(t.Context(), v); err != nil {
				r.Fatal(err)
			}
		}
		slices.SortStableFunc(want, byNormal)
		for range 2 {
			equalRows(r, s, want)
		}
	})
}

func equalRows(r *rapid.T, s *Scratch, want []Loose) {
	n := 0
	for got, err := range s.Sorted(context.Background()) {
		if err != nil || n == len(want) || !reflect.DeepEqual(got, want[n]) {
			r.Fatalf("row %d: %+v, %v", n, got, err)
		}
		n++
	}
	if n != len(want) || s.Len() != int64(n) {
		r.Fatalf("%d rows of %d, Len %d", n, len(want), s.Len())
	}
}

// TestScratchManyRows: three sides of many keys, a tenth of them spelled in two
// ways and some no UTF-8, in random order.
func TestScratchManyRows(t *testing.T) {
	t.Parallel()
	const rows = 200_000
	s := mustScratch(t, limits{arena: 1 << 20, merge: 1 << 20, fewer: 10})
	for _, n := range rand.New(rand.NewPCG(1, 2)).Perm(rows) {
		must(t, s.Add(t.Context(), looseSample(n)))
	}
	equal(t, s.Len(), int64(rows))
	var sum, n int
	last := Loose{}
	for v, err := range s.Sorted(t.Context()) {
		must(t, err)
		if n > 0 && byNormal(last, v) >= 0 {
			t.Fatalf("%q of side %d comes before %q of side %d", last.Key, last.Side, v.Key, v.Side)
		}
		i := int(v.File.Size + v.Object.Size)
		if v.Side == Recorded {
			fmt.Sscanf(string(v.Key), "cache/accounts/avatars/%d/", &i)
			i = 3*i + 1
		}
		if !reflect.DeepEqual(v, looseSample(i)) {
			t.Fatalf("got %+v, want %+v", v, looseSample(i))
		}
		last, n, sum = v, n+1, sum+i
	}
	equal(t, n, rows)
	equal(t, sum, rows*(rows-1)/2)
}

// looseSample is the n-th of many rows: three per key.
func looseSample(n int) Loose {
	name := []string{"caf\u00e9", "x\xff\x00", "plain.jpeg", "other.png"}[n/3%4]
	if n%6 == 0 {
		name = strings.ReplaceAll(name, "\u00e9", "e\u0301")
	}
	key := media.Key(fmt.Sprintf("cache/accounts/avatars/%d/%s", n/3, name))
	at := time.Unix(1_700_000_000+int64(n), 5)
	switch side := Side(n%3 + 1); side {
	case OnDisk:
		return Loose{Side: side, Key: key, File: media.File{Key: key, Size: int64(n), ModTime: at, Mode: 0o640, Inode: uint64(n)}}
	case InBucket:
		return Loose{Side: side, Key: key, Object: ListedObject{Key: key, Size: int64(n), ETag: "e", LastModified: at.UTC()}}
	default:
		return Loose{
			Side: side, Key: key, Data: []byte{byte(n), 0, 1},
			File:   media.File{Key: key, Size: int64(n), ModTime: at, Mode: 0o640, Inode: uint64(n)},
			Object: ListedObject{Key: key, ETag: "e", LastModified: at.UTC()},
		}
	}
}

// TestScratchKeepsNoFields that aren't of the row's side, and the zero time.
func TestScratchKeepsNoFields(t *testing.T) {
	t.Parallel()
	s := mustScratch(t, limits{})
	full := Loose{Key: "k", File: media.File{Key: "other", Size: 1}, Object: ListedObject{Key: "other", Size: 2}}
	for _, side := range []Side{InBucket, Recorded, OnDisk} {
		full.Side = side
		must(t, s.Add(t.Context(), full))
	}
	got := all(t, s.Sorted(t.Context()))
	for i := range got {
		got[i].File.ModTime = got[i].File.ModTime.UTC()
	}
	equal(t, got, []Loose{
		{Side: OnDisk, Key: "k", File: media.File{Key: "k", Size: 1}},
		{Side: Recorded, Key: "k", File: media.File{Key: "k", Size: 1}, Object: ListedObject{Key: "k", Size: 2}},
		{Side: InBucket, Key: "k", Object: ListedObject{Key: "k", Size: 2}},
	})
}

// TestScratchHasNoName, and nobody else may open it through /proc.
func TestScratchHasNoName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := NewScratch(t.Context(), dir)
	must(t, err)
	defer s.Close()
	s.limits = small
	for n := range 100 {
		must(t, s.Add(t.Context(), looseSample(n)))
	}
	names, err := os.ReadDir(dir)
	must(t, err)
	equal(t, len(names), 0)
	info, err := s.file.Stat()
	must(t, err)
	equal(t, info.Mode(), fs.FileMode(0o600))
	if info.Size() == 0 {
		t.Error("nothing was written to the state folder")
	}
	if name := s.file.Name(); filepath.Dir(name) != dir {
		t.Errorf("it was written to %s", name)
	}
}

func TestScratchEnds(t *testing.T) {
	t.Parallel()
	for _, l := range []limits{small, {}} {
		s := mustScratch(t, l)
		for n := range 100 {
			must(t, s.Add(t.Context(), looseSample(n)))
		}
		for range s.Sorted(t.Context()) {
			break // and the next one has everything
		}
		equal(t, len(all(t, s.Sorted(t.Context()))), 100)
		wantIs(t, s.Add(t.Context(), Loose{}), errSorted)

		ctx, cancel := context.WithCancel(t.Context())
		wantIs(t, stopAt(s.Sorted(ctx), 10, cancel), context.Canceled)
		must(t, s.Close())
		must(t, s.Close())
		wantIs(t, s.Add(t.Context(), Loose{}), os.ErrClosed)
		wantIs(t, stopAt(s.Sorted(t.Context()), 0, cancel), os.ErrClosed)
	}
}

// stopAt calls stop at row n and returns the error that ends the rows.
func stopAt(rows func(func(Loose, error) bool), n int, stop func()) (last error) {
	for _, err := range rows {
		if n--; n == 0 {
			stop()
		}
		last = err
	}
	return last
}

func TestScratchFails(t *testing.T) {
	t.Parallel()
	_, err := NewScratch(t.Context(), filepath.Join(t.TempDir(), "none"))
	wantIs(t, err, fs.ErrNotExist)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = NewScratch(ctx, t.TempDir())
	wantIs(t, err, context.Canceled)

	s := mustScratch(t, small)
	for n := 0; err != nil || n < 50; n++ { // until one is spilled
		if err = s.Add(ctx, looseSample(n)); err != nil {
			wantIs(t, err, context.Canceled)
			break
		}
	}
	must(t, s.file.Close()) // the disk is gone
	for n := 0; n < 50; n++ {
		if err = s.Add(t.Context(), looseSample(n)); err != nil {
			break
		}
	}
	wantIs(t, err, os.ErrClosed)
	s.over = os.ErrClosed
}

// TestScratchIsCutShort: what was written is not all there any more.
func TestScratchIsCutShort(t *testing.T) {
	t.Parallel()
	last := int64(len(appendRecord(nil, looseSample(99))))
	for _, cut := range []int64{1, last - 1, last, last + 1, 2000, 1 << 30} {
		s := mustScratch(t, small)
		for n := range 100 {
			must(t, s.Add(t.Context(), looseSample(n)))
		}
		equal(t, len(all(t, s.Sorted(t.Context()))), 100)
		end := s.runs[len(s.runs)-1].end
		must(t, s.file.Truncate(max(0, end-cut)))
		if err := stopAt(s.Sorted(t.Context()), 0, nil); err == nil {
			t.Errorf("%d bytes are missing, and nobody noticed", cut)
		}
	}
}

// TestScratchFull on a real full disk, when it has room again too.
func TestScratchFull(t *testing.T) {
	t.Parallel()
	equal(t, mounted(t, "scratch full"), "full\nwhole\n")
}

func fillScratch() error {
	if err := mountTmpfs(0, "size=1m,mode=700"); err != nil {
		return err
	}
	ctx := context.Background()
	s, err := NewScratch(ctx, os.Getenv("DIR"))
	if err != nil {
		return err
	}
	s.limits.arena = 50_000
	n := 0
	for ; err == nil && n < 100_000; n++ {
		err = s.Add(ctx, looseSample(n))
	}
	if !errors.Is(err, ErrFull) {
		return fmt.Errorf("after %d rows: %w", n, err)
	}
	fmt.Println("full")
	if err := unix.Mount("", os.Getenv("DIR"), "", unix.MS_REMOUNT, "size=8m"); err != nil {
		return err
	}
	for _, err := range s.Sorted(ctx) {
		if n--; err != nil {
			return err
		}
	}
	if n == 0 {
		fmt.Println("whole")
	}
	return s.Close()
}

// TestScratchKilled leaves nothing behind.
func TestScratchKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := child(t, "scratch", dir)
	stdout, err := c.StdoutPipe()
	must(t, err)
	must(t, c.Start())
	if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	must(t, c.Process.Signal(syscall.SIGKILL))
	_ = c.Wait()
	names, err := os.ReadDir(dir)
	must(t, err)
	equal(t, len(names), 0)
}

func addUntilKilled() error {
	ctx := context.Background()
	s, err := NewScratch(ctx, os.Getenv("DIR"))
	if err != nil {
		return err
	}
	s.limits = small
	for n := 0; ; n++ {
		if err := s.Add(ctx, looseSample(n)); err != nil {
			return err
		}
		if n == 1000 {
			fmt.Println("adding")
		}
	}
}

// FuzzCursor reads any bytes as a run: rows or an error, and no more than is there.
func FuzzCursor(f *testing.F) {
	var run []byte
	for n := range 4 {
		run = appendRecord(run, looseSample(n))
	}
	f.Add(run)
	f.Add(run[:len(run)-1])
	f.Add([]byte("\x0a\x00\x00\x00\x01\x00\x00\x00a\x02"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := &cursor{in: bufio.NewReader(bytes.NewReader(data)), left: int64(len(data))}
		read := 0
		for {
			if err := c.next(); err != nil {
				if errors.Is(err, io.EOF) && read != len(data) {
					t.Errorf("ended at %d of %d bytes", read, len(data))
				}
				return
			}
			read += len(c.row)
			if v, err := c.row.loose(); err == nil && cap(c.row) > 2*len(data) {
				t.Errorf("%d bytes for %+v", cap(c.row), v)
			}
			compareRecords(c.row, c.row)
		}
	})
}
