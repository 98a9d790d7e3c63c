package mastodon_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"example.org/mediamove/fixtures/pgtest"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
)

// pruneRule says from when on copies are old enough.
var pruneRule = mastodon.PruneRule{
	Before:      time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
	CardsBefore: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC),
}

// A copied is all there is to know about one attachment.
type copied struct {
	account    string // one of people, "" is NULL
	remoteURL  string
	file       string // "-" is NULL
	thumbnail  bool
	processing int // -1 is NULL
	created    time.Duration
	updated    time.Duration // after the rule's time
	post       string        // "", "posted", "discarded"
	touches    []string      // of touches
}

// people by name: their domain and the host in their uri. Those at blocked.example
// and below are blocked, dead.example is gone.
var people = map[string]struct {
	domain, host string
	suspended    bool
}{
	"here":           {"", "", false},
	"there":          {"there.example", "there.example", false},
	"blocked":        {"blocked.example", "blocked.example", false},
	"below blocked":  {"media.blocked.example", "x.example", false},
	"beside blocked": {"unblocked.example", "x.example", false},
	"spared":         {"spared.example", "x.example", false}, // blocked, but not its media
	"dead":           {"dead.example", "dead.example", false},
	"dead host":      {"alive.example", "dead.example:443", false},
	"suspended":      {"there.example", "there.example", true},
}

// touches: what happens to a post, and which reason it is; "" is none.
var touches = []struct {
	name string
	keep mastodon.Keep
	sql  string // $1 is the post, $2 a local account, $3 one elsewhere, $4 another id
}{
	{"favourite", mastodon.KeepFavourited, "INSERT INTO favourites (status_id, account_id, created_at, updated_at) VALUES ($1, $2, now(), now())"},
	{"favourite elsewhere", "", "INSERT INTO favourites (status_id, account_id, created_at, updated_at) VALUES ($1, $3, now(), now())"},
	{"bookmark", mastodon.KeepBookmarked, "INSERT INTO bookmarks (status_id, account_id, created_at, updated_at) VALUES ($1, $2, now(), now())"},
	{"boost", mastodon.KeepBoosted, "INSERT INTO statuses (id, reblog_of_id, account_id, local, uri, created_at, updated_at) VALUES ($4, $1, $2, true, $4::text, now(), now())"},
	{"boost elsewhere", "", "INSERT INTO statuses (id, reblog_of_id, account_id, local, uri, created_at, updated_at) VALUES ($4 + 1, $1, $3, false, ($4 + 1)::text, now(), now())"},
	{"reply", mastodon.KeepRepliedTo, "INSERT INTO statuses (id, in_reply_to_id, account_id, uri, created_at, updated_at) VALUES ($4 + 2, $1, $2, NULL, now(), now())"},
	{"reply elsewhere", "", "INSERT INTO statuses (id, in_reply_to_id, account_id, uri, created_at, updated_at) VALUES ($4 + 3, $1, $3, ($4 + 3)::text, now(), now())"},
	{"quote", mastodon.KeepQuoted, "INSERT INTO quotes (quoted_status_id, status_id, account_id, created_at, updated_at) VALUES ($1, $4 + 4, $2, now(), now())"},
	{"quoting", mastodon.KeepQuoted, "INSERT INTO quotes (quoted_status_id, status_id, account_id, created_at, updated_at) VALUES ($4 + 4, $1, $3, now(), now())"},
	{"quote elsewhere", "", "INSERT INTO quotes (quoted_status_id, status_id, account_id, created_at, updated_at) VALUES ($1, $4 + 5, $3, now(), now())"},
	{"pin", mastodon.KeepPinned, "INSERT INTO status_pins (status_id, account_id) VALUES ($1, $2)"},
	{"pin elsewhere", "", "INSERT INTO status_pins (status_id, account_id) VALUES ($1, $3)"},
	{"report", mastodon.KeepReported, "INSERT INTO reports (status_ids, account_id, target_account_id, created_at, updated_at) VALUES (ARRAY[7, $1], $3, $3, now(), now())"},
	{"report of another", "", "INSERT INTO reports (status_ids, account_id, target_account_id, created_at, updated_at) VALUES (ARRAY[7, $4], $2, $3, now(), now())"},
}

