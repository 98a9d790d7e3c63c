package mastodon_test

import (
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/mediamove/fixtures/pgtest"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
)

// sample is a few rows of every table, and what must be read of them.
func sample(t *testing.T, in pgtest.Instance) mastodon.Rows {
	t.Helper()
	at := time.Date(2024, 2, 29, 12, 30, 0, 123456000, time.UTC)
	in.Exec(t, `INSERT INTO accounts (id, username, domain, avatar_file_name, avatar_content_type, avatar_file_size, avatar_updated_at,
		avatar_storage_schema_version, header_file_name, created_at, updated_at) VALUES
		(-99, 'local', NULL, NULL, NULL, NULL, NULL, NULL, '', now(), now()),
		(1, 'remote', 'other.example', 'ä "q" \.gif', 'image/gif', 2147483647, $1, 1, 'h.png', now(), now())`, at)
	in.Exec(t, `INSERT INTO media_attachments (id, remote_url, processing, blurhash, file_file_name, file_content_type, file_file_size,
		file_updated_at, file_storage_schema_version, thumbnail_file_name, thumbnail_updated_at, created_at, updated_at) VALUES
		(100, '', NULL, NULL, 'a.png', 'image/png', 5, $1, NULL, NULL, NULL, now(), now()),
		(101, 'https://other.example/b', 0, 'LEHV6n', 'b.mp4', 'video/mp4', 6, '-infinity', 1, 't.png', 'infinity', now(), now()),
		(102, E' \t\n', 1, '', '', NULL, 0, NULL, 0, '', NULL, now(), now()),
		(111111111111111111, 'x', 2, 'b', 'c.gif', 'image/gif', 7, $1, 1, NULL, NULL, now(), now()),
		(9223372036854775807, 'x', 3, 'b', NULL, NULL, NULL, NULL, NULL, NULL, NULL, now(), now())`, at)
	in.Exec(t, `INSERT INTO custom_emojis (id, shortcode, domain, image_file_name, created_at, updated_at) VALUES
		(1, 'a', NULL, 'a.png', now(), now()), (2, 'a', 'other.example', 'b.png', now(), now())`)
	in.Exec(t, `INSERT INTO preview_cards (id, url, image_file_name, image_storage_schema_version, created_at, updated_at) VALUES (1, 'u', 'a.png', 1, now(), now())`)
	in.Exec(t, `INSERT INTO site_uploads (id, var, file_file_name, file_file_size, created_at, updated_at) VALUES (1, 'thumbnail', 'a.png', 3, now(), now())`)
	in.Exec(t, `INSERT INTO preview_card_providers (id, domain, icon_file_name, icon_file_size, created_at, updated_at) VALUES (1, 'd', 'i.png', 5000000000, now(), now())`)
	for _, table := range []string{"accounts", "media_attachments", "custom_emojis", "preview_cards", "site_uploads", "preview_card_providers"} {
		in.Exec(t, `UPDATE `+table+` SET updated_at = '2022-06-07 08:09:10.111213', created_at = CASE WHEN id % 2 = 0 THEN '2024-01-02 03:04:05.678901' ELSE '2020-01-01' END::timestamp`)
	}
	in.Exec(t, "UPDATE accounts SET suspended_at = now() WHERE id = 1")
	rows := mastodon.Rows{
		media.Accounts: {
			-99: {Class: media.Accounts, ID: -99, Files: []media.Filed{{Attachment: "avatars"}, {Attachment: "headers"}}},
			1: {Class: media.Accounts, ID: 1, Remote: true, Files: []media.Filed{
				{Attachment: "avatars", Name: `ä "q" \.gif`, ContentType: "image/gif", Size: 2147483647, Updated: at, Schema: 1},
				{Attachment: "headers", Name: "h.png"},
			}},
		},
		media.MediaAttachments: {
			100: {Class: media.MediaAttachments, ID: 100, Files: []media.Filed{{Attachment: "files", Name: "a.png", ContentType: "image/png", Size: 5, Updated: at}, {Attachment: "thumbnails"}}},
			101: {Class: media.MediaAttachments, ID: 101, Remote: true, Busy: true, Files: []media.Filed{
				{Attachment: "files", Name: "b.mp4", ContentType: "video/mp4", Size: 6, Schema: 1, Blurhash: true}, {Attachment: "thumbnails", Name: "t.png", Blurhash: true},
			}},
			102: {Class: media.MediaAttachments, ID: 102, Busy: true, Files: []media.Filed{{Attachment: "files"}, {Attachment: "thumbnails"}}},
			111111111111111111: {Class: media.MediaAttachments, ID: 111111111111111111, Remote: true, Files: []media.Filed{
				{Attachment: "files", Name: "c.gif", ContentType: "image/gif", Size: 7, Updated: at, Schema: 1, Blurhash: true}, {Attachment: "thumbnails", Blurhash: true},
			}},
			9223372036854775807: {Class: media.MediaAttachments, ID: 9223372036854775807, Remote: true, Files: []media.Filed{{Attachment: "files", Blurhash: true}, {Attachment: "thumbnails", Blurhash: true}}},
		},
		media.CustomEmojis: {
			1: {Class: media.CustomEmojis, ID: 1, Files: []media.Filed{{Attachment: "images", Name: "a.png"}}},
			2: {Class: media.CustomEmojis, ID: 2, Remote: true, Files: []media.Filed{{Attachment: "images", Name: "b.png"}}},
		},
		media.PreviewCards:         {1: {Class: media.PreviewCards, ID: 1, Remote: true, Files: []media.Filed{{Attachment: "images", Name: "a.png", Schema: 1}}}},
		media.PreviewCardProviders: {1: {Class: media.PreviewCardProviders, ID: 1, Files: []media.Filed{{Attachment: "icons", Name: "i.png", Size: 5_000_000_000}}}},
		media.SiteUploads:          {1: {Class: media.SiteUploads, ID: 1, Var: "thumbnail", Files: []media.Filed{{Attachment: "files", Name: "a.png", Size: 3}}}},
	}
	if in.Version != "3.5" { // columns that came later
		in.Exec(t, `UPDATE site_uploads SET blurhash = 'b'`)
		rows[media.SiteUploads][1].Files[0].Blurhash = true
	}
	if in.Version == "4.6" {
		in.Exec(t, `UPDATE media_attachments SET thumbnail_storage_schema_version = 1 WHERE id = 101`)
		rows[media.MediaAttachments][101].Files[1].Schema = 1
	}
	return rows
}

