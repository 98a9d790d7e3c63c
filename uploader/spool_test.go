package uploader

import (
	"context"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Whatever is pushed and popped in whatever order, the spool is a queue, in
// memory and on disk alike.
func TestSpoolIsAQueue(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	keys := []string{"a", "media_attachments/files/1", "é\n", strings.Repeat("x", 1024)}
	rapid.Check(t, func(t *rapid.T) {
		s := newSpool(dir)
		defer func() {
			if err := s.close(); err != nil {
				t.Fatal(err)
			}
		}()
		var want []item
		serial := 0
		for range rapid.IntRange(1, 12).Draw(t, "turns") {
			for range rapid.IntRange(0, 2*spoolMemory).Draw(t, "push") {
				serial++
				it := item{media.File{
					Key: media.Key(keys[serial%len(keys)]), Size: int64(serial),
					ModTime: time.Unix(0, int64(serial)*1e9+7), Mode: fs.FileMode(serial % 0o777), Inode: uint64(serial) << 40,
				}, ledger.State(serial % 4), strings.Repeat("e", serial%40)}
				if err := s.push(it); err != nil {
					t.Fatal(err)
				}
				want = append(want, it)
			}
			for range min(len(want), rapid.IntRange(0, 2*spoolMemory).Draw(t, "pop")) {
				got, ok, err := s.pop(context.Background())
				if err != nil || !ok {
					t.Fatal(ok, err)
				}
				if diff := cmp.Diff(want[0], got, cmp.AllowUnexported(item{})); diff != "" {
					t.Fatal(diff)
				}
				want = want[1:]
			}
			if s.waiting != len(want) {
				t.Fatalf("waiting %d, want %d", s.waiting, len(want))
			}
		}
		s.finish()
		for range want {
			if _, ok, err := s.pop(context.Background()); !ok || err != nil {
				t.Fatal(ok, err)
			}
		}
		if _, ok, err := s.pop(context.Background()); ok || err != nil {
			t.Fatal("an empty finished spool gave something", err)
		}
	})
}

func TestSpoolLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newSpool(dir)
	for i := range 3 * spoolMemory {
		if err := s.push(item{file: media.File{Key: "k", Size: int64(i)}}); err != nil {
			t.Fatal(err)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("%v %v", left, err)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}

func TestSpoolWakesAndCancels(t *testing.T) {
	t.Parallel()
	s := newSpool(t.TempDir())
	got := make(chan item)
	go func() {
		it, _, _ := s.pop(context.Background())
		got <- it
	}()
	if err := s.push(item{file: media.File{Key: "late"}}); err != nil {
		t.Fatal(err)
	}
	if it := <-got; it.file.Key != "late" {
		t.Error(it)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, ok, err := s.pop(ctx); ok || err != nil {
		t.Error(ok, err)
	}
}
