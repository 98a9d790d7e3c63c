package ledger

import (
	"fmt"
	"testing"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/media"
)

func TestVerdictsAreValid(t *testing.T) {
	t.Parallel()
	for _, v := range everyVerdict {
		if !v.Valid() {
			t.Errorf("%q is none", v)
		}
	}
	for _, v := range []Verdict{"", "same", "MISSING"} {
		if v.Valid() {
			t.Errorf("%q is one", v)
		}
	}
}

func doubtSample(n int, v Verdict, run int64) Doubt {
	return Doubt{
		Key: media.Key(fmt.Sprintf("accounts/avatars/%06d\xff", n)), Verdict: v, Cause: "cause", Detail: fmt.Sprint("detail ", n),
		Size: int64(n), ETag: "e", Run: run, At: noon.Add(time.Duration(n)), Since: run,
	}
}

// TestDoubts: pages hold whole keys, though each has three doubts and a page
// ends in the midst of one.
func TestDoubts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := mustOpen(t, dir)
	var want []Doubt
	for n := range pageRows + 200 {
		for _, v := range []Verdict{Differs, BadHeaders, Missing} { // by their bytes
			want = append(want, doubtSample(n, v, 1))
		}
	}
	for i := range want {
		must(t, l.Doubt(t.Context(), want[len(want)-1-i]))
	}
	must(t, l.Flush(t.Context()))
	equal(t, all(t, l.Doubts(t.Context(), 1)), want)
	equal(t, len(all(t, mustOpenReader(t, dir).Doubts(t.Context(), 1, Missing, BadHeaders))), 2*(pageRows+200))
	equal(t, len(all(t, l.Doubts(t.Context(), 1, Extra))), 0)
	equal(t, len(all(t, l.Doubts(t.Context(), 2))), 0)
	wantIs(t, mustOpenReader(t, dir).Doubt(t.Context(), want[0]), ErrReadOnly)
	_, err := l.DoubtAbout(t.Context(), "none")
	wantIs(t, err, ErrUnknown)
}

// TestNightlyDoubtsAreOneRow, however often they are seen, and a new one begins
// after a pass without it.
func TestNightlyDoubtsAreOneRow(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	see := func(run int64) {
		t.Helper()
		d := doubtSample(7, Differs, run)
		d.Detail = fmt.Sprint("seen by ", run)
		must(t, l.Doubt(t.Context(), d))
		must(t, l.Doubt(t.Context(), d))
	}
	pass := func(run int64) { t.Helper(); must(t, l.EndPass(t.Context(), Pass{Run: run})) }
	for run := range int64(50) {
		see(run + 1)
		if run%3 > 0 { // the others are interrupted
			pass(run + 1)
		}
	}
	pass(51)
	see(51) // by reading back
	pass(52)
	see(53)
	must(t, l.Flush(t.Context()))

	want := doubtSample(7, Differs, 51)
	want.Since, want.Detail = 1, "seen by 51"
	for _, run := range []int64{1, 30, 51} {
		equal(t, all(t, l.Doubts(t.Context(), run)), []Doubt{want})
	}
	equal(t, len(all(t, l.Doubts(t.Context(), 52))), 0)
	d, err := l.DoubtAbout(t.Context(), want.Key)
	must(t, err)
	equal(t, []any{d.Since, d.Run, d.Detail}, []any{int64(53), int64(53), "seen by 53"})
	var n int
	must(t, l.read.QueryRowContext(t.Context(), "SELECT count(*) FROM doubt").Scan(&n))
	equal(t, n, 2)
}

// TestRestoreWhileReading: repair stores what the iterator yields, and every
// doubt it has restored is settled.
func TestRestoreWhileReading(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	for n := range 1300 {
		must(t, l.Doubt(t.Context(), doubtSample(n, Missing, 1)))
	}
	must(t, l.EndPass(t.Context(), Pass{Run: 1}))
	n := 0
	for d, err := range l.Doubts(t.Context(), 1, Missing) {
		must(t, err)
		e := sample(n)
		e.File.Key, e.Run, e.At = d.Key, 1, d.At.Add(1)
		must(t, l.Store(t.Context(), e))
		n++
	}
	must(t, l.Flush(t.Context()))
	equal(t, n, 1300)
	st, err := l.Standing(t.Context(), doubtSample(1299, Missing, 1).Key)
	must(t, err)
	equal(t, []any{st.Level, st.Fallen}, []any{Acknowledged, ""})
}

