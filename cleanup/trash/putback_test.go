package trash

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// headersFor are those that objects really have, and some that they might.
func headersFor(i int) http.Header {
	h := http.Header{"Content-Type": {[]string{"image/png", "video/mp4", "application/octet-stream"}[i%3]}}
	for n, extra := range []struct{ name, value string }{
		{"Cache-Control", "public, max-age=315576000, immutable"},
		{"Content-Disposition", `attachment; filename="a \"b\".png"`},
		{"Content-Language", "de, en"},
		{"Content-Encoding", "identity"},
		{"Expires", "Thu, 01 Jan 2037 00:00:00 GMT"},
		{"X-Amz-Meta-Mtime", "1700000000.123456789"},
		{"X-Amz-Meta-Owner", "=?UTF-8?q?J=C3=BCrgen?="},
	} {
		if i>>n&1 == 1 {
			h.Set(extra.name, extra.value)
		}
	}
	return h
}

// A thousand objects are trashed, deleted and put back: byte for byte, headers included.
func TestPutBackThousand(t *testing.T) {
	t.Parallel()
	const count = 1000
	g := newRig(t, nil)
	rnd := rand.New(rand.NewPCG(1, 2))
	type thing struct {
		object r2.Object
		body   []byte
		before r2.Head
		name   string
	}
	things := make([]thing, count)
	for i := range things {
		body := make([]byte, rnd.IntN(3000))
		for j := range body {
			body[j] = byte(rnd.Uint32())
		}
		k := media.Key(fmt.Sprintf("media_attachments/files/000/000/%03d/original/ü %d.png", i, i))
		things[i] = thing{object: upload(t, g.bucket, k, body, headersFor(i)), body: body}
	}
	each := func(do func(*thing) error) {
		t.Helper()
		var wg sync.WaitGroup
		work := make(chan *thing)
		for range 8 {
			wg.Go(func() {
				for th := range work {
					if err := do(th); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for i := range things {
			work <- &things[i]
		}
		close(work)
		wg.Wait()
	}
	each(func(th *thing) (err error) {
		if th.before, err = g.bucket.Head(t.Context(), th.object.Key); err == nil {
			th.name, err = g.store.Add(t.Context(), g.bucket, Item{Run: 3, Object: th.object})
		}
		return err
	})
	if objects, _ := g.store.Held(); objects != count {
		t.Fatalf("%d objects", objects)
	}
	g.server.Wipe()
	each(func(th *thing) error {
		r, err := g.store.PutBack(t.Context(), g.bucket, th.name)
		if err == nil && (r.Found || r.ETag != th.object.ETag) {
			err = fmt.Errorf("%+v", r)
		}
		return err
	})
	each(func(th *thing) error {
		after, err := g.bucket.Head(t.Context(), th.object.Key)
		if err != nil {
			return err
		}
		if d := cmp.Diff(th.before.Header, after.Header); d != "" {
			return errors.New(d)
		}
		if body, ok := g.server.Body(string(th.object.Key)); !ok || !bytes.Equal(body, th.body) {
			return fmt.Errorf("%q: other bytes", th.object.Key)
		}
		return nil
	})
	if n := g.server.Len(); n != count {
		t.Errorf("%d objects are back", n)
	}
}

// What PutBack does when it can't, or needn't.
func TestPutBackOutcomes(t *testing.T) {
	t.Parallel()
	body := noise(6 * mib)
	sum := md5.Sum(body)
	file := func(g *rig, suffix string) string { return filepath.Join(g.dir, Name(1, key)+suffix) }
	tests := []struct {
		name  string
		do    func(t *testing.T, g *rig) error // with the bucket empty
		want  error
		found bool
		puts  int64
	}{
		{name: "free", puts: 1},
		{name: "another object", do: func(_ *testing.T, g *rig) error { g.server.Put(string(key), []byte("new")); return nil }, want: ErrTaken, puts: 1},
		{name: "another of the same size", do: func(_ *testing.T, g *rig) error {
			g.server.Put(string(key), make([]byte, len(body)))
			return nil
		}, want: ErrTaken, puts: 1},
		{name: "another with the same ETag", do: func(_ *testing.T, g *rig) error {
			g.server.Plant(fixtures.Object{Key: string(key), ETag: hex.EncodeToString(sum[:])}, []byte("short"))
			return nil
		}, want: ErrTaken, puts: 1},
		{name: "the very same", do: func(_ *testing.T, g *rig) error { g.server.Put(string(key), body); return nil }, found: true, puts: 1},
		{name: "the very same in parts", do: func(_ *testing.T, g *rig) error {
			g.server.Plant(fixtures.Object{Key: string(key), ETag: inParts(body, 5*mib)}, body)
			return nil
		}, found: true, puts: 1},
		{name: "answer lost", do: func(_ *testing.T, g *rig) error {
			g.server.SetFault(func(r fixtures.Request) fixtures.Fault { return fixtures.Fault{StoreThenCut: r.Op == costs.PutObject} })
			return nil
		}, found: true, puts: 1},
		{name: "expired", do: func(_ *testing.T, g *rig) error { return g.store.Drop(Name(1, key)) }, want: ErrUnknown},
		{name: "bytes gone", do: func(_ *testing.T, g *rig) error { return os.Remove(file(g, "")) }, want: ErrUnknown},
		{name: "bytes cut", do: func(_ *testing.T, g *rig) error { return os.Truncate(file(g, ""), 100) }, want: ErrDamaged},
		{name: "one bit rotten", do: func(_ *testing.T, g *rig) error {
			b := slices.Clone(body)
			b[5] ^= 4
			return os.WriteFile(file(g, ""), b, 0o600)
		}, want: ErrDamaged},
		{name: "facts rotten", do: func(_ *testing.T, g *rig) error {
			b, err := os.ReadFile(file(g, metaSuffix))
			return errors.Join(err, os.WriteFile(file(g, metaSuffix), bytes.Replace(b, []byte("image/png"), []byte("text/html"), 1), 0o600))
		}, want: ErrDamaged},
		{name: "link in its place", do: func(t *testing.T, g *rig) error {
			other := filepath.Join(t.TempDir(), "other")
			return errors.Join(os.Rename(file(g, ""), other), os.Symlink(other, file(g, "")))
		}, want: ErrDamaged},
		{name: "folder in its place", do: func(_ *testing.T, g *rig) error {
			return errors.Join(os.Remove(file(g, "")), os.Mkdir(file(g, ""), 0o700))
		}, want: ErrDamaged},
		{name: "no access", do: func(_ *testing.T, g *rig) error { g.server.Revoke(); return nil }, want: r2.ErrDenied, puts: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, nil)
			o := g.plant(key, body, "")
			name := g.add(1, o)
			g.server.Wipe()
			if tt.do != nil {
				must(t, tt.do(t, g))
			}
			before, _ := g.server.Object(string(key))
			r, err := g.store.PutBack(t.Context(), g.bucket, name)
			if !errors.Is(err, tt.want) || r.Found != tt.found {
				t.Fatalf("%+v, %v", r, err)
			}
			if n := g.requests(costs.PutObject); n != tt.puts {
				t.Errorf("%d PUTs", n)
			}
			after, ok := g.server.Object(string(key))
			if err == nil && (!ok || r.ETag != after.ETag) || errors.Is(err, ErrTaken) && !cmp.Equal(before, after) {
				t.Errorf("%+v, there is %+v", r, after)
			}
		})
	}
}

// An object that came in parts goes back in the same ones, so that its ETag is the old one.
func TestPutBackParts(t *testing.T) {
	t.Parallel()
	body := noise(12*mib + 5)
	sum := md5.Sum(body)
	plain := hex.EncodeToString(sum[:])
	for _, tt := range []struct {
		name  string
		etag  string
		parts int64
		back  string // "": the old ETag
	}{
		{"Mastodon's", inParts(body, 5*mib), 3, ""},
		{"of 7 MiB", inParts(body, 7*mib), 2, ""},
		{"smaller than R2 takes", inParts(body, 4*mib), 0, plain},
		{"one", inParts(body, 16*mib), 0, plain},
		{"odd", inParts(body, 5*mib+1), 0, plain},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, nil)
			o := g.plant(key, body, tt.etag)
			name := g.add(1, o)
			g.server.Wipe()
			r, err := g.store.PutBack(t.Context(), g.bucket, name)
			must(t, err)
			want := tt.back
			if want == "" {
				want = o.ETag
			}
			if n := g.requests(costs.UploadPart); r.ETag != want || r.Found || n != tt.parts {
				t.Errorf("%+v in %d parts", r, n)
			}
			if got, _ := g.server.Body(string(key)); !bytes.Equal(got, body) {
				t.Error("other bytes")
			}
			if back, _ := g.server.Object(string(key)); back.ContentType != "image/png" {
				t.Error(back.ContentType)
			}
			if tt.parts > 0 && (len(g.parts.started) != 1 || !strings.HasPrefix(g.parts.started[0], string(key)+" ") || len(g.parts.ended) != 1) {
				t.Errorf("%+v", g.parts)
			}
			again, err := g.store.PutBack(t.Context(), g.bucket, name)
			if err != nil || !again.Found || again.ETag != want {
				t.Errorf("again: %+v, %v", again, err)
			}
		})
	}
}

