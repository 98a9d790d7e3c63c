package verify

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"example.org/mediamove/media"
)

// opened opens a certificate for the time of a test.
func opened(t *testing.T, path string) *SavedCertificate {
	t.Helper()
	s, err := OpenCertificate(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestOpenCertificate(t *testing.T) {
	t.Parallel()
	path, c := savedExample(t)
	s := opened(t, path)
	if d := cmp.Diff(c, s.Certificate); d != "" {
		t.Errorf("(-saved +opened)\n%s", d)
	}
	var wg sync.WaitGroup
	for range 3 { // also at the same time
		wg.Go(func() {
			var got []Certified
			for c, err := range s.Named() {
				if err != nil {
					t.Error(err)
				}
				got = append(got, c)
			}
			if d := cmp.Diff(exampleList(), got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
	wg.Wait()
	for range s.Named() {
		break
	}
}

// Both files may be moved, and renamed together.
func TestOpenCertificateElsewhere(t *testing.T) {
	t.Parallel()
	for name, list := range map[string]string{"moved.txt": "moved.txt.sha256", "other.txt": "moved.txt.sha256", "another": "another.sha256"} {
		path, _ := savedExample(t)
		dir := t.TempDir()
		if err := errors.Join(os.Rename(path, filepath.Join(dir, name)), os.Rename(path+".sha256", filepath.Join(dir, list))); err != nil {
			t.Fatal(err)
		}
		opened(t, filepath.Join(dir, name))
	}
}

// otherList has as many objects, bytes and lines as the example.
func otherList() []Certified {
	cs := exampleList()
	cs[1].Key = "accounts/avatars/000/000/001/original/a c.png"
	return cs
}

func TestOpenCertificateListChanged(t *testing.T) {
	t.Parallel()
	list := string(written(t, exampleList()))
	for name, tt := range map[string]struct {
		list string
		is   error
	}{
		"cut at an object":  {strings.SplitAfter(list, "a b.png\n")[0], ErrList},
		"cut in a line":     {list[:len(list)-5], ErrList},
		"first object gone": {listHeader + strings.SplitN(list, "  ./-\n", 2)[1], ErrList},
		"an object more":    {list + "# 0 x\n" + strings.Repeat("1", 64) + "  z\n", ErrList},
		"of another":        {string(written(t, otherList())), ErrList},
		"a size":            {strings.Replace(list, "# 104857601 ", "# 104857600 ", 1), ErrList},
		"an ETag":           {strings.Replace(list, "-7 adopted", "-8 adopted", 1), ErrList},
		"a hash":            {strings.Replace(list, "\ne3b0c4", "\ne3b0c5", 1), ErrList},
		"a name":            {strings.Replace(list, "thumb.png", "thumc.png", 1), ErrList},
		"an exception":      {strings.Replace(list, "# absent ", "# rewritten ", 1), ErrList},
		"line ends":         {strings.ReplaceAll(list, "\n", "\r\n"), ErrList},
		"empty":             {"", ErrList},
		"the page":          {string(sampleCertificate().Encode()), ErrList},
	} {
		path, _ := savedExample(t)
		if err := os.WriteFile(path+".sha256", []byte(tt.list), 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := OpenCertificate(t.Context(), path); !errors.Is(err, tt.is) || s != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The page of one move with the list of another, whose hash was copied over: the
// sums still tell.
func TestOpenCertificatePageChanged(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(c *Certificate){
		"bytes of a class":   func(c *Certificate) { c.Classes[0].Bytes -= 3; c.Classes[1].Bytes += 3 },
		"bytes":              func(c *Certificate) { c.Bytes++; c.Classes[0].Bytes++ },
		"adopted":            func(c *Certificate) { c.Adopted--; c.Put++ },
		"exceptions":         func(c *Certificate) { c.Absent--; c.Rewritten++ },
		"more rewritten":     func(c *Certificate) { c.Rewritten++; c.List.Lines++ },
		"a class's name":     func(c *Certificate) { c.Classes[0].Class = "MEDIA" },
		"local for cache":    func(c *Certificate) { c.Classes[0].Cached = true },
		"object by absentee": func(c *Certificate) { c.Objects++; c.Put++; c.Classes[0].Objects++; c.Absent--; c.List.Lines++ },
		"all outside": func(c *Certificate) {
			c.Classes = []ClassTotal{{media.Outside, false, c.Objects, c.Bytes}}
		},
	} {
		path, c := savedExample(t)
		change(&c)
		data := c.Encode()
		if _, err := ParseCertificate(data); err != nil {
			t.Errorf("%s: the page alone tells: %v", name, err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenCertificate(t.Context(), path); !errors.Is(err, ErrCertificate) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a later version knows as a class was outside for the one that certified.
func TestOpenCertificateOfFewerClasses(t *testing.T) {
	t.Parallel()
	path, c := savedExample(t)
	outside := ClassTotal{media.Outside, false, 0, 0}
	c.Classes = slices.DeleteFunc(c.Classes, func(t ClassTotal) bool {
		gone := !t.Cached && (t.Class == media.SiteUploads || t.Class == media.Accounts || t.Class == media.Outside)
		if gone {
			outside.Objects += t.Objects
			outside.Bytes += t.Bytes
		}
		return gone
	})
	c.Classes = append(c.Classes, outside)
	if err := os.WriteFile(path, c.Encode(), 0o600); err != nil {
		t.Fatal(err)
	}
	opened(t, path)
}

func TestOpenCertificateFiles(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(path string) error
		want   string
		is     error
	}{
		"no certificate":  {os.Remove, "no such file", fs.ErrNotExist},
		"no list":         {func(p string) error { return os.Remove(p + ".sha256") }, "moved.txt.sha256: no such file", fs.ErrNotExist},
		"page too long":   {func(p string) error { return os.WriteFile(p, make([]byte, 1<<20), 0o600) }, "longer than", ErrCertificate},
		"page cut":        {func(p string) error { return os.Truncate(p, 100) }, "", ErrCertificate},
		"page is a pipe":  {func(p string) error { return errors.Join(os.Remove(p), unix.Mkfifo(p, 0o600)) }, "not a regular file", nil},
		"page a folder":   {func(p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o700)) }, "not a regular file", nil},
		"list is a pipe":  {func(p string) error { return errors.Join(os.Remove(p+".sha256"), unix.Mkfifo(p+".sha256", 0o600)) }, "not a regular file", nil},
		"list's own page": {func(p string) error { return os.Rename(p+".sha256", p) }, "the first line", ErrCertificate},
	} {
		path, _ := savedExample(t)
		if err := tt.change(path); err != nil {
			t.Fatal(err)
		}
		_, err := OpenCertificate(t.Context(), path)
		if err == nil || !strings.Contains(err.Error(), tt.want) || tt.is != nil && !errors.Is(err, tt.is) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOpenCertificateCancelled(t *testing.T) {
	t.Parallel()
	path, _ := savedExample(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := OpenCertificate(ctx, path); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// What changes under an open certificate is found at the end of the next reading.
func TestSavedCertificateChangesMeanwhile(t *testing.T) {
	t.Parallel()
	list := written(t, exampleList())
	for name, change := range map[string]func(path string) error{
		"a hash": func(p string) error {
			return os.WriteFile(p, bytes.Replace(list, []byte("\ne3b0c4"), []byte("\ne3b0c5"), 1), 0o600)
		},
		"cut":   func(p string) error { return os.Truncate(p, 1000) },
		"empty": func(p string) error { return os.Truncate(p, 0) },
	} {
		path, _ := savedExample(t)
		s := opened(t, path)
		if err := change(path + ".sha256"); err != nil {
			t.Fatal(err)
		}
		var last error
		for _, err := range s.Named() {
			last = err
		}
		if !errors.Is(last, ErrList) {
			t.Errorf("%s: %v", name, last)
		}
	}
	path, _ := savedExample(t)
	s := opened(t, path)
	if err := os.Remove(path + ".sha256"); err != nil { // what is open stays
		t.Fatal(err)
	}
	for _, err := range s.Named() {
		if err != nil {
			t.Error(err)
		}
	}
}
