package ledger

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// limits bound a [Scratch]'s memory. Tests have smaller ones.
type limits struct {
	arena int // bytes of rows that are gathered before they are sorted
	merge int // bytes of all read buffers together
	fewer int // runs that are merged into one at that number
}

const (
	smallestBuffer = 4 << 10
	largestBuffer  = 256 << 10
)

// A Scratch sorts more rows than memory holds: it gathers some, sorts them,
// writes them away as one run, and merges the runs when they are read. The file
// has no name, so that a kill leaves nothing, and is never synced.
//
// It is no SQLite table because those rows come in no order: every one would be
// a page read and written anew, or SQLite's own sorter would go to /tmp.
//
// A Scratch is not safe for concurrent use.
type Scratch struct {
	dir    string
	limits limits
	file   *os.File
	runs   []stretch // in file, one after the other

	arena  []byte // rows that are in no run yet
	places []stretch
	len    int64
	over   error // why no more rows are taken
}

// A stretch is a place in a file or in the arena, from byte at to before end.
type stretch struct{ at, end int64 }

// NewScratch makes a scratch file in dir, the state folder.
func NewScratch(ctx context.Context, dir string) (*Scratch, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("make scratch file: %w", err)
	}
	f, err := createUnlinked(dir)
	if err != nil {
		return nil, failed("make scratch file", err)
	}
	return &Scratch{dir: dir, file: f, limits: limits{arena: 4 << 20, merge: 4 << 20, fewer: 1024}}, nil
}

// createUnlinked makes a file that never has a name, where the file system can.
func createUnlinked(dir string) (*os.File, error) {
	f, err := os.OpenFile(dir, os.O_RDWR|os.O_EXCL|unix.O_TMPFILE, 0o600)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EISDIR) {
		return createAndUnlink(dir)
	}
	return f, err
}

// createAndUnlink leaves an empty file if it is killed half way.
func createAndUnlink(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "scratch-*") // mode 0600
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

var errSorted = errors.New("it is being read already")

// Add takes one row. An error is [ErrFull] if the disk has no room, or comes
// from ctx.
func (s *Scratch) Add(ctx context.Context, v Loose) error {
	if s.over != nil {
		return fmt.Errorf("add to scratch file: %w", s.over)
	}
	if s.arena == nil {
		s.arena = make([]byte, 0, s.limits.arena+largestBuffer) // the last row may be beyond the limit
	}
	at := int64(len(s.arena))
	s.arena = appendRecord(s.arena, v)
	s.places = append(s.places, stretch{at, int64(len(s.arena))})
	s.len++
	if len(s.arena) < s.limits.arena {
		return nil
	}
	return s.spill(ctx)
}

// Len returns how many rows were added.
func (s *Scratch) Len() int64 { return s.len }

// Close frees the space. Closing twice is safe.
func (s *Scratch) Close() error {
	if errors.Is(s.over, os.ErrClosed) {
		return nil
	}
	s.arena, s.places, s.over = nil, nil, os.ErrClosed
	return s.file.Close()
}

// Sorted yields all rows, by the bytes of [media.Normal] of their keys, then by
// side, then by the bytes of the keys themselves. It may be called more than
// once, and nothing can be added from then on. An error is the last thing it
// yields.
func (s *Scratch) Sorted(ctx context.Context) iter.Seq2[Loose, error] {
	return func(yield func(Loose, error) bool) {
		for rec, err := range s.sorted(ctx) {
			if err != nil {
				yield(Loose{}, failed("read scratch file", err))
				return
			}
			v, err := rec.loose()
			if !yield(v, failed("read scratch file", err)) || err != nil {
				return
			}
		}
	}
}

// sorted yields the rows as they are kept. Each is valid until the next.
func (s *Scratch) sorted(ctx context.Context) iter.Seq2[record, error] {
	if s.over == nil {
		s.over = errSorted // what is being read would lack the row
	}
	return func(yield func(record, error) bool) {
		if errors.Is(s.over, os.ErrClosed) {
			yield(nil, s.over)
			return
		}
		if len(s.runs) == 0 {
			s.sort()
			s.gathered(ctx)(yield)
			return
		}
		if len(s.places) > 0 {
			if err := s.spill(ctx); err != nil {
				yield(nil, err)
				return
			}
		}
		s.arena = nil
		s.merge(ctx)(yield)
	}
}

// gathered yields what is in the arena.
func (s *Scratch) gathered(ctx context.Context) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		for _, p := range s.places {
			if err := context.Cause(ctx); err != nil {
				yield(nil, err)
				return
			}
			if !yield(s.at(p), nil) {
				return
			}
		}
	}
}

func (s *Scratch) at(p stretch) record { return record(s.arena[p.at:p.end]) }

// sort sorts the places, not the rows.
func (s *Scratch) sort() {
	slices.SortFunc(s.places, func(a, b stretch) int {
		return cmp.Or(compareRecords(s.at(a), s.at(b)), cmp.Compare(a.at, b.at))
	})
}

// spill writes the arena away as one more run.
func (s *Scratch) spill(ctx context.Context) error {
	s.sort()
	var at int64
	if n := len(s.runs); n > 0 {
		at = s.runs[n-1].end
	}
	run, err := writeRun(s.file, at, s.gathered(ctx))
	if err != nil {
		return failed("write scratch file", err)
	}
	s.runs = append(s.runs, run)
	s.arena, s.places = s.arena[:0], s.places[:0]
	if len(s.runs) < s.limits.fewer {
		return nil
	}
	return failed("write scratch file", s.compact(ctx))
}

func writeRun(f *os.File, at int64, records iter.Seq2[record, error]) (stretch, error) {
	run := stretch{at, at}
	w := bufio.NewWriterSize(io.NewOffsetWriter(f, at), largestBuffer)
	for rec, err := range records {
		if err != nil {
			return run, err
		}
		if _, err := w.Write(rec); err != nil {
			return run, err
		}
		run.end += int64(len(rec))
	}
	return run, w.Flush()
}

// compact merges the runs into one, in another file, so that there are never so
// many that their read buffers would take up memory.
func (s *Scratch) compact(ctx context.Context) error {
	f, err := createUnlinked(s.dir)
	if err != nil {
		return err
	}
	run, err := writeRun(f, 0, s.merge(ctx))
	if err != nil {
		return errors.Join(err, f.Close())
	}
	old := s.file
	s.file, s.runs = f, []stretch{run}
	return old.Close()
}
