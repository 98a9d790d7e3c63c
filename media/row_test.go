package media_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"example.org/mediamove/media"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	const gone = "gone" // instead of a name: there is no row
	for what, tt := range map[string]struct {
		key     media.Key
		name    string // of media_attachments.file, or of the class's one attachment
		busy    bool
		want    media.Reason
		unasked bool // the row lacks the key's attachment
	}{
		"original":                   {key: "media_attachments/files/000/000/001/original/0f.jpeg", name: "0f.jpeg"},
		"in cache":                   {key: "cache/media_attachments/files/000/000/001/original/0f.jpeg", name: "0f.jpeg"},
		"preview":                    {key: "media_attachments/files/000/000/001/small/0f.png", name: "0f.mp4"},
		"as it was uploaded":         {key: "media_attachments/files/000/000/001/original/0f.mov", name: "0f.mp4"},
		"stored without extension":   {key: "media_attachments/files/000/000/001/small/0f.png", name: "0f"},
		"no extension in the bucket": {key: "media_attachments/files/000/000/001/original/0f", name: "0f.png"},
		"only extension":             {key: "media_attachments/files/000/000/001/small/.png.jpeg", name: ".png"},
		"dot at the end":             {key: "media_attachments/files/000/000/001/small/0f", name: "0f."},
		"only dots":                  {key: "media_attachments/files/000/000/001/small/....png", name: "..."},
		"decomposed in the database": {key: "media_attachments/files/000/000/001/original/\u00e9.png", name: "e\u0301.png"},
		"decomposed in the bucket":   {key: "media_attachments/files/000/000/001/small/e\u0301.png", name: "\u00e9.gif"},
		"static that nobody needs":   {key: "accounts/avatars/000/000/001/static/0f.png", name: "0f.jpeg"},
		"size of another upload":     {key: "site_uploads/files/000/000/001/512/0f.png", name: "0f.png"},

		"no row":               {key: "media_attachments/files/000/000/001/original/0f.jpeg", name: gone, want: media.RowGone},
		"other name":           {key: "media_attachments/files/000/000/001/original/0e.jpeg", name: "0f.jpeg", want: media.NameChanged},
		"longer name":          {key: "media_attachments/files/000/000/001/original/0f0.jpeg", name: "0f.jpeg", want: media.NameChanged},
		"two extensions":       {key: "media_attachments/files/000/000/001/original/0f.tar.gz", name: "0f.gz", want: media.NameChanged},
		"other case":           {key: "media_attachments/files/000/000/001/original/0F.jpeg", name: "0f.jpeg", want: media.NameChanged},
		"alike but other name": {key: "media_attachments/files/000/000/001/original/\uff41.png", name: "a.png", want: media.NameChanged},
		"both hidden":          {key: "media_attachments/files/000/000/001/original/.a", name: ".b", want: media.NameChanged},
		"cleared":              {key: "media_attachments/files/000/000/001/original/0f.jpeg", want: media.Cleared},
		"cleared, no base":     {key: "media_attachments/files/000/000/001/original/.png", want: media.Cleared},
		"other attachment":     {key: "media_attachments/thumbnails/000/000/001/original/0f.jpeg", name: "0f.jpeg", want: media.Cleared},

		"busy, same base":  {key: "media_attachments/files/000/000/001/original/0f.mp4", name: "0f.mov", busy: true},
		"busy, other name": {key: "media_attachments/files/000/000/001/original/0e.mp4", name: "0f.mov", busy: true, want: media.NameChanged},
		"busy, no name":    {key: "media_attachments/files/000/000/001/original/0e.mp4", busy: true, want: media.Cleared},

		"unknown style":             {key: "media_attachments/files/000/000/001/medium/0f.jpeg", name: "0f.jpeg", want: media.Unfamiliar},
		"unknown style, other name": {key: "media_attachments/files/000/000/001/medium/0e.jpeg", name: "0f.jpeg", want: media.Unfamiliar},
		"unknown style, cleared":    {key: "media_attachments/files/000/000/001/medium/0f.jpeg", want: media.Unfamiliar},
		"unknown style, no row":     {key: "accounts/avatars/000/000/001/small/0f.jpeg", name: gone, want: media.Unfamiliar},
		"attachment not asked for":  {key: "media_attachments/thumbnails/000/000/001/original/0f.jpeg", name: "0f.jpeg", unasked: true, want: media.Unfamiliar},
		"backup, no row":            {key: "backups/dumps/000/000/001/original/a.zip", name: gone, want: media.Unfamiliar},
		"import, no row":            {key: "imports/data/000/000/001/original/a.csv", name: gone, want: media.Unfamiliar},
		"row of another id":         {key: "media_attachments/files/000/000/002/original/0f.jpeg", name: "0f.jpeg", want: media.Unfamiliar},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			p, err := media.Parse(tt.key)
			if err != nil {
				t.Fatal(err)
			}
			var row *media.Row
			if tt.name != gone {
				row = &media.Row{Class: p.Class, ID: 1, Busy: tt.busy}
				row.Files = append(row.Files, media.Filed{Attachment: "files", Name: tt.name}, media.Filed{Attachment: "avatars", Name: tt.name})
				if !tt.unasked {
					row.Files = append(row.Files, media.Filed{Attachment: "thumbnails"})
				}
			}
			if got := media.Judge(p, row); got != tt.want {
				t.Errorf("judged %q, want %q", got, tt.want)
			}
			if owned := row != nil && row.MayOwn(p); tt.want != media.Unfamiliar && owned != (tt.want == media.Owned) {
				t.Errorf("MayOwn is %t of what is judged %q", owned, tt.want)
			}
		})
	}
}

