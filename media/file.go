package media

import (
	"io/fs"
	"time"
)

// A Key is the slash-separated name shared by a file below public/system and
// its object. It never starts with a slash and never contains S3_KEY_PREFIX.
type Key string

// A File is one regular file as lstat saw it.
type File struct {
	Key     Key
	Size    int64 // bytes
	ModTime time.Time
	Mode    fs.FileMode
	Inode   uint64
}

// Hidden reports whether neither the group nor others may read the file.
// Mastodon hides the media of suspended accounts by mode; R2 has no ACLs and
// would publish them (Mastodon: app/services/update_media_attachments_permissions_service.rb).
func (f File) Hidden() bool { return f.Mode.Perm()&0o044 == 0 }

// SameStat reports whether g is the same file state as f: equal size, mtime and inode.
func (f File) SameStat(g File) bool {
	return f.Size == g.Size && f.Inode == g.Inode && f.ModTime.Equal(g.ModTime)
}
