package mastodon_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"example.org/mediamove/fixtures/pgtest"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
)

// fataler is what a test and a draw have in common.
type fataler interface {
	Helper()
	Fatal(args ...any)
	Errorf(format string, args ...any)
}

// collected asks the database directly, without the package.
func collected[T any](t fataler, conn *pgx.Conn, sql string) []T {
	t.Helper()
	rows, err := conn.Query(context.Background(), sql)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[T])
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// dated adds to rows when they were changed.
func dated(t *testing.T, in pgtest.Instance, class media.Class, rows map[int64]media.Row) map[int64]media.Row {
	t.Helper()
	type times struct {
		ID               int64
		Created, Updated time.Time
	}
	rows = maps.Clone(rows)
	for _, at := range collected[times](t, connect(t, in), "SELECT id, created_at, updated_at FROM "+string(class)) {
		if r, ok := rows[at.ID]; ok {
			if r.Changed = at.Created; at.Updated.After(at.Created) {
				r.Changed = at.Updated
			}
			rows[at.ID] = r
		}
	}
	return rows
}

// concealment is the oracle: whole tables joined, and each row looked at.
func concealment(t fataler, conn *pgx.Conn, class media.Class) (hidden map[int64]mastodon.Hidden, filed map[int64]bool) {
	t.Helper()
	type row struct {
		ID                          int64
		Suspended, Discarded, Filed bool
	}
	sql := map[media.Class]string{
		media.MediaAttachments: `SELECT m.id, a.suspended_at IS NOT NULL, s.deleted_at IS NOT NULL, COALESCE(m.file_file_name, '') || COALESCE(m.thumbnail_file_name, '') <> ''
			FROM media_attachments m LEFT JOIN accounts a ON a.id = m.account_id LEFT JOIN statuses s ON s.id = m.status_id`,
		media.Accounts: `SELECT id, suspended_at IS NOT NULL, false, COALESCE(avatar_file_name, '') || COALESCE(header_file_name, '') <> '' FROM accounts`,
	}[class]
	hidden, filed = map[int64]mastodon.Hidden{}, map[int64]bool{}
	if sql == "" {
		return hidden, filed
	}
	for _, r := range collected[row](t, conn, sql) {
		filed[r.ID] = r.Filed
		if r.Discarded {
			hidden[r.ID] = mastodon.HiddenDiscarded
		}
		if r.Suspended {
			hidden[r.ID] = mastodon.HiddenSuspended
		}
	}
	return hidden, filed
}