// The versions follow one another: roles belong to the whole server.
func TestEveryVersion(t *testing.T) {
	t.Parallel()
	for _, version := range pgtest.Versions() {
		t.Run(version, func(t *testing.T) {
			in := shared.Cluster(t).Create(t, version)
			want := sample(t, in)
			readable(t, in, want)
			testGrants(t, in, want)
			testPrune(t, in)
		})
	}
}

// readable is that all of an instance that mediamove reads is read as it should be.
func readable(t *testing.T, in pgtest.Instance, want mastodon.Rows) {
	t.Helper()
	d := open(t, in)
	classes := []media.Class{media.MediaAttachments, media.Accounts, media.CustomEmojis, media.PreviewCards, media.PreviewCardProviders, media.SiteUploads}
	if got := d.Classes(); !slices.Equal(got, classes) {
		t.Errorf("classes %v", got)
	}
	ids := map[media.Class][]int64{}
	for class, rows := range want {
		ids[class] = append([]int64{-1, 0, 4242, 1, 1}, slices.Collect(maps.Keys(rows))...) // no row, and one id twice
	}
	got, err := d.Rows(t.Context(), ids)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	for class, rows := range want {
		readAll(t, d, class, dated(t, in, class, rows))
	}
	stands(t, in, d, ids)
	if counts, err := d.Counts(t.Context()); err != nil || len(counts) != len(want) || counts["media_attachments"] != 5 {
		t.Errorf("%v, %v", counts, err)
	}
	if newest, err := d.Newest(t.Context()); err != nil || newest.UnixMilli() != 111111111111111111>>16 {
		t.Errorf("%v, %v", newest, err)
	}
}

// readAll is that All yields every row with a file, in order.
func readAll(t *testing.T, d *mastodon.Database, class media.Class, rows map[int64]media.Row) {
	t.Helper()
	left, last := maps.Clone(rows), int64(math.MinInt64)
	for r, err := range d.All(t.Context(), class) {
		if err != nil || r.ID <= last {
			t.Fatalf("%d after %d, %v", r.ID, last, err)
		}
		if diff := cmp.Diff(left[r.ID], r); diff != "" {
			t.Error(diff)
		}
		last = r.ID
		delete(left, r.ID)
	}
	for id, r := range left {
		if slices.ContainsFunc(r.Files, func(f media.Filed) bool { return f.Name != "" }) {
			t.Errorf("%s %d was left out", class, id)
		}
	}
}

func TestRowsAsksNothingElse(t *testing.T) {
	t.Parallel()
	d := open(t, look(t))
	for _, class := range []media.Class{media.Backups, media.Imports, media.Outside, "users"} {
		if rows, err := d.Rows(t.Context(), map[media.Class][]int64{media.Accounts: {1}, class: {1}}); err == nil {
			t.Errorf("%q: %v", class, rows)
		}
		for _, err := range d.All(t.Context(), class) {
			if err == nil {
				t.Errorf("all of %q", class)
			}
		}
	}
	got, err := d.Rows(t.Context(), map[media.Class][]int64{media.Accounts: {}, media.CustomEmojis: {1}})
	if diff := cmp.Diff(mastodon.Rows{media.Accounts: {}, media.CustomEmojis: {}}, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
}

// Pages end where they should: the ids have gaps, whole pages have no file, and
// the number of rows is a multiple of a page or just not.
func TestAllPages(t *testing.T) {
	t.Parallel()
	in := shared.Cluster(t).Create(t, "4.4")
	d := open(t, in)
	total := 0
	for _, add := range []int{0, 4999, 1, 1, 4999, 10001} {
		in.Exec(t, `INSERT INTO preview_cards (id, url, image_file_name, created_at, updated_at)
			SELECT 3 * n, n, CASE WHEN n % 5000 < 7 THEN n || '.png' END, now(), now() FROM generate_series($1::int, $2::int) n`, total+1, total+add)
		total += add
		want := 0
		for n := 1; n <= total; n++ {
			if n%5000 < 7 {
				want++
			}
		}
		got := 0
		for r, err := range d.All(t.Context(), media.PreviewCards) {
			if err != nil {
				t.Fatal(err)
			}
			if got++; r.ID%3 != 0 || r.Files[0].Name == "" {
				t.Errorf("%+v", r)
			}
		}
		if got != want {
			t.Errorf("%d of %d rows, of %d", got, want, total)
		}
	}
	for range d.All(t.Context(), media.PreviewCards) {
		break // a caller may have had enough
	}
}
