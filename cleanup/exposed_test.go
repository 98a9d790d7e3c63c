package cleanup_test

import (
	"context"
	"iter"
	"slices"
	"testing"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
)

// findings are what syncs have found hidden on disk, and then an error if there is one.
func findings(err error, keys ...media.Key) func(ctx context.Context) iter.Seq2[ledger.Finding, error] {
	return func(context.Context) iter.Seq2[ledger.Finding, error] {
		return func(yield func(ledger.Finding, error) bool) {
			for _, k := range keys {
				if !yield(ledger.Finding{Key: k, Kind: ledger.Exposed}, nil) {
					return
				}
			}
			if err != nil {
				yield(ledger.Finding{}, err)
			}
		}
	}
}

func hiddenRow(s mastodon.Standing, why mastodon.Hidden) mastodon.Standing {
	s.Hidden = why
	return s
}

// places are all keys under which a row's file may stand: both cache variants, every style.
func places(s mastodon.Standing) (keys []media.Key) {
	for _, f := range s.Row.Files {
		for _, cached := range []bool{false, true} {
			for _, style := range []string{"original", "small", "static"} {
				keys = append(keys, media.Path{Cached: cached, Class: s.Row.Class, Attachment: f.Attachment, ID: s.Row.ID, Style: style, Name: f.Name}.Key())
			}
		}
	}
	return keys
}

func keysShown(shown []cleanup.Candidate) (keys []media.Key) {
	for _, c := range shown {
		keys = append(keys, c.Key)
	}
	return keys
}

// Everything that a hidden row may own is to be hidden, wherever it stands; and nothing of
// its neighbours, in whatever way their ids look alike.
func TestExposedFolders(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ hidden, neighbours []int64 }{
		"one":                        {[]int64{5}, []int64{4, 6, 50, 500}},
		"two beside each other":      {[]int64{5, 6}, []int64{4, 7}},
		"at the end of its folder":   {[]int64{999}, []int64{998, 1000}},
		"its number begins others":   {[]int64{113_000_001}, []int64{113_000_001_000_000_000, 113_000_001_113_000_001, 113_000_001_999_999_999, 113_000_002, 113_000_000}},
		"its number is in another":   {[]int64{113_000_001_000_000_000}, []int64{113_000_001, 113_000_001_000_000_001, 113_000_000_999_999_999}},
		"both":                       {[]int64{113_000_001, 113_000_001_000_000_000}, []int64{113_000_001_000_000_001, 113_000_002}},
		"twelve digits and eighteen": {[]int64{113_000_001, 113_000_001_222}, []int64{113_000_001_222_333_444, 113_000_001_223}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTown()
			var want, others []media.Key
			for _, id := range tt.hidden {
				s := hiddenRow(pictured(id, "a.jpeg"), mastodon.HiddenSuspended)
				w.rows[media.MediaAttachments][id] = s
				want = append(want, places(s)...)
			}
			for _, id := range tt.neighbours {
				s := pictured(id, "a.jpeg")
				w.rows[media.MediaAttachments][id] = s
				others = append(others, keysOfRow(s)...)
			}
			w.store(want...)
			w.store(others...)
			r, losses, shown, err := w.find(t.Context(), w.missing(t))
			must(t, err)
			slices.Sort(want)
			if got := keysShown(shown); !slices.Equal(got, want) || len(losses) > 0 {
				t.Errorf("got %q\nwant %q\nlost %+v", got, want, losses)
			}
			g := cleanup.ExposedGroup{Class: media.MediaAttachments, Why: string(mastodon.HiddenSuspended)}
			equal(t, r.Exposed, map[cleanup.ExposedGroup]cleanup.Sum{g: {Objects: int64(len(want)), Bytes: 7 * int64(len(want))}})

			// What is not there is as it should be, and what its neighbours lack is lost.
			w.lose(want...)
			w.lose(others...)
			r, lost := w.lost(t)
			slices.Sort(others)
			if slices.Sort(lost); !slices.Equal(lost, others) || r.Hidden != int64(3*len(tt.hidden)) {
				t.Errorf("got %q\nwant %q\n%+v", lost, others, r)
			}
		})
	}
}

