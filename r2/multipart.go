package r2

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/s3/manager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"example.org/mediamove/costs"
)

// The manager is deprecated for feature/s3/transfermanager, which is v0, ignores
// the client's checksum setting and gets fixes weekly. Until that settles the
// manager stays, in this file alone: each use below carries the exception.

const (
	// partsAtOnce of one file; the pace still decides how many are really sent.
	partsAtOnce = 4
	// abortTimeout is what an upload is given to be aborted in after Ctrl-C.
	abortTimeout = 8 * time.Second
)

// multipart sends l with the SDK's manager, which cuts, schedules and collects
// the parts. Every request it makes goes through uploadAPI.
func (b *Bucket) multipart(ctx context.Context, l *Large) (Stored, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	a := &uploadAPI{b: b, l: l, etag: CompositeETag(l.PartMD5), cancel: cancel}
	up := manager.NewUploader(a, func(u *manager.Uploader) { //nolint:staticcheck // see above
		u.PartSize = l.PartSize
		u.Concurrency = partsAtOnce
		// The client's own setting doesn't reach the manager's parts.
		u.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
	})
	in := &s3.PutObjectInput{
		Bucket: &b.name,
		Key:    aws.String(b.objectKey(l.Key)),
		Body:   io.NewSectionReader(l.Body, 0, l.Size), // ReaderAt and Seeker: parts are streamed from it, not copied
	}
	_, err := up.Upload(ctx, in) //nolint:staticcheck // see above
	if first := a.failure(); first != nil {
		return Stored{}, first // the manager's own error only wraps it
	}
	if err != nil {
		return Stored{}, &Error{Op: costs.CompleteMultipartUpload, Key: l.Key, Err: b.told(err)}
	}
	return a.stored, nil
}

// An uploadAPI is the manager's client for one upload: it adds what the
// manager doesn't send (digests, conditions), checks what it doesn't check,
// and puts every request through the bucket's own loop. Options that the
// manager passes along concern user agents and S3 Express and are left out.
type uploadAPI struct {
	b      *Bucket
	l      *Large
	etag   string
	cancel context.CancelCauseFunc

	mu     sync.Mutex
	first  error // what went wrong first
	stored Stored
}

// fail keeps the first error and stops the other parts.
func (a *uploadAPI) fail(err error) error {
	if err == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	// Later ones are mostly the cancellation that the first one caused.
	if a.first == nil {
		a.first = err
		a.cancel(err)
	}
	return err
}

func (a *uploadAPI) failure() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.first
}

// PutObject is what the manager calls for a body of one part; Large.check
// keeps such a body away.
func (a *uploadAPI) PutObject(context.Context, *s3.PutObjectInput, ...func(*s3.Options)) (*s3.PutObjectOutput, error) {
	return nil, a.fail(&Error{Op: costs.PutObject, Key: a.l.Key, Err: errors.New("one part is no multipart upload")})
}

// CreateMultipartUpload starts the upload and has its id stored.
func (a *uploadAPI) CreateMultipartUpload(ctx context.Context, in *s3.CreateMultipartUploadInput, _ ...func(*s3.Options)) (out *s3.CreateMultipartUploadOutput, err error) {
	described := a.describe(in)
	err = a.b.run(ctx, &job{op: costs.CreateMultipartUpload, key: a.l.Key, before: a.l.Before, send: func(ctx context.Context) (int64, error) {
		out, err = a.b.api.CreateMultipartUpload(ctx, in, described)
		if err == nil && aws.ToString(out.UploadId) == "" {
			err = oddAnswer("no upload id")
		}
		return 0, err
	}})
	if err != nil {
		return nil, a.fail(err)
	}
	// The manager sends the first part only when this returns.
	if err := a.l.Started(ctx, *out.UploadId); err != nil {
		a.abandon(ctx, *out.UploadId)
		return nil, a.fail(err)
	}
	return out, nil
}

// describe sets what a single PUT would have sent as headers. An object that is put
// back may have some that the input has no field for: they go past it.
func (a *uploadAPI) describe(in *s3.CreateMultipartUploadInput) func(*s3.Options) {
	h := a.b.headers(&a.l.Upload, hexString(a.l.SHA256[:]))
	in.ACL = types.ObjectCannedACL(h.Get("X-Amz-Acl"))
	if a.l.Header != nil {
		return func(o *s3.Options) {
			for name, values := range restored(a.l.Header) {
				o.APIOptions = append(o.APIOptions, smithyhttp.SetHeaderValue(name, strings.Join(values, ",")))
			}
		}
	}
	in.ContentType = aws.String(h.Get("Content-Type"))
	in.CacheControl = aws.String(h.Get("Cache-Control"))
	in.Metadata = map[string]string{metaSHA256: h.Get("X-Amz-Meta-Sha256")}
	if t := h.Get("X-Amz-Meta-Mtime"); t != "" {
		in.Metadata[metaTime] = t
	}
	return func(*s3.Options) {}
}

