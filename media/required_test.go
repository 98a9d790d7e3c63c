package media_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"example.org/mediamove/media"
)

// styled prints style/name of each key, "cache:" before it if it stands there.
func styled(keys []media.Key) string {
	var out []string
	for _, k := range keys {
		p, err := media.Parse(k)
		if err != nil {
			return err.Error()
		}
		s := p.Style + "/" + p.Name
		if p.Attachment == "thumbnails" {
			s = "thumbnail/" + s
		}
		if p.Cached {
			s = "cache:" + s
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

func TestRequired(t *testing.T) {
	t.Parallel()
	for what, tt := range map[string]struct {
		row  media.Row
		want string
	}{
		"local image":      {attachment("image/jpeg", "a.jpeg"), "original/a.jpeg small/a.jpeg"},
		"png":              {attachment("image/png", "a.png"), "original/a.png small/a.png"},
		"webp":             {attachment("image/webp", "a.webp"), "original/a.webp small/a.webp"},
		"no extension":     {attachment("image/png", "a"), "original/a small/a"},
		"gif, not moving":  {attachment("image/gif", "a.gif"), "original/a.gif small/a.png"},
		"moving gif":       {attachment("video/mp4", "a.mp4"), "original/a.mp4 small/a.png"},
		"webm":             {attachment("video/webm", "a.webm"), "original/a.webm small/a.png"},
		"failed video":     {attachment("video/quicktime", "a.mov"), "original/a.mov small/a.png"},
		"ogg video":        {attachment("video/ogg", "a.ogv"), "original/a.ogv small/a.png"},
		"heif":             {attachment("image/heic", "a.heic"), "original/a.heic small/a.jpeg"},
		"sound":            {attachment("audio/mpeg", "a.mp3"), "original/a.mp3"},
		"no type":          {attachment("", "a.jpeg"), "original/a.jpeg"},
		"cleared":          {attachment("image/jpeg", ""), ""},
		"sound with cover": {cover(attachment("audio/mpeg", "a.mp3"), 0), "original/a.mp3 thumbnail/original/c.png"},
		"busy":             {busy(cover(attachment("video/mp4", "a.mp4"), 0)), ""},

		"remote":                       {remote(attachment("image/jpeg", "a.jpeg"), 1), "cache:original/a.jpeg cache:small/a.jpeg"},
		"remote before 3.1.4":          {remote(attachment("image/jpeg", "a.jpeg"), 0), "original/a.jpeg small/a.jpeg"},
		"remote, cover before 4.6":     {cover(remote(attachment("video/mp4", "a.mp4"), 1), 0), "cache:original/a.mp4 cache:small/a.png thumbnail/original/c.png"},
		"remote, cover of 4.6":         {cover(remote(attachment("video/mp4", "a.mp4"), 1), 1), "cache:original/a.mp4 cache:small/a.png cache:thumbnail/original/c.png"},
		"local, of the new schema too": {cover(local(attachment("image/png", "a.png"), 1), 1), "original/a.png small/a.png thumbnail/original/c.png"},

		"avatar and header":     {account(filed("avatars", "image/png", "a.png"), filed("headers", "image/gif", "b.gif")), "original/a.png original/b.gif static/b.png"},
		"moving avatar, remote": {remote(account(filed("avatars", "image/gif", "a.gif"), filed("headers", "", "")), 1), "cache:original/a.gif cache:static/a.png"},
		"emoji":                 {one(media.CustomEmojis, filed("images", "image/png", "a.png")), "original/a.png static/a.png"},
		"emoji, moving":         {one(media.CustomEmojis, filed("images", "image/gif", "a.gif")), "original/a.gif static/a.png"},
		"emoji, remote":         {remote(one(media.CustomEmojis, filed("images", "image/webp", "a.webp")), 1), "cache:original/a.webp cache:static/a.png"},
		"card":                  {remote(one(media.PreviewCards, filed("images", "image/gif", "a.gif")), 1), "cache:original/a.gif"},
		"old card":              {remote(one(media.PreviewCards, filed("images", "image/gif", "a.gif")), 0), "original/a.gif"},
		"provider":              {one(media.PreviewCardProviders, filed("icons", "image/png", "a.png")), "original/a.png"},

		"mascot":            {site("mascot", true), "original/s.jpg"},
		"thumbnail of 3.5":  {site("thumbnail", false), "original/s.jpg"},
		"thumbnail":         {site("thumbnail", true), "original/s.jpg @1x/s.png @2x/s.png"},
		"favicon":           {site("favicon", false), "original/s.jpg 16/s.png 32/s.png 48/s.png"},
		"app icon":          {site("app_icon", false), "original/s.jpg 36/s.png 48/s.png 57/s.png 60/s.png 72/s.png 76/s.png 96/s.png 114/s.png 120/s.png 144/s.png 152/s.png 167/s.png 180/s.png 192/s.png 256/s.png 384/s.png 512/s.png 1024/s.png"},
		"later site upload": {site("banner", true), "original/s.jpg"},

		"backup":           {one(media.Backups, filed("dumps", "application/zip", "a.zip")), ""},
		"import":           {one(media.Imports, filed("data", "text/csv", "a.csv")), ""},
		"later attachment": {account(filed("banners", "image/png", "a.png"), filed("avatars", "image/png", "b.png")), "original/b.png"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			if got := styled(slices.Collect(tt.row.Required())); got != tt.want {
				t.Errorf("requires\n%s, want\n%s", got, tt.want)
			}
		})
	}
}

func filed(attachment, contentType, name string) media.Filed {
	return media.Filed{Attachment: attachment, ContentType: contentType, Name: name}
}

func one(c media.Class, files ...media.Filed) media.Row {
	return media.Row{Class: c, ID: 7, Files: files}
}

func account(files ...media.Filed) media.Row { return one(media.Accounts, files...) }

func attachment(contentType, name string) media.Row {
	return one(media.MediaAttachments, filed("files", contentType, name), filed("thumbnails", "", ""))
}

func cover(r media.Row, schema int) media.Row {
	r.Files[1] = media.Filed{Attachment: "thumbnails", Name: "c.png", ContentType: "image/png", Schema: schema}
	return r
}

func local(r media.Row, schema int) media.Row {
	for i := range r.Files {
		r.Files[i].Schema = schema
	}
	return r
}

func remote(r media.Row, schema int) media.Row {
	r.Remote = true
	return local(r, schema)
}

func busy(r media.Row) media.Row {
	r.Busy = true
	return r
}

func site(variable string, blurhash bool) media.Row {
	r := one(media.SiteUploads, media.Filed{Attachment: "files", Name: "s.jpg", ContentType: "image/jpeg", Blurhash: blurhash})
	r.Var = variable
	return r
}

// TestRequiredIsOwned: what must exist is among what may, and what was ever
// written holds all that must exist.
func TestRequiredIsOwned(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		row := anyRow(t)
		ever := everWritten(row)
		seen := map[media.Key]bool{}
		for k := range row.Required() {
			p, err := media.Parse(k)
			if err != nil || media.Judge(p, &row) != media.Owned {
				t.Errorf("%q is required and not owned: %v", k, err)
			}
			if seen[k] || !slices.Contains(ever, k) {
				t.Errorf("%q comes twice, or Mastodon never wrote it", k)
			}
			seen[k] = true
		}
		for _, k := range ever {
			if row.Requires(k) != seen[k] {
				t.Errorf("%q: required %t", k, seen[k])
			}
		}
		if !row.Busy && len(seen) == 0 && len(ever) > 0 {
			t.Error("a row with a file requires nothing")
		}
	})
}

