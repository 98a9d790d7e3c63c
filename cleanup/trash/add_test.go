package trash

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

func TestAdd(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	g := newRig(t, func(o *Options) { o.Now = func() time.Time { return now } })
	body := []byte("a picture")
	o := g.plant(key, body, "")
	name := g.add(7, o)
	if name != Name(7, key) || !g.store.Has(name) {
		t.Fatalf("name %q, held: %v", name, g.store.Has(name))
	}
	m, err := g.store.Meta(name)
	must(t, err)
	if m.Run != 7 || m.Object.Key != key || m.Object.ETag != o.ETag || m.Object.Size != o.Size || !m.Object.LastModified.Equal(o.LastModified) ||
		m.SHA256 != sha256.Sum256(body) || !m.Trashed.Equal(now) || m.Header.Get("Content-Type") != "image/png" {
		t.Errorf("%+v", m)
	}
	got, err := os.ReadFile(filepath.Join(g.dir, name))
	if err != nil || !bytes.Equal(got, body) {
		t.Errorf("%q, %v", got, err)
	}
	for path, want := range map[string]os.FileMode{"": os.ModeDir | 0o700, "7": os.ModeDir | 0o700, name: 0o600, name + metaSuffix: 0o600} {
		if info, err := os.Stat(filepath.Join(g.dir, path)); err != nil || info.Mode() != want {
			t.Errorf("%q: %v, %v", path, info.Mode(), err)
		}
	}
	g.accounts()
	g.add(7, o) // the same again
	g.add(8, o)
	g.accounts()
	if objects, _ := g.store.Held(); objects != 2 {
		t.Errorf("%d objects", objects)
	}
}

