package ledger

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"example.org/mediamove/costs"
	"example.org/mediamove/media"
)

// TestStandingModel lets random histories of runs, some of them interrupted and
// some with a clock that was set back, run against a model that forgets nothing.
func TestStandingModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		m := &history{t: t, dir: t.TempDir(), entries: map[media.Key]Entry{}, findings: map[media.Key]Finding{}}
		m.open(r)
		defer func() { _ = m.l.Close() }()
		m.run(r)
		r.Repeat(map[string]func(*rapid.T){
			"run":      m.run,
			"run 2":    m.run,
			"store":    m.store,
			"doubt":    m.doubt,
			"doubt 2":  m.doubt,
			"pass":     m.pass,
			"pass 2":   m.pass,
			"evidence": m.prove,
			"note":     m.note,
			"reopen":   m.reopen,
			"read":     m.compare,
			"read 2":   m.compare,
		})
		m.compare(r)
	})
}

// history is all that ever happened.
type history struct {
	t   *testing.T
	dir string
	l   *Ledger

	id  int64 // the run that goes on
	now time.Time

	entries  map[media.Key]Entry
	findings map[media.Key]Finding
	doubts   []Doubt
	passes   []Pass
	proofs   []Evidence
}

func (m *history) ok(r *rapid.T, err error) {
	if err != nil {
		r.Fatal(err)
	}
}

func (m *history) open(r *rapid.T) {
	l, err := Open(m.t.Context(), m.dir, Options{})
	m.ok(r, err)
	m.l = l
	m.ok(r, l.write.session.exec("PRAGMA synchronous = OFF")) // nothing is killed here, and an fsync takes long
}

func (m *history) reopen(r *rapid.T) {
	if rapid.IntRange(0, 3).Draw(r, "reopen") == 0 {
		m.ok(r, m.l.Close())
		m.open(r)
	}
}

// run begins one. The one before has come to its end, or was killed.
func (m *history) run(r *rapid.T) {
	if m.now = m.now.Add(time.Hour); m.id == 0 || rapid.IntRange(0, 9).Draw(r, "clock set back") == 0 {
		m.now = noon
	}
	id, err := m.l.Begin(m.t.Context(), "verify", m.now)
	m.ok(r, err)
	m.id = id
}

func (m *history) tick() time.Time {
	m.now = m.now.Add(time.Second)
	return m.now
}

func (m *history) key(r *rapid.T) media.Key {
	return rapid.SampledFrom([]media.Key{"", "a/1", "a/2\x00"}).Draw(r, "key")
}

func (m *history) store(r *rapid.T) {
	e := sample(rapid.IntRange(8, 9).Draw(r, "n")) // a PUT's ETag and another
	e.File.Key, e.Run, e.At = m.key(r), m.id, m.tick()
	m.ok(r, m.l.Store(m.t.Context(), e))
	m.entries[e.File.Key] = e
	delete(m.findings, e.File.Key)
}

// etag is the one recorded, or one that isn't.
func (m *history) etag(r *rapid.T, k media.Key) string {
	if rapid.Bool().Draw(r, "recorded etag") {
		return m.entries[k].ETag
	}
	return rapid.SampledFrom([]string{"", "other"}).Draw(r, "etag")
}

var everyVerdict = []Verdict{
	Missing, Differs, Rewritten, HiddenOnDisk, ChangedOnDisk, Extra, NeverUploaded, Unread, BadHeaders, BadPublic,
}

func (m *history) doubt(r *rapid.T) {
	d := Doubt{Key: m.key(r), Verdict: rapid.SampledFrom(everyVerdict).Draw(r, "verdict"), Run: m.id, At: m.tick()}
	if rapid.Bool().Draw(r, "common") {
		d.Verdict = Differs
	}
	d.ETag, d.Size = m.etag(r, d.Key), int64(len(m.doubts))
	d.Cause, d.Detail = rapid.SampledFrom([]string{"", "cause"}).Draw(r, "cause"), strconv.Itoa(len(m.doubts))
	m.ok(r, m.l.Doubt(m.t.Context(), d))
	m.doubts = append(m.doubts, d)
}

