package r2

import (
	"context"
	"errors"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"example.org/mediamove/costs"
	"example.org/mediamove/media"
)

// Get opens an object for reading (one Class B). The reader holds a slot of
// the pace until it is closed, and ends in io.ErrUnexpectedEOF if fewer or
// more bytes come than the answer promised. An answer without a length is an
// error: a cut would look like the end. The Head is what this answer said of
// the object, so it belongs to the very bytes that follow.
func (b *Bucket) Get(ctx context.Context, key media.Key) (io.ReadCloser, Head, error) {
	g := &getting{b: b, ctx: ctx, key: key}
	if err := b.run(ctx, &job{op: costs.GetObject, key: key, send: g.send, holds: g.hold}); err != nil {
		return nil, Head{}, err
	}
	return g, g.head, nil
}

// A getting is one Get, and then its body.
type getting struct {
	b     *Bucket
	ctx   context.Context
	key   media.Key
	head  Head
	body  io.ReadCloser
	exact exactly
	slot  *ticket
	err   error // the last of Read
}

func (g *getting) send(ctx context.Context) (int64, error) {
	out, err := g.b.api.GetObject(ctx, &s3.GetObjectInput{Bucket: &g.b.name, Key: aws.String(g.b.objectKey(g.key))})
	if err != nil {
		return 0, err
	}
	g.body = out.Body
	g.head, err = headOf(g.key, &s3.HeadObjectOutput{
		ETag: out.ETag, ContentLength: out.ContentLength, LastModified: out.LastModified,
		ContentType: out.ContentType, CacheControl: out.CacheControl,
		Metadata: out.Metadata, ResultMetadata: out.ResultMetadata,
	})
	if err != nil {
		_ = out.Body.Close()
	}
	g.exact = exactly{out.Body, g.head.Size}
	return 0, err
}

func (g *getting) hold(t *ticket) { g.slot = t }

// Read implements io.Reader.
func (g *getting) Read(p []byte) (int, error) {
	if g.err != nil {
		return 0, g.err
	}
	n, err := g.exact.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = &Error{Op: costs.GetObject, Key: g.key, Err: g.b.told(err)}
	}
	g.err = err
	return n, err
}

// Close ends the request and frees its slot.
func (g *getting) Close() error {
	if g.slot == nil {
		return nil
	}
	out := outcomeOK
	if g.err != nil && !errors.Is(g.err, io.EOF) {
		out = outcomeFailed
		if g.ctx.Err() != nil {
			out = outcomeNeutral
		}
	}
	g.slot.done(out, g.head.Size-g.exact.left)
	g.slot = nil
	return g.body.Close()
}

// An exactly reader wants neither fewer nor more bytes than were announced.
type exactly struct {
	body io.Reader
	left int64
}

func (e *exactly) Read(p []byte) (int, error) {
	n, err := e.body.Read(p)
	e.left -= int64(n)
	if e.left < 0 || err == io.EOF && e.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}
