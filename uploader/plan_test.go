package uploader

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
	"example.org/mediamove/scanner"
)

// candidates are new files, of which some are hidden.
func candidates(hidden []bool) iter.Seq2[ledger.Candidate, error] {
	return func(yield func(ledger.Candidate, error) bool) {
		for i, h := range hidden {
			f := media.File{Key: media.Key(fmt.Sprintf("accounts/avatars/000/000/001/original/%d.png", i)), Mode: 0o644}
			if h {
				f.Mode = 0o600
			}
			if !yield(ledger.Candidate{File: f}, nil) {
				return
			}
		}
	}
}

// A plan refuses a tree exactly where a sync would, and still decides about every
// file in it.
func TestPlanRefusesHiddenTree(t *testing.T) {
	t.Parallel()
	pattern := func(hidden, public, laterHidden int) []bool {
		all := make([]bool, hidden+public+laterHidden)
		for i := range all {
			all[i] = i < hidden || i >= hidden+public
		}
		return all
	}
	for name, tt := range map[string]struct {
		files   []bool
		refused bool
	}{
		"nothing":                       {nil, false},
		"one, public":                   {pattern(0, 1, 0), false},
		"one, hidden":                   {pattern(1, 0, 0), true},
		"half of a few":                 {pattern(5, 5, 0), false},
		"more than half of a few":       {pattern(6, 5, 0), true},
		"half of the first 1,000":       {pattern(500, 500, 9000), false},
		"more than half of these":       {pattern(501, 499, 0), true},
		"hidden after the first 1,000":  {pattern(0, 1000, 5000), false},
		"public after a hidden 1,000":   {pattern(1000, 9000, 0), true},
		"half, but not of the first":    {pattern(501, 5000, 0), true},
		"the first are public, by luck": {pattern(0, 501, 4000), false},
	} {
		p, err := MakePlan(t.Context(), candidates(tt.files), PlanOptions{Policy: DefaultPolicy(0), Before: costs.Usage{costs.GetObject: 1}})
		if err != nil || errors.Is(p.Refused, ErrHiddenTree) != tt.refused {
			t.Errorf("%s: %v, %v, refused: %t", name, p.Refused, err, tt.refused)
		}
		if p.Seen != int64(len(tt.files)) || p.Seen != p.HeldBack+p.Pending || p.Hidden.Files != p.HeldBack {
			t.Errorf("%s: %+v of %d", name, p.Files, len(tt.files))
		}
		if want := (costs.Usage{costs.GetObject: 1}); tt.refused && p.Sync != want {
			t.Errorf("%s: a refused sync sends %v", name, p.Sync)
		}
	}
}

// plan makes the plan of the rig's next run.
func (g *rig) plan(change func(*PlanOptions)) Plan {
	g.t.Helper()
	tree, err := scanner.Open(g.root, scanner.Options{})
	if err != nil {
		g.t.Fatal(err)
	}
	defer func() { _ = tree.Close() }()
	led, err := ledger.OpenReader(g.t.Context(), g.state)
	if err != nil {
		g.t.Fatal(err)
	}
	defer func() { _ = led.Close() }()
	last, err := led.LastWalk(g.t.Context())
	if err != nil {
		g.t.Fatal(err)
	}
	o := PlanOptions{Policy: DefaultPolicy(0), Disk: tree, Gone: g.gone, Now: time.Now()}
	o.Policy.LastWalk = last.Began
	if g.policy != nil {
		g.policy(&o.Policy)
	}
	if change != nil {
		change(&o)
		if o.Joining && o.Listing == nil {
			o.Listing = led
		}
	}
	p, err := MakePlan(g.t.Context(), led.Pending(g.t.Context(), tree.Files(g.t.Context())), o)
	if err != nil {
		g.t.Fatal(err)
	}
	return p
}

