package owner

import "fmt"

// The refusals name the whole command, because commands without these flags
// refuse as well. A --join stands last: it is there to be copied.

func (c *claimer) emptied() error {
	return &RefusedError{
		fmt.Sprintf("the ledger knows objects in bucket %s, but the bucket has no owner mark: it was emptied or replaced, or these are other settings", c.id.Bucket),
		"check S3_BUCKET, S3_ENDPOINT and S3_KEY_PREFIX; for a new bucket type mediamove sync --new-bucket: it starts a ledger of its own",
	}
}

func (c *claimer) otherDomain() error {
	return &RefusedError{
		fmt.Sprintf("bucket %s belongs to %s, not to %s", c.o.BucketName, c.mark.Domain, c.o.Domain),
		"check S3_BUCKET and LOCAL_DOMAIN: these settings mix two instances",
	}
}

func (c *claimer) otherBucket() error {
	return &RefusedError{
		fmt.Sprintf("the ledger belongs to bucket id %.8s…, but bucket %s has id %.8s…", c.id.BucketID, c.o.BucketName, c.mark.BucketID),
		"check S3_BUCKET and S3_ENDPOINT; for another bucket type mediamove sync --new-bucket: it starts a ledger of its own",
	}
}

func (c *claimer) otherLedger() error {
	return &RefusedError{
		fmt.Sprintf("bucket %s already belongs to %s, by another ledger: a second app host, a lost ledger, or a staging copy with production's settings", c.o.BucketName, c.mark.Domain),
		"if this host may write to production's bucket, type mediamove sync --join " + c.mark.BucketID,
	}
}

func (c *claimer) nothingToJoin() error {
	return &RefusedError{
		fmt.Sprintf("--join %s: bucket %s is empty and has no owner mark, so there is nothing to join", c.o.Join, c.o.BucketName),
		"if something should be there, check S3_BUCKET, S3_ENDPOINT and S3_KEY_PREFIX; for a first sync leave --join out",
	}
}

func (c *claimer) wrongJoin() error {
	return &RefusedError{
		fmt.Sprintf("--join %s does not name this bucket", c.o.Join),
		fmt.Sprintf("bucket %s has id %s", c.o.BucketName, c.mark.BucketID),
	}
}

func (c *claimer) careless() error {
	return &RefusedError{
		fmt.Sprintf("the server at %s ignores If-None-Match: it would overwrite existing objects", c.o.Endpoint),
		"use Cloudflare R2, or another server that honours conditional writes",
	}
}