// What becomes of an object that isn't simply there. Whatever the error, nothing is left.
func TestAddRefuses(t *testing.T) {
	t.Parallel()
	body := noise(300)
	sum, other := sha256.Sum256(body), sha256.Sum256([]byte("other"))
	get := func(f fixtures.Fault) func(fixtures.Request) fixtures.Fault {
		return func(r fixtures.Request) fixtures.Fault {
			if r.Op != costs.GetObject {
				return fixtures.Fault{}
			}
			return f
		}
	}
	edit := func(name, value string) fixtures.Fault {
		return fixtures.Fault{Edit: func(a *fixtures.Answer) { a.Header.Set(name, value) }}
	}
	garbled := fixtures.Fault{Edit: func(a *fixtures.Answer) { a.Body[7] ^= 1 }}
	onlyFirst := func(f fixtures.Fault) func(fixtures.Request) fixtures.Fault {
		return func(r fixtures.Request) fixtures.Fault {
			if r.Attempt == 1 {
				return f
			}
			return fixtures.Fault{}
		}
	}
	noted := func(h [32]byte) func(*fixtures.Object) {
		return func(o *fixtures.Object) { o.Meta = map[string]string{"sha256": hex.EncodeToString(h[:])} }
	}
	const odd = "0123456789abcdef0123456789abcdef-3" // no size explains it
	tests := []struct {
		name   string
		etag   string
		plant  func(*fixtures.Object)
		fault  func(fixtures.Request) fixtures.Fault
		item   func(*Item)
		want   error // nil: added
		asked  int64
		before func(*rig)
	}{
		{name: "plain", asked: 1},
		{name: "garbled on its way", fault: get(garbled), want: ErrUnproven, asked: 1},
		{name: "cut", fault: get(fixtures.Fault{PartialAnswer: 100}), want: io.ErrUnexpectedEOF, asked: 1},
		{name: "cut in order", fault: get(fixtures.Fault{PartialAnswer: 100, CleanEnd: true}), want: r2.ErrNonsense, asked: 1},
		{name: "gone", before: func(g *rig) { g.server.Delete(string(key)) }, want: r2.ErrNotFound, asked: 1},
		{name: "changed", before: func(g *rig) { g.server.Put(string(key), []byte("new")) }, want: r2.ErrChanged, asked: 1},
		{name: "ETag of another", fault: get(edit("ETag", `"other"`)), want: r2.ErrChanged, asked: 1},
		{name: "rotten", before: func(g *rig) { g.server.Corrupt(string(key)) }, want: ErrUnproven, asked: 1},
		{name: "other size than listed", item: func(it *Item) { it.Object.Size-- }, want: ErrUnproven, asked: 1},
		{name: "recorded SHA-256", item: func(it *Item) { it.SHA256 = &sum }, asked: 1},
		{name: "another SHA-256 recorded", item: func(it *Item) { it.SHA256 = &other }, want: ErrUnproven, asked: 1},
		{name: "one part", etag: inParts(body, 5*mib), asked: 1},
		{name: "odd ETag, recorded SHA-256", etag: odd, item: func(it *Item) { it.SHA256 = &sum }, asked: 1},
		{name: "odd ETag, SHA-256 beside it", etag: odd, plant: noted(sum), asked: 1},
		{name: "odd ETag, another SHA-256 beside it", etag: odd, plant: noted(other), want: ErrUnproven, asked: 1},
		{name: "odd ETag, two reads", etag: odd, asked: 2},
		{name: "odd ETag, two reads that differ", etag: odd, fault: onlyFirst(garbled), want: ErrUnproven, asked: 2},
		{name: "odd ETag, second read cut", etag: odd, want: io.ErrUnexpectedEOF, asked: 2, fault: func(r fixtures.Request) fixtures.Fault {
			if r.Attempt == 2 {
				return fixtures.Fault{PartialAnswer: 100}
			}
			return fixtures.Fault{}
		}},
		{name: "header that JSON can't hold", fault: get(edit("Content-Disposition", "inline; filename=\"\xe9\"")), want: ErrUnproven, asked: 1},
		{name: "headers beyond all bounds", fault: get(edit("X-Amz-Meta-A", strings.Repeat("\x01", maxMeta/6))), want: ErrUnproven, asked: 1},
		{name: "key that can't be put back", item: func(it *Item) { it.Object.Key = "a/\x01" }, want: errKey, asked: 0},
		{name: "no run", item: func(it *Item) { it.Run = 0 }, want: ErrUnproven, asked: 0},
		{name: "no ETag", item: func(it *Item) { it.Object.ETag = "" }, want: ErrUnproven, asked: 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, nil)
			p := fixtures.Object{Key: string(key), ETag: tt.etag}
			if tt.plant != nil {
				tt.plant(&p)
			}
			g.server.Plant(p, body)
			o, _ := g.server.Object(string(key))
			it := Item{Run: 1, Object: r2.Object{Key: key, Size: o.Size, ETag: o.ETag, LastModified: o.LastModified}}
			if tt.item != nil {
				tt.item(&it)
			}
			if tt.before != nil {
				tt.before(g)
			}
			g.server.SetFault(tt.fault)
			name, err := g.store.Add(t.Context(), g.bucket, it)
			if _, ok := errors.AsType[*media.KeyError](err); ok {
				err = errors.Join(errKey, err)
			}
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if err == nil != (name != "") || err == nil != (len(g.files()) == 2) {
				t.Errorf("%q, %v, left: %v", name, err, g.files())
			}
			if n := g.requests(costs.GetObject); n != tt.asked {
				t.Errorf("asked %d times", n)
			}
			g.accounts()
		})
	}
}

var errKey = errors.New("a KeyError")

// The trash of another bucket's run of the same number is not written over.
func TestAddClash(t *testing.T) {
	t.Parallel()
	g := newRig(t, nil)
	name := g.add(1, g.plant(key, []byte("mine"), ""))
	before, err := g.store.Meta(name)
	must(t, err)
	o := g.plant(key, []byte("yours"), "")
	if _, err := g.store.Add(t.Context(), g.bucket, Item{Run: 1, Object: o}); !errors.Is(err, ErrClash) {
		t.Error(err)
	}
	if after, err := g.store.Meta(name); err != nil || after.SHA256 != before.SHA256 || !g.store.Has(name) {
		t.Errorf("%+v, %v", after, err)
	}
	g.accounts()
}

