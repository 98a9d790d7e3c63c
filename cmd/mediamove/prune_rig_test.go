package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"example.org/mediamove/fixtures"
	"example.org/mediamove/fixtures/instance"
	"example.org/mediamove/fixtures/pgtest"
	"example.org/mediamove/media"
)

// A cached is a living instance whose cache is of the last nine weeks, bound two nights
// ago: prune --apply may work.
type cached struct{ *living }

func newCached(t *testing.T, spec instance.Spec, orphans int) *cached {
	t.Helper()
	return newCachedOn(t, databases.Cluster(t), fixtures.Options{}, spec, orphans)
}

func newCachedOn(t *testing.T, server *pgtest.Cluster, o fixtures.Options, spec instance.Spec, orphans int) *cached {
	t.Helper()
	c := &cached{newLivingOn(t, server, o, spec, orphans)}
	c.grow()
	return c
}

// grow spreads what was fetched over the last weeks, and binds.
func (c *cached) grow() {
	c.t.Helper()
	// Many rows share a week; some are right at its first second, and a second before.
	const spread = `date_trunc('week', now()) - (id %% 9) * interval '7 days' + CASE id %% 7 WHEN 0 THEN interval '0' WHEN 1 THEN interval '-1 second'
		ELSE (id / 9 %% 600000) * interval '1 second' END`
	for _, table := range []string{"media_attachments", "preview_cards"} {
		c.db.Exec(c.t, fmt.Sprintf("UPDATE %s SET created_at = "+spread+", updated_at = "+spread, table))
	}
	c.bind()
	c.night()
}

func (l *living) prune(code int, args ...string) pruneJSON {
	l.t.Helper()
	var out pruneJSON
	decode(l.t, l.clean(append([]string{"prune", "--json"}, args...)...), code, &out)
	return out
}

// full is the bucket as prune sees it, without changing anything.
func (l *living) full() pruneJSON {
	l.t.Helper()
	return l.prune(exitOK, "--budget", "1TB")
}

func sizeFlag(n int64) string { return strconv.FormatInt(n, 10) + "B" }

// A cachedRow is a row as the documented order sees it, from plain SQL.
type cachedRow struct {
	class   media.Class
	id      int64
	since   time.Time
	bytes   int64
	objects []fixtures.Object
}

func (r *cachedRow) holds() (n int64) {
	for _, o := range r.objects {
		n += o.Size
	}
	return n
}

// mayGoSQL is written down anew from the issue: nothing of the product is in it.
const mayGoSQL = `SELECT m.id, m.created_at, COALESCE(m.file_file_size, 0)::bigint + COALESCE(m.thumbnail_file_size, 0)
FROM media_attachments m JOIN accounts a ON a.id = m.account_id JOIN statuses s ON s.id = m.status_id
WHERE m.remote_url <> '' AND a.domain <> '' AND m.file_file_name <> '' AND COALESCE(m.processing, 2) = 2
AND m.created_at < $1 AND m.updated_at < $1 AND s.deleted_at IS NULL AND a.suspended_at IS NULL
AND NOT EXISTS (SELECT 1 FROM favourites x JOIN accounts l ON l.id = x.account_id WHERE x.status_id = s.id AND l.domain IS NULL)
AND NOT EXISTS (SELECT 1 FROM bookmarks x WHERE x.status_id = s.id)
AND NOT EXISTS (SELECT 1 FROM statuses l WHERE (l.reblog_of_id = s.id OR l.in_reply_to_id = s.id) AND (l.local OR l.uri IS NULL))
AND NOT EXISTS (SELECT 1 FROM status_pins x JOIN accounts l ON l.id = x.account_id WHERE x.status_id = s.id AND l.domain IS NULL)
AND NOT EXISTS (SELECT 1 FROM reports x WHERE s.id = ANY (x.status_ids))
AND NOT EXISTS (SELECT 1 FROM unavailable_domains x WHERE x.domain = a.domain OR x.domain = split_part(m.remote_url, '/', 3) OR x.domain = split_part(a.uri, '/', 3))
AND NOT EXISTS (SELECT 1 FROM domain_blocks x WHERE x.reject_media AND (x.domain = a.domain OR a.domain LIKE '%.' || x.domain))`

const quotesSQL = ` AND NOT EXISTS (SELECT 1 FROM quotes q JOIN statuses l ON l.id = q.status_id WHERE q.quoted_status_id = s.id AND (l.local OR l.uri IS NULL))
AND NOT EXISTS (SELECT 1 FROM quotes q JOIN statuses l ON l.id = q.quoted_status_id WHERE q.status_id = s.id AND (l.local OR l.uri IS NULL))`

// ordered is what may go, in the documented order.
func (c *cached) ordered(minAge time.Duration) (rows []cachedRow) {
	c.t.Helper()
	query := mayGoSQL
	if c.in.Spec().Version >= "4.4" {
		query += quotesSQL
	}
	rows = c.rows(rows, media.MediaAttachments, query, c.now().Add(-minAge))
	rows = c.rows(rows, media.PreviewCards, "SELECT id, updated_at, COALESCE(image_file_size, 0)::bigint FROM preview_cards WHERE image_file_name <> '' AND updated_at < $1",
		c.now().Add(-max(minAge, 30*24*time.Hour)))
	monday := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	weekOf := func(r *cachedRow) float64 { return math.Floor(r.since.Sub(monday).Hours() / (7 * 24)) }
	slices.SortFunc(rows, func(a, b cachedRow) int {
		return cmp.Or(cmp.Compare(a.class, b.class), cmp.Compare(weekOf(&a), weekOf(&b)), cmp.Compare(b.bytes, a.bytes), cmp.Compare(a.id, b.id))
	})
	return rows
}

