package mastodon_test

import (
	"context"
	"errors"
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"example.org/mediamove/fixtures/pgtest"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
)

// testPrune is run for every version, once the roles of docs/grants.sql are there.
func testPrune(t *testing.T, in pgtest.Instance) {
	c := newCache(t, in)
	t.Run("every reason", func(t *testing.T) { everyReason(t, c) })
	t.Run("all combinations", func(t *testing.T) { combinations(t, c) })
	t.Run("lost", func(t *testing.T) { testLost(t, c) })
	t.Run("cards", func(t *testing.T) { cardsFate(t, in) })
	if in.Version == "4.6" {
		t.Run("restored", func(t *testing.T) { restored(t, in) })
	}
	t.Run("read only", func(t *testing.T) {
		d := open(t, in.With(map[string]string{"DB_USER": "mediamove_read"}))
		id, err := c.add(t.Context(), old())
		if err != nil {
			t.Fatal(err)
		}
		rows, err := d.Snapshot(t.Context(), attachments(id))
		if err != nil || len(rows) != 1 {
			t.Fatal(rows, err)
		}
		_, err = d.Clear(t.Context(), pruneRule, media.MediaAttachments, rows)
		if de, ok := errors.AsType[*mastodon.DatabaseError](err); !ok || de.Hint == "" {
			t.Errorf("the reading role clears: %v", err)
		}
	})
}

// everyReason is one row for each of them, and one beside that may go.
func everyReason(t *testing.T, c *cache) {
	changed := func(change func(*copied)) copied {
		x := old()
		change(&x)
		return x
	}
	want := map[int64]mastodon.Fate{}
	seen := map[mastodon.Keep]bool{}
	try := func(keep mastodon.Keep, x copied) {
		t.Helper()
		id, err := c.add(t.Context(), x)
		if err != nil {
			t.Fatal(err)
		}
		want[id] = mastodon.Fate{ID: id, Class: media.MediaAttachments, Since: pruneRule.Before.Add(x.created), Bytes: math.MaxInt32 + 10, Keep: keep}
		if seen[keep] = true; x.fate() != keep {
			t.Errorf("%+v: the oracle says %q", x, x.fate())
		}
	}
	try("", old())
	try("", changed(func(x *copied) { x.processing = -1 }))
	try("", changed(func(x *copied) { x.account = "spared" }))
	try("", changed(func(x *copied) { x.account = "beside blocked" }))
	for _, touch := range touches {
		if touch.keep != mastodon.KeepQuoted || c.Version >= "4.4" {
			try(touch.keep, changed(func(x *copied) { x.touches = []string{touch.name} }))
		}
	}
	for _, processing := range []int{0, 1, 3} {
		try(mastodon.KeepProcessing, changed(func(x *copied) { x.processing = processing }))
	}
	for _, account := range []string{"", "here"} {
		try(mastodon.KeepLocal, changed(func(x *copied) { x.account = account }))
	}
	for _, account := range []string{"blocked", "below blocked"} {
		try(mastodon.KeepUnfetchable, changed(func(x *copied) { x.account = account }))
	}
	for _, account := range []string{"dead", "dead host"} {
		try(mastodon.KeepOriginGone, changed(func(x *copied) { x.account = account }))
	}
	try(mastodon.KeepLocal, changed(func(x *copied) { x.remoteURL = "" }))
	try(mastodon.KeepLocal, changed(func(x *copied) { x.remoteURL = " \n" }))
	try(mastodon.KeepNoFile, changed(func(x *copied) { x.file = "-" }))
	try(mastodon.KeepUnfetchable, changed(func(x *copied) { x.post = "" }))
	try(mastodon.KeepYoung, changed(func(x *copied) { x.created = 0 }))
	try(mastodon.KeepYoung, changed(func(x *copied) { x.updated = 0 }))
	try(mastodon.KeepOriginGone, changed(func(x *copied) { x.remoteURL = "https://dead.example/a.png" }))
	try(mastodon.KeepDiscarded, changed(func(x *copied) { x.post = "discarded" }))
	try(mastodon.KeepSuspended, changed(func(x *copied) { x.account = "suspended" }))
	if all := 16; len(seen) != all && c.Version >= "4.4" {
		t.Errorf("%d reasons of %d", len(seen), all)
	}
	ids := append(slices.Collect(maps.Keys(want)), 5, 5, 987) // two that have no row
	slices.Sort(ids)
	for _, role := range []string{pgtest.Owner, "mediamove_read", "mediamove_prune"} {
		d := open(t, c.With(map[string]string{"DB_USER": role}))
		got, err := d.Fates(t.Context(), pruneRule, attachments(append(ids, ids...)...))
		if diff := cmp.Diff(map[media.Class]map[int64]mastodon.Fate{media.MediaAttachments: want}, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", role, err, diff)
		}
	}
	nothing, err := open(t, c.Instance).Fates(t.Context(), mastodon.PruneRule{}, attachments(ids...))
	for id, f := range nothing[media.MediaAttachments] {
		if f.Keep == "" || err != nil {
			t.Errorf("a rule without a time lets %d go", id)
		}
	}
}

