package sink_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"example.org/mediamove/bench/sink"
	"example.org/mediamove/costs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A remote is a sink that is listening, and a client for it.
type remote struct {
	t    *testing.T
	url  string
	http *http.Client
}

func start(t *testing.T, o sink.Options) *remote {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	serve(t, o, l)
	t.Cleanup(transport.CloseIdleConnections)
	return &remote{t, "http://" + l.Addr().String(), &http.Client{Transport: transport}}
}

func serve(t *testing.T, o sink.Options, l net.Listener) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = sink.New(o).Serve(ctx, l)
	}()
	t.Cleanup(func() { stop(); <-done })
}

// do sends a request with header lines given as pairs.
func (r *remote) do(method, path, body string, headers ...string) (*http.Response, string) {
	r.t.Helper()
	return r.send(method, path, strings.NewReader(body), headers...)
}

func (r *remote) send(method, path string, body io.Reader, headers ...string) (*http.Response, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, body)
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := r.http.Do(req)
	if err != nil {
		r.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp, string(b)
}

func (r *remote) stats() (st sink.Stats) {
	r.t.Helper()
	_, body := r.do("GET", "/_stats", "")
	if err := json.Unmarshal([]byte(body), &st); err != nil {
		r.t.Fatal(err)
	}
	return st
}

func sum(s string) (base64MD5, hexMD5 string) {
	m := md5.Sum([]byte(s))
	return base64.StdEncoding.EncodeToString(m[:]), hex.EncodeToString(m[:])
}

func TestPutAndRead(t *testing.T) {
	t.Parallel()
	r := start(t, sink.Options{})
	claim, etag := sum("hello")
	put, _ := r.do("PUT", "/b/a%20b/%C3%A9.png?x-id=PutObject", "hello",
		"Content-MD5", claim, "Content-Type", "image/png", "X-Amz-Meta-Mtime", "1.5")
	if put.StatusCode != 200 || put.Header.Get("ETag") != `"`+etag+`"` {
		t.Fatalf("PUT: %d, ETag %s", put.StatusCode, put.Header.Get("ETag"))
	}
	head, _ := r.do("HEAD", "/b/a b/é.png", "")
	for name, want := range map[string]string{
		"Content-Length": "5", "ETag": `"` + etag + `"`, "Content-Type": "image/png", "X-Amz-Meta-Mtime": "1.5",
	} {
		if got := head.Header.Get(name); got != want {
			t.Errorf("HEAD: %s %q, want %q", name, got, want)
		}
	}
	if _, err := http.ParseTime(head.Header.Get("Last-Modified")); err != nil {
		t.Error(err)
	}
	if _, body := r.do("GET", "/b/a%20b/é.png", ""); body != "\x00\x00\x00\x00\x00" {
		t.Errorf("GET: %q, want as many zeros", body)
	}
	part, body := r.do("GET", "/b/a%20b/é.png", "", "Range", "bytes=1-2")
	if part.StatusCode != 206 || len(body) != 2 || part.Header.Get("Content-Range") != "bytes 1-2/5" {
		t.Errorf("range: %d, %d bytes, %s", part.StatusCode, len(body), part.Header.Get("Content-Range"))
	}
	if same, _ := r.do("GET", "/b/a%20b/é.png", "", "If-None-Match", `"`+etag+`"`); same.StatusCode != 304 {
		t.Errorf("GET of what is known: %d, want 304", same.StatusCode)
	}
}

func TestConditions(t *testing.T) {
	t.Parallel()
	_, etag := sum("one")
	claim, _ := sum("one")
	for _, tt := range []struct {
		name, header, value string
		first               bool // the key is there before
		want                int
	}{
		{"new", "If-None-Match", "*", false, 200},
		{"there", "If-None-Match", "*", true, 412},
		{"as it was", "If-Match", `"` + etag + `"`, true, 200},
		{"changed", "If-Match", `"00"`, true, 412},
		{"gone", "If-Match", `"` + etag + `"`, false, 404},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, sink.Options{})
			existing := int64(0)
			if tt.first {
				r.do("PUT", "/b/k", "one", "Content-MD5", claim)
				existing = 1
			}
			if got, _ := r.do("PUT", "/b/k", "two", tt.header, tt.value); got.StatusCode != tt.want {
				t.Errorf("%d, want %d", got.StatusCode, tt.want)
			}
			if got := r.stats().Existing; got != existing {
				t.Errorf("%d writes to keys that were there, want %d", got, existing)
			}
		})
	}
}

