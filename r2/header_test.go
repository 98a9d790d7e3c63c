package r2

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"example.org/mediamove/media"
)

// described are headers of an object that somebody else has stored, and some that
// never belong to one.
func described() http.Header {
	return http.Header{
		"Content-Type": {"video/mp4"}, "Cache-Control": {"no-transform"}, "Content-Encoding": {"aws-chunked, br"},
		"Content-Disposition": {`inline; filename="a"`}, "Content-Language": {"de", "en"}, "Expires": {"0"},
		"X-Amz-Storage-Class": {"STANDARD_IA"}, "X-Amz-Meta-A": {"b"}, "x-amz-meta-low": {"case"},

		"Authorization": {"AWS4-HMAC-SHA256 x"}, "X-Amz-Acl": {"public-read-write"}, "If-Match": {"*"}, "If-None-Match": {"x"},
		"Content-Length": {"1"}, "Content-Md5": {"x"}, "X-Amz-Meta-": {"nameless"}, "X-Amz-Copy-Source": {"/b/other"},
		"X-Amz-Content-Sha256": {"UNSIGNED-PAYLOAD"}, "Etag": {"x"}, "Host": {"elsewhere"}, "Transfer-Encoding": {"chunked"},
	}
}

// wantSent is what of described is sent with an upload.
func wantSent() map[string]string {
	return map[string]string{
		"Content-Type": "video/mp4", "Cache-Control": "no-transform", "Content-Encoding": "br",
		"Content-Disposition": `inline; filename="a"`, "Content-Language": "de,en", "Expires": "0",
		"X-Amz-Storage-Class": "STANDARD_IA", "X-Amz-Meta-A": "b", "X-Amz-Meta-Low": "case",
		"If-None-Match": "*", "X-Amz-Meta-Sha256": "", "X-Amz-Meta-Mtime": "", "X-Amz-Meta-": "", "X-Amz-Acl": "", "If-Match": "", "X-Amz-Copy-Source": "", "Etag": "",
	}
}

