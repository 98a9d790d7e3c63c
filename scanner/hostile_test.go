package scanner_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"example.org/mediamove/media"
	"example.org/mediamove/scanner"
)

// Somebody swaps a folder and a file for links to the outside and back again,
// as fast as they can, while we walk and open.
func TestSwapDuringTheWalk(t *testing.T) {
	t.Parallel()
	root, outside := fastDir(t), fastDir(t)
	plant(t, outside, plan{"dir/secret": "outside", "dir/000/secret": "outside"})
	plant(t, root, plan{"accounts/avatars/d/000/mine": "inside", "accounts/avatars/f": "inside"})
	dir := filepath.Join(root, "accounts/avatars")
	plant(t, root, plan{"spare/d": "-> " + outside + "/dir", "spare/f": "-> " + outside + "/dir/secret"})

	var stop atomic.Bool
	swaps := make(chan int)
	go func() {
		n := 0
		for ; !stop.Load(); n++ {
			for _, name := range []string{"d", "f"} {
				_ = unix.Renameat2(unix.AT_FDCWD, dir+"/"+name, unix.AT_FDCWD, root+"/spare/"+name, unix.RENAME_EXCHANGE)
			}
		}
		swaps <- n
	}()
	seen := make(map[string]int)
	for i := range 1500 {
		tree := openTree(t, root, scanner.Options{Workers: 2})
		variants()[i%len(variants())].set(tree)
		for _, line := range sortedWalk(t, tree) {
			seen[line]++
		}
		for _, k := range []media.Key{"accounts/avatars/f", "accounts/avatars/d/secret", "accounts/avatars/d/000/secret"} {
			if f, info, err := tree.Open(k); err == nil {
				if info.Size != int64(len("inside")) {
					t.Errorf("opened %s outside the root", k)
				}
				_ = f.Close()
			}
		}
	}
	stop.Store(true)
	if n := <-swaps; n < 100 {
		t.Errorf("only %d swaps: this has tested nothing", n)
	}
	for _, line := range []string{
		"file accounts/avatars/d/000/mine", "link accounts/avatars/d", "file accounts/avatars/f", "link accounts/avatars/f",
	} {
		if seen[line] == 0 {
			t.Errorf("never saw %q: this has tested nothing", line)
		}
		delete(seen, line)
	}
	delete(seen, "outside spare")
	for line, n := range seen {
		if !strings.HasPrefix(line, "unreadable accounts/avatars/d") { // link and folder again within one look
			t.Errorf("%q, %d times", line, n)
		}
	}
}

