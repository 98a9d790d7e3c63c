package mastodon_test

import (
	"math/rand/v2"
	"testing"

	"example.org/mediamove/media"
)

// BenchmarkRows asks for 1,000 rows of 500,000: what a page of a listing needs.
// "all" reads every one.
func BenchmarkRows(b *testing.B) {
	in := shared.Cluster(b).Create(b, "4.6")
	in.Exec(b, `INSERT INTO media_attachments (id, remote_url, processing, blurhash, file_file_name, file_content_type, file_file_size,
		file_updated_at, file_storage_schema_version, created_at, updated_at)
		SELECT 111111111111111111 + n * 7000000::bigint, 'https://other.example/media/' || md5(n::text) || '.png', 2, 'LEHV6nWB2yk8pyo0adR*.7kCMdnj', substr(md5(n::text), 17) || '.png', 'image/png', n,
		now(), 1, now(), now() FROM generate_series(1, 500000) n`)
	in.Exec(b, "ANALYZE")
	d := open(b, in)
	b.Run("page of a listing", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ids := make([]int64, 1000)
			first := rand.Int64N(499_000) // a listing is in the order of ids
			for i := range ids {
				ids[i] = 111111111111111111 + (first+int64(i))*7000000
			}
			if _, err := d.Rows(b.Context(), map[media.Class][]int64{media.MediaAttachments: ids}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("scattered", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ids := make([]int64, 1000)
			for i := range ids {
				ids[i] = 111111111111111111 + rand.Int64N(500_000)*7000000
			}
			if _, err := d.Rows(b.Context(), map[media.Class][]int64{media.MediaAttachments: ids}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("all", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			n := 0
			for _, err := range d.All(b.Context(), media.MediaAttachments) {
				if err != nil {
					b.Fatal(err)
				}
				n++
			}
			if n != 500_000 {
				b.Fatal(n)
			}
		}
	})
}
