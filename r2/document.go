package r2

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"example.org/mediamove/costs"
	"example.org/mediamove/media"
)

// MaxDocument is the size that GetDoc and PutDoc take, in bytes.
const MaxDocument = 64 << 10

// GetDoc reads a small document of ours, such as .mediamove/owner.json, whole,
// and checks it against its ETag. ErrNotFound is S3's own NoSuchKey.
func (b *Bucket) GetDoc(ctx context.Context, name string) (data []byte, etag string, err error) {
	err = b.run(ctx, &job{op: costs.GetObject, key: media.Key(name), send: func(ctx context.Context) (int64, error) {
		out, err := b.api.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: aws.String(b.objectKey(media.Key(name)))})
		if err != nil {
			return 0, err
		}
		defer func() { _ = out.Body.Close() }()
		data, err = io.ReadAll(io.LimitReader(out.Body, MaxDocument+1))
		if err != nil {
			return 0, err
		}
		etag = unquote(aws.ToString(out.ETag))
		return int64(len(data)), checkDoc(data, etag, out.ContentLength)
	}})
	if err != nil {
		return nil, "", err
	}
	return data, etag, nil
}

func checkDoc(data []byte, etag string, length *int64) error {
	sum := md5.Sum(data)
	switch {
	case len(data) > MaxDocument:
		return oddAnswer("document of more than %d bytes", MaxDocument)
	case length == nil || *length != int64(len(data)):
		return oddAnswer("%d bytes came, another length was announced", len(data))
	case etag != hexString(sum[:]):
		return oddAnswer("ETag %q isn't the MD5 of what came", etag)
	}
	return nil
}

// PutDoc writes a small document of ours; ifMatch as in [Upload]. A lost
// answer is settled as in [Bucket.Put], so the document should tell its writer; then
// the ETag comes with [ErrFound].
func (b *Bucket) PutDoc(ctx context.Context, name string, data []byte, ifMatch string) (etag string, err error) {
	if len(data) > MaxDocument {
		return "", &Error{Op: costs.PutObject, Key: media.Key(name), Err: fmt.Errorf("document of more than %d bytes", MaxDocument)}
	}
	s, err := b.Put(ctx, Upload{
		Key:         media.Key(name),
		Size:        int64(len(data)),
		MD5:         md5.Sum(data),
		SHA256:      sha256.Sum256(data),
		ContentType: "application/json",
		Body:        bytes.NewReader(data),
		IfMatch:     ifMatch,
		document:    true,
	})
	if err == nil && s.Found {
		err = ErrFound
	}
	return s.ETag, err
}
