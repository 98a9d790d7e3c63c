package r2

import (
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"example.org/mediamove/costs"
	"example.org/mediamove/media"
)

// A lister serves keys, in order, in pages.
type lister struct {
	keys  []string
	page  int
	plain bool // ignores encoding-type, as versitygw does
}

func (l *lister) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	limit, _ := strconv.Atoi(q.Get("max-keys"))
	limit = min(limit, l.page)
	var keys []string
	for _, k := range l.keys {
		if strings.HasPrefix(k, q.Get("prefix")) && k > q.Get("continuation-token") {
			keys = append(keys, k)
		}
	}
	more := len(keys) > limit
	keys = keys[:min(limit, len(keys))]
	var b strings.Builder
	fmt.Fprintf(&b, `<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><KeyCount>%d</KeyCount><IsTruncated>%v</IsTruncated>`, len(keys), more)
	if more {
		b.WriteString("<NextContinuationToken>")
		_ = xml.EscapeText(&b, []byte(keys[len(keys)-1]))
		b.WriteString("</NextContinuationToken>")
	}
	if !l.plain {
		b.WriteString("<EncodingType>url</EncodingType>")
	}
	for _, k := range keys {
		b.WriteString("<Contents><Key>")
		if l.plain {
			_ = xml.EscapeText(&b, []byte(k))
		} else {
			b.WriteString(url.QueryEscape(k))
		}
		b.WriteString("</Key><Size>3</Size><ETag>&quot;abc&quot;</ETag><LastModified>2023-11-14T22:13:20.000Z</LastModified></Contents>")
	}
	b.WriteString("</ListBucketResult>")
	_, _ = w.Write([]byte(b.String()))
}

func collect(t *testing.T, b *Bucket, prefix string) (keys []string, err error) {
	t.Helper()
	for o, err := range b.List(t.Context(), prefix) {
		if err != nil {
			return keys, err
		}
		if o.Size != 3 || o.ETag != "abc" || o.LastModified.Unix() != 1_700_000_000 {
			t.Errorf("object %+v", o)
		}
		keys = append(keys, string(o.Key))
	}
	return keys, nil
}

func TestList(t *testing.T) {
	t.Parallel()
	all := []string{"a b+c%20/d", "accounts/1", "accounts/2", "cache/<&>/1", "cache/é"}
	for _, plain := range []bool{false, true} {
		for page := range 7 {
			b, m := open(t, &lister{all, page + 1, plain})
			got, err := collect(t, b, "")
			if err != nil || !slices.Equal(got, all) {
				t.Errorf("%q, %v", got, err)
			}
			if n, want := m.Usage().Get(costs.ListObjects), (len(all)+page)/(page+1); n != int64(want) {
				t.Errorf("%d pages, want %d", n, want)
			}
			got, err = collect(t, b, "accounts/")
			if err != nil || len(got) != 2 {
				t.Errorf("%q, %v", got, err)
			}
		}
	}
}

func TestListBelowKeyPrefix(t *testing.T) {
	t.Parallel()
	b, _ := open(t, &lister{[]string{"a", "p/a", "p/c/d", "pq"}, 1, false}, func(c *Config) { c.Prefix = "p" })
	got, err := collect(t, b, "")
	if err != nil || !slices.Equal(got, []string{"a", "c/d"}) {
		t.Errorf("%q, %v", got, err)
	}
	objs, more, err := b.Page(t.Context(), 1)
	if err != nil || !more || len(objs) != 1 || objs[0].Key != "a" {
		t.Errorf("%v %v %v", objs, more, err)
	}
}

func TestPage(t *testing.T) {
	t.Parallel()
	b, m := open(t, &lister{[]string{"a", "b"}, 1000, false})
	objs, more, err := b.Page(t.Context(), 2)
	if err != nil || more || len(objs) != 2 {
		t.Errorf("%v %v %v", objs, more, err)
	}
	b, _ = open(t, &lister{nil, 1000, false})
	objs, more, err = b.Page(t.Context(), 2)
	if err != nil || more || len(objs) != 0 {
		t.Errorf("%v %v %v", objs, more, err)
	}
	if n := m.Usage().Get(costs.ListObjects); n != 1 {
		t.Errorf("%d LISTs", n)
	}
}

