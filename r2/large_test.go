package r2

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/mediamove/costs"
	"example.org/mediamove/media"
)

// notes records Started and Ended.
type notes struct {
	mu             sync.Mutex
	started, ended []string
}

func (n *notes) start(_ context.Context, id string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.started = append(n.started, id)
	return nil
}

func (n *notes) end(ctx context.Context, id string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ended = append(n.ended, id)
	return ctx.Err()
}

func large(key string, size int, n *notes) Large {
	if n == nil {
		n = new(notes)
	}
	body := make([]byte, size)
	for i := range body {
		body[i] = byte(i >> 12)
	}
	l := Large{
		Upload: upload("", ""), PartSize: 5 * mib, Started: n.start, Ended: n.end,
	}
	l.Key, l.Size, l.MD5, l.SHA256, l.Body = media.Key(key), int64(size), md5.Sum(body), sha256.Sum256(body), bytes.NewReader(body)
	for part := range slices.Chunk(body, 5*mib) {
		l.PartMD5 = append(l.PartMD5, md5.Sum(part))
	}
	return l
}

func TestPutLarge(t *testing.T) {
	t.Parallel()
	s := new(store)
	var n notes
	b := serveReal(t, recorder(t, s))
	l := large("big", 12*mib, &n)
	got, err := b.PutLarge(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Stored{Object: Object{Key: "big", Size: 12 * mib, ETag: CompositeETag(l.PartMD5)}}); got != want {
		t.Errorf("got %+v", got)
	}
	seen := s.requests()
	slices.Sort(seen[2:5])
	if d := cmp.Diff([]string{
		"HEAD /b/big", "POST /b/big?uploads=",
		"PUT /b/big?partNumber=1&uploadId=id1&x-id=UploadPart", "PUT /b/big?partNumber=2&uploadId=id1&x-id=UploadPart", "PUT /b/big?partNumber=3&uploadId=id1&x-id=UploadPart",
		"POST /b/big?uploadId=id1",
	}, seen); d != "" {
		t.Error(d)
	}
	for i, h := range s.headers {
		if s.seen[i][:3] == "PUT" && (h.Get("Content-Md5") == "" || h.Get("X-Amz-Content-Sha256") != "UNSIGNED-PAYLOAD") {
			t.Errorf("part's headers: %v", h)
		}
	}
	for name, want := range map[string]string{
		"Content-Type": "image/png", "Cache-Control": "public, max-age=315576000, immutable", "X-Amz-Meta-Mtime": "1700000000.123456789", "X-Amz-Meta-Sha256": hexString(l.SHA256[:]),
	} {
		if got := s.headers[1].Get(name); got != want {
			t.Errorf("create: %s is %q", name, got)
		}
	}
	if h := s.headers[5]; h.Get("If-None-Match") != "*" || h.Get("If-Match") != "" {
		t.Errorf("complete: %v", h)
	}
	if !slices.Equal(n.started, []string{"id1"}) || !slices.Equal(n.ended, []string{"id1"}) {
		t.Errorf("notes %v", &n)
	}
	h, err := b.Head(t.Context(), "big")
	if err != nil || h.SHA256 != l.SHA256 || h.ContentType != "image/png" || h.CacheControl == "" || h.Date.IsZero() {
		t.Errorf("head %+v, %v", h, err)
	}
}

