package r2

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"example.org/mediamove/media"
)

// checkSignature recomputes AWS Signature Version 4 from the request as it
// arrived: an opinion of its own, not the SDK's.
func checkSignature(r *http.Request, secret string) error {
	auth := r.Header.Get("Authorization")
	field := func(name string) string {
		_, v, _ := strings.Cut(auth, name+"=")
		v, _, _ = strings.Cut(v, ",")
		return v
	}
	scope := strings.SplitN(field("Credential"), "/", 2)[1]
	signed := strings.Split(field("SignedHeaders"), ";")
	var head strings.Builder
	for _, name := range signed {
		v := strings.Join(r.Header.Values(name), ",")
		switch name {
		case "host":
			v = r.Host
		case "content-length":
			v = strconv.FormatInt(r.ContentLength, 10)
		}
		fmt.Fprintf(&head, "%s:%s\n", name, strings.TrimSpace(v))
	}
	path, query, _ := strings.Cut(r.RequestURI, "?")
	pairs := strings.Split(query, "&")
	slices.Sort(pairs)
	for i, p := range pairs {
		if p != "" && !strings.Contains(p, "=") {
			pairs[i] = p + "="
		}
	}
	hash := func(s string) string { h := sha256.Sum256([]byte(s)); return hex.EncodeToString(h[:]) }
	canonical := strings.Join([]string{
		r.Method, path, strings.Join(pairs, "&"), head.String(), strings.Join(signed, ";"), r.Header.Get("X-Amz-Content-Sha256"),
	}, "\n")
	key := []byte("AWS4" + secret)
	for _, s := range append(strings.Split(scope, "/"), "AWS4-HMAC-SHA256\n"+r.Header.Get("X-Amz-Date")+"\n"+scope+"\n"+hash(canonical)) {
		m := hmac.New(sha256.New, key)
		m.Write([]byte(s))
		key = m.Sum(nil)
	}
	if got := hex.EncodeToString(key); got != field("Signature") {
		return fmt.Errorf("signature differs for\n%s", canonical)
	}
	return nil
}

// recorder checks every request's signature and forbidden headers, then
// passes it on.
func recorder(t testing.TB, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := checkSignature(r, testSecret); err != nil {
			t.Error(err)
		}
		for name := range r.Header {
			low := strings.ToLower(name)
			for _, bad := range []string{"x-amz-checksum", "x-amz-sdk-checksum", "x-amz-trailer", "expect", "content-encoding", "x-amz-acl", "transfer-encoding", "x-amz-tagging"} {
				if strings.HasPrefix(low, bad) {
					t.Errorf("%s %s has %s: %s", r.Method, r.URL, name, r.Header.Get(name))
				}
			}
		}
		if strings.Contains(r.Header.Get("Authorization"), "accept-encoding") {
			t.Error("Accept-Encoding is signed")
		}
		if h != nil {
			h.ServeHTTP(w, r)
		}
	})
}