// A listing that isn't credible must end in an error, whatever it is.
func TestListNonsense(t *testing.T) {
	t.Parallel()
	const obj = "<Contents><Key>%s</Key><Size>3</Size><ETag>abc</ETag><LastModified>2023-11-14T22:13:20.000Z</LastModified></Contents>"
	one, two := fmt.Sprintf(obj, "a"), fmt.Sprintf(obj, "b")
	page := func(inside string) string { return "<ListBucketResult>" + inside + "</ListBucketResult>" }
	ok := "<Name>b</Name><KeyCount>1</KeyCount>"
	told := map[string]string{ // where another check would come to the same a request later
		"same token": "its own next page", "more without token": "a next page without a token", "token without more": "a token without one",
		"more, but no keys": "page without keys", "no key": "wasn't asked for", "nothing of an end": "whether it is the last",
	}
	for name, body := range map[string]string{
		"empty":               "",
		"HTML":                "<html><body>hello</body></html>",
		"foreign XML":         "<Feed><Name>b</Name></Feed>",
		"no name":             page("<KeyCount>0</KeyCount><IsTruncated>false</IsTruncated>"),
		"other bucket":        page("<Name>c</Name><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated>"),
		"no count":            page("<Name>b</Name><IsTruncated>false</IsTruncated>"),
		"wrong count":         page("<Name>b</Name><KeyCount>2</KeyCount><IsTruncated>false</IsTruncated>" + one),
		"nothing of an end":   page(ok + one),
		"more without token":  page(ok + "<IsTruncated>true</IsTruncated>" + one),
		"token without more":  page(ok + "<IsTruncated>false</IsTruncated><NextContinuationToken>t</NextContinuationToken>" + one),
		"same token":          page(ok + "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>" + one),
		"more, but no keys":   page("<Name>b</Name><KeyCount>0</KeyCount><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>"),
		"unordered":           page("<Name>b</Name><KeyCount>2</KeyCount><IsTruncated>false</IsTruncated>" + two + one),
		"twice":               page("<Name>b</Name><KeyCount>2</KeyCount><IsTruncated>false</IsTruncated>" + one + one),
		"not asked for":       page(ok + "<IsTruncated>false</IsTruncated>" + fmt.Sprintf(obj, "zzz")),
		"no key":              page(ok + "<IsTruncated>false</IsTruncated>" + fmt.Sprintf(obj, "")),
		"no size":             page(ok + "<IsTruncated>false</IsTruncated><Contents><Key>a</Key><ETag>x</ETag><LastModified>2023-11-14T22:13:20.000Z</LastModified></Contents>"),
		"no ETag":             page(ok + "<IsTruncated>false</IsTruncated><Contents><Key>a</Key><Size>3</Size><LastModified>2023-11-14T22:13:20.000Z</LastModified></Contents>"),
		"badly encoded":       page(ok + "<IsTruncated>false</IsTruncated><EncodingType>url</EncodingType>" + fmt.Sprintf(obj, "a%zz")),
		"control character":   page(ok + "<IsTruncated>false</IsTruncated>" + fmt.Sprintf(obj, "a\x01")),
		"cut XML":             page(ok + one)[:60],
		"two documents":       page(ok+"<IsTruncated>false</IsTruncated>"+one) + "<a/>",
		"two ends":            page(ok + "<IsTruncated>false</IsTruncated><IsTruncated>false</IsTruncated>" + one),
		"other encoding":      page(ok + "<IsTruncated>false</IsTruncated><EncodingType>base64</EncodingType>" + one),
		"no date":             page(ok + "<IsTruncated>false</IsTruncated><Contents><Key>a</Key><Size>3</Size><ETag>x</ETag></Contents>"),
		"ETag of quotes":      page(ok + "<IsTruncated>false</IsTruncated>" + strings.Replace(one, "abc", "W/&quot;&quot;", 1)),
		"endless":             page(ok+"<IsTruncated>false</IsTruncated>"+one) + strings.Repeat(" ", maxPage),
		"an error inside 200": "<Error><Code>NoSuchBucket</Code></Error>",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, m := open(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }))
			prefix := ""
			if name == "not asked for" {
				prefix = "a"
			}
			_, err := collect(t, b, prefix)
			want := ErrNonsense
			if strings.HasPrefix(body, "<Error>") {
				want = ErrNoBucket
			}
			mustBe(t, err, want)
			if want := told[name]; !strings.Contains(err.Error(), want) {
				t.Errorf("%v, without %q", err, want)
			}
			if n := m.Usage().Get(costs.ListObjects); n > 3 {
				t.Errorf("%d LISTs", n)
			}
		})
	}
}

