package verify

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"example.org/mediamove/media"
)

// toSave is what a run knows before its list is written.
func toSave(cs []Certified) Certificate {
	c := switchedCertificate()
	var t tally
	for i := range cs {
		t.add(&cs[i])
	}
	c.Objects, c.Bytes, c.Rewritten, c.Absent, c.ReadBack = t.objects, t.bytes, t.rewritten, t.absent, 1
	c.Put, c.Adopted, c.Classes, c.List = 0, 0, nil, ListFile{}
	return c
}

// adding lists cs.
func adding(cs []Certified) func(*ListWriter) error {
	return func(l *ListWriter) error {
		for _, c := range cs {
			if err := l.Add(c); err != nil {
				return err
			}
		}
		return nil
	}
}

// folderFiles returns the content of all files in dir, and of no folder.
func folderFiles(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, _ := os.ReadFile(filepath.Join(dir, e.Name()))
		all[e.Name()] = string(data)
	}
	return all
}

// savedExample saves the example in a new folder.
func savedExample(t *testing.T) (path string, c Certificate) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "moved.txt")
	c, err := SaveCertificate(t.Context(), path, toSave(exampleList()), adding(exampleList()))
	if err != nil {
		t.Fatal(err)
	}
	return path, c
}

func TestSaveCertificate(t *testing.T) {
	t.Parallel()
	path, c := savedExample(t)
	list := string(written(t, exampleList()))
	want := map[string]string{"moved.txt": string(c.Encode()), "moved.txt.sha256": list}
	if d := cmp.Diff(want, folderFiles(t, filepath.Dir(path))); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if c.List.Name != "moved.txt.sha256" || c.Put != 3 || c.Adopted != 2 || c.Objects != 5 || c.Rewritten != 1 || c.Absent != 1 {
		t.Errorf("saved %+v", c)
	}
	classes := []ClassTotal{
		{media.MediaAttachments, false, 1, 104857601},
		{media.Accounts, false, 1, 6},
		{media.SiteUploads, false, 1, 0},
		{media.Outside, false, 1, 14},
		{media.Accounts, true, 1, 7},
	}
	if d := cmp.Diff(classes, c.Classes); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	for name := range want {
		info, err := os.Lstat(filepath.Join(filepath.Dir(path), name))
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

// Before a run of hours and after it, the same paths are refused for the same reason.
func TestSaveCertificateWhere(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		path, want string
		is         error
	}{
		"there already":     {"there", `"there" is there already`, fs.ErrExist},
		"its list is there": {"list", `"list.sha256" is there already`, fs.ErrExist},
		"link to nowhere":   {"link", `"link" is there already`, fs.ErrExist},
		"folder":            {"folder", `"folder" is a folder`, fs.ErrExist},
		"list is a folder":  {"listfolder", `"listfolder.sha256" is a folder`, fs.ErrExist},
		"folder's name":     {"folder/", "names a folder", nil},
		"new folder's name": {"new/", "names a folder", nil},
		"dot":               {"folder/.", "names a folder", nil},
		"dots":              {"folder/..", "names a folder", nil},
		"nothing":           {"", "names a folder", nil},
		"no folder":         {"no/where/x", "no such file or directory", fs.ErrNotExist},
		"below a file":      {"there/x", "not a directory", unix.ENOTDIR},
		"list's name long":  {strings.Repeat("x", 250), "file name too long", unix.ENAMETOOLONG},
		"not a name":        {"a\x00b", "invalid argument", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for _, n := range []string{"there", "list.sha256"} {
				if err := os.WriteFile(filepath.Join(dir, n), []byte("precious"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(os.Symlink("nowhere", filepath.Join(dir, "link")), os.Mkdir(filepath.Join(dir, "folder"), 0o700), os.Mkdir(filepath.Join(dir, "listfolder.sha256"), 0o700)); err != nil {
				t.Fatal(err)
			}
			before := folderFiles(t, dir)
			path := tt.path
			if path != "" {
				path = dir + "/" + path
			}
			_, err := SaveCertificate(t.Context(), path, toSave(exampleList()), func(*ListWriter) error { t.Error("the list was made"); return nil })
			for _, err := range []error{err, CanSaveCertificate(path)} {
				if err == nil || !strings.Contains(err.Error(), tt.want) || tt.is != nil && !errors.Is(err, tt.is) {
					t.Errorf("got %v, want %q", err, tt.want)
				}
			}
			if d := cmp.Diff(before, folderFiles(t, dir)); d != "" {
				t.Errorf("(-before +after)\n%s", d)
			}
		})
	}
}

func TestCanSaveCertificate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := CanSaveCertificate(filepath.Join(dir, "moved.txt")); err != nil {
		t.Error(err)
	}
	if left := folderFiles(t, dir); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

// Not parallel: the working folder is the process's.
func TestSaveCertificateHere(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := CanSaveCertificate("moved.txt"); err != nil {
		t.Error(err)
	}
	if _, err := SaveCertificate(t.Context(), "moved.txt", toSave(exampleList()), adding(exampleList())); err != nil {
		t.Error(err)
	}
	s, err := OpenCertificate(t.Context(), "moved.txt")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// Whatever goes wrong before the end, nothing is left.
func TestSaveCertificateFails(t *testing.T) {
	t.Parallel()
	good := exampleList()
	stop, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tt := range map[string]struct {
		ctx    context.Context
		change func(*Certificate)
		list   func(*ListWriter) error
		want   string
		is     error
	}{
		"list fails":      {list: func(*ListWriter) error { return fs.ErrPermission }, want: "permission denied", is: fs.ErrPermission},
		"list out of bed": {list: func(l *ListWriter) error { return errors.Join(l.Add(good[1]), l.Add(good[0])) }, want: "order of bytes"},
		"an error dropped": {list: func(l *ListWriter) error {
			_ = l.Add(good[1])
			_ = l.Add(good[0])
			return nil
		}, want: "order of bytes"},
		"cancelled":         {ctx: stop, want: "context canceled", is: context.Canceled},
		"an object too few": {list: adding(good[1:]), want: "the run counted 5 objects of 104857628 bytes, 1 rewritten and 1 absent, but its list has 4 of 104857614, 1 and 1"},
		"differences":       {change: func(c *Certificate) { c.Differences = 3 }, want: "3 differences, and only none"},
		"other bytes":       {change: func(c *Certificate) { c.Bytes++ }, want: "the run counted"},
		"other rewritten":   {change: func(c *Certificate) { c.Rewritten++ }, want: "the run counted"},
		"other absent":      {change: func(c *Certificate) { c.Absent-- }, want: "the run counted"},
		"no domain":         {change: func(c *Certificate) { c.Domain = "" }, want: "domain", is: ErrCertificate},
		"before the switch": {change: func(c *Certificate) { c.SwitchedAt = time.Time{} }, want: "before the switch", is: ErrCertificate},
		"nothing to certify": {change: func(c *Certificate) {
			c.Objects, c.Bytes, c.Rewritten, c.Absent, c.ReadBack = 0, 0, 0, 0, 0
		}, list: adding(nil), want: "no object to certify"},
		"page too long": {change: func(c *Certificate) { c.Root = strings.Repeat("x", MaxCertificate) }, is: ErrCertificate},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, c := t.TempDir(), toSave(good)
			if tt.change != nil {
				tt.change(&c)
			}
			if tt.list == nil {
				tt.list = adding(good)
			}
			if tt.ctx == nil {
				tt.ctx = t.Context()
			}
			saved, err := SaveCertificate(tt.ctx, filepath.Join(dir, "x"), c, tt.list)
			if err == nil || !strings.Contains(err.Error(), tt.want) || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if left := folderFiles(t, dir); len(left) > 0 || !cmp.Equal(saved, Certificate{}) {
				t.Errorf("left %v, returned %+v", left, saved)
			}
		})
	}
}

// A list that pays no attention to the context stops all the same.
func TestSaveCertificateCancelledMeanwhile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	added := 0
	_, err := SaveCertificate(ctx, filepath.Join(dir, "x"), toSave(exampleList()), func(l *ListWriter) error {
		return synthetic(1e9, func(c Certified) error {
			if added++; added == 10_000 {
				cancel()
			}
			return l.Add(c)
		})
	})
	if !errors.Is(err, context.Canceled) || added > 20_000 {
		t.Errorf("after %d objects: %v", added, err)
	}
	if left := folderFiles(t, dir); len(left) > 0 {
		t.Errorf("left %v", slices.Collect(maps.Keys(left)))
	}
}

func TestSaveCertificatePanic(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	func() {
		defer func() {
			if recover() != "oh" {
				t.Error("the panic was swallowed")
			}
		}()
		_, _ = SaveCertificate(t.Context(), filepath.Join(dir, "x"), toSave(exampleList()), func(*ListWriter) error { panic("oh") })
	}()
	if left := folderFiles(t, dir); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

// The steps of saving, told by what is synced.
const (
	syncList = iota
	syncPage
	syncListName
	syncPageName
	syncSteps
)

// saveWith saves the example, calling at before each sync.
func saveWith(ctx context.Context, t *testing.T, dir string, at func(step int) error) error {
	t.Helper()
	s, err := newSaver(filepath.Join(dir, "x"))
	if err != nil {
		t.Fatal(err)
	}
	step := 0
	s.sync = func(f *os.File) error {
		err := at(step)
		step++
		return errors.Join(err, f.Sync())
	}
	_, err = s.save(ctx, toSave(exampleList()), adding(exampleList()))
	return err
}

func TestSaveCertificateSyncFails(t *testing.T) {
	t.Parallel()
	for fail := range syncSteps {
		dir := t.TempDir()
		err := saveWith(t.Context(), t, dir, func(step int) error {
			if step == fail {
				return unix.EIO
			}
			return nil
		})
		if left := folderFiles(t, dir); !errors.Is(err, unix.EIO) || len(left) > 0 {
			t.Errorf("step %d: %v, left %v", fail, err, left)
		}
	}
}

// A cut of power at any step leaves no certificate without its whole list.
func TestSaveCertificateOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	list := string(written(t, exampleList()))
	steps := 0
	err := saveWith(t.Context(), t, dir, func(step int) error {
		steps++
		all := folderFiles(t, dir)
		page, paged := all["x"]
		if got, listed := all["x.sha256"]; listed != (step >= syncListName) || listed && got != list {
			t.Errorf("step %d: list %q", step, got)
		}
		if paged != (step >= syncPageName) || paged && !strings.HasPrefix(page, certificateLine) {
			t.Errorf("step %d: page %q", step, page)
		}
		delete(all, "x")
		delete(all, "x.sha256")
		for name, text := range all {
			if !strings.HasPrefix(name, ".mediamove-") || step == syncList && text != list {
				t.Errorf("step %d: %s holds %q", step, name, text)
			}
		}
		return nil
	})
	if err != nil || steps != syncSteps {
		t.Errorf("%d steps, %v", steps, err)
	}
}

// What somebody else puts there meanwhile stays, and nothing of ours does.
func TestSaveCertificateRace(t *testing.T) {
	t.Parallel()
	for step := range syncPageName {
		for _, name := range []string{"x", "x.sha256"} {
			if step == syncListName && name == "x.sha256" {
				continue // ours is there by then
			}
			dir := t.TempDir()
			err := saveWith(t.Context(), t, dir, func(at int) error {
				if at != step {
					return nil
				}
				return os.WriteFile(filepath.Join(dir, name), []byte("precious"), 0o644)
			})
			if d := cmp.Diff(map[string]string{name: "precious"}, folderFiles(t, dir)); !errors.Is(err, fs.ErrExist) || d != "" {
				t.Errorf("step %d: %v (-want +got)\n%s", step, err, d)
			}
		}
	}
}

func TestSaveCertificateCancelledLate(t *testing.T) {
	t.Parallel()
	for step := range syncSteps {
		dir := t.TempDir()
		ctx, cancel := context.WithCancel(t.Context())
		err := saveWith(ctx, t, dir, func(at int) error {
			if at == step {
				cancel()
			}
			return nil
		})
		left := len(folderFiles(t, dir))
		if step < syncListName && (!errors.Is(err, context.Canceled) || left != 0) {
			t.Errorf("step %d: %v, %d files left", step, err, left)
		}
		if step >= syncListName && (err != nil || left != 2) { // all but done: it is faster to end
			t.Errorf("step %d: %v, %d files", step, err, left)
		}
		cancel()
	}
}

// The folder is the one that was opened, whoever moves it.
func TestSaveCertificateFolderMoved(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	dir, moved := filepath.Join(top, "a"), filepath.Join(top, "b")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	err := saveWith(t.Context(), t, dir, func(step int) error {
		if step == syncPage {
			return errors.Join(os.Rename(dir, moved), os.Mkdir(dir, 0o700))
		}
		return nil
	})
	if err != nil || len(folderFiles(t, dir)) != 0 || len(folderFiles(t, moved)) != 2 {
		t.Errorf("%v, %v and %v", err, folderFiles(t, dir), folderFiles(t, moved))
	}
}

// The list of a large instance is written while it is made.
func TestSaveCertificateStreams(t *testing.T) {
	t.Parallel()
	const n = 20_000
	dir, c := t.TempDir(), toSave(exampleList())
	c.Objects, c.Bytes, c.Rewritten, c.Absent, c.Seed = n, n*(n-1)/2, 0, 0, nil
	seen := int64(0)
	c, err := SaveCertificate(t.Context(), filepath.Join(dir, "x"), c, func(l *ListWriter) error {
		defer func() {
			for name := range folderFiles(t, dir) {
				info, err := os.Stat(filepath.Join(dir, name))
				if err == nil {
					seen += info.Size()
				}
			}
		}()
		return synthetic(n, l.Add)
	})
	if err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadFile(filepath.Join(dir, "x.sha256"))
	if err != nil || seen < int64(len(list))-2*listBuffer {
		t.Errorf("%d of %d bytes were on disk: %v", seen, len(list), err)
	}
	if lines := bytes.Count(list, []byte("\n")); int64(lines) != c.List.Lines || lines != 2*n+1 {
		t.Errorf("%d lines, %d in the certificate", lines, c.List.Lines)
	}
}
