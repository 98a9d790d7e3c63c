package trash

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

const key = media.Key("cache/media_attachments/files/109/348/126/000/000/001/original/a.png")

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A rig is a bucket that stands in for R2, and a trash beside it.
type rig struct {
	t      testing.TB
	dir    string
	server *fixtures.Bucket
	bucket *r2.Bucket
	store  *Store
	parts  *notes
}

func newRig(t testing.TB, edit func(*Options)) *rig {
	t.Helper()
	g := &rig{t: t, dir: filepath.Join(t.TempDir(), "trash"), server: fixtures.NewBucket(fixtures.Options{}), parts: new(notes)}
	g.bucket = connect(t, g.server)
	o := Options{Dir: g.dir, Parts: g.parts, Free: func() (int64, error) { return 1 << 50, nil }}
	if edit != nil {
		edit(&o)
	}
	g.store = open(t, o)
	g.store.sync = func(*os.File) error { return nil } // only power cuts show the difference
	return g
}

func connect(t testing.TB, server *fixtures.Bucket) *r2.Bucket {
	t.Helper()
	b, err := r2.Open(r2.Config{
		Endpoint: fixtures.Endpoint, Bucket: fixtures.Name, AccessKeyID: fixtures.AccessKey, SecretAccessKey: fixtures.Secret, Transport: server.Transport(),
	})
	must(t, err)
	t.Cleanup(b.Close)
	return b
}

func open(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), o)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

// plant stores an object as Mastodon would have, and returns it as a listing shows it.
func (g *rig) plant(k media.Key, body []byte, etag string) r2.Object {
	g.t.Helper()
	g.server.Plant(fixtures.Object{Key: string(k), ETag: etag, ContentType: "image/png", LastModified: time.Now().Add(-time.Hour)}, body)
	o, _ := g.server.Object(string(k))
	return r2.Object{Key: k, Size: o.Size, ETag: o.ETag, LastModified: o.LastModified}
}

func (g *rig) add(run int64, o r2.Object) string {
	g.t.Helper()
	name, err := g.store.Add(g.t.Context(), g.bucket, Item{Run: run, Object: o})
	must(g.t, err)
	return name
}

func (g *rig) requests(op costs.Op) int64 { return g.server.Usage()[op] }

// files lists what lies in the trash, by path from its folder.
func (g *rig) files() (all []string) {
	g.t.Helper()
	must(g.t, filepath.WalkDir(g.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(g.dir, path)
			all = append(all, rel)
		}
		return err
	}))
	return all
}

// accounts holds what the store says it has against the folder and a second store.
func (g *rig) accounts() {
	g.t.Helper()
	var objects, size int64
	for _, f := range g.files() {
		info, err := os.Stat(filepath.Join(g.dir, f))
		must(g.t, err)
		size += info.Size()
		if strings.HasSuffix(f, metaSuffix) {
			objects++
		}
	}
	if o, b := g.store.Held(); o != objects || b != size || g.store.reserved != 0 {
		g.t.Fatalf("held %d objects, %d bytes, %d reserved; there are %d of %d", o, b, g.store.reserved, objects, size)
	}
	again, err := Open(g.t.Context(), Options{Dir: g.dir})
	must(g.t, err)
	if o, b := again.Held(); o != objects || b != size {
		g.t.Fatalf("measured %d objects, %d bytes; there are %d of %d", o, b, objects, size)
	}
	must(g.t, again.Close())
}

// notes records the uploads in parts.
type notes struct {
	mu             sync.Mutex
	started, ended []string
}

func (n *notes) Started(_ context.Context, k media.Key, id string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.started = append(n.started, string(k)+" "+id)
	return nil
}

func (n *notes) Ended(_ context.Context, id string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ended = append(n.ended, id)
	return nil
}

// upload stores body with headers that others than us might have chosen.
func upload(t testing.TB, b *r2.Bucket, k media.Key, body []byte, h http.Header) r2.Object {
	t.Helper()
	s, err := b.Put(t.Context(), r2.Upload{
		Key: k, Size: int64(len(body)), MD5: md5.Sum(body), SHA256: sha256.Sum256(body), Header: h, Body: bytes.NewReader(body),
	})
	must(t, err)
	return s.Object
}

// inParts returns the ETag of data sent in parts of that size.
func inParts(data []byte, size int) string {
	var sums [][16]byte
	for off := 0; off < len(data); off += size {
		sums = append(sums, md5.Sum(data[off:min(len(data), off+size)]))
	}
	return r2.CompositeETag(sums)
}

func noise(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7 >> 9)
	}
	return b
}
