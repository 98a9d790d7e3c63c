package ledger

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"example.org/mediamove/media"
)

// TestRemovalModel lets random runs of sync, cleanup and undo, some of them
// killed, run against a journal that is a slice.
func TestRemovalModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		m := &cleaner{t: t, dir: t.TempDir(), now: noon, run: 1, objects: map[media.Key]Entry{}}
		m.open(r)
		defer func() { _ = m.l.Close() }()
		r.Repeat(map[string]func(*rapid.T){
			"run":    m.begin,
			"store":  m.store,
			"intend": m.intend,
			"end":    m.end,
			"end 2":  m.end,
			"undo":   m.undo,
			"reopen": m.reopen,
			"read":   m.read,
		})
		m.read(r)
	})
}

// cleaner is all that was ever intended, in order, and what is recorded.
type cleaner struct {
	t       *testing.T
	dir     string
	l       *Ledger
	now     time.Time
	run     int64
	rows    []Removal
	objects map[media.Key]Entry
}

// spellings are few, so that histories meet; two are one object to R2.
var spellings = []media.Key{
	"media_attachments/files/000/000/001/original/a", "cache/accounts/avatars/000/000/001/original/\xff'", "x/e\u0301", "x/\u00e9",
}

func (m *cleaner) key(r *rapid.T) media.Key { return rapid.SampledFrom(spellings).Draw(r, "key") }

func (m *cleaner) ok(r *rapid.T, err error) {
	if err != nil {
		r.Fatal(err)
	}
}

func (m *cleaner) open(r *rapid.T) {
	l, err := Open(m.t.Context(), m.dir, Options{})
	m.ok(r, err)
	m.l = l
	m.ok(r, l.write.session.exec("PRAGMA synchronous = OFF")) // nothing is killed here, and an fsync takes long
}

func (m *cleaner) reopen(r *rapid.T) {
	if rapid.IntRange(0, 3).Draw(r, "reopen") == 0 {
		m.ok(r, m.l.Close())
		m.open(r)
	}
}

// begin begins a run. The clock may have been set back since the last one.
func (m *cleaner) begin(r *rapid.T) {
	m.run++
	m.now = noon.Add(time.Duration(rapid.IntRange(0, 9).Draw(r, "hour")) * time.Hour)
}

func (m *cleaner) store(r *rapid.T) {
	e := sample(1)
	e.File.Key, e.Run, e.At = m.key(r), m.run, m.now
	e.ETag = rapid.SampledFrom([]string{"sent", sample(1).ETag}).Draw(r, "etag")
	e.Origin = rapid.SampledFrom([]Origin{Put, Adopted}).Draw(r, "origin")
	m.ok(r, m.l.Store(m.t.Context(), e))
	m.objects[e.File.Key] = e
}

func (m *cleaner) intend(r *rapid.T) {
	v := intent(m.run, m.key(r))
	v.Intended = m.now
	v.Policy = rapid.SampledFrom([]string{"orphans", "prune"}).Draw(r, "policy")
	err := m.l.Intend(m.t.Context(), []Removal{v})
	if slices.ContainsFunc(m.rows, func(w Removal) bool {
		return w.Key == v.Key && (w.State == RemovalIntent || w.Run == v.Run)
	}) {
		if !errors.Is(err, ErrIntended) {
			r.Fatal(err)
		}
		return
	}
	m.ok(r, err)
	v.ID = int64(len(m.rows) + 1)
	m.rows = append(m.rows, v)
}

// any draws one of the rows in a state, or nil.
func (m *cleaner) any(r *rapid.T, s RemovalState) *Removal {
	var at []int
	for i, v := range m.rows {
		if v.State == s {
			at = append(at, i)
		}
	}
	if len(at) == 0 {
		return nil
	}
	return &m.rows[rapid.SampledFrom(at).Draw(r, "row")]
}

func (m *cleaner) end(r *rapid.T) {
	v := m.any(r, RemovalIntent)
	if v == nil {
		return
	}
	v.State = rapid.SampledFrom([]RemovalState{RemovalRemoved, RemovalKept}).Draw(r, "outcome")
	v.Ended = m.now
	m.ok(r, m.l.EndRemovals(m.t.Context(), []Removal{*v}))
}

func (m *cleaner) undo(r *rapid.T) {
	v := m.any(r, RemovalRemoved)
	if v == nil {
		return
	}
	v.State, v.RestoredRun, v.RestoredETag, v.RestoredAt = RemovalRestored, m.run, "back", m.now
	m.ok(r, m.l.Restored(m.t.Context(), Restoration{Run: v.Run, By: m.run, Key: v.Key, ETag: "back", At: m.now}))
}

