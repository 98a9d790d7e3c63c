package uploader

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"sync"

	md5simd "github.com/minio/md5-simd"
	"golang.org/x/sync/errgroup"
)

const (
	// hashLanes is how many MD5 streams are computed side by side. The SIMD code
	// works on 16 at once; twice as many keep it fed while others read.
	hashLanes = 32
	// chunk is the buffer in which larger files are read for hashing.
	chunk = 128 << 10
)

// A hasher computes MD5 (what the bucket checks) and SHA-256 (what we keep as
// evidence). Many workers hash at once, so the MD5s run in SIMD lanes: on one
// core that is several times faster than one after the other.
type hasher struct {
	server md5simd.Server // nil: no lanes
	free   chan md5simd.Hasher
	bufs   sync.Pool
}

// newHasher makes the lanes. Plain ones are the standard library's: the lanes'
// goroutine and its pooled channels don't fit into a synctest bubble.
func newHasher(plain bool) *hasher {
	h := &hasher{
		free: make(chan md5simd.Hasher, hashLanes),
		bufs: sync.Pool{New: func() any { return new([chunk]byte) }},
	}
	if !plain {
		h.server = md5simd.NewServer()
	}
	for range hashLanes {
		if plain {
			h.free <- plainMD5{md5.New()}
		} else {
			h.free <- h.server.NewHash()
		}
	}
	return h
}

type plainMD5 struct{ hash.Hash }

func (plainMD5) Close() {}

// close ends the lanes. No hash may be under way.
func (h *hasher) close() {
	for range hashLanes {
		(<-h.free).Close()
	}
	if h.server != nil {
		h.server.Close()
	}
}

type digests struct {
	md5    [16]byte
	sha256 [32]byte
	parts  [][16]byte // MD5 of each part, for uploads in parts
}

// bytes hashes data that is already in memory.
func (h *hasher) bytes(data []byte) (d digests) {
	m := <-h.free
	defer func() { h.free <- m }()
	m.Reset()
	_, _ = m.Write(data) // a hash's Write never fails
	d.sha256 = sha256.Sum256(data)
	m.Sum(d.md5[:0])
	return d
}

// stream hashes size bytes of r. It is an error if r holds fewer.
func (h *hasher) stream(ctx context.Context, r io.ReaderAt, size int64) (d digests, err error) {
	m := <-h.free
	defer func() { h.free <- m }()
	m.Reset()
	s := sha256.New()
	if err := h.copy(ctx, io.MultiWriter(m, s), io.NewSectionReader(r, 0, size), size); err != nil {
		return digests{}, err
	}
	m.Sum(d.md5[:0])
	s.Sum(d.sha256[:0])
	return d, nil
}

// inParts hashes a file that will travel in parts: SHA-256 of the whole and the
// MD5 of every part, many parts at a time. The MD5 of the whole is left out: it
// can't be computed side by side, nothing checks it, and it would cost more time
// than everything else together.
func (h *hasher) inParts(ctx context.Context, r io.ReaderAt, size, partSize int64) (digests, error) {
	var d digests
	d.parts = make([][16]byte, (size+partSize-1)/partSize)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(1 + hashLanes/2) // leaves lanes to the other workers
	g.Go(func() error {
		s := sha256.New()
		err := h.copy(gctx, s, io.NewSectionReader(r, 0, size), size)
		s.Sum(d.sha256[:0])
		return err
	})
	for i := range d.parts {
		g.Go(func() error {
			off := int64(i) * partSize
			n := min(partSize, size-off)
			m := <-h.free
			defer func() { h.free <- m }()
			m.Reset()
			err := h.copy(gctx, m, io.NewSectionReader(r, off, n), n)
			m.Sum(d.parts[i][:0])
			return err
		})
	}
	return d, g.Wait()
}

func (h *hasher) copy(ctx context.Context, w io.Writer, r io.Reader, size int64) error {
	buf := h.bufs.Get().(*[chunk]byte)
	defer h.bufs.Put(buf)
	var done int64
	for done < size {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		n, err := io.ReadFull(r, buf[:min(chunk, size-done)])
		_, _ = w.Write(buf[:n])
		done += int64(n)
		if err != nil {
			return fmt.Errorf("read at byte %d of %d: %w", done, size, err)
		}
	}
	return nil
}
