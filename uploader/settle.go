package uploader

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"

	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// causeGone marks a key that was refused as taken and was not there a moment later.
const causeGone = "refused as existing, but gone a moment later"

// GoneKeys collects the keys that an earlier run found gone in this way.
func GoneKeys(conflicts iter.Seq2[ledger.Finding, error]) (map[media.Key]bool, error) {
	gone := make(map[media.Key]bool)
	for f, err := range conflicts {
		if err != nil {
			return nil, err
		}
		if f.Cause == causeGone {
			gone[f.Key] = true
		}
	}
	return gone, nil
}

// compare finds out what stands under a key after a refused condition. Our bytes
// are adopted; others are a conflict and left alone; nothing there is reported
// and never re-created: whoever removed it had a reason.
func (u *Uploader) compare(ctx context.Context, c *content) (*outcome, error) {
	head, err := u.Bucket.Head(ctx, c.file.Key)
	if errors.Is(err, r2.ErrNotFound) {
		return &outcome{kind: conflict, file: c.file, cause: causeGone, detail: "somebody else deletes objects; not sent again"}, nil
	}
	if err != nil {
		return nil, err
	}
	return u.judge(ctx, c, ledger.ListedObject{Key: head.Key, Size: head.Size, ETag: head.ETag})
}

// judge compares the file with the object that is there. Equal size alone never
// counts as equal.
func (u *Uploader) judge(ctx context.Context, c *content, there ledger.ListedObject) (*outcome, error) {
	if there.Size != c.file.Size {
		return c.differs(fmt.Sprintf("the bucket holds %d bytes, the disk %d", there.Size, c.file.Size)), nil
	}
	if err := c.wholeMD5(ctx, u, there.ETag); err != nil {
		return nil, err
	}
	same, certain, err := r2.SameBytes(there.ETag, c.file.Size, c.sums.md5, c.body)
	if err == nil && !certain {
		same, there.ETag, err = u.sameContent(ctx, c)
	}
	if err == nil && same {
		err = c.verifyUnchanged() // the file was read again: is it still what was hashed?
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("compare %s with the bucket: %w", c.file.Key, err)
	case !same:
		return c.differs("the bucket holds other bytes of the same size"), nil
	}
	// The part size that explains the object's ETag is the sender's business, not
	// ours: the ETag itself is the evidence that later listings are held against.
	o := u.proven(c, adopted, ledger.Adopted, there.ETag)
	o.entry.PartSize = 0
	return o, nil
}

// sameContent reads the object back (one Class B) and compares size and SHA-256:
// the last resort where an ETag does not tell. The ETag is that of what was read.
func (u *Uploader) sameContent(ctx context.Context, c *content) (same bool, etag string, err error) {
	body, there, err := u.Bucket.Get(ctx, c.file.Key)
	if err != nil {
		return false, "", err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	if there.Size != c.file.Size {
		return false, there.ETag, nil
	}
	sum := sha256.New()
	if err := u.hash.copy(ctx, sum, body, there.Size); err != nil {
		return false, "", err
	}
	return [32]byte(sum.Sum(nil)) == c.sums.sha256, there.ETag, nil
}

// wholeMD5 computes the MD5 of a file that was hashed in parts only, if the
// object's plain ETag asks for it.
func (c *content) wholeMD5(ctx context.Context, u *Uploader, etag string) error {
	if c.partSize == 0 || len(etag) != 32 {
		return nil
	}
	sums, err := u.hash.stream(ctx, c.src, c.file.Size)
	c.sums.md5 = sums.md5
	return err
}

func (c *content) differs(detail string) *outcome {
	return &outcome{kind: conflict, file: c.file, cause: "other bytes in the bucket", detail: detail}
}

// join decides about a file while this ledger joins a bucket that others filled:
// what the listing shows is compared with the disk, without a request.
func (u *Uploader) join(ctx context.Context, c *content) (*outcome, error) {
	there, ok, err := u.Listing.Listed(ctx, c.file.Key)
	switch {
	case err != nil:
		return nil, stop(err)
	case ok:
		return u.judge(ctx, c, there)
	case u.Policy.Switched:
		return new(u.Policy.leftOnDisk(ledger.Candidate{File: c.file})), nil
	}
	return u.put(ctx, c, "")
}
