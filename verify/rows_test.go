package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
)

// A table is a database of attachments. What it is asked is counted.
type table struct {
	rows   map[int64]mastodon.Standing
	err    error
	newest time.Time // row; zero: now
	asks   int
	most   int // ids in one question
	during func()
	mu     sync.Mutex
}

func (*table) Classes() []media.Class { return []media.Class{media.MediaAttachments} }

func (d *table) Newest(context.Context) (time.Time, error) {
	if d.newest.IsZero() {
		return time.Now(), nil
	}
	return d.newest, nil
}

func (d *table) Standing(_ context.Context, ids map[media.Class][]int64) (map[media.Class]map[int64]mastodon.Standing, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asks++
	d.most = max(d.most, len(ids[media.MediaAttachments]))
	if d.during != nil {
		d.during()
	}
	if d.err != nil {
		return nil, d.err
	}
	found := make(map[int64]mastodon.Standing)
	for _, id := range ids[media.MediaAttachments] {
		if s, ok := d.rows[id]; ok {
			found[id] = s
		}
	}
	return map[media.Class]map[int64]mastodon.Standing{media.MediaAttachments: found}, nil
}

// owning is the row that names k, changed long ago.
func owning(k media.Key) mastodon.Standing {
	p, err := media.Parse(k)
	if err != nil {
		panic(err)
	}
	old := time.Now().Add(-1000 * time.Hour)
	return mastodon.Standing{Row: media.Row{
		Class: p.Class, ID: p.ID, Remote: p.Cached, Changed: old,
		Files: []media.Filed{{Attachment: "files", Name: p.Name, ContentType: "image/png", Schema: 1, Updated: old}},
	}}
}

// asking is a verifier after the switch with these rows.
func (g *rig) asking(t *testing.T, d Rows) *Verifier {
	t.Helper()
	v := g.verifier(Policy{Switched: true}, false)
	t.Cleanup(func() { _ = v.Close() })
	v.Rows = d
	g.must(v.Compare(t.Context()))
	g.must(g.ledger.Flush(t.Context()))
	return v
}

// An absent object is judged by its row: what is named is missing, what nobody names was
// deleted, and what Mastodon hides is missed by nobody.
func TestByRow(t *testing.T) {
	t.Parallel()
	const key = media.Key("media_attachments/files/000/005/001/original/\u00e9.png")
	young := time.Now().Add(-71 * time.Hour)
	edit := func(f func(*mastodon.Standing)) *mastodon.Standing {
		s := owning(key)
		f(&s)
		return &s
	}
	for name, tt := range map[string]struct {
		row   *mastodon.Standing
		key   media.Key // of the object; "": key
		want  Verdict
		cause string
	}{
		"no row":                 {nil, "", Deleted, "no row names it: row gone"},
		"named":                  {edit(func(*mastodon.Standing) {}), "", Missing, causeNamed},
		"named, spelled apart":   {edit(func(*mastodon.Standing) {}), "media_attachments/files/000/005/001/original/e\u0301.png", Missing, causeNamed},
		"a style of it":          {edit(func(*mastodon.Standing) {}), "media_attachments/files/000/005/001/small/\u00e9.png", Missing, causeNamed},
		"named by a young row":   {edit(func(s *mastodon.Standing) { s.Row.Changed = young }), "", Missing, causeNamedYoung},
		"named with a new file":  {edit(func(s *mastodon.Standing) { s.Row.Files[0].Updated = young }), "", Missing, causeNamedYoung},
		"busy":                   {edit(func(s *mastodon.Standing) { s.Row.Busy = true }), "", Missing, causeBusy},
		"busy with another file": {edit(func(s *mastodon.Standing) { s.Row.Busy, s.Row.Files[0].Name = true, "b.png" }), "", Deleted, "no row names it: file name changed"},
		"another name":           {edit(func(s *mastodon.Standing) { s.Row.Files[0].Name, s.Row.Changed = "b.png", young }), "", Deleted, "no row names it: file name changed"},
		"cleared":                {edit(func(s *mastodon.Standing) { s.Row.Files[0].Name = "" }), "", Deleted, "no row names it: attachment cleared"},
		"suspended":              {edit(func(s *mastodon.Standing) { s.Hidden = mastodon.HiddenSuspended }), "", HeldBack, causeHidden + "account suspended"},
		"suspended and cleared":  {edit(func(s *mastodon.Standing) { s.Hidden, s.Row.Files[0].Name = mastodon.HiddenSuspended, "" }), "", HeldBack, causeHidden + "account suspended"},
		"discarded":              {edit(func(s *mastodon.Standing) { s.Hidden = mastodon.HiddenDiscarded }), "", HeldBack, causeHidden + "post removed by a moderator"},
		"of the other tree":      {edit(func(*mastodon.Standing) {}), "cache/" + key, Deleted, "no row needs it"},
		"a style of the future":  {edit(func(*mastodon.Standing) {}), "media_attachments/files/000/005/001/tiny/\u00e9.png", Missing, causeUnfamiliar},
		"that style, no row":     {nil, "media_attachments/files/000/005/001/tiny/\u00e9.png", Deleted, "no row names it: row gone"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.key == "" {
				tt.key = key
			}
			p, err := media.Parse(tt.key)
			if err != nil {
				t.Fatal(err)
			}
			a := absent{key: tt.key, otherwise: rule(Missing, "missing, or deleted by Mastodon")}
			if r := a.byRow(p, tt.row, time.Now()); r.verdict != tt.want || r.cause != tt.cause || (r.as == ledger.Withdrawn) != (tt.want == HeldBack) {
				t.Errorf("missing: %+v", r)
			}
			// What is as it should be stays that, unless a row shows it.
			for _, was := range []ruling{
				{verdict: Removed, cause: "removed by cleanup run 7", as: ledger.Withdrawn},
				{verdict: HeldBack, cause: "hidden on disk", as: ledger.Withdrawn},
			} {
				a.otherwise = was
				want := was
				if tt.cause == causeNamed || tt.cause == causeNamedYoung {
					want = ruling{verdict: Missing, cause: tt.cause, detail: was.cause}
				}
				if r := a.byRow(p, tt.row, time.Now()); r != want {
					t.Errorf("%s: %+v, want %+v", was.verdict, r, want)
				}
			}
		})
	}
}

