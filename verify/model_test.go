package verify

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

// A plight is what the three sides have of one key, as a test plans it.
type plight struct {
	name              string // spelled in NFC; may hold an é
	entryNFD, fileNFD bool
	objectNFD         bool

	recorded bool
	removed  bool   // by a cleanup run; what is in the bucket was put there since
	object   string // "", "same", "longer", "other"
	newer    bool   // the object, than our PUT
	file     string // "", "same", "touched", "other", "hidden"
}

func drawPlight(r *rapid.T, n int) plight {
	p := plight{
		name:     fmt.Sprintf("%02d.png", n),
		recorded: rapid.Bool().Draw(r, "recorded"),
		object:   rapid.SampledFrom([]string{"", "same", "same", "longer", "other"}).Draw(r, "object"),
		removed:  rapid.Bool().Draw(r, "removed"),
		newer:    rapid.Bool().Draw(r, "newer"),
		file:     rapid.SampledFrom([]string{"", "same", "same", "touched", "other", "hidden"}).Draw(r, "file"),
	}
	if rapid.Bool().Draw(r, "accented") {
		p.name = fmt.Sprintf("caf\u00e9%02d.png", n)
		p.entryNFD, p.fileNFD, p.objectNFD = rapid.Bool().Draw(r, "entry NFD"), rapid.Bool().Draw(r, "file NFD"), rapid.Bool().Draw(r, "object NFD")
	}
	return p
}

// key spells the name below a class folder.
func (p plight) key(nfd bool) media.Key {
	name := p.name
	if nfd {
		name = strings.ReplaceAll(name, "\u00e9", "e\u0301")
	}
	return media.Key("accounts/avatars/000/000/001/original/" + name)
}

const body, longer, other = "the right bytes", "the right bytes and more", "the wrong bytes"

// expect is the verdict in the plainest words; ok is false if there is nothing to say.
func (p plight) expect(pol Policy, disk bool) (v Verdict, ok bool) {
	file := p.file
	if !disk {
		file = ""
	}
	extra := Extra
	if pol.Shared && !pol.Switched {
		extra = OtherHost
	}
	switch {
	case !p.recorded && p.object == "" && file == "":
		return 0, false
	case file == "hidden" && p.object == "":
		return HeldBack, true
	case file == "hidden":
		return Exposed, true
	case p.removed && p.object == "":
		return Removed, true
	case p.recorded && p.object == "":
		return Missing, true
	case !p.recorded && p.object == "":
		return NeverUploaded, true
	case !p.recorded && file == "":
		return extra, true
	case !p.recorded && (p.object == "same") == (file != "other") && p.object != "longer":
		return Same, true // equal on both sides, in the ledger or not
	case !p.recorded:
		return Differs, true
	case p.object != "same" && pol.Switched && p.newer:
		return Rewritten, true
	case p.object != "same":
		return Differs, true
	case disk && file == "" && !pol.Switched:
		return Extra, true // ours, whoever else writes here
	case file == "other":
		return ChangedOnDisk, true
	}
	return Same, true
}

// arrange makes the sides as planned.
func (p plight) arrange(g *rig) {
	var f media.File
	switch p.file {
	case "":
		f = media.File{Key: p.key(p.entryNFD), ModTime: time.Now().Add(-time.Hour), Inode: 1, Mode: 0o644}
	case "other":
		f = g.file(p.key(p.fileNFD), other, 0o644)
		f.Inode++ // not what it was when it was moved
	case "hidden":
		f = g.file(p.key(p.fileNFD), body, 0o600)
	case "touched":
		f = g.file(p.key(p.fileNFD), body, 0o644)
		f.Inode++
	default:
		f = g.file(p.key(p.fileNFD), body, 0o644)
	}
	if p.recorded {
		f.Key = p.key(p.entryNFD)
		g.record(f, body)
	}
	if p.removed {
		g.remove(p.key(p.objectNFD))
	}
	age := time.Hour
	if p.newer {
		age = 0
	}
	switch p.object {
	case "same":
		g.object(p.key(p.objectNFD), body, age)
	case "longer":
		g.object(p.key(p.objectNFD), longer, age)
	case "other":
		g.object(p.key(p.objectNFD), other, age)
	}
}

// Whatever the sides hold, however the names are spelled, before the switch and
// after, each key gets the verdict that a person would give it, and no other.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	var made atomic.Int64
	rapid.Check(t, func(r *rapid.T) {
		dir := filepath.Join(t.TempDir(), strconv.FormatInt(made.Add(1), 10))
		g := newRig(r, dir)
		defer g.close()
		pol := Policy{Switched: rapid.Bool().Draw(r, "switched"), Shared: rapid.Bool().Draw(r, "shared")}
		disk := rapid.Bool().Draw(r, "disk")
		var want Counts
		verdicts := map[string]string{}
		for n := range rapid.IntRange(0, 12).Draw(r, "keys") {
			p := drawPlight(r, n)
			p.arrange(g)
			if v, ok := p.expect(pol, disk); ok {
				want[v]++
				verdicts[p.name] = v.String()
				if (v == HeldBack || v == Removed) && p.recorded {
					verdicts[p.name] = string(ledger.Withdrawn)
				}
			}
		}
		v := g.verifier(pol, disk)
		defer func() { g.must(v.Close()) }()
		if err := v.Compare(r.Context()); err != nil {
			r.Fatal(err)
		}
		if got := v.Report().Counts; got != want {
			r.Fatalf("%+v disk %v: got %v, want %v", pol, disk, named(got), named(want))
		}
		g.doubts(r, v, verdicts)
		if b, ok := v.Disk.(interface{ Close() error }); ok {
			g.must(b.Close())
		}
		_ = os.RemoveAll(dir)
	})
}

// doubts holds what the ledger was told against the verdicts.
func (g *rig) doubts(r *rapid.T, v *Verifier, verdicts map[string]string) {
	if err := g.ledger.Flush(r.Context()); err != nil {
		r.Fatal(err)
	}
	n := 0
	for d, err := range g.ledger.Doubts(r.Context(), g.run) {
		if err != nil {
			r.Fatal(err)
		}
		n++
		name := media.Normal(filepath.Base(string(d.Key)))
		if verdicts[name] != string(d.Verdict) {
			r.Errorf("%q is %s, the ledger says %s (%s)", d.Key, verdicts[name], d.Verdict, d.Cause)
		}
	}
	want := 0
	for _, verdict := range verdicts {
		if ledger.Verdict(verdict).Valid() && (verdict != Extra.String() || !v.Policy.Switched) {
			want++
		}
	}
	if n != want {
		r.Errorf("the ledger has %d doubts, want %d", n, want)
	}
	if p, err := g.ledger.LastPass(r.Context()); err != nil || p.Run != g.run {
		r.Errorf("the pass is %+v, %v", p, err)
	}
}

func named(c Counts) map[string]int64 {
	m := map[string]int64{}
	for v, n := range c {
		if n != 0 {
			m[Verdict(v).String()] = n
		}
	}
	return m
}

// Every verdict that is kept is one that the ledger knows.
func TestDoubtsAreKnown(t *testing.T) {
	t.Parallel()
	for v := range numVerdicts {
		if d, ok := v.doubt(); ok && !d.Valid() {
			t.Errorf("%s is no verdict of the ledger's", v)
		}
		if v.String() == "" {
			t.Errorf("verdict %d has no word", v)
		}
	}
	for _, d := range []ledger.Verdict{ledger.Missing, ledger.Differs, ledger.Rewritten, ledger.Extra, ledger.HiddenOnDisk} {
		if !d.Valid() {
			t.Error(d)
		}
	}
}
