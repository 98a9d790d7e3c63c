package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/fixtures/instance"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

// Losses of every cause, in every class and style: exactly these are found, each with its
// owner, its cause and where it still is; what has a copy comes back as it was; and of the
// rest the rows are cleared whose original Mastodon fetches again.
func TestMissingPlanted(t *testing.T) {
	t.Parallel()
	for i, version := range []string{"4.2", "4.4", "4.6"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			l := newLosing(t, uint64(i)+90, version)
			l.beforeTheSwitch()
			l.atTheSwitch()
			l.byOrphans()
			l.byPrune()
			l.byWithdrawing()
			l.byNobody()
			l.later(5 * 24 * time.Hour)
			l.alive()
			l.asItShouldBe()
			l.covers()
			l.unchanged("looking", func() { l.reports(l.root) })
			l.counted()
			l.heals()
			l.reports(l.root)
			l.nulls()
		})
	}
}

// covers: every style was lost, and the common classes in every way.
func (l *losing) covers() {
	l.t.Helper()
	causes, styles := map[cleanup.Cause]int{}, map[string]int{}
	for k, w := range l.want {
		p, _ := media.Parse(k)
		causes[w.cause]++
		styles[fmt.Sprintf("%s/%s/%s", p.Class, p.Attachment, p.Style)]++
	}
	for group := range l.spare {
		_, style, _ := bytes.Cut([]byte(group), []byte("/"))
		if styles[string(style)] == 0 {
			l.t.Errorf("nothing of %s was lost", style)
		}
	}
	for _, c := range []cleanup.Cause{
		cleanup.CauseWithdrawn, cleanup.CauseRemoved, cleanup.CauseGone, cleanup.CauseHeld, cleanup.CauseFailed, cleanup.CauseLeft,
		cleanup.CauseMastodon, cleanup.CauseNever, cleanup.CauseBefore,
	} {
		if causes[c] < 5 {
			l.t.Errorf("%d objects were lost as %q", causes[c], c)
		}
	}
	l.t.Logf("%d losses: %v, %d styles", len(l.want), causes, len(styles))
}

// counted: the totals say what the list says.
func (l *losing) counted() {
	l.t.Helper()
	out := l.missing(exitLeft, l.root)
	want := map[string]int64{}
	local, remote := int64(0), int64(0)
	for k, w := range l.want {
		p, _ := media.Parse(k)
		want[fmt.Sprint(w.owner, p.Class, w.cause, w.source)]++
		if w.owner == "local" {
			local++
		} else {
			remote++
		}
	}
	got := map[string]int64{}
	for _, g := range out.Groups {
		got[fmt.Sprint(g.Owner, g.Class, g.Cause, g.Source)] = g.Objects
	}
	if d := cmp.Diff(want, got); d != "" || out.Local != local || out.Remote != remote || out.Missing != local+remote || out.Left != out.Missing || !out.Complete {
		l.t.Errorf("%s\n%+v", d, out)
	}
	if out.Absent < out.Missing || out.Unlisted != 0 || out.Meanwhile != 0 || out.Hidden == 0 || out.Busy == 0 {
		l.t.Errorf("%+v", out)
	}
}

// heals puts back what has a copy: the same bytes under the same headers. What is not what
// was moved is not sent, and what is hidden on disk is, for nobody is suspended.
func (l *losing) heals() {
	l.t.Helper()
	var healed, others []media.Key
	tampered := map[cleanup.Cause]bool{}
	for _, k := range slices.Sorted(maps.Keys(l.want)) {
		w := l.want[k]
		switch {
		case w.source == cleanup.Nowhere, w.source == cleanup.Unseen:
			others = append(others, k)
		case tampered[w.cause] || w.cause != cleanup.CauseGone && w.cause != cleanup.CauseRemoved:
			healed = append(healed, k)
		case w.cause == cleanup.CauseGone:
			tampered[w.cause] = true
			others = append(others, k)
			body, err := os.ReadFile(l.file(k))
			if err == nil {
				body[0] ^= 1
				err = os.WriteFile(l.file(k), body, 0o644)
			}
			if err != nil {
				l.t.Fatal(err)
			}
		default:
			tampered[w.cause] = true
			others = append(others, k)
			l.damage(itoa(w.run), media.Normal(string(k)))
		}
	}
	out := l.missing(exitLeft, "--heal", l.root)
	h := out.Healed
	if h == nil || h.Disk+h.Trash != int64(len(healed)) || h.There != 0 || out.Left != int64(len(others)) || len(h.NotBack) < 2 {
		l.t.Fatalf("%d are to be healed, %d are not: %+v, %+v", len(healed), len(others), out, h)
	}
	for _, k := range others {
		if _, ok := l.bucket.Object(string(k)); ok {
			l.t.Errorf("%s, %+v, is back", k, l.want[k])
		}
	}
	for _, k := range healed {
		l.healed(k)
		delete(l.want, k)
	}
	led := l.reader()
	defer led.Close()
	for r, err := range led.Removals(l.t.Context(), ledger.RemovalQuery{}) {
		_, there := l.bucket.Object(string(r.Key))
		if err != nil || there != (r.State == ledger.RemovalRestored) && r.State != ledger.RemovalKept || r.State == ledger.RemovalIntent {
			l.t.Errorf("in the bucket: %t; journal: %+v, %v", there, r, err)
		}
	}
}

