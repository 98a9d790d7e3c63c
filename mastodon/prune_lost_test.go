package mastodon_test

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
)

// lostRule is pruneRule for files that are not there any more.
func lostRule() mastodon.PruneRule {
	rule := pruneRule
	rule.Lost = true
	return rule
}

// A lostCopy is one whose file has a time of its own: after the rule's.
type lostCopy struct {
	copied
	filed    time.Duration
	infinite bool
	unfiled  bool // NULL
}

// fate is the oracle: interactions are nothing, and the file's time is one of three.
func (x lostCopy) fate() mastodon.Keep {
	plain := x.copied
	plain.touches = nil
	keep := plain.fate()
	young := !x.unfiled && (x.infinite || x.filed >= 0)
	if after := []mastodon.Keep{"", mastodon.KeepOriginGone, mastodon.KeepDiscarded, mastodon.KeepSuspended}; young && slices.Contains(after, keep) {
		return mastodon.KeepYoung
	}
	return keep
}

func (c *cache) addLost(ctx context.Context, x lostCopy) (int64, error) {
	id, err := c.add(ctx, x.copied)
	if err != nil {
		return 0, err
	}
	var at any = pruneRule.Before.Add(x.filed)
	switch {
	case x.unfiled:
		at = nil
	case x.infinite:
		at = "infinity"
	}
	_, err = c.conn.Exec(ctx, "UPDATE media_attachments SET file_updated_at = $2 WHERE id = $1", id, at)
	return id, err
}

func drawsLost(rt *rapid.T, version string) lostCopy {
	filed := rapid.IntRange(0, 9).Draw(rt, "file_updated_at")
	return lostCopy{copied: draws(rt, version), filed: map[int]time.Duration{0: 0, 1: time.Hour, 2: -time.Microsecond}[filed] - map[bool]time.Duration{true: time.Hour}[filed > 4], unfiled: filed == 3, infinite: filed == 4}
}

// testLost is run for every version: whatever a row is, what is said of it is what the
// oracle says, and exactly those that may go are cleared, whoever asks for all of them.
func testLost(t *testing.T, c *cache) {
	owner, prune := open(t, c.Instance), open(t, c.With(map[string]string{"DB_USER": "mediamove_prune"}))
	reading := open(t, c.With(map[string]string{"DB_USER": "mediamove_read"}))
	rapid.Check(t, func(rt *rapid.T) {
		d := owner
		if rapid.Bool().Draw(rt, "role") {
			d = prune
		}
		ctx, want, free := t.Context(), map[int64]mastodon.Keep{}, []int64{}
		for range 12 {
			x := drawsLost(rt, c.Version)
			id, err := c.addLost(ctx, x)
			if err != nil {
				rt.Fatal(err)
			}
			if want[id] = x.fate(); want[id] == "" {
				free = append(free, id)
			}
		}
		ids := slices.Sorted(maps.Keys(want))
		fates, err := reading.Fates(ctx, lostRule(), attachments(ids...))
		got := map[int64]mastodon.Keep{}
		for id, f := range fates[media.MediaAttachments] {
			got[id] = f.Keep
		}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			rt.Fatalf("%v\n%s", err, diff)
		}
		before := everything(rt, c.conn, ids)
		rows, err := d.Snapshot(ctx, attachments(ids...))
		if err != nil || len(rows) != len(ids) {
			rt.Fatal(rows, err)
		}
		cleared, err := d.Clear(ctx, lostRule(), media.MediaAttachments, rows)
		if slices.Sort(cleared); err != nil || !slices.Equal(cleared, free) {
			rt.Fatalf("cleared %v of %v, %v", cleared, free, err)
		}
		for i, now := range everything(rt, c.conn, ids) {
			if changed := maps.Equal(now, before[i]); changed == slices.Contains(free, ids[i]) {
				rt.Fatalf("%v was %v", now, before[i])
			}
		}
		for _, row := range rows {
			if !slices.Contains(free, row.ID) {
				continue
			}
			if ok, err := d.Restore(ctx, row); !ok || err != nil {
				rt.Fatalf("restored: %v, %v", ok, err)
			}
		}
		if diff := cmp.Diff(before, everything(rt, c.conn, ids)); diff != "" {
			rt.Fatal(diff)
		}
	})
}

// lose makes n lost copies in a database that others use as well.
func lose(t *testing.T, n int) (*cache, []int64) {
	t.Helper()
	c, ids := seed(t, n)
	c.Exec(t, "UPDATE media_attachments SET file_updated_at = '2025-05-05 05:05:05.123456' WHERE id = ANY ($1)", ids)
	return c, ids
}

