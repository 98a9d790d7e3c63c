package cleanup_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// everyKind has rows of every class, with every style that one can need.
func everyKind() []mastodon.Standing {
	file := func(attachment, name, mime string) media.Filed {
		return media.Filed{Attachment: attachment, Name: name, ContentType: mime, Schema: 1, Size: 500}
	}
	local := func(s mastodon.Standing) mastodon.Standing {
		s.Row.Remote = false
		return s
	}
	site := func(id int64, variable string) mastodon.Standing {
		f := file("files", "s.png", "image/png")
		f.Blurhash = true
		s := aRow(media.SiteUploads, id, f)
		s.Row.Var = variable
		return s
	}
	return []mastodon.Standing{
		pictured(1, "a.jpeg"), local(pictured(2, "b.jpeg")),
		aRow(media.MediaAttachments, 3, file("files", "c.mp4", "video/mp4"), file("thumbnails", "", "")),
		local(aRow(media.MediaAttachments, 4, file("files", "d.mp3", "audio/mpeg"), file("thumbnails", "d.jpeg", "image/jpeg"))),
		aRow(media.MediaAttachments, 5, file("files", "", ""), file("thumbnails", "", "")),
		aRow(media.Accounts, 1, file("avatars", "a.gif", "image/gif"), file("headers", "h.png", "image/png")),
		local(aRow(media.Accounts, 2, file("avatars", "a.jpg", "image/jpeg"), file("headers", "", ""))),
		aRow(media.CustomEmojis, 1, file("images", "e.png", "image/png")), local(aRow(media.CustomEmojis, 2, file("images", "e.webp", "image/webp"))),
		aRow(media.PreviewCards, 1, file("images", "p.jpg", "image/jpeg")),
		aRow(media.PreviewCardProviders, 1, file("icons", "i.png", "image/png")),
		site(1, "thumbnail"), site(2, "mascot"), site(3, "favicon"), site(4, "app_icon"),
	}
}

// Each object that any row needs is found when it alone is lost, and nothing else is.
func TestMissingEveryStyle(t *testing.T) {
	t.Parallel()
	rows := everyKind()
	if _, lost := newTown(rows...).full().lost(t); len(lost) > 0 {
		t.Fatalf("nothing is lost, and %q are found", lost)
	}
	styles := map[string]bool{}
	for _, s := range rows {
		for k := range s.Row.Required() {
			p, err := media.Parse(k)
			must(t, err)
			styles[fmt.Sprintf("%s/%s/%s", p.Class, p.Attachment, p.Style)] = true
			w := newTown(rows...).full()
			w.lose(k)
			r, losses, shown, err := w.find(t.Context(), w.missing(t))
			must(t, err)
			if len(losses) != 1 || len(shown) != 0 || r.Absent != 1 {
				t.Fatalf("%s: %+v, %+v", k, losses, shown)
			}
			size := int64(0)
			if i := slices.IndexFunc(s.Row.Files, func(f media.Filed) bool { return f.Attachment == p.Attachment }); p.Style == "original" {
				size = s.Row.Files[i].Size
			}
			want := cleanup.Loss{
				Key: k, Class: p.Class, Row: p.ID, Local: !s.Row.Remote, Size: size, Trace: cleanup.Trace{Cause: cleanup.CauseUnknown, Source: cleanup.Nowhere},
			}
			equal(t, losses[0], want)
			if r.Lost(want.Local) != 1 || r.Lost(!want.Local) != 0 || r.From(cleanup.Nowhere) != 1 || r.From(cleanup.OnDisk) != 0 {
				t.Errorf("%s: %+v", k, r.Groups)
			}
		}
	}
	if len(styles) < 30 {
		t.Errorf("only %d styles: %v", len(styles), styles)
	}
}