// removedBy looks for the last row about k, by whatever spelling.
func (m *cleaner) removedBy(k media.Key) int64 {
	for _, v := range slices.Backward(m.rows) {
		if media.Normal(string(v.Key)) == media.Normal(string(k)) {
			if v.State == RemovalRemoved || v.State == RemovalIntent {
				return v.Run
			}
			return 0
		}
	}
	return 0
}

func (m *cleaner) read(r *rapid.T) {
	m.ok(r, m.l.Flush(m.t.Context()))
	var got []Removal
	for v, err := range m.l.Removals(m.t.Context(), RemovalQuery{}) {
		m.ok(r, err)
		got = append(got, v)
	}
	m.same(r, got, m.rows)
	for _, k := range spellings {
		run, err := m.l.RemovedBy(m.t.Context(), k)
		if want := m.removedBy(k); run != want || errors.Is(err, ErrUnknown) != (want == 0) {
			r.Fatalf("%q is removed by %d, want %d: %v", k, run, want, err)
		}
	}
	m.pending(r)
	m.sums(r)
	m.known(r)
}

func (m *cleaner) same(r *rapid.T, got, want any) {
	if d := cmp.Diff(want, got); d != "" {
		r.Fatal(d)
	}
}

// pending walks every spelling, and one that was never removed.
func (m *cleaner) pending(r *rapid.T) {
	var files []media.File
	for _, k := range append([]media.Key{"x/e"}, spellings...) {
		f := sample(1).File
		f.Key = k
		f.Size += int64(rapid.IntRange(0, 1).Draw(r, "grown"))
		files = append(files, f)
	}
	source := func(yield func(media.File, error) bool) {
		for i, f := range files {
			if !yield(f, []error{nil, errSource}[min(i/len(spellings), 1)]) {
				return
			}
		}
	}
	i := 0
	for c, err := range m.l.Pending(m.t.Context(), source) {
		if i == len(spellings) { // what the source couldn't read is its error, whatever the ledger says
			m.same(r, []any{c, errors.Is(err, errSource)}, []any{Candidate{File: files[i]}, true})
			return
		}
		m.ok(r, err)
		m.same(r, c, m.candidate(files[i]))
		i++
	}
	r.Fatalf("%d of %d files", i, len(files))
}

var errSource = errors.New("unreadable")

func (m *cleaner) candidate(f media.File) Candidate {
	e, recorded := m.objects[f.Key]
	switch run := m.removedBy(f.Key); {
	case run > 0:
		return Candidate{File: f, State: Removed, RemovedBy: run}
	case !recorded:
		return Candidate{File: f, State: New}
	case e.File.SameStat(f):
		return Candidate{File: f, State: Same}
	default:
		return Candidate{File: f, State: Touched, Entry: &e}
	}
}

func (m *cleaner) sums(r *rapid.T) {
	since := noon.Add(time.Duration(rapid.IntRange(0, 9).Draw(r, "since")) * time.Hour)
	want := map[media.Class]ClassSum{}
	for _, v := range m.rows {
		if v.Policy == "orphans" && !v.Intended.Before(since) && (v.State == RemovalRemoved || v.State == RemovalIntent) {
			sum := want[v.Key.Class()]
			want[v.Key.Class()] = ClassSum{sum.Objects + 1, sum.Bytes + v.Size}
		}
	}
	got, err := m.l.RemovedSince(m.t.Context(), "orphans", since)
	m.ok(r, err)
	m.same(r, got, want)
}

func (m *cleaner) known(r *rapid.T) {
	want, since := map[media.Key]string{}, map[media.Key]int64{}
	for k, e := range m.objects {
		if e.Origin == Put {
			want[k], since[k] = e.ETag, e.Run
		}
	}
	rows := slices.SortedFunc(slices.Values(m.rows), func(a, b Removal) int { return int(a.RestoredRun - b.RestoredRun) })
	for _, v := range rows {
		if v.State == RemovalRestored && v.RestoredRun >= since[v.Key] {
			want[v.Key] = v.RestoredETag
		}
	}
	half := spellings[:rapid.IntRange(0, len(spellings)).Draw(r, "asked")]
	maps.DeleteFunc(want, func(k media.Key, _ string) bool { return !slices.Contains(half, k) })
	got, err := m.l.Known(m.t.Context(), half)
	m.ok(r, err)
	m.same(r, got, want)
}