// serveReal opens a bucket on a loopback server, with the real transport.
func serveReal(t testing.TB, h http.Handler, change ...func(*Config)) *Bucket {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	c := testConfig()
	c.Endpoint = srv.URL
	for _, f := range change {
		f(&c)
	}
	b, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// Every operation over a real connection, with the environment of somebody
// who uses AWS for other things.
func TestEveryOperationIsSignedOurWay(t *testing.T) {
	for k, v := range map[string]string{
		"AWS_ACCESS_KEY_ID": "wrong", "AWS_SECRET_ACCESS_KEY": "wrong", "AWS_SESSION_TOKEN": "wrong", "AWS_PROFILE": "wrong",
		"AWS_REGION": "wrong-1", "AWS_DEFAULT_REGION": "wrong-1", "AWS_ENDPOINT_URL": "http://wrong.invalid", "AWS_ENDPOINT_URL_S3": "http://wrong.invalid",
		"AWS_REQUEST_CHECKSUM_CALCULATION": "when_supported", "AWS_CONFIG_FILE": "/wrong", "AWS_SHARED_CREDENTIALS_FILE": "/wrong", "AWS_CA_BUNDLE": "/wrong",
		"AWS_MAX_ATTEMPTS": "7", "AWS_RETRY_MODE": "adaptive", "AWS_NEW_RETRIES_2026": "true", "AWS_USE_FIPS_ENDPOINT": "true", "AWS_USE_DUALSTACK_ENDPOINT": "true",
		"AWS_S3_DISABLE_MULTIREGION_ACCESS_POINTS": "true", "HTTP_PROXY": "http://127.0.0.1:1", "HTTPS_PROXY": "http://127.0.0.1:1", "http_proxy": "http://127.0.0.1:1",
	} {
		t.Setenv(k, v)
	}
	s := &store{before: func(w http.ResponseWriter, r *http.Request) bool {
		if !r.URL.Query().Has("list-type") {
			return false
		}
		fmt.Fprint(w, "<ListBucketResult><Name>b</Name><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>")
		return true
	}}
	b := serveReal(t, recorder(t, s))
	ctx := t.Context()
	if _, err := b.Put(ctx, upload("a/b c+d~é.png", "x")); err != nil {
		t.Error(err)
	}
	if _, err := b.Head(ctx, "a/b c+d~é.png"); err != nil {
		t.Error(err)
	}
	r, _, err := b.Get(ctx, "a/b c+d~é.png")
	if err != nil {
		t.Fatal(err)
	}
	if data, err := io.ReadAll(r); err != nil || string(data) != "x" {
		t.Errorf("%q, %v", data, err)
	}
	r.Close()
	if _, err := b.PutDoc(ctx, ".mediamove/owner.json", []byte("{}"), ""); err != nil {
		t.Error(err)
	}
	if _, _, err := b.GetDoc(ctx, ".mediamove/owner.json"); err != nil {
		t.Error(err)
	}
	if _, _, err := b.Page(ctx, 10); err != nil {
		t.Error(err)
	}
	if err := b.Abort(ctx, "k", "id"); err != nil {
		t.Error(err)
	}
	if _, err := b.PutLarge(ctx, large("big", 5<<20+1, nil)); err != nil {
		t.Error(err)
	}
}

// A document of ours is no public media.
func TestDocument(t *testing.T) {
	t.Parallel()
	s := new(store)
	b, _ := open(t, s, func(c *Config) { c.Endpoint, c.ACL, c.Prefix = "https://s3.example", new("public-read"), "p" })
	const name = ".mediamove/owner.json"
	etag, err := b.PutDoc(t.Context(), name, []byte("{}"), "")
	if err != nil || etag != etagOf("{}") {
		t.Fatal(etag, err)
	}
	if h := s.headers[0]; h.Get("X-Amz-Acl") != "" || h.Get("Cache-Control") != "no-store" || h.Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", h)
	}
	data, etag, err := b.GetDoc(t.Context(), name)
	if err != nil || string(data) != "{}" || etag != etagOf("{}") {
		t.Fatal(string(data), etag, err)
	}
	if _, err := b.PutDoc(t.Context(), name, []byte("{ }"), etag); err != nil {
		t.Fatal(err)
	}
	_, err = b.PutDoc(t.Context(), name, []byte("{}"), etag)
	mustBe(t, err, ErrChanged)
	_, err = b.PutDoc(t.Context(), name, []byte("{}"), "")
	mustBe(t, err, ErrExists)
	if _, err = b.PutDoc(t.Context(), name, make([]byte, MaxDocument+1), ""); err == nil {
		t.Error("too long a document was sent")
	}
	if got := s.requests()[0]; got != "PUT /b/p/.mediamove/owner.json" {
		t.Error(got)
	}
}

