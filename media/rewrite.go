package media

import (
	"bytes"
	"encoding/binary"
	"strings"
	"time"
)

// rewriteWindow is how long after its row was made a file may still be
// transcoded: PostProcessMediaWorker and its retries are done long before.
const rewriteWindow = 24 * time.Hour

// MayRewrite reports whether f, a file that changed after it was moved, may
// replace the object that we put: whether it can be Mastodon's one rewrite
// under the same name, the transcoding of a fresh local video or sound
// (app/workers/post_process_media_worker.rb). head is f's first [SniffLen] bytes.
//
// Any other change is damage or somebody's hand, and the object may be the
// only good copy: a file that a crash filled with zeros has a new mtime too.
func MayRewrite(f File, head []byte) bool {
	if f.Size <= 0 || !hasVideoName(f.Key) || !isAudioVideo(head) {
		return false
	}
	p, err := Parse(f.Key)
	if err != nil || p.Cached || p.Class != MediaAttachments || p.Attachment != "files" || p.Style != "original" {
		return false
	}
	created, ok := p.Created()
	age := f.ModTime.Sub(created)
	return ok && age >= 0 && age <= rewriteWindow
}

// hasVideoName reports whether k's extension is one of video or audio.
func hasVideoName(k Key) bool {
	t := typeOf[extension(k)]
	return strings.HasPrefix(t, "video/") || strings.HasPrefix(t, "audio/")
}

// isAudioVideo reports whether head begins a file of a kind that Mastodon
// accepts as video or audio (VIDEO_MIME_TYPES and AUDIO_MIME_TYPES of
// app/models/media_attachment.rb).
func isAudioVideo(head []byte) bool {
	for _, magic := range []string{
		"\x1a\x45\xdf\xa3", // EBML: webm
		"OggS",
		"fLaC",
		"ID3", // mp3 with tags
		"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c", // ASF: wma
	} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return true
		}
	}
	return isRIFF(head, "WAVE") || isISOMedia(head) || isAudioFrame(head)
}

// isISOMedia reports whether head begins mp4, mov, m4a or 3gp: a box of type
// ftyp with room for a brand and its version. Still images in the same
// container (heic, avif) are none.
func isISOMedia(head []byte) bool {
	if len(head) < 16 || string(head[4:8]) != "ftyp" || binary.BigEndian.Uint32(head) < 16 {
		return false
	}
	switch string(head[8:12]) {
	case "avif", "avis", "heic", "heix", "hevc", "hevx", "heim", "heis", "mif1", "msf1":
		return false
	}
	return true
}

// isAudioFrame reports whether head begins with the header of an MPEG audio
// frame of layer II or III or, alike but for its layer bits of 0, of an AAC one
// in ADTS. Layer I would let UTF-16's byte order mark through.
func isAudioFrame(head []byte) bool {
	if len(head) < 4 || head[0] != 0xff || head[1]&0xe0 != 0xe0 {
		return false
	}
	version, layer := head[1]>>3&3, head[1]>>1&3
	if layer == 0 { // ADTS: 12 bits of sync, 13 sampling frequencies
		return head[1]&0x10 != 0 && head[2]>>2&0xf < 13
	}
	bitrate, frequency := head[2]>>4, head[2]>>2&3
	return version != 1 && layer != 3 && bitrate != 0xf && frequency != 3
}