// What changed on disk is planned as the sync then finds it: Mastodon's own rewrite is
// read and costs a request, anything else costs none.
func TestPlanOfChangedFiles(t *testing.T) {
	t.Parallel()
	const mp4 = "\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2 "
	created := time.Date(2024, 6, 1, 12, 0, 0, 0, time.UTC)
	key := func(name string) string {
		return string(media.Path{Class: media.MediaAttachments, Attachment: "files", ID: created.UnixMilli() << 16, Style: "original", Name: name}.Key())
	}
	for name, tt := range map[string]struct {
		key, first, second string
		mtime              time.Duration // after created
		want               Files
		puts               int64
	}{
		"transcoded":                    {key("a.mp4"), mp4 + "one", mp4 + "other", time.Hour, Files{Replaced: 1}, 1},
		"transcoded, of the same size":  {key("a.mp4"), mp4 + "one", mp4 + "two", time.Hour, Files{Replaced: 1}, 1},
		"touched only":                  {key("a.mp4"), mp4 + "one", mp4 + "one", time.Hour, Files{Present: 1}, 0},
		"too late":                      {key("a.mp4"), mp4 + "one", mp4 + "two", 25 * time.Hour, Files{Changed: 1}, 0},
		"zeroed by a crash":             {key("a.mp4"), mp4 + "one", strings.Repeat("\x00", len(mp4)+3), time.Hour, Files{Changed: 1}, 0},
		"empty":                         {key("a.mp4"), mp4 + "one", "", time.Hour, Files{Changed: 1}, 0},
		"a picture":                     {key("a.jpg"), jpeg, jpeg + "x", time.Hour, Files{Changed: 1}, 0},
		"another file of the same time": {key("a.mp4"), mp4 + "one", mp4 + "one", 0, Files{Changed: 1}, 0}, // a sync finds the same bytes
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, fixtures.Options{})
			g.write(tt.key, []byte(tt.first))
			g.age(tt.key, created)
			g.must()
			if err := os.Rename(filepath.Join(g.root, tt.key), filepath.Join(g.root, "old")); err != nil {
				t.Fatal(err)
			}
			g.write(tt.key, []byte(tt.second)) // with another inode
			g.age(tt.key, created.Add(tt.mtime))
			if err := os.Remove(filepath.Join(g.root, "old")); err != nil {
				t.Fatal(err)
			}
			p := g.plan(nil)
			before := g.meter.Usage()
			c := g.must()
			if tt.want.Seen = 1; p.Files != tt.want {
				t.Errorf("planned %+v, want %+v", p.Files, tt.want)
			}
			if p.Replaced != c.Replaced || tt.mtime != 0 && p.Files != c.Files {
				t.Errorf("planned %+v, done %+v", p.Files, c.Files)
			}
			if sent := g.meter.Usage().Sub(before); p.Sync != sent || sent.A() != tt.puts {
				t.Errorf("planned %v, sent %v", p.Sync, sent)
			}
			if grown := int64(len(tt.second) - len(tt.first)); p.Replaced == 1 && (p.Grown != grown || p.Bytes != int64(len(tt.second))) {
				t.Errorf("%d bytes, grown by %d, want %d", p.Bytes, p.Grown, grown)
			}
		})
	}
}

