package cleanup_test

import (
	"context"
	"testing"
	"time"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
)

// An asked database counts the questions.
type asked struct {
	*memoryDB
	fates
	questions int
	changed   time.Time
}

func (a *asked) Rows(ctx context.Context, ids map[media.Class][]int64) (mastodon.Rows, error) {
	a.questions++
	return a.memoryDB.Rows(ctx, ids)
}

func (a *asked) Fates(ctx context.Context, rule mastodon.PruneRule, ids map[media.Class][]int64) (map[media.Class]map[int64]mastodon.Fate, error) {
	a.questions++
	return a.fates.Fates(ctx, rule, ids)
}

func (a *asked) Changed(context.Context, media.Class, int64) (time.Time, error) {
	a.questions++
	return a.changed, nil
}

// Every kind of object has its answer, after three questions at most.
func TestProspect(t *testing.T) {
	t.Parallel()
	l, w := begunRows(t, ledger.ClearIntent, ledger.ClearCleared, ledger.ClearDone)
	file := func(id int64) media.Key {
		return media.Path{Cached: true, Class: media.MediaAttachments, Attachment: "files", ID: id, Style: "original", Name: "a.png"}.Key()
	}
	card := media.Path{Cached: true, Class: media.PreviewCards, Attachment: "images", ID: 9, Style: "original", Name: "a.png"}.Key()
	emoji := media.Path{Cached: true, Class: media.CustomEmojis, Attachment: "images", ID: 5, Style: "original", Name: "a.png"}.Key()
	since := time.Date(2026, 8, 5, 11, 0, 0, 0, time.UTC) // a Wednesday
	for id := int64(11); id <= 13; id++ {
		w.db.put(file(id), true)
	}
	w.db.put(file(14), false)
	w.db.put(file(15), true) // gone at the second question
	w.db.put(avatar(5), true)
	w.db.put(emoji, true)
	w.db.put(card, true)
	busy := media.Row{Class: media.MediaAttachments, ID: 16, Remote: true, Busy: true, Files: []media.Filed{{Attachment: "files"}}}
	w.db.rows[media.MediaAttachments][16] = busy
	for id, keep := range map[int64]mastodon.Keep{11: "", 12: mastodon.KeepFavourited, 13: mastodon.KeepYoung} {
		w.fates[media.MediaAttachments][id] = mastodon.Fate{ID: id, Class: media.MediaAttachments, Since: since, Bytes: 7, Keep: keep}
	}
	w.fates[media.PreviewCards][9] = mastodon.Fate{ID: 9, Class: media.PreviewCards, Since: since, Bytes: 8, Keep: mastodon.KeepYoung}
	rule := mastodon.PruneRule{Before: noon.AddDate(0, 0, -7), CardsBefore: noon.AddDate(0, 0, -30)}
	of := func(id int64, verdict cleanup.ProspectVerdict, reason mastodon.Keep) cleanup.Prospect {
		return cleanup.Prospect{
			Verdict: verdict, Reason: string(reason), Class: media.MediaAttachments, ID: id, Since: since, Bytes: 7,
			Week: time.Date(2026, 8, 3, 0, 0, 0, 0, time.UTC),
		}
	}
	young := of(13, cleanup.ProspectStays, mastodon.KeepYoung)
	young.Until = noon.AddDate(0, 0, 7)
	youngCard := of(9, cleanup.ProspectStays, mastodon.KeepYoung)
	youngCard.Class, youngCard.Bytes, youngCard.Until = media.PreviewCards, 8, noon.AddDate(0, 0, 30)
	stays := func(reason string) cleanup.Prospect {
		return cleanup.Prospect{Verdict: cleanup.ProspectStays, Reason: reason}
	}
	orphan := func(reason media.Reason) cleanup.Prospect {
		return cleanup.Prospect{Verdict: cleanup.ProspectOrphan, Reason: string(reason)}
	}
	for key, want := range map[media.Key]cleanup.Prospect{
		file(11): of(11, cleanup.ProspectMayGo, ""),
		file(12): of(12, cleanup.ProspectStays, mastodon.KeepFavourited),
		file(13): young,
		card:     youngCard,
		file(14): stays("local"), avatar(5): stays("does not come back"), emoji: stays("does not come back"),
		file(15): orphan(media.RowGone), file(99): orphan(media.RowGone), file(3): orphan(media.Cleared),
		file(1):  {Verdict: cleanup.ProspectCleared},
		file(2):  {Verdict: cleanup.ProspectCleared},
		file(16): stays("nobody's, beside a local row"),

		".mediamove/owner.json": stays("mediamove's own"), "robots.txt": stays("not a path of Mastodon's"), "": stays("not a path of Mastodon's"),
		"backups/dumps/000/000/001/original/a.zip":                        stays("private: archives and imports are never touched"),
		"cache/media_attachments/files/000/000/011/medium/a.png":          stays(string(media.Unfamiliar)),
		"cache/media_attachments/files/000/000/011/original/e\u0301.png":  stays("not in Unicode's normal form: its neighbour could be hit"),
		"cache/media_attachments/files/000/000/011/original/another.jpeg": orphan(media.NameChanged),
	} {
		db := &asked{memoryDB: w.db, fates: w.fates, changed: noon}
		q := cleanup.Inquiry{DB: db, Clearings: l, Rule: rule, Now: noon}
		got, err := q.Ask(t.Context(), key)
		must(t, err)
		if got != want || db.questions > 3 {
			t.Errorf("%q, %d questions:\n%+v, want\n%+v", key, db.questions, got, want)
		}
	}
	q := cleanup.Inquiry{DB: &asked{memoryDB: w.db, fates: w.fates}, Clearings: l, Rule: rule, Now: noon}
	got, err := q.Ask(t.Context(), file(13)) // a row without dates never gets old enough
	if young.Until = (time.Time{}); err != nil || got != young {
		t.Errorf("%+v, %v", got, err)
	}
	q.Classes = []media.Class{media.Accounts}
	if got, err = q.Ask(t.Context(), file(11)); err != nil || got != stays("the database has no table for it") {
		t.Errorf("%+v, %v", got, err)
	}
}
