package cleanup

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// remoteRow is one that another server could be asked for again.
func remoteRow(c media.Class, id int64, files ...media.Filed) media.Row {
	return media.Row{Class: c, ID: id, Remote: true, Files: files}
}

func rowsOf(rows ...media.Row) mastodon.Rows {
	all := mastodon.Rows{}
	for _, r := range rows {
		if all[r.Class] == nil {
			all[r.Class] = map[int64]media.Row{}
		}
		all[r.Class][r.ID] = r
	}
	return all
}

func TestJudge(t *testing.T) {
	t.Parallel()
	const (
		original = "cache/media_attachments/files/000/000/001/original/a.png"
		none     = ""
	)
	files := func(name string) media.Filed { return media.Filed{Attachment: "files", Name: name} }
	attachments := media.MediaAttachments
	local := func(r media.Row) media.Row { r.Remote = false; return r }
	busy := func(r media.Row) media.Row { r.Busy = true; return r }
	empty := mastodon.Rows{attachments: nil, media.Accounts: nil, media.SiteUploads: nil}
	for name, tt := range map[string]struct {
		key    media.Key
		rows   mastodon.Rows
		kind   ledger.SuspectKind
		reason string
	}{
		"owned":                        {original, rowsOf(remoteRow(attachments, 1, files("a.png"))), none, none},
		"owned by a local row":         {original, rowsOf(local(remoteRow(attachments, 1, files("a.png")))), none, none},
		"owned by a busy row":          {original, rowsOf(busy(remoteRow(attachments, 1, files("a.mp4")))), none, none},
		"busy, name not yet changed":   {original, rowsOf(busy(remoteRow(attachments, 1, files("b.png")))), ledger.Review, "file name changed"},
		"busy, no name yet":            {original, rowsOf(busy(remoteRow(attachments, 1, files("")))), ledger.Review, "attachment cleared"},
		"row gone":                     {original, empty, ledger.Orphan, "row gone"},
		"another row":                  {original, rowsOf(remoteRow(attachments, 2, files("a.png"))), ledger.Orphan, "row gone"},
		"name changed":                 {original, rowsOf(remoteRow(attachments, 1, files("b.png"))), ledger.Orphan, "file name changed"},
		"cleared":                      {original, rowsOf(remoteRow(attachments, 1, files(""))), ledger.Orphan, "attachment cleared"},
		"local, name changed":          {original, rowsOf(local(remoteRow(attachments, 1, files("b.png")))), ledger.Review, "file name changed"},
		"local, cleared":               {original, rowsOf(local(remoteRow(attachments, 1, files("")))), ledger.Review, "attachment cleared"},
		"local row gone":               {"media_attachments/files/000/000/001/original/a.png", empty, ledger.Orphan, "row gone"},
		"class without local rows":     {"site_uploads/files/000/000/001/original/a.png", rowsOf(media.Row{Class: media.SiteUploads, ID: 1, Files: []media.Filed{files("b.png")}}), ledger.Review, "file name changed"},
		"unknown style, no row":        {"media_attachments/files/000/000/001/huge/a.png", empty, ledger.Unknown, "style or attachment not known"},
		"unknown style, local":         {"media_attachments/files/000/000/001/huge/a.png", rowsOf(local(remoteRow(attachments, 1, files("b.png")))), ledger.Unknown, "style or attachment not known"},
		"attachment that the row lack": {"media_attachments/thumbnails/000/000/001/original/a.png", rowsOf(remoteRow(attachments, 1, files("a.png"))), ledger.Unknown, "style or attachment not known"},
		"row of another class":         {original, mastodon.Rows{attachments: {1: remoteRow(media.Accounts, 1, files("a.png"))}}, ledger.Unknown, "style or attachment not known"},
		"class that was not asked":     {original, rowsOf(remoteRow(media.Accounts, 1)), ledger.Unknown, reasonUnasked},
		"nothing was asked":            {original, nil, ledger.Unknown, reasonUnasked},

		"backup":            {"backups/dumps/000/000/001/original/a.zip", empty, ledger.Unknown, reasonPrivate},
		"import":            {"imports/data/000/000/001/original/a.csv", empty, ledger.Unknown, reasonPrivate},
		"not Mastodon's":    {"robots.txt", empty, ledger.Unknown, reasonForeign},
		"no such folder":    {"media_attachments/pictures/000/000/001/original/a.png", empty, ledger.Unknown, reasonForeign},
		"too few segments":  {"media_attachments/files/000/000/001/a.png", empty, ledger.Unknown, reasonForeign},
		"control character": {"media_attachments/files/000/000/001/original/a\x01.png", empty, ledger.Unknown, reasonForeign},
		"invalid UTF-8":     {"media_attachments/files/000/000/001/original/a\xff.png", empty, ledger.Unknown, reasonForeign},
		"too long":          {media.Key("media_attachments/files/000/000/001/original/" + strings.Repeat("a", 1024)), empty, ledger.Unknown, reasonForeign},
		"empty":             {"", empty, ledger.Unknown, reasonForeign},
		"decomposed":        {"media_attachments/files/000/000/001/original/e\u0301.png", empty, ledger.Unknown, reasonSpelling},
		"composed":          {"media_attachments/files/000/000/001/original/\u00e9.png", empty, ledger.Orphan, "row gone"},

		"our mark":       {".mediamove/owner.json", empty, none, none},
		"below our mark": {".mediamove/media_attachments/files/000/000/001/original/a.png", nil, none, none},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := r2.Object{Key: tt.key, Size: 7, ETag: "e"}
			want := judged{object: o, kind: tt.kind, reason: tt.reason}
			got := judge(o, tt.rows)
			if got.row = nil; got != want {
				t.Errorf("judged %+v, want %+v", got, want)
			}
		})
	}
}