func TestKeepsSmallDocuments(t *testing.T) {
	t.Parallel()
	r := start(t, sink.Options{})
	r.do("PUT", "/b/.mediamove/owner.json", `{"id":1}`)
	if _, body := r.do("GET", "/b/.mediamove/owner.json", ""); body != `{"id":1}` {
		t.Errorf("GET: %q", body)
	}
	if resp, body := r.do("GET", "/other/.mediamove/owner.json", ""); resp.StatusCode != 404 || !strings.Contains(body, "NoSuchKey") {
		t.Errorf("GET of nothing: %d %s", resp.StatusCode, body)
	}
}

func TestETagModes(t *testing.T) {
	t.Parallel()
	claim, etag := sum("bytes")
	other, _ := sum("other")
	for _, tt := range []struct {
		name   string
		mode   sink.ETagMode
		claim  string
		status int
		real   bool // the ETag is the MD5
	}{
		{"auto, claimed", sink.ETagAuto, claim, 200, true},
		{"auto, nothing claimed", sink.ETagAuto, "", 200, false},
		{"auto, no MD5", sink.ETagAuto, "AAAA", 400, false},
		{"auto, no base64", sink.ETagAuto, strings.Repeat("?", 60), 400, false},
		{"md5", sink.ETagMD5, "", 200, true},
		{"md5, true claim", sink.ETagMD5, claim, 200, true},
		{"md5, false claim", sink.ETagMD5, other, 400, false},
		{"fake", sink.ETagFake, claim, 200, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, sink.Options{ETag: tt.mode})
			var headers []string
			if tt.claim != "" {
				headers = []string{"Content-MD5", tt.claim}
			}
			got, _ := r.do("PUT", "/b/k", "bytes", headers...)
			if got.StatusCode != tt.status || (got.Header.Get("ETag") == `"`+etag+`"`) != tt.real {
				t.Errorf("%d, ETag %s", got.StatusCode, got.Header.Get("ETag"))
			}
			if head, _ := r.do("HEAD", "/b/k", ""); (head.StatusCode == 200) != (tt.status == 200) {
				t.Errorf("afterwards HEAD is %d", head.StatusCode)
			}
		})
	}
}

