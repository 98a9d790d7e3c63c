package r2

import (
	"context"
	"encoding/base64"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// sdkSend is the attempt of a PUT through service/s3.
func sdkSend(bk *Bucket, u Upload) func(context.Context) (int64, error) {
	return func(ctx context.Context) (int64, error) {
		body := newPayload(u.Body, 0, u.Size)
		defer body.Close()
		sum := hexString(u.SHA256[:])
		out, err := bk.api.PutObject(v4.SetPayloadHash(ctx, sum), &s3.PutObjectInput{
			Bucket: &bk.name, Key: aws.String(bk.objectKey(u.Key)), Body: body, ContentLength: &u.Size,
			ContentType: &u.ContentType, CacheControl: aws.String("public"), IfNoneMatch: aws.String("*"),
			ContentMD5: aws.String(base64.StdEncoding.EncodeToString(u.MD5[:])),
			Metadata:   map[string]string{"mtime": floatTime(u.ModTime), "sha256": sum},
		}, unsignedPayload)
		if err == nil && strings.Trim(*out.ETag, `"`) != hexString(u.MD5[:]) {
			err = oddAnswer("ETag")
		}
		return u.Size, err
	}
}