// TestIDs: every id that judge wants to look up is asked for, once, and no other class's.
func TestIDs(t *testing.T) {
	t.Parallel()
	var objects []r2.Object
	for _, k := range []media.Key{
		".mediamove/owner.json", "robots.txt", "backups/dumps/000/000/009/original/a.zip", "imports/data/000/000/009/original/a.csv",
		"accounts/avatars/000/000/001/original/a.png", "accounts/headers/000/000/001/original/a.png",
		"accounts/avatars/000/000/002/original/e\u0301.png",
		"cache/accounts/avatars/000/000/003/static/a.png", "cache/media_attachments/files/109/348/126/000/000/001/small/a.png",
		"media_attachments/files/000/000/001/original/a.png", "accounts/avatars/000/000/001/static/a.png",
	} {
		objects = append(objects, r2.Object{Key: k})
	}
	want := map[media.Class][]int64{media.Accounts: {1, 3}, media.MediaAttachments: {1, 109348126000000001}}
	if d := cmp.Diff(want, idsOf(objects)); d != "" {
		t.Error(d)
	}
}

// FuzzJudge: without a row nothing is owned but what is ours; and an orphan is always a
// path that Mastodon writes, in the spelling that R2 has.
func FuzzJudge(f *testing.F) {
	for _, k := range []string{
		"", "x", ".mediamove/x", "cache/accounts/avatars/000/000/001/original/a.png", "backups/dumps/000/000/001/original/a.zip",
		"custom_emojis/images/000/000/001/static/e\u0301.png", "media_attachments/files/000/000/001/original/ a.png",
	} {
		f.Add(k)
	}
	classes := []media.Class{media.MediaAttachments, media.Accounts, media.CustomEmojis, media.PreviewCards, media.PreviewCardProviders, media.SiteUploads}
	rows := mastodon.Rows{}
	for _, c := range classes {
		rows[c] = nil
	}
	f.Fuzz(func(t *testing.T, key string) {
		k := media.Key(key)
		j := judge(r2.Object{Key: k}, rows)
		if (j.kind == "") != k.Reserved() || (j.kind == "") != (j.reason == "") {
			t.Fatalf("%q: %+v", key, j)
		}
		if j.kind != ledger.Orphan {
			return
		}
		p, err := media.Parse(k)
		if err != nil || !p.KnownStyle() || k.Private() || media.Normal(key) != key || media.CheckKey(key) != nil || !slices.Contains(classes, p.Class) {
			t.Fatalf("%q may go", key)
		}
		if ids := idsOf([]r2.Object{{Key: k}}); !slices.Equal(ids[p.Class], []int64{p.ID}) {
			t.Fatalf("%q: asked for %v", key, ids)
		}
	})
}
