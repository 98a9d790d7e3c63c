package scanner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"example.org/mediamove/media"
)

const cacheFolder = "cache"

// A RootError says why a folder is not taken for a media root, and what to type
// instead.
type RootError struct {
	Root   string // as it was given
	Reason string
	Hint   string // one line for the operator
}

func (e *RootError) Error() string { return fmt.Sprintf("media root %q: %s", e.Root, e.Reason) }

// checkRoot refuses folders that are near a media root but are none: a walk of
// public/system/cache would find class folders, and move remote files under the
// keys of local ones. It returns the path with links resolved.
func checkRoot(root string) (string, error) {
	typed, err := filepath.Abs(root)
	if err != nil {
		return "", unreadableRoot(root, err)
	}
	resolved, err := filepath.EvalSymlinks(typed)
	if err != nil {
		return "", unreadableRoot(root, err)
	}
	info, err := os.Stat(resolved)
	switch {
	case err != nil:
		return "", unreadableRoot(root, err)
	case !info.IsDir():
		return "", &RootError{root, "not a folder", "name the folder public/system of Mastodon"}
	}
	for _, p := range []string{typed, resolved} {
		above := filepath.Dir(p)
		switch {
		case filepath.Base(p) == cacheFolder:
			return "", &RootError{root, "this is Mastodon's cache, a part of a media root", hintAbove(above)}
		case looksLikeRoot(above):
			return "", &RootError{root, "this is one folder of a media root", hintAbove(above)}
		}
	}
	entries, err := topEntries(resolved)
	if err != nil {
		return "", unreadableRoot(root, err)
	}
	if !holdsClass(resolved, entries) {
		return "", &RootError{root, "holds none of Mastodon's media folders", hintElsewhere(resolved)}
	}
	return resolved, nil
}

func unreadableRoot(root string, err error) *RootError {
	hint := "name the folder public/system of Mastodon (PAPERCLIP_ROOT_PATH, if that is set)"
	if errors.Is(err, fs.ErrPermission) {
		hint = "run as the user that Mastodon runs as: sudo -u mastodon …"
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err // the path is in the RootError
	}
	return &RootError{root, err.Error(), hint}
}

// topEntries looks at each known folder alone: somebody may have put a million
// others beside them.
func topEntries(dir string) ([]string, error) {
	if f, err := os.Open(dir); err != nil {
		return nil, err
	} else if err := f.Close(); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(media.TopFolders(), func(name string) bool {
		info, err := os.Lstat(filepath.Join(dir, name))
		return err != nil || !info.IsDir() && info.Mode().Type() != fs.ModeSymlink
	}), nil
}

// holdsClass asks for a folder that can hold something to move. /var has both a
// cache and a backups, so neither of these is enough.
func holdsClass(dir string, entries []string) bool {
	return slices.ContainsFunc(entries, func(name string) bool {
		if name != cacheFolder {
			return !media.Key(name + "/x").Private()
		}
		below, err := topEntries(filepath.Join(dir, name))
		// One that may not be read, or a link to another disk, gets the benefit
		// of the doubt: the walk will report it.
		return err != nil || slices.ContainsFunc(below, func(n string) bool { return n != cacheFolder })
	})
}

func looksLikeRoot(dir string) bool {
	for _, sign := range []string{"media_attachments/files", "accounts/avatars"} {
		if info, err := os.Stat(filepath.Join(dir, sign)); err == nil && info.IsDir() {
			return true
		}
	}
	return false
}

func hintAbove(dir string) string {
	for filepath.Base(dir) == cacheFolder {
		dir = filepath.Dir(dir)
	}
	return fmt.Sprintf("type %q instead", dir)
}

// hintElsewhere looks where a slip of a level or two would have led.
func hintElsewhere(dir string) string {
	for _, below := range []string{"system", "public/system", "live/public/system"} {
		if p := filepath.Join(dir, below); looksLikeRoot(p) {
			return fmt.Sprintf("type %q instead", p)
		}
	}
	for above := filepath.Dir(dir); above != filepath.Dir(above); above = filepath.Dir(above) {
		if looksLikeRoot(above) {
			return hintAbove(above)
		}
	}
	return "name the folder public/system of Mastodon: it holds media_attachments and accounts"
}