// Nobody notes the parts: better nothing than parts that cost money for ever.
func TestPutBackPartsUnnoted(t *testing.T) {
	t.Parallel()
	body := noise(11 * mib)
	g := newRig(t, func(o *Options) { o.Parts = nil })
	name := g.add(1, g.plant(key, body, inParts(body, 5*mib)))
	g.server.Wipe()
	if _, err := g.store.PutBack(t.Context(), g.bucket, name); err == nil || g.requests(costs.CreateMultipartUpload) > 0 {
		t.Error(err)
	}
}

// Beyond SinglePutMax it goes in parts whatever its ETag was.
func TestPartsForLarge(t *testing.T) {
	t.Parallel()
	p, sums, err := partsFor("0123456789abcdef0123456789abcdef", r2.SinglePutMax+1, zeros{})
	if err != nil || p != r2.PartSize(r2.SinglePutMax+1) || len(sums) != 7 {
		t.Errorf("%d, %d parts, %v", p, len(sums), err)
	}
	p, sums, err = partsFor("0123456789abcdef0123456789abcdef", 10, zeros{})
	if err != nil || p != 0 || sums != nil {
		t.Errorf("%d, %d parts, %v", p, len(sums), err)
	}
	if _, _, err = partsFor("0123456789abcdef0123456789abcdef-3", 15*mib, strings.NewReader("short")); err == nil {
		t.Error("a short file has no parts")
	}
}

