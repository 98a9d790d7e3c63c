package r2

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/media"
)

// never fails the test if a request is sent.
func never(t *testing.T) http.Handler {
	return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %s was sent", r.Method, r.URL)
	})
}

// says answers every request with status and body.
func says(status int, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

func refuses(status int, code string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s3Error(w, status, code, "Signature=abc "+testSecret)
	})
}

const html = "<html><h1>sorry</h1></html>"

func TestDelete(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer http.Handler
		err    error
		stops  bool
	}{
		"done":              {says(204, ""), nil, false},
		"done, says 200":    {says(200, ""), nil, false},
		"gone already":      {refuses(404, "NoSuchKey"), nil, false},
		"a page":            {says(200, html), ErrNonsense, false},
		"accepted":          {says(202, ""), ErrNonsense, false},
		"a page's 404":      {says(404, html), ErrNonsense, false},
		"an error in a 200": {says(200, "<Error><Code>AccessDenied</Code></Error>"), ErrDenied, true},
		"locked":            {refuses(403, "ObjectLockedByBucketPolicy"), ErrLocked, false},
		"denied":            {refuses(403, "AccessDenied"), ErrDenied, true},
		"no bucket":         {refuses(404, "NoSuchBucket"), ErrNoBucket, true},
		"elsewhere":         {says(307, ""), ErrEndpoint, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, m := open(t, c.answer)
			err := b.Delete(t.Context(), "accounts/1.png")
			mustBe(t, err, c.err)
			if Stops(err) != c.stops {
				t.Errorf("Stops is %t: %v", !c.stops, err)
			}
			if u := m.Usage(); u.Get(costs.DeleteObject) != 1 || u.A()+u.B() != 0 {
				t.Errorf("counted as %v", u)
			}
		})
	}
}

func TestDeleteSaysWhatToFix(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]string{
		"AccessDenied":               "delete k: 403 AccessDenied: token lacks Object Read & Write on bucket b",
		"ObjectLockedByBucketPolicy": "delete k: 403 ObjectLockedByBucketPolicy: a lock rule of the bucket protects this key",
	} {
		b, _ := open(t, refuses(403, code))
		if err := b.Delete(t.Context(), "k"); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// What could be, or become on its way, something else than one object of the
// instance is never named in a deletion.
func TestDeleteRefuses(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"", "p"} {
		b, _ := open(t, never(t), func(c *Config) { c.Prefix = prefix })
		for _, key := range []media.Key{"", "/", "a/", "/a", "a//b", "a/./b", "a/../b", "..", "a\x01b", "a\xffb", ".mediamove/owner.json"} {
			if err := b.Delete(t.Context(), key); err == nil || Stops(err) {
				t.Errorf("%q: %v", key, err)
			}
		}
	}
}

// The key goes as it is, below the prefix, signed.
func TestDeleteOnTheWire(t *testing.T) {
	t.Parallel()
	const want = "DELETE /b/p/a%20%2B%25%3F%23/%C3%BC.png"
	b, _ := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.RequestURI = r.URL.RequestURI()
		if err := checkSignature(r, testSecret); err != nil {
			t.Error(err)
		}
		if got := r.Method + " " + r.RequestURI; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		w.WriteHeader(204)
	}), func(c *Config) { c.Prefix = "p" })
	if err := b.Delete(t.Context(), "a +%?#/ü.png"); err != nil {
		t.Error(err)
	}
}

// A lost answer is asked for again; the second one may find nothing.
func TestDeleteAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first := nth(1, cut)
		b, m := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !first(w, r) {
				s3Error(w, 404, "NoSuchKey", "x")
			}
		}))
		if err := b.Delete(t.Context(), "k"); err != nil {
			t.Error(err)
		}
		if n := m.Usage().Get(costs.DeleteObject); n != 2 {
			t.Errorf("%d attempts", n)
		}
	})
}