// How a large upload ends, and what is left: never an upload that nobody
// knows of, never one that is still noted though it is gone.
func TestPutLargeEnds(t *testing.T) {
	t.Parallel()
	is := func(method, query string) func(*http.Request) bool {
		return func(r *http.Request) bool { return r.Method == method && strings.Contains(r.URL.RawQuery, query) }
	}
	create, part, complete, abort := is("POST", "uploads"), is("PUT", "partNumber=2"), is("POST", "uploadId"), is("DELETE", "")
	say := func(status int, code string) func(*store, http.ResponseWriter, *http.Request) bool {
		return func(_ *store, w http.ResponseWriter, _ *http.Request) bool {
			s3Error(w, status, code, "x")
			return true
		}
	}
	reset := func(*store, http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }
	lose := func(s *store, w http.ResponseWriter, r *http.Request) bool {
		body, _ := io.ReadAll(r.Body)
		s.serve(w, r, string(body))
		panic(http.ErrAbortHandler)
	}
	expire := func(s *store, _ http.ResponseWriter, _ *http.Request) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		clear(s.uploads)
		return false
	}
	for name, c := range map[string]struct {
		when     func(*http.Request) bool
		times    int32 // how often it happens; 0 always
		what     func(*store, http.ResponseWriter, *http.Request) bool
		change   func(*Large)
		objects  map[string]stored
		err      error
		found    bool
		creates  int64
		leftover bool // the upload stays noted
	}{
		"a part is retried":      {when: part, times: 2, what: say(500, "InternalError"), creates: 1},
		"a part is cut":          {when: part, times: 1, what: reset, creates: 1},
		"upload expired":         {when: part, times: 1, what: expire, creates: 2},
		"upload expires always":  {when: part, what: expire, creates: 2, err: errNoUpload},
		"denied amid":            {when: part, what: say(403, "AccessDenied"), creates: 1, err: ErrDenied},
		"part changed":           {when: part, what: say(400, "BadDigest"), creates: 1, err: ErrBadDigest},
		"limit at create":        {when: create, times: 1, what: say(403, "AccessDenied"), creates: 1, err: ErrDenied},
		"create without id":      {when: create, what: func(*store, http.ResponseWriter, *http.Request) bool { return true }, creates: 1, err: ErrNonsense},
		"complete's answer lost": {when: complete, times: 1, what: lose, creates: 1, found: true},
		"complete lost before":   {when: complete, times: 1, what: reset, creates: 1},
		"complete: 500, but it did": {when: complete, times: 1, what: func(s *store, w http.ResponseWriter, r *http.Request) bool {
			lostly(s, r)
			s3Error(w, 500, "InternalError", "x")
			return true
		}, creates: 1, found: true},
		"complete: 200 with an error": {when: complete, times: 1, what: func(_ *store, w http.ResponseWriter, _ *http.Request) bool {
			s3Error(w, 200, "InternalError", "x")
			return true
		}, creates: 1},
		"complete: wrong ETag": {when: complete, what: func(_ *store, w http.ResponseWriter, _ *http.Request) bool {
			fmt.Fprint(w, "<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>")
			return true
		}, creates: 1, err: ErrNonsense},
		"complete: HTML": {when: complete, what: func(_ *store, w http.ResponseWriter, _ *http.Request) bool {
			fmt.Fprint(w, "<html>hello</html>")
			return true
		}, creates: 1, err: ErrNonsense},
		"part: wrong ETag": {when: part, what: func(_ *store, w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("ETag", etagOf("other"))
			return true
		}, creates: 1, err: ErrNonsense},
		"part: no ETag": {when: part, what: func(*store, http.ResponseWriter, *http.Request) bool { return true }, creates: 1, err: ErrNonsense},
		"taken before":  {objects: map[string]stored{"big": {"x", "x", nil}}, err: ErrExists},
		"taken meanwhile": {when: part, times: 1, what: func(s *store, _ http.ResponseWriter, _ *http.Request) bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.objects["big"] = stored{"x", "x", nil}
			return false
		}, creates: 1, err: ErrExists},
		"replaces":               {objects: map[string]stored{"big": {"x", "old", nil}}, change: func(l *Large) { l.IfMatch = "old" }, creates: 1},
		"replaces another":       {objects: map[string]stored{"big": {"x", "newer", nil}}, change: func(l *Large) { l.IfMatch = "old" }, err: ErrChanged},
		"replaces nothing":       {change: func(l *Large) { l.IfMatch = "old" }, err: ErrChanged},
		"can't be noted":         {change: func(l *Large) { l.Started = func(context.Context, string) error { return errAny } }, creates: 1, err: errAny},
		"abort fails too":        {when: func(r *http.Request) bool { return part(r) || abort(r) }, what: say(403, "AccessDenied"), creates: 1, err: ErrDenied, leftover: true},
		"file shrank":            {change: func(l *Large) { l.Body = io.NewSectionReader(l.Body, 0, 5*mib+100) }, creates: 1, err: ErrSource},
		"file shrank by a part":  {change: func(l *Large) { l.Body = io.NewSectionReader(l.Body, 0, 5*mib) }, creates: 1, err: ErrSource},
		"file changed in a part": {change: func(l *Large) { l.Body = bytes.NewReader(make([]byte, 5*mib+2000)) }, creates: 1, err: ErrBadDigest},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var n notes
				s := &store{objects: c.objects, uploads: map[string]map[int]string{}}
				if s.objects == nil {
					s.objects = map[string]stored{}
				}
				var happened atomic.Int32
				s.before = func(w http.ResponseWriter, r *http.Request) bool {
					if c.when == nil || !c.when(r) || c.times > 0 && happened.Add(1) > c.times {
						return false
					}
					return c.what(s, w, r)
				}
				b, m := open(t, s)
				l := large("big", 5*mib+2000, &n)
				if c.change != nil {
					c.change(&l)
				}
				got, err := b.PutLarge(t.Context(), l)
				mustBe(t, err, c.err)
				if c.err == nil && (got.ETag != CompositeETag(l.PartMD5) || got.Found != c.found || got.Size != l.Size) {
					t.Errorf("got %+v", got)
				}
				if n := m.Usage().Get(costs.CreateMultipartUpload); n != c.creates {
					t.Errorf("%d uploads started", n)
				}
				if left := len(s.uploads) > 0; left != c.leftover && err != nil && !errors.Is(err, ErrNonsense) {
					t.Errorf("uploads left: %v", s.uploads)
				}
				if noted := len(n.started) > len(n.ended); noted != c.leftover {
					t.Errorf("notes: %v", &n)
				}
			})
		})
	}
}

