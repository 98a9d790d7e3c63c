package media_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"example.org/mediamove/media"
)

const mp4Head = "\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2avc1mp41"

var rowMade = time.Date(2024, 5, 6, 7, 8, 9, 123e6, time.UTC)

// freshVideo is a local video right after its transcoding.
func freshVideo() media.File {
	p := media.Path{Class: media.MediaAttachments, Attachment: "files", ID: rowMade.UnixMilli()<<16 | 7, Style: "original", Name: "0f.mp4"}
	return media.File{Key: p.Key(), Size: 1 << 20, ModTime: rowMade.Add(time.Minute), Mode: 0o644}
}

func TestMayRewrite(t *testing.T) {
	t.Parallel()
	rename := func(old, replacement string) func(*media.File) {
		return func(f *media.File) {
			f.Key = media.Key(strings.Replace(string(f.Key), old, replacement, 1))
		}
	}
	mtime := func(after time.Duration) func(*media.File) {
		return func(f *media.File) { f.ModTime = rowMade.Add(after) }
	}
	for name, tt := range map[string]struct {
		change func(*media.File)
		want   bool
	}{
		"transcoded":            {func(*media.File) {}, true},
		"to mp3":                {rename(".mp4", ".mp3"), true},
		"upper case":            {rename(".mp4", ".MOV"), true},
		"at once":               {mtime(0), true},
		"after 24 h":            {mtime(24 * time.Hour), true},
		"later":                 {mtime(24*time.Hour + 1), false},
		"before its row":        {mtime(-1), false},
		"no mtime":              {func(f *media.File) { f.ModTime = time.Time{} }, false},
		"empty":                 {func(f *media.File) { f.Size = 0 }, false},
		"cached":                {rename("media_", "cache/media_"), false},
		"another style":         {rename("original", "small"), false},
		"another attachment":    {rename("files", "thumbnails"), false},
		"another class":         {rename("media_attachments/files", "accounts/avatars"), false},
		"an image":              {rename(".mp4", ".png"), false},
		"no type":               {rename(".mp4", ""), false},
		"no shape":              {rename("original/", ""), false},
		"an old id without age": {func(f *media.File) { f.Key = "media_attachments/files/000/000/001/original/0f.mp4" }, false},
	} {
		f := freshVideo()
		tt.change(&f)
		if got := media.MayRewrite(f, []byte(mp4Head)); got != tt.want {
			t.Errorf("%s: MayRewrite(%+v) = %v, want %v", name, f, got, tt.want)
		}
	}
}

func TestMayRewriteHead(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		head string
		want bool
	}{
		"mp4":                {mp4Head, true},
		"mov":                {"\x00\x00\x00\x14ftypqt  \x00\x00\x02\x00qt  ", true},
		"m4a":                {"\x00\x00\x00\x1cftypM4A \x00\x00\x02\x00", true},
		"3gp":                {"\x00\x00\x00\x1cftyp3gp4\x00\x00\x02\x00", true},
		"webm":               {"\x1a\x45\xdf\xa3\x9f\x42\x86\x81", true},
		"ogg":                {"OggS\x00\x02", true},
		"flac":               {"fLaC\x00\x00\x00\x22", true},
		"wav":                {"RIFF\x24\x08\x00\x00WAVEfmt ", true},
		"mp3 with tags":      {"ID3\x04\x00\x00", true},
		"mp3 frame":          {"\xff\xfb\x90\x64", true},
		"mp3 MPEG 2.5 frame": {"\xff\xe3\x18\xc4", true},
		"aac":                {"\xff\xf1\x50\x80", true},
		"aac MPEG-2":         {"\xff\xf9\x4c\x80", true},
		"wma":                {"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c", true},

		"zero-filled":        {strings.Repeat("\x00", media.SniffLen), false},
		"ones":               {strings.Repeat("\xff", media.SniffLen), false},
		"nothing":            {"", false},
		"jpeg":               {jpegHead, false},
		"png":                {pngHead, false},
		"gif":                {gifHead, false},
		"webp":               {webpHead, false},
		"avif":               {"\x00\x00\x00\x20ftypavif\x00\x00\x00\x00", false},
		"heic":               {"\x00\x00\x00\x20ftypheic\x00\x00\x00\x00", false},
		"html":               {htmlHead, false},
		"ftyp alone":         {"\x00\x00\x00\x20ftyp", false},
		"ftyp without room":  {"\x00\x00\x00\x08ftypisom\x00\x00\x02\x00", false},
		"ftyp then zeros":    {"\x00\x00\x00\x00ftypisom\x00\x00\x02\x00", false},
		"UTF-16":             {"\xff\xfea\x00", false},
		"mp3 bad bitrate":    {"\xff\xfb\xf0\x64", false},
		"mp3 bad frequency":  {"\xff\xfb\x9c\x64", false},
		"mp3 bad version":    {"\xff\xeb\x90\x64", false},
		"mp3 cut":            {"\xff\xfb\x90", false},
		"aac bad frequency":  {"\xff\xf1\x74\x80", false},
		"aac of 11 bit sync": {"\xff\xe1\x50\x80", false},
	} {
		if got := media.MayRewrite(freshVideo(), []byte(tt.head)); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

// TestMayRewriteOnlyLocalOriginals draws any path at all: nothing outside
// media_attachments/files/…/original is ever rewritten.
func TestMayRewriteOnlyLocalOriginals(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := anyPath(t)
		p.Name = "0f.mp4"
		made, ok := p.Created()
		f := media.File{Key: p.Key(), Size: 1, ModTime: made}
		want := ok && !p.Cached && p.Class == "media_attachments" && p.Attachment == "files" && p.Style == "original"
		if got := media.MayRewrite(f, []byte(mp4Head)); got != want {
			t.Fatalf("%q: %v, want %v", f.Key, got, want)
		}
	})
}
