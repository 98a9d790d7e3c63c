package cleanup_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
)

const (
	composed = "\u00e9t\u00e9.jpeg"
	apart    = "e\u0301te\u0301.jpeg"
)

// A row may spell a name otherwise than R2, which keeps one object for all spellings. What
// is lost is told as the row has it: so it is asked for, and on disk.
func TestMissingSpellings(t *testing.T) {
	t.Parallel()
	for _, name := range []string{composed, apart} {
		w := newTown(pictured(1, name)).full()
		if r, lost := w.lost(t); len(lost) > 0 || r.Required != 3 {
			t.Fatalf("%q: nothing is lost, and %q are found: %+v", name, lost, r)
		}
		want := keysOfRow(w.rows[media.MediaAttachments][1])
		w.lose(want...)
		r, lost := w.lost(t)
		slices.Sort(want)
		if slices.Sort(lost); !slices.Equal(lost, want) || r.Absent != 3 {
			t.Errorf("%q: found %q, want %q", name, lost, want)
		}
	}
	// A bucket that keeps both spellings has what the row needs.
	w := newTown(pictured(1, apart)).full()
	for _, o := range w.listing() {
		o.Key = media.Key(strings.ReplaceAll(string(o.Key), "\u00e9", "e\u0301"))
		w.listed = append(w.listed, o)
	}
	w.listed = append(w.listed, w.listing()...)
	if r, lost := w.lost(t); len(lost) > 0 || r.Absent > 0 {
		t.Errorf("%q are found: %+v", lost, r)
	}
}

// A name that no request can ask for is in no bucket, so nobody is asked.
func TestMissingUnaskable(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a\xffb.jpeg", "a\x00b.jpeg", strings.Repeat("x", 1100) + ".jpeg"} {
		w := newTown(pictured(1, name))
		w.fails["Absent"] = 1
		r, lost := w.lost(t)
		want := keysOfRow(w.rows[media.MediaAttachments][1])
		slices.Sort(want)
		if slices.Sort(lost); !slices.Equal(lost, want) || r.Absent != 3 {
			t.Errorf("%q: found %q, want %q", name, lost, want)
		}
	}
}

// Private files and our own are nobody's business, whatever lists them.
func TestMissingIgnores(t *testing.T) {
	t.Parallel()
	w := newTown().full()
	for _, k := range []media.Key{".mediamove/owner.json", "backups/dumps/000/000/001/original/a.zip", "imports/data/000/000/001/original/a.csv", "README"} {
		w.store(k)
	}
	w.rows[media.Accounts][1] = mastodon.Standing{Row: everyKind()[5].Row, Hidden: mastodon.HiddenSuspended}
	m := w.missing(t)
	r, losses, shown, err := w.find(t.Context(), m)
	must(t, err)
	if len(losses)+len(shown) > 0 || r.Shown().Objects != 0 || r.Hidden != 3 {
		t.Errorf("%+v, %+v, %+v", losses, shown, r)
	}
}

// The instance's own come first, and each part in the order of keys; however many batches
// they took, and however many of one row.
func TestMissingOrder(t *testing.T) {
	t.Parallel()
	w := newTown()
	var want [2][]media.Key
	for id := range int64(1200) {
		s := pictured(id+1, fmt.Sprintf("%d.jpeg", id))
		s.Row.Remote = id%3 > 0
		w.rows[media.MediaAttachments][id+1] = s
		side := 0
		if s.Row.Remote {
			side = 1
		}
		want[side] = append(want[side], keysOfRow(s)...)
	}
	slices.Sort(want[0])
	slices.Sort(want[1])
	r, lost := w.lost(t)
	if !slices.Equal(lost, append(want[0], want[1]...)) {
		t.Errorf("%d are found, want %d", len(lost), len(want[0])+len(want[1]))
	}
	equal(t, r.Groups, map[cleanup.MissingGroup]int64{
		{Local: true, Class: media.MediaAttachments, Cause: cleanup.CauseUnknown, Source: cleanup.Nowhere}:  1200,
		{Local: false, Class: media.MediaAttachments, Cause: cleanup.CauseUnknown, Source: cleanup.Nowhere}: 2400,
	})
	if n := w.calls["Standing"]; n != 8 {
		t.Errorf("rows were asked %d times", n)
	}
}

