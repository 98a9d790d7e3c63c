package cleanup_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// TestScan: of each kind one or more, over several pages.
func TestScan(t *testing.T) {
	t.Parallel()
	objects := avatars(2500)
	db, m := newDB(), newMarks()
	for i, o := range objects {
		if i%5 != 0 {
			db.put(o.Key, true)
		}
	}
	local := r2.Object{Key: "accounts/headers/000/000/003/original/a.png", Size: 3, ETag: "e", LastModified: noon.AddDate(0, 0, -7)}
	db.rows[media.Accounts][3] = media.Row{Class: media.Accounts, ID: 3, Files: []media.Filed{{Attachment: "headers"}, {Attachment: "avatars", Name: "a.png"}}}
	objects = append(objects,
		local, r2.Object{Key: "robots.txt", Size: 5}, r2.Object{Key: "backups/dumps/000/000/001/original/a.zip", Size: 7},
		r2.Object{Key: ".mediamove/owner.json", Size: 1000},
	)
	s := survey(listing{objects, -1}, db, m)
	var each []r2.Object
	s.Each = func(_ context.Context, o r2.Object) error { each = append(each, o); return nil }
	scan, err := s.Scan(t.Context())
	must(t, err)

	equal(t, each, objects)
	equal(t, s.Listed(), int64(len(objects)))
	group := func(kind ledger.SuspectKind, prefix, reason string) cleanup.Group {
		return cleanup.Group{Kind: kind, Prefix: prefix, Reason: reason}
	}
	equal(t, scan.Totals, map[cleanup.Group]cleanup.Sum{
		group("", "cache/accounts/avatars", ""):                                                   {Objects: 2000, Bytes: 20_000},
		group(ledger.Orphan, "cache/accounts/avatars", "row gone"):                                {Objects: 500, Bytes: 5000},
		group(ledger.Review, "accounts/headers", "attachment cleared"):                            {Objects: 1, Bytes: 3},
		group(ledger.Unknown, "", "not a path of Mastodon's"):                                     {Objects: 1, Bytes: 5},
		group(ledger.Unknown, "backups/dumps", "private: archives and imports are never touched"): {Objects: 1, Bytes: 7},
	})
	equal(t, scan.Classes, map[media.Class]cleanup.Sum{
		media.Accounts: {Objects: 2501, Bytes: 25_003}, media.Outside: {Objects: 1, Bytes: 5}, media.Backups: {Objects: 1, Bytes: 7},
	})
	equal(t, []any{scan.Run, scan.At, scan.All, scan.Owned}, []any{int64(3), noon, cleanup.Sum{Objects: 2503, Bytes: 25_015}, cleanup.Sum{Objects: 2000, Bytes: 20_000}})
	equal(t, []any{scan.Counts, scan.Newest, len(scan.Sample)}, []any{db.counts, noon, cleanup.ControlSize})

	equal(t, len(m.suspects), 503)
	equal(t, m.suspects[objects[5].Key], ledger.Suspect{
		Key: objects[5].Key, Kind: ledger.Orphan, Reason: "row gone", Size: 10, ETag: "e", Modified: noon.AddDate(0, 0, -7), LastRun: 3,
	})
	equal(t, m.suspects[local.Key].Kind, ledger.Review)
	if _, marked := m.suspects[objects[1].Key]; marked {
		t.Error("an owned object is marked")
	}
	equal(t, m.at, noon)
}

// TestScanAsksAfterListing: rows are younger than the objects that they are held against,
// and counts and the newest row younger than all.
func TestScanAsksAfterListing(t *testing.T) {
	t.Parallel()
	db, m := newDB(), newMarks()
	objects := avatars(3)
	lateRow := listing{objects, -1}
	s := survey(lateRow, db, m)
	s.Each = func(_ context.Context, o r2.Object) error {
		db.put(o.Key, true) // committed right after it was listed
		db.mu.Lock()
		defer db.mu.Unlock()
		db.counts["accounts"]++
		return nil
	}
	scan, err := s.Scan(t.Context())
	must(t, err)
	equal(t, []any{scan.Owned.Objects, len(m.suspects), scan.Counts["accounts"]}, []any{int64(3), 0, int64(10)})
}

