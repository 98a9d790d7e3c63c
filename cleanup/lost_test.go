package cleanup_test

import (
	"iter"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/media"
)

func lostFrom(k media.Key, local bool, s cleanup.Source) cleanup.Loss {
	p, _ := media.Parse(k)
	return cleanup.Loss{Key: k, Class: p.Class, Row: p.ID, Local: local, Size: 5, Trace: cleanup.Trace{Source: s}}
}

// Cleared is only what Mastodon fetches again, and what nobody here has.
func TestNullable(t *testing.T) {
	t.Parallel()
	for key, want := range map[media.Key]bool{
		"cache/media_attachments/files/000/000/001/original/a.jpeg":      true,
		"media_attachments/files/000/000/001/original/a.jpeg":            true, // of before cache/
		"cache/media_attachments/files/000/000/001/small/a.jpeg":         false,
		"cache/media_attachments/thumbnails/000/000/001/original/a.jpeg": false,
		"cache/accounts/avatars/000/000/001/original/a.jpeg":             false,
		"cache/accounts/headers/000/000/001/original/a.jpeg":             false,
		"cache/custom_emojis/images/000/000/001/original/a.png":          false,
		"cache/preview_cards/images/000/000/001/original/a.png":          false,
		"site_uploads/files/000/000/001/original/a.png":                  false,
		"README": false,
	} {
		for _, s := range []cleanup.Source{cleanup.Nowhere, cleanup.OnDisk, cleanup.InTrash} {
			for _, local := range []bool{false, true} {
				l := lostFrom(key, local, s)
				if got := l.Nullable(); got != (want && !local && s == cleanup.Nowhere) {
					t.Errorf("%s, %s, local %t: %t", key, s, local, got)
				}
			}
		}
	}
}

func TestLost(t *testing.T) {
	t.Parallel()
	k := attachment(7)
	got, err := all(cleanup.Lost(losses(
		lostFrom(attachment(6), true, cleanup.Nowhere), lostFrom(k, false, cleanup.Nowhere), lostFrom(attachment(8), false, cleanup.OnDisk),
		lostFrom(media.Key(strings.Replace(string(attachment(9)), "original", "small", 1)), false, cleanup.Nowhere),
	)))
	must(t, err)
	if len(got) != 1 || got[0].ID != 7 || got[0].Class != media.MediaAttachments || got[0].Reason != cleanup.LostOriginal || len(got[0].Objects) != 1 ||
		got[0].Objects[0].Key != k || got[0].Bytes() != 5 {
		t.Errorf("%+v", got)
	}
	_, err = all(cleanup.Lost(func(yield func(cleanup.Loss, error) bool) { yield(cleanup.Loss{}, errScripted) }))
	wantIs(t, err, errScripted)
}

func TestCheckLost(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		lost, remote int64
		share        float64
		ok           bool
	}{
		{0, 0, 0, true},
		{0, 100, 0, true},
		{1, 100, 0, false},
		{1, 0, 100, false},
		{20, 100, 20, true},
		{21, 100, 20, false},
		{100, 100, 100, true},
		{1, 300, 0.3, false},
		{1, 1 << 60, 1e-15, true},
	} {
		err := cleanup.CheckLost(tt.lost, tt.remote, tt.share)
		if tt.ok {
			must(t, err)
		} else {
			wantIs(t, err, cleanup.ErrShare)
		}
	}
}

// A plan takes away, and never adds: what is cleared is in it, and lost now, under the
// same name.
func TestStillLost(t *testing.T) {
	t.Parallel()
	name := func(i int) media.Key {
		p := media.Path{Cached: true, Class: media.MediaAttachments, Attachment: "files", ID: int64(i/2) + 1, Style: "original", Name: apart}
		if i%2 > 0 {
			p.Name = composed
		}
		return p.Key()
	}
	order := func(a, b media.Key) int { return strings.Compare(media.Normal(string(a)), media.Normal(string(b))) }
	rapid.Check(t, func(r *rapid.T) {
		pick := func(label string) (keys []media.Key) {
			taken := map[int64]bool{} // a row has one original
			for _, i := range rapid.SliceOfN(rapid.IntRange(0, 39), 0, 30).Draw(r, label) {
				k := name(i)
				if p, _ := media.Parse(k); !taken[p.ID] {
					taken[p.ID] = true
					keys = append(keys, k)
				}
			}
			slices.SortFunc(keys, order)
			return keys
		}
		plan, lost := pick("plan"), pick("lost")
		var found []cleanup.Loss
		var nullable []media.Key
		for _, k := range lost {
			l := lostFrom(k, rapid.IntRange(0, 3).Draw(r, "local") == 0, rapid.SampledFrom([]cleanup.Source{cleanup.Nowhere, cleanup.OnDisk}).Draw(r, "source"))
			if found = append(found, l); l.Nullable() {
				nullable = append(nullable, k)
			}
		}
		slices.SortStableFunc(found, func(a, b cleanup.Loss) int { // as they are found
			if a.Local != b.Local {
				return map[bool]int{true: -1, false: 1}[a.Local]
			}
			return 0
		})
		var named []cleanup.Candidate
		var want []media.Key
		for _, k := range plan {
			p, _ := media.Parse(k)
			if named = append(named, cleanup.Candidate{Key: k, Row: p.ID}); slices.Contains(nullable, k) {
				want = append(want, k)
			}
		}
		var dropped int64
		var got []media.Key
		for l, err := range cleanup.StillLost(losses(found...), each(named, nil), &dropped) {
			if err != nil {
				r.Fatal(err)
			}
			got = append(got, l.Key)
		}
		if !slices.Equal(got, want) || int(dropped) != len(plan)-len(want) {
			r.Fatalf("got %q, want %q; %d dropped of %d", got, want, dropped, len(plan))
		}
	})
	var dropped int64
	_, err := all(cleanup.StillLost(losses(), each(nil, errScripted), &dropped))
	wantIs(t, err, errScripted)
	fails := iter.Seq2[cleanup.Loss, error](func(yield func(cleanup.Loss, error) bool) { yield(cleanup.Loss{}, errScripted) })
	_, err = all(cleanup.StillLost(fails, each([]cleanup.Candidate{{Key: attachment(1), Row: 1}}, nil), &dropped))
	wantIs(t, err, errScripted)
}