// combinations: whatever a row is, what is said of it is what the oracle says, and
// exactly those that may go are cleared, whoever asks for all of them.
func combinations(t *testing.T, c *cache) {
	owner, prune := open(t, c.Instance), open(t, c.With(map[string]string{"DB_USER": "mediamove_prune"}))
	rapid.Check(t, func(rt *rapid.T) {
		d := owner
		if rapid.Bool().Draw(rt, "role") {
			d = prune
		}
		ctx, want, free := t.Context(), map[int64]mastodon.Keep{}, []int64{}
		for range 12 {
			x := draws(rt, c.Version)
			id, err := c.add(ctx, x)
			if err != nil {
				rt.Fatal(err)
			}
			if want[id] = x.fate(); want[id] == "" {
				free = append(free, id)
			}
		}
		ids := slices.Sorted(maps.Keys(want))
		fates, err := d.Fates(ctx, pruneRule, attachments(ids...))
		got := map[int64]mastodon.Keep{}
		for id, f := range fates[media.MediaAttachments] {
			got[id] = f.Keep
		}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			rt.Fatalf("%v\n%s", err, diff)
		}
		before := everything(rt, c.conn, ids)
		rows, err := d.Snapshot(ctx, attachments(ids...))
		if err != nil || len(rows) != len(ids) {
			rt.Fatal(rows, err)
		}
		cleared, err := d.Clear(ctx, pruneRule, media.MediaAttachments, rows)
		if slices.Sort(cleared); err != nil || !slices.Equal(cleared, free) {
			rt.Fatalf("cleared %v of %v, %v", cleared, free, err)
		}
		for i, now := range everything(rt, c.conn, ids) {
			if changed := maps.Equal(now, before[i]); changed == slices.Contains(free, ids[i]) {
				rt.Fatalf("%v was %v", now, before[i])
			}
		}
	})
}

