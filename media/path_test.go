package media_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"example.org/mediamove/media"
)

type pair struct {
	class, attachment string
	cacheable         bool
	styles            []string
}

// pairs are the attachments of Mastodon 3.5 to 4.6, written down once more,
// so that the package's own table can be wrong.
var pairs = []pair{
	{"media_attachments", "files", true, []string{"original", "small"}},
	{"media_attachments", "thumbnails", true, []string{"original"}},
	{"accounts", "avatars", true, []string{"original", "static"}},
	{"accounts", "headers", true, []string{"original", "static"}},
	{"custom_emojis", "images", true, []string{"original", "static"}},
	{"preview_cards", "images", true, []string{"original"}},
	{"preview_card_providers", "icons", false, []string{"original", "static"}},
	{"site_uploads", "files", false, strings.Fields("original @1x @2x 16 32 36 48 57 60 72 76 96 114 120 144 152 167 180 192 256 384 512 1024")},
	{"backups", "dumps", false, []string{"original"}},
	{"imports", "data", false, []string{"original"}},
}

func TestParse(t *testing.T) {
	t.Parallel()
	const flake = 109_312_000_001_002_003
	for _, tt := range []struct {
		key  media.Key
		want media.Path
	}{
		{"media_attachments/files/109/312/000/001/002/003/original/0f.jpeg", media.Path{Class: media.MediaAttachments, Attachment: "files", ID: flake, Style: "original", Name: "0f.jpeg"}},
		{"media_attachments/files/109/312/000/001/002/003/small/0f.png", media.Path{Class: media.MediaAttachments, Attachment: "files", ID: flake, Style: "small", Name: "0f.png"}},
		{"cache/media_attachments/files/109/312/000/001/002/003/original/0f.mp4", media.Path{Cached: true, Class: media.MediaAttachments, Attachment: "files", ID: flake, Style: "original", Name: "0f.mp4"}},
		{"cache/media_attachments/thumbnails/109/312/000/001/002/003/original/0f.jpg", media.Path{Cached: true, Class: media.MediaAttachments, Attachment: "thumbnails", ID: flake, Style: "original", Name: "0f.jpg"}},
		{"media_attachments/files/000/000/001/original/data.png", media.Path{Class: media.MediaAttachments, Attachment: "files", ID: 1, Style: "original", Name: "data.png"}},
		{"accounts/avatars/000/000/042/static/b.png", media.Path{Class: media.Accounts, Attachment: "avatars", ID: 42, Style: "static", Name: "b.png"}},
		{"cache/accounts/headers/106/000/000/000/000/001/original/b.gif", media.Path{Cached: true, Class: media.Accounts, Attachment: "headers", ID: 106_000_000_000_000_001, Style: "original", Name: "b.gif"}},
		{"custom_emojis/images/000/999/999/original/c.png", media.Path{Class: media.CustomEmojis, Attachment: "images", ID: 999_999, Style: "original", Name: "c.png"}},
		{"cache/preview_cards/images/999/999/999/original/d.gif", media.Path{Cached: true, Class: media.PreviewCards, Attachment: "images", ID: 999_999_999, Style: "original", Name: "d.gif"}},
		{"cache/preview_cards/images/001/000/000/000/original/d.jpg", media.Path{Cached: true, Class: media.PreviewCards, Attachment: "images", ID: 1_000_000_000, Style: "original", Name: "d.jpg"}},
		{"preview_card_providers/icons/000/000/007/static/e.png", media.Path{Class: media.PreviewCardProviders, Attachment: "icons", ID: 7, Style: "static", Name: "e.png"}},
		{"site_uploads/files/000/000/003/@2x/f.png", media.Path{Class: media.SiteUploads, Attachment: "files", ID: 3, Style: "@2x", Name: "f.png"}},
		{"site_uploads/files/000/000/003/180/f.png", media.Path{Class: media.SiteUploads, Attachment: "files", ID: 3, Style: "180", Name: "f.png"}},
		{"backups/dumps/000/000/009/original/archive-20260101000000-00.zip", media.Path{Class: media.Backups, Attachment: "dumps", ID: 9, Style: "original", Name: "archive-20260101000000-00.zip"}},
		{"imports/data/000/000/010/original/folgt mir.csv", media.Path{Class: media.Imports, Attachment: "data", ID: 10, Style: "original", Name: "folgt mir.csv"}},
		{"accounts/avatars/000/000/042/webp@3x/no-extension", media.Path{Class: media.Accounts, Attachment: "avatars", ID: 42, Style: "webp@3x", Name: "no-extension"}},
	} {
		got, err := media.Parse(tt.key)
		if err != nil || got != tt.want {
			t.Errorf("Parse(%q) = %+v, %v; want %+v", tt.key, got, err, tt.want)
		}
		if back := tt.want.Key(); back != tt.key {
			t.Errorf("%+v prints as %q, want %q", tt.want, back, tt.key)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]media.Key{
		"empty":                   "",
		"file in the root":        "robots.txt",
		"file in cache":           "cache/x.png",
		"foreign class":           "uploads/files/000/000/001/original/a.png",
		"foreign attachment":      "accounts/banners/000/000/001/original/a.png",
		"attachment of another":   "accounts/files/000/000/001/original/a.png",
		"directory marker":        "media_attachments/files/000/000/001/small/",
		"empty style":             "accounts/avatars/000/000/001//a.png",
		"leading slash":           "/accounts/avatars/000/000/001/original/a.png",
		"cache twice":             "cache/cache/accounts/avatars/000/000/001/original/a.png",
		"cached site upload":      "cache/site_uploads/files/000/000/001/original/a.png",
		"cache inside":            "accounts/cache/avatars/000/000/001/original/a.png",
		"instance actor":          "accounts/avatars/000/000/original/a.png",
		"five groups":             "accounts/avatars/100/000/000/000/001/original/a.png",
		"six groups, too small":   "accounts/avatars/000/000/000/000/000/001/original/a.png",
		"six groups, 17 digits":   "accounts/avatars/010/000/000/000/000/001/original/a.png",
		"four groups, too small":  "accounts/avatars/000/000/000/001/original/a.png",
		"hexadecimal":             "accounts/avatars/000/000/0x2/original/a.png",
		"underscore":              "accounts/avatars/000/000/1_0/original/a.png",
		"sign":                    "accounts/avatars/+00/000/001/original/a.png",
		"negative":                "accounts/avatars/-00/000/001/original/a.png",
		"uneven groups":           "accounts/avatars/0000/00/001/original/a.png",
		"digits of other scripts": "accounts/avatars/000/000/00١/original/a.png",
		"dot as name":             "accounts/avatars/000/000/001/original/.",
		"parent as style":         "accounts/avatars/000/000/001/../a.png",
		"upper-case class":        "Accounts/avatars/000/000/001/original/a.png",
		"one folder too deep":     "accounts/avatars/000/000/001/original/x/y/z/a.png",
		"with S3_KEY_PREFIX":      "pre/accounts/avatars/000/000/001/original/a.png",
	} {
		if p, err := media.Parse(key); !errors.Is(err, media.ErrUnrecognized) {
			t.Errorf("%s: Parse(%q) = %+v, %v; want ErrUnrecognized", name, key, p, err)
		}
	}
}

func TestKeyOfOddIDs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		id   int64
		want string // as kt-paperclip's id_partition cuts it
	}{
		{-99, "000/000"},
		{0, "000/000/000"},
		{999_999_999, "999/999/999"},
		{1_000_000_000, "001/000/000/000"},
		{999_999_999_999, "999/999/999/999"},
		{1_234_567_890_123, "123/456/789/012"},
		{123_456_789_012_345, "123/456/789/012/345"},
		{12_345_678_901_234_567, "123/456/789/012/345"},
		{1_234_567_890_123_456_789, "123/456/789/012/345/678"},
	} {
		p := media.Path{Class: media.Accounts, Attachment: "avatars", ID: tt.id, Style: "original", Name: "a"}
		if want := media.Key("accounts/avatars/" + tt.want + "/original/a"); p.Key() != want {
			t.Errorf("id %d: %q, want %q", tt.id, p.Key(), want)
		}
	}
}

