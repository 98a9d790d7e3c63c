// Package trash keeps a second copy of every object that a cleanup removes, on this
// machine, for as long as somebody may want it back. R2 keeps no versions: without
// the copy a wrong deletion is final.
//
// An object is two files, RUN/<SHA-256 of its key> with the bytes and the same name
// with .json with all else that is known of it. Names and bytes are personal data:
// folders are 0700, files 0600, and names say nothing.
package trash

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"example.org/mediamove/media"
)

// What [Options] mean where they say nothing.
const (
	DefaultMax     = 5_000_000_000       // bytes
	DefaultReserve = 1_000_000_000       // bytes
	DefaultKeep    = 30 * 24 * time.Hour // as long as the reports promise
)

// What callers decide on, with errors.Is.
var (
	// ErrFull: the object doesn't fit, by the cap, the free space or the disk's own word.
	ErrFull = errors.New("the trash is full")
	// ErrUnproven: nothing shows that the copy is the object, so it was not kept.
	ErrUnproven = errors.New("the copy can't be proven")
	// ErrClash: the trash has other bytes of the same run and key. It keeps those.
	ErrClash = errors.New("the trash holds other bytes under this name")
	// ErrBroken: the trash's own folder or disk failed, which is about more than one object.
	ErrBroken = errors.New("the trash can't be used")
	// ErrUnknown: no such object in the trash, or only half of it.
	ErrUnknown = fmt.Errorf("not in the trash: %w", fs.ErrNotExist)
	// ErrDamaged: what lies in the trash isn't what was put there, or can't be read.
	// Nothing was sent.
	ErrDamaged = errors.New("damaged in the trash")
	// ErrTaken: another object stands where one should be put back. It was left alone.
	ErrTaken = errors.New("another object has taken the key")
)

// Options say where the trash is and how much may lie in it.
type Options struct {
	Dir     string        // made if its parent is there
	Max     int64         // bytes of all files together; 0: DefaultMax
	Keep    time.Duration // 0: DefaultKeep
	Reserve int64         // bytes of the file system that stay free; 0: DefaultReserve

	Now   func() time.Time      // the server's clock, for all ages; nil: this machine's
	Free  func() (int64, error) // free bytes of the file system; nil: asks it
	Parts Parts                 // who notes uploads in parts; nil: such objects can't be put back
}

// Parts notes uploads in parts durably, so that a killed run's leftovers can be aborted
// by the next: parts that nobody knows of cost storage.
type Parts interface {
	Started(ctx context.Context, k media.Key, uploadID string) error
	Ended(ctx context.Context, uploadID string) error
}

// A Store is an open trash. It may be used by many goroutines at once.
type Store struct {
	opt  Options
	root *os.Root // no name leads out of it
	dir  *os.File // the same folder

	// What is done to the disk; tests let it fail.
	write func(f *os.File, p []byte) (int, error)
	sync  func(*os.File) error

	mu       sync.Mutex // also held while a pair of files comes or goes
	objects  int64
	bytes    int64 // of what is complete
	reserved int64 // for what is on its way
}

// Open opens the trash in o.Dir, measures what it holds, and removes what killed
// runs left half written, unless another process has the trash open just now.
// ctx ends the measuring. Close it.
func Open(ctx context.Context, o Options) (*Store, error) {
	s := &Store{opt: o, write: (*os.File).Write, sync: (*os.File).Sync}
	s.opt.Max = cmp.Or(o.Max, DefaultMax)
	s.opt.Keep = cmp.Or(o.Keep, DefaultKeep)
	s.opt.Reserve = cmp.Or(o.Reserve, DefaultReserve)
	if o.Now == nil {
		s.opt.Now = time.Now
	}
	if o.Free == nil {
		s.opt.Free = s.statfs
	}
	err := s.open()
	if err == nil {
		err = s.measure(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open trash: %w", err), s.Close())
	}
	return s, nil
}

func (s *Store) open() (err error) {
	switch err := os.Mkdir(s.opt.Dir, 0o700); {
	case err == nil:
		if err := s.syncParent(); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrExist):
		return err
	}
	if s.root, err = os.OpenRoot(s.opt.Dir); err != nil {
		return err
	}
	s.dir, err = s.root.Open(".")
	return err
}

