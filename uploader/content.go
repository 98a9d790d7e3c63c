package uploader

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// maxInMemory is the size up to which a file is read once and sent from memory.
// Larger ones are read twice, through the page cache: to hash and to send.
const maxInMemory = 1 << 20

// buffers are pooled by size, so that a thousand small files do not each take the
// largest.
type buffers struct{ pools [9]sync.Pool }

// bufferSize doubles from 4 KiB to 1 MiB. Coarser steps would hold twice the memory
// for the same files.
func bufferSize(class int) int64 {
	if size := int64(4<<10) << class; size < maxInMemory {
		return size
	}
	return maxInMemory + 1
}

func newBuffers() *buffers {
	b := &buffers{}
	for i := range b.pools {
		size := bufferSize(i)
		b.pools[i].New = func() any { s := make([]byte, size); return &s }
	}
	return b
}

// class is the smallest pool whose buffers hold n bytes and one more: the extra
// byte shows a file that grew.
func class(n int64) int {
	c := 0
	for n >= bufferSize(c) {
		c++
	}
	return c
}

// load reads and hashes a file.
func (u *Uploader) load(ctx context.Context, src *os.File, f media.File) (*content, error) {
	c := &content{file: f, src: src}
	if f.Size <= maxInMemory {
		if err := u.loadSmall(ctx, c); err != nil {
			return nil, err
		}
	} else if err := u.loadLarge(ctx, c); err != nil {
		return nil, err
	}
	c.contentType, c.typed = media.ContentType(f.Key, c.head)
	return c, nil
}

func (u *Uploader) loadSmall(ctx context.Context, c *content) error {
	i := class(c.file.Size)
	weight := bufferSize(i)
	if err := u.bytes.Acquire(ctx, weight); err != nil {
		return err
	}
	buf := u.buffers.pools[i].Get().(*[]byte)
	c.free = func() {
		u.buffers.pools[i].Put(buf)
		u.bytes.Release(weight)
	}
	n, err := io.ReadFull(c.src, (*buf)[:c.file.Size+1])
	switch {
	case err == nil, n < int(c.file.Size) && errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF) && c.file.Size > 0:
		err = errMoved // grew, or shrank
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		err = c.verifyUnchanged()
	}
	if err != nil {
		c.free()
		return fmt.Errorf("read %s: %w", c.file.Key, err)
	}
	data := (*buf)[:n]
	c.sums = u.hash.bytes(data)
	c.body, c.head = bytes.NewReader(data), data[:min(n, media.SniffLen)]
	return nil
}

func (u *Uploader) loadLarge(ctx context.Context, c *content) (err error) {
	if c.file.Size > r2.SinglePutMax {
		c.partSize = r2.PartSize(c.file.Size)
	}
	c.body = c.src
	return c.rehash(ctx, u)
}

// rehash reads the file again, from disk.
func (c *content) rehash(ctx context.Context, u *Uploader) (err error) {
	if c.file.Size <= maxInMemory {
		return c.verifyUnchanged() // the bytes are in memory: what was hashed is what is sent
	}
	// Each reader has a chunk in memory: that counts like the content of small files.
	weight := int64(chunk)
	if c.partSize > 0 {
		weight = (1 + hashLanes/2) * chunk
	}
	if err := u.bytes.Acquire(ctx, weight); err != nil {
		return err
	}
	defer u.bytes.Release(weight)
	if c.partSize > 0 {
		c.sums, err = u.hash.inParts(ctx, c.src, c.file.Size, c.partSize)
	} else {
		c.sums, err = u.hash.stream(ctx, c.src, c.file.Size)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errMoved // shrank
	}
	if err == nil {
		err = c.verifyUnchanged()
	}
	if err != nil {
		return fmt.Errorf("hash %s: %w", c.file.Key, err)
	}
	head := make([]byte, media.SniffLen)
	n, err := c.src.ReadAt(head, 0)
	c.head = head[:n]
	return err
}
