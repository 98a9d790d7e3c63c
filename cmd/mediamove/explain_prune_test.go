package main

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"example.org/mediamove/fixtures/instance"
	"example.org/mediamove/media"
)

// plantRow adds one attachment that the test knows all about.
func (c *cached) plantRow(id int64, columns map[string]string) media.Key {
	c.t.Helper()
	row := map[string]string{
		"id": itoa(id), "account_id": "(SELECT min(id) FROM accounts WHERE domain = 'far.example')", "status_id": itoa(id), "remote_url": "'https://far.example/a'",
		"type": "0", "processing": "2", "file_file_name": "'a.png'", "file_content_type": "'image/png'", "file_file_size": "1200000",
		"created_at": "'" + longAgo().Format(time.DateTime) + "'", "updated_at": "'" + longAgo().Add(24*time.Hour).Format(time.DateTime) + "'",
	}
	maps.Copy(row, columns)
	var names, values []string
	for name, value := range row {
		names, values = append(names, name), append(values, value)
	}
	c.db.Exec(c.t, "INSERT INTO accounts (id, username, domain, created_at, updated_at) VALUES (7001, 'far', 'far.example', now(), now()) ON CONFLICT DO NOTHING")
	c.db.Exec(c.t, fmt.Sprintf("INSERT INTO statuses (id, account_id, uri, local, created_at, updated_at) VALUES (%d, %s, 'https://far.example/%d', false, now(), now())", id, row["account_id"], id))
	c.db.Exec(c.t, "INSERT INTO media_attachments ("+strings.Join(names, ", ")+") VALUES ("+strings.Join(values, ", ")+")")
	return media.Path{Cached: true, Class: media.MediaAttachments, Attachment: "files", ID: id, Style: "original", Name: "a.png"}.Key()
}

// longAgo is when the planted rows were fetched: too long ago to be young, at noon.
func longAgo() time.Time {
	return time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -140).Add(12 * time.Hour)
}

// Explain answers for one object what prune would do with it, by the database's own word.
func TestExplainPrune(t *testing.T) {
	t.Parallel()
	c := &cached{newLiving(t, instance.Small(81, "4.6"), 0)}
	c.db.Exec(t, "INSERT INTO accounts (id, username, created_at, updated_at) VALUES (7002, 'here', now(), now())")
	c.db.Exec(t, "INSERT INTO preview_cards (id, url, image_file_name, image_content_type, image_file_size, created_at, updated_at) VALUES (7003, 'u', 'a.png', 'image/png', 900, now(), '"+longAgo().Format(time.DateTime)+"')")
	monday := longAgo().AddDate(0, 0, -int(longAgo().Weekday()+6)%7).Format(time.DateOnly)
	young := time.Now().UTC().Truncate(time.Second).Add(-24 * time.Hour)
	liked := c.plantRow(8002, nil)
	c.db.Exec(t, "INSERT INTO favourites (account_id, status_id, created_at, updated_at) VALUES (7002, 8002, now(), now())")
	stamp := "'" + young.Format(time.DateTime) + "'"
	for key, want := range map[media.Key]prospectJSON{
		c.plantRow(8001, nil): {Verdict: "may go", Words: "before it go remote attachments of weeks before that of " + monday + ", and of its own week larger ones (its row says 1.2 MB)", Week: monday},
		media.Path{Cached: true, Class: media.PreviewCards, Attachment: "images", ID: 7003, Style: "original", Name: "a.png"}.Key(): {
			Verdict: "may go", Words: "before it go all attachments that may go, then remote preview cards of weeks before that of " + monday, Week: monday,
		},
		liked: {Verdict: "stays", Reason: "favourited", Words: "a local user favourited the post", Week: monday},
		c.plantRow(8003, map[string]string{"updated_at": stamp}):      {Verdict: "stays", Reason: "young", Words: "too young until " + young.Add(7*24*time.Hour).Format(time.RFC3339), Week: monday},
		c.plantRow(8004, map[string]string{"remote_url": "''"}):       {Verdict: "stays", Reason: "local", Words: "this instance's own"},
		c.plantRow(8005, map[string]string{"file_file_name": "NULL"}): {Verdict: "orphan", Reason: "attachment cleared", Words: "no row owns it"},
		"cache/accounts/avatars/000/007/001/original/a.png":           {Verdict: "orphan", Reason: "file name changed", Words: "no row owns it"},
		"cache/media_attachments/files/000/009/999/original/a.png":    {Verdict: "orphan", Reason: "row gone", Words: "no cache goes in its place"},
		"backups/dumps/000/000/001/original/a.zip":                    {Verdict: "stays", Words: "archives and imports are never touched"},
	} {
		if strings.HasPrefix(string(key), "cache/accounts") {
			c.db.Exec(t, "UPDATE accounts SET avatar_file_name = 'b.png' WHERE id = 7001")
		}
		var s story
		decode(t, c.clean("explain", "--json", string(key)), exitOK, &s)
		p := s.Prune
		if p == nil || p.Verdict != want.Verdict || want.Reason != "" && p.Reason != want.Reason || !strings.Contains(p.Words, want.Words) || p.Week != want.Week {
			t.Errorf("%s: %+v, want %+v", key, p, want)
			continue
		}
		if (p.Since == nil) != (want.Week == "") || (p.Bytes == nil) != (want.Week == "") || (p.Until != nil) != (want.Reason == "young") {
			t.Errorf("%s: %+v", key, p)
		}
		if r := c.clean("explain", string(key)); r.code != exitOK || !strings.Contains(r.stdout, p.Words) {
			t.Errorf("%s: %v", key, r)
		}
	}
	avatar := "cache/accounts/avatars/000/007/001/original/b.png"
	var s story
	decode(t, c.clean("explain", "--json", avatar), exitOK, &s)
	if s.Prune.Reason != "does not come back" {
		t.Errorf("%+v", s.Prune)
	}
	if r := c.clean("explain", "--min-age", "1h", string(liked)); r.code != exitUsage {
		t.Error(r)
	}
}