// Whatever can't be read, there is no result: half a listing, or half the rows, would call
// things missing that are not.
func TestMissingFails(t *testing.T) {
	t.Parallel()
	rows := append(everyKind(), pictured(8, "lost.jpeg"))
	suspended := rows[0]
	suspended.Hidden = mastodon.HiddenSuspended
	rows[0] = suspended
	full := func() *town {
		w := newTown(rows...).full()
		w.lose(keysOfRow(rows[len(rows)-1])...)
		return w
	}
	calls := full()
	_, lost := calls.lost(t)
	if len(lost) != 3 {
		t.Fatal(lost)
	}
	if calls.calls["Concealed"] != 8 || calls.calls["Absent"] != 3 || calls.calls["Standing"] != 1 {
		t.Fatal(calls.calls)
	}
	for method, n := range calls.calls {
		for nth := range n {
			w := full()
			w.fails[method] = nth + 1
			r, _, _, err := w.find(t.Context(), w.missing(t))
			if wantIs(t, err, errScripted); r != nil {
				t.Errorf("call %d of %s: %+v", nth+1, method, r)
			}
			if method != "Absent" {
				wantIs(t, err, cleanup.ErrRows)
			}
		}
	}
	for _, method := range []string{"Removals", "Standing", "Finding"} {
		w, lore := full(), newMemory()
		lore.fails = method
		m := w.missing(t)
		m.Tracer = lore.tracer()
		_, _, _, err := w.find(t.Context(), m)
		wantIs(t, err, errScripted)
	}
	w := full()
	m := w.missing(t)
	m.Exposed = findings(errScripted)
	_, _, _, err := w.find(t.Context(), m)
	wantIs(t, err, errScripted)

	// A state folder that is full.
	for name, spoil := range map[string]func(m *cleanup.Missing, s *brokenScratch){
		"sides": func(m *cleanup.Missing, s *brokenScratch) { s.Scratch = m.Sides; m.Sides = s },
		"found": func(m *cleanup.Missing, s *brokenScratch) { s.Scratch = m.Losses; m.Losses = s },
	} {
		whole := &brokenScratch{adds: -1}
		w := full()
		m := w.missing(t)
		spoil(m, whole)
		_, _, _, err := w.find(t.Context(), m)
		must(t, err)
		for n := range whole.added {
			s := &brokenScratch{adds: n}
			w := full()
			m := w.missing(t)
			spoil(m, s)
			_, _, _, err := w.find(t.Context(), m)
			wantIs(t, err, errScripted)
		}
		if whole.added < 3 {
			t.Errorf("%s: %d rows", name, whole.added)
		}
	}

	ctx, cancel := context.WithCancelCause(t.Context())
	w = full()
	w.during = func() { cancel(errNoTable) }
	_, _, _, err = w.find(ctx, w.missing(t))
	wantIs(t, err, errNoTable)
}

// A brokenScratch fails after so many rows.
type brokenScratch struct {
	cleanup.Scratch
	adds  int // -1: never
	added int
}

func (s *brokenScratch) Add(ctx context.Context, l ledger.Loose) error {
	if s.added++; s.added == s.adds+1 {
		return errScripted
	}
	return s.Scratch.Add(ctx, l)
}

// Before the switch the disk hides as well: what is hidden there is not missed. A file that
// is readable, or not there, hides nothing.
func TestMissingHiddenOnDisk(t *testing.T) {
	t.Parallel()
	s := pictured(1, "a.jpeg")
	keys := keysOfRow(s)
	m := newTown(s).missing(t)
	m.Disk = modes{keys[0]: true, keys[1]: false}
	r, losses, _, err := m.Catalog.(*town).find(t.Context(), m)
	must(t, err)
	if len(losses) != 2 || r.Hidden != 1 || r.Absent != 3 || slices.ContainsFunc(losses, func(l cleanup.Loss) bool { return l.Key == keys[0] }) {
		t.Errorf("%+v, %+v", losses, r)
	}
}
