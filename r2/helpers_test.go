package r2

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/media"
)

// Canaries: no error, log or print may ever hold one of them.
const (
	testKeyID  = "canarykeyid0123456789"
	testSecret = "canarysecret/0123456789abcdef"
)

// inProcess answers by calling a handler, without sockets, so that it lives
// in a synctest bubble. A handler that panics with http.ErrAbortHandler cuts
// the connection.
type inProcess struct{ h http.Handler }

var errCut = errors.New("read: connection reset by peer")

func (p inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	r := req.Clone(req.Context())
	if r.Body == nil {
		r.Body = http.NoBody
	}
	type answer struct {
		resp *http.Response
		err  error
	}
	done := make(chan answer, 1)
	go func() {
		defer func() {
			if v := recover(); v != nil {
				done <- answer{nil, errCut}
			}
		}()
		defer r.Body.Close()
		w := httptest.NewRecorder()
		p.h.ServeHTTP(w, r)
		resp := w.Result()
		resp.Request = req
		if resp.Header.Get("Date") == "" {
			resp.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
		}
		if n, err := strconv.ParseInt(resp.Header.Get("Content-Length"), 10, 64); err == nil {
			resp.ContentLength = n
		} else if req.Method != http.MethodHead {
			resp.ContentLength = int64(w.Body.Len())
		}
		done <- answer{resp, nil}
	}()
	select {
	case a := <-done:
		return a.resp, a.err
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
}

func testConfig() Config {
	return Config{
		Endpoint: "https://acct.r2.cloudflarestorage.com", Bucket: "b",
		AccessKeyID: testKeyID, SecretAccessKey: testSecret,
		Meter: new(costs.Meter), MaxConcurrency: 16,
		Log: slog.New(slog.DiscardHandler),
	}
}

// open returns a bucket that h serves, and its meter.
func open(t testing.TB, h http.Handler, change ...func(*Config)) (*Bucket, *costs.Meter) {
	t.Helper()
	c := testConfig()
	c.Transport = inProcess{h}
	for _, f := range change {
		f(&c)
	}
	b, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return b, c.Meter
}

func upload(key media.Key, body string) Upload {
	return Upload{
		Key: key, Size: int64(len(body)), MD5: md5.Sum([]byte(body)), SHA256: sha256.Sum256([]byte(body)),
		ContentType: "image/png", ModTime: time.Unix(1_700_000_000, 123_456_789), Body: strings.NewReader(body),
	}
}

func etagOf(body string) string { return fmt.Sprintf("%x", md5.Sum([]byte(body))) }

func s3Error(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>%s</Message></Error>`, code, message)
}

// A store is just enough of S3 for these tests: PUT, HEAD, GET, multipart,
// conditions, Content-MD5. before may answer instead, after may spoil the
// answer of what happened.
type store struct {
	before func(w http.ResponseWriter, r *http.Request) (answered bool)
	after  func(w http.ResponseWriter, r *http.Request)

	mu      sync.Mutex
	objects map[string]stored
	uploads map[string]map[int]string
	seen    []string // "PUT /b/k" and "PUT /b/k?partNumber=1" of every request
	times   []time.Time
	headers []http.Header
	nextID  int
}

type stored struct {
	body, etag string
	header     http.Header
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.seen = append(s.seen, r.Method+" "+r.URL.RequestURI())
	s.times = append(s.times, time.Now())
	s.headers = append(s.headers, r.Header.Clone())
	s.mu.Unlock()
	if s.before != nil && s.before(w, r) {
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	w2 := httptest.NewRecorder()
	s.serve(w2, r, string(body))
	if s.after != nil {
		s.after(w, r)
	}
	maps.Copy(w.Header(), w2.Header())
	w.WriteHeader(w2.Code)
	_, _ = w.Write(w2.Body.Bytes())
}

func (s *store) serve(w http.ResponseWriter, r *http.Request, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.objects == nil {
		s.objects, s.uploads = map[string]stored{}, map[string]map[int]string{}
	}
	key, q := strings.TrimPrefix(r.URL.Path, "/b/"), r.URL.Query()
	if sum := r.Header.Get("Content-Md5"); sum != "" {
		if got := md5.Sum([]byte(body)); sum != base64.StdEncoding.EncodeToString(got[:]) {
			s3Error(w, 400, "BadDigest", "The Content-MD5 you specified did not match what we received.")
			return
		}
	}
	switch {
	case r.Method == "POST" && q.Has("uploads"):
		s.nextID++
		id := fmt.Sprint("id", s.nextID)
		s.uploads[id] = map[int]string{}
		s.objects["meta/"+id] = stored{header: r.Header}
		fmt.Fprintf(w, "<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>%s</Key><UploadId>%s</UploadId></InitiateMultipartUploadResult>", key, id)
	case q.Has("uploadId"):
		s.part(w, r, key, body)
	case r.Method == "PUT":
		if s.conditionHolds(w, r, key) {
			s.objects[key] = stored{body, etagOf(body), r.Header.Clone()}
			w.Header().Set("ETag", `"`+etagOf(body)+`"`)
		}
	default:
		s.read(w, r, key)
	}
}

func (s *store) read(w http.ResponseWriter, r *http.Request, key string) {
	o, ok := s.objects[key]
	if !ok {
		if r.Method == "HEAD" {
			w.WriteHeader(404)
			return
		}
		s3Error(w, 404, "NoSuchKey", "The specified key does not exist.")
		return
	}
	w.Header().Set("ETag", `"`+o.etag+`"`)
	w.Header().Set("Content-Length", strconv.Itoa(len(o.body)))
	w.Header().Set("Last-Modified", "Tue, 14 Nov 2023 22:13:20 GMT")
	for k, v := range o.header {
		if k == "Content-Type" || k == "Cache-Control" || strings.HasPrefix(k, "X-Amz-Meta-") {
			w.Header()[k] = v
		}
	}
	if r.Method == "GET" {
		_, _ = io.WriteString(w, o.body)
	}
}

func (s *store) conditionHolds(w http.ResponseWriter, r *http.Request, key string) bool {
	o, exists := s.objects[key]
	match, none := r.Header.Get("If-Match"), r.Header.Get("If-None-Match")
	switch {
	case none == "*" && exists, match != "" && exists && match != `"`+o.etag+`"`:
		s3Error(w, 412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold.")
		return false
	case match != "" && !exists:
		s3Error(w, 404, "NoSuchKey", "The specified key does not exist.")
		return false
	}
	return true
}

func (s *store) part(w http.ResponseWriter, r *http.Request, key, body string) {
	id := r.URL.Query().Get("uploadId")
	parts, ok := s.uploads[id]
	switch {
	case !ok:
		s3Error(w, 404, "NoSuchUpload", "The specified multipart upload does not exist.")
	case r.Method == "DELETE":
		delete(s.uploads, id)
		w.WriteHeader(204)
	case r.Method == "PUT":
		n, _ := strconv.Atoi(r.URL.Query().Get("partNumber"))
		parts[n] = body
		w.Header().Set("ETag", `"`+etagOf(body)+`"`)
	case !s.conditionHolds(w, r, key):
		delete(s.uploads, id)
	default:
		s.complete(w, key, id, body)
	}
}

func (s *store) complete(w http.ResponseWriter, key, id, body string) {
	var list struct {
		Part []struct {
			PartNumber int
			ETag       string
		}
	}
	_ = xml.Unmarshal([]byte(body), &list)
	var whole, sums bytes.Buffer
	for i, p := range list.Part {
		b := s.uploads[id][p.PartNumber]
		if p.PartNumber != i+1 || strings.Trim(p.ETag, `"`) != etagOf(b) {
			s3Error(w, 400, "InvalidPart", "part")
			return
		}
		sum := md5.Sum([]byte(b))
		sums.Write(sum[:])
		whole.WriteString(b)
	}
	etag := fmt.Sprintf("%s-%d", etagOf(sums.String()), len(list.Part))
	s.objects[key] = stored{whole.String(), etag, s.objects["meta/"+id].header}
	delete(s.uploads, id)
	fmt.Fprintf(w, "<CompleteMultipartUploadResult><Bucket>b</Bucket><Key>%s</Key><ETag>&quot;%s&quot;</ETag></CompleteMultipartUploadResult>", key, etag)
}

func (s *store) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

func (s *store) has(key string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.objects[key]
	return o.body, ok
}

// nth returns f for the nth call and a no-op otherwise.
func nth(n int, f func(w http.ResponseWriter, r *http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
	var mu sync.Mutex
	calls := 0
	return func(w http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		calls++
		now := calls == n
		mu.Unlock()
		return now && f(w, r)
	}
}

func cut(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }

func mustBe(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error is %v, want %v", err, want)
	}
	leaks(t, fmt.Sprintf("%v %+v %#v", err, err, err))
}

// leaks fails the test if text holds a canary.
func leaks(t *testing.T, text string) {
	t.Helper()
	for _, c := range []string{testKeyID, testSecret, "Signature=", "AWS4-HMAC"} {
		if strings.Contains(text, c) {
			t.Errorf("%q leaks in %q", c, text)
		}
	}
}

func mediaKey(i int) media.Key { return media.Key(fmt.Sprintf("k%04d", i)) }
