package r2

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/media"
)

// openPublic returns a public host that rt serves, and its meter.
func openPublic(t testing.TB, rt http.RoundTripper, change ...func(*PublicConfig)) (*Public, *costs.Meter) {
	t.Helper()
	c := PublicConfig{Host: "files.example", Meter: new(costs.Meter), Transport: rt}
	for _, f := range change {
		f(&c)
	}
	p, err := OpenPublic(c)
	if err != nil {
		t.Fatal(err)
	}
	return p, c.Meter
}

func TestOpenPublicRefusesNonsense(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		config PublicConfig
		want   string // "" is fine
	}{
		"a name":            {PublicConfig{Host: "files.example.com"}, ""},
		"a port":            {PublicConfig{Host: "files.example.com:8443"}, ""},
		"IPv6":              {PublicConfig{Host: "[::1]:80", Protocol: "http"}, ""},
		"a path":            {PublicConfig{Host: "files.example.com/media", Protocol: "https"}, ""},
		"nothing":           {PublicConfig{}, "S3_ALIAS_HOST: is not set (like files.example.com)"},
		"a path alone":      {PublicConfig{Host: "/media"}, "S3_ALIAS_HOST: is no host name (like files.example.com)"},
		"a port alone":      {PublicConfig{Host: ":80"}, "S3_ALIAS_HOST: is no host name (like files.example.com)"},
		"a space":           {PublicConfig{Host: "files example"}, "S3_ALIAS_HOST: is no host name (like files.example.com)"},
		"a scheme":          {PublicConfig{Host: "https://files.example/m"}, "S3_ALIAS_HOST: begins with a scheme, which Mastodon would write twice (files.example/m)"},
		"a password":        {PublicConfig{Host: "https://u:" + testSecret + "@files.example"}, "S3_ALIAS_HOST: has more than host and path (like files.example.com)"},
		"a query":           {PublicConfig{Host: "files.example?x"}, "S3_ALIAS_HOST: has more than host and path (like files.example.com)"},
		"a fragment":        {PublicConfig{Host: "files.example/#x"}, "S3_ALIAS_HOST: has more than host and path (like files.example.com)"},
		"another protocol":  {PublicConfig{Host: "files.example", Protocol: "ftp"}, "S3_PROTOCOL: is neither https nor http (https)"},
		"protocol in caps":  {PublicConfig{Host: "files.example", Protocol: "HTTPS"}, "S3_PROTOCOL: is neither https nor http (https)"},
		"an escape, broken": {PublicConfig{Host: "files%zz.example"}, "S3_ALIAS_HOST: is no host name (like files.example.com)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := OpenPublic(c.config)
			got := ""
			if e, ok := errors.AsType[*ConfigError](err); ok {
				got = fmt.Sprintf("%v (%s)", e, e.Hint)
			}
			if got != c.want || (err == nil) != (c.want == "") {
				t.Errorf("got  %s, %v\nwant %s", got, err, c.want)
			}
			leaks(t, got)
		})
	}
}

// URLs as Mastodon writes them: what Ruby's URI escapes, and Paperclip's six.
func TestVisitorURL(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		config PublicConfig
		key    media.Key
		want   string
	}{
		"plain":        {PublicConfig{Host: "f.example"}, "accounts/avatars/000/000/001/original/a-_.~b.png", "https://f.example/accounts/avatars/000/000/001/original/a-_.~b.png"},
		"http":         {PublicConfig{Host: "f.example:81", Protocol: "http"}, "k", "http://f.example:81/k"},
		"path":         {PublicConfig{Host: "f.example/a b/c"}, "k", "https://f.example/a%20b/c/k"},
		"slash at end": {PublicConfig{Host: "f.example/"}, "k", "https://f.example//k"},
		"prefix":       {PublicConfig{Host: "f.example/p", Prefix: "/social/x/"}, "k", "https://f.example/p/social/x/k"},
		"left alone":   {PublicConfig{Host: "f.example"}, "a!*';:@&=$,b", "https://f.example/a!*';:@&=$,b"},
		"escaped":      {PublicConfig{Host: "f.example"}, "a?()[]+ b#%25\"<>\\^`{|}", "https://f.example/a%3F%28%29%5B%5D%2B%20b%23%2525%22%3C%3E%5C%5E%60%7B%7C%7D"},
		"not ASCII":    {PublicConfig{Host: "f.example"}, "猫/u\u0308", "https://f.example/%E7%8C%AB/u%CC%88"},
		"odd bytes":    {PublicConfig{Host: "f.example"}, "a\n\x00\x7f\xff", "https://f.example/a%0A%00%7F%FF"},
		"all of ASCII": {PublicConfig{Host: "f.example"}, allASCII(), "https://f.example/" + rubyASCII},
		"odd segments": {PublicConfig{Host: "f.example"}, "a//../b/", "https://f.example/a//../b/"},
	} {
		p, err := OpenPublic(c.config)
		if err != nil {
			t.Fatal(name, err)
		}
		if got := p.url(c.key).String(); got != c.want {
			t.Errorf("%s: got  %s\nwant %s", name, got, c.want)
		}
	}
}

