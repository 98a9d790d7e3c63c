package scanner_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.org/mediamove/media"
	"example.org/mediamove/scanner"
)

// checkContent opens k and compares what Open and Stat say with each other.
func checkContent(t *testing.T, tree *scanner.Tree, k media.Key, want string) {
	t.Helper()
	f, opened, err := tree.Open(k)
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	got, err := io.ReadAll(f)
	if err != nil || string(got) != want {
		t.Errorf("%s holds %q, %v; want %q", k, got, err, want)
	}
	stat, err := tree.Stat(k)
	if err != nil || stat != opened || opened.Key != k || opened.Size != int64(len(want)) {
		t.Errorf("Stat(%s) = %v, %v; Open says %v", k, stat, err, opened)
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	long := strings.Repeat(strings.Repeat("0123456789abcdef", 15)+"/", 4)
	files := plan{
		"accounts/avatars/000/1.png": "one", "accounts/directly": "two", "accounts/\u00e9 \n%": "three",
		"top": "four", "accounts/" + long + "x": "five", "accounts/empty": "",
	}
	refused := map[media.Key]error{ // nil: any
		"accounts/link":         scanner.ErrNotRegular,
		"accounts/passwd":       scanner.ErrNotRegular,
		"accounts/dir/1.png":    nil,
		"accounts/etc/passwd":   nil,
		"accounts/up/top":       nil,
		"accounts/loop":         scanner.ErrNotRegular,
		"accounts/socket":       scanner.ErrNotRegular,
		"accounts":              scanner.ErrNotRegular,
		"accounts/gone":         fs.ErrNotExist,
		"gone/x":                fs.ErrNotExist,
		"accounts/directly/x":   nil,
		"":                      fs.ErrInvalid,
		".":                     scanner.ErrNotRegular,
		"..":                    fs.ErrInvalid,
		"accounts/../top":       fs.ErrInvalid,
		"accounts//directly":    fs.ErrInvalid,
		"/etc/passwd":           fs.ErrInvalid,
		"accounts/directly/":    fs.ErrInvalid,
		"accounts/./directly":   fs.ErrInvalid,
		"accounts/directly\x00": nil,
	}
	for _, v := range variants() {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			root := fastDir(t)
			plant(t, root, files)
			plant(t, root, plan{
				"accounts/link": "-> directly", "accounts/passwd": "-> /etc/passwd", "accounts/dir": "-> avatars/000",
				"accounts/etc": "-> /etc", "accounts/up": "-> ..", "accounts/loop": "-> loop",
				"accounts/socket": "socket", // a FIFO: TestNothingBlocks
			})
			tree := openTree(t, root, scanner.Options{})
			v.set(tree)
			for name, content := range files {
				checkContent(t, tree, media.Key(name), content)
			}
			for k, want := range refused {
				checkRefused(t, tree, k, want)
			}
		})
	}
}

func checkRefused(t *testing.T, tree *scanner.Tree, k media.Key, want error) {
	t.Helper()
	f, _, err := tree.Open(k)
	if err == nil {
		_ = f.Close()
	}
	_, serr := tree.Stat(k)
	for op, err := range map[string]error{"Open": err, "Stat": serr} {
		pathErr, ok := errors.AsType[*fs.PathError](err)
		if !ok || want != nil && !errors.Is(err, want) || pathErr.Path != string(k) {
			t.Errorf("%s(%q) = %v, want %v", op, k, err, want)
		}
	}
}

func TestStatNeedsNoPermissionToRead(t *testing.T) {
	t.Parallel()
	root := fastDir(t)
	plant(t, root, plan{"accounts/hidden": "secret"})
	if err := os.Chmod(filepath.Join(root, "accounts/hidden"), 0); err != nil {
		t.Fatal(err)
	}
	f, err := openTree(t, root, scanner.Options{}).Stat("accounts/hidden")
	if err != nil || f.Size != 6 || !f.Hidden() {
		t.Errorf("%v, %v", f, err)
	}
}

// A plain open of a FIFO waits for a writer for ever.
func TestNothingBlocks(t *testing.T) {
	t.Parallel()
	root := fastDir(t)
	plant(t, root, plan{"accounts/pipe": "fifo", "accounts/socket": "socket", "accounts/x": ""})
	for _, v := range variants() {
		tree := openTree(t, root, scanner.Options{})
		v.set(tree)
		within(t, 5*time.Second, v.name, func() {
			if got := sortedWalk(t, tree); len(got) != 3 {
				t.Errorf("walk: %q", got)
			}
			for _, k := range []media.Key{"accounts/pipe", "accounts/socket"} {
				checkRefused(t, tree, k, scanner.ErrNotRegular)
			}
		})
	}
}

func within(t *testing.T, limit time.Duration, what string, f func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-ctx.Done():
		t.Errorf("%s: not done within %v", what, limit)
	}
}

func TestDevice(t *testing.T) {
	t.Parallel()
	root := fastDir(t)
	if err := plantOne(root+"/accounts", "zero", "device"); errors.Is(err, fs.ErrPermission) {
		t.Skipf("may not make a device here: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	for _, v := range variants() {
		tree := openTree(t, root, scanner.Options{})
		v.set(tree)
		if got := sortedWalk(t, tree); len(got) != 1 || got[0] != "special accounts/zero" {
			t.Errorf("%s: %q", v.name, got)
		}
		checkRefused(t, tree, "accounts/zero", nil)
	}
}
