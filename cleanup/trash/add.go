package trash

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"strconv"

	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// A Getter reads an object that must still have that ETag ([r2.Bucket]).
type Getter interface {
	GetMatching(ctx context.Context, key media.Key, etag string) (io.ReadCloser, r2.Head, error)
}

// An Item is an object to be trashed.
type Item struct {
	Run    int64     // from 1; the same key in another run is another name
	Object r2.Object // as it was judged: other bytes are not it
	SHA256 *[32]byte // of the bytes with that ETag, if the ledger knows it
}

// Add copies an object into the trash and returns its name there once the copy is
// proven and durable: only then may the object be deleted. Adding the same again
// replaces the copy.
//
// One Class B; a second if the ETag proves nothing and no SHA-256 is known. With
// ErrFull, unless the disk itself ran full, nothing was asked for. Other errors:
// ErrUnproven, ErrClash, ErrBroken, a [*media.KeyError] for a key that could not be put
// back, and those of [r2.Bucket.GetMatching]. Nothing half is left by any.
func (s *Store) Add(ctx context.Context, g Getter, it Item) (name string, err error) {
	if err := s.add(ctx, g, it); err != nil {
		return "", fmt.Errorf("trash %q: %w", it.Object.Key, err)
	}
	return Name(it.Run, it.Object.Key), nil
}

func (s *Store) add(ctx context.Context, g Getter, it Item) (err error) {
	if err := it.check(); err != nil {
		return err
	}
	release, err := s.reserve(it.Object.Size + usualMeta)
	if err != nil {
		return err
	}
	defer release()
	d, err := s.draft(it)
	if err != nil {
		return disk(err)
	}
	defer func() { err = errors.Join(err, disk(d.discard())) }()
	c := copier{g: g, it: it}
	if err := c.fetch(ctx, d); err != nil {
		return err
	}
	if err := c.prove(ctx, d.bytes); err != nil {
		return err
	}
	return disk(d.keep(c.meta(s.opt.Now())))
}

func (it *Item) check() error {
	if it.Run <= 0 || it.Object.Size < 0 || it.Object.ETag == "" {
		return fmt.Errorf("run %d, %d bytes, ETag %q: %w", it.Run, it.Object.Size, it.Object.ETag, ErrUnproven)
	}
	return media.CheckKey(string(it.Object.Key))
}

// A draft is the pair of files of one object before they get their names.
type draft struct {
	s      *Store
	run    string
	folder *os.File  // the run's
	paths  [2]string // bytes, facts; "" if there is none to be removed
	bytes  *os.File
	hash   sums
}

// draft makes the folder of the run, durably, and the file for the bytes.
func (s *Store) draft(it Item) (*draft, error) {
	d := &draft{s: s, run: strconv.FormatInt(it.Run, 10), hash: newSums()}
	s.mu.Lock() // two goroutines may be the first of a run: neither may be done before the folder is durable
	defer s.mu.Unlock()
	switch err := s.root.Mkdir(d.run, 0o700); {
	case err == nil:
		if err := s.sync(s.dir); err != nil {
			return nil, fmt.Errorf("sync folder: %w", err)
		}
	case !errors.Is(err, fs.ErrExist):
		return nil, err
	}
	var err error
	if d.folder, err = s.root.Open(d.run); err != nil {
		return nil, err
	}
	if d.bytes, err = d.create(0); err != nil {
		return nil, errors.Join(err, d.folder.Close())
	}
	return d, nil
}

func (d *draft) create(i int) (*os.File, error) {
	path := d.run + "/" + draftPrefix + rand.Text()
	f, err := d.s.root.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		d.paths[i] = path
	}
	return f, err
}

// Write implements io.Writer for the bytes.
func (d *draft) Write(p []byte) (int, error) {
	_, _ = d.hash.Write(p)
	n, err := d.s.write(d.bytes, p)
	return n, disk(err)
}

// discard removes what didn't get its name.
func (d *draft) discard() error {
	err := d.bytes.Close()
	if errors.Is(err, fs.ErrClosed) {
		err = nil
	}
	_ = d.folder.Close() // only read
	for _, p := range d.paths {
		if p != "" {
			err = errors.Join(err, d.s.root.Remove(p))
		}
	}
	return err
}

// keep makes the pair durable under its name.
func (d *draft) keep(m Meta) error {
	facts, err := m.encode()
	if err != nil {
		return err
	}
	release, err := d.s.reserve(max(0, int64(len(facts))-usualMeta))
	if err != nil {
		return err
	}
	defer release()
	if err := d.finish(0, d.bytes, m); err != nil {
		return err
	}
	f, err := d.create(1)
	if err != nil {
		return err
	}
	_, err = d.s.write(f, facts)
	if err = errors.Join(err, d.finish(1, f, m)); err != nil {
		return err
	}
	if err := d.publish(m, m.Object.Size+int64(len(facts))); err != nil {
		return err
	}
	if err := d.s.sync(d.folder); err != nil { // and so its names
		return fmt.Errorf("sync folder: %w", err)
	}
	return nil
}

// finish brings one of the files to the disk. Its time is the one that expiry goes by.
func (d *draft) finish(i int, f *os.File, m Meta) error {
	err := d.s.sync(f)
	if err != nil {
		err = fmt.Errorf("sync: %w", err)
	}
	return errors.Join(err, f.Close(), d.s.root.Chtimes(d.paths[i], m.Trashed, m.Trashed))
}

// publish renames the bytes and then the facts, without which nobody takes the
// bytes for an object.
func (d *draft) publish(m Meta, size int64) error {
	s, name := d.s, Name(m.Run, m.Object.Key)
	s.mu.Lock()
	defer s.mu.Unlock()
	old, err := s.meta(name)
	if err == nil && old.SHA256 != m.SHA256 {
		return fmt.Errorf("%w: those with the ETag %s", ErrClash, old.Object.ETag)
	}
	objects := s.objects + 1
	for i, path := range []string{name, name + metaSuffix} {
		info, err := s.root.Lstat(path)
		switch {
		case err == nil:
			size -= info.Size() // it is replaced
			objects -= int64(i)
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
		if err := s.root.Rename(d.paths[i], path); err != nil {
			return err
		}
		d.paths[i] = ""
	}
	s.objects, s.bytes = objects, s.bytes+size
	return nil
}

// sums hashes bytes both ways.
type sums struct{ md5, sha256 hash.Hash }

func newSums() sums { return sums{md5.New(), sha256.New()} }

func (h sums) Write(p []byte) (int, error) {
	_, _ = h.md5.Write(p)
	return h.sha256.Write(p)
}

func (h sums) values() (m [16]byte, s [32]byte) {
	return [16]byte(h.md5.Sum(nil)), [32]byte(h.sha256.Sum(nil))
}
