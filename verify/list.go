package verify

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"math"

	"example.org/mediamove/media"
)

// ErrList marks a list that mediamove did not write, or that is not the one of its
// certificate: altered, cut, or swapped with another one.
var ErrList = errors.New("not the list that was certified")

// listHeader is a list's first line, one more comment to sha256sum.
const listHeader = "# mediamove list 1: compare a disk with it in public/system by: sha256sum --quiet -c THIS-FILE\n"

// listBuffer is longer than any line, so that no line needs memory of its own.
const listBuffer = 64 << 10

// A ListWriter writes the list of a certificate, which sha256sum -c understands.
// An error stays: a list with a gap is never closed without one.
type ListWriter struct {
	out   *bufio.Writer
	sum   hash.Hash
	line  []byte
	tally tally
	err   error
}

// NewListWriter begins a list. Nothing of it is sure to be in w before
// [ListWriter.Close].
func NewListWriter(w io.Writer) *ListWriter {
	l := &ListWriter{sum: sha256.New()}
	l.out = bufio.NewWriterSize(io.MultiWriter(w, l.sum), listBuffer)
	l.write([]byte(listHeader))
	return l
}

func (l *ListWriter) write(b []byte) {
	if _, err := l.out.Write(b); err != nil {
		l.err = fmt.Errorf("write list: %w", err)
	}
}

// Add writes c. Keys come in byte order, certified and excepted ones together, and
// each must pass [media.CheckKey]. What is certified has an ETag and a SHA-256.
func (l *ListWriter) Add(c Certified) error {
	if l.err != nil {
		return l.err
	}
	if why := l.tally.add(&c); why != "" {
		l.err = fmt.Errorf("add %q to the list: %s", c.Key, why)
		return l.err
	}
	l.line = c.appendNote(l.line[:0])
	if c.Except == "" {
		l.line = c.appendSum(l.line)
	}
	l.write(l.line)
	return l.err
}

var errListClosed = errors.New("the list is closed")

// Close writes what is buffered and leaves the writer below open. It returns the
// SHA-256 of the list and its number of lines, as sha256sum and wc -l have them.
func (l *ListWriter) Close() (sum [32]byte, lines int64, err error) {
	if l.err != nil {
		return sum, 0, l.err
	}
	if err := l.out.Flush(); err != nil {
		l.err = fmt.Errorf("write list: %w", err)
		return sum, 0, l.err
	}
	l.err = errListClosed
	return [32]byte(l.sum.Sum(nil)), l.tally.lines(), nil
}

// ReadList reads what a [ListWriter] wrote, in constant memory. Whatever it would
// not have written byte for byte is an [ErrList], which ends the sequence. A list
// that was cut between two objects looks whole here; [OpenCertificate] finds it.
func ReadList(r io.Reader) iter.Seq2[Certified, error] {
	return readList(r, &tally{})
}

func readList(r io.Reader, t *tally) iter.Seq2[Certified, error] {
	return func(yield func(Certified, error) bool) {
		l := &listReader{in: bufio.NewReaderSize(r, listBuffer), tally: t}
		switch line, err := l.next(); {
		case err != nil && !errors.Is(err, io.EOF):
			yield(Certified{}, err)
			return
		case string(line) != listHeader:
			yield(Certified{}, l.fault("not the first line of a list"))
			return
		}
		l.objects(yield)
	}
}

// listReader reads a list line by line.
type listReader struct {
	in     *bufio.Reader
	number int64 // of the line
	again  []byte
	tally  *tally
}

func (l *listReader) fault(why string) error {
	return fmt.Errorf("read list: line %d: %s: %w", l.number, why, ErrList)
}

// objects yields until the end or an error.
func (l *listReader) objects(yield func(Certified, error) bool) {
	for {
		c, err := l.object()
		if errors.Is(err, io.EOF) {
			return
		}
		if err == nil {
			if why := l.tally.add(&c); why != "" {
				err = l.fault(why)
			}
		}
		if err != nil {
			yield(Certified{}, err)
			return
		}
		if !yield(c, nil) {
			return
		}
	}
}

// object reads one object; [io.EOF] is the end. Printing the object again must give
// the same lines: that finds capital digits, needless escapes, signs and all else
// that is odd.
func (l *listReader) object() (c Certified, err error) {
	line, err := l.next()
	if err != nil {
		return c, err
	}
	if err := c.parseNote(line[:len(line)-1]); err != nil {
		return c, l.fault(err.Error())
	}
	if l.again = c.appendNote(l.again[:0]); !bytes.Equal(l.again, line) {
		return c, l.fault("not as mediamove writes it")
	}
	if c.Except != "" {
		return c, nil
	}
	line, err = l.next()
	if errors.Is(err, io.EOF) {
		return c, l.fault("missing")
	} else if err != nil {
		return c, err
	}
	if err := c.parseSum(line[:len(line)-1]); err != nil {
		return c, l.fault(err.Error())
	}
	if l.again = c.appendSum(l.again[:0]); !bytes.Equal(l.again, line) {
		return c, l.fault("not as mediamove writes it")
	}
	return c, nil
}

// next returns a line with its end, valid until the next call. The plain [io.EOF]
// comes between two lines only.
func (l *listReader) next() ([]byte, error) {
	l.number++
	line, err := l.in.ReadSlice('\n')
	switch {
	case err == nil:
		return line, nil
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, l.fault("too long")
	case !errors.Is(err, io.EOF):
		return nil, fmt.Errorf("read list: line %d: %w", l.number, err)
	case len(line) > 0:
		return nil, l.fault("cut off")
	}
	return nil, io.EOF
}

// A tally adds a list up.
type tally struct {
	last              media.Key
	objects, bytes    int64
	adopted           int64
	rewritten, absent int64
	classes           map[Class]ClassTotal
}

// add books c, or says why it can't. By the order no key stands in a list twice.
func (t *tally) add(c *Certified) string {
	why := c.fault()
	switch {
	case why != "":
		return why
	case c.Key <= t.last:
		return "not after the one before, in the order of bytes"
	case t.bytes > math.MaxInt64-c.Size:
		return "more bytes than there can be"
	}
	t.last = c.Key
	switch c.Except {
	case ExceptRewritten:
		t.rewritten++
	case ExceptAbsent:
		t.absent++
	default:
		t.book(c)
	}
	return ""
}

func (t *tally) book(c *Certified) {
	t.objects++
	t.bytes += c.Size
	if c.Adopted {
		t.adopted++
	}
	if t.classes == nil {
		t.classes = make(map[Class]ClassTotal)
	}
	k := ClassOf(c.Key)
	row := t.classes[k]
	t.classes[k] = ClassTotal{k.Class, k.Cached, row.Objects + 1, row.Bytes + c.Size}
}

// lines returns how many lines a list of these objects has.
func (t *tally) lines() int64 { return listLines(t.objects, t.rewritten+t.absent) }

func listLines(objects, exceptions int64) int64 { return 1 + 2*objects + exceptions }
