package owner

import "context"

// ReadMark reads the mark of the named bucket for somebody who has no ledger of it (one GET). It is
// an r2.ErrNotFound if there is none, and a [*RefusedError] if it can't be understood.
func ReadMark(ctx context.Context, b Reader, bucket string) (Mark, error) {
	c := &claimer{doc: b, o: Options{BucketName: bucket}}
	err := c.read(ctx)
	return c.mark, err
}
