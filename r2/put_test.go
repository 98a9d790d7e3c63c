package r2

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/mediamove/costs"
	"example.org/mediamove/media"
)

// rawServer answers every request on a loopback port with answer and keeps
// the bytes of the first.
func rawServer(t *testing.T, answer string) (url string, first func() (head []string, body string)) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	type request struct {
		head []string
		body string
	}
	got := make(chan request, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		br := bufio.NewReader(c)
		var q request
		size := 0
		for {
			line, err := br.ReadString('\n')
			if line = strings.TrimRight(line, "\r\n"); err != nil || line == "" {
				break
			}
			q.head = append(q.head, line)
			_, _ = fmt.Sscanf(line, "Content-Length: %d", &size)
		}
		buf := make([]byte, size)
		_, _ = io.ReadFull(br, buf)
		q.body = string(buf)
		_, _ = io.WriteString(c, answer)
		got <- q
	}()
	t.Cleanup(func() { l.Close() })
	return "http://" + l.Addr().String(), func() ([]string, string) { q := <-got; return q.head, q.body }
}

// masked replaces what differs from run to run.
func masked(head []string) []string {
	for i, h := range head {
		name, _, _ := strings.Cut(h, ": ")
		switch name {
		case "Host", "X-Amz-Date":
			head[i] = name + ": *"
		case "Authorization":
			_, signed, _ := strings.Cut(h, "SignedHeaders=")
			signed, _, _ = strings.Cut(signed, ",")
			head[i] = name + ": * " + signed
		}
	}
	slices.Sort(head[1:])
	return head
}

func TestPutOnTheWire(t *testing.T) {
	t.Parallel()
	body := "hello"
	url, first := rawServer(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nDate: Tue, 14 Nov 2023 22:13:20 GMT\r\nETag: \""+etagOf(body)+"\"\r\nConnection: close\r\n\r\n")
	c := testConfig()
	c.Endpoint, c.Prefix, c.ACL = url, "/some/prefix/", new("public-read")
	b, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	got, err := b.Put(t.Context(), upload("accounts/avatars/é+ (1).png", body))
	if err != nil {
		t.Fatal(err)
	}
	want := Stored{Object: Object{Key: "accounts/avatars/é+ (1).png", Size: 5, ETag: etagOf(body), LastModified: time.Unix(1_700_000_000, 0).UTC()}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	head, sent := first()
	if sent != body {
		t.Errorf("body %q", sent)
	}
	if d := cmp.Diff([]string{
		"PUT /b/some/prefix/accounts/avatars/%C3%A9%2B%20%281%29.png HTTP/1.1",
		"Authorization: * cache-control;content-length;content-md5;content-type;host;if-none-match;x-amz-acl;x-amz-content-sha256;x-amz-date;x-amz-meta-mtime;x-amz-meta-sha256",
		"Cache-Control: public, max-age=315576000, immutable",
		"Content-Length: 5",
		"Content-Md5: XUFAKrxLKna5cZ2REBfFkg==",
		"Content-Type: image/png",
		"Host: *",
		"If-None-Match: *",
		"User-Agent: mediamove",
		"X-Amz-Acl: public-read",
		"X-Amz-Content-Sha256: 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
		"X-Amz-Date: *",
		"X-Amz-Meta-Mtime: 1700000000.123456789",
		"X-Amz-Meta-Sha256: 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
	}, masked(head)); d != "" {
		t.Error(d)
	}
	if n := c.Meter.Usage().Get(costs.PutObject); n != 1 {
		t.Errorf("%d PUTs counted", n)
	}
}

func TestPutHeaders(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*Config)
		upload func(*Upload)
		want   map[string]string // "" is absent
	}{
		"R2 never gets an ACL": {func(c *Config) { c.ACL = new("public-read") }, nil, map[string]string{"X-Amz-Acl": ""}},
		"no ACL if unset":      {func(c *Config) { c.Endpoint = "https://s3.example" }, nil, map[string]string{"X-Amz-Acl": ""}},
		"no ACL if empty": {func(c *Config) { c.Endpoint, c.ACL = "https://s3.example", new("") }, nil, map[string]string{
			"X-Amz-Acl": "",
		}},
		"ACL elsewhere": {func(c *Config) { c.Endpoint, c.ACL = "https://s3.example", new("private") }, nil, map[string]string{
			"X-Amz-Acl": "private",
		}},
		"creates": {nil, nil, map[string]string{"If-None-Match": "*", "If-Match": "", "Expect": "", "Content-Encoding": "", "X-Amz-Checksum-Crc32": ""}},
		"replaces": {nil, func(u *Upload) { u.IfMatch = "abc" }, map[string]string{
			"If-None-Match": "", "If-Match": `"abc"`,
		}},
		"no mtime": {nil, func(u *Upload) { u.ModTime = time.Time{} }, map[string]string{"X-Amz-Meta-Mtime": ""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got http.Header
			b, _ := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got = r.Header
				w.Header().Set("ETag", `"`+etagOf("x")+`"`)
			}), func(cfg *Config) {
				if c.change != nil {
					c.change(cfg)
				}
			})
			u := upload("k", "x")
			if c.upload != nil {
				c.upload(&u)
			}
			if _, err := b.Put(t.Context(), u); err != nil {
				t.Fatal(err)
			}
			for k, v := range c.want {
				if got.Get(k) != v {
					t.Errorf("%s: %q, want %q", k, got.Get(k), v)
				}
			}
		})
	}
}

