package scanner_test

import (
	"os"
	"path/filepath"
	"testing"

	"example.org/mediamove/scanner"
)

// TestHoldsFile: only the named folder counts, folders without files don't, and
// what can't be followed may hide something.
func TestHoldsFile(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, dir := range []string{"accounts/avatars/000/000/001/original", "cache/accounts/avatars", "cache/preview_cards/images", "media_attachments/files"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"accounts/avatars/000/000/001/original/a.png", "cache/preview_cards/images/a.png", "robots.txt"} {
		if err := os.WriteFile(filepath.Join(root, file), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/nowhere", filepath.Join(root, "custom_emojis")); err != nil {
		t.Fatal(err)
	}
	tree, err := scanner.Open(root, scanner.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tree.Close() }()
	for top, want := range map[string]bool{
		"accounts": true, "media_attachments": false, "cache": true, "cache/accounts": false,
		"cache/preview_cards": true, "custom_emojis": true, "site_uploads": false, "cache/media_attachments": false,
	} {
		if got, err := tree.HoldsFile(t.Context(), top); err != nil || got != want {
			t.Errorf("%s: %t, %v", top, got, err)
		}
	}
}