type zeros struct{}

func (zeros) ReadAt(p []byte, _ int64) (int, error) { clear(p); return len(p), nil }

// Every part size that the proof knows and R2 takes is found again.
func TestPartsForFindsThem(t *testing.T) {
	t.Parallel()
	data := noise(13*mib + 3)
	rapid.Check(t, func(t *rapid.T) {
		d := data[:rapid.IntRange(5*mib+1, len(data)).Draw(t, "size")]
		size := rapid.IntRange(5, 8).Draw(t, "part") * mib
		etag := inParts(d, size)
		got, sums, err := partsFor(etag, int64(len(d)), bytes.NewReader(d))
		if err != nil {
			t.Fatal(err)
		}
		if size >= len(d) {
			if sums != nil {
				t.Fatal("one part is none")
			}
			return
		}
		if r2.CompositeETag(sums) != etag {
			t.Fatalf("%d bytes in parts of %d: tried %v, took %d", len(d), size, partSizes(etag, int64(len(d))), got)
		}
	})
}

// The context ends the sending.
func TestPutBackCalledOff(t *testing.T) {
	t.Parallel()
	g := newRig(t, nil)
	name := g.add(1, g.plant(key, noise(10), ""))
	g.server.Wipe()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	g.server.SetFault(func(fixtures.Request) fixtures.Fault { return fixtures.Fault{Hang: true} })
	if _, err := g.store.PutBack(ctx, g.bucket, name); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if !g.store.Has(name) {
		t.Error("the copy is gone")
	}
}
