package uploader

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

// An item is a file that waits for a worker.
type item struct {
	file  media.File
	state ledger.State
	seen  string // in place of a lost one, see [ledger.Candidate]
}

func itemOf(c ledger.Candidate) item { return item{c.File, c.State, c.Seen} }

// candidate is the item with the file as it is now.
func (it item) candidate(now media.File) ledger.Candidate {
	return ledger.Candidate{File: now, State: it.state, Seen: it.seen}
}

// spoolMemory is how many items wait in memory before the spool goes to disk.
const spoolMemory = 1024

// A spool is a first-in first-out queue between the walk and the workers. The
// walk is far faster than the bucket, so it runs ahead and the progress line has
// a true total; what does not fit in memory waits in an unlinked file. Memory
// stays the same for a thousand files and for ten million.
type spool struct {
	dir    string
	wakeup chan struct{}

	mu      sync.Mutex
	head    []item
	file    *os.File
	w       *bufio.Writer
	r       *bufio.Reader
	onDisk  int // items in the file that were not read yet
	waiting int // items in all
	closed  bool
}

func newSpool(dir string) *spool {
	return &spool{dir: dir, wakeup: make(chan struct{}, 1)}
}

// push appends it.
func (s *spool) push(it item) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.onDisk == 0 && len(s.head) < spoolMemory {
		s.head = append(s.head, it)
	} else if err := s.spill(it); err != nil {
		return fmt.Errorf("spool %s in the state folder: %w", it.file.Key, err)
	}
	s.waiting++
	s.wake()
	return nil
}

// finish says that nothing more will be pushed.
func (s *spool) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.wake()
}

func (s *spool) wake() {
	select {
	case s.wakeup <- struct{}{}:
	default:
	}
}

// pop waits for the next item. ok is false when the spool is finished and empty,
// or when ctx ended.
func (s *spool) pop(ctx context.Context) (it item, ok bool, err error) {
	for ctx.Err() == nil {
		it, ok, end, err := s.take()
		if ok || end || err != nil {
			return it, ok, err
		}
		select {
		case <-s.wakeup:
		case <-ctx.Done():
		}
	}
	return item{}, false, nil
}

func (s *spool) take() (it item, ok, end bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.head) == 0 && s.onDisk > 0 {
		if err := s.refill(); err != nil {
			return item{}, false, true, fmt.Errorf("read the spool in the state folder: %w", err)
		}
	}
	if len(s.head) == 0 {
		return item{}, false, s.closed, nil
	}
	it, s.head = s.head[0], s.head[1:]
	if len(s.head) == 0 {
		s.head = nil // lets go of the array that the slicing walked through
	}
	s.waiting--
	return it, true, false, nil
}

// close frees the disk space. Items that still wait are forgotten: the next walk
// finds them again.
func (s *spool) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.head, s.onDisk = nil, 0
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}

func (s *spool) spill(it item) error {
	if s.file == nil {
		f, err := os.CreateTemp(s.dir, "spool-*") // mode 0600
		if err != nil {
			return err
		}
		// Unlinked at once: a killed run leaves nothing behind.
		if err := os.Remove(f.Name()); err != nil {
			return errors.Join(err, f.Close())
		}
		s.file = f
	}
	if s.w == nil {
		s.w = bufio.NewWriterSize(s.file, 64<<10)
	}
	if err := encode(s.w, it); err != nil {
		return err
	}
	s.onDisk++
	return nil
}

// refill moves the next items from disk to memory, and starts the file afresh
// when all of it was read.
func (s *spool) refill() error {
	if err := s.w.Flush(); err != nil {
		return err
	}
	if s.r == nil {
		s.r = bufio.NewReaderSize(&tail{f: s.file}, 64<<10)
	}
	n := min(s.onDisk, spoolMemory)
	s.head = make([]item, 0, n)
	for range n {
		it, err := decode(s.r)
		if err != nil {
			return err
		}
		s.head = append(s.head, it)
	}
	s.onDisk -= n
	if s.onDisk > 0 {
		return nil
	}
	s.r = nil
	if err := s.file.Truncate(0); err != nil {
		return err
	}
	_, err := s.file.Seek(0, io.SeekStart)
	return err
}

// tail reads a file that is still growing. It passes an EOF on only when there is
// nothing at all: bufio would keep one that came with the last bytes, and return it
// although more was written since.
type tail struct {
	f   *os.File
	off int64
}

func (t *tail) Read(p []byte) (int, error) {
	n, err := t.f.ReadAt(p, t.off)
	t.off += int64(n)
	if n > 0 {
		err = nil
	}
	return n, err
}

func encode(w *bufio.Writer, it item) error {
	f := it.file
	b := w.AvailableBuffer()
	b = binary.AppendUvarint(b, uint64(len(f.Key)))
	b = append(b, f.Key...)
	b = binary.AppendVarint(b, f.Size)
	b = binary.AppendVarint(b, f.ModTime.UnixNano())
	b = binary.AppendUvarint(b, uint64(f.Mode))
	b = binary.AppendUvarint(b, f.Inode)
	b = append(b, byte(it.state))
	b = binary.AppendUvarint(b, uint64(len(it.seen)))
	b = append(b, it.seen...)
	_, err := w.Write(b)
	return err
}

func decode(r *bufio.Reader) (it item, err error) {
	key, err := decodeString(r)
	if err != nil {
		return item{}, err
	}
	size, err1 := binary.ReadVarint(r)
	nano, err2 := binary.ReadVarint(r)
	mode, err3 := binary.ReadUvarint(r)
	inode, err4 := binary.ReadUvarint(r)
	state, err5 := r.ReadByte()
	seen, err6 := decodeString(r)
	f := media.File{Key: media.Key(key), Size: size, ModTime: time.Unix(0, nano), Mode: fs.FileMode(mode), Inode: inode}
	return item{f, ledger.State(state), seen}, errors.Join(err1, err2, err3, err4, err5, err6)
}

func decodeString(r *bufio.Reader) (string, error) {
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return "", err
	}
	b := make([]byte, n)
	_, err = io.ReadFull(r, b)
	return string(b), err
}
