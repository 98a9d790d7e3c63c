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
// error: a cut would look like the end.
func (b *Bucket) Get(ctx context.Context, key media.Key) (io.ReadCloser, Object, error) {
	g := &getting{b: b, ctx: ctx, key: key}
	if err := b.run(ctx, &job{op: costs.GetObject, key: key, send: g.send, holds: g.hold}); err != nil {
		return nil, Object{}, err
	}
	return g, g.obj, nil
}

// A getting is one Get, and then its body.
type getting struct {
	b    *Bucket
	ctx  context.Context
	key  media.Key
	obj  Object
	body io.ReadCloser
	slot *ticket
	read int64
	err  error // the last of Read
}

func (g *getting) send(ctx context.Context) (int64, error) {
	out, err := g.b.api.GetObject(ctx, &s3.GetObjectInput{Bucket: &g.b.name, Key: aws.String(g.b.objectKey(g.key))})
	if err != nil {
		return 0, err
	}
	g.body = out.Body
	g.obj = Object{Key: g.key, ETag: unquote(aws.ToString(out.ETag)), Size: aws.ToInt64(out.ContentLength)}
	if out.LastModified != nil {
		g.obj.LastModified = *out.LastModified
	}
	switch {
	case g.obj.ETag == "":
		err = oddAnswer("no ETag")
	case out.ContentLength == nil || *out.ContentLength < 0:
		err = oddAnswer("no Content-Length")
	}
	if err != nil {
		_ = out.Body.Close()
	}
	return 0, err
}

func (g *getting) hold(t *ticket) { g.slot = t }

// Read implements io.Reader.
func (g *getting) Read(p []byte) (int, error) {
	if g.err != nil {
		return 0, g.err
	}
	n, err := g.body.Read(p)
	g.read += int64(n)
	if err == io.EOF && g.read == g.obj.Size {
		g.err = io.EOF
		return n, io.EOF
	}
	// More than announced is as wrong as less.
	if err == io.EOF || g.read > g.obj.Size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		g.err = &Error{Op: costs.GetObject, Key: g.key, Err: g.b.told(err)}
	}
	return n, g.err
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
	g.slot.done(out, g.read)
	g.slot = nil
	return g.body.Close()
}
