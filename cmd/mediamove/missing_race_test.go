package main

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/media"
)

// meanwhile lets something happen after the look, right before the first effect: the mark
// is read then, for the second time.
func (l *living) meanwhile(f func()) {
	var reads atomic.Int64
	l.bucket.SetFault(func(r fixtures.Request) fixtures.Fault {
		if r.Op == costs.GetObject && media.Key(r.Key).Reserved() && reads.Add(1) == 2 {
			f()
		}
		return fixtures.Fault{}
	})
}

// Between look and effect people go on: what was suspended, removed by a moderator, deleted
// or replaced is not put back, neither from disk nor from the trash.
func TestMissingHealMeanwhile(t *testing.T) {
	t.Parallel()
	c, _, _ := newBereft(t, 66)
	suspended := c.rowsOf("SELECT m.id FROM media_attachments m JOIN accounts a ON a.id = m.account_id WHERE a.domain IS NULL AND m.file_file_name <> '' AND m.processing > 1 ORDER BY m.id LIMIT 6")
	var keys []media.Key
	for k := range c.objects {
		if p, err := media.Parse(k); err == nil && p.Class == media.MediaAttachments && slices.Contains(suspended, p.ID) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	c.db.Exec(t, fmt.Sprintf("UPDATE accounts SET suspended_at = now() WHERE id IN (SELECT account_id FROM media_attachments WHERE id IN (%s))", idList(suspended)))
	c.missing(exitLeft, "--withdraw")
	c.db.Exec(t, "UPDATE accounts SET suspended_at = NULL")
	inTrash := c.missing(exitLeft, c.root)
	fromDisk, fromTrash := byID(c.losses(cleanup.OnDisk)), byID(c.losses(cleanup.InTrash))
	if len(fromDisk) < 8 || len(fromTrash) < 4 {
		t.Fatalf("%d on disk, %d in the trash: %+v", len(fromDisk), len(fromTrash), inTrash)
	}
	var hit, spared []media.Key
	var sql []string
	for _, rows := range []map[int64][]media.Key{fromDisk, fromTrash} {
		for i, id := range sortedIDs(rows) {
			switch i {
			case 0:
				sql = append(sql, "DELETE FROM media_attachments WHERE id = "+itoa(id))
			case 1:
				sql = append(sql, "UPDATE media_attachments SET file_file_name = 'other.jpeg' WHERE id = "+itoa(id))
			case 2:
				sql = append(sql, "UPDATE statuses SET deleted_at = now() WHERE id = (SELECT status_id FROM media_attachments WHERE id = "+itoa(id)+")")
			default:
				spared = append(spared, rows[id]...)
				continue
			}
			hit = append(hit, rows[id]...)
		}
	}
	before := c.stands()
	c.meanwhile(func() { c.db.Exec(t, strings.Join(sql, "; ")) })
	out := c.missing(exitLeft, "--heal", c.root)
	c.bucket.SetFault(nil)
	if out.Healed.NotBack[cleanup.Unnamed] == 0 {
		t.Errorf("%+v", out.Healed)
	}
	shown := map[int64]bool{}
	for _, id := range c.rowsOf("SELECT m.id FROM media_attachments m LEFT JOIN statuses s ON s.id = m.status_id WHERE s.deleted_at IS NULL") {
		shown[id] = true
	}
	after := c.stands()
	for _, k := range hit {
		if _, ok := after[media.Normal(string(k))]; ok {
			t.Errorf("%s came back", k)
		}
	}
	for _, k := range spared {
		p, _ := media.Parse(k)
		if _, ok := after[media.Normal(string(k))]; ok != shown[p.ID] {
			t.Errorf("%s: back %t, shown %t", k, ok, shown[p.ID])
		}
	}
	if len(missing(before, after)) > 0 {
		t.Error("healing removed something")
	}
}

// Between look and effect a row is fetched again, or its account is shown again: it is not
// cleared, and nothing of it goes.
func TestMissingClearMeanwhile(t *testing.T) {
	t.Parallel()
	c, _, nowhere := newBereft(t, 67)
	c.db.Exec(t, "DELETE FROM unavailable_domains; DELETE FROM domain_blocks")
	var ids []int64
	for _, k := range nowhere {
		p, _ := media.Parse(k)
		ids = append(ids, p.ID)
	}
	account := c.rowsOf("SELECT min(account_id) FROM media_attachments WHERE remote_url = '' AND account_id IS NOT NULL")[0]
	c.db.Exec(t, "UPDATE accounts SET suspended_at = now() WHERE id = "+itoa(account))
	before := c.stands()
	c.meanwhile(func() {
		c.db.Exec(t, fmt.Sprintf(`UPDATE media_attachments SET file_file_name = 'new.jpeg', file_updated_at = now() WHERE id = %d;
			UPDATE media_attachments SET file_updated_at = file_updated_at + interval '1 microsecond' WHERE id = %d;
			DELETE FROM media_attachments WHERE id = %d; UPDATE accounts SET suspended_at = NULL`, ids[0], ids[1], ids[2]))
	})
	out := c.missing(exitLeft, "--null-remote", "--allow-share", "100", "--withdraw", c.root)
	c.bucket.SetFault(nil)
	cleared := c.rowsOf(fmt.Sprintf("SELECT id FROM media_attachments WHERE file_file_name IS NULL AND id IN (%s) ORDER BY id", idList(ids)))
	// The row whose time alone changed was read again before it was cleared, and still names
	// the lost file: it may go. What names another file, or is gone, may not.
	if slices.Contains(cleared, ids[0]) || int64(len(cleared)) != out.Nulled.Rows || out.Nulled.Rows < 5 || out.Nulled.Skipped == 0 {
		t.Errorf("%d were cleared: %+v", cleared, out.Nulled)
	}
	if gone := missing(before, c.stands()); len(gone) > 0 || out.Withdrawn.Objects != 0 || out.Withdrawn.Kept[cleanup.KeptShown] == 0 {
		t.Errorf("%q were withdrawn: %+v", gone, out.Withdrawn)
	}
}

// losses are the keys that --list calls lost, of one source.
func (c *cached) losses(s cleanup.Source) (keys []media.Key) {
	c.t.Helper()
	l := losing{cached: c}
	got, _ := l.listed(c.root)
	for k, what := range got {
		if what.source == s {
			keys = append(keys, k)
		}
	}
	return keys
}

func byID(keys []media.Key) map[int64][]media.Key {
	m := map[int64][]media.Key{}
	for _, k := range keys {
		if p, err := media.Parse(k); err == nil && p.Class == media.MediaAttachments {
			m[p.ID] = append(m[p.ID], k)
		}
	}
	return m
}

func sortedIDs(m map[int64][]media.Key) (ids []int64) {
	for id := range m {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func (c *cached) rowsOf(query string) (ids []int64) {
	c.t.Helper()
	var id int64
	c.each(query, nil, []any{&id}, func() { ids = append(ids, id) })
	return ids
}
