package ledger

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

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

// TestScratchManyRows: three sides of many keys in random order, a quarter of
// them spelled in two ways and a quarter no UTF-8.
func TestScratchManyRows(t *testing.T) {
	t.Parallel()
	const rows = 200_000
	s := mustScratch(t, limits{arena: 1 << 20, merge: 1 << 20, fewer: 10})
	for _, n := range rand.New(rand.NewPCG(1, 2)).Perm(rows) {
		if err := s.Add(t.Context(), looseSample(n)); err != nil {
			t.Fatal(err)
		}
	}
	equal(t, s.Len(), int64(rows))
	var sum, n int
	last := Loose{}
	for v, err := range s.Sorted(t.Context()) {
		if err != nil || n > 0 && byNormal(last, v) >= 0 {
			t.Fatalf("%q of side %d comes before %q of side %d, %v", last.Key, last.Side, v.Key, v.Side, err)
		}
		i := int(v.File.Size + v.Object.Size) // its number
		if n%20 == 0 && !reflect.DeepEqual(v, looseSample(i)) {
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
	for n := range 50 {
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