// rubyASCII is what Ruby 3's URI::RFC2396_Parser and Paperclip make of allASCII.
const rubyASCII = "%00%01%02%03%04%05%06%07%08%09%0A%0B%0C%0D%0E%0F%10%11%12%13%14%15%16%17%18%19%1A%1B%1C%1D%1E%1F" +
	"%20!%22%23$%25&'%28%29*%2B,-./0123456789:;%3C=%3E%3F@ABCDEFGHIJKLMNOPQRSTUVWXYZ%5B%5C%5D%5E_%60abcdefghijklmnopqrstuvwxyz%7B%7C%7D~%7F"

func allASCII() (k media.Key) {
	for c := range 128 {
		k += media.Key(rune(c))
	}
	return k
}

// A visitor sends nothing that could be taken for credentials, and gets the
// object as it is stored.
func TestPublicGet(t *testing.T) {
	t.Parallel()
	b := fixtures.NewBucket(fixtures.Options{})
	const key = "cache/media_attachments/files/1/original/a (1)+猫?.jpg"
	b.Plant(fixtures.Object{Key: "social/" + key, ContentType: "image/jpeg", CacheControl: "public"}, []byte("cat"))
	l, err := b.Public(fixtures.PublicOptions{Path: "m", AllowOrigin: "https://example.com"}).Listen(false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	p, m := openPublic(t, nil, func(c *PublicConfig) {
		c.Host, c.Protocol, c.Prefix = strings.TrimPrefix(l.URL, "http://")+"/m", "http", "social"
	})
	t.Cleanup(p.Close)
	for origin, want := range map[string]string{"": "", "https://example.com": "https://example.com"} {
		v, err := p.Get(t.Context(), key, origin)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(v.Body)
		if err := errors.Join(err, v.Body.Close()); err != nil {
			t.Error(err)
		}
		if h := v.Header; v.Status != 200 || string(data) != "cat" || h.Get("Content-Type") != "image/jpeg" ||
			h.Get("Cache-Control") != "public" || h.Get("Access-Control-Allow-Origin") != want {
			t.Errorf("%d %q %v", v.Status, data, h)
		}
	}
	if u := m.Usage(); u.Get(costs.GetObject) != 2 || u.A() != 0 {
		t.Errorf("counted %v", u)
	}
}

func TestVisitorsHeaders(t *testing.T) {
	t.Parallel()
	for origin, want := range map[string]string{
		"":                    "map[Accept-Encoding:[identity] User-Agent:[mediamove]]",
		"https://example.com": "map[Accept-Encoding:[identity] Origin:[https://example.com] User-Agent:[mediamove]]",
	} {
		p, _ := openPublic(t, inProcess{http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if got := fmt.Sprint(r.Header); got != want || r.Host != "files.example" {
				t.Errorf("%s got %s, want %s", r.Host, got, want)
			}
		})})
		if _, err := p.Get(t.Context(), "k", origin); err != nil {
			t.Error(err)
		}
	}
}

// A scriptedHost answers one line after the other: a status, "503 Retry-After: 7", "cut" or
// "hang". The last one stays.
type scriptedHost struct {
	lines []string
	times []time.Time
}

