package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

// some picks a row of the cache that names a file, from the ones that go next.
const someRow = `SELECT id, status_id FROM media_attachments WHERE remote_url <> '' AND file_file_name IS NOT NULL AND status_id IS NOT NULL AND account_id IS NOT NULL
	ORDER BY date_trunc('week', created_at), file_file_size + COALESCE(thumbnail_file_size, 0) DESC OFFSET $1 LIMIT 1`

func (v *village) favourite(ctx context.Context) error {
	return v.touch(ctx, "INSERT INTO favourites (account_id, status_id, created_at, updated_at) VALUES ($1, $2, now(), now()) ON CONFLICT DO NOTHING")
}

func (v *village) bookmark(ctx context.Context) error {
	return v.touch(ctx, "INSERT INTO bookmarks (account_id, status_id, created_at, updated_at) VALUES ($1, $2, now(), now()) ON CONFLICT DO NOTHING")
}

// touch commits, and then looks: what still names a file now must keep it.
func (v *village) touch(ctx context.Context, sql string) error {
	var id, status int64
	if err := v.conn.QueryRow(ctx, someRow, v.dice.IntN(60)).Scan(&id, &status); err != nil {
		return err
	}
	if _, err := v.conn.Exec(ctx, sql, v.local, status); err != nil {
		return err
	}
	rows, err := v.conn.Query(ctx, "SELECT id, concat(file_file_name, '|', thumbnail_file_name) FROM media_attachments WHERE status_id = $1 AND file_file_name IS NOT NULL", status)
	if err != nil {
		return err
	}
	defer rows.Close()
	v.mu.Lock()
	defer v.mu.Unlock()
	for rows.Next() {
		var names string
		if err := rows.Scan(&id, &names); err != nil {
			return err
		}
		v.touched[id] = names
	}
	return rows.Err()
}

// refetch is somebody who looks at what was cleared: under a new name, as of now. The
// object comes first, and the row then, as the media proxy does it.
func (v *village) refetch(ctx context.Context) error {
	var id int64
	err := v.conn.QueryRow(ctx, `SELECT id FROM media_attachments WHERE remote_url <> '' AND file_file_name IS NULL AND status_id IS NOT NULL AND account_id IS NOT NULL
		ORDER BY random() LIMIT 1`).Scan(&id)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%016x.png", v.dice.Uint64())
	for _, style := range []string{"original", "small"} {
		k := media.Path{Cached: true, Class: media.MediaAttachments, Attachment: "files", ID: id, Style: style, Name: name}.Key()
		v.bucket.Plant(objectAt(string(k), v.now()), []byte("again"))
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.touched, id) // its old objects are nobody's now
	_, err = v.conn.Exec(ctx, `UPDATE media_attachments SET file_file_name = $2, file_content_type = 'image/png', file_file_size = 5, file_updated_at = $3,
		file_storage_schema_version = 1, created_at = $3, updated_at = $3 WHERE id = $1`, id, name, v.now().UTC())
	return err
}

// remove deletes a post's file: its objects, and then its row.
func (v *village) remove(ctx context.Context) error {
	if v.dice.IntN(4) > 0 {
		return nil
	}
	var id, status int64
	if err := v.conn.QueryRow(ctx, someRow, v.dice.IntN(60)).Scan(&id, &status); err != nil {
		return err
	}
	tx, err := v.conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(ctx) }()
	if _, err := tx.Exec(ctx, "SELECT 1 FROM media_attachments WHERE id = $1 FOR UPDATE", id); err != nil {
		return err
	}
	v.mu.Lock()
	delete(v.touched, id)
	v.mu.Unlock()
	for k := range v.stands() {
		if p, err := media.Parse(media.Key(k)); err == nil && p.Class == media.MediaAttachments && p.ID == id {
			v.bucket.Delete(k)
		}
	}
	if _, err := tx.Exec(ctx, "DELETE FROM media_attachments WHERE id = $1", id); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

// curtain: the people have gone to bed. One run ends it all, the next does nothing.
func (v *village) curtain() {
	v.t.Helper()
	budget := sum(v.stands()) - 3000
	args := []string{"prune", "--apply", "--json", "--budget", sizeFlag(budget), "--target", sizeFlag(budget), "--allow-share", "100"}
	v.slayer.mu.Lock()
	v.process = nil
	v.slayer.mu.Unlock()
	v.later(time.Hour)
	v.alive()
	for run := range 2 {
		r := v.clean(args...)
		if r.code != exitOK && r.code != exitLeft || r.code == exitLeft && !strings.Contains(r.stdout, `"orphans_over": true`) {
			v.t.Fatal(r)
		}
		if run == 1 && (!strings.Contains(r.stdout, `"rows_cleared": 0`) || !strings.Contains(r.stdout, `"removed": {
    "objects": 0`)) {
			v.t.Errorf("the second run: %v", r)
		}
	}
	v.whole()
	led := v.reader()
	defer led.Close()
	for c, err := range led.Clearings(v.t.Context(), ledger.ClearingQuery{}) {
		if err != nil || c.State == ledger.ClearIntent || c.State == ledger.ClearCleared {
			v.t.Errorf("left open: %+v, %v", c, err)
		}
	}
	for r, err := range led.Removals(v.t.Context(), ledger.RemovalQuery{State: ledger.RemovalIntent}) {
		v.t.Errorf("left open: %+v, %v", r, err)
	}
	lost := 0
	for id := range v.touched {
		var file *string
		v.each("SELECT file_file_name FROM media_attachments WHERE id = $1", []any{id}, []any{&file}, func() {
			if c := lastClearing(v.t, led, id); file == nil && c.State != "" && c.State != ledger.ClearSkipped { // else it was Mastodon's own vacuum
				lost++
				v.t.Errorf("row %d was touched and names no file: %+v", id, c)
			}
		})
	}
	v.t.Logf("%d objects went, %d rows were touched in time, %d lost", v.deleted, len(v.touched), lost)
	if v.deleted < 50 || len(v.touched) < 20 {
		v.t.Error("the test tests too little")
	}
}

func lastClearing(t *testing.T, led *ledger.Ledger, id int64) (last ledger.Clearing) {
	t.Helper()
	for c, err := range led.Clearings(t.Context(), ledger.ClearingQuery{Class: media.MediaAttachments, RowID: id}) {
		if err != nil {
			t.Fatal(err)
		}
		last = c
	}
	return last
}