// Framing is how a body can come.
func TestFraming(t *testing.T) {
	t.Parallel()
	const text = "some bytes in two chunks"
	framed := "a;chunk-signature=0\r\n" + text[:10] + "\r\ne;chunk-signature=1\r\n" + text[10:] +
		"\r\n0;chunk-signature=2\r\nx-amz-checksum-crc32c:AAAAAA==\r\n\r\n"
	aws := []string{"X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}
	_, etag := sum(text)
	for _, tt := range []struct {
		name    string
		body    io.Reader
		headers []string
	}{
		{"plain", strings.NewReader(text), nil},
		{"expect", strings.NewReader(text), []string{"Expect", "100-continue"}},
		{"chunked", io.MultiReader(strings.NewReader(text[:5]), strings.NewReader(text[5:])), nil},
		{"aws-chunked", strings.NewReader(framed), append(aws, "X-Amz-Decoded-Content-Length", "24")},
		{"aws-chunked of unknown length", strings.NewReader(framed), aws},
		{"aws-chunked in chunked", io.MultiReader(strings.NewReader(framed)), aws},
	} {
		for _, mode := range []sink.ETagMode{sink.ETagAuto, sink.ETagMD5} {
			t.Run(fmt.Sprintf("%s, %s", tt.name, mode), func(t *testing.T) {
				r := start(t, sink.Options{ETag: mode})
				if s, ok := tt.body.(io.Seeker); ok {
					_, _ = s.Seek(0, io.SeekStart)
				} else if mode == sink.ETagMD5 {
					t.Skip("a stream can be read once")
				}
				got, _ := r.send("PUT", "/b/k", tt.body, tt.headers...)
				if mode == sink.ETagMD5 && got.Header.Get("ETag") != `"`+etag+`"` {
					t.Errorf("ETag %s, want %s", got.Header.Get("ETag"), etag)
				}
				if head, _ := r.do("HEAD", "/b/k", ""); head.ContentLength != int64(len(text)) {
					t.Errorf("%d bytes stored, want %d", head.ContentLength, len(text))
				}
				if n := r.stats().Conns; n != 1 {
					t.Errorf("%d connections: the body was not taken off the first", n)
				}
			})
		}
	}
}

// A client that dies in the middle of a body has stored nothing.
func TestTruncatedBody(t *testing.T) {
	t.Parallel()
	r := start(t, sink.Options{})
	nc, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(nc, "PUT /b/k HTTP/1.1\r\nContent-Length: 10\r\n\r\nhalf")
	for r.stats().InFlight == 0 { // until the sink has begun to read
	}
	nc.Close()
	for r.stats().InFlight > 0 { // and has given up
	}
	if st := r.stats(); st.Objects != 0 {
		t.Errorf("%d objects stored", st.Objects)
	}
}

func TestMultipart(t *testing.T) {
	t.Parallel()
	r := start(t, sink.Options{})
	_, body := r.do("POST", "/b/big.mp4?uploads", "", "Content-Type", "video/mp4")
	var created struct{ UploadId string }
	if err := xml.Unmarshal([]byte(body), &created); err != nil || created.UploadId == "" {
		t.Fatalf("%v: %s", err, body)
	}
	id := "uploadId=" + created.UploadId
	sums := md5.New()
	for i, part := range []string{"first", "last"} {
		claim, etag := sum(part)
		got, _ := r.do("PUT", fmt.Sprintf("/b/big.mp4?partNumber=%d&%s", i+1, id), part, "Content-MD5", claim)
		if got.Header.Get("ETag") != `"`+etag+`"` {
			t.Errorf("part %d: ETag %s", i+1, got.Header.Get("ETag"))
		}
		raw, _ := hex.DecodeString(etag)
		sums.Write(raw)
	}
	if _, body := r.do("GET", "/b/big.mp4?"+id, ""); !strings.Contains(body, "<PartNumber>2<") {
		t.Errorf("parts: %s", body)
	}
	if _, body := r.do("GET", "/b?uploads", ""); !strings.Contains(body, created.UploadId) {
		t.Errorf("uploads: %s", body)
	}
	const list = "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part><Part><PartNumber>2</PartNumber></Part></CompleteMultipartUpload>"
	if got, body := r.do("POST", "/b/big.mp4?"+id, strings.ReplaceAll(list, "2", "3")); got.StatusCode != 400 {
		t.Errorf("complete with a part that is not there: %d %s", got.StatusCode, body)
	}
	want := hex.EncodeToString(sums.Sum(nil)) + "-2"
	if _, body := r.do("POST", "/b/big.mp4?"+id, list, "If-None-Match", "*"); !strings.Contains(body, want) {
		t.Errorf("complete: %s, want %s", body, want)
	}
	head, _ := r.do("HEAD", "/b/big.mp4", "")
	if head.ContentLength != 9 || head.Header.Get("ETag") != `"`+want+`"` || head.Header.Get("Content-Type") != "video/mp4" {
		t.Errorf("HEAD: %v", head.Header)
	}
	if got, _ := r.do("PUT", "/b/big.mp4?partNumber=1&"+id, "late"); got.StatusCode != 404 {
		t.Errorf("a part after the end: %d", got.StatusCode)
	}
	st := r.stats()
	if st.Uploads != 0 || st.Ops.Get(costs.UploadPart) != 3 || st.Ops.Get(costs.CompleteMultipartUpload) != 2 {
		t.Errorf("%d uploads left, %v", st.Uploads, st.Ops)
	}
}

func TestAbort(t *testing.T) {
	t.Parallel()
	r := start(t, sink.Options{})
	_, body := r.do("POST", "/b/k?uploads", "")
	id := body[strings.Index(body, "<UploadId>")+10 : strings.Index(body, "</UploadId>")]
	if got, _ := r.do("DELETE", "/b/k?uploadId="+id, ""); got.StatusCode != 204 || r.stats().Uploads != 0 {
		t.Errorf("%d, %d uploads left", got.StatusCode, r.stats().Uploads)
	}
}

func TestDeleteAndCopy(t *testing.T) {
	t.Parallel()
	r := start(t, sink.Options{})
	for _, key := range []string{"a", "b", "c"} {
		r.do("PUT", "/x/"+key, key)
	}
	r.do("PUT", "/x/d", "", "X-Amz-Copy-Source", "/x/a")
	r.do("DELETE", "/x/a", "")
	_, body := r.do("POST", "/x?delete", "<Delete><Object><Key>b</Key></Object><Object><Key>none</Key></Object></Delete>")
	if !strings.Contains(body, "<Deleted><Key>b</Key></Deleted>") {
		t.Error(body)
	}
	if _, body := r.do("GET", "/x?list-type=2", ""); strings.Count(body, "<Contents>") != 2 {
		t.Errorf("left: %s", body)
	}
	many := "<Delete>" + strings.Repeat("<Object><Key>k</Key></Object>", 1001) + "</Delete>"
	if got, _ := r.do("POST", "/x?delete", many); got.StatusCode != 400 {
		t.Errorf("1,001 keys at once: %d", got.StatusCode)
	}
	r.do("DELETE", "/x/c", "a body that nobody asked for")
	if n := r.stats().Conns; n != 1 {
		t.Errorf("%d connections for requests one after the other", n)
	}
}

// What clients ask before they begin must not keep them from beginning.
func TestQuestionsAboutBuckets(t *testing.T) {
	t.Parallel()
	r := start(t, sink.Options{})
	for _, tt := range []struct {
		method, path string
		want         int
		op           costs.Op
	}{
		{"GET", "/", 200, costs.ListBuckets},
		{"HEAD", "/b", 200, costs.HeadBucket},
		{"HEAD", "/b/", 200, costs.HeadBucket},
		{"PUT", "/b", 200, costs.PutBucket},
		{"GET", "/b/?location=", 200, costs.GetBucketLocation},
		{"GET", "/b?versioning", 200, costs.Unknown},
		{"GET", "/b?object-lock", 404, costs.Unknown},
		{"GET", "/b?policy", 501, costs.Unknown},
		{"PUT", "/b/k?acl", 501, costs.Unknown},
		{"PATCH", "/b/k", 405, costs.Unknown},
		{"DELETE", "/b", 204, costs.DeleteBucket},
	} {
		before := r.stats().Ops
		got, _ := r.do(tt.method, tt.path, "")
		if n := r.stats().Ops.Sub(before).Get(tt.op); got.StatusCode != tt.want || n != 1 {
			t.Errorf("%s %s: %d, counted %d as %v", tt.method, tt.path, got.StatusCode, n, tt.op)
		}
	}
}

func TestControl(t *testing.T) {
	t.Parallel()
	r := start(t, sink.Options{})
	r.do("PUT", "/b/k", "12345")
	st := r.stats()
	if st.Objects != 1 || st.ClassA != 1 || st.ClassB != 0 || st.BytesIn != 5 || st.Conns == 0 || st.Peak != 1 || st.CPUSeconds <= 0 {
		t.Errorf("%+v", st)
	}
	r.do("GET", "/_reset", "")
	if st := r.stats(); st.Objects != 1 || !st.Ops.IsZero() || st.BytesIn != 0 || st.Peak != 0 {
		t.Errorf("after reset: %+v", st)
	}
	r.do("GET", "/_wipe", "")
	if st := r.stats(); st.Objects != 0 {
		t.Errorf("after wipe: %+v", st)
	}
	for path, want := range map[string]int{"/_latency?d=-1s": 400, "/_latency?d=x": 400, "/_clock?ahead=-1h": 400, "/_clock": 400, "/_nothing": 404} {
		if got, _ := r.do("GET", path, ""); got.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, got.StatusCode, want)
		}
	}
}