// A hidden row's own objects are meant, not what some other file has left in its folder:
// that is an orphan, and no row's to hide.
func TestExposedOwn(t *testing.T) {
	t.Parallel()
	s := hiddenRow(pictured(5, "a.jpeg"), mastodon.HiddenDiscarded)
	s.Row.Files[1].Name = ""
	account := hiddenRow(aRow(media.Accounts, 5, media.Filed{Attachment: "avatars", Name: apart}, media.Filed{Attachment: "headers"}), mastodon.HiddenSuspended)
	card := aRow(media.PreviewCards, 5, media.Filed{Attachment: "images", Name: "a.jpeg", Schema: 1})
	w := newTown(s, account, card).full()
	want := append(keysOfRow(s), media.Key(media.Normal(string(keysOfRow(account)[0]))))
	w.store(
		"cache/media_attachments/files/000/000/005/original/b.jpeg", // an earlier file's
		"cache/media_attachments/thumbnails/000/000/005/original/a.jpeg", "accounts/headers/000/000/005/original/h.jpeg",
		"cache/media_attachments/files/000/000/005/original", "cache/media_attachments/files/000/000/005/original/x/a.jpeg",
		"cache/media_attachments/files/000/000/006/original/a.jpeg", "cache/media_attachments/filesx/000/000/005/original/a.jpeg",
	)
	r, losses, shown, err := w.find(t.Context(), w.missing(t))
	must(t, err)
	slices.Sort(want)
	if got := keysShown(shown); !slices.Equal(got, want) || len(losses) > 0 {
		t.Errorf("got %q\nwant %q\nlost %+v", got, want, losses)
	}
	equal(t, r.Exposed, map[cleanup.ExposedGroup]cleanup.Sum{
		{Class: media.MediaAttachments, Why: string(mastodon.HiddenDiscarded)}: {Objects: 2, Bytes: 14},
		{Class: media.Accounts, Why: string(mastodon.HiddenSuspended)}:         {Objects: 1, Bytes: 7},
	})
	for _, c := range shown {
		if c.ETag != "e" || c.Size != 7 || !c.Modified.Equal(noon) || c.Reason == "" {
			t.Errorf("%+v", c)
		}
	}
}

// What is hidden on disk is one object, in whatever spelling; the database's reason, if it
// has one, is told first.
func TestExposedOnDisk(t *testing.T) {
	t.Parallel()
	hidden, shown := hiddenRow(pictured(1, "a.jpeg"), mastodon.HiddenSuspended), pictured(2, apart)
	w := newTown(hidden, shown).full()
	w.store("site_uploads/files/000/000/001/original/x.png")
	m := w.missing(t)
	first := keysOfRow(shown)[0] // as the disk spells it
	m.Exposed = findings(nil, first, keysOfRow(hidden)[0], "site_uploads/files/000/000/001/original/x.png", "accounts/avatars/000/000/009/original/gone.png")
	r, losses, exposed, err := w.find(t.Context(), m)
	must(t, err)
	if len(losses) != 0 || r.Absent != 0 {
		t.Errorf("%+v", losses)
	}
	why := map[media.Key]string{
		media.Key(media.Normal(string(first))): cleanup.HiddenOnDisk, "site_uploads/files/000/000/001/original/x.png": cleanup.HiddenOnDisk,
	}
	for _, k := range keysOfRow(hidden) {
		why[k] = string(mastodon.HiddenSuspended)
	}
	got := map[media.Key]string{}
	for _, c := range exposed {
		got[c.Key] = c.Reason
	}
	equal(t, got, why)
	if r.Shown() != (cleanup.Sum{Objects: 5, Bytes: 35}) {
		t.Errorf("%+v", r.Exposed)
	}
}