// An object is put back with the headers that it had, and no others.
func TestUploadHeader(t *testing.T) {
	t.Parallel()
	s := new(store)
	b, _ := open(t, s)
	u := upload("small", "abc")
	u.Header = described()
	if _, err := b.Put(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	l := large("large", minPart+1, nil)
	l.Header = described()
	if _, err := b.PutLarge(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for i, request := range s.requests() {
		put := request == "PUT /b/small"
		if !put && !strings.HasSuffix(request, "?uploads=") && !strings.HasSuffix(request, "?uploads") {
			continue
		}
		seen++
		for name, want := range wantSent() {
			if name == "If-None-Match" && !put {
				continue // the last request of an upload has it
			}
			if got := strings.Join(s.headers[i].Values(name), ","); got != want {
				t.Errorf("%s: %s is %q, want %q", request, name, got, want)
			}
		}
		if strings.Contains(s.headers[i].Get("Authorization"), "AWS4-HMAC-SHA256 x") || s.headers[i].Get("X-Amz-Content-Sha256") == "UNSIGNED-PAYLOAD" && put {
			t.Errorf("%s: another's signature", request)
		}
	}
	if seen != 2 {
		t.Errorf("%d requests that describe an object: %q", seen, s.requests())
	}
}

// Nothing of the header that the caller gave is changed or kept by an attempt.
func TestUploadHeaderIsTheCallers(t *testing.T) {
	t.Parallel()
	b, _ := open(t, new(store))
	u := upload("small", "abc")
	u.Header = described()
	if _, err := b.Put(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	if !maps.EqualFunc(u.Header, described(), slices.Equal) {
		t.Errorf("%v", u.Header)
	}
}

// The ACL of a server that has some is that of new media, whatever the file says.
func TestUploadHeaderACL(t *testing.T) {
	t.Parallel()
	s := new(store)
	b, _ := open(t, s, func(c *Config) { c.Endpoint, c.ACL = "https://s3.example", new("public-read") })
	u := upload("small", "abc")
	u.Header = described()
	if _, err := b.Put(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	if got := s.headers[0].Get("X-Amz-Acl"); got != "public-read" {
		t.Errorf("ACL %q", got)
	}
}

func TestContentEncodingIsTheObjects(t *testing.T) {
	t.Parallel()
	for stored, want := range map[string]string{"": "", "gzip": "gzip", "aws-chunked": "", "aws-chunked,gzip": "gzip", "gzip, aws-chunked,": "gzip"} {
		h := http.Header{"Content-Encoding": {stored}}
		if got := restored(h).Get("Content-Encoding"); got != want || h.Get("Content-Encoding") != stored {
			t.Errorf("%q becomes %q", stored, got)
		}
	}
}

// HEAD and GET tell all that is stored beside the bytes, and only that.
func TestHeadTellsHeaders(t *testing.T) {
	t.Parallel()
	stored := http.Header{
		"Content-Type": {"image/png"}, "Cache-Control": {"x"}, "Content-Encoding": {"br"}, "Content-Disposition": {"inline"},
		"Content-Language": {"de"}, "Expires": {"0"}, "X-Amz-Storage-Class": {"STANDARD_IA"}, "X-Amz-Meta-A": {"1", "2"},
	}
	b, _ := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		maps.Copy(w.Header(), stored)
		maps.Copy(w.Header(), http.Header{
			"Etag": {`"x"`}, "Content-Length": {"3"}, "Last-Modified": {"Tue, 14 Nov 2023 22:13:20 GMT"},
			"Server": {"cloudflare"}, "X-Amz-Request-Id": {"1"}, "Cf-Ray": {"1"}, "X-Amz-Meta-": {"x"}, "Set-Cookie": {"a=b"},
		})
		if r.Method == "GET" {
			_, _ = io.WriteString(w, "abc")
		}
	}))
	h, err := b.Head(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	r, got, err := b.Get(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for op, header := range map[string]http.Header{"HEAD": h.Header, "GET": got.Header} {
		if !maps.EqualFunc(header, stored, slices.Equal) {
			t.Errorf("%s tells %v, want %v", op, header, stored)
		}
	}
}

func TestGetMatching(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		key    media.Key
		etag   string
		ignore bool // the server doesn't look at conditions
		err    error
		gone   bool
	}{
		"the one":                   {"k", etagOf("abc"), false, nil, false},
		"another":                   {"k", etagOf("abd"), false, ErrChanged, false},
		"none":                      {"gone", etagOf("abc"), false, ErrChanged, true},
		"the one, ignored":          {"k", etagOf("abc"), true, nil, false},
		"another, ignored":          {"k", etagOf("abd"), true, ErrChanged, false},
		"none, ignored":             {"gone", etagOf("abc"), true, ErrChanged, true},
		"in parts":                  {"k", etagOf("abc") + "-2", false, ErrChanged, false},
		"in other parts, by number": {"k", etagOf("abc") + "-2", true, ErrChanged, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &store{objects: map[string]stored{"k": {body: "abc", etag: etagOf("abc")}}}
			s.before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Header.Get("If-Match") != `"`+c.etag+`"` {
					t.Errorf("If-Match: %s", r.Header.Get("If-Match"))
				}
				if o := s.objects[string(c.key)]; !c.ignore && o.etag != "" && o.etag != c.etag {
					s3Error(w, 412, "PreconditionFailed", "x")
					return true
				}
				return false
			}
			b, _ := open(t, s)
			r, h, err := b.GetMatching(t.Context(), c.key, c.etag)
			mustBe(t, err, c.err)
			if errors.Is(err, ErrNotFound) != c.gone || Stops(err) {
				t.Error(err)
			}
			if err == nil {
				if body, err := io.ReadAll(r); err != nil || string(body) != "abc" || h.ETag != c.etag {
					t.Errorf("%q %+v %v", body, h, err)
				}
				r.Close()
			} else if r != nil || h.ETag != "" {
				t.Errorf("%v, %+v beside an error", r, h)
			}
			if n := b.Stats().InFlight; n != 0 {
				t.Errorf("%d slots held", n)
			}
		})
	}
	b, _ := open(t, never(t))
	if _, _, err := b.GetMatching(t.Context(), "k", ""); err == nil || errors.Is(err, ErrChanged) {
		t.Errorf("without an ETag: %v", err)
	}
}