// With the listing that a joining run made, the plan knows what costs nothing.
func TestPlanWhileJoining(t *testing.T) {
	t.Parallel()
	for _, switched := range []bool{false, true} {
		g := newRig(t, fixtures.Options{})
		g.policy = func(p *Policy) { p.Switched = switched }
		const hidden = "media_attachments/files/000/000/009/original/hidden.jpg"
		for i := range 9 {
			key := fmt.Sprintf("media_attachments/files/000/000/00%d/original/a.jpg", i)
			g.write(key, []byte(jpeg))
			switch i % 3 {
			case 0:
				g.remote.Put(key, []byte(jpeg))
			case 1:
				g.remote.Put(key, []byte("others' bytes"))
			}
		}
		g.write(hidden, []byte(jpeg))
		g.remote.Put(hidden, []byte(jpeg))
		if err := os.Chmod(filepath.Join(g.root, hidden), 0o600); err != nil {
			t.Fatal(err)
		}
		led, err := ledger.Open(t.Context(), g.state, ledger.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Enlist(t.Context(), g.bucket(), led); err != nil {
			t.Fatal(err)
		}
		if err := led.Close(); err != nil {
			t.Fatal(err)
		}
		p := g.plan(func(o *PlanOptions) { o.Joining = true })
		before := g.meter.Usage()
		g.join = true
		c := g.must()
		sent := g.meter.Usage().Sub(before)
		if p.Sync.A() != sent.A()-1 { // the rig lists again
			t.Errorf("switched %t: planned %v, sent %v", switched, p.Sync, sent)
		}
		if p.Pending != c.Moved || p.Left != c.Left || p.Adopted != c.Adopted+c.Conflict || p.Exposed != 1 || c.Exposed != 1 {
			t.Errorf("switched %t: planned %+v, done %+v", switched, p.Counts, c)
		}
	}
}

// What needs no request for reasons of its own is not planned as one.
func TestPlanOfWhatIsNeverSent(t *testing.T) {
	t.Parallel()
	g := newRig(t, fixtures.Options{})
	long := "media_attachments/files/000/000/001/original/" + strings.Repeat("x", 200) + ".jpg"
	for _, key := range []string{photo, photo2, long, "backups/dumps/000/000/001/original/all.zip"} {
		g.write(key, []byte(jpeg))
	}
	if _, _, err := g.run(t.Context()); err != nil { // makes the ledger
		t.Fatal(err)
	}
	prefix := strings.Repeat("p", media.MaxKeyLen-len(long)) + "/"
	p, err := MakePlan(t.Context(), seq([]ledger.Candidate{
		{File: media.File{Key: photo, Mode: 0o644, Size: 5}},
		{File: media.File{Key: photo2, Mode: 0o644, Size: 5}},
		{File: media.File{Key: media.Key(long), Mode: 0o644, Size: 5}},
		{File: media.File{Key: "backups/dumps/000/000/001/original/all.zip", Mode: 0o644, Size: 7}},
		{File: media.File{Key: "imports/data/000/000/001/original/a.csv", Mode: 0o600, Size: 2}},
		{File: media.File{Key: "accounts/x", Mode: 0o600, Size: 3}, State: ledger.Same},
	}), PlanOptions{Prefix: prefix, Gone: map[media.Key]bool{photo: true}})
	want := Files{Seen: 6, Conflict: 1, Failed: 1, Pending: 1, HeldBack: 3}
	if err != nil || p.Files != want || p.Sync != (costs.Usage{costs.PutObject: 1}) || p.Exposed != 1 || p.Bytes != 5 || p.Grown != 5 {
		t.Errorf("%+v, %v, %v", p, p.Sync, err)
	}
	if p.Private != (Totals{2, 9}) || p.Hidden != (Totals{1, 3}) {
		t.Errorf("private %+v, hidden %+v", p.Private, p.Hidden)
	}
}

// Each cached file counts for every age that it has passed, and nothing else does.
func TestPlanOldCache(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	keys := []media.Key{
		"media_attachments/files/000/000/001/original/a.jpg", "cache/media_attachments/files/000/000/001/original/a.jpg",
		"cache/preview_cards/images/000/000/001/original/a.jpg", "preview_cards/images/000/000/001/original/a.jpg",
		"cache/accounts/avatars/000/000/001/original/a.jpg", "cache/custom_emojis/images/000/000/001/static/a.png",
	}
	rapid.Check(t, func(t *rapid.T) {
		type drawn struct {
			key  media.Key
			size int64
			age  time.Duration
		}
		files := rapid.SliceOf(rapid.Custom(func(t *rapid.T) drawn {
			days := rapid.SampledFrom([]int{0, 7, 14, 30, 90, 1000}).Draw(t, "days")
			return drawn{
				rapid.SampledFrom(keys).Draw(t, "key"), rapid.SampledFrom([]int64{0, 1, r2.SinglePutMax, r2.SinglePutMax + 1}).Draw(t, "size"),
				time.Duration(days)*24*time.Hour + rapid.SampledFrom([]time.Duration{-1, 0, 1, time.Hour}).Draw(t, "more"),
			}
		})).Draw(t, "files")
		var all []ledger.Candidate
		for _, f := range files {
			all = append(all, ledger.Candidate{File: media.File{Key: f.key, Size: f.size, Mode: 0o644, ModTime: now.Add(-f.age)}})
		}
		p, err := MakePlan(t.Context(), seq(all), PlanOptions{Now: now})
		if err != nil {
			t.Fatal(err)
		}
		for i, o := range p.Old {
			if i > 0 && o.Days >= p.Old[i-1].Days {
				t.Errorf("not the mildest first: %+v", p.Old)
			}
			var cards, media Spare
			for _, f := range files {
				of := &media
				switch {
				case f.age <= time.Duration(o.Days)*24*time.Hour || !strings.HasPrefix(string(f.key), "cache/"):
					continue
				case strings.Contains(string(f.key), "preview_cards"):
					of = &cards
				case !strings.Contains(string(f.key), "media_attachments"):
					continue
				}
				one := costs.Usage{costs.PutObject: 1}
				if f.size > r2.SinglePutMax {
					one = costs.Usage{costs.HeadObject: 1, costs.CreateMultipartUpload: 1, costs.UploadPart: 7, costs.CompleteMultipartUpload: 1}
				}
				of.Files, of.Bytes, of.Requests = of.Files+1, of.Bytes+f.size, of.Requests.Add(one)
			}
			if o.Media != media || o.Cards != cards {
				t.Errorf("%d days: %+v, want %+v and %+v", o.Days, o, media, cards)
			}
			if both := o.Media.Add(o.Cards); both.Files != media.Files+cards.Files || both.Requests.A() != media.Requests.A()+cards.Requests.A() || both.Bytes != media.Bytes+cards.Bytes {
				t.Errorf("together %+v", both)
			}
		}
	})
}