func (s *scriptedHost) RoundTrip(r *http.Request) (*http.Response, error) {
	line := s.lines[min(len(s.times), len(s.lines)-1)]
	s.times = append(s.times, time.Now())
	switch line {
	case "cut":
		return nil, errCut
	case "hang":
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	status, after, _ := strings.Cut(line, " Retry-After: ")
	resp := &http.Response{Header: http.Header{"Location": {"https://elsewhere.example/?X-Amz-Signature=x"}}, Body: io.NopCloser(strings.NewReader("body")), ContentLength: 4}
	_, _ = fmt.Sscan(status, &resp.StatusCode)
	if after != "" {
		resp.Header.Set("Retry-After", after)
	}
	return resp, nil
}

func TestPublicRetries(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script []string
		status int // 0: an error
		err    error
		tries  int
		wait   time.Duration // at least, in all
	}{
		"found":           {[]string{"200"}, 200, nil, 1, 0},
		"not found":       {[]string{"404"}, 404, nil, 1, 0},
		"redirect":        {[]string{"302"}, 302, nil, 1, 0},
		"forbidden":       {[]string{"403"}, 403, nil, 1, 0},
		"unimplemented":   {[]string{"501"}, 501, nil, 1, 0},
		"recovers":        {[]string{"503", "cut", "200"}, 200, nil, 3, 3 * time.Second},
		"throttled":       {[]string{"429", "200"}, 200, nil, 2, time.Second},
		"stays throttled": {[]string{"429"}, 429, nil, 3, 3 * time.Second},
		"stays down":      {[]string{"530"}, 530, nil, 3, 3 * time.Second},
		"says when":       {[]string{"503 Retry-After: 20", "200"}, 200, nil, 2, 20 * time.Second},
		"too far away":    {[]string{"503 Retry-After: 300", "200"}, 503, nil, 1, 0},
		"always cut":      {[]string{"cut"}, 0, errCut, 3, 3 * time.Second},
		"hangs once":      {[]string{"hang", "200"}, 200, nil, 2, stallAfter},
		"always hangs":    {[]string{"hang"}, 0, errStalled, 3, 3 * stallAfter},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, began := &scriptedHost{lines: c.script}, time.Now()
				p, m := openPublic(t, s)
				v, err := p.Get(t.Context(), "k", "")
				mustBe(t, err, c.err)
				if v.Status != c.status || len(s.times) != c.tries || m.Usage().Get(costs.GetObject) != int64(c.tries) {
					t.Errorf("status %d, %d tries, %v counted", v.Status, len(s.times), m.Usage())
				}
				if d := time.Since(began); d < c.wait || d > 2*c.wait {
					t.Errorf("took %v, want %v or some more", d, c.wait)
				}
				if err == nil {
					if data, err := io.ReadAll(v.Body); string(data) != "body" || errors.Join(err, v.Body.Close()) != nil {
						t.Errorf("%q, %v", data, err)
					}
				} else if e, ok := errors.AsType[*Error](err); !ok || e.Op != costs.GetObject || e.Key != "k" {
					t.Errorf("%#v", err)
				}
			})
		})
	}
}

// A body that isn't what was announced, or that stalls, is an error of its reader.
func TestVisitsBody(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		body   io.Reader
		length int64
		want   error
	}{
		"whole":        {200, strings.NewReader("abc"), 3, nil},
		"no length":    {200, strings.NewReader("abc"), -1, nil},
		"short":        {200, strings.NewReader("ab"), 3, io.ErrUnexpectedEOF},
		"long":         {200, strings.NewReader("abcd"), 3, io.ErrUnexpectedEOF},
		"not empty":    {200, strings.NewReader("abcd"), 0, io.ErrUnexpectedEOF},
		"stalled":      {200, nil, 1 << 20, errStalled},
		"long refusal": {404, strings.NewReader(strings.Repeat("x", maxFault+1)), maxFault + 1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p, _ := openPublic(t, roundTrip(func(r *http.Request) (*http.Response, error) {
					body := c.body
					if body == nil {
						body = cancelled{&trickle{n: 1, pause: time.Second, left: 1 << 20}, r}
					}
					return &http.Response{StatusCode: c.status, ContentLength: c.length, Body: io.NopCloser(body), Header: http.Header{}}, nil
				}))
				v, err := p.Get(t.Context(), "k", "")
				if err != nil {
					t.Fatal(err)
				}
				defer v.Body.Close()
				_, err = io.Copy(io.Discard, v.Body)
				mustBe(t, err, c.want)
				if e, ok := errors.AsType[*Error](err); err != nil && (!ok || e.Key != "k") {
					t.Errorf("%#v", err)
				}
			})
		})
	}
}