func TestCreated(t *testing.T) {
	t.Parallel()
	at := time.Date(2024, 5, 6, 7, 8, 9, 123e6, time.UTC)
	for _, tt := range []struct {
		id   int64
		want time.Time
	}{
		{at.UnixMilli()<<16 | 0xffff, at},
		{1e17, time.Date(2018, 5, 9, 15, 15, 6, 250e6, time.UTC)},
		{1e17 - 1, time.Time{}},
		{1e18, time.Time{}},
		{42, time.Time{}},
		{-99, time.Time{}},
	} {
		got, ok := media.Path{ID: tt.id}.Created()
		if ok == tt.want.IsZero() || !got.Equal(tt.want) {
			t.Errorf("id %d: created %v, %v; want %v", tt.id, got, ok, tt.want)
		}
	}
}

func TestKnownStyle(t *testing.T) {
	t.Parallel()
	for _, a := range pairs {
		p := media.Path{Class: media.Class(a.class), Attachment: a.attachment}
		for _, p.Style = range a.styles {
			if !p.KnownStyle() {
				t.Errorf("%s/%s: style %s is not known", a.class, a.attachment, p.Style)
			}
		}
		for _, p.Style = range []string{"", "Original", "huge", "17"} {
			if p.KnownStyle() {
				t.Errorf("%s/%s: style %q is known", a.class, a.attachment, p.Style)
			}
		}
	}
	if (media.Path{Class: "uploads", Attachment: "files", Style: "original"}).KnownStyle() {
		t.Error("a style of an unknown class is known")
	}
}

