package cleanup_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"testing"
	"time"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// A rowDB is a table whose rows can be cleared. It writes down what is asked of it.
type rowDB struct {
	names   map[int64]string
	touched map[int64]bool
	steps   []string
	fail    string // the step that fails
	silent  bool   // the failed step happens all the same
}

func (d *rowDB) step(what string) error {
	d.steps = append(d.steps, what)
	if what == d.fail {
		return errScripted
	}
	return nil
}

func (d *rowDB) Snapshot(_ context.Context, ids map[media.Class][]int64) (out []mastodon.Cleared, err error) {
	for _, id := range slices.Sorted(slices.Values(ids[media.MediaAttachments])) {
		name, ok := d.names[id]
		if !ok {
			continue
		}
		columns, _ := json.Marshal(map[string]string{"file_file_name": name})
		row, _ := mastodon.RowOf(media.MediaAttachments, id, columns)
		out = append(out, mastodon.Cleared{ID: id, Class: media.MediaAttachments, Row: row, Columns: columns})
	}
	return out, d.step("snapshot")
}

func (d *rowDB) Clear(_ context.Context, _ mastodon.PruneRule, _ media.Class, rows []mastodon.Cleared) (ids []int64, err error) {
	err = d.step("clear")
	for _, r := range rows {
		if (err == nil || d.silent) && !d.touched[r.ID] && d.names[r.ID] == r.Row.Files[0].Name {
			d.names[r.ID] = ""
			ids = append(ids, r.ID)
		}
	}
	return ids, err
}

func (d *rowDB) Touched(_ context.Context, ids []int64) (out []int64, err error) {
	for _, id := range ids {
		if d.touched[id] {
			out = append(out, id)
		}
	}
	return out, d.step("touched")
}

func (d *rowDB) Restore(_ context.Context, c mastodon.Cleared) (bool, error) {
	if d.names[c.ID] != "" {
		return false, d.step("restore")
	}
	d.names[c.ID] = c.Row.Files[0].Name
	return true, d.step("restore")
}

// Rows are what the last look before a deletion asks.
func (d *rowDB) Rows(_ context.Context, ids map[media.Class][]int64) (mastodon.Rows, error) {
	rows := mastodon.Rows{media.MediaAttachments: {}}
	for _, id := range ids[media.MediaAttachments] {
		if name, ok := d.names[id]; ok {
			rows[media.MediaAttachments][id] = media.Row{Class: media.MediaAttachments, ID: id, Remote: true, Files: []media.Filed{{Attachment: "files", Name: name}}}
		}
	}
	return rows, d.step("rows")
}

// A fakeBucket has only deletions.
type fakeBucket struct {
	db      *rowDB
	deleted map[media.Key]bool
	refuses media.Key
}

func (b *fakeBucket) Delete(_ context.Context, k media.Key) error {
	if err := b.db.step("delete"); err != nil {
		return err
	}
	if k == b.refuses {
		return &r2.Error{Status: 403, Err: errScripted}
	}
	b.deleted[k] = true
	return nil
}

func (b *fakeBucket) DeleteBatch(ctx context.Context, keys []media.Key) ([]error, error) {
	out := make([]error, len(keys))
	for i, k := range keys {
		out[i] = b.Delete(ctx, k)
	}
	return out, nil
}

func (b *fakeBucket) Head(_ context.Context, k media.Key) (r2.Head, error) {
	if b.deleted[k] {
		return r2.Head{}, r2.ErrNotFound
	}
	return r2.Head{Object: r2.Object{ETag: "e", Size: 5}}, nil
}

// A pruneRig is a pruner with a real journal.
type pruneRig struct {
	t      *testing.T
	db     *rowDB
	bucket *fakeBucket
	ledger *ledger.Ledger
	now    time.Time
	slept  time.Duration
	run    int64
}

func newPruneRig(t *testing.T, rows int) *pruneRig {
	t.Helper()
	g := &pruneRig{t: t, db: &rowDB{names: map[int64]string{}, touched: map[int64]bool{}}, now: noon}
	g.bucket = &fakeBucket{db: g.db, deleted: map[media.Key]bool{}}
	for id := range int64(rows) {
		g.db.names[id+1] = fmt.Sprintf("%d.png", id+1)
	}
	var err error
	g.ledger, err = ledger.Open(t.Context(), t.TempDir(), ledger.Options{})
	must(t, err)
	t.Cleanup(func() { _ = g.ledger.Close() })
	return g
}

func attachment(id int64) media.Key {
	return media.Path{Cached: true, Class: media.MediaAttachments, Attachment: "files", ID: id, Style: "original", Name: fmt.Sprintf("%d.png", id)}.Key()
}

func (g *pruneRig) prunables(ids ...int64) iter.Seq2[cleanup.Prunable, error] {
	return func(yield func(cleanup.Prunable, error) bool) {
		for _, id := range ids {
			p := cleanup.Prunable{Class: media.MediaAttachments, ID: id, Objects: []ledger.ListedObject{{Key: attachment(id), Size: 5, ETag: "e", LastModified: noon}}}
			if !yield(p, nil) {
				return
			}
		}
	}
}

func (g *pruneRig) pruner() *cleanup.Pruner {
	g.run++
	c := &cleanup.Cleaner{
		Bucket: g.bucket, Rows: g.db, Journal: g.ledger, Run: g.run, Policy: cleanup.PrunePolicy, Refetchable: true,
		Now: func() time.Time { return g.now }, Log: slog.New(slog.DiscardHandler), Raise: func(context.Context) error { return g.db.step("raise") },
	}
	return &cleanup.Pruner{
		Rows: g.db, Past: g.db, Journal: g.ledger, Opened: g.ledger, Cleaner: c, Wait: cleanup.CacheLife,
		Sleep: func(_ context.Context, d time.Duration) error {
			g.slept += d // the server's clock is not heard of meanwhile
			return g.db.step("sleep")
		},
	}
}

// prune is one run over rows, and what earlier ones left.
func (g *pruneRig) prune(left []int64, ids ...int64) error {
	p := g.pruner()
	if _, err := p.Settle(g.t.Context()); err != nil {
		return err
	}
	if err := p.Apply(g.t.Context(), g.prunables(ids...)); err != nil {
		return err
	}
	var leftovers []cleanup.Candidate
	for _, id := range left {
		leftovers = append(leftovers, cleanup.Candidate{Key: attachment(id), Size: 5, ETag: "e", Modified: noon})
	}
	return p.Remove(g.t.Context(), each(leftovers, nil), g.prunables(ids...))
}

func (g *pruneRig) states() map[int64]ledger.ClearState {
	g.t.Helper()
	m := map[int64]ledger.ClearState{}
	for c, err := range g.ledger.Clearings(g.t.Context(), ledger.ClearingQuery{}) {
		must(g.t, err)
		m[c.RowID] = c.State
	}
	return m
}

// gone are the rows whose objects went.
func (g *pruneRig) gone() (ids []int64) {
	for k := range g.bucket.deleted {
		p, _ := media.Parse(k)
		ids = append(ids, p.ID)
	}
	return slices.Sorted(slices.Values(ids))
}
