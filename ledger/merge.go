package ledger

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"iter"
)

// A cursor reads one run of a [Scratch].
type cursor struct {
	in   *bufio.Reader
	left int64 // bytes
	run  int   // earlier runs come first among equals
	row  record
}

var errNonsense = errors.New("a row makes no sense")

// next reads the next row. [io.EOF] is the end.
func (c *cursor) next() error {
	if c.left == 0 {
		return io.EOF
	}
	var head [recordHead]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		return noEOF(err)
	}
	n := int64(binary.LittleEndian.Uint32(head[:]))
	normal := int64(binary.LittleEndian.Uint32(head[4:]))
	if n > c.left || recordHead+normal > n {
		return errNonsense
	}
	c.left -= n
	if int64(cap(c.row)) < n {
		c.row = make(record, n, 2*n)
	}
	c.row = c.row[:n]
	copy(c.row, head[:])
	_, err := io.ReadFull(c.in, c.row[recordHead:])
	return noEOF(err)
}

// noEOF: the file ends before its run.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (c *cursor) less(d *cursor) bool {
	if order := compareRecords(c.row, d.row); order != 0 {
		return order < 0
	}
	return c.run < d.run
}

// merge yields the rows of all runs in order. Each is valid until the next.
func (s *Scratch) merge(ctx context.Context) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		h, err := s.openRuns()
		for ; err == nil && len(h) > 0; err = h.advance() {
			if err = context.Cause(ctx); err != nil {
				break
			}
			if !yield(h[0].row, nil) {
				return
			}
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

// heap has the cursor with the first row at the top.
type heap []*cursor

func (s *Scratch) openRuns() (heap, error) {
	var h heap
	size := min(max(s.limits.merge/len(s.runs), smallestBuffer), largestBuffer)
	for n, run := range s.runs {
		length := run.end - run.at
		c := &cursor{in: bufio.NewReaderSize(io.NewSectionReader(s.file, run.at, length), size), left: length, run: n}
		if err := c.next(); err != nil {
			return nil, err
		}
		h = append(h, c)
	}
	for n := len(h)/2 - 1; n >= 0; n-- {
		h.sink(n)
	}
	return h, nil
}

// advance goes on to the next row.
func (h *heap) advance() error {
	switch err := (*h)[0].next(); {
	case errors.Is(err, io.EOF):
		last := len(*h) - 1
		(*h)[0] = (*h)[last]
		*h = (*h)[:last]
	case err != nil:
		return err
	}
	h.sink(0)
	return nil
}

func (h heap) sink(n int) {
	for {
		first := n
		for child := 2*n + 1; child <= 2*n+2 && child < len(h); child++ {
			if h[child].less(h[first]) {
				first = child
			}
		}
		if first == n {
			return
		}
		h[n], h[first] = h[first], h[n]
		n = first
	}
}