func (m *history) pass(r *rapid.T) {
	if n := len(m.passes); n > 0 && m.passes[n-1].Run == m.id {
		return // one per run; what is read back comes after it
	}
	p := Pass{Run: m.id, Began: m.now, Ended: m.tick(), Walked: rapid.Bool().Draw(r, "walked"), Listed: 3, Same: 2, Bytes: 1}
	m.ok(r, m.l.EndPass(m.t.Context(), p))
	m.passes = append(m.passes, p)
}

func (m *history) prove(r *rapid.T) {
	e := Evidence{Key: m.key(r), Level: rapid.SampledFrom([]Level{Listed, ReadBack, ReadBack}).Draw(r, "level"), Run: m.id, At: m.tick()}
	e.ETag, e.Op = m.etag(r, e.Key), costs.GetObject
	m.ok(r, m.l.AddEvidence(m.t.Context(), e))
	m.proofs = append(m.proofs, e)
}

func (m *history) note(r *rapid.T) {
	f := Finding{Key: m.key(r), Kind: rapid.SampledFrom([]Kind{HeldBack, Conflict}).Draw(r, "kind"), Cause: "cause", Run: m.id}
	m.ok(r, m.l.Note(m.t.Context(), f))
	m.findings[f.Key] = f
}

func (m *history) compare(r *rapid.T) {
	m.ok(r, m.l.Flush(m.t.Context()))
	ctx := m.t.Context()
	readBack := 0
	for k := range m.entries {
		got, err := m.l.Standing(ctx, k)
		m.ok(r, err)
		if d := gocmp.Diff(m.standing(k), got); d != "" {
			r.Fatalf("%q (-want +got): %s", k, d)
		}
		if got.Level == ReadBack {
			readBack++
		}
	}
	totals, err := m.l.Proofs(ctx)
	m.ok(r, err)
	if want := (ProofTotals{int64(len(m.entries)), int64(readBack)}); totals != want {
		r.Fatalf("got %+v, want %+v", totals, want)
	}
	run := rapid.Int64Range(1, m.id).Draw(r, "doubts of")
	for _, verdicts := range [][]Verdict{nil, {Differs, Extra}} {
		var got []Doubt
		for d, err := range m.l.Doubts(ctx, run, verdicts...) {
			m.ok(r, err)
			got = append(got, d)
		}
		if d := gocmp.Diff(m.doubtsOf(run, verdicts), got); d != "" {
			r.Fatalf("run %d, %q (-want +got): %s", run, verdicts, d)
		}
	}
	m.compareLatest(r)
}

func (m *history) compareLatest(r *rapid.T) {
	if n := len(m.passes); n > 0 {
		p, err := m.l.LastPass(m.t.Context())
		m.ok(r, err)
		if p != m.passes[n-1] {
			r.Fatalf("got %+v", p)
		}
	}
	latest := map[media.Key]Doubt{}
	for _, d := range m.chains() {
		if old, ok := latest[d.Key]; !ok || later(d.Run, d.At, old.Run, old.At) {
			latest[d.Key] = d
		}
	}
	for k, want := range latest {
		got, err := m.l.DoubtAbout(m.t.Context(), k)
		m.ok(r, err)
		if d := gocmp.Diff(want, got); d != "" {
			r.Fatal(d)
		}
	}
}

// later compares runs, and the clock within one.
func later(run int64, at time.Time, than int64, thanAt time.Time) bool {
	return run > than || run == than && at.After(thanAt)
}

// chains are the doubts as rows: two of the same verdict are one unless a whole
// pass of a run between them went by without it.
func (m *history) chains() []Doubt {
	type about struct {
		k media.Key
		v Verdict
	}
	last := map[about]int{}
	var rows []Doubt
	for _, d := range m.doubts {
		a := about{d.Key, d.Verdict}
		d.Since = d.Run
		if n, ok := last[a]; ok && !slices.ContainsFunc(m.passes, func(p Pass) bool { return rows[n].Run < p.Run && p.Run < d.Run }) {
			d.Since = rows[n].Since
			rows[n] = d
			continue
		}
		last[a] = len(rows)
		rows = append(rows, d)
	}
	return rows
}