// anyPath draws a path that Mastodon can have printed.
func anyPath(t *rapid.T) media.Path {
	a := rapid.SampledFrom(pairs).Draw(t, "pair")
	segment := rapid.StringMatching(`[^/.][^/]{0,20}`)
	return media.Path{
		Cached:     a.cacheable && rapid.Bool().Draw(t, "cached"),
		Class:      media.Class(a.class),
		Attachment: a.attachment,
		ID: rapid.OneOf(
			rapid.Int64Range(0, 1e9-1),     // 3 groups
			rapid.Int64Range(1e9, 1e12-1),  // 4
			rapid.Int64Range(1e17, 1e18-1), // 6
		).Draw(t, "id"),
		Style: rapid.OneOf(rapid.SampledFrom(a.styles), segment).Draw(t, "style"),
		Name:  segment.Draw(t, "name"),
	}
}

func TestParseInvertsKey(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := anyPath(t)
		k := p.Key()
		if got, err := media.Parse(k); err != nil || got != p {
			t.Fatalf("%+v prints as %q, read as %+v, %v", p, k, got, err)
		}
		if k.Class() != p.Class || k.Cached() != p.Cached {
			t.Fatalf("%q: class %q, cached %v; want %q, %v", k, k.Class(), k.Cached(), p.Class, p.Cached)
		}
	})
}

// TestKeyInvertsParse bends keys a little: whatever is still read must be
// printed as it was.
func TestKeyInvertsParse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		k := []byte(anyPath(t).Key())
		i := rapid.IntRange(0, len(k)-1).Draw(t, "at")
		k[i] = rapid.SampledFrom([]byte("0179/.-+_xc \x00é")).Draw(t, "byte")
		if p, err := media.Parse(media.Key(k)); err == nil && p.Key() != media.Key(k) {
			t.Fatalf("%q is read as %+v, which prints as %q", k, p, p.Key())
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add("cache/accounts/avatars/000/000/042/original/b.jpg")
	f.Add("media_attachments/files/109/312/000/001/002/003/original/0f.jpeg")
	f.Add("preview_cards/images/001/000/000/000/original/d.gif")
	f.Add("site_uploads/files/000/000/003/@2x/f.png")
	f.Add("accounts/avatars/000/000/0x2/original/b.jpg")
	f.Add("media_attachments/files/000/000/001/small/")
	f.Fuzz(func(t *testing.T, s string) {
		k := media.Key(s)
		p, err := media.Parse(k)
		switch {
		case err != nil && (!errors.Is(err, media.ErrUnrecognized) || p != media.Path{}):
			t.Errorf("%q: %+v, %v", s, p, err)
		case err == nil && (p.Key() != k || p.Class != k.Class() || p.Class == media.Outside || p.ID < 0):
			t.Errorf("%q: read as %+v, which prints as %q", s, p, p.Key())
		}
	})
}

func ExampleParse() {
	p, err := media.Parse("cache/media_attachments/files/112/393/466/937/565/189/small/5f0c.png")
	fmt.Println(p.Class, p.Attachment, p.ID, p.Style, p.Name, err)
	created, ok := p.Created()
	fmt.Println(created.Format(time.DateTime), ok)

	_, err = media.Parse("robots.txt")
	fmt.Println(err)
	// Output:
	// media_attachments files 112393466937565189 small 5f0c.png <nil>
	// 2024-05-06 09:36:44 true
	// parse "robots.txt": 1 segments: not a Mastodon media path
}
