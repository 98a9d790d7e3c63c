package uploader

import (
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/media"
)

// An OldCache is the part of a plan that Mastodon's own commands would clear from the
// disk first, rows and files together, as far as mtimes tell: tootctl media remove
// goes by the age of a row's last download, tootctl preview_cards remove by the last
// change of its row (lib/mastodon/cli/media.rb, preview_cards.rb).
type OldCache struct {
	Days  int   // unchanged on disk for longer than that
	Media Spare // media_attachments below cache/
	Cards Spare // preview_cards below cache/
}

// A Spare is what need not be sent.
type Spare struct {
	Totals
	Requests costs.Usage
}

func (s *Spare) add(f media.File) {
	s.Totals.add(f)
	s.Requests = s.Requests.Add(requests(f.Size))
}

// Add returns s and t together.
func (s Spare) Add(t Spare) Spare {
	return Spare{Totals{s.Files + t.Files, s.Bytes + t.Bytes}, s.Requests.Add(t.Requests)}
}

// oldCaches are the ages that are told apart: each file counts for every one that it
// is older than, so a few counters do for any number of files.
func oldCaches() []OldCache {
	return []OldCache{{Days: 90}, {Days: 30}, {Days: 14}, {Days: 7}}
}

func (o *OldCache) add(f media.File, now time.Time) {
	if !f.Key.Cached() || now.Sub(f.ModTime) <= time.Duration(o.Days)*24*time.Hour {
		return
	}
	switch f.Key.Class() {
	case media.MediaAttachments:
		o.Media.add(f)
	case media.PreviewCards:
		o.Cards.add(f)
	}
}
