package sink_test

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"example.org/mediamove/bench/sink"
)

// fillWith posts objects and returns the answer's status. A body without a
// length goes in chunks, as the harness sends it.
func (r *remote) fillWith(objs []sink.Object, chunked bool) int {
	r.t.Helper()
	var b bytes.Buffer
	if err := sink.WriteObjects(&b, slices.Values(objs)); err != nil {
		r.t.Fatal(err)
	}
	var body io.Reader = &b
	if chunked {
		body = io.MultiReader(&b)
	}
	resp, _ := r.send("POST", "/_fill?bucket=b", body)
	return resp.StatusCode
}

// What was filled in is listed as if it had been uploaded, in key order, and
// the last of two objects with one key wins.
func TestFilledIsListed(t *testing.T) {
	t.Parallel()
	r := start(t, sink.Options{})
	objects := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) sink.Object {
		return sink.Object{
			Key:   rapid.StringMatching(`[ab/é&<%+ ]{1,4}`).Draw(rt, "key"),
			Size:  rapid.SampledFrom([]int64{0, 1, 5 << 40}).Draw(rt, "size"),
			MD5:   md5.Sum([]byte(rapid.String().Draw(rt, "text"))),
			Parts: rapid.IntRange(0, 2).Draw(rt, "parts"),
			At:    time.UnixMilli(rapid.Int64Range(0, 2e12).Draw(rt, "at")),
		}
	}), 0, 30)
	rapid.Check(t, func(rt *rapid.T) {
		r.do("GET", "/_wipe", "")
		objs := objects.Draw(rt, "objects")
		if status := r.fillWith(objs, rapid.Bool().Draw(rt, "chunked")); status != 200 {
			rt.Fatalf("status %d", status)
		}
		want := map[string]string{}
		for _, o := range objs {
			want[o.Key] = show(o)
		}
		_, body := r.do("GET", "/b?list-type=2&encoding-type=url", "")
		var l struct {
			Contents []struct {
				Key, ETag, LastModified string
				Size                    int64
			}
		}
		if err := xml.Unmarshal([]byte(body), &l); err != nil {
			rt.Fatal(err)
		}
		last := ""
		for _, c := range l.Contents {
			key, err := url.QueryUnescape(c.Key)
			got := fmt.Sprintf("%d %s %s", c.Size, c.ETag, c.LastModified)
			if err != nil || key <= last || got != want[key] {
				rt.Fatalf("key %q after %q: %s, want %s, %v", key, last, got, want[key], err)
			}
			last = key
		}
		if len(l.Contents) != len(want) {
			rt.Fatalf("%d keys, want %d", len(l.Contents), len(want))
		}
	})
}

// show prints an object as the test reads it off a listing.
func show(o sink.Object) string {
	etag := hex.EncodeToString(o.MD5[:])
	if o.Parts > 0 {
		etag = fmt.Sprintf("%s-%d", etag, o.Parts)
	}
	return fmt.Sprintf("%d %q %s", o.Size, etag, o.At.UTC().Format("2006-01-02T15:04:05.000Z"))
}

func TestFillingIsNotCounted(t *testing.T) {
	t.Parallel()
	r := start(t, sink.Options{})
	if status := r.fillWith([]sink.Object{{Key: "a"}, {Key: "b"}}, true); status != 200 {
		t.Fatalf("status %d", status)
	}
	if st := r.stats(); st.Objects != 2 || st.ClassA+st.ClassB != 0 || st.Conns != 1 {
		t.Errorf("%+v", st)
	}
}

func TestFillRefuses(t *testing.T) {
	t.Parallel()
	for name, objs := range map[string][]sink.Object{
		"no key":         {{Key: "kept"}, {Size: 1}},
		"negative size":  {{Key: "kept"}, {Key: "a", Size: -1}},
		"negative parts": {{Key: "kept"}, {Key: "a", Parts: -1}},
	} {
		r := start(t, sink.Options{})
		if status := r.fillWith(objs, false); status != 400 {
			t.Errorf("%s: status %d", name, status)
		}
		if st := r.stats(); st.Objects != 1 || st.Conns != 2 {
			t.Errorf("%s: %d objects, %d connections, want what came before, and a new connection", name, st.Objects, st.Conns)
		}
	}
	r := start(t, sink.Options{})
	for _, path := range []string{"/_fill", "/_fill?bucket=b"} {
		if resp, _ := r.do("POST", path, "no objects"); resp.StatusCode != 400 {
			t.Errorf("%s: status %d", path, resp.StatusCode)
		}
	}
}

func TestFillTellsWhy(t *testing.T) {
	t.Parallel()
	s := sink.New(sink.Options{})
	broken := errors.New("broken")
	err := s.Fill("b", func(yield func(sink.Object, error) bool) {
		_ = yield(sink.Object{Key: "a"}, nil) && yield(sink.Object{}, broken)
	})
	if !errors.Is(err, broken) || s.Stats().Objects != 1 {
		t.Errorf("%v, %d objects", err, s.Stats().Objects)
	}
	if err := sink.WriteObjects(full{}, slices.Values([]sink.Object{{Key: "a"}})); err == nil || !strings.Contains(err.Error(), "no room") {
		t.Errorf("a reader that is gone: %v", err)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no room") }