// All of them go by their rows, in bounded batches, and the ledger keeps what was found:
// nothing that is deleted counts as proven.
func TestRows(t *testing.T) {
	t.Parallel()
	g := testRig(t)
	keys := g.moved(100)
	d := &table{rows: make(map[int64]mastodon.Standing)}
	want := map[string]int64{}
	for i, k := range keys {
		p, err := media.Parse(k)
		g.must(err)
		s := owning(k)
		word := [...]string{"missing", "deleted", "held_back", "same"}[i%4]
		switch want[word]++; word {
		case "held_back":
			s.Hidden = mastodon.HiddenSuspended
			fallthrough
		case "missing":
			d.rows[p.ID] = s
		}
		if word != "same" {
			g.bucket.Delete(string(k))
		}
	}
	// Removed by a cleanup run: one of them is named after all.
	named, unnamed := keys[0], keys[1]
	run := g.remove(named)
	g.remove(unnamed)
	want["deleted"]--
	want["removed"]++
	for range 2 {
		var err error
		g.run, err = g.ledger.Begin(t.Context(), "verify", time.Now())
		g.must(err)
		v := g.asking(t, d)
		wantCounts(t, v, want)
		r := v.Report()
		if !r.Complete() || r.Differences() != want["missing"] || r.Asked != 75 || r.Probes != 10 {
			t.Errorf("%+v", r)
		}
		for k, verdict := range map[media.Key]ledger.Verdict{named: ledger.Missing, unnamed: ledger.Withdrawn, keys[5]: ledger.Deleted, keys[2]: ledger.Withdrawn} {
			doubt, err := g.ledger.DoubtAbout(t.Context(), k)
			if s, err := g.ledger.Standing(t.Context(), k); err != nil || s.Level != 0 || !strings.HasPrefix(s.Fallen, string(verdict)) {
				t.Errorf("%s: %+v, %v", k, s, err)
			}
			if err != nil || doubt.Verdict != verdict || doubt.Run != g.run || doubt.Size == 0 {
				t.Errorf("%s: %+v, %v", k, doubt, err)
			}
			if k == named && doubt.Detail != fmt.Sprintf("removed by cleanup run %d", run) {
				t.Errorf("%+v", doubt)
			}
		}
	}
	// Before the switch, and without rows, nobody is asked.
	asked := d.asks
	for _, v := range []*Verifier{g.verifier(Policy{}, false), g.verifier(Policy{Switched: true}, false)} {
		if !v.Policy.Switched {
			v.Rows = d
		}
		g.must(errors.Join(v.Compare(t.Context()), v.Close()))
		if r := v.Report(); r.Of(Deleted) != 0 || r.Of(Missing) != 73 || r.Asked != 0 || d.asks != asked {
			t.Errorf("%+v", r)
		}
	}
}

