package verify

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// fetched is an object that was read to its end.
type fetched struct {
	head   r2.Head
	size   int64
	md5    [16]byte
	sha256 [32]byte
	first  []byte // the first bytes, for its type
}

// readTries is how often an object is read before it counts as unreadable. The
// requests themselves are repeated below; this is for answers that break off.
const readTries = 3

// fetch reads one object whole (one Class B for each try).
func (v *Verifier) fetch(ctx context.Context, k media.Key) (got fetched, err error) {
	for try := 1; ; try++ {
		if got, err = v.fetchOnce(ctx, k); err == nil || ctx.Err() != nil || try == readTries || !worthAnother(err) {
			return got, err
		}
		select {
		case <-time.After(v.Wait << (try - 1)):
		case <-ctx.Done():
			return got, context.Cause(ctx)
		}
	}
}

// worthAnother reports whether the same request may end otherwise.
func worthAnother(err error) bool {
	return !errors.Is(err, r2.ErrNotFound) && !errors.Is(err, r2.ErrTransient) && !r2.Stops(err)
}

func (v *Verifier) fetchOnce(ctx context.Context, k media.Key) (got fetched, err error) {
	body, head, err := v.Bucket.Get(ctx, k)
	if err != nil {
		return got, fmt.Errorf("read back %s: %w", k, err)
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	got, err = v.digest(body)
	got.head = head
	if err != nil {
		return got, fmt.Errorf("read back %s: %w", k, err)
	}
	return got, nil
}

// digest reads r to its end.
func (v *Verifier) digest(r io.Reader) (got fetched, err error) {
	buf := v.buffers.Get().(*[readBuffer]byte)
	defer v.buffers.Put(buf)
	n, err := io.ReadFull(r, buf[:media.SniffLen])
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return got, err
	}
	long, weak := sha256.New(), md5.New()
	to := &metered{io.MultiWriter(long, weak), v}
	_, _ = to.Write(buf[:n]) // a hash's Write never fails
	got.first, got.size = slices.Clone(buf[:n]), int64(n)
	// The reader itself knows whether that was all: asked again it says so, or fails.
	more, err := io.CopyBuffer(to, r, buf[:])
	if got.size += more; err != nil {
		return got, err
	}
	got.sha256, got.md5 = [32]byte(long.Sum(nil)), [16]byte(weak.Sum(nil))
	return got, nil
}

// readBuffer is what each reader has in memory of its object, in bytes.
const readBuffer = 128 << 10

// metered lets the progress follow a large object.
type metered struct {
	io.Writer
	v *Verifier
}

func (m *metered) Write(p []byte) (int, error) {
	m.v.stats.readBytes.Add(int64(len(p)))
	return m.Writer.Write(p)
}
