package cleanup_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/costs"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

// odd is what may become of a candidate between the scan and its deletion. kept is "" if
// it goes all the same.
type odd struct {
	kept string
	// make plants candidate i and does to it what happens.
	make func(g *rig, i int) cleanup.Candidate
}

func odds() []odd {
	plain := func(g *rig, i int) cleanup.Candidate { return g.plant(avatar(int64(i+1)), fmt.Sprint("body ", i)) }
	named := func(g *rig, i int, name string) cleanup.Candidate {
		return g.plant(media.Path{Class: media.MediaAttachments, Attachment: "files", ID: int64(i + 1), Style: "original", Name: name}.Key(), "odd name")
	}
	row := func(g *rig, i int, remote, busy bool, name string) cleanup.Candidate {
		g.db.rows[media.Accounts][int64(i+1)] = media.Row{
			Class: media.Accounts, ID: int64(i + 1), Remote: remote, Busy: busy, Files: []media.Filed{{Attachment: "avatars", Name: name}},
		}
		return plain(g, i)
	}
	return []odd{
		{"", plain},
		{"", func(g *rig, i int) cleanup.Candidate { return g.upload(avatar(int64(i+1)), nil) }},
		{"", func(g *rig, i int) cleanup.Candidate { return named(g, i, "a b.png") }},
		{"", func(g *rig, i int) cleanup.Candidate { return named(g, i, "\u00e9 & <x>.png") }},
		{"", func(g *rig, i int) cleanup.Candidate { return row(g, i, true, false, "") }},
		{"", func(g *rig, i int) cleanup.Candidate { return row(g, i, true, false, "new.png") }},
		{cleanup.KeptOwned, func(g *rig, i int) cleanup.Candidate { return row(g, i, true, false, "a.png") }},
		{cleanup.KeptOwned, func(g *rig, i int) cleanup.Candidate { return row(g, i, false, false, "new.png") }},
		{cleanup.KeptOwned, func(g *rig, i int) cleanup.Candidate { return row(g, i, true, true, "new.png") }},
		{cleanup.KeptChanged, func(g *rig, i int) cleanup.Candidate {
			c := plain(g, i)
			g.plant(c.Key, "other bytes")
			return c
		}},
		{cleanup.KeptGone, func(g *rig, i int) cleanup.Candidate {
			c := plain(g, i)
			g.server.Delete(string(c.Key))
			return c
		}},
		{cleanup.KeptNoRoom, func(g *rig, i int) cleanup.Candidate {
			c := plain(g, i)
			c.Size = 1 << 40
			return c
		}},
		{cleanup.KeptUnproven, func(g *rig, i int) cleanup.Candidate {
			c := plain(g, i)
			g.server.Corrupt(string(c.Key))
			return c
		}},
		{cleanup.KeptRefused, func(g *rig, i int) cleanup.Candidate { // it is under a lock rule
			return g.plant(media.Path{Class: media.CustomEmojis, Attachment: "images", ID: int64(i + 1), Style: "static", Name: "a.png"}.Key(), "locked")
		}},
	}
}

// TestApply: 2,500 candidates of every kind, in a canary and three batches.
func TestApply(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	kinds, list, want := odds(), []cleanup.Candidate{}, map[string]int64{}
	sum := cleanup.Sum{}
	objects, batches := 2500, int64(3)
	if raceDetector { // and slow
		objects, batches = 1200, 2
	}
	for i := range objects {
		kind := kinds[0]
		if i%8 == 0 { // others are slow only
			kind = kinds[i/8%len(kinds)]
		}
		c := kind.make(g, i)
		list = append(list, c)
		if kind.kept != "" {
			want[kind.kept]++
			continue
		}
		sum.Objects++
		sum.Bytes += c.Size
	}
	g.server.Lock(string(media.CustomEmojis))
	c, err := g.clean(t.Context(), list)
	must(t, err)
	equal(t, c.Kept(), want)
	equal(t, c.Removed(), sum)
	equal(t, g.raised, 1)
	equal(t, g.server.Usage()[costs.DeleteObjects], batches)
	rows := g.rows()
	equal(t, len(rows), len(list))
	for i, c := range list {
		kind, r := kinds[0], rows[c.Key]
		if i%8 == 0 {
			kind = kinds[i/8%len(kinds)]
		}
		state := ledger.RemovalRemoved
		if kind.kept != "" {
			state = ledger.RemovalKept
		}
		if r.State != state || !strings.HasPrefix(r.Detail, kind.kept) || (r.Trash == "") != (kind.kept != "") || r.Ended.IsZero() ||
			r.Plan != "plan" || r.Run != 1 || r.Policy != "orphans" || r.Reason != c.Reason || r.ETag != c.ETag || r.Size != c.Size || !r.Modified.Equal(c.Modified) {
			t.Fatalf("%d, %q: %+v", i, kind.kept, r)
		}
	}
	g.truth()
}

