package media

import (
	"iter"
	"strings"
)

// Required yields the keys that must exist for r to show as Mastodon 4.6 links
// to it, spelled as the database spells them; R2 may list them in NFC. A busy
// row, whose files are still being made, and the private classes, which never
// move, require nothing. Styles that rows of older versions lack are left out.
func (r *Row) Required() iter.Seq[Key] {
	return func(yield func(Key) bool) {
		if r.Busy || r.Class.Private() {
			return
		}
		for _, f := range r.Files {
			if f.Name != "" && !r.requiredOf(f, yield) {
				return
			}
		}
	}
}

// Requires reports whether k is one of [Row.Required]. Names that differ in Unicode form
// only are one, as keys are in R2.
func (r *Row) Requires(k Key) bool {
	normal := Normal(string(k))
	for required := range r.Required() {
		if Normal(string(required)) == normal {
			return true
		}
	}
	return false
}

// requiredOf yields f's keys, false if the caller has had enough.
func (r *Row) requiredOf(f Filed, yield func(Key) bool) bool {
	a, ok := findAttachment(r.Class, f.Attachment)
	if !ok {
		return true // of a later Mastodon: where its files stand is not known
	}
	p := Path{
		Cached: a.cacheable && r.Remote && f.Schema >= 1,
		Class:  r.Class, Attachment: f.Attachment, ID: r.ID,
		Style: "original", Name: f.Name,
	}
	if !yield(p.Key()) {
		return false
	}
	styles, format := r.derived(f)
	for _, p.Style = range styles {
		p.Name = inFormat(f.Name, format)
		if !yield(p.Key()) {
			return false
		}
	}
	return true
}

// What Mastodon makes of each site upload (app/models/site_upload.rb). An app
// icon comes in Apple's and in Android's sizes.
func siteStyles(variable string, blurhash bool) []string {
	switch {
	case variable == "favicon":
		return []string{"16", "32", "48"}
	case variable == "app_icon":
		return []string{
			"36", "48", "57", "60", "72", "76", "96", "114", "120",
			"144", "152", "167", "180", "192", "256", "384", "512", "1024",
		}
	case variable == "thumbnail" && blurhash: // rows of 3.5 have neither
		return []string{"@1x", "@2x"}
	}
	return nil
}

// derived names the styles beside the original that f's bytes were made into,
// and their extension, "" for that of the original.
func (r *Row) derived(f Filed) (styles []string, format string) {
	switch r.Class {
	case MediaAttachments:
		if f.Attachment == "files" {
			return smallOf(f.ContentType)
		}
	case Accounts:
		if f.ContentType == "image/gif" {
			return []string{"static"}, "png"
		}
	case CustomEmojis:
		return []string{"static"}, "png"
	case SiteUploads:
		return siteStyles(r.Var, f.Blurhash), "png"
	}
	return nil, "" // a provider's icon is linked to as original only
}

// smallOf says which preview an attachment of the given type has (file_styles
// in app/models/media_attachment.rb). Every type that isn't listed there is
// taken for audio, which has none.
func smallOf(contentType string) (styles []string, format string) {
	small := []string{"small"}
	switch contentType {
	case "image/jpeg", "image/png", "image/webp":
		return small, ""
	case "image/heic", "image/heif", "image/avif":
		return small, "jpeg"
	case "image/gif", "video/webm", "video/mp4", "video/quicktime", "video/ogg":
		return small, "png"
	}
	return nil, ""
}

// inFormat names a style of the file name, as Mastodon's :filename does
// (config/initializers/paperclip.rb).
func inFormat(name, format string) string {
	b := stem(name)
	if format == "" {
		format = strings.TrimPrefix(name[len(b):], ".")
	}
	if format == "" {
		return b
	}
	return b + "." + format
}