func TestPublicHostUnusable(t *testing.T) {
	t.Parallel()
	p, m := openPublic(t, roundTrip(func(*http.Request) (*http.Response, error) {
		return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "files.example", IsNotFound: true}}
	}))
	_, err := p.Get(t.Context(), "k", "")
	mustBe(t, err, ErrEndpoint)
	if want := "read k: host files.example does not exist: check S3_ALIAS_HOST"; err.Error() != want || m.Usage().B() != 1 {
		t.Errorf("%v after %v", err, m.Usage())
	}
	const password = "proxycanary"
	p, _ = openPublic(t, roundTrip(func(*http.Request) (*http.Response, error) {
		return nil, errors.New("proxy http://u:" + password + "@proxy refused")
	}), func(c *PublicConfig) {
		c.Proxy = &url.URL{Scheme: "http", Host: "proxy", User: url.UserPassword("u", password)}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err = p.Get(ctx, "k", "")
	mustBe(t, err, context.DeadlineExceeded)
	if strings.Contains(err.Error(), password) {
		t.Error(err)
	}
}

const listingXML = `<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name>`

func TestPublicLists(t *testing.T) {
	t.Parallel()
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	for name, c := range map[string]struct {
		host   http.HandlerFunc
		lists  bool
		err    string
		asked  int64
		config func(*PublicConfig)
	}{
		"listing":            {host: answer(200, listingXML), lists: true, asked: 1},
		"listing, cut later": {host: answer(200, listingXML+"<Contents>"+strings.Repeat("x", maxProlog)), lists: true, asked: 1},
		"byte order mark":    {host: answer(200, "\ufeff<!-- hi --><s3:ListBucketResult>"), lists: true, asked: 1},
		"other charset":      {host: answer(200, `<?xml version="1.0" encoding="latin1"?><ListBucketResult/>`), lists: true, asked: 1},
		"version 2 only": {host: func(w http.ResponseWriter, r *http.Request) {
			if r.URL.RawQuery == "list-type=2" {
				fmt.Fprint(w, listingXML)
			}
		}, lists: true, asked: 2},
		"404":              {host: answer(404, "<html>"), asked: 2},
		"403 with listing": {host: answer(403, listingXML), asked: 2},
		"web page":         {host: answer(200, "<!DOCTYPE html><html>ListBucketResult</html>"), asked: 2},
		"nothing":          {host: answer(200, ""), asked: 2},
		"text":             {host: answer(200, "&;<ListBucketResult"), asked: 2},
		"late":             {host: answer(200, strings.Repeat(" ", maxProlog)+listingXML), asked: 2},
		"error inside 200": {host: answer(200, "<Error><Code>AccessDenied</Code></Error>"), asked: 2},
		"redirect":         {host: answer(301, ""), asked: 2},
		"overloaded":       {host: answer(429, ""), asked: 3, err: "list bucket: 429: files.example gave no answer that tells whether strangers may list"},
		"down":             {host: answer(501, "<Error><Code>X</Code></Error>"), asked: 1, err: "list bucket: 501: files.example gave no answer that tells whether strangers may list"},
		"cut":              {host: func(w http.ResponseWriter, r *http.Request) { cut(w, r) }, asked: 3, err: "list bucket: read: connection reset by peer"},
		"below a path": {host: func(w http.ResponseWriter, r *http.Request) {
			if r.URL.EscapedPath() == "/a%2Bb/" {
				fmt.Fprint(w, listingXML)
			}
		}, lists: true, asked: 1, config: func(c *PublicConfig) { c.Host, c.Prefix = "files.example/a+b/", "p" }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				if c.config == nil {
					c.config = func(*PublicConfig) {}
				}
				p, m := openPublic(t, inProcess{c.host}, c.config)
				lists, err := p.Lists(t.Context())
				if got := fmt.Sprint(err); lists != c.lists || (err != nil || c.err != "") && got != c.err {
					t.Errorf("%t, %v", lists, err)
				}
				if u := m.Usage(); u.Get(costs.ListObjects) != c.asked || u.B() != 0 {
					t.Errorf("counted %v, want %d", u, c.asked)
				}
			})
		})
	}
}

