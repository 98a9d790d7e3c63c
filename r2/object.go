package r2

import (
	"context"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"example.org/mediamove/costs"
	"example.org/mediamove/media"
)

// An Object is what the bucket says it holds.
type Object struct {
	Key          media.Key
	Size         int64     // bytes
	ETag         string    // unquoted: MD5 in hex, or MD5 of MD5s "-n" after a multipart upload
	LastModified time.Time // after a Put the server's Date, zero if it told none
}

// A Head is an object with what was stored beside its bytes.
type Head struct {
	Object
	ContentType, CacheControl string
	SHA256                    [32]byte  // from our own metadata; zero if there is none
	Date                      time.Time // the server's clock

	// Header is all that is stored beside the bytes, as it came: Content-Type,
	// Cache-Control, Content-Encoding, Content-Disposition, Content-Language, Expires,
	// X-Amz-Meta-* and X-Amz-Storage-Class. See [Upload].
	Header http.Header
}

// metaSHA256 and metaTime are our user metadata (x-amz-meta-…).
const (
	metaSHA256 = "sha256"
	metaTime   = "mtime" // rclone's name and form
)

// Head looks at one object (one Class B). A HEAD's 404 has no body and could
// be anybody's, so before absence is believed ([ErrNotFound]) a GET asks S3
// for its word (one more).
func (b *Bucket) Head(ctx context.Context, key media.Key) (Head, error) {
	h, err := b.head(ctx, key)
	if !errors.Is(err, ErrNotFound) {
		return h, err
	}
	if err := b.confirmAbsent(ctx, key); err != nil {
		return Head{}, err
	}
	return b.head(ctx, key) // it came in between
}

// Absent reports whether S3 says in so many words that key is not there (one Class B):
// the answer to a GET, because that to a HEAD has no words. Where many are expected to be
// absent it costs half of [Bucket.Head].
func (b *Bucket) Absent(ctx context.Context, key media.Key) (bool, error) {
	err := b.confirmAbsent(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return true, nil
	}
	return false, err
}

// head looks without confirming absence: enough where a conditional write
// follows and decides.
func (b *Bucket) head(ctx context.Context, key media.Key) (h Head, err error) {
	err = b.run(ctx, &job{op: costs.HeadObject, key: key, send: func(ctx context.Context) (int64, error) {
		out, err := b.api.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.name, Key: aws.String(b.objectKey(key))})
		if err != nil {
			return 0, err
		}
		h, err = headOf(ctx, key, out)
		return 0, err
	}})
	return h, err
}

// confirmAbsent returns ErrNotFound in S3's own words, another error if there
// are none, or nil if the object is there.
func (b *Bucket) confirmAbsent(ctx context.Context, key media.Key) error {
	return b.run(ctx, &job{op: costs.GetObject, key: key, send: func(ctx context.Context) (int64, error) {
		out, err := b.api.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: aws.String(b.objectKey(key))})
		if err != nil {
			return 0, err
		}
		return 0, out.Body.Close()
	}})
}

// headOf makes a Head of the answer that ctx's attempt has got.
func headOf(ctx context.Context, key media.Key, out *s3.HeadObjectOutput) (Head, error) {
	etag := unquote(aws.ToString(out.ETag))
	switch {
	case etag == "":
		return Head{}, oddAnswer("no ETag")
	case out.ContentLength == nil || *out.ContentLength < 0:
		return Head{}, oddAnswer("no Content-Length")
	case out.LastModified == nil:
		return Head{}, oddAnswer("no Last-Modified")
	}
	h := Head{
		Object:       Object{Key: key, Size: *out.ContentLength, ETag: etag, LastModified: *out.LastModified},
		ContentType:  aws.ToString(out.ContentType),
		CacheControl: aws.ToString(out.CacheControl),
		Header:       storedHeader(exchangeOf(ctx).header),
	}
	if sum, err := hex.DecodeString(out.Metadata[metaSHA256]); err == nil && len(sum) == len(h.SHA256) {
		copy(h.SHA256[:], sum)
	}
	h.Date, _ = awsmiddleware.GetServerTime(out.ResultMetadata)
	return h, nil
}

// unquote takes an ETag out of its quotes; the weak mark means nothing here.
func unquote(etag string) string {
	return strings.Trim(strings.TrimPrefix(etag, "W/"), `"`)
}