// healed expects k as it was.
func (l *losing) healed(k media.Key) {
	l.t.Helper()
	at, _ := l.bucket.Object(string(k))
	body, _ := l.bucket.Body(string(k))
	if !bytes.Equal(body, instance.Body(l.objects[k])) {
		l.t.Errorf("%s, %+v, came back with %d bytes of %d", k, l.want[k], len(body), l.objects[k].Size)
	}
	switch l.want[k].cause {
	case cleanup.CauseGone, cleanup.CauseRemoved, cleanup.CauseWithdrawn:
	default: // it was not moved before: now it is as a sync sends it
		if at.ContentType == "" || at.CacheControl != "public, max-age=315576000, immutable" {
			l.t.Errorf("%s: %+v", k, at)
		}
		return
	}
	was := l.was[k]
	was.LastModified = at.LastModified
	if d := cmp.Diff(was, at, cmpopts.EquateEmpty()); d != "" {
		l.t.Errorf("%s, %+v: %s", k, l.want[k], d)
	}
}

// fetchable are the rows of other servers' attachments whose original is lost, and that
// Mastodon fetches again when somebody looks: in plain SQL.
func (l *losing) fetchable() map[int64]bool {
	l.t.Helper()
	shown := map[int64]bool{}
	var id int64
	l.each(`SELECT m.id FROM media_attachments m JOIN accounts a ON a.id = m.account_id JOIN statuses s ON s.id = m.status_id
		WHERE m.remote_url <> '' AND a.domain <> '' AND s.deleted_at IS NULL AND a.suspended_at IS NULL`, nil, []any{&id}, func() { shown[id] = true })
	rows := map[int64]bool{}
	for k, w := range l.want {
		p, _ := media.Parse(k)
		if p.Class == media.MediaAttachments && p.Attachment == "files" && p.Style == "original" && w.owner == "remote" && w.source == cleanup.Nowhere && shown[p.ID] {
			rows[p.ID] = true
		}
	}
	return rows
}

// pictures is every row that names a picture which is never cleared.
func (l *losing) pictures() (n [3]int64) {
	l.t.Helper()
	l.each(`SELECT (SELECT count(avatar_file_name) + count(header_file_name) FROM accounts), (SELECT count(image_file_name) FROM custom_emojis),
		(SELECT count(*) FROM media_attachments WHERE remote_url = '' AND file_file_name <> '')`, nil, []any{&n[0], &n[1], &n[2]}, func() {})
	return n
}

// nulls clears exactly the rows whose original nobody has, and takes that back.
func (l *losing) nulls() {
	l.t.Helper()
	l.db.Exec(l.t, "DELETE FROM unavailable_domains; DELETE FROM domain_blocks")
	rows, before, pictures := l.fetchable(), l.named(), l.pictures()
	l.intact("too large a share", func() {
		if r := l.clean("missing", "--null-remote", "--allow-share", "0.1"); r.code != exitRefused || !strings.Contains(r.stderr, "0.1 %") || !strings.Contains(r.stderr, "hint: ") {
			l.t.Error(r)
		}
	})
	stands := l.stands()
	out := l.missing(exitLeft, "--null-remote", "--allow-share", "50", l.root)
	after := l.named()
	for id, was := range before {
		var n int64
		class, _ := fmt.Sscanf(id, "m%d", &n)
		if is, named := after[id]; named == (class == 1 && rows[n]) || named && is != was {
			l.t.Errorf("row %s is %q and was %q; to be cleared: %t", id, is, was, rows[n])
		}
	}
	if gone := missing(stands, l.stands()); len(gone) > 0 || l.pictures() != pictures || len(rows) < 5 {
		l.t.Errorf("%d rows; %d objects are gone; %v, %v", len(rows), len(gone), l.pictures(), pictures)
	}
	left := 0
	for k := range l.want {
		if p, _ := media.Parse(k); p.Class != media.MediaAttachments || !rows[p.ID] {
			left++
		}
	}
	if out.Nulled.Rows != int64(len(rows)) || out.Left != int64(left) {
		l.t.Errorf("%d rows, %d losses are left: %+v, %+v", len(rows), left, out.Nulled, out)
	}
	l.journalled(out.Run, len(rows))
	if r := l.clean("undo", itoa(out.Run)); r.code != exitOK {
		l.t.Fatal(r)
	}
	if d := cmp.Diff(before, l.named()); d != "" {
		l.t.Error(d)
	}
	l.reports(l.root)
}

// journalled expects so many cleared rows of a run, each with its reason and its columns.
func (l *losing) journalled(run int64, rows int) {
	l.t.Helper()
	led := l.reader()
	defer led.Close()
	n := 0
	for c, err := range led.Clearings(l.t.Context(), ledger.ClearingQuery{Run: run}) {
		if err != nil {
			l.t.Fatal(err)
		}
		if c.State == ledger.ClearCleared {
			n++
		}
		if c.Reason != cleanup.LostOriginal || c.State == ledger.ClearIntent || c.Class != media.MediaAttachments || !strings.Contains(string(c.Columns), "file_file_name") {
			l.t.Errorf("%+v", c)
		}
	}
	if n != rows {
		l.t.Errorf("%d rows are journalled, want %d", n, rows)
	}
}
