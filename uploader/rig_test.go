package uploader

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
	"example.org/mediamove/scanner"
)

// A rig is everything a sync needs: a tree, a ledger, and the stand-in for R2
// behind the real client.
type rig struct {
	t          *testing.T
	root       string
	state      string
	remote     *fixtures.Bucket
	meter      *costs.Meter
	policy     func(*Policy)
	plain      bool // in a bubble
	join       bool
	retry      bool
	gone       map[media.Key]bool
	disk       func(Disk) Disk // wraps the tree
	files      func(context.Context, *scanner.Tree) iter.Seq2[media.File, error]
	bucketHook func(Bucket) Bucket
	lost       []ledger.Doubt // restore these instead of walking
	named      func(ctx context.Context, k media.Key) error
	one        func() ledger.Candidate // send this instead of walking

	last *Uploader
}

func newRig(t *testing.T, o fixtures.Options) *rig {
	t.Helper()
	g := &rig{t: t, root: filepath.Join(t.TempDir(), "system"), state: t.TempDir(), remote: fixtures.NewBucket(o), meter: new(costs.Meter)}
	if err := os.MkdirAll(filepath.Join(g.root, "media_attachments", "files"), 0o755); err != nil {
		t.Fatal(err)
	}
	return g
}

// write makes a file that is a day old.
func (g *rig) write(key string, body []byte) {
	g.t.Helper()
	path := filepath.Join(g.root, key)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		g.t.Fatal(err)
	}
	if err := os.WriteFile(path, body, 0o644); err != nil {
		g.t.Fatal(err)
	}
	g.age(key, time.Now().Add(-24*time.Hour))
}

func (g *rig) age(key string, mtime time.Time) {
	g.t.Helper()
	if err := os.Chtimes(filepath.Join(g.root, key), mtime, mtime); err != nil {
		g.t.Fatal(err)
	}
}

func (g *rig) bucket() *r2.Bucket {
	g.t.Helper()
	b, err := r2.Open(r2.Config{
		Endpoint: fixtures.Endpoint, Bucket: g.remote.Name(), AccessKeyID: fixtures.AccessKey,
		SecretAccessKey: fixtures.Secret, Meter: g.meter, Transport: g.remote.Transport(),
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return b
}

// run is one sync with a run number of its own. The ledger is opened and closed
// as by a process.
func (g *rig) run(ctx context.Context) (c Counts, whole bool, err error) {
	g.t.Helper()
	tree, err := scanner.Open(g.root, scanner.Options{})
	if err != nil {
		g.t.Fatal(err)
	}
	defer func() { _ = tree.Close() }()
	led, err := ledger.Open(context.WithoutCancel(ctx), g.state, ledger.Options{})
	if err != nil {
		g.t.Fatal(err)
	}
	defer func() { err = errors.Join(err, led.Close()) }()
	began := time.Now()
	number, err := led.Begin(context.WithoutCancel(ctx), "sync", began)
	if err != nil {
		g.t.Fatal(err)
	}
	u := New(g.options(ctx, tree, led, number))
	u.plainMD5 = g.plain
	g.last = u
	files := tree.Files(ctx)
	if g.files != nil {
		files = g.files(ctx, tree)
	}
	candidates := led.Pending(ctx, files)
	if g.lost != nil {
		candidates = Lost(ctx, seq(g.lost), u.Disk, led)
	}
	if g.one != nil {
		candidates = seq([]ledger.Candidate{g.one()})
	}
	err = u.Run(ctx, candidates)
	whole, tops := u.Walk()
	if ferr := led.Flush(context.WithoutCancel(ctx)); ferr != nil {
		err = errors.Join(err, ferr)
	}
	if whole && err == nil && g.lost == nil && g.one == nil {
		err = led.SetWalk(ctx, ledger.Walk{Began: began, Run: number, Classes: tops})
	}
	return u.Stats().Counts, whole, err
}

func (g *rig) options(ctx context.Context, tree *scanner.Tree, led *ledger.Ledger, number int64) Options {
	last, err := led.LastWalk(context.WithoutCancel(ctx))
	if err != nil {
		g.t.Fatal(err)
	}
	p := DefaultPolicy(number)
	p.LastWalk = last.Began
	if g.policy != nil {
		g.policy(&p)
	}
	o := Options{Disk: tree, Bucket: g.bucket(), Journal: led, Parts: led, Policy: p, TempDir: g.state, Log: slog.New(slog.DiscardHandler), Retry: g.retry, Gone: g.gone, Named: g.named}
	if g.disk != nil {
		o.Disk = g.disk(tree)
	}
	if g.bucketHook != nil {
		o.Bucket = g.bucketHook(o.Bucket)
	}
	if g.join {
		if _, err := Enlist(ctx, g.bucket(), led); err != nil {
			g.t.Fatal(err)
		}
		o.Listing = led
	}
	return o
}

// seq yields all without an error.
func seq[T any](all []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, v := range all {
			if !yield(v, nil) {
				return
			}
		}
	}
}

// must runs to the end.
func (g *rig) must() Counts {
	g.t.Helper()
	c, whole, err := g.run(g.t.Context())
	if err != nil || !whole {
		g.t.Fatalf("whole %t, %+v: %v", whole, c, err)
	}
	return c
}

func (g *rig) finding(key string) ledger.Finding {
	g.t.Helper()
	led, err := ledger.OpenReader(g.t.Context(), g.state)
	if err != nil {
		g.t.Fatal(err)
	}
	defer func() { _ = led.Close() }()
	f, err := led.Finding(g.t.Context(), media.Key(key))
	if err != nil && !errors.Is(err, ledger.ErrUnknown) {
		g.t.Fatal(err)
	}
	return f
}

// body is what the bucket holds.
func (g *rig) body(key string) string {
	b, _ := g.remote.Body(key)
	return string(b)
}

func (g *rig) findings(kinds ...ledger.Kind) (all []ledger.Finding) {
	g.t.Helper()
	led, err := ledger.OpenReader(g.t.Context(), g.state)
	if err != nil {
		g.t.Fatal(err)
	}
	defer func() { _ = led.Close() }()
	for f, err := range led.Findings(g.t.Context(), kinds...) {
		if err != nil {
			g.t.Fatal(err)
		}
		all = append(all, f)
	}
	return all
}

// entry is what the ledger has of a key.
func (g *rig) entry(key string) (ledger.Entry, bool) {
	g.t.Helper()
	led, err := ledger.OpenReader(g.t.Context(), g.state)
	if err != nil {
		g.t.Fatal(err)
	}
	defer func() { _ = led.Close() }()
	e, err := led.Entry(g.t.Context(), media.Key(key))
	if err != nil && !errors.Is(err, ledger.ErrUnknown) {
		g.t.Fatal(err)
	}
	return e, err == nil
}
