package r2

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
)

// A payload is one attempt's view of the caller's bytes. Once shut it never
// touches them again, though net/http may still hold it: a pooled buffer
// would otherwise be sent with the next file's bytes in it.
type payload struct {
	mu  sync.Mutex
	src *io.SectionReader // nil: shut
	err error             // why the caller's bytes couldn't be read
}

var errShut = errors.New("attempt is over")

func newPayload(r io.ReaderAt, off, n int64) *payload {
	return &payload{src: io.NewSectionReader(r, off, n)}
}

// Read implements io.Reader. An end before its time is an error: net/http
// would wait for more or send less than was promised.
func (p *payload) Read(buf []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.src == nil {
		return 0, errShut
	}
	n, err := p.src.Read(buf)
	if err == io.EOF && p.left() > 0 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil && err != io.EOF {
		p.err = fmt.Errorf("%w: %w", ErrSource, err)
		err = p.err
	}
	return n, err
}

func (p *payload) left() int64 {
	at, _ := p.src.Seek(0, io.SeekCurrent)
	return p.src.Size() - at
}

// Seek implements io.Seeker; the SDK measures a part with it.
func (p *payload) Seek(off int64, whence int) (int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.src == nil {
		return 0, errShut
	}
	return p.src.Seek(off, whence)
}

// Close shuts p. It waits for a Read that is under way.
func (p *payload) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.src = nil
	return nil
}

// local is ErrSource if the caller's bytes were at fault.
func (p *payload) local() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// A limited payload goes no faster than the bandwidth allows.
type limited struct {
	io.Reader
	p *payload
}

func (l *limited) Seek(off int64, whence int) (int64, error) { return l.p.Seek(off, whence) }
func (l *limited) Close() error                              { return l.p.Close() }

// throttled returns p as the body of a request, within the bandwidth.
func (b *Bucket) throttled(ctx context.Context, p *payload) io.ReadSeekCloser {
	if b.band == nil {
		return p
	}
	return &limited{b.band.reader(ctx, p), p}
}

// smallBody is the largest body that is copied before it is sent. net/http
// sends headers and body in one write only if it knows the body to be in
// memory, and most media are small. Every connection has a buffer of this size.
const smallBody = 32 << 10

// A parcel is the body of one PUT, ready to go.
type parcel struct {
	reader io.ReadCloser
	src    *payload
	buf    *[]byte // nil: streamed
}

// pack reads a small body at once, so that a file that shrank costs no
// request; a larger one is streamed.
func (b *Bucket) pack(ctx context.Context, u *Upload) (*parcel, error) {
	src := newPayload(u.Body, 0, u.Size)
	body := b.throttled(ctx, src)
	if u.Size > smallBody {
		return &parcel{reader: body, src: src}, nil
	}
	defer func() { _ = src.Close() }()
	buf, ok := b.buffers.Get().(*[]byte)
	if !ok || int64(cap(*buf)) < u.Size {
		buf = new(make([]byte, min(smallBody, (u.Size|0xfff)+1)))
	}
	*buf = (*buf)[:u.Size]
	if _, err := io.ReadFull(body, *buf); err != nil {
		if local := src.local(); local != nil {
			err = local
		}
		return nil, err
	}
	return &parcel{reader: io.NopCloser(bytes.NewReader(*buf)), src: src, buf: buf}, nil
}

// failed tells what made the request fail: err, or our own bytes.
func (p *parcel) failed(err error) error {
	p.shut()
	if local := p.src.local(); local != nil {
		return local
	}
	return err
}

// shut keeps the transport from reading the caller's bytes any more.
func (p *parcel) shut() { _ = p.src.Close() }

// recycle gives the buffer back. Only after a proven success: after anything
// else the transport may still hold it.
func (p *parcel) recycle(pool *sync.Pool) {
	if p.buf != nil {
		pool.Put(p.buf)
	}
}