// TestScanIsWhole: an error anywhere is an error of all, and no half a scan is told.
func TestScanIsWhole(t *testing.T) {
	t.Parallel()
	type script struct {
		lists     int // objects until the listing fails; -1: never
		db, marks map[string]int
		each      int
		cancel    int
		rows      bool // it is the database's fault
	}
	const objects = 4*4000 + 500 // five pages
	scripts := map[string]script{
		"Counts":          {lists: -1, db: map[string]int{"Counts": 1}, rows: true},
		"Newest":          {lists: -1, db: map[string]int{"Newest": 1}, rows: true},
		"Control":         {lists: -1, marks: map[string]int{"Control": 1}},
		"Each":            {lists: -1, each: objects},
		"at once":         {lists: 0},
		"at the very end": {lists: objects},
	}
	for k := 1; k <= 5; k++ {
		scripts[fmt.Sprint("page ", k)] = script{lists: 4000*(k-1) + 1}
		scripts[fmt.Sprint("Rows ", k)] = script{lists: -1, db: map[string]int{"Rows": k}, rows: true}
		scripts[fmt.Sprint("AddSuspects ", k)] = script{lists: -1, marks: map[string]int{"AddSuspects": k}}
		scripts[fmt.Sprint("Known ", k)] = script{lists: -1, marks: map[string]int{"Known": k}}
		scripts[fmt.Sprint("cancelled ", k)] = script{lists: -1, cancel: 3300 * k}
	}
	for name, tt := range scripts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			db, m := newDB(), newMarks()
			maps.Copy(db.fails, tt.db)
			maps.Copy(m.fails, tt.marks)
			list := avatars(objects)
			for i := range list { // so that every page is looked up
				list[i].LastModified = noon.Add(time.Duration(i-objects) * time.Second)
			}
			s := survey(listing{list, tt.lists}, db, m)
			n := 0
			s.Each = func(context.Context, r2.Object) error {
				if n++; n == tt.each {
					return errScripted
				}
				if n == tt.cancel {
					cancel(errScripted)
				}
				return nil
			}
			scan, err := s.Scan(ctx)
			if scan != nil || err == nil {
				t.Fatalf("%v, %v", scan, err)
			}
			if tt.cancel == 0 {
				wantIs(t, err, errScripted)
			}
			if tt.rows {
				wantIs(t, err, cleanup.ErrRows)
			}
		})
	}
}

// TestScanWithoutTable: an object of a class that this database has no table for is for a
// person, and ends no scan.
func TestScanWithoutTable(t *testing.T) {
	t.Parallel()
	db, m := newDB(), newMarks()
	delete(db.rows, media.PreviewCardProviders)
	k := media.Key("preview_card_providers/icons/000/000/001/original/a.png")
	objects := append(avatars(1), r2.Object{Key: k, LastModified: noon})
	_, err := survey(listing{objects, -1}, db, m).Scan(t.Context())
	wantIs(t, err, cleanup.ErrRows) // nobody said which there are
	s := survey(listing{objects, -1}, db, m)
	s.Classes = []media.Class{media.Accounts}
	scan, err := s.Scan(t.Context())
	must(t, err)
	equal(t, scan.All.Objects, int64(2))
	equal(t, m.suspects[k].Kind, ledger.Unknown)
	equal(t, m.suspects[avatar(1)].Kind, ledger.Orphan)
}

// TestScanControl: of what an earlier run knew as owned, what is listed, and what of it
// nobody owns.
func TestScanControl(t *testing.T) {
	t.Parallel()
	db, m := newDB(), newMarks()
	objects := avatars(1500)
	for i, o := range objects {
		if i >= 40 {
			db.put(o.Key, true)
		}
	}
	for i := 20; i < 320; i++ {
		m.control = append(m.control, avatar(int64(i+1)))
	}
	m.control = append(m.control, avatar(9999), "robots.txt")
	m.run = 2
	scan, err := survey(listing{objects, -1}, db, m).Scan(t.Context())
	must(t, err)
	c := scan.Control
	if !slices.Contains(m.control[:20], c.Example) {
		t.Errorf("example %q", c.Example)
	}
	c.Example = ""
	equal(t, c, cleanup.Control{Run: 2, Known: 302, Listed: 300, Orphans: 20})
	equal(t, m.before, noon.Add(-20*time.Hour))
}