// everything is the text of every column of these rows, in order.
func everything(t interface{ Fatal(...any) }, conn *pgx.Conn, ids []int64) []map[string]string {
	rows, err := conn.Query(context.Background(), "SELECT (SELECT json_object_agg(key, COALESCE(value, 'NULL')) FROM jsonb_each_text(to_jsonb(m))) FROM media_attachments m WHERE id = ANY ($1) ORDER BY id", ids)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[map[string]string])
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func cardsFate(t *testing.T, in pgtest.Instance) {
	before := pruneRule.CardsBefore
	in.Exec(t, `INSERT INTO preview_cards (id, url, image_file_name, image_content_type, image_file_size, created_at, updated_at) VALUES
		(2001, '2001', 'a.png', 'image/png', 5, now(), $1), (2002, '2002', 'a.png', 'image/png', 5, '2020-01-01', $2),
		(2003, '2003', NULL, NULL, NULL, now(), $1), (2004, '2004', '', NULL, 3, now(), $1), (2005, '2005', 'a.png', 'image/png', 5, now(), $1)`,
		before.Add(-time.Microsecond), before)
	d := open(t, in.With(map[string]string{"DB_USER": "mediamove_prune"}))
	fate := func(id, bytes int64, since time.Time, keep mastodon.Keep) mastodon.Fate {
		return mastodon.Fate{ID: id, Class: media.PreviewCards, Since: since, Bytes: bytes, Keep: keep}
	}
	old := before.Add(-time.Microsecond)
	ids := map[media.Class][]int64{media.PreviewCards: {2001, 2002, 2003, 2004, 2005, 2006}, media.MediaAttachments: {}}
	got, err := d.Fates(t.Context(), pruneRule, ids)
	want := map[media.Class]map[int64]mastodon.Fate{media.MediaAttachments: {}, media.PreviewCards: {
		2001: fate(2001, 5, old, ""), 2002: fate(2002, 5, before, mastodon.KeepYoung), 2003: fate(2003, 0, old, mastodon.KeepNoFile),
		2004: fate(2004, 3, old, mastodon.KeepNoFile), 2005: fate(2005, 5, old, ""),
	}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	rows, err := d.Snapshot(t.Context(), ids)
	if err != nil {
		t.Fatal(err)
	}
	in.Exec(t, "UPDATE preview_cards SET image_file_name = 'b.png' WHERE id = 2005") // fetched again
	cleared, err := d.Clear(t.Context(), pruneRule, media.PreviewCards, rows)
	if err != nil || !slices.Equal(cleared, []int64{2001}) {
		t.Errorf("%v, %v", cleared, err)
	}
	now, err := d.Rows(t.Context(), ids)
	if err != nil || now[media.PreviewCards][2001].Files[0].Name != "" || now[media.PreviewCards][2002].Files[0].Name == "" {
		t.Errorf("%v, %v", now, err)
	}
	if ok, err := d.Restore(t.Context(), rows[0]); !ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
	if again, err := d.Snapshot(t.Context(), map[media.Class][]int64{media.PreviewCards: {2001}}); err != nil || cmp.Diff(rows[:1], again) != "" {
		t.Errorf("%v, %v", cmp.Diff(rows[:1], again), err)
	}
}

// restored: whatever the columns held, they hold it again, and nothing else of the
// row has changed, neither by clearing nor by restoring.
func restored(t *testing.T, in pgtest.Instance) {
	conn, err := pgx.Connect(t.Context(), in.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	d := open(t, in.With(map[string]string{"DB_USER": "mediamove_prune"}))
	in.Exec(t, `INSERT INTO statuses (id, uri, local, account_id, created_at, updated_at) VALUES (500, '500', false, $1, now(), now())`, personID("there"))
	id := int64(500)
	rapid.Check(t, func(rt *rapid.T) {
		id++
		word := rapid.StringMatching(`[a-zäé"'\\/ {}\t]{1,9}\.png`)
		maybe := func(v any, label string) any {
			if rapid.Bool().Draw(rt, label) {
				return nil
			}
			return v
		}
		at := rapid.SampledFrom([]string{"2024-02-29 12:30:00.123456", "infinity", "-infinity", "0044-03-15 00:00:00.000001 BC", "20000-01-01 00:00:00"})
		size := rapid.Int32Range(0, math.MaxInt32)
		_, err := conn.Exec(t.Context(), `INSERT INTO media_attachments (id, account_id, status_id, remote_url, created_at, updated_at, file_file_name, file_content_type, file_file_size, file_updated_at,
			thumbnail_file_name, thumbnail_content_type, thumbnail_file_size, thumbnail_updated_at, blurhash, file_storage_schema_version, file_meta, description)
			VALUES ($1, $2, 500, 'https://cdn.example/a', '2020-01-01', '2020-01-01', $3, $4, $5, $6::text::timestamp, $7, $8, $9, $10::text::timestamp, 'b', 1, '{}', 'd')`,
			id, personID("there"), word.Draw(rt, "name"), maybe(word.Draw(rt, "type"), "type?"), maybe(size.Draw(rt, "size"), "size?"), maybe(at.Draw(rt, "at"), "at?"),
			maybe(word.Draw(rt, "thumbnail"), "thumbnail?"), maybe("", "thumbnail type?"), maybe(size.Draw(rt, "thumbnail size"), "thumbnail size?"), maybe(at.Draw(rt, "thumbnail at"), "thumbnail at?"))
		if err != nil {
			rt.Fatal(err)
		}
		before := everything(rt, conn, []int64{id})[0]
		rows, err := d.Snapshot(t.Context(), attachments(id))
		if err != nil {
			rt.Fatal(err)
		}
		if cleared, err := d.Clear(t.Context(), pruneRule, media.MediaAttachments, rows); err != nil || len(cleared) != 1 {
			rt.Fatal(cleared, err)
		}
		columns := []string{"file_file_name", "file_content_type", "file_file_size", "file_updated_at", "thumbnail_file_name", "thumbnail_content_type", "thumbnail_file_size", "thumbnail_updated_at"}
		want := maps.Clone(before)
		for _, column := range columns {
			want[column] = "NULL"
		}
		if diff := cmp.Diff(want, everything(rt, conn, []int64{id})[0]); diff != "" {
			rt.Fatal(diff)
		}
		for range 2 {
			if ok, err := d.Restore(t.Context(), rows[0]); !ok || err != nil {
				rt.Fatal(ok, err)
			}
			if diff := cmp.Diff(before, everything(rt, conn, []int64{id})[0]); diff != "" {
				rt.Fatal(diff)
			}
		}
	})
}
