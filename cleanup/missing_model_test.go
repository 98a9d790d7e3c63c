package cleanup_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// ids of which some begin others' folders.
var modelIDs = []int64{1, 2, 113_000_001, 113_000_001_000_000_000, 113_000_001_000_000_001}

func drawRow(r *rapid.T, c media.Class, id int64) mastodon.Standing {
	at := rapid.SampledFrom([]time.Time{oldDay, oldDay, oldDay, noon.Add(-time.Hour), {}})
	attachments := map[media.Class][]string{
		media.MediaAttachments: {"files", "thumbnails"}, media.Accounts: {"avatars", "headers"}, media.PreviewCards: {"images"},
	}
	s := mastodon.Standing{Row: media.Row{Class: c, ID: id, Changed: at.Draw(r, "changed")}}
	s.Row.Remote = rapid.Bool().Draw(r, "remote")
	s.Row.Busy = rapid.IntRange(0, 7).Draw(r, "busy") == 0
	for _, a := range attachments[c] {
		s.Row.Files = append(s.Row.Files, media.Filed{
			Attachment: a, Name: rapid.SampledFrom([]string{"", "a.jpeg", composed, apart}).Draw(r, "name"), Size: 9, Updated: at.Draw(r, "updated"),
			ContentType: rapid.SampledFrom([]string{"image/jpeg", "image/gif"}).Draw(r, "type"), Schema: rapid.IntRange(0, 1).Draw(r, "schema"),
		})
	}
	if c != media.PreviewCards {
		s.Hidden = rapid.SampledFrom([]mastodon.Hidden{mastodon.Shown, mastodon.Shown, mastodon.Shown, mastodon.HiddenSuspended, mastodon.HiddenDiscarded}).Draw(r, "hidden")
	}
	return s
}

func drawTable(r *rapid.T, w *town) {
	for _, c := range []media.Class{media.MediaAttachments, media.Accounts, media.PreviewCards} {
		for _, id := range modelIDs {
			if rapid.Bool().Draw(r, "row") {
				w.rows[c][id] = drawRow(r, c, id)
			}
		}
	}
}

// oldOnly is what a row needs of files that are old enough, said anew.
func oldOnly(s mastodon.Standing) (keys []media.Key) {
	old := func(at time.Time) bool { return !at.After(noon.Add(-72 * time.Hour)) }
	for _, f := range s.Row.Files {
		one := s.Row
		if one.Files = []media.Filed{f}; old(f.Updated) && old(s.Row.Changed) {
			keys = slices.AppendSeq(keys, one.Required())
		}
	}
	return keys
}

// A verdicts is what a look has to say, worked out object by object.
type verdicts struct {
	lost, shown                         map[string]string // by normal name: how it is spelled, and why
	absent, unlisted, meanwhile, hidden int64
}

func (w *town) verdicts(before map[media.Class]map[int64]mastodon.Standing, listed map[string]bool, onDisk []media.Key) verdicts {
	v := verdicts{lost: map[string]string{}, shown: map[string]string{}}
	n := func(k media.Key) string { return media.Normal(string(k)) }
	for c, table := range before {
		for id, s := range table {
			now, there := w.rows[c][id]
			for _, k := range oldOnly(s) {
				_, stands := w.objects[n(k)]
				needed := there && slices.ContainsFunc(oldOnly(now), func(other media.Key) bool { return n(other) == n(k) })
				switch {
				case listed[n(k)]:
					continue
				case s.Hidden != mastodon.Shown:
					v.hidden++
					continue
				case stands:
					v.unlisted++
				case !needed:
					v.meanwhile++
				case now.Hidden != mastodon.Shown:
					v.hidden++
				default:
					v.lost[n(k)] = string(k)
				}
				v.absent++
			}
		}
	}
	for name := range listed {
		if p, err := media.Parse(media.Key(name)); err == nil {
			if s := before[p.Class][p.ID]; s.Hidden != mastodon.Shown && s.Row.MayOwn(p) {
				v.shown[name] = string(s.Hidden)
				continue
			}
		}
		if slices.ContainsFunc(onDisk, func(k media.Key) bool { return n(k) == name }) {
			v.shown[name] = cleanup.HiddenOnDisk
		}
	}
	return v
}

// Whatever rows, bucket and listing are, and however they change meanwhile: a look finds
// what going through them object by object finds.
func TestMissingModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		w := newTown()
		drawTable(r, w)
		before := map[media.Class]map[int64]mastodon.Standing{}
		var all []media.Key
		for c, table := range w.rows {
			before[c] = maps.Clone(table)
			for _, id := range slices.Sorted(maps.Keys(table)) {
				all = append(all, keysOfRow(table[id])...)
				all = append(all, places(table[id])...)
			}
		}
		slices.Sort(all)
		all = slices.Compact(all)
		listed, onDisk := map[string]bool{}, []media.Key(nil)
		w.listed = []r2.Object{}
		for _, k := range all {
			if strings.HasSuffix(string(k), "/") { // of a file without a name
				continue
			}
			if rapid.Bool().Draw(r, "there") {
				w.store(k)
			}
			if name := media.Normal(string(k)); !listed[name] && rapid.Bool().Draw(r, "listed") { // also what goes right after
				listed[name] = true
				w.listed = append(w.listed, r2.Object{Key: media.Key(name), Size: 7, ETag: "e", LastModified: noon})
			}
			if rapid.IntRange(0, 5).Draw(r, "hidden on disk") == 0 {
				onDisk = append(onDisk, k)
			}
		}
		after := newTown()
		drawTable(r, after)
		w.during = func() {
			for _, c := range w.Classes() {
				for _, id := range modelIDs {
					if id%2 > 0 {
						delete(w.rows[c], id)
						if s, ok := after.rows[c][id]; ok {
							w.rows[c][id] = s
						}
					}
				}
			}
		}
		m := w.missing(t)
		m.Exposed = findings(nil, onDisk...)
		report, losses, shown, err := w.find(t.Context(), m)
		if err != nil {
			r.Fatal(err)
		}
		want := w.verdicts(before, listed, onDisk)
		got := verdicts{
			lost: map[string]string{}, shown: map[string]string{}, absent: report.Absent, unlisted: report.Unlisted, meanwhile: report.Meanwhile, hidden: report.Hidden,
		}
		for _, l := range losses {
			got.lost[media.Normal(string(l.Key))] = string(l.Key)
			if s := before[l.Class][l.Row]; l.Local == s.Row.Remote || !slices.Contains(keysOfRow(s), l.Key) {
				r.Fatalf("%+v of %+v", l, s)
			}
		}
		for _, c := range shown {
			got.shown[string(c.Key)] = c.Reason
		}
		if !maps.Equal(got.lost, want.lost) || !maps.Equal(got.shown, want.shown) || len(losses) != len(want.lost) || len(shown) != len(want.shown) {
			r.Fatalf("got %+v\nwant %+v", got, want)
		}
		got.lost, got.shown, want.lost, want.shown = nil, nil, nil, nil
		if got.absent != want.absent || got.unlisted != want.unlisted || got.meanwhile != want.meanwhile || got.hidden != want.hidden {
			r.Fatalf("got %+v\nwant %+v", got, want)
		}
	})
}