func TestPasses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := mustOpen(t, dir)
	_, err := l.LastPass(t.Context())
	wantIs(t, err, ErrUnknown)
	a := Pass{Run: 9, Began: noon, Ended: noon.Add(1), Walked: true, Switched: true, Listed: 1 << 40, Same: 2, Bytes: 3}
	b := Pass{Run: 10, Began: noon.Add(2), Ended: noon.Add(3), Listed: 7}
	for _, p := range []Pass{b, a, {Run: 8}} {
		must(t, l.EndPass(t.Context(), p))
	}
	p, err := mustOpenReader(t, dir).LastPass(t.Context()) // durable already
	must(t, err)
	equal(t, p, b)
	b.Listed = 8
	must(t, l.EndPass(t.Context(), b))
	p, err = l.LastPass(t.Context())
	must(t, err)
	equal(t, p, b)
}

// TestStanding tells the stories that matter one by one. Each step is of a run
// of its own; the object is stored by run 1.
func TestStanding(t *testing.T) {
	t.Parallel()
	e := sample(8)
	e.Run, e.At = 1, noon
	var (
		pass   = func(l *Ledger, run int64) error { return l.EndPass(t.Context(), Pass{Run: run}) }
		walk   = func(l *Ledger, run int64) error { return l.EndPass(t.Context(), Pass{Run: run, Walked: true}) }
		store  = func(l *Ledger, run int64) error { e := e; e.Run = run; return l.Store(t.Context(), e) }
		readAs = func(etag string) func(*Ledger, int64) error {
			return func(l *Ledger, run int64) error {
				return l.AddEvidence(t.Context(), Evidence{Key: e.File.Key, Level: ReadBack, Op: costs.GetObject, ETag: etag, Run: run})
			}
		}
		see = func(v Verdict, etag string) func(*Ledger, int64) error {
			return func(l *Ledger, run int64) error {
				return l.Doubt(t.Context(), Doubt{Key: e.File.Key, Verdict: v, Cause: "why", ETag: etag, Run: run})
			}
		}
		missing = func(l *Ledger, run int64) error { // seen by the pass itself
			if err := see(Missing, "")(l, run); err != nil {
				return err
			}
			return pass(l, run)
		}
		note = func(k Kind) func(*Ledger, int64) error {
			return func(l *Ledger, run int64) error {
				return l.Note(t.Context(), Finding{Key: e.File.Key, Kind: k, Cause: "why", Run: run})
			}
		}
		read = readAs(e.ETag)
	)
	type steps = []func(*Ledger, int64) error
	for name, tt := range map[string]struct {
		steps  steps
		level  Level
		run    int64
		passes int64
		fallen string
	}{
		"stored":                             {nil, Acknowledged, 1, 0, ""},
		"listed twice":                       {steps{pass, walk}, Listed, 3, 2, ""},
		"read back":                          {steps{pass, read, pass}, ReadBack, 3, 2, ""},
		"read back under another ETag":       {steps{readAs("other")}, Acknowledged, 1, 0, ""},
		"missing":                            {steps{read, missing}, 0, 0, 0, "missing: why"},
		"missing, said an interrupted run":   {steps{pass, see(Missing, "")}, 0, 0, 1, "missing: why"},
		"missing, then listed":               {steps{read, missing, pass}, Listed, 4, 1, ""},
		"missing, then stored again":         {steps{missing, store}, Acknowledged, 3, 0, ""},
		"missing, then read back":            {steps{missing, read}, ReadBack, 3, 0, ""},
		"other ETag":                         {steps{see(Differs, "other")}, 0, 0, 0, "differs: why"},
		"other ETag, then listed":            {steps{see(Differs, "other"), pass}, Listed, 3, 1, ""},
		"other bytes, listings see nothing":  {steps{see(Differs, e.ETag), pass, walk}, 0, 0, 2, "differs: why"},
		"other bytes, then read back":        {steps{see(Differs, e.ETag), pass, read}, ReadBack, 4, 1, ""},
		"other bytes, then stored again":     {steps{see(Differs, e.ETag), store, pass}, Listed, 4, 1, ""},
		"changed on disk":                    {steps{see(ChangedOnDisk, e.ETag)}, 0, 0, 0, "changed_on_disk: why"},
		"changed on disk, not walked again":  {steps{see(ChangedOnDisk, e.ETag), read, pass}, 0, 0, 1, "changed_on_disk: why"},
		"changed back":                       {steps{see(ChangedOnDisk, e.ETag), walk}, Listed, 3, 1, ""},
		"hidden on disk, not walked again":   {steps{see(HiddenOnDisk, e.ETag), pass, pass}, 0, 0, 2, "exposed: why"},
		"rewritten":                          {steps{pass, see(Rewritten, "other")}, 0, 0, 1, "rewritten: why"},
		"two doubts, the latest is told":     {steps{see(Differs, "other"), see(Missing, "")}, 0, 0, 0, "missing: why"},
		"what says nothing against it":       {steps{pass, see(Unread, ""), see(BadHeaders, ""), see(BadPublic, ""), see(Extra, "")}, Listed, 2, 1, ""},
		"a doubt of before it was stored":    {steps{see(Differs, e.ETag), store}, Acknowledged, 3, 0, ""},
		"proofs of before it was stored":     {steps{pass, read, store}, Acknowledged, 4, 0, ""},
		"a conflict":                         {steps{pass, read, note(Conflict)}, 0, 0, 1, "conflict: why"},
		"exposed":                            {steps{note(Exposed)}, 0, 0, 0, "exposed: why"},
		"changed":                            {steps{note(Changed)}, 0, 0, 0, "changed: why"},
		"a finding that says nothing":        {steps{note(HeldBack)}, Acknowledged, 1, 0, ""},
		"a conflict, then stored":            {steps{note(Conflict), store}, Acknowledged, 3, 0, ""},
		"lost and found, time and time over": {steps{missing, pass, missing, pass, missing, pass}, Listed, 7, 3, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := mustOpen(t, t.TempDir())
			must(t, l.Store(t.Context(), e))
			for i, step := range tt.steps {
				must(t, step(l, int64(i+2)))
			}
			must(t, l.Flush(t.Context()))
			st, err := l.Standing(t.Context(), e.File.Key)
			must(t, err)
			equal(t, []any{st.Level, st.Run, st.Passes, st.Fallen}, []any{tt.level, tt.run, tt.passes, tt.fallen})
		})
	}
}

