package ledger

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestScratchHasNoName, whatever the file system can do, and nobody else may
// open it through /proc.
func TestScratchHasNoName(t *testing.T) {
	t.Parallel()
	for name, create := range map[string]func(string) (*os.File, error){"never": createUnlinked, "any more": createAndUnlink} {
		dir := t.TempDir()
		f, err := create(dir)
		must(t, err)
		if _, err := f.WriteAt([]byte("x"), 7); err != nil {
			t.Fatal(err)
		}
		info, err := f.Stat()
		must(t, err)
		equal(t, info.Mode(), fs.FileMode(0o600))
		if info.Sys().(*syscall.Stat_t).Nlink != 0 {
			t.Errorf("%s: it has a name", name)
		}
		where, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
		must(t, err)
		if !strings.HasPrefix(where, dir) {
			t.Errorf("%s: it is at %s", name, where)
		}
		must(t, f.Close())
		names, err := os.ReadDir(dir)
		must(t, err)
		equal(t, len(names), 0)
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
	f.Add([]byte("\x09\x00\x00\x00\x02\x00\x00\x00a")) // a normal key beyond its row
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
