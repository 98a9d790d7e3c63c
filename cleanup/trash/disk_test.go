package trash

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
)

// Without room nothing is asked for. What others have set aside is no room either.
func TestAddWithoutRoom(t *testing.T) {
	t.Parallel()
	free := int64(1 << 50)
	g := newRig(t, func(o *Options) {
		o.Max, o.Reserve = 20_000, 1000
		o.Free = func() (int64, error) { return free, nil }
	})
	o := g.plant(key, noise(6000), "")
	refused := func(want error) {
		t.Helper()
		n := g.requests(costs.GetObject)
		if _, err := g.store.Add(t.Context(), g.bucket, Item{Run: 9, Object: o}); !errors.Is(err, want) {
			t.Error(err)
		}
		if g.requests(costs.GetObject) != n {
			t.Error("it was asked for")
		}
	}
	g.add(1, o)
	release, err := g.store.reserve(6000)
	must(t, err)
	refused(ErrFull)
	release()
	g.add(2, o)
	refused(ErrFull)
	must(t, g.store.Drop(Name(1, key)))
	free = 1000 + 6000 + usualMeta - 1
	refused(ErrFull)
	free++
	release, err = g.store.reserve(1)
	must(t, err)
	refused(ErrFull)
	release()
	g.add(3, o)
	g.store.opt.Free = func() (int64, error) { return 0, unix.EIO }
	refused(ErrBroken)
	g.accounts()
}

// Facts that need more room than was set aside are no way past the cap.
func TestAddLargeFacts(t *testing.T) {
	t.Parallel()
	g := newRig(t, func(o *Options) { o.Max = 8000 })
	o := g.plant(key, noise(10), "")
	g.server.SetFault(func(fixtures.Request) fixtures.Fault {
		return fixtures.Fault{Edit: func(a *fixtures.Answer) { a.Header.Set("X-Amz-Meta-A", strings.Repeat("a", 8000)) }}
	})
	if _, err := g.store.Add(t.Context(), g.bucket, Item{Run: 1, Object: o}); !errors.Is(err, ErrFull) || len(g.files()) > 0 {
		t.Errorf("%v, left: %v", err, g.files())
	}
	g.accounts()
}

// The disk fails at any of its steps, or is full there.
func TestAddDiskFails(t *testing.T) {
	t.Parallel()
	for _, cause := range []struct{ says, want error }{{unix.ENOSPC, ErrFull}, {unix.EDQUOT, ErrFull}, {unix.EIO, ErrBroken}} {
		for step := 1; ; step++ {
			g := newRig(t, nil)
			o := g.plant(key, noise(100_000), "")
			n := 0
			fails := func() error {
				if n++; n == step {
					return cause.says
				}
				return nil
			}
			g.store.write = func(f *os.File, p []byte) (int, error) {
				if err := fails(); err != nil {
					_, _ = f.Write(p[:len(p)/2])
					return len(p) / 2, err
				}
				return f.Write(p)
			}
			g.store.sync = func(*os.File) error { return fails() }
			_, err := g.store.Add(t.Context(), g.bucket, Item{Run: 1, Object: o})
			g.accounts()
			if n < step {
				if step < 8 || err != nil {
					t.Fatalf("only %d steps, %v", n, err)
				}
				break
			}
			// After the last step, the sync of the names, both are there, whole.
			if left := len(g.files()); !errors.Is(err, cause.want) || left != 0 && left != 2 || left == 2 && !g.store.Has(Name(1, key)) {
				t.Errorf("%v at step %d: %v, left: %v", cause.says, step, err, g.files())
			}
		}
	}
}

// What Add has returned survives a power cut: the run's folder, both files before they
// have their names, and the names.
func TestAddIsDurable(t *testing.T) {
	t.Parallel()
	g := newRig(t, nil)
	o := g.plant(key, []byte("abc"), "")
	var steps []string
	g.store.write = func(f *os.File, p []byte) (int, error) {
		steps = append(steps, "write "+strconv.Itoa(len(p)))
		return f.Write(p)
	}
	g.store.sync = func(f *os.File) error {
		info, err := f.Stat()
		switch {
		case err != nil:
			return err
		case info.IsDir():
			steps = append(steps, fmt.Sprintf("sync folder %s with %d files", filepath.Base(f.Name()), len(g.files())))
		default:
			steps = append(steps, "sync "+strconv.FormatInt(info.Size(), 10))
		}
		return nil
	}
	name := g.add(4, o)
	info, err := os.Stat(filepath.Join(g.dir, name+metaSuffix))
	must(t, err)
	facts := strconv.FormatInt(info.Size(), 10)
	want := []string{"sync folder . with 0 files", "write 3", "sync 3", "write " + facts, "sync " + facts, "sync folder 4 with 2 files"}
	if d := cmp.Diff(want, steps); d != "" {
		t.Error(d)
	}
}

// A folder that was taken away is about all objects; nothing is asked for.
func TestAddBroken(t *testing.T) {
	t.Parallel()
	g := newRig(t, nil)
	o := g.plant(key, noise(10), "")
	must(t, os.RemoveAll(g.dir))
	if _, err := g.store.Add(t.Context(), g.bucket, Item{Run: 1, Object: o}); !errors.Is(err, ErrBroken) || g.requests(costs.GetObject) > 0 {
		t.Error(err)
	}
}