// What has happened between the snapshot and the UPDATE is respected, but for what
// local users did: the columns are of no use to them.
func TestClearLostAfterChange(t *testing.T) {
	t.Parallel()
	keeps := []string{
		"UPDATE media_attachments SET file_file_name = 'again.png' WHERE id = $1",
		"UPDATE media_attachments SET file_updated_at = file_updated_at + interval '1 microsecond' WHERE id = $1",
		"UPDATE media_attachments SET file_updated_at = file_updated_at - interval '1 microsecond' WHERE id = $1",
		"UPDATE media_attachments SET file_updated_at = NULL WHERE id = $1",
		"UPDATE media_attachments SET file_updated_at = now() WHERE id = $1",
		"UPDATE media_attachments SET file_updated_at = 'infinity' WHERE id = $1",
		"UPDATE media_attachments SET thumbnail_file_name = 'new.jpeg' WHERE id = $1",
		"UPDATE media_attachments SET processing = 1 WHERE id = $1",
		"UPDATE media_attachments SET remote_url = '' WHERE id = $1",
		"UPDATE media_attachments SET account_id = NULL WHERE id = $1",
		"UPDATE media_attachments SET account_id = (SELECT id FROM accounts WHERE username = 'here') WHERE id = $1",
		"UPDATE media_attachments SET account_id = (SELECT id FROM accounts WHERE username = 'suspended') WHERE id = $1",
		"UPDATE media_attachments SET account_id = (SELECT id FROM accounts WHERE username = 'blocked') WHERE id = $1",
		"UPDATE media_attachments SET status_id = NULL WHERE id = $1",
		"UPDATE media_attachments SET created_at = now() WHERE id = $1",
		"UPDATE media_attachments SET updated_at = now() WHERE id = $1",
		"UPDATE statuses SET deleted_at = now() WHERE id = $1",
		"DELETE FROM media_attachments WHERE id = $1",
	}
	goes := []string{
		"INSERT INTO favourites (status_id, account_id, created_at, updated_at) SELECT $1, id, now(), now() FROM accounts WHERE username = 'here'",
		"INSERT INTO bookmarks (status_id, account_id, created_at, updated_at) SELECT $1, id, now(), now() FROM accounts WHERE username = 'here'",
		"UPDATE media_attachments SET description = 'x', file_content_type = 'image/jpeg' WHERE id = $1",
	}
	c, ids := lose(t, len(keeps)+len(goes))
	d := open(t, c.Instance)
	rows := snapshot(t, d, ids...)
	for i, sql := range append(keeps, goes...) {
		c.Exec(t, sql, ids[i])
	}
	cleared, err := d.Clear(t.Context(), lostRule(), media.MediaAttachments, rows)
	if slices.Sort(cleared); err != nil || !slices.Equal(cleared, ids[len(keeps):]) {
		t.Errorf("%v of %v, %v", cleared, ids, err)
	}
	if again, err := d.Clear(t.Context(), lostRule(), media.MediaAttachments, rows); err != nil || len(again) != 0 {
		t.Errorf("a second time: %v, %v", again, err)
	}
}

// The time of a file that was not noted is no time that was noted since.
func TestClearLostUnfiled(t *testing.T) {
	t.Parallel()
	c, ids := seed(t, 2)
	c.Exec(t, "UPDATE media_attachments SET file_updated_at = NULL WHERE id = ANY ($1)", ids)
	d := open(t, c.Instance)
	rows := snapshot(t, d, ids...)
	c.Exec(t, "UPDATE media_attachments SET file_updated_at = '2025-01-01' WHERE id = $1", ids[0])
	cleared, err := d.Clear(t.Context(), lostRule(), media.MediaAttachments, rows)
	if err != nil || !slices.Equal(cleared, ids[1:]) {
		t.Errorf("%v of %v, %v", cleared, ids, err)
	}
}