// The kernel's answers are made worse than any disk of ours makes them.
func TestFaultsOfReading(t *testing.T) {
	t.Parallel()
	type getdents = func(read func() (int, error), buf []byte) (int, error)
	// at applies fault to the read that finds the name.
	at := func(name string, fault getdents) getdents {
		return func(read func() (int, error), buf []byte) (int, error) {
			n, err := read()
			if n > 0 && strings.Contains(string(buf[:n]), name+"\x00") {
				return fault(func() (int, error) { return n, err }, buf)
			}
			return n, err
		}
	}
	fail := func(err error) getdents { return func(func() (int, error), []byte) (int, error) { return -1, err } }
	var interrupted atomic.Bool
	tests := []struct {
		name  string
		fault func(root string) getdents
		want  []string
	}{
		{"EIO", func(string) getdents { return at("a", fail(unix.EIO)) }, []string{
			"file accounts/y/b", "unreadable accounts/x",
		}},
		{"directory removed", func(string) getdents { return at("a", fail(unix.ENOENT)) }, []string{"file accounts/y/b"}},
		{"interrupted", func(string) getdents {
			return func(read func() (int, error), _ []byte) (int, error) {
				if interrupted.CompareAndSwap(false, true) {
					return -1, unix.EINTR
				}
				return read()
			}
		}, []string{"file accounts/x/a", "file accounts/y/b"}},
		{"root unreadable", func(string) getdents { return at("accounts", fail(unix.EIO)) }, []string{"unreadable ."}},
		{"malformed", func(string) getdents {
			return at("a", func(read func() (int, error), _ []byte) (int, error) {
				n, err := read()
				return n - 1, err
			})
		}, []string{"unreadable accounts/x"}},
		{"file removed", func(root string) getdents {
			return at("a", func(read func() (int, error), _ []byte) (int, error) {
				return func() (int, error) { _ = os.Remove(root + "/accounts/x/a"); return read() }()
			})
		}, []string{"file accounts/y/b"}},
		{"subdirectory removed", func(root string) getdents {
			return at("x", func(read func() (int, error), _ []byte) (int, error) {
				return func() (int, error) { _ = os.RemoveAll(root + "/accounts/x"); return read() }()
			})
		}, []string{"file accounts/y/b"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			root := fastDir(t)
			plant(t, root, plan{"accounts/x/a": "", "accounts/y/b": ""})
			tree := openTree(t, root, scanner.Options{})
			tree.Getdents(tt.fault(root))
			got := sortedWalk(t, tree)
			if tt.name == "malformed" { // in which order a file system lists its names is its own affair
				got = slices.DeleteFunc(got, func(s string) bool { return strings.HasPrefix(s, "file ") })
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// As root nothing is unreadable, so this is done by nobody.
func TestUnreadable(t *testing.T) {
	const nobody = 65534
	if os.Geteuid() == 0 && !inChild(t, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}) {
		return
	}
	root := t.TempDir()
	plant(t, root, plan{
		"accounts/a": "", "accounts/none/x": "", "accounts/list only/x": "", "accounts/enter only/x": "",
		"accounts/hidden": "secret", "imports/x": "", "cache/accounts/x": "", "lost+found/x": "",
	})
	for name, mode := range map[string]fs.FileMode{
		"accounts/none": 0, "accounts/list only": 0o444, "accounts/enter only": 0o111,
		"accounts/hidden": 0, "imports": 0, "cache": 0, "lost+found": 0,
	} {
		p := filepath.Join(root, name)
		if err := os.Chmod(p, mode); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(p, 0o755) })
	}
	want := []string{
		"file accounts/a", "file accounts/hidden", "outside lost+found",
		"unreadable accounts/enter only", "unreadable accounts/list only/x",
		"unreadable accounts/none", "unreadable cache", "unreadable imports",
	}
	for _, v := range variants() {
		tree := openTree(t, root, scanner.Options{})
		v.set(tree)
		if diff := cmp.Diff(want, sortedWalk(t, tree)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", v.name, diff)
		}
		checkRefused(t, tree, "accounts/none/x", fs.ErrPermission)
		if f, _, err := tree.Open("accounts/hidden"); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s: opened %v, %v", v.name, f, err)
		}
	}
	_, err := scanner.Open(filepath.Join(root, "imports"), scanner.Options{})
	if e, ok := errors.AsType[*scanner.RootError](err); !ok || !strings.Contains(e.Hint, "sudo") {
		t.Errorf("unreadable root: %v", err)
	}
}

func TestMounts(t *testing.T) {
	if !inChild(t, &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}) {
		return
	}
	root := t.TempDir()
	plant(t, root, plan{"accounts/avatars/other/x": "hidden below", "accounts/a": "", "cache": "dir", "accounts/same": "dir"})
	for _, at := range []string{"accounts/avatars/other", "cache", "cache/accounts"} {
		p := filepath.Join(root, at)
		plant(t, root, plan{at: "dir"})
		if err := unix.Mount("tmpfs", p, "tmpfs", 0, "size=1m"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Unmount(p, 0) })
	}
	plant(t, root, plan{"accounts/avatars/other/y/z": "", "cache/accounts/b": ""})
	want := []string{
		"file accounts/a", "file accounts/avatars/other/y/z", "file cache/accounts/b",
		"mount accounts/avatars/other", "mount cache", "mount cache/accounts",
	}
	for _, v := range variants() {
		tree := openTree(t, root, scanner.Options{})
		v.set(tree)
		if diff := cmp.Diff(want, sortedWalk(t, tree)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", v.name, diff)
		}
		checkContent(t, tree, "accounts/avatars/other/y/z", "")
	}
}

func TestOpenat2IsUsedWhereItIs(t *testing.T) {
	t.Parallel()
	root := fastDir(t)
	plant(t, root, plan{"accounts": "dir"})
	fd, err := unix.Openat2(unix.AT_FDCWD, "/", &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC})
	if err == nil {
		_ = unix.Close(fd)
	}
	if got := openTree(t, root, scanner.Options{}).Beneath(); got != (err == nil) {
		t.Errorf("openat2 used: %v, although it answers %v", got, err)
	}
}

func ExampleProblem_Error() {
	p := &scanner.Problem{Path: "accounts/avatars", Kind: scanner.Unreadable, Err: fmt.Errorf("open: %w", unix.EACCES)}
	fmt.Println(p)
	// Output: unreadable "accounts/avatars": open: permission denied
}