// syncParent makes the new folder durable: copies in one that a power cut takes
// away would be no copies.
func (s *Store) syncParent() error {
	parent, err := os.Open(filepath.Dir(filepath.Clean(s.opt.Dir)))
	if err != nil {
		return err
	}
	return errors.Join(s.sync(parent), parent.Close())
}

// measure counts what is there.
func (s *Store) measure(ctx context.Context) error {
	alone, err := s.lock()
	if err != nil {
		return err
	}
	err = s.walk(ctx, func(e entry) error {
		switch e.kind {
		case isDraft:
			if alone {
				return s.root.Remove(e.path)
			}
			return nil
		case isMeta:
			s.objects++
		}
		s.bytes += e.size
		return nil
	})
	return errors.Join(err, unix.Flock(int(s.dir.Fd()), unix.LOCK_SH))
}

// lock tells whether this is the only process that has the trash open: otherwise
// what is half written may be just being written.
func (s *Store) lock() (alone bool, err error) {
	err = unix.Flock(int(s.dir.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

// Close gives the folder back. Once more is no error.
func (s *Store) Close() (err error) {
	if s.dir != nil {
		err = s.dir.Close()
	}
	if s.root != nil {
		err = errors.Join(err, s.root.Close())
	}
	s.dir, s.root = nil, nil
	return err
}

// Held tells how many objects lie in the trash, and the bytes of all its files:
// what [Options.Max] bounds.
func (s *Store) Held() (objects, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.objects, s.bytes
}

// reserve sets n bytes aside until release is called, or returns ErrFull.
func (s *Store) reserve(n int64) (release func(), err error) {
	free, err := s.opt.Free()
	if err != nil {
		return nil, disk(fmt.Errorf("ask for free space: %w", err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if left := s.opt.Max - s.bytes - s.reserved; n > left {
		return nil, fmt.Errorf("%w: %d bytes of its %d are left", ErrFull, max(left, 0), s.opt.Max)
	}
	// What others have set aside may not be written yet, and so still counts as free.
	if left := free - s.opt.Reserve - s.reserved; n > left {
		return nil, fmt.Errorf("%w: %d bytes are free on its disk, %d of them must stay so", ErrFull, free, s.opt.Reserve)
	}
	s.reserved += n
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.reserved -= n
	}, nil
}

// statfs asks the file system for the bytes that we may use.
func (s *Store) statfs() (int64, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(s.dir.Fd()), &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail * uint64(st.Bsize)), nil
}

// disk marks what the trash's own disk says: full, or broken. Our own words stay.
func disk(err error) error {
	if err == nil {
		return nil
	}
	for _, ours := range []error{ErrFull, ErrBroken, ErrUnproven, ErrClash} {
		if errors.Is(err, ours) {
			return err
		}
	}
	for _, full := range []error{unix.ENOSPC, unix.EDQUOT, unix.EFBIG} {
		if errors.Is(err, full) {
			return fmt.Errorf("%w: %w", ErrFull, err)
		}
	}
	return fmt.Errorf("%w: %w", ErrBroken, err)
}

// metaSuffix makes the name of an object's facts of the name of its bytes.
const metaSuffix = ".json"

// Name is where the object that run removed lies: RUN/<SHA-256 of the key in hex>.
func Name(run int64, k media.Key) string {
	sum := sha256.Sum256([]byte(k))
	return strconv.FormatInt(run, 10) + "/" + hex.EncodeToString(sum[:])
}

// checkName refuses what [Name] never returns; names come out of a database.
func checkName(name string) error {
	run, base, _ := strings.Cut(name, "/")
	if !isRun(run) || !isBase(base) {
		return fmt.Errorf("%q is no name: %w", name, ErrUnknown)
	}
	return nil
}

func isRun(s string) bool {
	n, err := strconv.ParseInt(s, 10, 64)
	return err == nil && n > 0 && strconv.FormatInt(n, 10) == s
}

func isBase(s string) bool {
	sum, err := hex.DecodeString(s)
	return err == nil && len(sum) == sha256.Size && hex.EncodeToString(sum) == s
}
