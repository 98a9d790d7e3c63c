package ledger

import (
	"testing"

	"example.org/mediamove/costs"
)

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
		equal(t, st, Standing{Level: Acknowledged, Op: want, Run: 3, At: sample(n).At, Seen: 3})
	}
	must(t, l.EndPass(t.Context(), Pass{Run: 4, Began: noon, Ended: noon.Add(1)}))
	st, err := l.Standing(t.Context(), sample(8).File.Key)
	must(t, err)
	equal(t, st, Standing{Level: Listed, Op: costs.ListObjects, Run: 4, At: noon.Add(1), Passes: 1, Seen: 4})
	equal(t, l.read.Stats().InUse, 0)
}
