package verify

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A SavedCertificate is one that was opened, with its list.
type SavedCertificate struct {
	Certificate
	list *os.File
	size int64
}

// OpenCertificate reads the certificate at path and the whole list beside it, by the
// name in the certificate, or path.sha256 if both were renamed. It returns them only
// if the list is the one that was certified and adds up to what the page says; an
// [ErrCertificate] or [ErrList] if it isn't. Close it in the end.
func OpenCertificate(ctx context.Context, path string) (*SavedCertificate, error) {
	s, err := openCertificate(path)
	if err != nil {
		return nil, fmt.Errorf("open certificate: %w", err)
	}
	if err := s.confirm(ctx); err != nil {
		_ = s.list.Close() // only read
		return nil, fmt.Errorf("check the list of %s: %w", path, err)
	}
	return s, nil
}

func openCertificate(path string) (*SavedCertificate, error) {
	page, _, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(page, MaxCertificate+1))
	_ = page.Close() // only read
	if err != nil {
		return nil, err
	}
	s := &SavedCertificate{}
	if s.Certificate, err = ParseCertificate(data); err != nil {
		return nil, err
	}
	s.list, s.size, err = openRegular(filepath.Join(filepath.Dir(path), s.List.Name))
	if errors.Is(err, fs.ErrNotExist) {
		s.list, s.size, err = openRegular(path + listSuffix)
	}
	return s, err
}

// openRegular opens a file that can be read more than once. Opening must not wait,
// as a named pipe without a writer would have it.
func openRegular(path string) (*os.File, int64, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file: %w", path, ErrCertificate)
	}
	if err != nil {
		_ = f.Close() // only read
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// Close closes the list.
func (s *SavedCertificate) Close() error { return s.list.Close() }

// Named yields the list in the order of its keys, exceptions among them. It may be
// called again, also at the same time. The file is hashed each time: if it changed
// since it was opened, the last that is yielded is an [ErrList], and nothing that
// came before it is to be believed.
func (s *SavedCertificate) Named() iter.Seq2[Certified, error] {
	return func(yield func(Certified, error) bool) { s.named(&tally{}, yield) }
}

func (s *SavedCertificate) named(t *tally, yield func(Certified, error) bool) {
	sum := sha256.New()
	for c, err := range readList(io.TeeReader(io.NewSectionReader(s.list, 0, s.size), sum), t) {
		if !yield(c, err) || err != nil {
			return
		}
	}
	if got := [32]byte(sum.Sum(nil)); got != s.List.SHA256 {
		yield(Certified{}, fmt.Errorf("its SHA-256 is %x, not %x: %w", got, s.List.SHA256, ErrList))
	}
}

// confirm reads the list once and adds it up.
func (s *SavedCertificate) confirm(ctx context.Context) (err error) {
	var t tally
	s.named(&t, func(_ Certified, e error) bool {
		err = cmp.Or(e, ctx.Err())
		return err == nil
	})
	if err == nil && !s.agrees(&t) {
		err = fmt.Errorf("it does not add up to what the certificate says: %w", ErrCertificate)
	}
	return err
}

// agrees compares the sums. A class that this version knows and the certificate's
// did not was counted as outside.
func (s *SavedCertificate) agrees(t *tally) bool {
	page := make(map[Class]ClassTotal)
	for _, c := range s.Classes {
		page[Class{c.Class, c.Cached}] = c
	}
	list := make(map[Class]ClassTotal)
	for k, c := range t.classes {
		if _, known := page[k]; !known {
			k.Class, c.Class = "", ""
		}
		sum := list[k]
		c.Objects += sum.Objects
		c.Bytes += sum.Bytes
		list[k] = c
	}
	return maps.Equal(page, list) && s.Objects == t.objects && s.Bytes == t.bytes && s.Adopted == t.adopted &&
		s.Rewritten == t.rewritten && s.Absent == t.absent
}
