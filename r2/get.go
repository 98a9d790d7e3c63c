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
	return b.get(&getting{b: b, ctx: ctx, key: key})
}

// GetMatching is [Bucket.Get] of the object with this ETag (unquoted, not ""):
// [ErrChanged] if another one stands there (412), or none (404: it is
// [ErrNotFound] too). A server that doesn't look at the condition gets the same
// answer, from the ETag it sends.
func (b *Bucket) GetMatching(ctx context.Context, key media.Key, etag string) (io.ReadCloser, Head, error) {
	changed := &Error{Op: costs.GetObject, Key: key, Err: ErrChanged}
	if etag == "" {
		changed.Err = errors.New("no ETag to match")
		return nil, Head{}, changed
	}
	r, h, err := b.get(&getting{b: b, ctx: ctx, key: key, match: etag})
	if err == nil && h.ETag != etag {
		_ = r.Close()
		return nil, Head{}, changed
	}
	return r, h, err
}

func (b *Bucket) get(g *getting) (io.ReadCloser, Head, error) {
	j := &job{op: costs.GetObject, key: g.key, send: g.send, holds: g.hold}
	if g.match != "" {
		j.condition = refusal(g.match)
	}
	if err := b.run(g.ctx, j); err != nil {
		return nil, Head{}, err
	}
	return g, g.head, nil
}

// A getting is one Get, and then its body.
type getting struct {
	b     *Bucket
	ctx   context.Context
	key   media.Key
	match string // the ETag that is wanted; "": any
	head  Head
	body  io.ReadCloser
	exact exactly
	slot  *ticket
	err   error // the last of Read
}

func (g *getting) send(ctx context.Context) (int64, error) {
	in := &s3.GetObjectInput{Bucket: &g.b.name, Key: aws.String(g.b.objectKey(g.key))}
	if g.match != "" {
		in.IfMatch = aws.String(`"` + g.match + `"`)
	}
	out, err := g.b.api.GetObject(ctx, in)
	if err != nil {
		return 0, err
	}
	g.body = out.Body
	g.head, err = headOf(ctx, g.key, &s3.HeadObjectOutput{
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
