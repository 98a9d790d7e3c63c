package scanner_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"example.org/mediamove/media"
	"example.org/mediamove/scanner"
)

func TestFiles(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789abcdef", 15) // 240 bytes
	deep := strings.Repeat(long+"/", 4)            // 964 bytes
	tests := []struct {
		name  string
		allow []string
		tree  plan
		want  []string
	}{
		{"every class", nil, plan{
			"media_attachments/files/109/a.jpg":       "",
			"accounts/avatars/000/1.png":              "",
			"custom_emojis/images/x.png":              "",
			"preview_cards/images/x.gif":              "",
			"preview_card_providers/icons/x.ico":      "",
			"site_uploads/files/000/x.png":            "",
			"backups/dumps/x.zip":                     "",
			"imports/data/x.csv":                      "",
			"cache/accounts/avatars/1.png":            "",
			"cache/preview_card_providers/icons/1":    "",
			"accounts/directly.png":                   "",
			"accounts/.hidden":                        "",
			"accounts/space and % and + and ?#&.jpeg": "",
		}, []string{
			"file accounts/.hidden", "file accounts/avatars/000/1.png", "file accounts/directly.png",
			"file accounts/space and % and + and ?#&.jpeg", "file backups/dumps/x.zip",
			"file cache/accounts/avatars/1.png", "file cache/preview_card_providers/icons/1",
			"file custom_emojis/images/x.png", "file imports/data/x.csv",
			"file media_attachments/files/109/a.jpg", "file preview_card_providers/icons/x.ico",
			"file preview_cards/images/x.gif", "file site_uploads/files/000/x.png",
		}},
		{"outside", nil, plan{
			"accounts/a": "", "robots.txt": "", "link": "-> accounts", "pipe": "fifo",
			"foreign/x/y": "", "foreign/z": "", ".mediamove/owner.json": "", "imports": "",
			"cache/file": "", "cache/cache/accounts/x": "", "cache/foreign/x": "", "cache/accounts/y": "",
			"Accounts/a": "", "accounts.old/a": "",
		}, []string{
			"file accounts/a", "file cache/accounts/y",
			"outside .mediamove", "outside Accounts", "outside accounts.old", "outside cache/cache",
			"outside cache/file", "outside cache/foreign", "outside foreign", "outside imports",
			"outside link", "outside pipe", "outside robots.txt",
		}},
		{"links lead nowhere", []string{"cache"}, plan{
			"accounts/absolute": "-> /etc", "accounts/up": "-> ../../..", "accounts/passwd": "-> /etc/passwd",
			"accounts/self": "-> self", "accounts/loop": "-> ../accounts", "accounts/dangling": "-> nothing",
			"accounts/x/beside": "-> ../real", "accounts/real": "",
			"media_attachments": "-> accounts", "cache/accounts": "-> ../accounts",
		}, []string{
			"file accounts/real", "link accounts/absolute", "link accounts/dangling", "link accounts/loop",
			"link accounts/passwd", "link accounts/self", "link accounts/up", "link accounts/x/beside",
			"link cache/accounts", "link media_attachments",
		}},
		{"special", nil, plan{
			"accounts/pipe": "fifo", "accounts/x/socket": "socket", "cache/accounts/y": "fifo",
		}, []string{"special accounts/pipe", "special accounts/x/socket", "special cache/accounts/y"}},
		{"bad names", nil, plan{
			"accounts/new\nline": "", "accounts/\xff\xfe": "", "accounts/\u0085/x": "", "accounts/\u2028": "",
			"accounts/👩‍🚀.png": "", "accounts/ \u202e ": "",
			"accounts/" + deep + "ok": "", "accounts/" + deep + long: "",
			"accounts/" + deep + long[:45] + "/1/2": "", // a folder of 1,018 bytes
		}, []string{
			"bad name accounts/new\nline", "bad name accounts/\xff\xfe", "bad name accounts/\u0085/x", "bad name accounts/\u2028",
			"file accounts/👩‍🚀.png", "file accounts/ \u202e ",
			"file accounts/" + deep + "ok", "bad name accounts/" + deep + long,
			"file accounts/" + deep + long[:45] + "/1/2",
		}},
		{"twins", nil, plan{
			"accounts/\u00e9.png": "", "accounts/e\u0301.png": "", "accounts/e.png": "", "accounts/\u00e8.png": "",
			"accounts/\u212a": "", "accounts/K": "", "accounts/;": "", "accounts/x/\u00e9": "", "accounts/y/e\u0301": "",
			"accounts/\u00c5/1/2": "", "accounts/\u212b/1": "", "accounts/A\u030a/l": "-> x",
			"accounts/\u00c5/bad\xff": "", "accounts/\u00e1": "-> x", "accounts/a\u0301": "",
		}, []string{
			"bad name accounts/\u00c5/bad\xff", "link accounts/A\u030a/l", "link accounts/\u00e1",
			"file accounts/a\u0301", "file accounts/e.png", "file accounts/\u00e8.png", "file accounts/;",
			"file accounts/x/\u00e9", "file accounts/y/e\u0301",
			"twin accounts/\u00c5/1/2", "twin accounts/\u212b/1", "twin accounts/\u00e9.png",
			"twin accounts/e\u0301.png", "twin accounts/\u212a", "twin accounts/K",
		}},
	}
	for _, tt := range tests {
		for _, v := range variants() {
			t.Run(tt.name+"/"+v.name, func(t *testing.T) {
				t.Parallel()
				root := fastDir(t)
				plant(t, root, tt.tree)
				plant(t, root, plan{"accounts": "dir"})
				tree := openTree(t, root, scanner.Options{AllowLinks: tt.allow})
				v.set(tree)
				if diff := cmp.Diff(slices.Sorted(slices.Values(tt.want)), sortedWalk(t, tree)); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
			})
		}
	}
}