// Keys must go on where the last page ended.
func TestListGoesOn(t *testing.T) {
	t.Parallel()
	for second, want := range map[string]error{"c": nil, "b": ErrNonsense, "a": ErrNonsense} {
		l := []*lister{{[]string{"b", "x"}, 1, false}, {[]string{second}, 1, false}}
		n := 0
		b, _ := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.URL.RawQuery = "max-keys=1"
			l[n].ServeHTTP(w, r)
			n++
		}))
		_, err := collect(t, b, "")
		mustBe(t, err, want)
	}
}

func TestListRetriesAPage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &lister{[]string{"a", "b", "c"}, 1, false}
		n := 0
		b, _ := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if n++; n%2 == 0 {
				s3Error(w, 429, "TooManyRequests", "x")
				return
			}
			l.ServeHTTP(w, r)
		}))
		got, err := collect(t, b, "")
		if err != nil || len(got) != 3 {
			t.Errorf("%q, %v", got, err)
		}
	})
}

// Any set of keys comes back as it is, in any page size.
func TestListProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		keys := rapid.SliceOfNDistinct(rapid.StringN(1, 20, 60).Filter(func(s string) bool { return media.CheckKey(s) == nil }), 0, 20, rapid.ID[string]).Draw(rt, "keys")
		slices.Sort(keys)
		b, _ := open(t, &lister{keys, rapid.IntRange(1, 8).Draw(rt, "page"), rapid.Bool().Draw(rt, "plain")})
		got, err := collect(t, b, "")
		if err != nil {
			rt.Fatal(err)
		}
		if d := cmp.Diff(keys, append([]string{}, got...)); d != "" {
			rt.Error(d)
		}
		var ours, sdks []Object
		for o, err := range b.List(t.Context(), "") {
			ours = append(ours, o)
			if err != nil {
				rt.Fatal(err)
			}
		}
		for o, err := range sdkList(t.Context(), b) {
			sdks = append(sdks, o)
			if err != nil {
				rt.Fatal(err)
			}
		}
		if d := cmp.Diff(sdks, ours); d != "" {
			rt.Errorf("(-sdk +ours):\n%s", d)
		}
	})
}

// Whatever a server says, List doesn't panic, doesn't loop, and yields only
// objects that it can vouch for.
func FuzzList(f *testing.F) {
	f.Add("<ListBucketResult><Name>b</Name><KeyCount>1</KeyCount><IsTruncated>false</IsTruncated><Contents><Key>p/a</Key><Size>3</Size><ETag>x</ETag><LastModified>2023-11-14T22:13:20.000Z</LastModified></Contents></ListBucketResult>")
	f.Add("<ListBucketResult><Name>b</Name><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated><EncodingType>url</EncodingType></ListBucketResult>")
	f.Add("<Error><Code>AccessDenied</Code></Error>")
	f.Add("<html>")
	f.Fuzz(func(t *testing.T, body string) {
		n := 0
		b, _ := open(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if n++; n > 2 {
				s3Error(w, 403, "AccessDenied", "enough")
				return
			}
			fmt.Fprint(w, body)
		}))
		last := ""
		for o, err := range b.List(t.Context(), "p/") {
			if err != nil {
				if _, ok := errors.AsType[*Error](err); !ok {
					t.Errorf("%T", err)
				}
				return
			}
			if k := string(o.Key); !strings.HasPrefix(k, "p/") || k <= last || o.ETag == "" || o.Size < 0 {
				t.Errorf("yielded %+v after %q", o, last)
			}
			last = string(o.Key)
		}
	})
}
