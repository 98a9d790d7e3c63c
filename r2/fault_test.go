package r2

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for value, want := range map[string]time.Duration{
			"": 0, "0": 0, "7": 7 * time.Second, "-7": 0, "junk": 0, "1000000000": 5 * time.Minute,
			time.Now().Add(time.Minute).UTC().Format(http.TimeFormat):  time.Minute,
			time.Now().Add(-time.Minute).UTC().Format(http.TimeFormat): 0,
			time.Now().Add(time.Hour).UTC().Format(http.TimeFormat):    5 * time.Minute,
		} {
			if got := retryAfter(http.Header{"Retry-After": {value}}); got != want {
				t.Errorf("%q is %v, want %v", value, got, want)
			}
		}
	})
}

func TestErrorRoot(t *testing.T) {
	t.Parallel()
	for head, want := range map[string]bool{
		"<Error><Code>": true, "\n\t <Error>": true, "<?xml version=\"1.0\"?>\n<Error xmlns=\"\">": true,
		"": false, "<html>": false, "<Errors>": false, "<?xml": false, "<R><Error>": false,
	} {
		if got := errorRoot([]byte(head)); got != want {
			t.Errorf("%q: %v", head, got)
		}
	}
}

// Whatever a server answers, reading it ends, keeps within bounds, and leaves
// the SDK the same bytes to read.
func FuzzFault(f *testing.F) {
	f.Add(400, "<Error><Code>BadDigest</Code><Message>m</Message></Error>", "1", "http://other/")
	f.Add(200, "<?xml version=\"1.0\"?><Error><Code>InternalError</Code></Error>", "", "")
	f.Add(502, "<html>", "Tue, 14 Nov 2023 22:13:20 GMT", "://")
	f.Fuzz(func(t *testing.T, status int, body, after, location string) {
		resp := &http.Response{
			StatusCode: status, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
			Header: http.Header{"Retry-After": {after}, "Location": {location}},
		}
		if q := readFault(resp); q.after < 0 || q.after > 5*time.Minute || q.s3 != (q.code != "") {
			t.Errorf("%+v", q)
		}
		if got, err := io.ReadAll(resp.Body); err != nil || string(got) != body[:min(len(body), maxFault)] {
			t.Errorf("%q became %q, %v", body, got, err)
		}
	})
}

// No ETag makes SameBytes panic or read beyond 16 part sizes, and only the
// right one is the same.
func FuzzSameBytes(f *testing.F) {
	f.Add(etagOf("abc"), "abc")
	f.Add(etagOf("abc")+"-1", "abc")
	f.Add("-", "")
	f.Fuzz(func(t *testing.T, etag, body string) {
		u := upload("k", body)
		same, certain, err := SameBytes(etag, u.Size, u.MD5, u.Body)
		if err != nil || same && !certain {
			t.Errorf("%v %v %v", same, certain, err)
		}
		plain := strings.ToLower(unquote(etag)) == etagOf(body)
		composite := strings.ToLower(unquote(etag)) == CompositeETag([][16]byte{u.MD5})
		if same && !plain && !composite && !strings.Contains(etag, "-") {
			t.Errorf("%q is the ETag of %q", etag, body)
		}
	})
}
