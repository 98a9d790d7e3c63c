// Package media says what the names of Mastodon's media mean: which class a
// key belongs to, whose record owns it, when that record was made, which
// Content-Type Mastodon would have given it, and whether it can be a key at all.
//
// A key is the path below public/system and the object's name too: moving a
// file changes where it lives, never what it is called. The shape of a key is
//
//	[cache/] class/attachment/id groups/style/name
//
// as Mastodon 3.5 to 4.6 writes it (config/initializers/paperclip.rb, and the
// id_partition of kt-paperclip's lib/paperclip/interpolations.rb).
//
// Everything here is pure: no I/O, no clock.
package media

import (
	"slices"
	"strings"
)

// A Class is the folder that one of Mastodon's models keeps its files in.
type Class string

// The classes of Mastodon 3.5 to 4.6. Imports lost its table in 4.4, but the
// files of older versions stay where they were.
const (
	Outside              Class = "" // below no class folder: not Mastodon's, or not known to be
	MediaAttachments     Class = "media_attachments"
	Accounts             Class = "accounts"
	CustomEmojis         Class = "custom_emojis"
	PreviewCards         Class = "preview_cards"
	PreviewCardProviders Class = "preview_card_providers"
	SiteUploads          Class = "site_uploads"
	Backups              Class = "backups"
	Imports              Class = "imports"
)

const cacheFolder = "cache"

// An attachment is one has_attached_file of a model.
type attachment struct {
	class     Class
	name      string
	cacheable bool     // copies of other servers' files stand under cache/
	styles    []string // every style of 3.5 to 4.6
}

// attachments is all that this package knows of Mastodon's models
// (app/models/*.rb, app/models/concerns/account/{avatar,header}.rb).
var attachments = [...]attachment{
	{MediaAttachments, "files", true, []string{"original", "small"}},
	{MediaAttachments, "thumbnails", true, []string{"original"}},
	{Accounts, "avatars", true, []string{"original", "static"}},
	{Accounts, "headers", true, []string{"original", "static"}},
	{CustomEmojis, "images", true, []string{"original", "static"}},
	{PreviewCards, "images", true, []string{"original"}},
	{PreviewCardProviders, "icons", false, []string{"original", "static"}},
	{SiteUploads, "files", false, []string{
		"original", "@1x", "@2x", // thumbnail, since 4.0
		"16", "32", "48", // favicon, since 4.3; the rest: app_icon
		"36", "57", "60", "72", "76", "96", "114", "120", "144",
		"152", "167", "180", "192", "256", "384", "512", "1024",
	}},
	{Backups, "dumps", false, []string{"original"}},
	{Imports, "data", false, []string{"original"}},
}

func findAttachment(c Class, name string) (attachment, bool) {
	for _, a := range attachments {
		if a.class == c && a.name == name {
			return a, true
		}
	}
	return attachment{}, false
}

// TopFolders lists the folders at the top of a media root in the order in
// which they are to be moved: what local users can't get back comes first.
// Old preview cards and then cache, which other servers still have, come last.
func TopFolders() []string {
	return []string{
		string(MediaAttachments), string(Accounts), string(SiteUploads), string(CustomEmojis),
		string(PreviewCardProviders), string(Backups), string(Imports), string(PreviewCards),
		cacheFolder,
	}
}

// Class says below which class folder k stands, whatever the shape of the
// rest; cache/accounts/x is of class accounts. It is [Outside] for a key
// directly in the root, in cache/ or in a folder that Mastodon doesn't have.
func (k Key) Class() Class {
	rest := strings.TrimPrefix(string(k), cacheFolder+"/")
	top, below, _ := strings.Cut(rest, "/")
	c := Class(top)
	if below == "" || !slices.ContainsFunc(attachments[:], func(a attachment) bool { return a.class == c }) {
		return Outside
	}
	return c
}

// Cached reports whether k stands under cache/: a copy of another server's
// file. The reverse does not hold: copies made before Mastodon 3.1.4, and
// remote thumbnails before 4.6, stand beside the local ones.
func (k Key) Cached() bool { return strings.HasPrefix(string(k), cacheFolder+"/") }

// Private reports whether k is a user's archive or import. Mastodon guards
// these by ACL or by an unguessable URL; R2 has no ACLs, so they never move.
func (k Key) Private() bool { return k.Class().Private() }

// Private reports whether c's files are users' archives or imports.
func (c Class) Private() bool { return c == Backups || c == Imports }

// Reserved reports whether k is mediamove's own, below .mediamove/.
func (k Key) Reserved() bool { return strings.HasPrefix(string(k), ".mediamove/") }