// R2's emulator names parts at random; the whole is compared anyway.
func TestPartETagFits(t *testing.T) {
	t.Parallel()
	sum := md5.Sum([]byte("x"))
	for etag, want := range map[string]bool{
		etagOf("x"): true, etagOf("y"): false, "": false, strings.Repeat("aB_-", 40): true, "abc": true,
	} {
		if partETagFits(etag, sum) != want {
			t.Errorf("%q: %v", etag, !want)
		}
	}
}

// lostly completes without answering.
func lostly(s *store, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.serve(discard{http.Header{}}, r, string(body))
}

type discard struct{ h http.Header }

func (d discard) Header() http.Header       { return d.h }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}

// Ctrl-C amid: the upload is aborted on a context that lives on.
func TestPutLargeCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var n notes
		why := errors.New("interrupted")
		ctx, cancel := context.WithCancelCause(t.Context())
		s := new(store)
		s.before = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == "PUT" {
				cancel(why)
				<-r.Context().Done()
				panic(http.ErrAbortHandler)
			}
			return false
		}
		b, _ := open(t, s)
		_, err := b.PutLarge(ctx, large("big", 5*mib+2000, &n))
		mustBe(t, err, why)
		if len(s.uploads) != 0 || len(n.ended) != 1 {
			t.Errorf("left %v, notes %v", s.uploads, &n)
		}
	})
}

// An endpoint that hangs can't hold the end up: the id stays noted.
func TestPutLargeAbortHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var n notes
		ctx, cancel := context.WithCancel(t.Context())
		s := new(store)
		s.before = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method != "HEAD" && r.Method != "POST" {
				cancel()
				<-r.Context().Done()
				panic(http.ErrAbortHandler)
			}
			return false
		}
		b, _ := open(t, s)
		began := time.Now()
		_, err := b.PutLarge(ctx, large("big", 5*mib+2000, &n))
		mustBe(t, err, context.Canceled)
		if d := time.Since(began); d > 30*time.Second {
			t.Errorf("took %v", d)
		}
		if len(n.ended) != 0 {
			t.Errorf("notes %v", &n)
		}
	})
}

func TestPutLargeRefusesOddSizes(t *testing.T) {
	t.Parallel()
	b, m := open(t, new(store))
	for _, change := range []func(*Large){
		func(l *Large) { l.PartSize = 5*mib - 1 },
		func(l *Large) { l.PartSize = 5*mib + 1 },
		func(l *Large) { l.PartSize = 6 * mib },
		func(l *Large) { l.PartMD5 = l.PartMD5[1:] },
		func(l *Large) { l.Size = 5 * mib * 10_000 },
	} {
		l := large("big", 5*mib+2000, nil)
		change(&l)
		if _, err := b.PutLarge(t.Context(), l); err == nil {
			t.Error("no error")
		}
	}
	if u := m.Usage(); !u.IsZero() {
		t.Errorf("requests: %v", u)
	}
}

// Parts are streamed: memory must not hold them.
func TestPutLargeNeedsLittleMemory(t *testing.T) {
	const parts = 12
	s := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == "HEAD":
			w.WriteHeader(404)
		case r.Method == "POST" && r.URL.Query().Has("uploads"):
			fmt.Fprint(w, "<R><UploadId>u</UploadId></R>")
		case r.Method == "PUT":
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("ETag", `"`+zeroPart+`"`)
		default:
			fmt.Fprint(w, "<R><ETag>"+CompositeETag(slices.Repeat([][16]byte{zeroMD5()}, parts))+"</ETag></R>")
		}
	})
	b := serveReal(t, s)
	sums := slices.Repeat([][16]byte{zeroMD5()}, parts)
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	var peak atomic.Uint64
	if _, err := b.PutLarge(t.Context(), Large{
		Upload: Upload{Key: "big", Size: parts * 16 * mib, Body: zeros{&peak}}, PartSize: 16 * mib,
		PartMD5: sums, Started: new(notes).start, Ended: new(notes).end,
	}); err != nil {
		t.Fatal(err)
	}
	if grown := int64(peak.Load()) - int64(before.HeapAlloc); grown > 12*mib {
		t.Errorf("heap grew by %d MiB, four parts are 64", grown/mib)
	}
}

func zeroMD5() [16]byte { return md5.Sum(make([]byte, 16*mib)) }

const zeroPart = "2c7ab85a893283e98c931e9511add182"

// zeros is an endless file that samples the heap while it is read.
type zeros struct{ peak *atomic.Uint64 }

func (z zeros) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	if off%(8*mib) == 0 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		z.peak.Store(max(z.peak.Load(), m.HeapAlloc))
	}
	return len(p), nil
}
