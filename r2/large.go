package r2

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"example.org/mediamove/costs"
	"example.org/mediamove/media"
)

// A Large is an upload in parts.
type Large struct {
	Upload
	PartSize int64 // see PartSize; whole MiB, at least 5
	PartMD5  [][16]byte

	// Started is told the upload's id before the first part is sent, and must
	// have it stored durably when it returns: parts of an upload that nobody
	// knows of cost storage. An error aborts the upload.
	Started func(ctx context.Context, uploadID string) error
	// Ended is told that nothing is left of the upload: complete or aborted.
	Ended func(ctx context.Context, uploadID string) error
}

// PutLarge stores l in parts: one Class A to start, one per part, one to
// complete. It looks first (one Class B), so that a key that is taken costs
// no transfer. The ETag must be that of l.PartMD5; results are as for
// [Bucket.Put]. On an error the upload is aborted, even if ctx is cancelled.
func (b *Bucket) PutLarge(ctx context.Context, l Large) (Stored, error) {
	fail := func(err error) (Stored, error) {
		return Stored{}, &Error{Op: costs.CreateMultipartUpload, Key: l.Key, Err: err}
	}
	if err := media.CheckKey(b.objectKey(l.Key)); err != nil {
		return fail(err)
	}
	if err := l.check(); err != nil {
		return fail(err)
	}
	switch h, err := b.head(ctx, l.Key); {
	case errors.Is(err, ErrNotFound) && l.IfMatch != "":
		return fail(refusal(l.IfMatch)(http.StatusNotFound))
	case errors.Is(err, ErrNotFound):
	case err != nil:
		return Stored{}, err
	case l.IfMatch == "":
		return fail(ErrExists)
	case h.ETag != l.IfMatch:
		return fail(ErrChanged)
	}
	s, err := b.multipart(ctx, &l)
	if errors.Is(err, errNoUpload) {
		s, err = b.multipart(ctx, &l) // expired or aborted by others: once more from the start
	}
	return s, err
}

// check holds l against R2's rules, which R2 itself would apply only after
// all parts were sent.
func (l *Large) check() error {
	switch p := l.PartSize; {
	case l.Started == nil, l.Ended == nil:
		return errors.New("nobody notes the upload")
	case p < minPart || p%mib != 0:
		return fmt.Errorf("part size %d isn't whole MiB from 5 up", p)
	case l.Size <= p:
		return fmt.Errorf("%d bytes are one part: use Put", l.Size)
	case (l.Size+p-1)/p > maxParts:
		return fmt.Errorf("more than %d parts of %d bytes", maxParts, p)
	case int64(len(l.PartMD5)) != (l.Size+p-1)/p:
		return fmt.Errorf("%d part digests for %d parts", len(l.PartMD5), (l.Size+p-1)/p)
	}
	return nil
}

// Abort removes an unfinished upload and its parts (free). One that is gone
// already is a success.
func (b *Bucket) Abort(ctx context.Context, key media.Key, uploadID string) error {
	err := b.run(ctx, &job{op: costs.AbortMultipartUpload, key: key, send: func(ctx context.Context) (int64, error) {
		_, err := b.api.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{
			Bucket: &b.name, Key: aws.String(b.objectKey(key)), UploadId: &uploadID,
		})
		return 0, err
	}})
	if errors.Is(err, errNoUpload) {
		return nil
	}
	return err
}