func TestAddCalledOff(t *testing.T) {
	t.Parallel()
	g := newRig(t, nil)
	o := g.plant(key, noise(100), "")
	ctx, cancel := context.WithCancel(t.Context())
	g.server.SetFault(func(fixtures.Request) fixtures.Fault {
		cancel()
		return fixtures.Fault{Hang: true}
	})
	if _, err := g.store.Add(ctx, g.bucket, Item{Run: 1, Object: o}); !errors.Is(err, context.Canceled) || len(g.files()) > 0 {
		t.Errorf("%v, left: %v", err, g.files())
	}
}

// Many goroutines, some with the same object, while the trash expires and is emptied.
func TestAddConcurrently(t *testing.T) {
	t.Parallel()
	g := newRig(t, func(o *Options) { o.Keep = time.Nanosecond })
	var objects []r2.Object
	for i := range 20 {
		objects = append(objects, g.plant(media.Key(fmt.Sprintf("k%02d", i)), noise(1000+i), ""))
	}
	var wg sync.WaitGroup
	for worker := range int64(8) {
		wg.Go(func() {
			for i, o := range objects {
				run := 1 + worker%3
				if _, err := g.store.Add(t.Context(), g.bucket, Item{Run: run, Object: o}); err != nil {
					t.Error(err)
				}
				if i%7 == 0 {
					_, _, err := g.store.Expire(t.Context())
					err = errors.Join(err, g.store.Drop(Name(run, o.Key)))
					if err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	g.accounts()
}

// A server that keeps to nothing: no condition, no length.
func TestAddOddServer(t *testing.T) {
	t.Parallel()
	body := []byte("0123456789")
	sum := md5.Sum(body)
	want := r2.Object{Key: key, Size: 10, ETag: hex.EncodeToString(sum[:])}
	other := want
	other.ETag = "other"
	for name, tt := range map[string]struct {
		says  r2.Object
		sends io.Reader
		want  error
	}{
		"all as it should be":         {want, bytes.NewReader(body), nil},
		"no end, which fills no disk": {want, endless{}, ErrUnproven},
		"too short":                   {want, bytes.NewReader(body[:9]), ErrUnproven},
		"another ETag":                {other, bytes.NewReader(body), r2.ErrChanged},
	} {
		g := newRig(t, nil)
		_, err := g.store.Add(t.Context(), getter{tt.says, tt.sends}, Item{Run: 1, Object: want})
		if !errors.Is(err, tt.want) || err != nil && len(g.files()) > 0 {
			t.Errorf("%s: %v, left: %v", name, err, g.files())
		}
	}
}

type getter struct {
	says  r2.Object
	sends io.Reader
}

func (g getter) GetMatching(context.Context, media.Key, string) (io.ReadCloser, r2.Head, error) {
	return io.NopCloser(g.sends), r2.Head{Object: g.says, Header: http.Header{}}, nil
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// Only the newest of the same bytes counts, whatever lies there.
func TestAddHeals(t *testing.T) {
	t.Parallel()
	g := newRig(t, nil)
	o := g.plant(key, noise(100), "")
	name := g.add(1, o)
	for _, damaged := range []string{name, name + metaSuffix} {
		must(t, os.WriteFile(filepath.Join(g.dir, damaged), []byte("{}"), 0o600))
		// What the store counted was the old file; open it anew, as another run would.
		g.store = open(t, Options{Dir: g.dir})
		g.add(1, o)
		if m, err := g.store.Meta(name); err != nil || !g.store.Has(name) || m.Object.ETag != o.ETag {
			t.Errorf("%s: %v", damaged, err)
		}
		g.accounts()
	}
	if files := g.files(); !slices.Equal(files, []string{name, name + metaSuffix}) {
		t.Error(files)
	}
}
