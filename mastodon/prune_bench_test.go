package mastodon_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"example.org/mediamove/fixtures/pgtest"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
)

const benchStep = 7_000_000

// half is an instance of 500,000 attachments in as many posts by 100,000 accounts,
// with as many favourites and 10,000 reports.
func half(b *testing.B) pgtest.Instance {
	b.Helper()
	in := shared.Cluster(b).Create(b, "4.6")
	in.Exec(b, `
INSERT INTO accounts (id, username, domain, uri, note, public_key, created_at, updated_at)
	SELECT n, n, CASE WHEN n % 50 > 0 THEN 's' || n % 3000 || '.example' END, 'https://s' || n % 3000 || '.example/users/' || n, repeat('n', 200), repeat('k', 450), now(), now()
	FROM generate_series(1, 100000) n;
INSERT INTO statuses (id, account_id, uri, local, text, reblog_of_id, in_reply_to_id, created_at, updated_at)
	SELECT 111111111111111111 + n * 7000000::bigint, n % 100000 + 1, 'https://x.example/' || n, n % 50 = 49, repeat('t', 300),
		CASE WHEN n % 37 = 1 AND n > 1 THEN 111111111111111111 + (n - 1) * 7000000::bigint END, CASE WHEN n % 17 = 1 AND n > 1 THEN 111111111111111111 + (n - 1) * 7000000::bigint END, now(), now()
	FROM generate_series(1, 500000) n;
INSERT INTO media_attachments (id, account_id, status_id, remote_url, processing, blurhash, file_file_name, file_content_type, file_file_size,
		file_updated_at, file_storage_schema_version, created_at, updated_at)
	SELECT 111111111111111111 + n * 7000000::bigint, n % 100000 + 1, 111111111111111111 + n * 7000000::bigint, CASE WHEN n % 50 < 49 THEN 'https://other.example/media/' || n || '.png' ELSE '' END, 2,
		'LEHV6nWB2yk8pyo0adR*.7kCMdnj', n || '.png', 'image/png', n, now(), 1, '2026-01-01', '2026-01-01' FROM generate_series(1, 500000) n;
INSERT INTO favourites (account_id, status_id, created_at, updated_at)
	SELECT 50 * (1 + n % 1999) + CASE WHEN n % 3 = 0 THEN 0 ELSE 1 END, 111111111111111111 + n * 7000000::bigint, now(), now() FROM generate_series(1, 500000) n;
INSERT INTO bookmarks (account_id, status_id, created_at, updated_at)
	SELECT 50, 111111111111111111 + n * 7000000::bigint, now(), now() FROM generate_series(1, 500000, 100) n;
INSERT INTO status_pins (account_id, status_id) SELECT n % 100000 + 1, 111111111111111111 + n * 7000000::bigint FROM generate_series(1, 500000, 10) n;
INSERT INTO quotes (account_id, status_id, quoted_status_id, created_at, updated_at)
	SELECT 1, 111111111111111111 + n * 7000000::bigint, 111111111111111111 + (n + 1) * 7000000::bigint, now(), now() FROM generate_series(1, 490000, 20) n;
INSERT INTO reports (account_id, target_account_id, status_ids, created_at, updated_at)
	SELECT 1, 2, ARRAY[111111111111111111 + n * 7000000::bigint, 5], now(), now() FROM generate_series(1, 500000, 50) n;
INSERT INTO unavailable_domains (domain, created_at, updated_at) SELECT 's' || n || '.example', now(), now() FROM generate_series(1, 3000, 10) n;
INSERT INTO domain_blocks (domain, reject_media, created_at, updated_at) SELECT 'bad' || n || '.example', true, now(), now() FROM generate_series(1, 3000) n;
ANALYZE`)
	return in
}

// BenchmarkFates asks about 1,000 attachments of 500,000.
func BenchmarkFates(b *testing.B) {
	in := half(b)
	d := open(b, in)
	rule := mastodon.PruneRule{Before: time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)}
	counts := map[mastodon.Keep]int{}
	b.Run("page of a listing", func(b *testing.B) {
		for b.Loop() {
			ids := make([]int64, 1000)
			first := rand.Int64N(499_000) // a listing is in the order of ids
			for i := range ids {
				ids[i] = 111111111111111111 + (first+int64(i)+1)*benchStep
			}
			fates, err := d.Fates(context.Background(), rule, map[media.Class][]int64{media.MediaAttachments: ids})
			if err != nil {
				b.Fatal(err)
			}
			for _, f := range fates[media.MediaAttachments] {
				counts[f.Keep]++
			}
		}
	})
	b.Log(counts)
}
