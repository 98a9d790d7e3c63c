package media_test

import (
	"fmt"
	"strings"
	"testing"

	"example.org/mediamove/media"
)

// The first bytes of small real files.
const (
	gifHead  = "GIF89a\x01\x00\x01\x00"
	jpegHead = "\xff\xd8\xff\xe0\x00\x10JFIF\x00"
	pngHead  = "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
	webpHead = "RIFF\x24\x00\x00\x00WEBPVP8 "
	htmlHead = "<!DOCTYPE html><script>"
)

func TestContentType(t *testing.T) {
	t.Parallel()
	const (
		small = "media_attachments/files/109/312/000/001/002/003/small/0f"
		orig  = "media_attachments/files/109/312/000/001/002/003/original/0f"
		card  = "cache/preview_cards/images/000/000/001/original/0f"
		octet = "application/octet-stream"
	)
	for _, tt := range []struct {
		key        media.Key
		head, want string
	}{
		{orig + ".jpg", jpegHead, "image/jpeg"},
		{orig + ".jpeg", jpegHead, "image/jpeg"},
		{orig + ".png", pngHead, "image/png"},
		{orig + ".gif", gifHead, "image/gif"},
		{orig + ".webp", webpHead, "image/webp"},
		{orig + ".avif", "", "image/avif"},
		{orig + ".JPG", jpegHead, "image/jpeg"},
		{orig + ".Mp4", "", "video/mp4"},
		{orig + ".mov", "", "video/quicktime"},
		{orig + ".webm", "", "video/webm"},
		{orig + ".mp3", "", "audio/mpeg"},
		{orig + ".opus", "", "audio/ogg"},
		{orig + ".m4a", "", "audio/mp4"},
		{orig + ".wma", "", "video/x-ms-asf"},
		{orig + ".tar.png", "", "image/png"},

		// The two that lie.
		{small + ".png", gifHead, "image/gif"},
		{small + ".PNG", "GIF87a", "image/gif"},
		{"cache/" + small + ".png", gifHead, "image/gif"},
		{card + ".gif", jpegHead, "image/jpeg"},
		{"preview_cards/images/000/000/001/original/0f.gif", jpegHead, "image/jpeg"},
		{card + ".gif", webpHead, "image/webp"},
		// And where they tell the truth, or can't be asked.
		{small + ".png", pngHead, "image/png"},
		{small + ".png", "", "image/png"},
		{small + ".png", htmlHead, "image/png"},
		{card + ".gif", gifHead, "image/gif"},
		{card + ".gif", "\x00\x00\x00\x00", "image/gif"},
		// Elsewhere the name is believed.
		{orig + ".png", gifHead, "image/png"},
		{card + ".png", jpegHead, "image/png"},
		{"accounts/avatars/000/000/001/original/a.gif", jpegHead, "image/gif"},
		{"media_attachments/files/small/a.png", gifHead, "image/png"},

		{orig + ".svg", "<svg onload=alert(1)>", octet},
		{orig + ".html", htmlHead, octet},
		{orig + ".htm.", htmlHead, octet},
		{orig + ".js", "", octet},
		{orig + ".xml", "", octet},
		{orig + ".pdf", "", octet},
		{orig + ".zip", "", octet},
		{orig, pngHead, octet},
		{"accounts/avatars.png/x", "", octet},
		{"accounts/.png", "", octet},
		{"", "", octet},
	} {
		got, typed := media.ContentType(tt.key, []byte(tt.head))
		if got != tt.want || typed != (tt.want != octet) {
			t.Errorf("%q beginning %q: %s, %v; want %s", tt.key, tt.head, got, typed, tt.want)
		}
	}
}

func FuzzContentType(f *testing.F) {
	f.Add("media_attachments/files/109/312/000/001/002/003/small/0f.png", []byte(gifHead))
	f.Add("cache/preview_cards/images/000/000/001/original/0f.gif", []byte(jpegHead))
	f.Add("accounts/avatars/000/000/001/original/a.svg", []byte("<svg>"))
	f.Add("accounts/x.html", []byte(htmlHead))
	f.Fuzz(func(t *testing.T, key string, head []byte) {
		got, typed := media.ContentType(media.Key(key), head)
		kind, sub, _ := strings.Cut(got, "/")
		switch kind {
		case "image", "video", "audio":
			if !typed || strings.ContainsAny(sub, "+; \r\n") { // no svg+xml, no parameters
				t.Errorf("%q: %q, %v", key, got, typed)
			}
		default:
			if typed || got != "application/octet-stream" {
				t.Errorf("%q: %q, %v", key, got, typed)
			}
		}
	})
}

func ExampleContentType() {
	// The preview of a GIF that isn't animated: named .png, still a GIF.
	key := media.Key("media_attachments/files/109/312/000/001/002/003/small/0f.png")
	fmt.Println(media.ContentType(key, []byte("GIF89a…")))
	fmt.Println(media.ContentType("accounts/avatars/000/000/001/original/a.svg", nil))
	// Output:
	// image/gif true
	// application/octet-stream false
}
