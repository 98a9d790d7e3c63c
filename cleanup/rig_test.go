package cleanup_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/cleanup/trash"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// A rig is all that a cleaner takes: the stand-in for R2 behind the real client, a real
// ledger, a real trash, and a database in memory.
type rig struct {
	t       testing.TB
	server  *fixtures.Bucket
	state   string
	trash   string
	ledger  *ledger.Ledger
	store   *trash.Store
	db      *memoryDB
	run     int64
	planted map[media.Key]fixtures.Object
	control []media.Key // owned, never to be touched
	noBin   bool
	journal func(cleanup.Journal) cleanup.Journal
	edit    func(*cleanup.Cleaner)

	mu       sync.Mutex
	raised   int
	unintent []string // deleted without an open intent
}

func newRig(t testing.TB) *rig {
	t.Helper()
	g := &rig{t: t, state: t.TempDir(), trash: filepath.Join(t.TempDir(), "trash"), db: newDB(), planted: map[media.Key]fixtures.Object{}}
	g.server = fixtures.NewBucket(fixtures.Options{OnDelete: g.onDelete})
	g.open()
	t.Cleanup(func() { _, _ = g.ledger.Close(), g.store.Close() }) // where a test ended early
	for id := range int64(15) {
		k := avatar(900_000 + id)
		g.plant(k, "owned")
		g.db.put(k, true)
		g.control = append(g.control, k)
	}
	g.plant(".mediamove/owner.json", "the mark")
	return g
}

// open opens ledger and trash, as a process does.
func (g *rig) open() {
	g.t.Helper()
	l, err := ledger.Open(context.WithoutCancel(g.t.Context()), g.state, ledger.Options{})
	must(g.t, err)
	s, err := trash.Open(context.WithoutCancel(g.t.Context()), trash.Options{Dir: g.trash, Free: func() (int64, error) { return 1 << 50, nil }})
	must(g.t, err)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ledger, g.store = l, s
}

func (g *rig) close() {
	g.t.Helper()
	must(g.t, g.ledger.Close())
	must(g.t, g.store.Close())
}

func (g *rig) bucket() *r2.Bucket {
	g.t.Helper()
	b, err := r2.Open(r2.Config{
		Endpoint: fixtures.Endpoint, Bucket: fixtures.Name, AccessKeyID: fixtures.AccessKey, SecretAccessKey: fixtures.Secret, Transport: g.server.Transport(),
	})
	must(g.t, err)
	return b
}

// onDelete is told of every deletion that reaches the bucket, before it has an effect.
func (g *rig) onDelete(key string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for r, err := range g.ledger.Removals(context.Background(), ledger.RemovalQuery{Key: media.Key(key)}) {
		if err == nil && r.State != ledger.RemovalKept { // a deletion may arrive twice, and the second time late
			return
		}
	}
	g.unintent = append(g.unintent, key)
}

// plant stores an object as Mastodon would have.
func (g *rig) plant(k media.Key, body string) cleanup.Candidate {
	g.t.Helper()
	g.server.Plant(fixtures.Object{
		Key: string(k), ContentType: "image/png", CacheControl: "public, max-age=315576000, immutable", Meta: map[string]string{"of": "the key"},
		Header: http.Header{"Content-Disposition": {"inline"}}, LastModified: noon.AddDate(0, 0, -30),
	}, []byte(body))
	return g.noted(k)
}

// upload stores an object as another client does.
func (g *rig) upload(k media.Key, body []byte) cleanup.Candidate {
	g.t.Helper()
	b := g.bucket()
	defer b.Close()
	_, err := b.Put(g.t.Context(), r2.Upload{Key: k, Size: int64(len(body)), MD5: md5.Sum(body), SHA256: sha256.Sum256(body), Body: bytes.NewReader(body)})
	must(g.t, err)
	return g.noted(k)
}

// noted is what a scan would have found under k.
func (g *rig) noted(k media.Key) cleanup.Candidate {
	o, _ := g.server.Object(string(k))
	g.planted[k] = o
	return cleanup.Candidate{Key: k, Reason: "row gone", Size: o.Size, ETag: o.ETag, Modified: o.LastModified, First: noon.AddDate(0, 0, -2)}
}