// stands is that Standing says of every row what Rows does, when it was changed, and
// what hides it; and that Concealed yields those that are hidden and have a file.
func stands(t *testing.T, in pgtest.Instance, d *mastodon.Database, ids map[media.Class][]int64) {
	t.Helper()
	rows, err1 := d.Rows(t.Context(), ids)
	got, err2 := d.Standing(t.Context(), ids)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	conn, want := connect(t, in), map[media.Class]map[int64]mastodon.Standing{}
	for class := range ids {
		hidden, _ := concealment(t, conn, class)
		want[class] = map[int64]mastodon.Standing{}
		for id, r := range dated(t, in, class, rows[class]) {
			want[class][id] = mastodon.Standing{Row: r, Hidden: hidden[id]}
		}
		concealed(t, conn, d, class)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// concealed holds Concealed against the oracle, and returns how many rows it yielded.
func concealed(t fataler, conn *pgx.Conn, d *mastodon.Database, class media.Class) (n int) {
	t.Helper()
	hidden, filed := concealment(t, conn, class)
	got := map[int64]mastodon.Hidden{}
	for s, err := range d.Concealed(context.Background(), class) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; s.Row.Class != class || s.Row.Changed.IsZero() {
			t.Errorf("%+v", s)
		}
		got[s.Row.ID] = s.Hidden
	}
	maps.DeleteFunc(hidden, func(id int64, _ mastodon.Hidden) bool { return !filed[id] })
	if !maps.Equal(hidden, got) {
		diff := cmp.Diff(hidden, got)
		t.Errorf("%s: %d rows instead of %d\n%s", class, len(got), len(hidden), diff[:min(len(diff), 500)])
	}
	return n
}

// world replaces what is in the tables.
type world struct {
	in pgtest.Instance
	*pgx.Conn
}

func (w world) exec(t fataler, sql string, args ...any) {
	t.Helper()
	if _, err := w.Exec(context.Background(), sql, args...); err != nil {
		t.Fatal(sql, err)
	}
}

// Whatever is suspended and discarded, alone and by the domain.
func TestStandingOracle(t *testing.T) {
	t.Parallel()
	in := shared.Cluster(t).Create(t, "4.4")
	w, d := world{in, connect(t, in)}, open(t, in)
	maybe := func(rt *rapid.T, label string, some any) any {
		if rapid.IntRange(0, 3).Draw(rt, label) == 0 {
			return nil
		}
		return some
	}
	rapid.Check(t, func(rt *rapid.T) {
		w.exec(rt, "DELETE FROM media_attachments")
		w.exec(rt, "DELETE FROM statuses")
		w.exec(rt, "DELETE FROM accounts")
		bad := rapid.IntRange(0, 3).Draw(rt, "bad domain") // of three; the last one is none
		for id := range 6 {
			var suspended any
			if id%3 == bad || rapid.IntRange(0, 4).Draw(rt, "suspended") == 0 {
				suspended = time.Now()
			}
			w.exec(rt, `INSERT INTO accounts (id, username, domain, suspended_at, avatar_file_name, header_file_name, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, now(), now())`,
				id-2, string(rune('a'+id)), map[int]any{1: "one.example", 2: "two.example"}[id%3], suspended, maybe(rt, "avatar", "a.png"), rapid.SampledFrom([]any{nil, "", "h.png"}).Draw(rt, "header"))
		}
		for id := range 6 {
			w.exec(rt, `INSERT INTO statuses (id, account_id, deleted_at, created_at, updated_at) VALUES ($1, $2, $3, now(), now())`,
				id+1, rapid.IntRange(-2, 3).Draw(rt, "author"), rapid.SampledFrom([]any{nil, nil, "2026-01-01", "2026-01-02", "-infinity"}).Draw(rt, "deleted"))
		}
		ids := map[media.Class][]int64{media.MediaAttachments: {}, media.Accounts: {-2, -1, 0, 1, 2, 3}}
		for id := range int64(10) {
			ids[media.MediaAttachments] = append(ids[media.MediaAttachments], id, id+100)
			w.exec(rt, `INSERT INTO media_attachments (id, account_id, status_id, remote_url, file_file_name, thumbnail_file_name, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, now(), now())`,
				id, maybe(rt, "account", rapid.IntRange(-2, 3).Draw(rt, "account id")), maybe(rt, "post", rapid.IntRange(1, 6).Draw(rt, "post id")),
				rapid.SampledFrom([]string{"", "https://one.example/a.png"}).Draw(rt, "remote"), maybe(rt, "file", "a.png"), rapid.SampledFrom([]any{nil, "", "t.png"}).Draw(rt, "thumbnail"))
		}
		got, err := d.Standing(t.Context(), ids)
		if err != nil {
			rt.Fatal(err)
		}
		for class, rows := range got {
			hidden, filed := concealment(rt, w.Conn, class)
			for id, s := range rows {
				if s.Hidden != hidden[id] || s.Row.ID != id {
					rt.Errorf("%s %d: %+v, not %q", class, id, s, hidden[id])
				}
			}
			if len(rows) != len(filed) {
				rt.Errorf("%s: %d rows of %d", class, len(rows), len(filed))
			}
			concealed(rt, w.Conn, d, class)
		}
	})
}

// Wherever an answer is cut, it is asked for again: nothing is missing, nothing is
// there twice.
func TestStandingCut(t *testing.T) {
	t.Parallel()
	in := shared.Cluster(t).Create(t, "4.6")
	w := world{in, connect(t, in)}
	w.exec(t, `INSERT INTO accounts (id, username, suspended_at, avatar_file_name, created_at, updated_at) SELECT n, n, now(), 'a.png', now(), now() FROM generate_series(1, 500) n`)
	w.exec(t, `INSERT INTO media_attachments (id, account_id, file_file_name, created_at, updated_at) SELECT n, 1 + n % 40, 'a.png', now(), now() FROM generate_series(1, 200) n`)
	w.exec(t, `INSERT INTO statuses (id, account_id, created_at, updated_at) SELECT n, 1, now(), now() FROM generate_series(1, 400) n`)
	w.exec(t, `INSERT INTO media_attachments (id, account_id, status_id, file_file_name, created_at, updated_at) SELECT 1000 + n, 1, 1 + n / 4, 'a.png', now(), now() FROM generate_series(1, 1000) n`)
	ids := map[media.Class][]int64{media.Accounts: slices.Collect(seq(40)), media.MediaAttachments: slices.Collect(seq(200))}
	var g errgroup.Group
	g.SetLimit(4) // the server has few connections to give
	for cut := int64(1); cut < 300_000; cut = cut*6/5 + 197 {
		g.Go(func() error {
			d, left, mended := breaking(t, settings(t, in), nil)
			left.Store(cut)
			mended.Store(true)
			rows, err := d.Standing(t.Context(), ids)
			if d.Close(); err != nil || len(rows[media.Accounts]) != 40 || len(rows[media.MediaAttachments]) != 200 {
				t.Errorf("standing, cut at %d: %d accounts, %d attachments, %v", cut, len(rows[media.Accounts]), len(rows[media.MediaAttachments]), err)
			}
			d, left, mended = breaking(t, settings(t, in), nil)
			left.Store(cut)
			mended.Store(true)
			n := 0
			for s, err := range d.Concealed(t.Context(), media.MediaAttachments) {
				if n++; err != nil || s.Hidden != mastodon.HiddenSuspended {
					t.Errorf("concealed, cut at %d: %+v, %v", cut, s, err)
				}
			}
			d.Close()
			if whole := left.Load() > 0; n != 1200 || whole && cut < 100_000 || !whole && cut > 220_000 {
				t.Errorf("concealed, cut at %d: %d rows, %d bytes left", cut, n, left.Load())
			}
			return nil
		})
	}
	_ = g.Wait()
}

// seq yields 1 to n.
func seq(n int64) func(yield func(int64) bool) {
	return func(yield func(int64) bool) {
		for i := range n {
			if !yield(i + 1) {
				return
			}
		}
	}
}

// What has no row to stand by is refused before anything is asked; and where a column
// is missing that only these need, they are refused and nothing else is.
func TestStandingRefused(t *testing.T) {
	t.Parallel()
	in := shared.Cluster(t).Create(t, "4.6")
	for _, class := range []media.Class{media.Backups, media.Imports, media.Outside, "users"} {
		d := open(t, in)
		if rows, err := d.Standing(t.Context(), map[media.Class][]int64{media.Accounts: {1}, class: {1}}); err == nil {
			t.Errorf("%q: %v", class, rows)
		}
		n := 0
		for _, err := range d.Concealed(t.Context(), class) {
			if n++; err == nil {
				t.Errorf("concealed of %q", class)
			}
		}
		if n != 1 {
			t.Errorf("concealed of %q: %d answers", class, n)
		}
	}
	got, err := open(t, in).Standing(t.Context(), map[media.Class][]int64{media.Accounts: {}, media.CustomEmojis: {1}})
	if diff := cmp.Diff(map[media.Class]map[int64]mastodon.Standing{media.Accounts: {}, media.CustomEmojis: {}}, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	in.Exec(t, "ALTER TABLE statuses DROP COLUMN deleted_at CASCADE; ALTER TABLE custom_emojis DROP COLUMN created_at")
	d := open(t, in)
	for class, missing := range map[media.Class]string{media.MediaAttachments: "deleted_at", media.CustomEmojis: "created_at", media.Accounts: ""} {
		ids := map[media.Class][]int64{class: {1}}
		_, err1 := d.Standing(t.Context(), ids)
		var err2, err3 error
		for _, err := range d.All(t.Context(), class) {
			err2 = err
		}
		for _, err := range d.Concealed(t.Context(), class) {
			err3 = err
		}
		for _, err := range []error{err1, err2, err3} {
			if shape, ok := errors.AsType[*mastodon.ShapeError](err); ok != (missing != "") || ok && shape.Column != missing {
				t.Errorf("%s: %v", class, err)
			}
		}
		if _, err := d.Rows(t.Context(), ids); err != nil {
			t.Error(err)
		}
	}
}