// An account that is suspended while the UPDATE waits for its turn.
func TestClearLostSuspendedBetween(t *testing.T) {
	t.Parallel()
	c := newCache(t, shared.Cluster(t).Create(t, "4.6"))
	ids := c.fill(t, 3)
	c.Exec(t, "UPDATE media_attachments SET file_updated_at = '2025-05-05' WHERE id = ANY ($1)", ids)
	d := open(t, c.Instance)
	rows := snapshot(t, d, ids...)
	c.Exec(t, "UPDATE accounts SET suspended_at = now() WHERE id = $1", personID("there"))
	cleared, err := d.Clear(t.Context(), lostRule(), media.MediaAttachments, rows)
	if err != nil || len(cleared) != 0 {
		t.Errorf("%v, %v", cleared, err)
	}
	c.Exec(t, "UPDATE accounts SET suspended_at = NULL WHERE id = $1", personID("there"))
	tx, err := c.conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "UPDATE media_attachments SET file_file_name = 'again.png' WHERE id = $1", ids[0]); err != nil {
		t.Fatal(err)
	}
	cleared, err = d.Clear(t.Context(), lostRule(), media.MediaAttachments, rows) // somebody is fetching the first one
	if slices.Sort(cleared); err != nil || !slices.Equal(cleared, ids[1:]) {
		t.Errorf("%v of %v, %v", cleared, ids, err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Columns that somebody gave a time zone, read by sessions that live in another one
// and write dates in another way: the time of the file is the same to the microsecond.
func TestClearLostFarAway(t *testing.T) {
	t.Parallel()
	c := newCache(t, shared.Cluster(t).Create(t, "4.6"))
	ids := c.fill(t, 4)
	c.Exec(t, "UPDATE media_attachments SET file_updated_at = '2025-05-06 23:59:59.999999' WHERE id = ANY ($1)", ids[1:])
	for _, sql := range []string{
		"ALTER DATABASE CURRENT SET TimeZone = 'Asia/Tokyo'; ALTER DATABASE CURRENT SET DateStyle = 'German'",
		"SET TimeZone = 'UTC'; ALTER TABLE media_attachments ALTER created_at TYPE timestamptz, ALTER updated_at TYPE timestamptz, ALTER file_updated_at TYPE timestamptz",
	} {
		change(t, c.Instance, sql)
		d := open(t, c.Instance)
		c.Exec(t, "UPDATE media_attachments SET file_updated_at = NULL WHERE id = $1", ids[0])
		rows := snapshot(t, d, ids...)
		c.Exec(t, "UPDATE media_attachments SET file_updated_at = file_updated_at + interval '1 microsecond' WHERE id = $1", ids[3])
		cleared, err := d.Clear(t.Context(), lostRule(), media.MediaAttachments, rows)
		if slices.Sort(cleared); err != nil || !slices.Equal(cleared, ids[:3]) {
			t.Errorf("%v of %v, %v", cleared, ids, err)
		}
		for _, row := range rows[:3] {
			if ok, err := d.Restore(t.Context(), row); !ok || err != nil {
				t.Errorf("%v, %v", ok, err)
			}
		}
		standing, err := d.Standing(t.Context(), attachments(ids...))
		if err != nil {
			t.Fatal(err)
		}
		for id, s := range standing[media.MediaAttachments] {
			if !s.Row.Changed.Equal(pruneRule.Before.Add(-time.Hour)) {
				t.Errorf("%d was changed %s", id, s.Row.Changed)
			}
		}
	}
}

// A card can't be fetched again; that its image is lost is no reason to clear it.
func TestLostIsOfAttachmentsOnly(t *testing.T) {
	t.Parallel()
	c, ids := lose(t, 1)
	d := open(t, c.Instance)
	rows := snapshot(t, d, ids...)
	for _, class := range []media.Class{media.PreviewCards, media.Accounts, media.CustomEmojis, media.SiteUploads} {
		if fates, err := d.Fates(t.Context(), lostRule(), map[media.Class][]int64{media.MediaAttachments: ids, class: {}}); err == nil {
			t.Errorf("%s: %v", class, fates)
		}
		for _, of := range [][]mastodon.Cleared{nil, rows} {
			if cleared, err := d.Clear(t.Context(), lostRule(), class, of); err == nil {
				t.Errorf("%s: %v", class, cleared)
			}
		}
	}
	if cleared, err := d.Clear(t.Context(), mastodon.PruneRule{Lost: true}, media.MediaAttachments, rows); err != nil || len(cleared) > 0 {
		t.Errorf("a rule without a time: %v, %v", cleared, err)
	}
	wrong := rows[0]
	wrong.Columns = []byte(`{"file_file_name":"a.png"}`)
	if cleared, err := d.Clear(t.Context(), lostRule(), media.MediaAttachments, []mastodon.Cleared{wrong}); err == nil {
		t.Errorf("%v", cleared)
	}
	if fates, err := d.Fates(t.Context(), mastodon.PruneRule{Lost: true}, attachments(ids...)); err != nil || fates[media.MediaAttachments][ids[0]].Keep != mastodon.KeepYoung {
		t.Errorf("a rule without a time: %v, %v", fates, err)
	}
}
