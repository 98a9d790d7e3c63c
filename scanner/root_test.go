package scanner_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"example.org/mediamove/scanner"
)

func TestRoot(t *testing.T) {
	t.Parallel()
	system := plan{
		"public/system/media_attachments/files/1/x": "", "public/system/accounts/avatars/1/x": "",
		"public/system/cache/accounts/avatars/1/x": "", "public/packs/x": "", "file": "",
		"link": "-> public/system", "a/link/to/cache": "-> " + "../../../public/system/cache", "mycache": "-> public/system/cache",
		"new/site_uploads": "dir", "cacheonly/cache/preview_cards": "dir", "away/accounts": "-> /nowhere", "elsewhere/cache": "-> /nowhere",
		"var/cache/apt": "dir", "var/backups/x": "", "empty": "dir", "filenames/accounts": "", "filenames/media_attachments": "",
	}
	tests := []struct {
		root, reason, hint string // reason "" is a root
	}{
		{"public/system", "", ""},
		{"public/system/", "", ""},
		{"link", "", ""},
		{"new", "", ""},
		{"cacheonly", "", ""},
		{"away", "", ""},
		{"elsewhere", "", ""},
		{"public/system/cache", "Mastodon's cache", "ROOT/public/system\" "},
		{"public/system/cache/", "Mastodon's cache", "ROOT/public/system\" "},
		{"public/system/accounts/../cache", "Mastodon's cache", "ROOT/public/system\" "},
		{"a/link/to/cache", "Mastodon's cache", "type"},
		{"mycache", "Mastodon's cache", "ROOT/public/system\" "},
		{"public/system/media_attachments", "one folder of a media root", "ROOT/public/system\" "},
		{"public/system/accounts", "one folder of a media root", "ROOT/public/system\" "},
		{"public/system/cache/accounts", "one folder of a media root", "ROOT/public/system\" "},
		{"public/system/accounts/avatars", "none of Mastodon's", "ROOT/public/system\" "},
		{"public/system/accounts/avatars/1", "none of Mastodon's", "ROOT/public/system\" "},
		{".", "none of Mastodon's", "ROOT/public/system\" "},
		{"public", "none of Mastodon's", "ROOT/public/system\" "},
		{"empty", "none of Mastodon's", "public/system"},
		{"var", "none of Mastodon's", "public/system"},
		{"filenames", "none of Mastodon's", "public/system"},
		{"file", "not a folder", "public/system"},
		{"missing", "no such file or directory", "PAPERCLIP_ROOT_PATH"},
	}
	root, err := filepath.EvalSymlinks(fastDir(t))
	if err != nil {
		t.Fatal(err)
	}
	plant(t, root, system)
	for _, tt := range tests {
		t.Run(tt.root, func(t *testing.T) {
			t.Parallel()
			tree, err := scanner.Open(root+"/"+tt.root, scanner.Options{})
			if tt.reason == "" {
				if err != nil {
					t.Fatal(err)
				}
				if got, _ := filepath.EvalSymlinks(root + "/" + tt.root); tree.Root() != got {
					t.Errorf("Root() = %s, want %s", tree.Root(), got)
				}
				_ = tree.Close()
				return
			}
			e, ok := errors.AsType[*scanner.RootError](err)
			if !ok {
				t.Fatalf("got %v", err)
			}
			hint := strings.ReplaceAll(tt.hint, "ROOT/", root+"/")
			if !strings.Contains(e.Error(), tt.reason) || !strings.Contains(e.Hint, hint) || strings.Contains(e.Hint, "\n") {
				t.Errorf("%v\nhint: %s\nwant %q and %q", e, e.Hint, tt.reason, hint)
			}
		})
	}
}

func TestRootMayBeRelative(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, plan{"system/accounts/a": "", "cache/accounts/a": ""})
	t.Chdir(filepath.Join(dir, "system"))
	if got := sortedWalk(t, openTree(t, ".", scanner.Options{})); len(got) != 1 {
		t.Errorf("%q", got)
	}
	t.Chdir(filepath.Join(dir, "cache"))
	if _, err := scanner.Open(".", scanner.Options{}); err == nil {
		t.Error("the working directory is cache, and was taken")
	}
}