// TestApplyWithoutTrash: no copy is promised, and a changed object is seen all the same.
func TestApplyWithoutTrash(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.noBin = true
	list := g.orphans(30)
	g.plant(list[3].Key, "other bytes")
	g.server.Delete(string(list[4].Key))
	list[5].Size++
	g.db.put(list[20].Key, true)
	c, err := g.clean(t.Context(), list)
	must(t, err)
	equal(t, c.Kept(), map[string]int64{cleanup.KeptChanged: 2, cleanup.KeptGone: 1, cleanup.KeptOwned: 1})
	equal(t, c.Removed().Objects, int64(26))
	for _, r := range g.rows() {
		equal(t, r.Trash, "")
	}
	g.truth()
}

// TestApplyNothing has no effect at all, not even on the mark.
func TestApplyNothing(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	c, err := g.clean(t.Context(), nil)
	must(t, err)
	equal(t, []any{c.Removed(), len(c.Kept()), g.raised, len(g.rows())}, []any{cleanup.Sum{}, 0, 0, 0})
	g.truth()
}

// TestRefusedBegin: who may not begin has not begun.
func TestRefusedBegin(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.edit = func(c *cleanup.Cleaner) { c.Raise = func(context.Context) error { return errScripted } }
	_, err := g.clean(t.Context(), g.orphans(30))
	wantIs(t, err, errScripted)
	equal(t, []int{len(g.rows()), int(g.server.Usage()[costs.GetObject])}, []int{0, 0})
	g.truth()
}

// TestBoundEveryBatch: when a copy of this machine has woken up, the next batch does not
// begin. The mark is raised once and looked at before each later batch.
func TestBoundEveryBatch(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.noBin = true
	looks := 0
	g.edit = func(c *cleanup.Cleaner) {
		c.Bound = func(context.Context) error {
			if looks++; looks == 2 {
				return errScripted
			}
			return nil
		}
	}
	c, err := g.clean(t.Context(), g.orphans(10+1000+1))
	wantIs(t, err, errScripted)
	equal(t, []int64{c.Removed().Objects, int64(g.raised), int64(len(g.rows()))}, []int64{1010, 1, 1010})
	g.truth()
}

// TestCandidatesFail: what was not decided on to the end is not begun.
func TestCandidatesFail(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	list := g.orphans(25)
	b := g.bucket()
	defer b.Close()
	c := &cleanup.Cleaner{
		Bucket: b, Rows: g.db, Journal: g.ledger, Bin: cleanup.Trash{Store: g.store, Bucket: b, Entries: g.ledger}, Run: 1, Policy: cleanup.Policy,
		Raise: func(context.Context) error { return nil }, Now: noonNow,
	}
	wantIs(t, c.Apply(t.Context(), each(list, errScripted)), errScripted)
	equal(t, c.Removed().Objects, int64(10))
	g.truth()
}

// TestDoubleCandidate: an object goes once; a list that names it twice is no list of ours.
func TestDoubleCandidate(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	list := g.orphans(12)
	_, err := g.clean(t.Context(), append(list, list[11]))
	wantIs(t, err, ledger.ErrIntended)
	g.truth()
}

// TestLedgersProof: an object whose ETag proves nothing is proven by the SHA-256 of the
// ledger, if it is the one that was moved.
func TestLedgersProof(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	list := g.orphans(2)
	wrong := ledger.Entry{File: media.File{Key: list[0].Key, Size: list[0].Size}, ETag: list[0].ETag, SHA256: [32]byte{1}, Run: 1, At: noon, Origin: ledger.Put}
	must(t, g.ledger.Store(t.Context(), wrong))
	wrong.File.Key, wrong.ETag = list[1].Key, "another"
	must(t, g.ledger.Store(t.Context(), wrong))
	must(t, g.ledger.Flush(t.Context()))
	c, err := g.clean(t.Context(), list)
	must(t, err)
	equal(t, c.Kept(), map[string]int64{cleanup.KeptUnproven: 1})
	equal(t, c.Removed().Objects, int64(1))
	g.truth()
}

// TestBrokenTrash: a trash that fails is about more than one object.
func TestBrokenTrash(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.edit = func(c *cleanup.Cleaner) { c.Bin = &brokenBin{Bin: c.Bin, after: 15} }
	c, err := g.clean(t.Context(), g.orphans(100))
	wantIs(t, err, errBin)
	equal(t, c.Removed().Objects, int64(10))
	if got := g.server.Usage()[costs.DeleteObjects]; got != 0 {
		t.Errorf("%d batches", got)
	}
	g.truth()
	if errors.Is(err, context.Canceled) {
		t.Error("the cause is hidden")
	}
}

// TestEveryKindIsKept: the kinds above are all that there are.
func TestEveryKindIsKept(t *testing.T) {
	t.Parallel()
	for _, why := range []string{cleanup.KeptOwned, cleanup.KeptChanged, cleanup.KeptGone, cleanup.KeptNoRoom, cleanup.KeptUnproven, cleanup.KeptRefused} {
		if !slices.ContainsFunc(odds(), func(o odd) bool { return o.kept == why }) {
			t.Errorf("no candidate is kept because %q", why)
		}
	}
}
