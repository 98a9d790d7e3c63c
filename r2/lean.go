package r2

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go/encoding/httpbinding"

	"example.org/mediamove/media"
)

// hashHeader carries the SHA-256 of the body in hex; R2 refuses requests
// without it, and bodies that it does not fit.
const hashHeader = "X-Amz-Content-Sha256"

// emptyHash is the SHA-256 of no bytes.
const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// A lean client makes single PUTs, listings and deletions straight on HTTP, signed by the SDK's
// own signer. It exists because service/s3 costs nearly three times the CPU per PUT
// (docs/benchmarks.md) and many times that per listed object (see page), and they are
// nearly all that a sync and a verify do.
type lean struct {
	wire   *wire
	signer *v4.Signer
	creds  aws.Credentials
	region string
	base   url.URL // endpoint and bucket; its path is as it goes on the wire
}

func newLean(c Config, creds aws.Credentials, endpoint *url.URL, w *wire) *lean {
	base := url.URL{Scheme: endpoint.Scheme, Host: endpoint.Host}
	base.Path = strings.TrimRight(endpoint.Path, "/") + "/" + c.Bucket + "/"
	return &lean{
		wire:   w,
		signer: v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }),
		creds:  creds,
		region: c.Region,
		base:   base,
	}
}

// put sends one PUT with the headers h, among them the payload's hash, which
// is signed as it is: the SDK would hash the body again. The caller reads and
// closes the answer's body.
func (l *lean) put(ctx context.Context, key string, h http.Header, body io.ReadCloser, size int64) (*http.Response, error) {
	if size == 0 {
		body = http.NoBody // net/http would probe an empty reader
	}
	return l.send(ctx, &http.Request{Method: http.MethodPut, URL: l.url(l.base.Path + key), Header: h, Body: body, ContentLength: size})
}

// list sends one ListObjectsV2. The caller reads and closes the answer's body.
func (l *lean) list(ctx context.Context, q url.Values) (*http.Response, error) {
	h := http.Header{hashHeader: {emptyHash}}
	return l.send(ctx, &http.Request{Method: http.MethodGet, URL: l.bucket(q), Header: h})
}

// delete sends one DeleteObject. The caller reads and closes the answer's body.
func (l *lean) delete(ctx context.Context, key string) (*http.Response, error) {
	h := http.Header{hashHeader: {emptyHash}}
	return l.send(ctx, &http.Request{Method: http.MethodDelete, URL: l.url(l.base.Path + key), Header: h})
}

// deleteMany sends one DeleteObjects with the headers h. The caller reads and closes
// the answer's body.
func (l *lean) deleteMany(ctx context.Context, h http.Header, body []byte) (*http.Response, error) {
	return l.send(ctx, &http.Request{
		Method: http.MethodPost, URL: l.bucket(url.Values{"delete": {""}}), Header: h,
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	})
}

// send signs req and sends it.
func (l *lean) send(ctx context.Context, req *http.Request) (*http.Response, error) {
	req.Host, req.Proto, req.ProtoMajor, req.ProtoMinor = l.base.Host, "HTTP/1.1", 1, 1
	req = req.WithContext(ctx)
	if err := l.signer.SignHTTP(ctx, l.creds, req, req.Header.Get(hashHeader), "s3", l.region, time.Now()); err != nil {
		return nil, err
	}
	return l.wire.Do(req)
}

// bucket is the URL of the bucket itself.
func (l *lean) bucket(q url.Values) *url.URL {
	u := l.url(strings.TrimSuffix(l.base.Path, "/"))
	u.RawQuery = q.Encode()
	return u
}

// url escapes path the way S3 signs it: everything but unreserved characters
// and slashes. net/url would leave some of S3's specials as they are.
func (l *lean) url(path string) *url.URL {
	u := l.base
	u.Path = path
	if strings.ContainsFunc(u.Path, reserved) {
		u.RawPath = httpbinding.EscapePath(u.Path, false)
	}
	return &u
}

func reserved(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	}
	return !strings.ContainsRune("/-._~", r)
}

// headers returns what u is stored with. One slice backs all values; the map
// belongs to one attempt, as the transport may hold it after an error.
func (b *Bucket) headers(u *Upload, sha256 string) http.Header {
	h := make(http.Header, 14)
	values := make([]string, 0, 12)
	set := func(name, value string) {
		values = append(values, value)
		h[name] = values[len(values)-1 : len(values) : len(values)]
	}
	set("Content-Md5", base64.StdEncoding.EncodeToString(u.MD5[:]))
	set(hashHeader, sha256)
	if u.IfMatch == "" {
		set("If-None-Match", "*")
	} else {
		set("If-Match", `"`+u.IfMatch+`"`)
	}
	if b.acl != "" && !u.document {
		set("X-Amz-Acl", b.acl)
	}
	if u.Header != nil {
		maps.Copy(h, restored(u.Header))
		return h
	}
	set("Content-Type", u.ContentType)
	if u.document {
		set("Cache-Control", "no-store")
		return h
	}
	set("Cache-Control", media.CacheControl)
	set("X-Amz-Meta-Sha256", sha256)
	if !u.ModTime.IsZero() {
		set("X-Amz-Meta-Mtime", floatTime(u.ModTime))
	}
	return h
}

// floatTime writes t as rclone does in its mtime metadata: seconds since the
// epoch, with as many of nine decimals as it needs.
func floatTime(t time.Time) string {
	ns := t.UnixNano()
	sign := ""
	if ns < 0 {
		sign, ns = "-", -ns
	}
	s := strconv.FormatInt(ns/1e9, 10)
	if frac := ns % 1e9; frac != 0 {
		s += "." + strings.TrimRight(strconv.FormatInt(1e9+frac, 10)[1:], "0")
	}
	return sign + s
}

func hexString(sum []byte) string { return hex.EncodeToString(sum) }