func TestFloatTime(t *testing.T) {
	t.Parallel()
	for want, at := range map[string]time.Time{
		"1700000000":           time.Unix(1_700_000_000, 0),
		"1700000000.5":         time.Unix(1_700_000_000, 500_000_000),
		"1700000000.000000001": time.Unix(1_700_000_000, 1),
		"0.25":                 time.Unix(0, 250_000_000),
		"-0.5":                 time.Unix(0, -500_000_000),
	} {
		if got := floatTime(at); got != want {
			t.Errorf("%v is %q, want %q", at, got, want)
		}
	}
}

// Sizes around the border between copied and streamed bodies.
func TestPutSizes(t *testing.T) {
	t.Parallel()
	s := new(store)
	b, _ := open(t, s)
	for _, n := range []int{0, 1, 4096, smallBody - 1, smallBody, smallBody + 1, 300_000} {
		body := strings.Repeat("x", n)
		key := media.Key(fmt.Sprint("k", n))
		if _, err := b.Put(t.Context(), upload(key, body)); err != nil {
			t.Fatal(err)
		}
		if got, _ := s.has(string(key)); got != body {
			t.Errorf("%d bytes became %d", n, len(got))
		}
	}
}

func TestPutRefusals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := new(store)
		b, m := open(t, s)
		if _, err := b.Put(t.Context(), upload("k", "one")); err != nil {
			t.Fatal(err)
		}
		_, err := b.Put(t.Context(), upload("k", "two"))
		mustBe(t, err, ErrExists)
		u := upload("k", "two")
		u.IfMatch = "other"
		_, err = b.Put(t.Context(), u)
		mustBe(t, err, ErrChanged)
		u.Key = "gone"
		_, err = b.Put(t.Context(), u)
		mustBe(t, err, ErrChanged)
		mustBe(t, err, ErrNotFound)
		u.Key, u.IfMatch = "k", etagOf("one")
		if _, err = b.Put(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		if got, _ := s.has("k"); got != "two" {
			t.Errorf("replaced by %q", got)
		}
		if u := m.Usage(); u.Get(costs.PutObject) != 5 || u.B() != 0 {
			t.Errorf("usage %v", u)
		}
		wrong := upload("w", "one")
		wrong.Body = strings.NewReader("two")
		_, err = b.Put(t.Context(), wrong)
		mustBe(t, err, ErrBadDigest)
		if Stops(err) {
			t.Error("a changed file stops the run")
		}
	})
}

// A conflict is tried again, whatever the condition.
func TestPutConflictRetries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &store{before: nth(1, func(w http.ResponseWriter, _ *http.Request) bool {
			s3Error(w, 409, "ConditionalRequestConflict", "try again")
			return true
		})}
		b, _ := open(t, s)
		if _, err := b.Put(t.Context(), upload("k", "x")); err != nil {
			t.Fatal(err)
		}
	})
}

func TestPutNonsense(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"200 empty":   func(http.ResponseWriter, *http.Request) {},
		"200 HTML":    func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>login</html>") },
		"wrong ETag":  func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("ETag", `"`+etagOf("other")+`"`) },
		"204":         func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) },
		"404 of HTML": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>no</html>", 404) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, m := open(t, answer)
			for i := 1; i <= maxNonsense; i++ {
				_, err := b.Put(t.Context(), upload("k", "x"))
				mustBe(t, err, ErrNonsense)
				if Stops(err) != (i == maxNonsense) {
					t.Errorf("after %d: Stops is %v: %v", i, Stops(err), err)
				}
			}
			if n := m.Usage().Get(costs.PutObject); n != maxNonsense {
				t.Errorf("%d PUTs", n)
			}
		})
	}
}