func TestOrderIsThatOfTopFolders(t *testing.T) {
	t.Parallel()
	root := fastDir(t)
	var want []string
	for _, top := range media.TopFolders() {
		for i := range 40 { // enough to keep many workers busy
			plant(t, root, plan{fmt.Sprintf("%s/files/%d/x", top, i): "", fmt.Sprintf("cache/%s/files/%d/x", top, i): ""})
		}
		want = append(want, top)
	}
	for _, top := range want[:len(want)-1] {
		want = append(want, "cache/"+top)
	}
	want = slices.DeleteFunc(want, func(s string) bool { return s == "cache" })

	var got []string
	for f, err := range openTree(t, root, scanner.Options{}).Files(t.Context()) {
		if p, ok := errors.AsType[*scanner.Problem](err); ok && p.Kind == scanner.Outside {
			continue // cache/cache, cache/files
		} else if err != nil {
			t.Fatal(err)
		}
		got = append(got, strings.SplitAfter(string(f.Key), "/files/")[0])
	}
	for i := range want {
		want[i] += "/files/"
	}
	if diff := cmp.Diff(want, slices.Compact(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestFileIsWhatLstatSays(t *testing.T) {
	t.Parallel()
	root := fastDir(t)
	plant(t, root, plan{"accounts/a": "four", "accounts/b": "", "accounts/c": "x"})
	old := time.Date(1969, 12, 31, 23, 59, 59, 999_999_999, time.UTC)
	for name, mode := range map[string]fs.FileMode{
		"a": 0o640, "b": 0, "c": 0o7777&0o777 | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky,
	} {
		p := filepath.Join(root, "accounts", name)
		if err := errors.Join(os.Chmod(p, mode), os.Chtimes(p, old, old)); err != nil {
			t.Fatal(err)
		}
	}
	tree, n := openTree(t, root, scanner.Options{}), 0
	for f, err := range tree.Files(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Lstat(filepath.Join(root, string(f.Key)))
		if err != nil {
			t.Fatal(err)
		}
		want := media.File{
			Key: f.Key, Size: info.Size(), ModTime: info.ModTime(), Mode: info.Mode(),
			Inode: info.Sys().(*syscall.Stat_t).Ino,
		}
		if diff := cmp.Diff(want, f); diff != "" {
			t.Errorf("-lstat +got:\n%s", diff)
		}
		n++
	}
	if n != 3 {
		t.Errorf("%d files", n)
	}
}

func TestAllowedLink(t *testing.T) {
	t.Parallel()
	for _, v := range variants() {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			root, disk := fastDir(t), fastDir(t)
			plant(t, disk, plan{"accounts/a": "remote", "accounts/out": "-> " + root, "x": ""})
			plant(t, root, plan{"accounts/b": "local", "cache": "-> " + disk, "imports": "-> " + disk, "backups": "-> gone"})

			plant(t, disk, plan{"backups": "-> " + root + "/accounts"}) // not the one that is allowed
			tree := openTree(t, root, scanner.Options{AllowLinks: []string{"cache/", "backups", "accounts", "cache"}})
			v.set(tree)
			want := []string{
				"file accounts/b", "file cache/accounts/a", "link cache/accounts/out", "link cache/backups", "link imports",
				"outside cache/x", "unreadable backups",
			}
			if diff := cmp.Diff(want, sortedWalk(t, tree)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			checkContent(t, tree, "cache/accounts/a", "remote")
			for _, k := range []media.Key{"cache/accounts/out/accounts/b", "imports/accounts/a", "backups/x", "cache"} {
				if f, _, err := tree.Open(k); err == nil {
					t.Errorf("opened %s: %s", k, f.Name())
				}
			}
		})
	}
	if _, err := scanner.Open(fastDir(t), scanner.Options{AllowLinks: []string{"etc"}}); err == nil {
		t.Error("a link that is no top folder was allowed")
	}
}

func TestProblemSaysWhatItMeans(t *testing.T) {
	t.Parallel()
	tests := []struct {
		scanner.Problem
		folder, incomplete bool
	}{
		{scanner.Problem{Path: "media_attachments", Kind: scanner.Link}, true, true},
		{scanner.Problem{Path: "cache", Kind: scanner.Link}, true, true},
		{scanner.Problem{Path: "cache/accounts", Kind: scanner.Link}, true, true},
		{scanner.Problem{Path: "accounts/avatars", Kind: scanner.Link}, true, true},
		{scanner.Problem{Path: "cache/accounts/avatars", Kind: scanner.Link}, true, true},
		{scanner.Problem{Path: "accounts/avatars/000", Kind: scanner.Link}, false, false},
		{scanner.Problem{Path: "accounts/avatars/000", Kind: scanner.Unreadable}, false, true},
		{scanner.Problem{Path: "accounts", Kind: scanner.Special}, false, false},
		{scanner.Problem{Path: "cache", Kind: scanner.Mount}, false, false},
	}
	for _, tt := range tests {
		if got := tt.Folder(); got != tt.folder {
			t.Errorf("%s %s: Folder() = %v", tt.Kind, tt.Path, got)
		}
		if got := tt.Incomplete(); got != tt.incomplete {
			t.Errorf("%s %s: Incomplete() = %v", tt.Kind, tt.Path, got)
		}
	}
	p := &scanner.Problem{Path: "a\x1b[2J", Kind: scanner.Unreadable, Err: fs.ErrPermission}
	if got, want := p.Error(), `unreadable "a\x1b[2J": permission denied`; got != want || !errors.Is(p, fs.ErrPermission) {
		t.Errorf("Error() = %s", got)
	}
	if got := scanner.Kind(99).String(); got != "unknown" {
		t.Errorf("Kind(99) = %s", got)
	}
}

// A million names in one directory are nothing special, so a hundred thousand
// must not be.
func TestManyFilesInOneDirectory(t *testing.T) {
	const files = 100_000
	root := fastDir(t)
	dir := filepath.Join(root, "accounts/avatars")
	plant(t, root, plan{"accounts/avatars": "dir"})
	for i := range files {
		fd, err := unix.Open(fmt.Sprintf("%s/%06d.png", dir, i), unix.O_CREAT|unix.O_WRONLY|unix.O_EXCL|unix.O_CLOEXEC, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		_ = unix.Close(fd)
	}
	tree, seen := openTree(t, root, scanner.Options{}), make([]bool, files)
	before, n := heap(), 0
	for f, err := range tree.Files(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		var i int
		if _, err := fmt.Sscanf(string(f.Key), "accounts/avatars/%06d.png", &i); err != nil || seen[i] {
			t.Fatalf("%s: %v, or a second time", f.Key, err)
		}
		seen[i] = true
		if n++; n == files/2 {
			if used := int64(heap()) - int64(before); used > 4<<20 {
				t.Errorf("%d bytes are held in the middle of the directory", used)
			}
		}
	}
	if n != files {
		t.Errorf("%d files", n)
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A folder whose name leaves no room for a key ends the descent: nobody makes
// us hold a descriptor for each of a million levels.
func TestDescentHasAnEnd(t *testing.T) {
	t.Parallel()
	root := fastDir(t)
	dir, err := os.OpenRoot(root)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = dir.Close() }()
	for _, name := range slices.Concat([]string{"accounts"}, slices.Repeat([]string{"d"}, 1500)) {
		err := dir.Mkdir(name, 0o755)
		if err != nil {
			t.Fatal(err)
		}
		below, err := dir.OpenRoot(name)
		if err != nil {
			t.Fatal(err)
		}
		_ = dir.Close()
		dir = below
	}
	got := sortedWalk(t, openTree(t, root, scanner.Options{}))
	if len(got) != 1 || !strings.HasPrefix(got[0], "bad name accounts/d/d/") || len(got[0]) > 1100 {
		t.Errorf("got %.200q", got)
	}
}

// With more subdirectories than are remembered at a time, each is still walked once.
func TestManySubdirectories(t *testing.T) {
	t.Parallel()
	const dirs, step = 10_000, 100
	root := fastDir(t)
	plant(t, root, plan{"accounts/avatars": "dir"})
	for i := range dirs {
		dir := fmt.Sprintf("%s/accounts/avatars/%d", root, i)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if i%step == 0 {
			plant(t, dir, plan{"x": ""})
		}
	}
	for _, workers := range []int{1, 8} {
		got := sortedWalk(t, openTree(t, root, scanner.Options{Workers: workers}))
		if len(got) != dirs/step || len(slices.Compact(got)) != dirs/step {
			t.Errorf("%d workers: %d files", workers, len(got))
		}
	}
}

func TestEndsWhenTold(t *testing.T) {
	root := fastDir(t)
	genTree(t, root, 4000)
	tree := openTree(t, root, scanner.Options{Workers: 8})
	open := descriptors(t)

	t.Run("break", func(t *testing.T) {
		for range 20 {
			for range tree.Files(t.Context()) {
				break
			}
			if now := descriptors(t); now != open {
				t.Fatalf("%d descriptors before, %d right after the loop", open, now)
			}
		}
	})
	t.Run("panic", func(t *testing.T) {
		defer func() { _ = recover() }()
		for range tree.Files(t.Context()) {
			panic("consumer")
		}
	})
	t.Run("cancel", func(t *testing.T) {
		cause := errors.New("told to stop")
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		n := 0
		for _, err := range tree.Files(ctx) {
			if n++; err != nil {
				if !errors.Is(err, cause) {
					t.Error(err)
				}
				break
			}
			cancel(cause)
		}
		if n < 2 || n > 1000 {
			t.Errorf("%d files and errors after a cancel at the first", n)
		}
	})
	t.Run("cancelled before", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if lines, err := walk(ctx, tree); !errors.Is(err, context.Canceled) || len(lines) > 0 {
			t.Errorf("%d lines, %v", len(lines), err)
		}
	})
	t.Run("twice at once", func(t *testing.T) {
		n := 0
		for range tree.Files(t.Context()) {
			if n++; n%1000 == 0 {
				if got := len(sortedWalk(t, tree)); got != 4000 {
					t.Errorf("%d files in an inner walk", got)
				}
			}
		}
		if n != 4000 {
			t.Errorf("%d files", n)
		}
	})
	if now := descriptors(t); now != open {
		t.Errorf("%d descriptors before, %d after", open, now)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}