// TestInstanceOwnsItsKeys: whatever a version from 3.5 to 4.6 wrote for a row
// is the row's, and is nobody's as soon as the row or the name is gone.
func TestInstanceOwnsItsKeys(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		row := anyRow(t)
		keys := everWritten(row)
		if len(keys) == 0 {
			t.Skip("no file")
		}
		k := rapid.SampledFrom(keys).Draw(t, "key")
		if rapid.Bool().Draw(t, "as listed") {
			k = media.Key(media.Normal(string(k)))
		}
		p, err := media.Parse(k)
		if err != nil {
			t.Fatal(err)
		}
		if got := media.Judge(p, &row); got != media.Owned || !row.MayOwn(p) {
			t.Errorf("%q is judged %q, MayOwn %t", k, got, row.MayOwn(p))
		}
		if got := media.Judge(p, nil); got != media.RowGone {
			t.Errorf("%q without its row is judged %q", k, got)
		}
		i := slices.IndexFunc(row.Files, func(f media.Filed) bool { return f.Attachment == p.Attachment })
		for name, want := range map[string]media.Reason{"": media.Cleared, "0" + row.Files[i].Name: media.NameChanged} {
			row.Files[i].Name = name
			if got := media.Judge(p, &row); got != want || row.MayOwn(p) {
				t.Errorf("%q, where the row now says %q: judged %q, MayOwn %t; want %q", k, name, got, row.MayOwn(p), want)
			}
		}
	})
}

// TestOtherRowsOwnNothing: neither id nor class nor attachment may be taken for
// another one, busy or not.
func TestOtherRowsOwnNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		row, other := anyRow(t), anyRow(t)
		if other.ID = row.ID; row.Class == other.Class {
			other.ID++
		}
		for _, files := range [][]media.Filed{row.Files, other.Files} { // nothing but place tells them apart
			for i := range files {
				files[i].Name = "same"
			}
		}
		for _, k := range everWritten(other) {
			p, err := media.Parse(k)
			if err != nil {
				t.Fatal(err)
			}
			if row.MayOwn(p) || media.Judge(p, &row) == media.Owned {
				t.Errorf("%s %d owns %q", row.Class, row.ID, k)
			}
		}
	})
}

// anyRow draws a row as an instance between 3.5 and 4.6 may have it.
func anyRow(t *rapid.T) media.Row {
	a := rapid.SampledFrom(pairs[:8]).Draw(t, "pair") // the private ones are asked for nowhere
	row := media.Row{
		Class:  media.Class(a.class),
		ID:     anyID().Draw(t, "id"),
		Remote: a.class == "preview_cards" || a.cacheable && rapid.Bool().Draw(t, "remote"),
		Busy:   a.class == "media_attachments" && rapid.Bool().Draw(t, "busy"),
	}
	if a.class == "site_uploads" {
		row.Var = rapid.SampledFrom([]string{"thumbnail", "mascot", "favicon", "app_icon", "hero"}).Draw(t, "var")
	}
	for _, b := range pairs {
		if b.class == a.class {
			row.Files = append(row.Files, anyFiled(t, b.attachment))
		}
	}
	return row
}

func anyID() *rapid.Generator[int64] {
	return rapid.OneOf(rapid.Int64Range(1, 1e9-2), rapid.Int64Range(1e9, 1e12-2), rapid.Int64Range(1e17, 1e18-2))
}