// UploadPart sends one part with its MD5, which must come back as its ETag.
func (a *uploadAPI) UploadPart(ctx context.Context, in *s3.UploadPartInput, _ ...func(*s3.Options)) (out *s3.UploadPartOutput, err error) {
	i := int64(aws.ToInt32(in.PartNumber)) - 1
	sum, off := a.l.PartMD5[i], i*a.l.PartSize
	size := min(a.l.PartSize, a.l.Size-off)
	in.ContentMD5 = aws.String(base64.StdEncoding.EncodeToString(sum[:]))
	in.ContentLength = &size
	err = a.b.run(ctx, &job{op: costs.UploadPart, key: a.l.Key, before: a.l.Before, send: func(ctx context.Context) (int64, error) {
		body := newPayload(a.l.Body, off, size) // not in.Body: each attempt its own, shut at its end
		defer func() { _ = body.Close() }()
		one := *in
		one.Body = a.b.throttled(ctx, body)
		out, err = a.b.api.UploadPart(ctx, &one, unsignedPayload)
		if local := body.local(); local != nil {
			return 0, local
		}
		if err == nil && !partETagFits(unquote(aws.ToString(out.ETag)), sum) {
			err = oddAnswer("ETag of part %d isn't the MD5 of what was sent", i+1)
		}
		return size, err
	}})
	return out, a.fail(err)
}

// partETagFits tells whether etag can belong to a part with that MD5. R2
// documents it as the MD5; its emulator gives long random names instead, which
// prove nothing and harm nothing, as the whole object's ETag is compared too.
func partETagFits(etag string, sum [16]byte) bool {
	if !isMD5(etag) {
		return etag != ""
	}
	return etag == hexString(sum[:])
}

// CompleteMultipartUpload makes the object, if the condition still holds. A
// failed condition destroys the upload (R2, 2023-08-11).
func (a *uploadAPI) CompleteMultipartUpload(ctx context.Context, in *s3.CompleteMultipartUploadInput, _ ...func(*s3.Options)) (out *s3.CompleteMultipartUploadOutput, err error) {
	if a.l.IfMatch == "" {
		in.IfNoneMatch = aws.String("*")
	} else {
		in.IfMatch = aws.String(`"` + a.l.IfMatch + `"`)
	}
	p := &putting{b: a.b, u: &a.l.Upload, etag: a.etag}
	err = a.b.run(ctx, &job{
		op: costs.CompleteMultipartUpload, key: a.l.Key, before: a.l.Before, again: p.again, condition: refusal(a.l.IfMatch),
		send: func(ctx context.Context) (int64, error) {
			out, err = a.b.api.CompleteMultipartUpload(ctx, in)
			if err != nil {
				return 0, err
			}
			if etag := unquote(aws.ToString(out.ETag)); etag != a.etag {
				return 0, oddAnswer("ETag is %q, that of what was sent %q", etag, a.etag)
			}
			p.stored = Stored{Object: Object{Key: a.l.Key, Size: a.l.Size, ETag: a.etag}}
			return 0, nil
		},
	})
	if err = p.settle(ctx, err); err != nil {
		if p.unsure && errors.Is(err, errNoUpload) {
			// It was completed, its answer lost, and the object deleted since: from
			// the start would bring back what somebody removed.
			err = &Error{Op: costs.CompleteMultipartUpload, Key: a.l.Key, Err: ErrExists}
		}
		return nil, a.fail(err)
	}
	a.stored = p.stored
	a.ended(ctx, aws.ToString(in.UploadId))
	return &s3.CompleteMultipartUploadOutput{ETag: &a.etag}, nil
}

// AbortMultipartUpload is called by the manager after any error.
func (a *uploadAPI) AbortMultipartUpload(ctx context.Context, in *s3.AbortMultipartUploadInput, _ ...func(*s3.Options)) (*s3.AbortMultipartUploadOutput, error) {
	a.abandon(ctx, aws.ToString(in.UploadId))
	return &s3.AbortMultipartUploadOutput{}, nil
}

// abandon aborts the upload although ctx may be cancelled. If that fails, its
// id stays with the caller, for the next run to abort.
func (a *uploadAPI) abandon(ctx context.Context, id string) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer stop()
	if a.b.Abort(ctx, a.l.Key, id) == nil {
		a.ended(ctx, id)
	}
}

// ended tells the caller; if it can't note that, its next run aborts an
// upload that is gone, which is harmless.
func (a *uploadAPI) ended(ctx context.Context, id string) {
	_ = a.l.Ended(context.WithoutCancel(ctx), id)
}