func TestLatency(t *testing.T) {
	t.Parallel()
	const added = 30 * time.Millisecond
	r := start(t, sink.Options{Latency: added})
	began := time.Now()
	r.do("HEAD", "/b", "")
	if took := time.Since(began); took < added {
		t.Errorf("took %v, want at least %v", took, added)
	}
	r.do("GET", "/_latency?d=0s", "")
	began = time.Now()
	r.do("HEAD", "/b", "")
	if took := time.Since(began); took >= added {
		t.Errorf("took %v after the latency was taken away", took)
	}
}

// What the sink says of the time is ahead, and what it stores is of that time.
func TestClock(t *testing.T) {
	t.Parallel()
	r := start(t, sink.Options{})
	r.do("GET", "/_clock?ahead=25h", "")
	r.do("PUT", "/b/k", "12345")
	resp, _ := r.do("HEAD", "/b/k", "")
	for _, name := range []string{"Date", "Last-Modified"} {
		at, err := http.ParseTime(resp.Header.Get(name))
		if ahead := time.Until(at); err != nil || ahead < 24*time.Hour || ahead > 26*time.Hour {
			t.Errorf("%s is %v ahead, %v", name, ahead, err)
		}
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	cert, pem, err := sink.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	serve(t, sink.Options{}, l)
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatal("no certificate in the PEM")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	r := &remote{t, "https://" + l.Addr().String(), &http.Client{Transport: transport}}
	body := bytes.Repeat([]byte("x"), 200_000)
	if got, _ := r.send("PUT", "/b/k", bytes.NewReader(body)); got.StatusCode != 200 {
		t.Fatal(got.Status)
	}
	if got, _ := r.do("HEAD", "/b/k", ""); got.ContentLength != int64(len(body)) {
		t.Errorf("%d bytes stored", got.ContentLength)
	}
}