func TestGetDocRefusesNonsense(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   error
	}{
		"NoSuchKey":    {func(w http.ResponseWriter, _ *http.Request) { s3Error(w, 404, "NoSuchKey", "x") }, ErrNotFound},
		"NoSuchBucket": {func(w http.ResponseWriter, _ *http.Request) { s3Error(w, 404, "NoSuchBucket", "x") }, ErrNoBucket},
		"404 of HTML":  {func(w http.ResponseWriter, _ *http.Request) { http.NotFound(w, nil) }, ErrNonsense},
		"404, empty":   {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, ErrNonsense},
		"200, empty":   {func(http.ResponseWriter, *http.Request) {}, ErrNonsense},
		"200 HTML":     {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, ErrNonsense},
		"wrong ETag": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", `"`+etagOf("other")+`"`)
			fmt.Fprint(w, "{}")
		}, ErrNonsense},
		"too long": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", `"x"`)
			_, _ = w.Write(make([]byte, MaxDocument+1))
		}, ErrNonsense},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, _ := open(t, c.answer)
			_, _, err := b.GetDoc(t.Context(), "doc")
			mustBe(t, err, c.want)
			if !errors.Is(c.want, ErrNotFound) && errors.Is(err, ErrNotFound) {
				t.Error("absence concluded from nonsense")
			}
		})
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*Config)
		want   string // "" is fine
	}{
		"R2":                      {func(*Config) {}, ""},
		"jurisdiction":            {func(c *Config) { c.Endpoint = "https://acct.eu.r2.cloudflarestorage.com/" }, ""},
		"loopback":                {func(c *Config) { c.Endpoint = "http://127.0.0.1:9000" }, ""},
		"localhost":               {func(c *Config) { c.Endpoint = "http://localhost:9000" }, ""},
		"IPv6 loopback":           {func(c *Config) { c.Endpoint = "http://[::1]:9000" }, ""},
		"http allowed":            {func(c *Config) { c.Endpoint, c.AllowHTTP = "http://s3.lan", true }, ""},
		"gateway with a path":     {func(c *Config) { c.Endpoint = "http://localhost:1/cdn-cgi/local/r2/s3" }, ""},
		"http":                    {func(c *Config) { c.Endpoint = "http://s3.lan" }, "S3_ENDPOINT: http would send everything readable (use https, or S3_PROTOCOL=http if this network is yours)"},
		"nothing":                 {func(c *Config) { c.Endpoint = "" }, "S3_ENDPOINT: is not set"},
		"no scheme":               {func(c *Config) { c.Endpoint = "acct.r2.cloudflarestorage.com" }, "S3_ENDPOINT: is no URL (like https://ACCOUNT.r2.cloudflarestorage.com)"},
		"other scheme":            {func(c *Config) { c.Endpoint = "ftp://x.example" }, "S3_ENDPOINT: scheme is neither https nor http (like https://ACCOUNT.r2.cloudflarestorage.com)"},
		"password in it":          {func(c *Config) { c.Endpoint = "https://u:" + testSecret + "@x.example" }, "S3_ENDPOINT: is no URL (like https://ACCOUNT.r2.cloudflarestorage.com)"},
		"bucket in the path":      {func(c *Config) { c.Endpoint += "/b" }, "S3_ENDPOINT: ends with the bucket's name (https://acct.r2.cloudflarestorage.com)"},
		"bucket in the host":      {func(c *Config) { c.Endpoint = "https://B.acct.r2.cloudflarestorage.com" }, "S3_ENDPOINT: holds the bucket's name (https://acct.r2.cloudflarestorage.com)"},
		"path on R2":              {func(c *Config) { c.Endpoint += "/x" }, "S3_ENDPOINT: has a path (https://acct.r2.cloudflarestorage.com)"},
		"query":                   {func(c *Config) { c.Endpoint += "?x=" + testSecret }, "S3_ENDPOINT: has more than host and path (like https://ACCOUNT.r2.cloudflarestorage.com)"},
		"no bucket":               {func(c *Config) { c.Bucket = "" }, "S3_BUCKET: is not set"},
		"path as bucket":          {func(c *Config) { c.Bucket = "b/c" }, "S3_BUCKET: is no bucket name (the bare name, as the R2 dashboard shows it)"},
		"no key":                  {func(c *Config) { c.AccessKeyID = "" }, "AWS_ACCESS_KEY_ID: is not set"},
		"no secret":               {func(c *Config) { c.SecretAccessKey = "" }, "AWS_SECRET_ACCESS_KEY: is not set"},
		"user, but a decent one":  {func(c *Config) { c.Endpoint = "https://u:p@x.example" }, "S3_ENDPOINT: has more than host and path (like https://ACCOUNT.r2.cloudflarestorage.com)"},
		"other bucket's path":     {func(c *Config) { c.Endpoint = "https://s3.example/bb" }, ""},
		"loopback in disguise":    {func(c *Config) { c.Endpoint = "http://127.0.0.1.example" }, "S3_ENDPOINT: http would send everything readable (use https, or S3_PROTOCOL=http if this network is yours)"},
		"upper-case R2 with path": {func(c *Config) { c.Endpoint = "https://A.R2.CLOUDFLARESTORAGE.COM/p" }, "S3_ENDPOINT: has a path (https://A.R2.CLOUDFLARESTORAGE.COM)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := testConfig()
			c.change(&cfg)
			_, err := Open(cfg)
			got := ""
			if e, ok := errors.AsType[*ConfigError](err); ok {
				if got = e.Error(); e.Hint != "" {
					got += " (" + e.Hint + ")"
				}
			}
			if got != c.want || (err == nil) != (c.want == "") {
				t.Errorf("got  %s, %v\nwant %s", got, err, c.want)
			}
			leaks(t, got)
		})
	}
}

func TestUnsetACLWarnsOnce(t *testing.T) {
	t.Parallel()
	for endpoint, want := range map[string]int{"https://s3.example": 1, "https://a.r2.cloudflarestorage.com": 0} {
		var log bytes.Buffer
		b, _ := open(t, new(store), func(c *Config) {
			c.Endpoint, c.Log = endpoint, slog.New(slog.NewTextHandler(&log, nil))
		})
		for i := range 3 {
			if _, err := b.Put(t.Context(), upload(mediaKey(i), "x")); err != nil {
				t.Fatal(err)
			}
		}
		if n := strings.Count(log.String(), "S3_PERMISSION"); n != want {
			t.Errorf("%s: %d warnings: %s", endpoint, n, log.String())
		}
	}
}

// Whatever a key holds, the server gets exactly it, and the signature fits.
func FuzzKeyOnTheWire(f *testing.F) {
	for _, k := range []string{"a/b.png", "a b", "a+b", "a%2Fb", "ä/é", "a?b#c&d=e", "~-._", "a;b,c'd(e)*!", "日本語", "a:b@c$[]", "a\\b", `"<>`, "😀"} {
		f.Add(k)
	}
	var got string
	b := serveReal(f, recorder(f, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, err := url.PathUnescape(r.URL.EscapedPath())
		if err != nil {
			f.Error(err)
		}
		got = strings.TrimPrefix(path, "/b/")
		w.Header().Set("ETag", `"`+etagOf("x")+`"`)
	})))
	f.Fuzz(func(t *testing.T, key string) {
		if media.CheckKey(key) != nil || !utf8.ValidString(key) {
			t.Skip()
		}
		if _, err := b.Put(t.Context(), upload(media.Key(key), "x")); err != nil {
			t.Fatal(err)
		}
		if got != key {
			t.Errorf("sent %q, arrived %q", key, got)
		}
	})
}