// What is found and what is left out, one row at a time: an attachment with three objects,
// all of which are gone from the bucket.
func TestMissingRules(t *testing.T) {
	t.Parallel()
	const all = 3
	young, justOld := noon.Add(-72*time.Hour+time.Second), noon.Add(-72*time.Hour)
	for name, tt := range map[string]struct {
		change func(w *town, s *mastodon.Standing) // before the look
		during func(w *town, s *mastodon.Standing) // after the listing and the rows were read
		stored bool                                // the listing alone lacks it
		lost   int
		report cleanup.MissingReport // of its counts
	}{
		"lost":                 {lost: all, report: cleanup.MissingReport{Required: 3, RemoteRows: 1, Absent: 3}},
		"a local row":          {change: func(_ *town, s *mastodon.Standing) { s.Row.Remote = false }, lost: all, report: cleanup.MissingReport{Required: 3, Absent: 3}},
		"busy":                 {change: func(_ *town, s *mastodon.Standing) { s.Row.Busy = true }, report: cleanup.MissingReport{RemoteRows: 1, Busy: 1}},
		"a young row":          {change: func(_ *town, s *mastodon.Standing) { s.Row.Changed = young }, report: cleanup.MissingReport{RemoteRows: 1, Young: 1}},
		"as old as it must be": {change: func(_ *town, s *mastodon.Standing) { s.Row.Changed = justOld }, lost: all, report: cleanup.MissingReport{Required: 3, RemoteRows: 1, Absent: 3}},
		"a young file": {
			change: func(_ *town, s *mastodon.Standing) { s.Row.Files[0].Updated = young }, lost: 1,
			report: cleanup.MissingReport{Required: 1, RemoteRows: 1, Young: 1, Absent: 1},
		},
		"a young thumbnail": {
			change: func(_ *town, s *mastodon.Standing) { s.Row.Files[1].Updated = young }, lost: 2,
			report: cleanup.MissingReport{Required: 2, RemoteRows: 1, Young: 1, Absent: 2},
		},
		"a file without a time": {
			change: func(_ *town, s *mastodon.Standing) { s.Row.Files[0].Updated = time.Time{} }, lost: all,
			report: cleanup.MissingReport{Required: 3, RemoteRows: 1, Absent: 3},
		},
		"hidden before": {
			change: func(_ *town, s *mastodon.Standing) { s.Hidden = mastodon.HiddenSuspended },
			report: cleanup.MissingReport{Required: 3, RemoteRows: 1, Hidden: 3},
		},
		"hidden since": {
			during: func(_ *town, s *mastodon.Standing) { s.Hidden = mastodon.HiddenDiscarded },
			report: cleanup.MissingReport{Required: 3, RemoteRows: 1, Absent: 3, Hidden: 3},
		},
		"the row went": {
			during: func(_ *town, s *mastodon.Standing) { s.Row.ID = 0 }, report: cleanup.MissingReport{Required: 3, RemoteRows: 1, Absent: 3, Meanwhile: 3},
		},
		"it names another file": {
			during: func(_ *town, s *mastodon.Standing) { s.Row.Files[0].Name = "new.jpeg" }, lost: 1,
			report: cleanup.MissingReport{Required: 3, RemoteRows: 1, Absent: 3, Meanwhile: 2},
		},
		"it was cleared": {
			during: func(_ *town, s *mastodon.Standing) { s.Row.Files = nil }, report: cleanup.MissingReport{Required: 3, RemoteRows: 1, Absent: 3, Meanwhile: 3},
		},
		"it is processed now": {
			during: func(_ *town, s *mastodon.Standing) { s.Row.Busy = true }, report: cleanup.MissingReport{Required: 3, RemoteRows: 1, Absent: 3, Meanwhile: 3},
		},
		"it was touched": {
			during: func(_ *town, s *mastodon.Standing) { s.Row.Changed = noon }, report: cleanup.MissingReport{Required: 3, RemoteRows: 1, Absent: 3, Meanwhile: 3},
		},
		"the listing lacks what is there": {
			stored: true,
			report: cleanup.MissingReport{Required: 3, RemoteRows: 1, Absent: 3, Unlisted: 3},
		},
		"put there since": {
			during: func(w *town, s *mastodon.Standing) { w.store(keysOfRow(*s)...) }, report: cleanup.MissingReport{Required: 3, RemoteRows: 1, Absent: 3, Unlisted: 3},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := pictured(7, "a.jpeg")
			w := newTown()
			set := func(change func(*town, *mastodon.Standing)) {
				delete(w.rows[media.MediaAttachments], 7)
				if s.Row.Files = slices.Clone(s.Row.Files); change != nil {
					change(w, &s)
				}
				if s.Row.ID == 7 {
					w.rows[media.MediaAttachments][7] = s
				}
			}
			w.rows[media.MediaAttachments][7] = s
			if tt.stored {
				w.full()
				w.listed = []r2.Object{}
			}
			set(tt.change)
			w.during = func() { set(tt.during) }
			m := w.missing(t)
			r, losses, _, err := w.find(t.Context(), m)
			must(t, err)
			if len(losses) != tt.lost || r.Lost(true)+r.Lost(false) != int64(tt.lost) {
				t.Errorf("lost: %+v, want %d; %+v", losses, tt.lost, r)
			}
			got := *r
			got.Groups, got.Exposed, got.Nullable, tt.report.Rows = nil, nil, 0, 1
			if d := cmp.Diff(tt.report, got); d != "" {
				t.Error(d)
			}
		})
	}
}