// TestRequires: keys that R2 takes for one are one.
func TestRequires(t *testing.T) {
	t.Parallel()
	const composed, apart = "media_attachments/files/000/000/001/original/\u00e9.mp3", "media_attachments/files/000/000/001/original/e\u0301.mp3"
	for _, name := range []string{"\u00e9.mp3", "e\u0301.mp3"} {
		row := media.Row{Class: media.MediaAttachments, ID: 1, Files: []media.Filed{{Attachment: "files", Name: name, ContentType: "audio/mpeg"}}}
		if !row.Requires(composed) || !row.Requires(apart) || row.Requires("cache/"+composed) || row.Requires("") {
			t.Errorf("%q", name)
		}
	}
}

// TestRequiredStops: a caller may leave after any key.
func TestRequiredStops(t *testing.T) {
	t.Parallel()
	row := cover(attachment("image/png", "a.png"), 0)
	all := slices.Collect(row.Required())
	for n := range all {
		var got []media.Key
		for k := range row.Required() {
			if got = append(got, k); len(got) > n {
				break
			}
		}
		if !slices.Equal(got, all[:n+1]) {
			t.Errorf("the first %d are %q of %q", n+1, got, all)
		}
	}
}

func ExampleRow_Required() {
	emoji := media.Row{
		Class: media.CustomEmojis, ID: 42, Remote: true,
		Files: []media.Filed{{Attachment: "images", Name: "5f0c.gif", ContentType: "image/gif", Schema: 1}},
	}
	for k := range emoji.Required() {
		fmt.Println(k)
	}
	p, err := media.Parse("custom_emojis/images/000/000/042/static/5f0c.png") // from before it was refreshed
	fmt.Println(emoji.MayOwn(p), err)
	// Output:
	// cache/custom_emojis/images/000/000/042/original/5f0c.gif
	// cache/custom_emojis/images/000/000/042/static/5f0c.png
	// true <nil>
}
