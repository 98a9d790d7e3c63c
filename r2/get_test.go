package r2

import (
	"bufio"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"example.org/mediamove/costs"
)

func TestHead(t *testing.T) {
	t.Parallel()
	s := new(store)
	b, m := open(t, s)
	u := upload("k", "abc")
	if _, err := b.Put(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	h, err := b.Head(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	if h.Size != 3 || h.ETag != etagOf("abc") || h.SHA256 != u.SHA256 || h.ContentType != "image/png" || h.LastModified.IsZero() || h.Date.IsZero() {
		t.Errorf("%+v", h)
	}
	if n := m.Usage().B(); n != 1 {
		t.Errorf("%d Class B", n)
	}
	_, err = b.Head(t.Context(), "gone")
	mustBe(t, err, ErrNotFound)
	if Stops(err) {
		t.Error("stops")
	}
}

// A HEAD's 404 alone isn't believed.
func TestHeadConfirmsAbsence(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		get  http.HandlerFunc
		want error
	}{
		"bucket is gone": {func(w http.ResponseWriter, _ *http.Request) { s3Error(w, 404, "NoSuchBucket", "x") }, ErrNoBucket},
		"not S3":         {func(w http.ResponseWriter, _ *http.Request) { http.NotFound(w, nil) }, ErrNonsense},
		"key is gone":    {func(w http.ResponseWriter, _ *http.Request) { s3Error(w, 404, "NoSuchKey", "x") }, ErrNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, _ := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "HEAD" {
					w.WriteHeader(404)
					return
				}
				c.get(w, r)
			}))
			_, err := b.Head(t.Context(), "k")
			mustBe(t, err, c.want)
			if errors.Is(err, ErrNotFound) != errors.Is(c.want, ErrNotFound) {
				t.Errorf("absence: %v", err)
			}
		})
	}
}

func TestHeadNonsense(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]http.Header{
		"nothing":          {"Content-Length": {"3"}},
		"no ETag":          {"Content-Length": {"3"}, "Last-Modified": {"Tue, 14 Nov 2023 22:13:20 GMT"}},
		"no length":        {"Etag": {"x"}, "Last-Modified": {"Tue, 14 Nov 2023 22:13:20 GMT"}},
		"no Last-Modified": {"Etag": {"x"}, "Content-Length": {"3"}},
	} {
		b, _ := open(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			maps.Copy(w.Header(), h)
		}))
		_, err := b.Head(t.Context(), "k")
		if !errors.Is(err, ErrNonsense) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// rawGet opens a bucket whose server says exactly answer and closes.
func rawGet(t *testing.T, answer string) *Bucket {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			br := bufio.NewReader(c)
			for line, err := br.ReadString('\n'); err == nil && line != "\r\n"; line, err = br.ReadString('\n') {
			}
			_, _ = io.WriteString(c, answer)
			c.Close()
		}
	}()
	c := testConfig()
	c.Endpoint = "http://" + l.Addr().String()
	b, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestGetCountsBytes(t *testing.T) {
	t.Parallel()
	const head = "HTTP/1.1 200 OK\r\nETag: \"x\"\r\nLast-Modified: Tue, 14 Nov 2023 22:13:20 GMT\r\n"
	for name, c := range map[string]struct {
		answer string
		open   error
		read   error
	}{
		"whole":                  {head + "Content-Length: 3\r\n\r\nabc", nil, nil},
		"cut":                    {head + "Content-Length: 4\r\n\r\nabc", nil, io.ErrUnexpectedEOF},
		"chunked, so unverified": {head + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", ErrNonsense, nil},
		"ended by closing":       {"HTTP/1.0" + head[8:] + "\r\nabc", ErrNonsense, nil},
		"no ETag":                {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", ErrNonsense, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := rawGet(t, c.answer)
			defer b.Close()
			r, o, err := b.Get(t.Context(), "k")
			mustBe(t, err, c.open)
			if err != nil {
				return
			}
			defer r.Close()
			data, err := io.ReadAll(r)
			mustBe(t, err, c.read)
			if string(data) != "abc" || o.ETag != "x" {
				t.Errorf("%q %+v", data, o)
			}
			if _, again := r.Read(make([]byte, 1)); c.read != nil && !errors.Is(again, c.read) {
				t.Errorf("read on: %v", again)
			}
			r.Close()
			if n := b.Stats().InFlight; n != 0 {
				t.Errorf("%d slots held", n)
			}
		})
	}
}

// The same from transports that don't count themselves.
func TestGetCountsForItself(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]error{"abc": nil, "ab": io.ErrUnexpectedEOF, "abcd": io.ErrUnexpectedEOF} {
		b, _ := open(t, nil, func(c *Config) {
			c.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
				return &http.Response{
					StatusCode: 200, ContentLength: 3, Request: r, Body: io.NopCloser(strings.NewReader(body)),
					Header: http.Header{"Etag": {"x"}, "Content-Length": {"3"}, "Last-Modified": {"Tue, 14 Nov 2023 22:13:20 GMT"}},
				}, nil
			})
		})
		r, _, err := b.Get(t.Context(), "k")
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadAll(r)
		r.Close()
		mustBe(t, err, want)
	}
}

func TestGetHoldsItsSlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := new(store)
		b, m := open(t, s)
		if _, err := b.Put(t.Context(), upload("k", strings.Repeat("x", 100))); err != nil {
			t.Fatal(err)
		}
		r, o, err := b.Get(t.Context(), "k")
		if err != nil || o.Size != 100 {
			t.Fatal(o, err)
		}
		if n := b.Stats().InFlight; n != 1 {
			t.Errorf("%d slots held", n)
		}
		if err := r.Close(); err != nil || r.Close() != nil {
			t.Error(err)
		}
		if n := b.Stats().InFlight; n != 0 {
			t.Errorf("%d slots held", n)
		}
		_, _, err = b.Get(t.Context(), "gone")
		mustBe(t, err, ErrNotFound)
		if n := m.Usage().Get(costs.GetObject); n != 2 {
			t.Errorf("%d GETs", n)
		}
	})
}

func TestAbort(t *testing.T) {
	t.Parallel()
	s := &store{uploads: map[string]map[int]string{"id": {}}, objects: map[string]stored{}}
	b, m := open(t, s)
	for range 2 { // the second finds nothing: fine
		if err := b.Abort(t.Context(), "k", "id"); err != nil {
			t.Fatal(err)
		}
	}
	if u := m.Usage(); u.A() != 0 || u.Get(costs.AbortMultipartUpload) != 2 {
		t.Errorf("usage %v", u)
	}
}
