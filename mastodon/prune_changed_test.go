package mastodon_test

import (
	"testing"
	"time"

	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
)

// changed: from that time on a row is as old as a rule wants, and not an instant before.
func changed(t *testing.T, c *cache) {
	d := open(t, c.With(map[string]string{"DB_USER": "mediamove_read"}))
	ask := func(class media.Class, id int64, want time.Time) {
		t.Helper()
		if at, err := d.Changed(t.Context(), class, id); err != nil || !at.Equal(want) {
			t.Errorf("%s %d: %v, want %v, %v", class, id, at, want, err)
		}
	}
	young := func(class media.Class, id int64, before time.Time) bool {
		t.Helper()
		fates, err := d.Fates(t.Context(), mastodon.PruneRule{Before: before, CardsBefore: before}, map[media.Class][]int64{class: {id}})
		if err != nil {
			t.Fatal(err)
		}
		return fates[class][id].Keep == mastodon.KeepYoung
	}
	x := old()
	for _, updated := range []time.Duration{-72 * time.Hour, -time.Hour} {
		x.created, x.updated = -48*time.Hour, updated
		id, err := c.add(t.Context(), x)
		if err != nil {
			t.Fatal(err)
		}
		at := pruneRule.Before.Add(max(x.created, updated))
		ask(media.MediaAttachments, id, at)
		if !young(media.MediaAttachments, id, at) || young(media.MediaAttachments, id, at.Add(time.Microsecond)) {
			t.Errorf("%v is not the time", at)
		}
	}
	c.Exec(t, `INSERT INTO preview_cards (id, url, image_file_name, created_at, updated_at) VALUES (3001, '3001', 'a.png', now(), $1)`, pruneRule.CardsBefore)
	ask(media.PreviewCards, 3001, pruneRule.CardsBefore)
	if !young(media.PreviewCards, 3001, pruneRule.CardsBefore) {
		t.Error("a card is not young")
	}
	ask(media.PreviewCards, 3002, time.Time{})
	if _, err := d.Changed(t.Context(), media.Accounts, 1); err == nil {
		t.Error("an account is pruned")
	}
}