func TestStandingOps(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	storeSamples(t, l, 8, 10)
	_, err := l.Standing(t.Context(), "none")
	wantIs(t, err, ErrUnknown)
	for n, want := range map[int]costs.Op{8: costs.PutObject, 9: costs.HeadObject} { // 9 was adopted
		st, err := l.Standing(t.Context(), sample(n).File.Key)
		must(t, err)
		equal(t, st, Standing{Level: Acknowledged, Op: want, Run: 3, At: sample(n).At})
	}
	must(t, l.EndPass(t.Context(), Pass{Run: 4, Began: noon, Ended: noon.Add(1)}))
	st, err := l.Standing(t.Context(), sample(8).File.Key)
	must(t, err)
	equal(t, st, Standing{Level: Listed, Op: costs.ListObjects, Run: 4, At: noon.Add(1), Passes: 1})
	equal(t, l.read.Stats().InUse, 0)
}

func TestRotation(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := mustOpen(t, dir)
	for _, name := range []string{"30", "accounts/ü"} {
		r, err := l.Rotation(t.Context(), name)
		must(t, err)
		equal(t, r, Rotation{})
		want := Rotation{Of: 30, Slot: len(name), Began: noon}
		must(t, l.SetRotation(t.Context(), name, Rotation{Of: 7}))
		must(t, l.SetRotation(t.Context(), name, want))
		r, err = mustOpenReader(t, dir).Rotation(t.Context(), name)
		must(t, err)
		equal(t, r, want)
	}
}

func TestReadSince(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	must(t, l.AddEvidence(t.Context(), Evidence{Key: "a", Level: ReadBack, At: noon}))
	must(t, l.AddEvidence(t.Context(), Evidence{Key: "a", Level: Listed, At: noon.Add(9)}))
	must(t, l.AddEvidence(t.Context(), Evidence{Key: "b", Level: ReadBack, At: noon.Add(9)}))
	must(t, l.Flush(t.Context()))
	for since, want := range map[time.Time]bool{{}: true, noon.Add(-1): true, noon: true, noon.Add(1): false} {
		got, err := l.ReadSince(t.Context(), "a", since)
		must(t, err)
		if got != want {
			t.Errorf("since %v: %t", since, got)
		}
	}
}

// TestEntriesBelow: the folder's own and no neighbour's, over page borders.
func TestEntriesBelow(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	counts := map[string]int{"a": pageRows + 3, "a/b": 2, "a.": 1, "a0": 1, "a/": 1, "": 1, "ab": pageRows, "b\xff": 1}
	for folder, n := range counts {
		for i := range n {
			e := sample(i)
			e.File.Key = media.Key(fmt.Sprintf("%s/%06d", folder, i))
			must(t, l.Store(t.Context(), e))
		}
	}
	must(t, l.Store(t.Context(), Entry{File: media.File{Key: "a"}}))
	must(t, l.Flush(t.Context()))
	for folder, want := range map[string]int{
		"a": pageRows + 3 + 2 + 1, "a/b": 2, "ab": pageRows, "": 1, "b\xff": 1, "none": 0, "a/b/000000": 0,
	} {
		got := all(t, l.EntriesBelow(t.Context(), folder))
		if len(got) != want {
			t.Errorf("%q: %d entries, want %d", folder, len(got), want)
		}
		for i, e := range got {
			if i > 0 && got[i-1].File.Key >= e.File.Key {
				t.Errorf("%q comes after %q", e.File.Key, got[i-1].File.Key)
			}
		}
	}
}