func (c copied) touched(keep mastodon.Keep) bool {
	for _, name := range c.touches {
		for _, t := range touches {
			if t.name == name && t.keep == keep {
				return true
			}
		}
	}
	return false
}

// fate is the oracle: what the documented order makes of c, step by step.
func (c copied) fate() mastodon.Keep {
	p, known := people[c.account]
	host := func(url string) string { return strings.TrimSuffix(strings.TrimPrefix(url, "https://"), "/a.png") }
	rules := []struct {
		keep mastodon.Keep
		is   bool
	}{
		{mastodon.KeepLocal, strings.TrimSpace(c.remoteURL) == "" || !known || p.domain == ""},
		{mastodon.KeepNoFile, c.file == "-" || c.file == ""},
		{mastodon.KeepUnfetchable, c.post == "" || p.domain == "blocked.example" || strings.HasSuffix(p.domain, ".blocked.example")},
		{mastodon.KeepProcessing, c.processing != -1 && c.processing != 2},
		{mastodon.KeepYoung, c.created >= 0 || c.updated >= 0},
	}
	for _, k := range []mastodon.Keep{mastodon.KeepFavourited, mastodon.KeepBookmarked, mastodon.KeepBoosted, mastodon.KeepRepliedTo, mastodon.KeepQuoted, mastodon.KeepPinned, mastodon.KeepReported} {
		rules = append(rules, struct {
			keep mastodon.Keep
			is   bool
		}{k, c.touched(k)})
	}
	rules = append(rules, []struct {
		keep mastodon.Keep
		is   bool
	}{
		{mastodon.KeepOriginGone, p.domain == "dead.example" || strings.HasPrefix(p.host, "dead.example") || host(c.remoteURL) == "dead.example"},
		{mastodon.KeepDiscarded, c.post == "discarded"},
		{mastodon.KeepSuspended, p.suspended},
	}...)
	for _, r := range rules {
		if r.is {
			return r.keep
		}
	}
	return ""
}

// A cache is a database in which copies are made up.
type cache struct {
	pgtest.Instance
	conn *pgx.Conn
	next int64
}

// connect opens a connection for the time of a test.
func connect(t *testing.T, in pgtest.Instance) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), in.DSN)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

// newCache adds the people to an instance, whose ids are from 1001.
func newCache(t *testing.T, in pgtest.Instance) *cache {
	t.Helper()
	c := &cache{in, connect(t, in), 1000}
	var b pgx.Batch
	b.Queue(`INSERT INTO domain_blocks (domain, reject_media, created_at, updated_at) VALUES ('blocked.example', true, now(), now()), ('spared.example', false, now(), now())`)
	b.Queue(`INSERT INTO unavailable_domains (domain, created_at, updated_at) VALUES ('dead.example', now(), now())`)
	for name, p := range people {
		b.Queue(`INSERT INTO accounts (id, username, domain, uri, suspended_at, created_at, updated_at)
			VALUES ($1, $2, NULLIF($3, ''), 'https://' || $4 || '/users/1', CASE WHEN $5 THEN now() END, now(), now())`, personID(name), name, p.domain, p.host, p.suspended)
	}
	if err := c.conn.SendBatch(t.Context(), &b).Close(); err != nil {
		t.Fatal(err)
	}
	return c
}

func personID(name string) int64 {
	id := int64(1001)
	for other := range people {
		if other < name {
			id++
		}
	}
	return id
}

