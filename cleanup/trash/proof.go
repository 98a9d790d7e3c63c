package trash

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"example.org/mediamove/r2"
)

// A copier fetches one object and proves that its copy is it.
type copier struct {
	g      Getter
	it     Item
	head   r2.Head
	md5    [16]byte
	sha256 [32]byte
}

// fetch copies the object into d.
func (c *copier) fetch(ctx context.Context, d *draft) (err error) {
	c.head, err = c.read(ctx, d)
	c.md5, c.sha256 = d.hash.values()
	return err
}

// read copies the object, which must be the one that was judged and of its size.
func (c *copier) read(ctx context.Context, w io.Writer) (_ r2.Head, err error) {
	body, head, err := c.g.GetMatching(ctx, c.it.Object.Key, c.it.Object.ETag)
	if err != nil {
		return head, err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	switch want := c.it.Object; {
	case head.ETag != want.ETag: // a server that takes If-Match for decoration
		return head, fmt.Errorf("%w: its ETag is %q", r2.ErrChanged, head.ETag)
	case head.Size != want.Size:
		return head, fmt.Errorf("%w: it has %d bytes and not %d", ErrUnproven, head.Size, want.Size)
	}
	// One byte more than there may be: no answer fills the disk.
	n, err := io.Copy(w, io.LimitReader(body, head.Size+1))
	if err == nil && n != head.Size {
		err = fmt.Errorf("%w: %d bytes came of %d", ErrUnproven, n, head.Size)
	}
	return head, err
}

// prove shows that the copy in f is the object, by its ETag or else by a SHA-256
// that somebody noted when it was stored, or else by reading it again.
func (c *copier) prove(ctx context.Context, f io.ReaderAt) error {
	if known := c.it.SHA256; known != nil && *known != c.sha256 {
		return fmt.Errorf("%w: its SHA-256 isn't the recorded one", ErrUnproven)
	}
	same, certain, err := r2.SameBytes(c.it.Object.ETag, c.it.Object.Size, c.md5, f)
	switch noted := c.head.SHA256; {
	case err != nil:
		return disk(err)
	case certain && !same:
		return fmt.Errorf("%w: its MD5 isn't its ETag", ErrUnproven)
	case same, c.it.SHA256 != nil, noted == c.sha256:
		return nil
	case noted != [32]byte{}:
		return fmt.Errorf("%w: its SHA-256 isn't the one in its metadata", ErrUnproven)
	}
	return c.reread(ctx)
}

// reread fetches the object again: what comes the same twice was not garbled on its way.
func (c *copier) reread(ctx context.Context) error {
	h := newSums()
	if _, err := c.read(ctx, h); err != nil {
		return err
	}
	if _, sum := h.values(); sum != c.sha256 {
		return fmt.Errorf("%w: it reads differently each time", ErrUnproven)
	}
	return nil
}

func (c *copier) meta(now time.Time) Meta {
	return Meta{Run: c.it.Run, Object: c.it.Object, MD5: c.md5, SHA256: c.sha256, Header: c.head.Header, Trashed: now}
}
