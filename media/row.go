package media

import (
	"strings"
	"time"
)

// A Row is one row of Mastodon's database that owns files, with what decides
// which keys are its own.
type Row struct {
	Class Class
	ID    int64
	// Remote is Mastodon's local? turned round: media_attachments with a
	// remote_url, accounts and custom_emojis with a domain, every preview card.
	// The other classes have no local? and are false.
	Remote bool
	// Busy: media_attachments.processing is 0 or 1, so a worker may still write
	// other bytes under the same name (app/workers/post_process_media_worker.rb).
	Busy  bool
	Var   string  // site_uploads.var, "" for the other classes
	Files []Filed // every attachment that its table has, also those without a file
	// Changed is the later of created_at and updated_at; zero unless the row comes
	// from mastodon.Database's All, Standing or Concealed: its Rows, which every
	// scan goes through, does not ask for it.
	Changed time.Time
}

// Filed is what a row says about one of its attachments. Name is
// *_file_name, "" if the attachment has no file now.
type Filed struct {
	Attachment  string    // as in a key: files, thumbnails, avatars, …
	Name        string    // of the original, as the column has it
	ContentType string    // of the original
	Schema      int       // *_storage_schema_version; 0 if NULL or if there is no such column
	Size        int64     // of the original, in bytes; the other styles are in no column
	Updated     time.Time // *_updated_at, zero if NULL
	Blurhash    bool      // the row has a blurhash
}

// A Reason says why nobody owns an object.
type Reason string

// The reasons. Unfamiliar never makes a candidate for deletion: it says that
// this program, and not that nobody, knows the object.
const (
	Owned       Reason = "" // somebody does
	RowGone     Reason = "row gone"
	NameChanged Reason = "file name changed"
	Cleared     Reason = "attachment cleared"
	Unfamiliar  Reason = "style or attachment not known"
)

// Judge says why nobody owns the object at p, given the row that p names; r is
// nil if the database has no such row. It is [Unfamiliar] before anything else
// if this package or the row's table knows too little about p: a private class,
// a style that no version from 3.5 to 4.6 writes, an attachment that is not
// among r.Files, or a row that is not the one that p names. A busy row is judged
// as any other; what it leaves behind is for its caller to hold back.
func Judge(p Path, r *Row) Reason {
	if p.Class.Private() || !p.KnownStyle() {
		return Unfamiliar
	}
	if r == nil {
		return RowGone
	}
	f, ok := r.file(p)
	switch {
	case !ok:
		return Unfamiliar
	case f.mayBe(p.Name):
		return Owned
	case f.Name == "":
		return Cleared
	}
	return NameChanged
}

// MayOwn reports whether r may own the object at p. It answers yes for more
// keys than Mastodon writes for r today, since rows of every age and version
// are in one bucket: with and without cache/, every style whatever the content
// type, and any extension (a transcoded original keeps its base name only).
// Names that differ in Unicode form only are one, as keys are in R2.
func (r *Row) MayOwn(p Path) bool {
	f, ok := r.file(p)
	return ok && f.mayBe(p.Name)
}

// file finds what r says about p's attachment; false if it says nothing, or is
// another row than p's.
func (r *Row) file(p Path) (Filed, bool) {
	if r.Class == p.Class && r.ID == p.ID {
		for _, f := range r.Files {
			if f.Attachment == p.Attachment {
				return f, true
			}
		}
	}
	return Filed{}, false
}

// mayBe reports whether some style of f can be called name.
func (f Filed) mayBe(name string) bool {
	if f.Name == "" {
		return false
	}
	if name == f.Name {
		return true
	}
	name, base := Normal(name), stem(Normal(f.Name))
	dot := strings.LastIndexByte(name, '.')
	return name == base || dot >= 0 && name[:dot] == base
}

// stem is a name without its last extension. As in Ruby's File.basename(name,
// ".*"), which kt-paperclip calls, leading dots begin no extension.
func stem(name string) string {
	rest := strings.TrimLeft(name, ".")
	if dot := strings.LastIndexByte(rest, '.'); dot >= 0 {
		return name[:len(name)-len(rest)+dot]
	}
	return name
}
