package r2

import (
	"fmt"
	"strings"
	"testing"
)

// However a bucket is printed, right or wrong, it shows no credentials.
func TestBucketPrintsNoSecret(t *testing.T) {
	t.Parallel()
	const id, secret = "an-access-key-id", "a-secret-access-key"
	b, err := Open(Config{Endpoint: "https://s3.example", Bucket: "media", AccessKeyID: id, SecretAccessKey: secret, ACL: new("")})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%p"} {
		got := fmt.Sprintf(verb, b)
		if strings.Contains(got, secret) || strings.Contains(got, id) || strings.Contains(got, fmt.Sprintf("%x", secret)) {
			t.Errorf("%s prints %q", verb, got)
		}
	}
}