func (c *cached) rows(rows []cachedRow, class media.Class, query string, before time.Time) []cachedRow {
	c.t.Helper()
	objects := map[int64][]fixtures.Object{}
	for _, o := range c.stands() {
		_, planted := c.orphans[media.Key(o.Key)]
		if p, err := media.Parse(media.Key(o.Key)); err == nil && p.Class == class && !planted {
			objects[p.ID] = append(objects[p.ID], o)
		}
	}
	r := cachedRow{class: class}
	c.each(query, []any{before.UTC()}, []any{&r.id, &r.since, &r.bytes}, func() {
		if r.objects = objects[r.id]; len(r.objects) > 0 {
			rows = append(rows, r)
		}
	})
	return rows
}

// enough is the shortest beginning of rows that holds need bytes.
func enough(rows []cachedRow, need int64) (n int, freed int64) {
	for n < len(rows) && freed < need {
		freed += rows[n].holds()
		n++
	}
	return n, freed
}

// named is every row of both tables that names a file, as text.
func (c *cached) named() map[string]string {
	c.t.Helper()
	m := map[string]string{}
	for _, query := range []string{
		"SELECT 'm' || id, concat_ws('|', file_file_name, file_content_type, file_file_size, file_updated_at, thumbnail_file_name, thumbnail_file_size, created_at, updated_at, remote_url) FROM media_attachments WHERE file_file_name IS NOT NULL",
		"SELECT 'p' || id, concat_ws('|', image_file_name, image_content_type, image_file_size, image_updated_at, updated_at) FROM preview_cards WHERE image_file_name IS NOT NULL",
	} {
		var id, text string
		c.each(query, nil, []any{&id, &text}, func() { m[id] = text })
	}
	return m
}

// whole expects the objects of every row that names a file: none points to nothing.
// Which objects those are is told by the names only: originals and thumbnails.
func (c *cached) whole() {
	c.t.Helper()
	there := map[string]bool{}
	for k := range c.stands() {
		there[strings.TrimPrefix(k, "cache/")] = true
	}
	for _, q := range []struct {
		class              media.Class
		attachment, column string
	}{
		{media.MediaAttachments, "files", "file"},
		{media.MediaAttachments, "thumbnails", "thumbnail"},
		{media.PreviewCards, "images", "image"},
		{media.Accounts, "avatars", "avatar"},
		{media.CustomEmojis, "images", "image"},
	} {
		var id int64
		var name string
		c.each(fmt.Sprintf("SELECT id, %s_file_name FROM %s WHERE %[1]s_file_name IS NOT NULL", q.column, q.class), nil, []any{&id, &name}, func() {
			k := media.Path{Class: q.class, Attachment: q.attachment, ID: id, Style: "original", Name: name}.Key()
			if !there[media.Normal(string(k))] && !there[string(k)] {
				c.t.Errorf("%s %d names %q, which is not there", q.class, id, name)
			}
		})
	}
	if c.t.Failed() {
		c.t.FailNow()
	}
}

// without expects that exactly the objects of these rows are gone since before.
func (c *cached) without(before map[string]fixtures.Object, rows []cachedRow) {
	c.t.Helper()
	var want []string
	for i := range rows {
		for _, o := range rows[i].objects {
			want = append(want, o.Key)
		}
	}
	slices.Sort(want)
	if gone := missing(before, c.stands()); !slices.Equal(gone, want) {
		more := slices.DeleteFunc(slices.Clone(gone), func(k string) bool { return slices.Contains(want, k) })
		less := slices.DeleteFunc(slices.Clone(want), func(k string) bool { return slices.Contains(gone, k) })
		c.t.Fatalf("%d objects are gone, want %d; too many: %q, too few: %q", len(gone), len(want), more, less)
	}
	c.whole()
}

func objectAt(key string, at time.Time) fixtures.Object {
	return fixtures.Object{Key: key, ContentType: "image/png", CacheControl: "public", LastModified: at}
}

// some are flags that make so many per cent of the cache go.
func (c *cached) some(percent int64) []string {
	c.t.Helper()
	full := c.full()
	size := sizeFlag(full.Bytes - full.Orphans.Bytes - full.Cached.Bytes*percent/100)
	return []string{"--budget", size, "--target", size, "--allow-share", "90"}
}

// intact runs f and expects that neither bucket nor rows were changed.
func (c *cached) intact(what string, f func()) {
	c.t.Helper()
	before := c.named()
	c.unchanged(what, f)
	after := c.named()
	for id, was := range before {
		if after[id] != was {
			c.t.Fatalf("%s: row %s is %q, and was %q", what, id, after[id], was)
		}
	}
}

// each asks the instance's database. Nothing stays connected: it may be renamed.
func (c *cached) each(query string, args, into []any, do func()) {
	c.t.Helper()
	conn, err := pgx.Connect(c.t.Context(), c.db.DSN)
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(c.t.Context()))
	answer, err := conn.Query(c.t.Context(), query, args...)
	if err == nil {
		_, err = pgx.ForEachRow(answer, into, func() error { do(); return nil })
	}
	if err != nil {
		c.t.Fatal(err)
	}
}
