package trash

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// A Putter stores objects ([r2.Bucket]).
type Putter interface {
	Put(ctx context.Context, u r2.Upload) (r2.Stored, error)
	PutLarge(ctx context.Context, l r2.Large) (r2.Stored, error)
	Head(ctx context.Context, key media.Key) (r2.Head, error)
}

// Restored tells of an object that is back.
type Restored struct {
	ETag  string // it has now: the old one, unless nobody can tell how its parts were cut
	Found bool   // the very same bytes stood there already
}

// PutBack stores an object of the trash in the bucket again, with the headers that it
// had, if its key is free. The copy stays in the trash. One Class A, more if it
// goes in parts: when it is larger than [r2.SinglePutMax] or its ETag says that it did before.
//
// ErrTaken: another object stands there. ErrDamaged and ErrUnknown: nothing was sent.
// Else the errors of [r2.Bucket.Put].
func (s *Store) PutBack(ctx context.Context, b Putter, name string) (Restored, error) {
	r, err := s.putBack(ctx, b, name)
	if err != nil {
		return Restored{}, fmt.Errorf("put back: %w", err)
	}
	return r, nil
}

func (s *Store) putBack(ctx context.Context, b Putter, name string) (_ Restored, err error) {
	m, err := s.meta(name)
	if err != nil {
		return Restored{}, err
	}
	f, err := s.root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return Restored{}, fmt.Errorf("%s: %w", name, ErrUnknown)
	}
	if err != nil {
		return Restored{}, unreadable(name, err)
	}
	defer func() { _ = f.Close() }() // only read
	if err := m.holds(f); err != nil {
		return Restored{}, unreadable(name, err)
	}
	p := putting{s: s, b: b, name: name, m: &m, f: f}
	stored, err := p.send(ctx)
	switch {
	case errors.Is(err, r2.ErrExists):
		return p.compare(ctx)
	case errors.Is(err, r2.ErrSource):
		return Restored{}, unreadable(name, err)
	}
	return Restored{ETag: stored.ETag, Found: stored.Found}, err
}

// holds reads all of f and holds it against what was put into the trash.
func (m *Meta) holds(f *os.File) error {
	h := newSums()
	n, err := io.Copy(h, f)
	if err != nil {
		return err
	}
	if sum5, sum := h.values(); n != m.Object.Size || sum != m.SHA256 || sum5 != m.MD5 {
		return fmt.Errorf("%d bytes that aren't the %d that were put there", n, m.Object.Size)
	}
	return nil
}

// A putting is one object on its way back.
type putting struct {
	s    *Store
	b    Putter
	name string
	m    *Meta
	f    *os.File
}

func (p *putting) send(ctx context.Context) (r2.Stored, error) {
	u := r2.Upload{
		Key: p.m.Object.Key, Size: p.m.Object.Size, MD5: p.m.MD5, SHA256: p.m.SHA256, Header: p.m.Header, Body: p.f,
	}
	size, parts, err := partsFor(p.m.Object.ETag, u.Size, p.f)
	switch {
	case err != nil:
		return r2.Stored{}, unreadable(p.name, err)
	case parts == nil:
		return p.b.Put(ctx, u)
	case p.s.opt.Parts == nil:
		return r2.Stored{}, fmt.Errorf("%q goes in parts, and nobody notes them", u.Key)
	}
	return p.b.PutLarge(ctx, r2.Large{
		Upload: u, PartSize: size, PartMD5: parts,
		Started: func(ctx context.Context, id string) error { return p.s.opt.Parts.Started(ctx, u.Key, id) },
		Ended:   p.s.opt.Parts.Ended,
	})
}

// compare tells whether what stands there has our bytes.
func (p *putting) compare(ctx context.Context) (Restored, error) {
	h, err := p.b.Head(ctx, p.m.Object.Key)
	if err != nil {
		return Restored{}, err
	}
	old := p.m.Object
	same := h.ETag == old.ETag
	if !same && h.Size == old.Size {
		// The same bytes sent in other parts have another ETag.
		if same, _, err = r2.SameBytes(h.ETag, h.Size, p.m.MD5, p.f); err != nil {
			return Restored{}, unreadable(p.name, err)
		}
	}
	if !same || h.Size != old.Size {
		return Restored{}, fmt.Errorf("%q, %d bytes of %s: %w", old.Key, h.Size, h.LastModified.UTC().Format(time.RFC3339), ErrTaken)
	}
	return Restored{ETag: h.ETag, Found: true}, nil
}
