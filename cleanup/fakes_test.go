package cleanup_test

import (
	"context"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// A listing is a bucket that can only be listed. It fails after so many objects.
type listing struct {
	objects []r2.Object
	fails   int // -1: never
}

func (l listing) List(ctx context.Context, _ string) iter.Seq2[r2.Object, error] {
	return func(yield func(r2.Object, error) bool) {
		for i, o := range l.objects {
			if i == l.fails || ctx.Err() != nil {
				break
			}
			if !yield(o, nil) {
				return
			}
		}
		switch {
		case ctx.Err() != nil:
			yield(r2.Object{}, context.Cause(ctx))
		case l.fails >= 0 && l.fails <= len(l.objects):
			yield(r2.Object{}, errScripted)
		}
	}
}

// A memoryDB is an instance's database in memory.
type memoryDB struct {
	mu     sync.Mutex
	rows   mastodon.Rows // the classes that have a table
	counts map[string]int64
	newest time.Time
	asked  int
	fails  map[string]int // the nth call of a method fails; 0: none
	calls  map[string]int
	before func(ids map[media.Class][]int64) // told of every question
}

func newDB(rows ...media.Row) *memoryDB {
	db := &memoryDB{rows: mastodon.Rows{}, counts: map[string]int64{"accounts": 7}, newest: noon, fails: map[string]int{}, calls: map[string]int{}}
	for _, c := range []media.Class{
		media.MediaAttachments, media.Accounts, media.CustomEmojis, media.PreviewCards, media.PreviewCardProviders, media.SiteUploads,
	} {
		db.rows[c] = map[int64]media.Row{}
	}
	for _, r := range rows {
		db.rows[r.Class][r.ID] = r
	}
	return db
}

func (db *memoryDB) fail(ctx context.Context, method string) error {
	db.calls[method]++
	if db.calls[method] == db.fails[method] {
		return errScripted
	}
	return ctx.Err()
}

// Rows is as strict as the real one: a class without a table is an error.
func (db *memoryDB) Rows(ctx context.Context, ids map[media.Class][]int64) (mastodon.Rows, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.before != nil {
		db.before(ids)
	}
	if err := db.fail(ctx, "Rows"); err != nil {
		return nil, err
	}
	rows := mastodon.Rows{}
	for c, list := range ids {
		table, ok := db.rows[c]
		if !ok {
			return nil, errNoTable
		}
		rows[c] = map[int64]media.Row{}
		for _, id := range list {
			db.asked++
			if r, ok := table[id]; ok {
				rows[c][id] = r
			}
		}
	}
	return rows, nil
}

func (db *memoryDB) Counts(ctx context.Context) (map[string]int64, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	return maps.Clone(db.counts), db.fail(ctx, "Counts")
}

func (db *memoryDB) Newest(ctx context.Context) (time.Time, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.newest, db.fail(ctx, "Newest")
}

// put adds a row that owns k.
func (db *memoryDB) put(k media.Key, remote bool) {
	p, err := media.Parse(k)
	if err != nil {
		panic(err)
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	db.rows[p.Class][p.ID] = media.Row{Class: p.Class, ID: p.ID, Remote: remote, Files: []media.Filed{{Attachment: p.Attachment, Name: p.Name}}}
}

// Marks in memory.
type marks struct {
	mu       sync.Mutex
	suspects map[media.Key]ledger.Suspect
	at       time.Time
	known    map[media.Key]string
	run      int64
	control  []media.Key
	before   time.Time // that Control was asked for
	fails    map[string]int
	calls    map[string]int
}

func newMarks() *marks {
	return &marks{suspects: map[media.Key]ledger.Suspect{}, known: map[media.Key]string{}, fails: map[string]int{}, calls: map[string]int{}}
}

func (m *marks) fail(ctx context.Context, method string) error {
	m.calls[method]++
	if m.calls[method] == m.fails[method] {
		return errScripted
	}
	return ctx.Err()
}

func (m *marks) AddSuspects(ctx context.Context, run int64, at time.Time, s []ledger.Suspect) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at = at
	for _, v := range s {
		v.LastRun = run
		m.suspects[v.Key] = v
	}
	return m.fail(ctx, "AddSuspects")
}

func (m *marks) Known(ctx context.Context, keys []media.Key) (map[media.Key]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := map[media.Key]string{}
	for _, k := range keys {
		if etag, ok := m.known[k]; ok {
			known[k] = etag
		}
	}
	return known, m.fail(ctx, "Known")
}

func (m *marks) Control(ctx context.Context, before time.Time) (int64, []media.Key, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.before = before
	return m.run, slices.Clone(m.control), m.fail(ctx, "Control")
}

// avatar is the key of account id's avatar.
func avatar(id int64) media.Key {
	return media.Path{Cached: true, Class: media.Accounts, Attachment: "avatars", ID: id, Style: "original", Name: "a.png"}.Key()
}

// avatars are objects of the accounts 1 to n, a week old, 10 bytes each.
func avatars(n int) []r2.Object {
	list := make([]r2.Object, n)
	for i := range list {
		list[i] = r2.Object{Key: avatar(int64(i + 1)), Size: 10, ETag: "e", LastModified: noon.AddDate(0, 0, -7)}
	}
	return list
}

func survey(l cleanup.Lister, db *memoryDB, m *marks) *cleanup.Survey {
	return &cleanup.Survey{Bucket: l, Instance: db, Marks: m, Run: 3, Now: func() time.Time { return noon }}
}
