package verify

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"example.org/mediamove/media"
)

// listSuffix makes the list's name of the certificate's.
const listSuffix = ".sha256"

// CanSaveCertificate reports early, before a long run, why [SaveCertificate] could
// not save to path. The error is an [fs.ErrExist] if path or its list is there
// already, and an [fs.ErrNotExist] if the folder is not.
func CanSaveCertificate(path string) error {
	s, err := newSaver(path)
	if err != nil {
		return fmt.Errorf("save certificate: %w", err)
	}
	defer func() { _ = s.close() }() // nothing was kept
	if err := s.rehearse(); err != nil {
		return fmt.Errorf("save certificate in %s: %w", filepath.Dir(path), err)
	}
	return nil
}

// SaveCertificate writes what list adds to path.sha256, and then c to path: both
// complete, durable and readable by their owner only, or neither. It never writes
// over anything. c comes back as it was saved, with what was found in the list.
//
// list is called once. Its error is passed on; after ctx has ended, adding fails.
func SaveCertificate(ctx context.Context, path string, c Certificate, list func(*ListWriter) error) (Certificate, error) {
	s, err := newSaver(path)
	if err == nil {
		c, err = s.save(ctx, c, list)
	}
	if err != nil {
		return Certificate{}, fmt.Errorf("save certificate: %w", err)
	}
	return c, nil
}

// A saver saves one certificate. All names are looked up in the folder that was
// opened first, whatever happens to its path.
type saver struct {
	root *os.Root
	dir  *os.File // the same folder
	name string
	made []string // to be removed unless all goes well
	sync func(*os.File) error
}

func newSaver(path string) (*saver, error) {
	dir, name := filepath.Split(path)
	if name == "" || name == "." || name == ".." {
		return nil, fmt.Errorf("%q names a folder, not a file", path)
	}
	root, err := os.OpenRoot(cmp.Or(dir, "."))
	if err != nil {
		return nil, fmt.Errorf("its folder: %w", err)
	}
	s := &saver{root: root, name: name, sync: (*os.File).Sync}
	if s.dir, err = root.Open("."); err == nil {
		err = errors.Join(s.free(name), s.free(name+listSuffix))
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// free makes sure that nothing has the name, not even a link that leads nowhere.
func (s *saver) free(name string) error {
	info, err := s.root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%q is a folder: %w", name, fs.ErrExist)
	}
	return fmt.Errorf("%q is there already, and nothing is written over: %w", name, fs.ErrExist)
}

// close removes what was not kept.
func (s *saver) close() error {
	var errs []error
	for _, name := range s.made {
		if err := s.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	s.made = nil
	if s.dir != nil {
		_ = s.dir.Close() // only read
	}
	_ = s.root.Close()
	return errors.Join(errs...)
}

// rehearse does all that saving does to the folder, without content.
func (s *saver) rehearse() error {
	draft, err := s.draft(func(io.Writer) error { return nil })
	if err != nil {
		return err
	}
	return s.publish(draft, draft+"2")
}

func (s *saver) save(ctx context.Context, c Certificate, list func(*ListWriter) error) (_ Certificate, err error) {
	defer func() { err = errors.Join(err, s.close()) }()
	if c.Differences != 0 {
		return c, fmt.Errorf("%d differences, and only none can be certified", c.Differences)
	}
	var lines *ListWriter
	listDraft, err := s.draft(func(w io.Writer) (err error) {
		lines = NewListWriter(&untilDone{ctx, w})
		if err := list(lines); err != nil {
			return err
		}
		c.List.SHA256, c.List.Lines, err = lines.Close()
		return err
	})
	if err != nil {
		return c, err
	}
	c.List.Name = s.name + listSuffix
	if c, err = c.filled(&lines.tally); err != nil {
		return c, err
	}
	draft, err := s.draft(func(w io.Writer) error {
		_, err := w.Write(c.Encode())
		return err
	})
	if err = errors.Join(err, ctx.Err()); err != nil {
		return c, err
	}
	// The list first: there is never a certificate without one, power cut or not.
	if err := s.publish(listDraft, c.List.Name); err != nil {
		return c, err
	}
	if err := s.publish(draft, s.name); err != nil {
		return c, err
	}
	s.made = nil
	return c, nil
}

// draft writes a file under a passing name, down to the disk.
func (s *saver) draft(write func(io.Writer) error) (name string, err error) {
	name = ".mediamove-" + rand.Text() + ".part"
	f, err := s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	s.made = append(s.made, name)
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.Chmod(0o600); err != nil { // whatever the umask took away
		return "", err
	}
	if err := write(f); err != nil {
		return "", err
	}
	if err := s.sync(f); err != nil {
		return "", fmt.Errorf("sync: %w", err)
	}
	return name, nil
}

// publish gives a draft its name. It links, because a rename would replace what
// somebody else has put there meanwhile.
func (s *saver) publish(draft, name string) error {
	if err := s.root.Link(draft, name); err != nil {
		return fmt.Errorf("%w (the folder must be on a file system that has links)", err)
	}
	s.made = append(s.made, name)
	if err := s.root.Remove(draft); err != nil {
		return err
	}
	if err := s.sync(s.dir); err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	return nil
}

// untilDone fails once its context has ended.
type untilDone struct {
	ctx context.Context
	w   io.Writer
}

func (u *untilDone) Write(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.w.Write(p)
}

// filled returns c with what the list says, as a reader of the page will get it,
// unless the run had counted something else.
func (c Certificate) filled(t *tally) (Certificate, error) {
	if c.Objects != t.objects || c.Bytes != t.bytes || c.Rewritten != t.rewritten || c.Absent != t.absent {
		return c, fmt.Errorf("the run counted %d objects of %d bytes, %d rewritten and %d absent, but its list has %d of %d, %d and %d",
			c.Objects, c.Bytes, c.Rewritten, c.Absent, t.objects, t.bytes, t.rewritten, t.absent)
	}
	c.Put, c.Adopted = t.objects-t.adopted, t.adopted
	c.Classes = slices.SortedFunc(maps.Values(t.classes), inOrder)
	return ParseCertificate(c.Encode())
}

// inOrder puts local media first and what counts for most before the rest.
func inOrder(a, b ClassTotal) int {
	order := func(t ClassTotal) int {
		if i := slices.Index(media.TopFolders(), string(t.Class)); i >= 0 {
			return i
		}
		return len(media.TopFolders()) // outside
	}
	local := func(t ClassTotal) int {
		if t.Cached {
			return 1
		}
		return 0
	}
	return cmp.Or(local(a)-local(b), order(a)-order(b), strings.Compare(string(a.Class), string(b.Class)))
}
