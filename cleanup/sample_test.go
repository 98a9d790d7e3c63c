package cleanup

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

var sampleNow = time.Date(2026, 10, 1, 3, 0, 0, 0, time.UTC)

// sampled is object id of a class, so many days old.
func sampled(c media.Class, attachment string, cached bool, id int64, days float64) r2.Object {
	p := media.Path{Cached: cached, Class: c, Attachment: attachment, ID: id, Style: "original", Name: "a.png"}
	return r2.Object{Key: p.Key(), LastModified: sampleNow.Add(-time.Duration(days * 24 * float64(time.Hour)))}
}

// TestSampleStrata: a small stratum is taken whole, the large ones share what is left.
func TestSampleStrata(t *testing.T) {
	t.Parallel()
	s := newSample(sampleNow)
	for id := range int64(50_000) {
		s.see(sampled(media.MediaAttachments, "files", true, id+1, 100))
		s.see(sampled(media.Accounts, "avatars", true, id+1, 30))
	}
	for id := range int64(90) {
		s.see(sampled(media.MediaAttachments, "files", true, 1e6+id, 3)) // last week's
		s.see(sampled(media.Accounts, "avatars", false, id+1, 100))      // locals'
	}
	s.see(sampled(media.Accounts, "avatars", false, 91, 100)) // so that the last round is not full
	got := map[string]int{}
	keys := s.keys()
	for _, k := range keys {
		p, err := media.Parse(k)
		if err != nil {
			t.Fatal(err)
		}
		got[fmt.Sprintf("%s %t %t", p.Class, p.Cached, p.ID >= 1e6)]++
	}
	want := map[string]int{
		"media_attachments true true": 90, "accounts false false": 91, "media_attachments true false": 409, "accounts true false": 410,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("sampled %v, want %v", got, want)
	}
	slices.Sort(keys)
	if len(slices.Compact(keys)) != ControlSize {
		t.Errorf("%d keys, want %d different ones", len(keys), ControlSize)
	}
}

// TestSampleEven: early and late objects of a stratum have the same chance.
func TestSampleEven(t *testing.T) {
	t.Parallel()
	const objects, tenths = 20_000, 10
	s := newSample(sampleNow)
	for id := range int64(objects) {
		s.see(sampled(media.MediaAttachments, "files", true, id, 100))
	}
	var got [tenths]int
	for _, k := range s.keys() {
		p, _ := media.Parse(k)
		got[p.ID*tenths/objects]++
	}
	for i, n := range got { // 100 in the mean; 45 is six standard deviations away
		if n < 45 || n > 155 {
			t.Errorf("tenth %d: %d of %d keys, in all %v", i, n, ControlSize, got)
		}
	}
}

// TestSampleAges: the borders of the strata by age.
func TestSampleAges(t *testing.T) {
	t.Parallel()
	for days, want := range map[float64]int{-1: 0, 0: 0, 6.99: 0, 7: 1, 59.99: 1, 60: 2, 9999: 2} {
		s := newSample(sampleNow)
		s.see(sampled(media.Accounts, "avatars", true, 1, days))
		for at := range s.strata {
			if at != (stratum{media.Accounts, true, want}) {
				t.Errorf("%g days: %+v", days, at)
			}
		}
	}
}

// TestSampleSmall: less than a full sample is all of it.
func TestSampleSmall(t *testing.T) {
	t.Parallel()
	for _, n := range []int64{0, 1, ControlSize - 1, ControlSize, ControlSize + 1} {
		s := newSample(sampleNow)
		for id := range n {
			s.see(sampled(media.PreviewCards, "images", true, id+1, float64(id%100)))
		}
		if got := len(s.keys()); int64(got) != min(n, ControlSize) {
			t.Errorf("%d of %d", got, n)
		}
	}
}

// TestSampleOwnedOnly: what belongs to nobody, is private or is ours is no control.
func TestSampleOwnedOnly(t *testing.T) {
	t.Parallel()
	tally := &tally{scan: new(Scan), totals: map[Group]*Sum{}, classes: map[media.Class]*Sum{}, owners: map[Holding]*Sum{}, sample: newSample(sampleNow)}
	owned := sampled(media.Accounts, "avatars", true, 1, 1)
	tally.add([]judged{
		{object: owned},
		{object: sampled(media.Accounts, "avatars", true, 2, 1), kind: ledger.Orphan, reason: "row gone"},
		{object: sampled(media.Accounts, "avatars", true, 3, 1), kind: ledger.Review, reason: "row gone"},
		{object: sampled(media.Accounts, "avatars", true, 4, 1), kind: ledger.Unknown, reason: "row gone"},
		{object: sampled(media.Backups, "dumps", false, 5, 1)},
		{object: r2.Object{Key: ".mediamove/owner.json"}},
		{object: r2.Object{Key: "robots.txt"}},
	})
	if got := tally.sample.keys(); !slices.Equal(got, []media.Key{owned.Key}) {
		t.Errorf("sampled %q", got)
	}
}

// TestSampleMemory: a reservoir never holds more than one sample.
func TestSampleMemory(t *testing.T) {
	t.Parallel()
	s := newSample(sampleNow)
	for id := range int64(30_000) {
		s.see(sampled(media.CustomEmojis, "images", id%2 == 0, id+1, float64(id%90)))
	}
	if len(s.strata) != 6 {
		t.Errorf("%d strata", len(s.strata))
	}
	for at, r := range s.strata {
		if len(r.keys) > ControlSize || cap(r.keys) > 2*ControlSize {
			t.Errorf("%+v holds %d", at, cap(r.keys))
		}
	}
}
