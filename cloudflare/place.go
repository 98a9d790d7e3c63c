package cloudflare

import (
	"net/url"
	"strings"
)

// Place returns the account that an S3 endpoint of R2 belongs to, and the name
// under which the analytics know a bucket there: R2 buckets in a jurisdiction have
// it before their name, "eu_media" for the bucket media at
// https://ACCOUNT.eu.r2.cloudflarestorage.com. It reports false for any other
// endpoint, such as a gateway's or another provider's.
func Place(endpoint, bucket string) (account, name string, ok bool) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return "", "", false
	}
	host, ok := strings.CutSuffix(strings.ToLower(u.Hostname()), ".r2.cloudflarestorage.com")
	if !ok {
		return "", "", false
	}
	account, jurisdiction, inOne := strings.Cut(host, ".")
	if !isAccount(account) || inOne && jurisdiction == "" || strings.Contains(jurisdiction, ".") {
		return "", "", false
	}
	if inOne {
		bucket = jurisdiction + "_" + bucket
	}
	return account, bucket, true
}
