package media_test

import (
	"io/fs"
	"slices"
	"testing"
	"time"

	"example.org/mediamove/media"
)

func TestClass(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		key     media.Key
		class   media.Class
		cached  bool
		private bool
	}{
		{key: "media_attachments/files/000/000/001/original/a.png", class: media.MediaAttachments},
		{key: "accounts/anything at all", class: media.Accounts},
		{key: "cache/accounts/x", class: media.Accounts, cached: true},
		{key: "cache/backups/x", class: media.Backups, cached: true, private: true},
		{key: "backups/dumps/000/000/001/original/a.zip", class: media.Backups, private: true},
		{key: "imports/x", class: media.Imports, private: true},
		{key: "preview_card_providers/icons/x", class: media.PreviewCardProviders},
		{key: "site_uploads/x", class: media.SiteUploads},
		{key: "custom_emojis/x", class: media.CustomEmojis},
		{key: "cache/preview_cards/x", class: media.PreviewCards, cached: true},
		{key: ""},
		{key: "accounts"},
		{key: "accounts/"},
		{key: "robots.txt"},
		{key: "cache"},
		{key: "cache/", cached: true},
		{key: "cache/x.png", cached: true},
		{key: "cache/accounts", cached: true},
		{key: "cache/cache/accounts/x", cached: true},
		{key: "caches/accounts/x"},
		{key: "lost+found/accounts/x"},
		{key: "/accounts/x"},
		{key: "Backups/x"},
	} {
		if c := tt.key.Class(); c != tt.class || tt.key.Cached() != tt.cached || tt.key.Private() != tt.private {
			t.Errorf("%q: class %q, cached %v, private %v; want %q, %v, %v",
				tt.key, c, tt.key.Cached(), tt.key.Private(), tt.class, tt.cached, tt.private)
		}
	}
}

func TestReserved(t *testing.T) {
	t.Parallel()
	for key, want := range map[media.Key]bool{
		".mediamove/owner.json":         true,
		".mediamove/trash/accounts/x":   true,
		".mediamove":                    false,
		".mediamoved/x":                 false,
		"accounts/.mediamove/x":         false,
		"cache/.mediamove/owner.json":   false,
		"media_attachments/.mediamove/": false,
	} {
		if key.Reserved() != want {
			t.Errorf("%q: reserved %v, want %v", key, !want, want)
		}
	}
}

func TestTopFolders(t *testing.T) {
	t.Parallel()
	top := media.TopFolders()
	if top[0] != "media_attachments" || top[len(top)-1] != "cache" {
		t.Errorf("order %q: want local users' media first and cache last", top)
	}
	if slices.Index(top, "preview_cards") != len(top)-2 {
		t.Errorf("order %q: want preview cards right before cache", top)
	}
	for _, a := range pairs {
		if !slices.Contains(top, a.class) {
			t.Errorf("%q lacks %s", top, a.class)
		}
	}
	for _, name := range top[:len(top)-1] {
		if c := media.Key(name + "/x").Class(); c != media.Class(name) {
			t.Errorf("%s is a top folder of class %q", name, c)
		}
	}
	top[0] = "changed"
	if media.TopFolders()[0] == "changed" {
		t.Error("a caller can change the list")
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	for mode, hidden := range map[fs.FileMode]bool{
		0o644: false, 0o640: false, 0o604: false, 0o600: true, 0o711: true, 0: true, 0o622: true,
	} {
		if got := (media.File{Mode: mode}).Hidden(); got != hidden {
			t.Errorf("mode %v: hidden %v, want %v", mode, got, hidden)
		}
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	f := media.File{Key: "a", Size: 1, ModTime: at, Mode: 0o644, Inode: 2}
	for name, tt := range map[string]struct {
		change func(*media.File)
		same   bool
	}{
		"nothing":   {func(*media.File) {}, true},
		"zone":      {func(g *media.File) { g.ModTime = at.In(time.FixedZone("", 3600)) }, true},
		"mode":      {func(g *media.File) { g.Mode = 0o600 }, true},
		"size":      {func(g *media.File) { g.Size++ }, false},
		"mtime":     {func(g *media.File) { g.ModTime = at.Add(1) }, false},
		"new inode": {func(g *media.File) { g.Inode++ }, false},
	} {
		g := f
		tt.change(&g)
		if f.SameStat(g) != tt.same {
			t.Errorf("%s changed: same %v, want %v", name, !tt.same, tt.same)
		}
	}
}
