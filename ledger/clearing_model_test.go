package ledger

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"example.org/mediamove/media"
)

// TestClearingModel lets random runs of prune and undo, some of them killed, run
// against a journal that is a slice.
func TestClearingModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		m := &pruner{t: t, dir: t.TempDir(), run: 1}
		m.open(r)
		defer func() { _ = m.l.Close() }()
		r.Repeat(map[string]func(*rapid.T){
			"run":    func(*rapid.T) { m.run++ },
			"intend": m.intend,
			"step":   m.step,
			"step 2": m.step,
			"expire": m.expire,
			"reopen": m.reopen,
			"read":   m.read,
		})
		m.read(r)
	})
}

// pruner is all that was intended and has not expired, in order.
type pruner struct {
	t    *testing.T
	dir  string
	l    *Ledger
	run  int64
	rows []Clearing

	scans int64
}

func (m *pruner) ok(r *rapid.T, err error) {
	if err != nil {
		r.Fatal(err)
	}
}

func (m *pruner) open(r *rapid.T) {
	l, err := Open(m.t.Context(), m.dir, Options{})
	m.ok(r, err)
	m.l = l
	m.ok(r, l.write.session.exec("PRAGMA synchronous = OFF")) // nothing is killed here, and an fsync takes long
}

func (m *pruner) reopen(r *rapid.T) {
	if rapid.IntRange(0, 3).Draw(r, "reopen") == 0 {
		m.ok(r, m.l.Close())
		m.open(r)
	}
}

// intend is a batch: all of it is written, or none.
func (m *pruner) intend(r *rapid.T) {
	var batch []Clearing
	refused := false
	for range rapid.IntRange(1, 3).Draw(r, "rows") {
		c := clearIntent(m.run, rapid.Int64Range(1, 3).Draw(r, "row"))
		c.Class = rapid.SampledFrom([]media.Class{media.MediaAttachments, media.PreviewCards}).Draw(r, "class")
		refused = refused || slices.ContainsFunc(slices.Concat(m.rows, batch), func(w Clearing) bool {
			return w.Class == c.Class && w.RowID == c.RowID && (w.State == ClearIntent || w.Run == c.Run)
		})
		c.ID = 1
		if all := slices.Concat(m.rows, batch); len(all) > 0 {
			c.ID = all[len(all)-1].ID + 1
		}
		batch = append(batch, c)
	}
	err := m.l.IntendClearing(m.t.Context(), batch)
	if !refused {
		m.ok(r, err)
		m.rows = append(m.rows, batch...)
	} else if !errors.Is(err, ErrIntended) {
		r.Fatal(err)
	}
}

// follows is what each state may become.
var follows = map[ClearState][]ClearState{
	ClearIntent:  {ClearCleared, ClearSkipped},
	ClearCleared: {ClearDone, ClearRestored},
	ClearDone:    {ClearRestored},
}

// step takes any row to any state, by the run that wrote it or a later one.
func (m *pruner) step(r *rapid.T) {
	if len(m.rows) == 0 {
		return
	}
	v := &m.rows[rapid.IntRange(0, len(m.rows)-1).Draw(r, "row")]
	to := rapid.SampledFrom([]ClearState{ClearIntent, ClearCleared, ClearSkipped, ClearDone, ClearRestored}).Draw(r, "to")
	next := v.in(to)
	err := m.l.EndClearings(m.t.Context(), []Clearing{next})
	if slices.Contains(follows[v.State], to) {
		m.ok(r, err)
		*v = next
	} else if !constrained(err) {
		r.Fatalf("%s became %s: %v", v.State, to, err)
	}
}

// expire is a night's scan, and what is then too old.
func (m *pruner) expire(r *rapid.T) {
	at := noon.Add(ClearingLife + time.Duration(rapid.Int64Range(0, m.run+3).Draw(r, "scan"))*time.Hour)
	m.scans++
	m.ok(r, m.l.EndScan(m.t.Context(), Scan{Run: m.scans, At: at}))
	before := len(m.rows)
	m.rows = slices.DeleteFunc(m.rows, func(c Clearing) bool {
		return c.State != ClearIntent && c.State != ClearCleared && c.finished().Before(at.Add(-ClearingLife))
	})
	gone, err := m.l.ExpireClearings(m.t.Context())
	m.ok(r, err)
	m.same(r, gone, int64(before-len(m.rows)))
}

func (m *pruner) read(r *rapid.T) {
	var got []Clearing
	for c, err := range m.l.Clearings(m.t.Context(), ClearingQuery{}) {
		m.ok(r, err)
		got = append(got, c)
	}
	m.same(r, got, m.rows)
	some, err := m.l.AnyCleared(m.t.Context())
	m.ok(r, err)
	m.same(r, some, slices.ContainsFunc(m.rows, func(c Clearing) bool { return c.State == ClearCleared }))
	m.latest(r, media.MediaAttachments, rapid.Int64Range(0, 3).Draw(r, "attachment"))
	m.latest(r, media.PreviewCards, rapid.Int64Range(1, 3).Draw(r, "card"))
	q := ClearingQuery{
		Run:   rapid.Int64Range(0, m.run).Draw(r, "of run"),
		Class: rapid.SampledFrom([]media.Class{"", media.PreviewCards}).Draw(r, "of class"),
		RowID: rapid.Int64Range(0, 3).Draw(r, "of row"),
		State: rapid.SampledFrom([]ClearState{"", ClearIntent, ClearCleared, ClearDone}).Draw(r, "in state"),
	}
	if rapid.Bool().Draw(r, "window") {
		q.Since = noon.Add(time.Duration(rapid.Int64Range(1, m.run).Draw(r, "since")) * time.Hour)
		q.Until = q.Since.Add(time.Hour)
	}
	got = nil
	for c, err := range m.l.Clearings(m.t.Context(), q) {
		m.ok(r, err)
		got = append(got, c)
	}
	m.same(r, got, slices.DeleteFunc(slices.Clone(m.rows), func(c Clearing) bool { return !selects(q, c) }))
}

// latest looks for the last row about a row.
func (m *pruner) latest(r *rapid.T, class media.Class, row int64) {
	var want Clearing
	for _, c := range m.rows {
		if c.Class == class && c.RowID == row {
			want = c
		}
	}
	got, err := m.l.OpenClearing(m.t.Context(), class, row)
	if want.State != ClearCleared {
		if !errors.Is(err, ErrUnknown) {
			r.Fatalf("%s %d is %q: %v", class, row, want.State, err)
		}
		return
	}
	m.ok(r, err)
	m.same(r, got, want)
}

func selects(q ClearingQuery, c Clearing) bool {
	return (q.Run == 0 || q.Run == c.Run) && (q.Class == "" || q.Class == c.Class) && (q.RowID == 0 || q.RowID == c.RowID) &&
		(q.State == "" || q.State == c.State) && !c.Intended.Before(q.Since) && (q.Until.IsZero() || c.Intended.Before(q.Until))
}

func (m *pruner) same(r *rapid.T, got, want any) {
	if g, ok := got.([]Clearing); ok && len(g) == 0 && len(want.([]Clearing)) == 0 {
		return
	}
	if d := cmp.Diff(want, got); d != "" {
		r.Fatal(d)
	}
}
