package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures/instance"
	"example.org/mediamove/media"
)

// Bytes are simulated at 1:10,000, in rows and objects alike: 2 kB are a file of 20 MB.
const (
	scale = 10_000
	gb    = 1e9 / scale
	file  = int64(20e6 / scale)
)

// A quarter is an instance that lives for 90 days.
type quarter struct {
	*cached
	dice  *rand.Rand
	posts int // so far
	local int64
	far   int64
}

// Started at 90 GB, of which 18 are local and 25 avatars, headers and emoji: 2 GB a day of
// attachments and cards, five times that on ten days, up to three of them in a row, and a
// night's work after each. The bucket is under its budget whenever that ends, with all that
// a row names.
func TestNightlyQuarter(t *testing.T) {
	t.Parallel()
	spec := instance.Small(91, "4.6")
	spec.Median = 20
	q := &quarter{cached: &cached{newLiving(t, spec, 0)}, dice: rand.New(rand.NewPCG(9, 1))}
	q.each("SELECT min(id) FILTER (WHERE domain IS NULL), min(id) FILTER (WHERE domain IS NOT NULL AND domain NOT IN (SELECT domain FROM unavailable_domains) AND domain NOT IN (SELECT domain FROM domain_blocks)) FROM accounts", nil, []any{&q.local, &q.far}, func() {})
	q.begins()
	q.bind()
	q.later(24 * time.Hour)
	q.alive()
	loud := q.loud()
	var peak, nights, stored int64
	came := map[int64]int64{} // into the bucket since the last night, by run
	held := sum(q.stands())
	before := q.bucket.Usage()
	for day := range 90 {
		bytes := 2.0 * gb
		if loud[day] {
			bytes *= 5
		}
		q.day(int64(bytes), day)
		q.later(24 * time.Hour)
		q.alive()
		r := q.clean("nightly", "--apply", "--json", "--budget", sizeFlag(100*gb))
		var out nightlyJSON
		decode(t, r, r.code, &out)
		after := sum(q.stands())
		came[out.Run], held = out.Bytes-held, after
		q.foretold(&out, came)
		if after > 100*gb || r.code != exitOK {
			t.Fatalf("day %d (loud: %t): exit %d, %.1f GB were, %.1f GB are left: %q\n%+v", day, loud[day], r.code, float64(out.Bytes)/gb, float64(after)/gb, out.Problems, out.Prune)
		}
		peak, nights, stored = max(peak, after), nights+1, stored+after
		if day%15 == 0 || loud[day] {
			t.Logf("day %2d: %6.1f GB before, %6.1f after; %4d rows cleared (%4.1f %% of the cache), Class A %d", day, float64(out.Bytes)/gb, float64(after)/gb, out.Prune.Cleared, out.Prune.Share, out.ClassA)
		}
	}
	q.whole()
	used := q.bucket.Usage().Sub(before)
	average := float64(stored) / float64(nights) / gb
	p := costs.R2().Standard
	t.Logf("90 nights: Class A %d (%.1f a night), Class B %d, DeleteObjects %d, at most %.1f GB at the end of a night", used.A(), float64(used.A())/90, used.B(), used.Get(costs.DeleteObjects), float64(peak)/gb)
	t.Logf("on average %.1f GB, a month of which is $%s; the operations of all three of them $%s, were the free ones those of one month", average, costs.FormatUSD(p.Bill(costs.Usage{}, decimal.NewFromFloat(average)).Total), costs.FormatUSD(p.Bill(used, decimal.Zero).Total))
}

// foretold expects the growth that there was, to the byte, and no day on which a bucket
// would pass a budget that it is kept under every night. came is by run.
func (q *quarter) foretold(out *nightlyJSON, came map[int64]int64) {
	q.t.Helper()
	f := out.Forecast
	if len(came) < leastDays {
		if f != nil {
			q.t.Errorf("%d nights tell %+v", len(came), f)
		}
		return
	}
	if f == nil || f.Crosses != nil || f.Kept != out.Budget || f.Days > forecastDays || f.Days < min(forecastDays, len(came))-2 {
		q.t.Fatalf("after %d nights: %+v", len(came), f)
	}
	led := q.reader()
	defer led.Close()
	days, err := led.BucketDays(q.t.Context(), 0)
	if err != nil {
		q.t.Fatal(err)
	}
	var want, first int64
	for _, d := range days { // the clock goes on during a night, so that a day may be left out
		if d.Day == days[len(days)-1].Day-costs.Day(f.Days) {
			first = d.Run
		}
	}
	for run, n := range came {
		if run > first {
			want += n
		}
	}
	if first == 0 || math.Abs(f.BytesPerDay*float64(f.Days)-float64(want)) > 0.5 {
		q.t.Errorf("after %d nights %.0f a day are told from %d days, in which %d came", len(came), f.BytesPerDay, f.Days, want)
	}
}

// loud draws ten days, three of them in a row and no week with more than three: what is
// younger than a week may not go.
func (q *quarter) loud() map[int]bool {
	loud := map[int]bool{20: true, 21: true, 22: true}
	for len(loud) < 10 {
		d := q.dice.IntN(90)
		loud[d] = true
		for first := range 84 {
			n := 0
			for i := range 7 {
				if loud[first+i] {
					n++
				}
			}
			if n > 3 {
				delete(loud, d)
			}
		}
	}
	return loud
}

