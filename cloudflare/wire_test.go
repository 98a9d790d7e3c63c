package cloudflare

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// served returns a client that reaches h over TCP.
func served(t *testing.T, h http.Handler) *Client {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	c, err := New(Options{
		Endpoint: srv.URL + "/client/v4/graphql", Token: testToken, Account: testAccount,
		Now: noon, Patience: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestOverTheNetwork(t *testing.T) {
	t.Parallel()
	a := &api{t: t, now: noon(), events: daily("media", nov(2), 10), gauges: []gauge{{nov(2), "media", ClassStandard, 5, 0, 1, 0}}}
	c := served(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/client/v4/graphql" {
			t.Error(r.URL)
		}
		a.ServeHTTP(w, r)
	}))
	o, err := c.Operations(t.Context(), "", nov(2), nov(12))
	if err != nil || o.Usage().A() != 10 {
		t.Error(o, err)
	}
	s, err := c.Storage(t.Context(), "media", nov(2), nov(3))
	if err != nil || len(s.Rows) != 1 {
		t.Error(s, err)
	}
}

// The token goes to one host, and to no other whatever that one says.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer elsewhere.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		c := served(t, http.RedirectHandler(elsewhere.URL, status))
		_, err := c.Operations(t.Context(), "", nov(2), nov(3))
		if !errors.Is(err, ErrShape) || !strings.Contains(err.Error(), "redirect") {
			t.Errorf("%d: %v", status, err)
		}
	}
	if asked.Load() != 0 {
		t.Error("followed")
	}
}

// What an answer may be is bounded as we read it, however small it was packed.
func TestHugeAnswers(t *testing.T) {
	t.Parallel()
	chunk := bytes.Repeat([]byte(" "), 1<<20)
	var small bytes.Buffer
	z := gzip.NewWriter(&small)
	for range 9 {
		if _, err := z.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for _, packed := range []bool{false, true} {
		var sent, queries atomic.Int64
		c := served(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			queries.Add(1)
			if packed {
				w.Header().Set("Content-Encoding", "gzip")
				_, _ = w.Write(small.Bytes())
				return
			}
			for range 64 {
				n, err := w.Write(chunk)
				sent.Add(int64(n))
				if err != nil {
					return
				}
			}
		}))
		_, err := c.Operations(t.Context(), "", nov(2), nov(3))
		if !errors.Is(err, ErrShape) || !strings.Contains(err.Error(), "too large") {
			t.Errorf("packed %t: %v", packed, err)
		}
		if queries.Load() != 2 || sent.Load() >= 2*64<<20 { // a day, its first hour; not to the end
			t.Errorf("packed %t: %d queries, %d bytes", packed, queries.Load(), sent.Load())
		}
	}
}

func TestBrokenAnswers(t *testing.T) {
	t.Parallel()
	const whole = `{"data":{"viewer":{"accounts":[{"rows":[]}]}},"errors":null}`
	for name, h := range map[string]http.HandlerFunc{
		"shorter than announced": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, whole)
		},
		"closed in the middle": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, whole[:20])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		},
		"closed at once": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"says gzip, is none": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			fmt.Fprint(w, whole)
		},
	} {
		if _, err := served(t, h).Operations(t.Context(), "", nov(2), nov(3)); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(Options{Endpoint: "http://" + l.Addr().String(), Token: testToken, Account: testAccount, Patience: -1})
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	defer c.Close()
	now := time.Now()
	if _, err = c.Storage(t.Context(), "", now.Add(-time.Hour), now); !errors.Is(err, ErrUnavailable) || strings.Contains(err.Error(), "http://") {
		t.Error(err)
	}
}

// A proxy sees the host and is told no secret in errors either.
func TestProxy(t *testing.T) {
	t.Parallel()
	var hosts atomic.Pointer[string]
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hosts.Store(&r.Host)
		w.WriteHeader(http.StatusBadGateway)
		fmt.Fprint(w, `{"errors":[{"message":"proxy says pr0xypass and `+testToken+`"}]}`)
	}))
	defer proxy.Close()
	u, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("me", "pr0xypass")
	c, err := New(Options{Endpoint: "http://127.0.0.1:1/graphql", Token: testToken, Account: testAccount, Proxy: u, Now: noon, Patience: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Storage(t.Context(), "", nov(2), nov(3))
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "proxy says [secret] and [secret]") {
		t.Error(err)
	}
	if h := hosts.Load(); h == nil || *h != "127.0.0.1:1" {
		t.Error("not by the proxy")
	}
}