// However many there are, a question is about 500 at most, and comes after the listing.
func TestRowsInBatches(t *testing.T) {
	t.Parallel()
	g := testRig(t)
	for i := range 2*rowsAtOnce + 1 {
		k := media.Path{Class: media.MediaAttachments, Attachment: "files", ID: int64(i) + 1, Style: "original", Name: "a.png"}.Key()
		g.record(media.File{Key: k, ModTime: time.Now(), Mode: 0o644}, "x")
	}
	var v *Verifier
	d := &table{during: func() {
		if r := v.Report(); r.Listed != 1 {
			t.Errorf("asked before the listing came to its end: %+v", r)
		}
	}}
	g.object("media_attachments/files/000/900/000/original/a.png", "x", 0)
	v = g.verifier(Policy{Switched: true}, false)
	defer func() { g.must(v.Close()) }()
	v.Rows = d
	g.must(v.Compare(t.Context()))
	if r := v.Report(); d.asks != 3 || d.most != rowsAtOnce || r.Of(Deleted) != 2*rowsAtOnce+1 {
		t.Errorf("%d questions, %d ids at most, %+v", d.asks, d.most, r)
	}
	// Who can't answer is not asked again.
	d = &table{err: errors.New("connection refused")}
	w := g.asking(t, d)
	if r := w.Report(); d.asks != 1 || len(r.Unknown) != 1 || r.Of(Missing) != 2*rowsAtOnce+1 {
		t.Errorf("%d questions, %+v", d.asks, r)
	}
}

// A database that can't answer leaves everything as it is without one, and the run says
// that it could not tell; what no row is about is no question.
func TestRowsThatFail(t *testing.T) {
	t.Parallel()
	g := testRig(t)
	keys := g.moved(4)
	const strange = media.Key("accounts/avatars/000/000/001/original/a.png") // of a class without a table
	g.record(media.File{Key: strange, ModTime: time.Now(), Mode: 0o644}, "x")
	d := &table{err: errors.New("connection refused")}
	v := g.asking(t, d)
	wantCounts(t, v, map[string]int64{"same": 4, "missing": 1})
	if r := v.Report(); !r.Complete() || d.asks != 0 {
		t.Errorf("%+v", r)
	}
	g.bucket.Delete(string(keys[0]))
	g.bucket.Delete(string(keys[1]))
	g.remove(keys[2])
	v = g.asking(t, d)
	wantCounts(t, v, map[string]int64{"same": 1, "missing": 3, "removed": 1})
	r := v.Report()
	if r.Complete() || len(r.Unknown) != 1 || !strings.Contains(r.Unknown[0], "connection refused") || d.asks != 1 || r.Asked != 0 {
		t.Errorf("%+v, asked %d times", r, d.asks)
	}
	// A run that was stopped is no answer.
	ctx, stop := context.WithCancelCause(t.Context())
	errOver := errors.New("over")
	d.during = func() { stop(errOver) }
	v = g.verifier(Policy{Switched: true}, false)
	defer func() { g.must(v.Close()) }()
	v.Rows = d
	if err := v.Compare(ctx); !errors.Is(err, errOver) || len(v.Report().Unknown) != 0 {
		t.Error(err, v.Report().Unknown)
	}
}

