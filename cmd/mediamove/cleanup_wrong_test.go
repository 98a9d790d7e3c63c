package main

import (
	"fmt"
	"testing"
	"time"

	"example.org/mediamove/fixtures"
	"example.org/mediamove/fixtures/pgtest"
)

// A wrongDatabase has the right one's identity: the same server, name and domain.
type wrongDatabase struct {
	name, reason string
	spoil        func(l *living, db pgtest.Instance)
	early        bool // copied when the night before began
}

// weekAgo takes what came in the last week out of db.
func weekAgo(l *living, db pgtest.Instance) {
	l.t.Helper()
	id := l.now().Add(-7*24*time.Hour).UnixMilli() << 16
	db.Exec(l.t, fmt.Sprintf("DELETE FROM media_attachments WHERE id > %d; DELETE FROM favourites; DELETE FROM bookmarks; DELETE FROM statuses WHERE id > %d", id, id))
}

func wrongDatabases() []wrongDatabase {
	return []wrongDatabase{
		{"restored from a week ago, and alive", `guard "newest objects"`, func(l *living, db pgtest.Instance) {
			weekAgo(l, db)
			l.status(db)
		}, false},
		{"restored from a week ago, and Mastodon writes", `guard "positive control"`, func(l *living, db pgtest.Instance) {
			weekAgo(l, db)
			l.status(db)
			l.posts(db, 25, time.Hour)
		}, false},
		{"restored from a week ago, standing still", `guard "fresh"`, weekAgo, false},
		{"an old clone that stands still", `guard "fresh"`, func(*living, pgtest.Instance) {}, true},
		{"no rows", "has no statuses, accounts or attachments", func(l *living, db pgtest.Instance) {
			db.Exec(l.t, "TRUNCATE accounts, media_attachments, statuses, custom_emojis, preview_cards, site_uploads, backups CASCADE")
		}, false},
		{"half of the attachments", `guard "positive control"`, func(l *living, db pgtest.Instance) {
			l.status(db)
			db.Exec(l.t, "DELETE FROM media_attachments WHERE id % 2 = 0 AND id < (SELECT max(id) FROM statuses) - 400 * 3600000::bigint * 65536")
		}, false},
		{"half of the emoji", `guard "positive control"`, func(l *living, db pgtest.Instance) {
			l.status(db)
			db.Exec(l.t, "DELETE FROM custom_emojis WHERE id % 2 = 0")
		}, false},
		{"rows without files", `guard "row counts": table preview_cards`, func(l *living, db pgtest.Instance) {
			l.status(db)
			db.Exec(l.t, "DELETE FROM preview_cards_statuses; DELETE FROM preview_cards WHERE image_file_name IS NULL")
		}, false},
		{"a newer Mastodon's attachment", "banner_file_name", func(l *living, db pgtest.Instance) {
			l.status(db)
			db.Exec(l.t, "ALTER TABLE accounts ADD COLUMN banner_file_name varchar")
		}, false},
		{"a table that was renamed", "table custom_emojis", func(l *living, db pgtest.Instance) {
			l.status(db)
			db.Exec(l.t, "ALTER TABLE custom_emojis RENAME TO emojis")
		}, false},
	}
}

// A database that is not the live one, behind the settings of the live one: nothing is
// removed, whatever it says, and it leaves nothing behind that the right one suffers from.
func TestWrongDatabase(t *testing.T) {
	t.Parallel()
	l := newBound(t, databases.Cluster(t), 11, fixtures.Options{})
	want := l.removable()
	for i, tt := range wrongDatabases() {
		db := l.copyOf(fmt.Sprintf("wrong%d", i))
		if tt.early {
			l.night()
			l.posts(l.db, 10, time.Hour)
		}
		tt.spoil(l, db)
		l.instead(db, func() { l.refusedBy(tt.name, tt.reason) })
		l.alive()
		l.well(tt.name, len(want))
	}
	l.removes(want)
}
