package media

import (
	"bytes"
	"strings"
)

// CacheControl is what Mastodon writes on every object: ten years, as a file
// that changes gets a new name.
const CacheControl = "public, max-age=315576000, immutable"

// SniffLen is how many first bytes of a file [ContentType] and [MayRewrite]
// want to see, or all of a shorter one.
const SniffLen = 512

// untyped makes browsers download an object and never run it.
const untyped = "application/octet-stream"

// typeOf maps lower-case extensions to types. The host's own table (package
// mime) differs between machines and knows text/html and image/svg+xml, which
// a stranger could have put into a file's name. Mastodon keeps an uploaded
// extension that fits the type, else takes the type's first, hence the odd
// ones (app/models/concerns/attachmentable.rb).
var typeOf = map[string]string{
	"jpg": "image/jpeg", "jpeg": "image/jpeg", "jpe": "image/jpeg", "jfif": "image/jpeg",
	"png": "image/png", "gif": "image/gif", "webp": "image/webp",
	"heic": "image/heic", "heif": "image/heif", "avif": "image/avif",
	// An administrator's site uploads may be any image.
	"ico": "image/vnd.microsoft.icon", "bmp": "image/bmp", "tif": "image/tiff", "tiff": "image/tiff",

	"mp4": "video/mp4", "m4v": "video/mp4", "mp4v": "video/mp4", "mpg4": "video/mp4",
	"webm": "video/webm", "mov": "video/quicktime", "qt": "video/quicktime", "ogv": "video/ogg",

	"mp3": "audio/mpeg", "mpga": "audio/mpeg",
	"ogg": "audio/ogg", "oga": "audio/ogg", "opus": "audio/ogg",
	"wav": "audio/wav", "flac": "audio/flac", "aac": "audio/aac", "weba": "audio/webm",
	"m4a": "audio/mp4", "mp4a": "audio/mp4", "3gp": "audio/3gpp",
	"wma": "video/x-ms-asf", "asf": "video/x-ms-asf", // Mastodon's name for WMA audio
}

// ContentType is the Content-Type that Mastodon would have given k's object:
// told by the extension, and by head, the file's first bytes, where names are
// known to lie. It is an image, video or audio type; or, with typed false,
// application/octet-stream. head may be nil: then the name is believed.
func ContentType(k Key, head []byte) (contentType string, typed bool) {
	ext := extension(k)
	byName, ok := typeOf[ext]
	if !ok {
		return untyped, false
	}
	if byBytes := rasterType(head); byBytes != "" && byBytes != byName && mayLie(k, ext) {
		return byBytes, true
	}
	return byName, true
}

// extension is the lower-case end of the name, without its dot. A name that
// begins with its only dot has none.
func extension(k Key) string {
	name := string(k[strings.LastIndexByte(string(k), '/')+1:])
	dot := strings.LastIndexByte(name, '.')
	if dot <= 0 {
		return ""
	}
	return strings.ToLower(name[dot+1:])
}

// mayLie reports whether k is of one of the two kinds that Mastodon names
// wrongly: the preview of a GIF that isn't animated is called .png but stays a
// GIF (lib/paperclip/gif_transcoder.rb), and a card's image that came as a GIF
// is made a JPEG but keeps its name (app/models/preview_card.rb).
func mayLie(k Key, ext string) bool {
	if ext != "png" && ext != "gif" {
		return false
	}
	p, err := Parse(k)
	if err != nil {
		return false
	}
	return ext == "png" && p.Class == MediaAttachments && p.Style == "small" ||
		ext == "gif" && p.Class == PreviewCards
}

// rasterType names the image format that head begins, "" if none that
// Mastodon makes.
func rasterType(head []byte) string {
	switch {
	case bytes.HasPrefix(head, []byte("GIF87a")), bytes.HasPrefix(head, []byte("GIF89a")):
		return "image/gif"
	case bytes.HasPrefix(head, []byte("\xff\xd8\xff")):
		return "image/jpeg"
	case bytes.HasPrefix(head, []byte("\x89PNG\r\n\x1a\n")):
		return "image/png"
	case isRIFF(head, "WEBP"):
		return "image/webp"
	}
	return ""
}

// isRIFF reports whether head begins a RIFF file of the given form type.
func isRIFF(head []byte, form string) bool {
	return len(head) >= 12 && string(head[:4]) == "RIFF" && string(head[8:12]) == form
}
