package ledger

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"example.org/mediamove/media"
)

// TestModel lets random histories run against two maps.
func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		m := &model{t: t, dir: t.TempDir(), objects: map[media.Key]Entry{}, findings: map[media.Key]Finding{}}
		m.open(r)
		defer func() { _ = m.l.Close() }()
		r.Repeat(map[string]func(*rapid.T){
			"store":   m.store,
			"note":    m.note,
			"forget":  m.forget,
			"pending": m.pending,
			"reopen":  m.reopen,
			"read":    m.read,
		})
		m.read(r)
	})
}

type model struct {
	t        *testing.T
	dir      string
	l        *Ledger
	objects  map[media.Key]Entry
	findings map[media.Key]Finding
}

func (m *model) ok(r *rapid.T, err error) {
	if err != nil {
		r.Fatal(err)
	}
}

// drawEntry draws from few keys, so that histories meet, in several states.
func drawEntry(r *rapid.T) Entry {
	e := sample(rapid.IntRange(0, 19).Draw(r, "n"))
	e.File.Size += int64(rapid.IntRange(0, 1).Draw(r, "grown"))
	return e
}

func (m *model) open(r *rapid.T) {
	l, err := Open(m.t.Context(), m.dir, Options{})
	m.ok(r, err)
	m.l = l
}

func (m *model) reopen(r *rapid.T) {
	m.ok(r, m.l.Close())
	m.open(r)
}

func (m *model) store(r *rapid.T) {
	e := drawEntry(r)
	m.ok(r, m.l.Store(m.t.Context(), e))
	m.objects[e.File.Key] = e
	delete(m.findings, e.File.Key)
}

func (m *model) note(r *rapid.T) {
	f := Finding{
		Key:  drawEntry(r).File.Key,
		Kind: rapid.SampledFrom([]Kind{Failed, HeldBack}).Draw(r, "kind"),
		Run:  rapid.Int64Range(1, 4).Draw(r, "run"),
	}
	m.ok(r, m.l.Note(m.t.Context(), f))
	m.findings[f.Key] = f
}

func (m *model) forget(r *rapid.T) {
	run := rapid.Int64Range(1, 5).Draw(r, "run")
	m.ok(r, m.l.ForgetFindings(m.t.Context(), run))
	maps.DeleteFunc(m.findings, func(_ media.Key, f Finding) bool { return f.Run < run })
}

func (m *model) pending(r *rapid.T) {
	m.ok(r, m.l.Flush(m.t.Context()))
	files := rapid.SliceOfN(rapid.Custom(drawEntry), 0, 40).Draw(r, "files")
	source := func(yield func(media.File, error) bool) {
		for _, e := range files {
			if !yield(e.File, nil) {
				return
			}
		}
	}
	i := 0
	for got, err := range m.l.Pending(m.t.Context(), source) {
		m.ok(r, err)
		if d := cmp.Diff(m.candidate(files[i].File), got); d != "" {
			r.Fatal(d)
		}
		i++
	}
	if i != len(files) {
		r.Fatalf("%d of %d files", i, len(files))
	}
}

func (m *model) candidate(f media.File) Candidate {
	e, known := m.objects[f.Key]
	switch {
	case !known:
		return Candidate{File: f, State: New}
	case e.File.SameStat(f):
		return Candidate{File: f, State: Same}
	default:
		return Candidate{File: f, State: Touched, Entry: &e}
	}
}

func (m *model) read(r *rapid.T) {
	m.ok(r, m.l.Flush(m.t.Context()))
	same(r, m.objects, m.l.Entries(m.t.Context()))
	same(r, m.findings, m.l.Findings(m.t.Context()))
	var failed []Finding
	for f, err := range m.l.Findings(m.t.Context(), Failed) {
		m.ok(r, err)
		failed = append(failed, f)
	}
	for _, f := range failed {
		if m.findings[f.Key] != f {
			r.Fatalf("got %+v", f)
		}
	}
}

func same[T any](r *rapid.T, want map[media.Key]T, got iter.Seq2[T, error]) {
	keys := slices.Sorted(maps.Keys(want))
	for v, err := range got {
		if err != nil || len(keys) == 0 {
			r.Fatal(fmt.Sprint("one too many: ", v, err))
		}
		if d := cmp.Diff(want[keys[0]], v); d != "" {
			r.Fatal(d)
		}
		keys = keys[1:]
	}
	if len(keys) > 0 {
		r.Fatalf("%q is missing", keys)
	}
}
