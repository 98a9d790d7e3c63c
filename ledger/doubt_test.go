package ledger

import (
	"fmt"
	"testing"
	"time"

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
