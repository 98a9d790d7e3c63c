package r2

import (
	"context"
	"iter"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"example.org/mediamove/costs"
	"example.org/mediamove/media"
)

// List yields the objects below prefix in key order, a page of 1,000 per
// Class A. It never ends early without an error: a listing that is not
// credible in every page must not look like a short one.
func (b *Bucket) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		l := &listing{b: b, prefix: b.below(prefix)}
		for more := true; more; {
			objs, err := l.page(ctx, 1000)
			if err != nil {
				yield(Object{}, err)
				return
			}
			for _, o := range objs {
				if !yield(o, nil) {
					return
				}
			}
			more = l.token != ""
		}
	}
}

// Page returns the first limit objects (1 to 1,000) and whether there are more:
// one Class A, to see what kind of bucket this is.
func (b *Bucket) Page(ctx context.Context, limit int) (objs []Object, more bool, err error) {
	l := &listing{b: b, prefix: b.below("")}
	objs, err = l.page(ctx, limit)
	return objs, l.token != "", err
}

// below returns the full prefix of what lies below prefix.
func (b *Bucket) below(prefix string) string {
	if b.prefix == "" {
		return prefix
	}
	return b.prefix + "/" + prefix
}

// A listing is one walk over the pages.
type listing struct {
	b      *Bucket
	prefix string
	token  string // of the next page; "" at the start and the end
	last   string // the last key seen, as it is in the bucket
}

func (l *listing) page(ctx context.Context, limit int) (objs []Object, err error) {
	in := &s3.ListObjectsV2Input{
		Bucket:       &l.b.name,
		MaxKeys:      aws.Int32(int32(min(limit, 1000))),
		EncodingType: types.EncodingTypeUrl, // one control character in a key would make the whole page unreadable
	}
	if l.prefix != "" {
		in.Prefix = &l.prefix
	}
	if l.token != "" {
		in.ContinuationToken = &l.token
	}
	err = l.b.run(ctx, &job{op: costs.ListObjects, send: func(ctx context.Context) (int64, error) {
		out, err := l.b.api.ListObjectsV2(ctx, in)
		if err != nil {
			return 0, err
		}
		objs, err = l.take(out)
		return 0, err
	}})
	return objs, err
}

// take checks a page and moves on only if all of it is credible. The SDK
// takes any XML, and HTML too, for an empty bucket.
func (l *listing) take(out *s3.ListObjectsV2Output) ([]Object, error) {
	next := aws.ToString(out.NextContinuationToken)
	switch {
	case aws.ToString(out.Name) != l.b.name:
		return nil, oddAnswer("page doesn't name the bucket")
	case out.KeyCount == nil || int(*out.KeyCount) != len(out.Contents):
		return nil, oddAnswer("%d keys came, KeyCount says another number", len(out.Contents))
	case out.IsTruncated == nil || *out.IsTruncated != (next != ""):
		return nil, oddAnswer("page has a next page without a token, or a token without one")
	case next != "" && next == l.token:
		return nil, oddAnswer("page is its own next page")
	case next != "" && len(out.Contents) == 0:
		return nil, oddAnswer("page without keys has a next page")
	}
	objs := make([]Object, 0, len(out.Contents))
	last := l.last
	for _, c := range out.Contents {
		key, err := l.key(aws.ToString(c.Key), out.EncodingType)
		if err != nil {
			return nil, err
		}
		// Other servers order keys by their bytes. R2 keeps one object for all
		// spellings that are the same in NFC, and shows the one that was sent last.
		if key <= last && media.Normal(key) <= media.Normal(last) {
			return nil, oddAnswer("key %q comes after %q", key, last)
		}
		o, err := l.object(key, c)
		if err != nil {
			return nil, err
		}
		objs, last = append(objs, o), key
	}
	// Only now: a page that is tried again must start from the same place.
	l.last, l.token = last, next
	return objs, nil
}

// key decodes a listed key, if the answer says that it is encoded: not every
// server does what encoding-type asks.
func (l *listing) key(s string, enc types.EncodingType) (string, error) {
	if enc == types.EncodingTypeUrl {
		k, err := url.QueryUnescape(s)
		if err != nil {
			return "", oddAnswer("key %q isn't URL-encoded as announced", s)
		}
		s = k
	}
	if s == "" || !strings.HasPrefix(s, l.prefix) {
		return "", oddAnswer("key %q wasn't asked for", s)
	}
	return s, nil
}

func (l *listing) object(key string, c types.Object) (Object, error) {
	o := Object{Key: media.Key(key), ETag: unquote(aws.ToString(c.ETag))}
	if l.b.prefix != "" {
		o.Key = media.Key(strings.TrimPrefix(key, l.b.prefix+"/"))
	}
	if c.Size == nil || *c.Size < 0 || o.ETag == "" || c.LastModified == nil {
		return o, oddAnswer("key %q has no size, ETag or date", key)
	}
	o.Size, o.LastModified = *c.Size, *c.LastModified
	return o, nil
}