// A deletion that its caller's judgement doesn't outlast ends with its deadline.
func TestDeleteEndsWithItsDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, _ := open(t, refuses(503, "ServiceUnavailable"))
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		begun := time.Now()
		if err := b.Delete(ctx, "k"); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, ErrTransient) {
			t.Error(err)
		}
		_, err := b.DeleteBatch(ctx, batch(3))
		mustBe(t, err, context.DeadlineExceeded)
		if errors.Is(err, ErrNoBatch) || time.Since(begun) != time.Minute {
			t.Errorf("after %s: %v", time.Since(begun), err)
		}
	})
}

// batch is n keys of Mastodon's form.
func batch(n int) (keys []media.Key) {
	for i := range n {
		keys = append(keys, media.Key(fmt.Sprintf("accounts/avatars/%03d.png", i)))
	}
	return keys
}

// result is a DeleteResult that deletes what del names, and errs by key and code.
func result(del []media.Key, errs ...[2]string) string {
	var s strings.Builder
	s.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`)
	for _, k := range del {
		fmt.Fprintf(&s, "<Deleted><Key>%s</Key><DeleteMarker>false</DeleteMarker></Deleted>\n", k)
	}
	for _, e := range errs {
		fmt.Fprintf(&s, "<Error><Key>%s</Key><Code>%s</Code><Message>Signature=%s</Message></Error>", e[0], e[1], testSecret)
	}
	return s.String() + "</DeleteResult>"
}

// What an answer says of one key is that key's alone.
func TestDeleteBatchByKey(t *testing.T) {
	t.Parallel()
	keys := batch(3)
	odd := string(keys[1])
	rest := []media.Key{keys[2], keys[0]} // in any order
	for name, c := range map[string]struct {
		answer string
		err    error
		stops  bool
	}{
		"deleted":          {result(keys), nil, false},
		"gone already":     {result(rest, [2]string{odd, "NoSuchKey"}), nil, false},
		"in trouble":       {result(rest, [2]string{odd, "InternalError"}), ErrTransient, false},
		"throttled":        {result(rest, [2]string{odd, "TooManyRequests"}), ErrTransient, false},
		"locked":           {result(rest, [2]string{odd, "ObjectLockedByBucketPolicy"}), ErrLocked, false},
		"denied":           {result(rest, [2]string{odd, "AccessDenied"}), ErrDenied, true},
		"without a code":   {result(rest, [2]string{odd, ""}), ErrTransient, false},
		"not echoed":       {result(rest), ErrNonsense, false},
		"echoed twice":     {result(slices.Concat(keys, keys[1:2])), ErrNonsense, false},
		"deleted and kept": {result(keys, [2]string{odd, "InternalError"}), ErrNonsense, false},
		"gone and deleted": {result(keys, [2]string{odd, "NoSuchKey"}), ErrNonsense, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, m := open(t, says(200, c.answer))
			errs, err := b.DeleteBatch(t.Context(), keys)
			if err != nil || len(errs) != 3 || errs[0] != nil || errs[2] != nil {
				t.Fatal(errs, err)
			}
			mustBe(t, errs[1], c.err)
			if Stops(errs[1]) != c.stops || c.err != nil && !strings.Contains(errs[1].Error(), odd) {
				t.Errorf("Stops is %t: %v", Stops(errs[1]), errs[1])
			}
			if n := m.Usage().Get(costs.DeleteObjects); n != 1 {
				t.Errorf("%d batches", n)
			}
		})
	}
}

func TestDeleteBatchWhole(t *testing.T) {
	t.Parallel()
	keys := batch(2)
	for name, c := range map[string]struct {
		answer http.Handler
		err    error
		single bool // deleting one by one may do
		stops  bool
	}{
		"nothing":            {says(200, ""), ErrNonsense, false, false},
		"a page":             {says(200, html), ErrNonsense, false, false},
		"another document":   {says(200, "<ListBucketResult></ListBucketResult>"), ErrNonsense, false, false},
		"half a document":    {says(200, strings.TrimSuffix(result(keys), "</DeleteResult>")), ErrNonsense, false, false},
		"two documents":      {says(200, result(keys)+"<DeleteResult/>"), ErrNonsense, false, false},
		"no key":             {says(200, result(nil)), ErrNonsense, false, false},
		"quiet":              {says(200, "<DeleteResult/>"), ErrNonsense, false, false},
		"a key without name": {says(200, result([]media.Key{keys[0], ""})), ErrNonsense, false, false},
		"a neighbour":        {says(200, result([]media.Key{keys[0], keys[1], "accounts/other.png"})), ErrNonsense, false, false},
		"trimmed":            {says(200, result([]media.Key{keys[0], keys[1] + " "})), ErrNonsense, false, false},
		"no content":         {says(204, ""), ErrNonsense, false, false},
		"a page's 404":       {says(404, html), ErrNonsense, false, false},
		"unknown":            {refuses(501, "NotImplemented"), ErrNoBatch, true, false},
		"unknown, by a page": {says(501, html), ErrNoBatch, true, false},
		"not allowed":        {refuses(405, "MethodNotAllowed"), ErrNoBatch, true, false},
		"not understood":     {refuses(400, "MalformedXML"), ErrNoBatch, true, false},
		"no such thing":      {refuses(404, "NoSuchKey"), ErrNoBatch, true, false},
		"unknown, in a 200":  {says(200, "<Error><Code>NotImplemented</Code></Error>"), ErrNoBatch, true, false},
		"one is locked":      {refuses(403, "ObjectLockedByBucketPolicy"), ErrLocked, true, false},
		"garbled":            {refuses(400, "BadDigest"), ErrBadDigest, false, false},
		"denied":             {refuses(403, "AccessDenied"), ErrDenied, false, true},
		"no bucket":          {refuses(404, "NoSuchBucket"), ErrNoBucket, false, true},
		"elsewhere":          {says(301, ""), ErrEndpoint, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, _ := open(t, c.answer)
			errs, err := b.DeleteBatch(t.Context(), keys)
			mustBe(t, err, c.err)
			if errs != nil || errors.Is(err, ErrNoBatch) != c.single || Stops(err) != c.stops {
				t.Errorf("%v; no batch: %t, stops: %t: %v", errs, errors.Is(err, ErrNoBatch), Stops(err), err)
			}
		})
	}
}

// An error inside a 200 is told with the status that it would have had.
func TestImpliedStatus(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]int{"ObjectLockedByBucketPolicy": 403, "TooManyRequests": 429, "NotImplemented": 501, "InternalError": 500, "": 500} {
		keys := batch(1)
		b, _ := open(t, says(200, result(nil, [2]string{string(keys[0]), code})))
		errs, err := b.DeleteBatch(t.Context(), keys)
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := errors.AsType[*Error](errs[0]); !ok || e.Status != want || e.Code != code || e.Key != keys[0] {
			t.Errorf("%q: %+v", code, errs[0])
		}
	}
}

// Three answers that make no sense are no S3 server's.
func TestDeleteBatchUntrusted(t *testing.T) {
	t.Parallel()
	b, _ := open(t, says(200, html))
	var err error
	for range maxNonsense {
		_, err = b.DeleteBatch(t.Context(), batch(1))
	}
	if mustBe(t, err, ErrNonsense); !Stops(err) {
		t.Error(err)
	}
}

func TestDeleteBatchRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		keys   []media.Key
		prefix string
		single bool
	}{
		"too many":            {batch(1001), "", false},
		"twice":               {append(batch(3), batch(1)...), "", false},
		"a space":             {[]media.Key{"a/b", "a/b "}, "", false},
		"ours":                {[]media.Key{".mediamove/owner.json"}, "", false},
		"a prefix":            {batch(1), "mädia", true},
		"a prefix, too long":  {batch(1), strings.Repeat("x", 1020), true},
		"a prefix, spaced":    {batch(1), " p", true},
		"a prefix with a dot": {batch(1), ".p", true},
	} {
		b, _ := open(t, never(t), func(cfg *Config) { cfg.Prefix = c.prefix })
		errs, err := b.DeleteBatch(t.Context(), c.keys)
		if err == nil || errs != nil || Stops(err) || errors.Is(err, ErrNoBatch) != c.single {
			t.Errorf("%s: %v, %v", name, errs, err)
		}
	}
	b, _ := open(t, never(t))
	if errs, err := b.DeleteBatch(t.Context(), nil); errs != nil || err != nil {
		t.Errorf("nothing: %v, %v", errs, err)
	}
}

// One digest, signed: R2 refuses two, other servers none.
func TestDeleteBatchOnTheWire(t *testing.T) {
	t.Parallel()
	keys := batch(2)
	b, _ := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.RequestURI = r.URL.RequestURI()
		if err := checkSignature(r, testSecret); err != nil {
			t.Error(err)
		}
		body, _ := io.ReadAll(r.Body)
		sum := md5.Sum(body)
		if r.Method != "POST" || r.URL.Path != "/b" || !r.URL.Query().Has("delete") || r.ContentLength != int64(len(body)) {
			t.Errorf("%s %s, %d bytes", r.Method, r.URL, r.ContentLength)
		}
		if r.Header.Get("Content-Md5") != base64.StdEncoding.EncodeToString(sum[:]) {
			t.Error("another MD5")
		}
		for name := range r.Header {
			if strings.HasPrefix(name, "X-Amz-Checksum") || strings.HasPrefix(name, "X-Amz-Sdk") {
				t.Errorf("%s is sent", name)
			}
		}
		if got := named(t, body); !slices.Equal(got, []string{"p/" + string(keys[0]), "p/" + string(keys[1])}) {
			t.Errorf("named %q", got)
		}
		_, _ = io.WriteString(w, result([]media.Key{"p/" + keys[1], "p/" + keys[0]}))
	}), func(c *Config) { c.Prefix = "p" })
	if errs, err := b.DeleteBatch(t.Context(), keys); err != nil || errs[0] != nil || errs[1] != nil {
		t.Error(errs, err)
	}
}

// named reads the keys of a batch as another program does.
func named(t testing.TB, body []byte) (keys []string) {
	var order struct {
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ Delete"`
		Object  []struct{ Key string }
		Quiet   bool
	}
	if err := xml.Unmarshal(body, &order); err != nil || order.Quiet {
		t.Errorf("%v, quiet %t", err, order.Quiet)
	}
	for _, o := range order.Object {
		keys = append(keys, o.Key)
	}
	return keys
}

// A lost batch is sent again, whole.
func TestDeleteBatchAgain(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"cut":      cut,
		"refused":  func(w http.ResponseWriter, _ *http.Request) bool { s3Error(w, 503, "SlowDown", "x"); return true },
		"in a 200": func(w http.ResponseWriter, _ *http.Request) bool { s3Error(w, 200, "InternalError", "x"); return true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				keys, first := batch(1000), nth(1, spoil)
				b, m := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					body, _ := io.ReadAll(r.Body)
					if n := len(named(t, body)); n != len(keys) {
						t.Errorf("%d keys", n)
					}
					if !first(w, r) {
						_, _ = io.WriteString(w, result(keys))
					}
				}))
				errs, err := b.DeleteBatch(t.Context(), keys)
				if err != nil || len(errs) != len(keys) || errors.Join(errs...) != nil {
					t.Error(errors.Join(errs...), err)
				}
				if n := m.Usage().Get(costs.DeleteObjects); n != 2 {
					t.Errorf("%d attempts", n)
				}
			})
		})
	}
}