// begins fills it: 18 GB local, 25 GB of avatars, 47 GB of cache that came in 12 weeks.
func (q *quarter) begins() {
	now := q.now()
	var rows []string
	for i := range int(18 * gb / float64(file)) {
		id := now.Add(-time.Duration(i)*20*time.Hour).UnixMilli()<<16 | int64(i&0xff)
		rows = append(rows, fmt.Sprintf("(%d, %d, NULL, '', 0, 2, '%s', 'image/png', %d, now(), 1, now(), now())", id, q.local, name(id), file))
		q.put(media.Path{Class: media.MediaAttachments, Attachment: "files", ID: id, Style: "original", Name: name(id)}, file-100, now.AddDate(0, -3, 0))
		q.put(media.Path{Class: media.MediaAttachments, Attachment: "files", ID: id, Style: "small", Name: name(id)}, 100, now.AddDate(0, -3, 0))
	}
	q.insert("media_attachments (id, account_id, status_id, remote_url, type, processing, file_file_name, file_content_type, file_file_size, file_updated_at, file_storage_schema_version, created_at, updated_at)", rows)
	rows = nil
	for i := range int(25 * gb / float64(file)) {
		id := now.AddDate(-1, 0, 0).UnixMilli()<<16 + int64(i)<<20
		rows = append(rows, fmt.Sprintf("(%d, 'u%d', 'far.example', '%s', 'image/png', %d, now(), 1, now(), now())", id, id, name(id), file))
		q.put(media.Path{Cached: true, Class: media.Accounts, Attachment: "avatars", ID: id, Style: "original", Name: name(id)}, file, now.AddDate(0, -3, 0))
	}
	q.insert("accounts (id, username, domain, avatar_file_name, avatar_content_type, avatar_file_size, avatar_updated_at, avatar_storage_schema_version, created_at, updated_at)", rows)
	for week := range 12 {
		q.cache(47_000_000_000/12/scale, now.AddDate(0, 0, -7*(12-week)))
	}
}

// day is what a day brings: attachments and cards, and what Mastodon failed to delete.
func (q *quarter) day(bytes int64, day int) {
	q.cache(bytes, q.now().Add(10*time.Hour))
	for i := range 3 {
		q.put(media.Path{Cached: true, Class: media.MediaAttachments, Attachment: "files", ID: 900_000_000 + int64(day*10+i), Style: "original", Name: "gone.png"}, 300, q.now())
	}
}

// cache lets so many bytes of attachments and cards come in from then on.
func (q *quarter) cache(bytes int64, at time.Time) {
	var posts, files, cards, likes []string
	for left := bytes; left > 0; q.posts++ {
		size := file/2 + q.dice.Int64N(file)
		id := at.Add(time.Duration(q.posts%3000)*time.Second).UnixMilli()<<16 | int64(q.posts&0xffff)
		stamp := at.UTC().Format(time.DateTime)
		if q.posts%20 == 0 {
			card := 1_000_000 + int64(q.posts)
			cards = append(cards, fmt.Sprintf("(%d, 'https://far.example/%d', '%s', 'image/png', %d, '%s', 1, '%[6]s', '%[6]s')", card, card, name(id), size, stamp, stamp))
			q.put(media.Path{Cached: true, Class: media.PreviewCards, Attachment: "images", ID: card, Style: "original", Name: name(id)}, size, at)
			left -= size
			continue
		}
		posts = append(posts, fmt.Sprintf("(%d, %d, 'https://far.example/s/%d', false, '%s', '%[4]s')", id, q.far, id, stamp))
		files = append(files, fmt.Sprintf("(%d, %d, %d, 'https://far.example/%d', 0, 2, '%s', 'image/png', %d, '%s', 1, '%[7]s', '%[7]s')", id, q.far, id, id, name(id), size, stamp))
		for _, style := range []string{"original", "small"} {
			n := map[string]int64{"original": size, "small": size / 20}[style]
			q.put(media.Path{Cached: true, Class: media.MediaAttachments, Attachment: "files", ID: id, Style: style, Name: name(id)}, n, at)
			left -= n
		}
		if q.posts%60 == 1 { // someone here likes it
			likes = append(likes, fmt.Sprintf("(%d, %d, now(), now())", q.local, id))
		}
	}
	q.insert("statuses (id, account_id, uri, local, created_at, updated_at)", posts)
	q.insert("media_attachments (id, account_id, status_id, remote_url, type, processing, file_file_name, file_content_type, file_file_size, file_updated_at, file_storage_schema_version, created_at, updated_at)", files)
	q.insert("preview_cards (id, url, image_file_name, image_content_type, image_file_size, image_updated_at, image_storage_schema_version, created_at, updated_at)", cards)
	q.insert("favourites (account_id, status_id, created_at, updated_at)", likes)
}

func (q *quarter) insert(into string, rows []string) {
	q.t.Helper()
	if len(rows) > 0 {
		q.db.Exec(q.t, "INSERT INTO "+into+" VALUES "+strings.Join(rows, ", "))
	}
}

func (q *quarter) put(p media.Path, size int64, at time.Time) {
	q.bucket.Plant(objectAt(string(p.Key()), at), make([]byte, size))
}

func name(id int64) string { return fmt.Sprintf("%016x.png", id) }
