package r2

import (
	"context"
	"fmt"
	"iter"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"example.org/mediamove/costs"
	"example.org/mediamove/media"
)

// sdkList is List through service/s3, which List once used, with the same checks:
// the reason for page, and the second opinion on what it reads.
func sdkList(ctx context.Context, b *Bucket) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		in := &s3.ListObjectsV2Input{Bucket: &b.name, MaxKeys: aws.Int32(1000), EncodingType: types.EncodingTypeUrl}
		for last, more := "", true; more; {
			var out *s3.ListObjectsV2Output
			err := b.run(ctx, &job{op: costs.ListObjects, send: func(ctx context.Context) (_ int64, err error) {
				out, err = b.api.ListObjectsV2(ctx, in)
				return 0, err
			}})
			if err != nil {
				yield(Object{}, err)
				return
			}
			more = aws.ToBool(out.IsTruncated)
			in.ContinuationToken = out.NextContinuationToken
			if aws.ToString(out.Name) != b.name || int(aws.ToInt32(out.KeyCount)) != len(out.Contents) || more != (aws.ToString(out.NextContinuationToken) != "") {
				yield(Object{}, fmt.Errorf("page %+v", out))
				return
			}
			for _, c := range out.Contents {
				o, err := sdkObject(out.EncodingType, c)
				if err == nil && string(o.Key) <= last {
					err = fmt.Errorf("%q after %q", o.Key, last)
				}
				if !yield(o, err) || err != nil {
					return
				}
				last = string(o.Key)
			}
		}
	}
}

func sdkObject(enc types.EncodingType, c types.Object) (o Object, err error) {
	key := aws.ToString(c.Key)
	if enc == types.EncodingTypeUrl {
		key, err = url.QueryUnescape(key)
	}
	o = Object{Key: media.Key(key), Size: aws.ToInt64(c.Size), ETag: unquote(aws.ToString(c.ETag)), LastModified: aws.ToTime(c.LastModified)}
	if err == nil && (key == "" || c.Size == nil || o.Size < 0 || o.ETag == "" || c.LastModified == nil) {
		err = fmt.Errorf("object %+v", o)
	}
	return o, err
}