// What goes while this run reads is judged by its row too.
func TestRowsWhileReading(t *testing.T) {
	t.Parallel()
	g := testRig(t)
	keys := g.moved(2)
	p, err := media.Parse(keys[1])
	g.must(err)
	v := g.asking(t, &table{rows: map[int64]mastodon.Standing{p.ID: owning(keys[1])}})
	for _, k := range keys {
		g.bucket.Delete(string(k))
	}
	g.must(v.ReadPart(t.Context(), Part{Of: 1}, g.ledger))
	wantCounts(t, v, map[string]int64{"deleted": 1, "missing": 1})
}

// What is known to be gone takes no place in a sample.
func TestRowsAndSamples(t *testing.T) {
	t.Parallel()
	g := testRig(t)
	for _, k := range g.moved(6)[1:] {
		g.bucket.Delete(string(k))
	}
	v := g.asking(t, &table{})
	g.must(v.ReadSample(t.Context(), 100, 1))
	if r := v.Report(); r.Read.Sample.Objects != 1 || r.Read.Equal != 1 || r.Of(Deleted) != 5 {
		t.Errorf("%+v", r)
	}
}

// A listing that lacks what is there is not believed, although the rows are gone too.
func TestRowsDoNotExcuseAListing(t *testing.T) {
	t.Parallel()
	g := testRig(t)
	keys := g.moved(3)
	v := g.verifier(Policy{Switched: true}, false)
	defer func() { g.must(v.Close()) }()
	body, _ := g.bucket.Body(string(keys[1]))
	g.bucket.Delete(string(keys[1]))
	v.Rows = &table{during: func() { g.object(keys[1], string(body), 0) }}
	if err := v.Compare(t.Context()); !errors.Is(err, ErrListing) {
		t.Error(err)
	}
	g.must(g.ledger.Flush(t.Context()))
	for d, err := range g.ledger.Doubts(t.Context(), g.run) {
		t.Errorf("kept %+v, %v", d, err)
	}
}

// A certificate names what was deleted as absent, and is refused as long as something is
// missing that nobody, or a row, has spoken of.
func TestCertificateByRows(t *testing.T) {
	t.Parallel()
	g := testRig(t)
	keys := g.moved(20)
	for _, k := range []media.Key{keys[3], keys[7]} {
		g.bucket.Delete(string(k))
	}
	g.object(keys[9], "anew by Mastodon", -time.Minute)
	made := Certificate{
		MadeAt: time.Now(), Version: "test", Domain: "d", Bucket: "b", BucketID: "i", Endpoint: "e", LedgerID: "l", SwitchedAt: time.Now(),
	}
	p, err := media.Parse(keys[7])
	g.must(err)
	file := filepath.Join(t.TempDir(), "certificate")
	for _, d := range []Rows{nil, &table{rows: map[int64]mastodon.Standing{p.ID: owning(keys[7])}}, &table{err: errors.New("no")}} {
		g.run, err = g.ledger.Begin(t.Context(), "verify", time.Now())
		g.must(err)
		if _, err := g.asking(t, d).Certify(t.Context(), file, made); err == nil {
			t.Errorf("certified by %+v", d)
		} else if _, ok := errors.AsType[*UncertifiedError](err); !ok {
			t.Error(err)
		}
	}
	g.run, err = g.ledger.Begin(t.Context(), "verify", time.Now())
	g.must(err)
	c, err := g.asking(t, &table{}).Certify(t.Context(), file, made)
	if err != nil || c.Objects != 17 || c.Absent != 2 || c.Rewritten != 1 {
		t.Fatalf("%+v, %v", c, err)
	}
	list, err := os.ReadFile(file + ".sha256")
	g.must(err)
	for _, k := range []media.Key{keys[3], keys[7]} {
		if !bytes.Contains(list, []byte("# absent "+string(k)+"\n")) || bytes.Contains(list, []byte("  "+path.Clean(string(k)))) {
			t.Errorf("%s is not named as absent", k)
		}
	}
	// Held against it later, they are nobody's business.
	saved, err := OpenCertificate(t.Context(), file)
	g.must(err)
	defer func() { g.must(saved.Close()) }()
	v := g.verifier(Policy{Switched: true}, false)
	defer func() { g.must(v.Close()) }()
	v.Records, v.Removals = saved.Records(), nil
	g.must(v.Compare(t.Context()))
	if r := v.Report(); r.Of(Same) != 17 || r.Differences() != 0 || r.Recorded != 17 {
		t.Errorf("%+v", r)
	}
}