func anyFiled(t *rapid.T, attachment string) media.Filed {
	name := rapid.OneOf(
		rapid.StringMatching(`[0-9a-f]{16}\.(jpeg|jpg|png|gif|webp|mp4|mp3|mov)`),
		rapid.StringMatching(`[0-9a-f]{16}`),
		rapid.StringMatching(`[^/\x00-\x1f.][^/\x00-\x1f]{0,20}`), // of 2017, and of administrators
		rapid.Just("e\u0301te\u0301.final.gif"),
		rapid.Just(""),
	).Draw(t, "name")
	return media.Filed{
		Attachment: attachment,
		Name:       name,
		ContentType: rapid.SampledFrom([]string{
			"image/jpeg", "image/png", "image/gif", "image/webp", "image/heic", "video/mp4",
			"video/quicktime", "audio/mpeg", "application/octet-stream", "",
		}).Draw(t, "type"),
		Schema:   rapid.IntRange(0, 1).Draw(t, "schema"),
		Blurhash: rapid.Bool().Draw(t, "blurhash"),
	}
}

// everWritten lists what Mastodon may have written for r in any version, before
// and after an upgrade of the storage schema, a transcoding or a conversion. It
// is written without the package's own tables and printers.
func everWritten(r media.Row) []media.Key {
	digits := fmt.Sprintf("%09d", r.ID)
	if len(digits) > 9 {
		digits = fmt.Sprintf("%012d", r.ID)
	}
	var keys []media.Key
	for _, f := range r.Files {
		i := slices.IndexFunc(pairs, func(p pair) bool { return p.class == string(r.Class) && p.attachment == f.Attachment })
		if f.Name == "" {
			continue
		}
		parts := []string{pairs[i].class, f.Attachment}
		for group := range slices.Chunk([]byte(digits), 3) {
			parts = append(parts, string(group))
		}
		below := strings.Join(parts, "/")
		for _, style := range pairs[i].styles {
			for _, name := range names(f.Name, style) {
				keys = append(keys, media.Key(below+"/"+style+"/"+name))
				if pairs[i].cacheable {
					keys = append(keys, media.Key("cache/"+below+"/"+style+"/"+name))
				}
			}
		}
	}
	return keys
}

// names lists what the style of a file can be called.
func names(original, style string) []string {
	base := original
	if dot := strings.LastIndexByte(original, '.'); dot > 0 {
		base = original[:dot]
	}
	if style == "original" { // a worker may have changed, or a person removed, the extension
		return []string{original, base + ".mp4"}
	}
	return []string{original, base + ".png", base + ".jpeg"}
}

// FuzzJudge: no name makes a row's own keys somebody else's, and nothing panics.
func FuzzJudge(f *testing.F) {
	f.Add("media_attachments/files/000/000/001/small/0f.png", "0f.mp4", int64(1), false)
	f.Add("cache/accounts/avatars/109/312/000/001/002/003/static/e\u0301.png", "\u00e9.gif", int64(109312000001002003), false)
	f.Add("site_uploads/files/000/000/003/@2x/.png", "...", int64(3), true)
	f.Add("backups/dumps/000/000/009/original/archive.zip", "archive.zip", int64(-99), true)
	f.Fuzz(func(t *testing.T, key, name string, id int64, busy bool) {
		p, err := media.Parse(media.Key(key))
		if err != nil {
			p = media.Path{Class: media.Class(key), Attachment: key, Style: key, Name: key, ID: id}
		}
		row := media.Row{Class: p.Class, ID: id, Busy: busy, Remote: p.Cached, Files: []media.Filed{{Attachment: p.Attachment, Name: name}}}
		owned := media.Judge(p, &row) == media.Owned
		if owned && !row.MayOwn(p) || owned && p.ID != id {
			t.Errorf("%+v is judged owned by %+v", p, row)
		}
		row.ID, row.Files[0].Name = p.ID, p.Name
		if !row.MayOwn(p) && p.Name != "" {
			t.Errorf("%+v doesn't own its original %+v", row, p)
		}
		p.Name = norm.NFD.String(p.Name) // another spelling of the same key
		if !row.MayOwn(p) && p.Name != "" {
			t.Errorf("%+v doesn't own %+v", row, p)
		}
	})
}

func BenchmarkJudge(b *testing.B) {
	p, err := media.Parse("cache/media_attachments/files/109/312/000/001/002/003/small/0f1e2d3c4b5a6978.png")
	if err != nil {
		b.Fatal(err)
	}
	row := media.Row{Class: p.Class, ID: p.ID, Files: []media.Filed{{Attachment: "files", Name: "0f1e2d3c4b5a6978.mp4"}, {Attachment: "thumbnails"}}}
	b.ReportAllocs()
	for b.Loop() {
		if media.Judge(p, &row) != media.Owned {
			b.Fatal("not owned")
		}
	}
}
