package mastodon_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"example.org/mediamove/mastodon"
)

func TestCountsNewestIdentity(t *testing.T) {
	t.Parallel()
	in := shared.Cluster(t).Create(t, "4.6")
	d := open(t, in)
	at := time.UnixMilli(1_700_000_000_123).UTC()
	if newest, err := d.Newest(t.Context()); err != nil || !newest.IsZero() {
		t.Errorf("no rows at all: %v, %v", newest, err)
	}
	snowflake := func(at time.Time) int64 { return at.UnixMilli()<<16 | 0xffff }
	in.Exec(t, `INSERT INTO accounts (id, username, domain, created_at, updated_at) VALUES (-99, 'example.com', NULL, now(), now()), (7, 'a', NULL, now(), now())`)
	if newest, err := d.Newest(t.Context()); err != nil || !newest.IsZero() {
		t.Errorf("serial ids tell no time: %v, %v", newest, err)
	}
	in.Exec(t, `INSERT INTO accounts (id, username, domain, created_at, updated_at) VALUES ($1, 'b', 'x', now(), now())`, snowflake(at.Add(-time.Hour)))
	in.Exec(t, `INSERT INTO media_attachments (id, created_at, updated_at) VALUES ($1, now(), now())`, snowflake(at.Add(-time.Minute)))
	if newest, err := d.Newest(t.Context()); err != nil || !newest.Equal(at.Add(-time.Minute)) {
		t.Errorf("media are newest: %v, %v", newest, err)
	}
	in.Exec(t, `INSERT INTO statuses (id, account_id, created_at, updated_at) VALUES ($1, 7, now(), now())`, snowflake(at))
	if newest, err := d.Newest(t.Context()); err != nil || !newest.Equal(at) {
		t.Errorf("a status is newest: %v, %v", newest, err)
	}
	a, err := open(t, look(t)).Identity(t.Context())
	if err != nil || len(a.System) < 15 || strings.Trim(a.System, "0123456789") != "" || a.Name != look(t).Name || a.Domain != "example.com" {
		t.Errorf("%+v, %v", a, err)
	}
	b, err := d.Identity(t.Context())
	if err != nil || b.System != a.System || b.Hash() == a.Hash() || len(a.Hash()) != 64 {
		t.Errorf("%+v, %v", b, err)
	}
	want := map[string]int64{"accounts": 3, "media_attachments": 1, "custom_emojis": 0, "preview_cards": 0, "preview_card_providers": 0, "site_uploads": 0}
	if counts, err := d.Counts(t.Context()); err != nil || !maps.Equal(counts, want) {
		t.Errorf("%v, %v", counts, err)
	}
}

// The hash of one identity is written down: marks in buckets hold it.
func TestIdentityHash(t *testing.T) {
	t.Parallel()
	const want = "63a27a2922a53efa848148d5330dcf77634d2c43c55ead5f4e1d1a165e45ddcd" // printf %s | sha256sum agrees
	if got := (mastodon.Identity{System: "7309872130987", Name: "mastodon_production", Domain: "example.com"}).Hash(); got != want {
		t.Errorf("hash %s", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.StringMatching(`[0-9:\n]{0,4}`)
		draw := func(label string) mastodon.Identity {
			return mastodon.Identity{System: part.Draw(t, label), Name: part.Draw(t, label), Domain: part.Draw(t, label)}
		}
		a, b := draw("a"), draw("b")
		if (a == b) != (a.Hash() == b.Hash()) {
			t.Fatalf("%q and %q", a, b)
		}
	})
}