// Without settings it says how to ask; a database that is down takes nothing else away.
func TestExplainUnasked(t *testing.T) {
	t.Parallel()
	c := &cached{newLiving(t, instance.Small(82, "4.6"), 0)}
	env := c.env
	key := string(c.plantRow(8001, nil))
	c.env = nil
	if r := c.clean("explain", key); r.code != exitLeft || !strings.Contains(r.stdout, "media_attachments id 8001") || strings.Count(r.stdout, "--env-file") != 1 || r.stderr != "" {
		t.Error(r)
	}
	c.env = env
	c.set("DB_HOST", "127.0.0.1")
	c.set("DB_PORT", "1")
	if r := c.clean("explain", key); r.code == exitOK || r.code == exitLeft || !strings.Contains(r.stdout, "media_attachments id 8001") || !strings.Contains(r.stderr, "hint: ") {
		t.Error(r)
	}
}

// What prune did to a row is told with every key of the row.
func TestExplainCleared(t *testing.T) {
	t.Parallel()
	c := newCached(t, instance.Small(83, "4.6"), 0)
	before := c.stands()
	out := c.prune(exitOK, append([]string{"--apply"}, c.some(10)...)...)
	gone := missing(before, c.stands())
	var s story
	decode(t, c.clean("explain", "--json", gone[0]), exitOK, &s)
	if len(s.Clearings) != 1 || s.Clearings[0].Run != out.Run || s.Clearings[0].State != "done" || s.Clearings[0].Ended == nil || s.Prune.Verdict != "orphan" {
		t.Errorf("%+v", s)
	}
	r := c.clean("explain", gone[0])
	if r.code != exitOK || !strings.Contains(r.stdout, fmt.Sprintf("prune, run %d, ", out.Run)) || !strings.Contains(r.stdout, "its objects dealt with") {
		t.Error(r)
	}
	if rows := c.ordered(pruneAge); len(rows) > 0 {
		s = story{}
		decode(t, c.clean("explain", "--json", rows[0].objects[0].Key), exitOK, &s)
		if s.Prune.Verdict != "may go" || !s.Prune.Since.Equal(rows[0].since) || *s.Prune.Bytes != rows[0].bytes {
			t.Errorf("%+v, want %+v", s.Prune, rows[0])
		}
	}
}
