package verify

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
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

// A fataler is a test or a rapid check.
type fataler interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// A rig is an instance with all three sides, real ones but for the network.
type rig struct {
	t      fataler
	root   string
	dir    string
	bucket *fixtures.Bucket
	r2     *r2.Bucket
	ledger *ledger.Ledger
	meter  costs.Meter
	run    int64
}

func newRig(t fataler, dir string) *rig {
	t.Helper()
	g := &rig{t: t, root: filepath.Join(dir, "system"), dir: filepath.Join(dir, "state"), bucket: fixtures.NewBucket(fixtures.Options{})}
	for _, class := range []string{"media_attachments/files", "accounts/avatars"} {
		g.must(os.MkdirAll(filepath.Join(g.root, class), 0o755))
	}
	var err error
	g.ledger, err = ledger.Open(context.Background(), g.dir, ledger.Options{})
	g.must(err)
	g.r2, err = r2.Open(r2.Config{
		Endpoint: fixtures.Endpoint, Bucket: fixtures.Name, AccessKeyID: fixtures.AccessKey, SecretAccessKey: fixtures.Secret,
		ACL: new(""), Meter: &g.meter, Transport: g.bucket.Transport(),
	})
	g.must(err)
	g.run, err = g.ledger.Begin(context.Background(), "verify", time.Now())
	g.must(err)
	return g
}

func (g *rig) close() {
	g.t.Helper()
	g.must(g.ledger.Close())
	g.r2.Close()
}

func (g *rig) must(err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
}

// file writes a file and returns how the scanner will see it.
func (g *rig) file(k media.Key, body string, mode os.FileMode) media.File {
	g.t.Helper()
	path := filepath.Join(g.root, string(k))
	g.must(os.MkdirAll(filepath.Dir(path), 0o755))
	g.must(os.WriteFile(path, []byte(body), 0o644))
	g.must(os.Chmod(path, mode))
	old := time.Now().Add(-time.Hour).Truncate(time.Second)
	g.must(os.Chtimes(path, old, old))
	tree, err := scanner.Open(g.root, scanner.Options{})
	g.must(err)
	defer tree.Close()
	f, err := tree.Stat(k)
	g.must(err)
	return f
}

// record stores that body was moved, from a file as it was seen then.
func (g *rig) record(f media.File, body string) {
	g.t.Helper()
	sum := md5.Sum([]byte(body))
	f.Size = int64(len(body))
	g.must(g.ledger.Store(context.Background(), ledger.Entry{
		File: f, MD5: sum, SHA256: sha256.Sum256([]byte(body)), ETag: hex.EncodeToString(sum[:]), Run: g.run - 1, At: time.Now().Add(-time.Minute),
	}))
}

// object plants an object of that age.
func (g *rig) object(k media.Key, body string, age time.Duration) {
	contentType, _ := media.ContentType(k, nil)
	g.bucket.Plant(fixtures.Object{Key: string(k), ContentType: contentType, CacheControl: media.CacheControl, LastModified: time.Now().Add(-age)}, []byte(body))
}

// remove is a cleanup run that removes the object under k.
func (g *rig) remove(k media.Key) (run int64) {
	g.t.Helper()
	ctx := context.Background()
	run, err := g.ledger.Begin(ctx, "orphans", time.Now())
	g.must(err)
	r := []ledger.Removal{{Run: run, Key: k, Policy: "orphans", Reason: "row gone", ETag: "e", State: ledger.RemovalIntent, Intended: time.Now()}}
	g.must(g.ledger.Intend(ctx, r))
	r[0].State, r[0].Ended = ledger.RemovalRemoved, time.Now()
	g.must(g.ledger.EndRemovals(ctx, r))
	g.bucket.Delete(string(k))
	return run
}

// verifier compares with the disk or without.
func (g *rig) verifier(p Policy, withDisk bool) *Verifier {
	g.t.Helper()
	g.must(g.ledger.Flush(context.Background()))
	p.Run = g.run
	o := Options{
		Bucket: g.r2, Records: g.ledger, Remarks: g.ledger, Notes: g.ledger, Doubts: g.ledger, Journal: g.ledger, Removals: g.ledger, Policy: p, Wait: time.Millisecond,
		Scratch: func(ctx context.Context) (Scratch, error) { return ledger.NewScratch(ctx, g.dir) },
	}
	if withDisk {
		tree, err := scanner.Open(g.root, scanner.Options{})
		g.must(err)
		if t, ok := g.t.(*testing.T); ok {
			t.Cleanup(func() { _ = tree.Close() })
		}
		o.Disk = tree
	}
	return New(o)
}