// A listing whose first element doesn't arrive tells nothing. At the limit nothing
// is asked, and not again either.
func TestListsNeedsTheAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, m := openPublic(t, roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(io.MultiReader(strings.NewReader("<?xml "), brokenBody{})), ContentLength: -1, Header: http.Header{}}, nil
		}))
		began := time.Now()
		_, err := p.Lists(t.Context())
		mustBe(t, err, errCut)
		m.LimitA(m.Usage().A())
		_, err = p.Lists(t.Context())
		mustBe(t, err, ErrLimit)
		if d := time.Since(began); d != 0 || m.Usage().A() != 1 {
			t.Errorf("took %v and %v", d, m.Usage())
		}
	})
}

type brokenBody struct{}

func (brokenBody) Read([]byte) (int, error) { return 0, errCut }

func TestAnonymousList(t *testing.T) {
	t.Parallel()
	const unclear = "gave no answer that tells whether strangers may list"
	for name, c := range map[string]struct {
		status int
		body   string
		lists  bool
		err    string // contained
	}{
		"listing":      {200, listingXML, true, ""},
		"unsigned":     {400, "<Error><Code>InvalidArgument</Code></Error>", false, ""},
		"unauthorized": {401, "<Error><Code>Unauthorized</Code></Error>", false, ""},
		"denied":       {403, "<Error><Code>AccessDenied</Code></Error>", false, ""},
		"no bucket":    {404, "<Error><Code>NoSuchBucket</Code></Error>", false, "404: acct.r2.cloudflarestorage.com " + unclear},
		"web page":     {200, "<html>", false, "200: acct.r2.cloudflarestorage.com " + unclear},
		"redirect":     {307, "", false, "307: acct.r2.cloudflarestorage.com " + unclear},
		"down":         {503, "", false, "503: acct.r2.cloudflarestorage.com " + unclear},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &store{before: func(w http.ResponseWriter, r *http.Request) bool {
					if r.Header.Get("Authorization") != "" {
						return false
					}
					w.WriteHeader(c.status)
					fmt.Fprint(w, c.body)
					return true
				}}
				b, m := open(t, s)
				lists, err := b.AnonymousList(t.Context())
				if lists != c.lists || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
					t.Errorf("%t, %v", lists, err)
				}
				if got, want := s.requests()[0], "GET /b?list-type=2&max-keys=1"; got != want || m.Usage().Get(costs.ListObjects) != int64(len(s.seen)) {
					t.Errorf("%s, counted %v", got, m.Usage())
				}
				// What a stranger may not says nothing of us.
				if _, err := b.Put(t.Context(), upload("k", "x")); err != nil || b.Stats().InFlight != 0 {
					t.Error(err, b.Stats())
				}
			})
		})
	}
}

// The stand-in, as R2, lists for nobody without a signature; its public host does
// only if it is told to.
func TestStrangersAtTheStandIn(t *testing.T) {
	t.Parallel()
	f := fixtures.NewBucket(fixtures.Options{})
	b, _ := open(t, nil, func(c *Config) { c.Transport, c.Bucket = f.Transport(), fixtures.Name })
	if lists, err := b.AnonymousList(t.Context()); lists || err != nil {
		t.Error(lists, err)
	}
	for _, listable := range []bool{false, true} {
		p, _ := openPublic(t, f.Public(fixtures.PublicOptions{Listable: listable}).Transport())
		if lists, err := p.Lists(t.Context()); lists != listable || err != nil {
			t.Error(lists, err)
		}
	}
}

// Whatever a key holds, a visitor asks for exactly it.
func FuzzVisitorPath(f *testing.F) {
	for _, k := range []string{"a/b.png", "a b", "a+b", "a%2Fb", "ä/é", "a?b#c&d=e", "a;b,c'd(e)*!", "a:b@c$[]", "//", "..", "\xff\x00", "😀"} {
		f.Add(k)
	}
	f.Fuzz(func(t *testing.T, key string) {
		got := visitorPath(key)
		if back, err := url.PathUnescape(got); err != nil || back != key {
			t.Errorf("%q became %q, then %q, %v", key, got, back, err)
		}
		p := &Public{site: url.URL{Scheme: "https", Host: "h"}, path: "/"}
		if u := p.url(media.Key(key)); u.EscapedPath() != "/"+got || bytes.ContainsAny([]byte(got), "?#()[]+ ") {
			t.Errorf("%q goes as %q, not as %q", key, u.EscapedPath(), got)
		}
	})
}