func (m *history) doubtsOf(run int64, verdicts []Verdict) (out []Doubt) {
	for _, d := range m.chains() {
		if d.Since <= run && run <= d.Run && (verdicts == nil || slices.Contains(verdicts, d.Verdict)) {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b Doubt) int {
		return cmp.Or(strings.Compare(string(a.Key), string(b.Key)), strings.Compare(string(a.Verdict), string(b.Verdict)))
	})
	return out
}

var fatal = map[Verdict]bool{Missing: true, Differs: true, Rewritten: true, HiddenOnDisk: true, ChangedOnDisk: true}

// standing weighs all that ever happened to k.
func (m *history) standing(k media.Key) Standing {
	e := m.entries[k]
	st := Standing{Level: Acknowledged, Op: costs.PutObject, Run: e.Run, At: e.At}
	if e.Origin == Adopted {
		st.Op = costs.HeadObject
	}
	var passes int64
	seen := e.Run
	for _, p := range m.passes {
		doubted := slices.ContainsFunc(m.doubts, func(d Doubt) bool { return d.Key == k && fatal[d.Verdict] && d.Run == p.Run })
		if p.Run > e.Run && !doubted {
			passes++
			seen = max(seen, p.Run)
			st = Standing{Level: Listed, Op: costs.ListObjects, Run: p.Run, At: p.Ended}
		}
	}
	var best Evidence
	for _, p := range m.proofs {
		if m.counts(p, e) && (p.Level > best.Level || p.Level == best.Level && later(p.Run, p.At, best.Run, best.At)) {
			best = p
		}
	}
	if best.Level > st.Level {
		st = Standing{Level: best.Level, Op: best.Op, Run: best.Run, At: best.At}
	}
	if why := m.fallen(e); why != "" {
		st = Standing{Fallen: why}
	}
	st.Passes, st.Seen = passes, seen
	return st
}

// counts: of the recorded object, and later than it and than every doubt.
func (m *history) counts(p Evidence, e Entry) bool {
	return p.Key == e.File.Key && p.ETag == e.ETag && later(p.Run, p.At, e.Run, e.At) &&
		!slices.ContainsFunc(m.doubts, func(d Doubt) bool {
			return d.Key == p.Key && fatal[d.Verdict] && later(d.Run, d.At, p.Run, p.At)
		})
}

func (m *history) fallen(e Entry) string {
	read := slices.ContainsFunc(m.proofs, func(p Evidence) bool { return p.Level == ReadBack && m.counts(p, e) })
	var standing []Doubt
	for _, d := range m.chains() {
		passed := slices.ContainsFunc(m.passes, func(p Pass) bool { return p.Run > d.Run })
		walked := slices.ContainsFunc(m.passes, func(p Pass) bool { return p.Run > d.Run && p.Walked })
		var lifted bool
		switch d.Verdict {
		case HiddenOnDisk, ChangedOnDisk:
			lifted = walked
		case Missing:
			lifted = passed || read
		case Differs, Rewritten:
			lifted = read || passed && d.ETag != "" && d.ETag != e.ETag
		default:
			continue
		}
		if d.Key == e.File.Key && later(d.Run, d.At, e.Run, e.At) && !lifted {
			standing = append(standing, d)
		}
	}
	if len(standing) > 0 {
		d := slices.MaxFunc(standing, func(a, b Doubt) int { return cmp.Or(cmp.Compare(a.Run, b.Run), a.At.Compare(b.At)) })
		return strings.TrimSuffix(string(d.Verdict)+": "+d.Cause, ": ")
	}
	if f, ok := m.findings[e.File.Key]; ok && f.Kind == Conflict {
		return "conflict: cause"
	}
	return ""
}
