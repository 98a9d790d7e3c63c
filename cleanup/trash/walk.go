package trash

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"
)

// draftPrefix begins the names of files that are being written.
const draftPrefix = ".part-"

type kind int

const (
	isOther kind = iota // not ours: neither counted nor touched
	isDraft
	isBytes
	isMeta
)

func kindOf(name string) kind {
	switch base, meta := strings.CutSuffix(name, metaSuffix); {
	case strings.HasPrefix(name, draftPrefix):
		return isDraft
	case isBase(base) && meta:
		return isMeta
	case isBase(base):
		return isBytes
	}
	return isOther
}

// An entry is one file of a run's folder.
type entry struct {
	path     string // from the root
	kind     kind
	size     int64
	modified time.Time
}

// walkStep bounds what is held of a folder at once: a run may have removed millions.
const walkStep = 1024

// walk calls visit for every file of ours.
func (s *Store) walk(ctx context.Context, visit func(entry) error) error {
	return s.list(ctx, ".", func(d fs.DirEntry) error {
		if !d.IsDir() || !isRun(d.Name()) {
			return nil
		}
		return s.list(ctx, d.Name(), func(d2 fs.DirEntry) error {
			return s.visit(path.Join(d.Name(), d2.Name()), visit)
		})
	})
}

func (s *Store) visit(name string, visit func(entry) error) error {
	k := kindOf(path.Base(name))
	if k == isOther {
		return nil
	}
	info, err := s.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return nil
	}
	if err != nil {
		return err
	}
	return visit(entry{path: name, kind: k, size: info.Size(), modified: info.ModTime()})
}

// list calls each for the entries of one folder, in no order.
func (s *Store) list(ctx context.Context, dir string, each func(fs.DirEntry) error) (err error) {
	f, err := s.root.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for {
		entries, err := f.ReadDir(walkStep)
		for _, d := range entries {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := each(d); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, fs.ErrNotExist): // emptied and pruned meanwhile
			return nil
		case err != nil:
			return err
		}
	}
}

// Expire removes what was trashed longer ago than [Options.Keep] allows, by the
// times of the files, and returns the objects and bytes that went. What half a pair
// is goes the same way.
func (s *Store) Expire(ctx context.Context) (objects, bytes int64, err error) {
	before := s.opt.Now().Add(-s.opt.Keep)
	err = s.walk(ctx, func(e entry) error {
		if e.kind == isDraft || !e.modified.Before(before) {
			return nil
		}
		n, err := s.remove(e.path)
		if bytes += n; n > 0 && e.kind == isMeta {
			objects++
		}
		return err
	})
	if err == nil {
		err = s.prune(ctx)
	}
	if err != nil {
		err = fmt.Errorf("expire trash: %w", err)
	}
	return objects, bytes, err
}

// prune removes the folders of runs that have nothing left.
func (s *Store) prune(ctx context.Context) error {
	return s.list(ctx, ".", func(d fs.DirEntry) error {
		if d.IsDir() && isRun(d.Name()) {
			s.mu.Lock() // not between a new folder and its first file
			defer s.mu.Unlock()
			_ = s.root.Remove(d.Name()) // refused unless it is empty
		}
		return nil
	})
}

// Drop removes an object from the trash. That it isn't there is no error.
func (s *Store) Drop(name string) error {
	err := checkName(name)
	if err == nil {
		// The facts first: bytes alone are nothing that could be put back by mistake.
		_, err = s.remove(name + metaSuffix)
	}
	if err == nil {
		_, err = s.remove(name)
	}
	if err != nil {
		return fmt.Errorf("drop from trash: %w", err)
	}
	return nil
}

// remove deletes one file and returns the bytes that this freed.
func (s *Store) remove(name string) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	info, err := s.root.Lstat(name)
	if err == nil {
		err = s.root.Remove(name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	s.bytes -= info.Size()
	if kindOf(path.Base(name)) == isMeta {
		s.objects--
	}
	return info.Size(), nil
}