// One sensible answer in between, and nonsense counts from the start.
func TestNonsenseIsCountedInARow(t *testing.T) {
	t.Parallel()
	n := 0
	b, _ := open(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if n++; n%3 == 0 {
			w.Header().Set("ETag", `"`+etagOf("x")+`"`)
		}
	}))
	for range 9 {
		if _, err := b.Put(t.Context(), upload("k", "x")); Stops(err) {
			t.Fatal(err)
		}
	}
}

// S3 may say 200 and fail in the body.
func TestPutErrorInside200(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &store{before: nth(1, func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("ETag", `"`+etagOf("x")+`"`)
			s3Error(w, 200, "InternalError", "We encountered an internal error.")
			return true
		})}
		b, _ := open(t, s)
		if _, err := b.Put(t.Context(), upload("k", "x")); err != nil {
			t.Fatal(err)
		}
		if n := len(s.requests()); n != 2 {
			t.Errorf("%d requests", n)
		}
	})
}

// A file that shrank or a broken disk is no fault of the bucket: one try, no
// retry, and its own error.
func TestPutSourceFails(t *testing.T) {
	t.Parallel()
	for _, size := range []int{10, smallBody + 10} {
		b, m := open(t, new(store))
		u := upload("k", strings.Repeat("x", size))
		u.Body = strings.NewReader("short")
		_, err := b.Put(t.Context(), u)
		mustBe(t, err, ErrSource)
		mustBe(t, err, io.ErrUnexpectedEOF)
		if n := m.Usage().Get(costs.PutObject); size <= smallBody && n != 0 || n > 1 {
			t.Errorf("%d bytes: %d PUTs", size, n)
		}
	}
}

// guarded is an endless file that notices being read when it is over.
type guarded struct {
	t    *testing.T
	over chan struct{}
}

func (g *guarded) ReadAt(p []byte, _ int64) (int, error) {
	select {
	case <-g.over:
		g.t.Error("Body read after Put returned")
	default:
	}
	return len(p), nil
}

// After Put the caller's buffer may hold another file: a transport that still
// reads, as net/http may for a while after an early answer, must get nothing.
func TestPutLeavesTheBodyAlone(t *testing.T) {
	t.Parallel()
	g := &guarded{t, make(chan struct{})}
	read := make(chan error)
	b, _ := open(t, nil, func(c *Config) {
		c.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			go func() {
				<-g.over
				_, err := r.Body.Read(make([]byte, 10))
				read <- err
			}()
			return &http.Response{StatusCode: 403, Body: http.NoBody, Request: r}, nil
		})
	})
	u := upload("k", "")
	u.Size, u.Body = 1<<40, g
	_, err := b.Put(t.Context(), u)
	close(g.over)
	mustBe(t, err, ErrDenied)
	mustBe(t, <-read, errShut)
}

func TestPutRefusesBadKeys(t *testing.T) {
	t.Parallel()
	b, m := open(t, new(store))
	for _, k := range []media.Key{"", "a//b", "a/../b", "a\x01", media.Key(strings.Repeat("k", 1025))} {
		_, err := b.Put(t.Context(), upload(k, "x"))
		if _, ok := errors.AsType[*media.KeyError](err); !ok {
			t.Errorf("%q: %v", k, err)
		}
	}
	if u := m.Usage(); !u.IsZero() {
		t.Errorf("requests were sent: %v", u)
	}
}

func TestPutLimit(t *testing.T) {
	t.Parallel()
	s := new(store)
	b, m := open(t, s)
	m.LimitA(1)
	if _, err := b.Put(t.Context(), upload("a", "x")); err != nil {
		t.Fatal(err)
	}
	_, err := b.Put(t.Context(), upload("b", "x"))
	mustBe(t, err, ErrLimit)
	if !Stops(err) || len(s.requests()) != 1 {
		t.Errorf("Stops %v, %d requests", Stops(err), len(s.requests()))
	}
}

func TestPutCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("user pressed Ctrl-C")
		ctx, cancel := context.WithCancelCause(t.Context())
		b, m := open(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			cancel(why)
			<-r.Context().Done()
		}))
		_, err := b.Put(ctx, upload("k", "x"))
		mustBe(t, err, why)
		_, err = b.Put(ctx, upload("k", "x"))
		mustBe(t, err, why)
		if n := m.Usage().A(); n != 1 {
			t.Errorf("%d attempts", n)
		}
	})
}
