package mastodon_test

import (
	"testing"

	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
)

// Pages end where they should: whole pages are suspended, others have nobody; posts
// were discarded at one instant; one account and one post hide more than a page.
func TestConcealedPages(t *testing.T) {
	t.Parallel()
	in := shared.Cluster(t).Create(t, "4.6")
	w, d := world{in, connect(t, in)}, open(t, in)
	for _, class := range d.Classes() {
		if n := concealed(t, w.Conn, d, class); n != 0 {
			t.Errorf("%s: %d rows of an empty database", class, n)
		}
	}
	w.exec(t, `INSERT INTO accounts (id, username, domain, suspended_at, avatar_file_name, created_at, updated_at)
		SELECT n - 99, n, NULLIF('d' || n % 40, 'd0'), CASE WHEN n % 40 IN (3, 17) AND n NOT BETWEEN 1500 AND 9500 OR n > 12000 THEN now() END, CASE WHEN n % 3 = 0 THEN 'a.png' END, now(), now()
		FROM generate_series(0, 23000) n WHERE n NOT BETWEEN 5500 AND 5600`) // ids from the instance's own on
	w.exec(t, `INSERT INTO statuses (id, account_id, deleted_at, created_at, updated_at)
		SELECT n, (n * 7919::bigint) % 5000, CASE WHEN n % 70 = 0 THEN '2026-01-01'::timestamp + n * interval '1 microsecond' WHEN n % 7 = 0 THEN '2026-01-01' END, now(), now()
		FROM generate_series(1, 60000) n`)
	w.exec(t, `INSERT INTO media_attachments (id, account_id, status_id, file_file_name, thumbnail_file_name, created_at, updated_at)
		SELECT n, CASE WHEN n % 11 <> 0 THEN (n * 104729::bigint) % 5000 + CASE WHEN n % 2 = 0 THEN 12000 ELSE 0 END END,
			CASE WHEN n % 13 <> 0 THEN 1 + (n * 7919::bigint) % 60000 END, CASE WHEN n % 5 <> 0 THEN 'a.png' END, CASE n % 10 WHEN 0 THEN 't.png' WHEN 5 THEN '' END, now(), now()
		FROM generate_series(1, 40000) n`)
	w.exec(t, `INSERT INTO accounts (id, username, suspended_at, created_at, updated_at) VALUES (100000, 'many', now(), now(), now()), (100001, 'shown', NULL, now(), now())`)
	w.exec(t, `INSERT INTO media_attachments (id, account_id, status_id, file_file_name, created_at, updated_at)
		SELECT 100000 + n, 100000, CASE WHEN n > 1500 THEN 1 + n / 16 END, 'a.png', now(), now() FROM generate_series(1, 13000) n`)
	w.exec(t, `INSERT INTO media_attachments (id, account_id, status_id, file_file_name, created_at, updated_at)
		SELECT 200000 + n, 100001, 7 * (1 + n / 6000), 'a.png', now(), now() FROM generate_series(1, 12000) n`)
	w.exec(t, "ANALYZE")
	for class, least := range map[media.Class]int{media.Accounts: 3000, media.MediaAttachments: 35_000, media.CustomEmojis: 0} {
		if n := concealed(t, w.Conn, d, class); n < least {
			t.Errorf("%s: %d rows", class, n)
		}
		for range d.Concealed(t.Context(), class) {
			break // a caller may have had enough
		}
	}
}

// A large table of attachments is not read for the few that are hidden.
func TestConcealedCost(t *testing.T) {
	t.Parallel()
	in := shared.Cluster(t).Create(t, "4.2")
	w := world{in, connect(t, in)}
	w.exec(t, `INSERT INTO accounts (id, username, domain, suspended_at, created_at, updated_at)
		SELECT n, n, 'd' || n % 100, CASE WHEN n % 4000 = 0 THEN now() END, now(), now() FROM generate_series(1, 20000) n`)
	w.exec(t, `INSERT INTO statuses (id, account_id, deleted_at, created_at, updated_at)
		SELECT n, 1 + n % 20000, CASE WHEN n % 5000 = 0 THEN now() END, now(), now() FROM generate_series(1, 50000) n`)
	w.exec(t, `INSERT INTO media_attachments (id, account_id, status_id, file_file_name, created_at, updated_at)
		SELECT n, 1 + n % 20000, 1 + n % 50000, 'a.png', now(), now() FROM generate_series(1, 100000) n`)
	w.exec(t, "VACUUM ANALYZE")
	w.exec(t, "SELECT pg_stat_force_next_flush()") // or else what this one has read may be counted later
	type reads struct{ SeqScan, SeqRows, IndexRows int64 }
	count := func(table string) reads {
		return collected[reads](t, w.Conn, "SELECT seq_scan, seq_tup_read, COALESCE(idx_tup_fetch, 0) FROM pg_stat_user_tables WHERE relname = '"+table+"'")[0]
	}
	d, err := mastodon.OpenDatabase(t.Context(), mastodon.DatabaseOptions{Settings: settings(t, in)})
	if err != nil {
		t.Fatal(err)
	}
	before := map[string]reads{"media_attachments": count("media_attachments"), "statuses": count("statuses")}
	hidden := 0
	for s, err := range d.Concealed(t.Context(), media.MediaAttachments) {
		if err != nil {
			t.Fatal(err)
		}
		if hidden++; s.Hidden == mastodon.Shown {
			t.Errorf("%+v", s)
		}
	}
	d.Close()
	kick(t, in) // a server process counts at last when it ends
	if hidden < 40 || hidden > 50 {
		t.Errorf("%d rows are hidden", hidden)
	}
	for table, was := range before {
		now := count(table)
		if now.SeqScan != was.SeqScan || now.IndexRows-was.IndexRows > 500 || now.IndexRows == was.IndexRows {
			t.Errorf("%s: %+v after %+v", table, now, was)
		}
	}
}