// add makes a copy's rows in one batch.
func (c *cache) add(ctx context.Context, x copied) (int64, error) {
	c.next += 10
	id := c.next
	var b pgx.Batch
	var post, account, processing, file, thumbnail any
	if x.account != "" {
		account = personID(x.account)
	}
	if x.processing >= 0 {
		processing = x.processing
	}
	if x.file != "-" {
		file = x.file
	}
	if x.thumbnail {
		thumbnail = "t.jpeg"
	}
	if x.post != "" {
		post = id
		b.Queue("INSERT INTO statuses (id, uri, local, account_id, deleted_at, created_at, updated_at) VALUES ($1, $2, false, $3, $4, now(), now())",
			id, fmt.Sprint("post ", id), personID("there"), map[string]any{"discarded": time.Now()}[x.post])
	}
	b.Queue(`INSERT INTO statuses (id, uri, local, account_id, created_at, updated_at) VALUES ($1 + 4, ($1 + 4)::text, true, $2, now(), now()), ($1 + 5, ($1 + 5)::text, false, $3, now(), now())`,
		id, personID("here"), personID("there"))
	b.Queue(`INSERT INTO media_attachments (id, account_id, status_id, remote_url, processing, created_at, updated_at,
		file_file_name, file_content_type, file_file_size, file_updated_at, thumbnail_file_name, thumbnail_file_size) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'image/png', 2147483647, now(), $9, 10)`,
		id, account, post, x.remoteURL, processing, pruneRule.Before.Add(x.created), pruneRule.Before.Add(x.updated), file, thumbnail)
	for _, name := range x.touches {
		for _, t := range touches {
			if t.name != name || c.Version < "4.4" && strings.Contains(t.sql, "quotes") {
				continue
			}
			args := []any{id, personID("here"), personID("there"), id + 6}
			if strings.Contains(t.sql, "$4 + ") {
				args[3] = id
			}
			// Not every statement has every parameter.
			sql := strings.NewReplacer("$1", fmt.Sprint(args[0]), "$2", fmt.Sprint(args[1]), "$3", fmt.Sprint(args[2]), "$4", fmt.Sprint(args[3])).Replace(t.sql)
			b.Queue(sql)
		}
	}
	return id, c.conn.SendBatch(ctx, &b).Close()
}

// old is a copy that may go.
func old() copied {
	return copied{account: "there", remoteURL: "https://cdn.example/a.png", file: "a.png", processing: 2, created: -time.Hour, updated: -time.Hour, post: "posted"}
}

// draws makes up a copy: most of its facts let it go, for otherwise few would.
func draws(t *rapid.T, version string) copied {
	mostly := func(label string, usual string, others ...string) string {
		if rapid.IntRange(0, 9).Draw(t, label+"?") < 8 {
			return usual
		}
		return rapid.SampledFrom(others).Draw(t, label)
	}
	c := copied{
		account:    mostly("account", "there", "", "here", "blocked", "below blocked", "beside blocked", "spared", "dead", "dead host", "suspended"),
		remoteURL:  mostly("remote_url", "https://cdn.example/a.png", "", " \t", "https://dead.example/a.png"),
		file:       mostly("file", "a.png", "-", "", "ä '\" \\.png"),
		thumbnail:  rapid.Bool().Draw(t, "thumbnail"),
		post:       mostly("post", "posted", "", "discarded"),
		processing: map[string]int{"2": 2, "NULL": -1, "0": 0, "1": 1, "3": 3}[mostly("processing", "2", "NULL", "0", "1", "3")],
		created:    map[string]time.Duration{"old": -time.Microsecond, "young": 0}[mostly("created_at", "old", "young")],
		updated:    map[string]time.Duration{"old": -time.Hour, "young": time.Hour}[mostly("updated_at", "old", "young")],
	}
	if c.post == "" {
		return c
	}
	for _, touch := range touches {
		if rapid.IntRange(0, 14).Draw(t, touch.name) == 0 && (version >= "4.4" || touch.keep != mastodon.KeepQuoted) {
			c.touches = append(c.touches, touch.name)
		}
	}
	return c
}

func attachments(ids ...int64) map[media.Class][]int64 {
	return map[media.Class][]int64{media.MediaAttachments: ids}
}
