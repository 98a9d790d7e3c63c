package sink_test

import (
	"encoding/xml"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"example.org/mediamove/bench/sink"
)

// A listing is the answer as a client reads it.
type listing struct {
	IsTruncated           bool
	KeyCount              int
	EncodingType          string
	NextContinuationToken string
	NextMarker            string
	Contents              []struct {
		Key  string
		Size int
	}
	CommonPrefixes []struct{ Prefix string }
}

// names returns keys and common prefixes, decoded.
func (l listing) names(t *testing.T) (names []string) {
	decode := func(s string) string {
		if l.EncodingType != "url" {
			return s
		}
		s, err := url.QueryUnescape(s)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, c := range l.Contents {
		names = append(names, decode(c.Key))
	}
	for _, p := range l.CommonPrefixes {
		names = append(names, decode(p.Prefix))
	}
	return names
}

// all lists to the end, page by page.
func (r *remote) all(version int, encoding, prefix, delimiter string, most int) (names []string) {
	r.t.Helper()
	q := url.Values{"prefix": {prefix}, "max-keys": {strconv.Itoa(most)}}
	if delimiter != "" {
		q.Set("delimiter", delimiter)
	}
	if encoding != "" {
		q.Set("encoding-type", encoding)
	}
	if version == 2 {
		q.Set("list-type", "2")
	}
	for {
		_, body := r.do("GET", "/b?"+q.Encode(), "")
		var l listing
		if err := xml.Unmarshal([]byte(body), &l); err != nil {
			r.t.Fatalf("%v: %s", err, body)
		}
		page := l.names(r.t)
		if len(page) > most || version == 2 && l.KeyCount != len(page) {
			r.t.Fatalf("a page of %d names, KeyCount %d, want at most %d", len(page), l.KeyCount, most)
		}
		names = append(names, page...)
		if !l.IsTruncated {
			return names
		}
		q.Set("continuation-token", l.NextContinuationToken)
		next := l.NextMarker
		if l.EncodingType == "url" {
			next, _ = url.QueryUnescape(next)
		}
		q.Set("marker", next)
	}
}

// wanted is the listing without paging, as slowly as it may be.
func wanted(keys []string, prefix, delimiter string) []string {
	names := make(map[string]bool)
	for _, key := range keys {
		rest, ok := strings.CutPrefix(key, prefix)
		if !ok {
			continue
		}
		if i := strings.Index(rest, delimiter); delimiter != "" && i >= 0 {
			key = prefix + rest[:i+len(delimiter)]
		}
		names[key] = true
	}
	return slices.Sorted(maps.Keys(names))
}

func TestListings(t *testing.T) {
	t.Parallel()
	r := start(t, sink.Options{Page: 5})
	rapid.Check(t, func(rt *rapid.T) {
		r.do("GET", "/_wipe", "")
		keys := rapid.SliceOfNDistinct(rapid.StringMatching(`[ab+é]{1,2}(/[ab%]{1,2}){0,2}`), 1, 20, rapid.ID).Draw(rt, "keys")
		half := len(keys) / 2
		put := func(keys []string) {
			for _, key := range keys {
				r.do("PUT", "/b/"+url.PathEscape(key), key)
			}
		}
		prefix := rapid.SampledFrom([]string{"", "a", "a/", "b/a", "é/"}).Draw(rt, "prefix")
		delimiter := rapid.SampledFrom([]string{"", "/", "b"}).Draw(rt, "delimiter")
		version := rapid.IntRange(1, 2).Draw(rt, "version")
		encoding := rapid.SampledFrom([]string{"", "url"}).Draw(rt, "encoding")
		most := rapid.IntRange(1, 7).Draw(rt, "most")
		check := func(keys []string) {
			got := r.all(version, encoding, prefix, delimiter, most)
			slices.Sort(got) // keys and prefixes come apart on each page
			if want := wanted(keys, prefix, delimiter); !slices.Equal(got, want) {
				rt.Fatalf("got %q\nwant %q", got, want)
			}
		}
		put(keys[:half])
		check(keys[:half])
		put(keys[half:])
		check(keys)
		r.do("DELETE", "/b/"+url.PathEscape(keys[0]), "")
		check(keys[1:])
	})
}

func TestListPagesAreFull(t *testing.T) {
	t.Parallel()
	r := start(t, sink.Options{})
	const n = 2500
	for i := range n {
		r.do("PUT", fmt.Sprintf("/b/%04d", i), "")
	}
	r.do("GET", "/_reset", "")
	if got := len(r.all(2, "", "", "", 5000)); got != n {
		t.Errorf("%d keys, want %d", got, n)
	}
	if a := r.stats().ClassA; a != 3 {
		t.Errorf("%d pages, want 3 of 1,000 keys at most", a)
	}
}