// orphans plants n of them.
func (g *rig) orphans(n int) []cleanup.Candidate {
	g.t.Helper()
	list := make([]cleanup.Candidate, n)
	for i := range list {
		list[i] = g.plant(avatar(int64(i+1)), fmt.Sprintf("body of %d", i))
	}
	return list
}

// clean is one run over list.
func (g *rig) clean(ctx context.Context, list []cleanup.Candidate) (*cleanup.Cleaner, error) {
	g.t.Helper()
	g.run++
	b := g.bucket()
	defer b.Close()
	c := &cleanup.Cleaner{
		Bucket: b, Rows: g.db, Journal: g.ledger, Bin: cleanup.Trash{Store: g.store, Bucket: b, Entries: g.ledger},
		Run: g.run, Policy: cleanup.Policy, Plan: "plan", Control: g.control, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Raise: func(context.Context) error { g.raised++; return nil },
	}
	if g.noBin {
		c.Bin = nil
	}
	if g.journal != nil {
		c.Journal = g.journal(c.Journal)
	}
	if g.edit != nil {
		g.edit(c)
	}
	return c, c.Apply(ctx, each(list, nil))
}

// rows is the whole journal, by key: a run has one row for each.
func (g *rig) rows() map[media.Key]ledger.Removal {
	g.t.Helper()
	list, err := all(g.ledger.Removals(context.Background(), ledger.RemovalQuery{}))
	must(g.t, err)
	rows := map[media.Key]ledger.Removal{}
	for _, r := range list {
		rows[r.Key] = r
	}
	return rows
}

// settle is what the next run begins with, in another process.
func (g *rig) settle() int {
	g.t.Helper()
	g.server.SetFault(nil)
	g.close()
	g.open()
	b := g.bucket()
	defer b.Close()
	n, err := cleanup.Settle(context.WithoutCancel(g.t.Context()), b, g.ledger, time.Now)
	must(g.t, err)
	return n
}

// truth holds the journal, once it is settled, against the bucket, and closes all.
func (g *rig) truth() {
	g.t.Helper()
	g.settle()
	defer g.close()
	for _, key := range g.unintent {
		g.t.Errorf("%s was deleted without an intent", key)
	}
	rows, copies := g.rows(), int64(0)
	for k, r := range rows {
		_, there := g.server.Object(string(k))
		if r.Trash != "" && g.store.Has(r.Trash) {
			copies++
		}
		switch r.State {
		case ledger.RemovalRemoved:
			if there || !g.noBin != g.store.Has(r.Trash) {
				g.t.Errorf("%s: removed by the journal, in the bucket %t, in the trash %t", k, there, g.store.Has(r.Trash))
			}
		case ledger.RemovalKept:
			if !there && !strings.HasPrefix(r.Detail, cleanup.KeptGone) {
				g.t.Errorf("%s: kept by the journal (%s), and not there", k, r.Detail)
			}
		default:
			g.t.Errorf("%s: %s after all was settled", k, r.State)
		}
		if g.planted[k].Key == "" {
			g.t.Errorf("%s: in the journal, and never planted", k)
		}
	}
	for k := range g.planted {
		if _, there := g.server.Object(string(k)); !there && rows[k].State != ledger.RemovalRemoved && !strings.HasPrefix(rows[k].Detail, cleanup.KeptGone) {
			g.t.Errorf("%s is gone, and the journal says %q", k, rows[k].State)
		}
	}
	g.untouched()
	if held, _ := g.store.Held(); held != copies {
		g.t.Errorf("the trash holds %d objects, the journal knows of %d", held, copies)
	}
}

// untouched looks at what is nobody's business.
func (g *rig) untouched() {
	g.t.Helper()
	for _, k := range append(g.control, ".mediamove/owner.json") {
		if o, there := g.server.Object(string(k)); !there || o.ETag != g.planted[k].ETag || g.server.Writes(string(k)) != 1 {
			g.t.Errorf("%s, which is owned, was touched", k)
		}
		if r, ok := g.rows()[k]; ok {
			g.t.Errorf("%s, which is owned, is in the journal: %s", k, r.State)
		}
	}
}
