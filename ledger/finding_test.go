package ledger

import (
	"fmt"
	"testing"
	"time"

	"example.org/mediamove/media"
)

func finding(n int) Finding {
	kinds := []Kind{HeldBack, Failed, Conflict}
	return Finding{
		Key:    media.Key(fmt.Sprintf("accounts/avatars/%06d", n)),
		Kind:   kinds[n%len(kinds)],
		Cause:  "403 AccessDenied",
		Detail: fmt.Sprintf("request %d", n),
		Size:   int64(n),
		Run:    int64(n % 5),
		At:     time.Unix(int64(n)+1, 0).UTC(),
	}
}

func noteAll(t *testing.T, l *Ledger, count int) {
	t.Helper()
	for n := range count {
		must(t, l.Note(t.Context(), finding(n)))
	}
	must(t, l.Flush(t.Context()))
}

func TestFindings(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	noteAll(t, l, 1300)
	got := all(t, l.Findings(t.Context()))
	equal(t, len(got), 1300)
	for n, f := range got {
		equal(t, f, finding(n))
	}
	got = all(t, l.Findings(t.Context(), Failed, Conflict))
	equal(t, len(got), 1300-434)
	equal(t, got[0], finding(1))
	equal(t, len(all(t, l.Findings(t.Context(), Exposed))), 0)
	f, err := l.Finding(t.Context(), finding(7).Key)
	must(t, err)
	equal(t, f, finding(7))
}

func TestNoteReplaces(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	noteAll(t, l, 1)
	again := finding(1)
	again.Key = finding(0).Key
	must(t, l.Note(t.Context(), again))
	must(t, l.Flush(t.Context()))
	equal(t, all(t, l.Findings(t.Context())), []Finding{again})
}

// TestStoreSettles: in one group, in another, and after reopening.
func TestStoreSettles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	note := func(l *Ledger, n int) { must(t, l.Note(t.Context(), Finding{Key: sample(n).File.Key, Kind: Failed})) }
	l := mustOpen(t, dir)
	note(l, 0)
	storeSamples(t, l, 0, 1)
	note(l, 1)
	note(l, 2)
	must(t, l.Flush(t.Context()))
	storeSamples(t, l, 1, 2)
	mustClose(t, l)
	l = mustOpen(t, dir)
	storeSamples(t, l, 2, 3)
	equal(t, len(all(t, l.Findings(t.Context()))), 0)

	note(l, 0) // a moved file may have a finding all the same
	must(t, l.Flush(t.Context()))
	equal(t, len(all(t, l.Findings(t.Context()))), 1)
	equal(t, rows(t, l), 3)
}

// TestSettleWhileReading: retry stores what the iterator yields.
func TestSettleWhileReading(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	noteAll(t, l, 1300)
	n := 0
	for f, err := range l.Findings(t.Context()) {
		must(t, err)
		e := sample(n)
		e.File.Key = f.Key
		must(t, l.Store(t.Context(), e))
		n++
	}
	must(t, l.Flush(t.Context()))
	equal(t, n, 1300)
	equal(t, len(all(t, l.Findings(t.Context()))), 0)
}

func TestForgetFindings(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	noteAll(t, l, 100)
	must(t, l.ForgetFindings(t.Context(), 3))
	got := all(t, l.Findings(t.Context()))
	equal(t, len(got), 40)
	for _, f := range got {
		if f.Run < 3 {
			t.Errorf("%s of run %d is still there", f.Key, f.Run)
		}
	}
}

func TestSummary(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	for i, k := range []media.Key{
		"accounts/avatars/1", "accounts/avatars/2", "cache/accounts/headers/3",
		"media_attachments/files/4", "accountsx/5", "cache/preview_cards/images/6",
	} {
		e := sample(9) // adopted and untyped
		e.File.Key, e.File.Size = k, 1<<i
		if i == 1 {
			e.Origin, e.Untyped = Put, false
		}
		must(t, l.Store(t.Context(), e))
	}
	noteAll(t, l, 4)
	sum, err := l.Summary(t.Context())
	must(t, err)
	equal(t, sum, Summary{
		Classes: []ClassTotal{
			{Class: media.MediaAttachments, Files: 1, Adopted: 1, Untyped: 1, Bytes: 8},
			{Class: media.Accounts, Files: 2, Adopted: 1, Untyped: 1, Bytes: 3},
			{Class: media.Accounts, Cached: true, Files: 1, Adopted: 1, Untyped: 1, Bytes: 4},
			{Class: media.PreviewCards, Cached: true, Files: 1, Adopted: 1, Untyped: 1, Bytes: 32},
		},
		Findings: []CauseTotal{
			{Kind: Conflict, Cause: "403 AccessDenied", Files: 1, Bytes: 2, Example: finding(2).Key},
			{Kind: Failed, Cause: "403 AccessDenied", Files: 1, Bytes: 1, Example: finding(1).Key},
			{Kind: HeldBack, Cause: "403 AccessDenied", Files: 2, Bytes: 3, Example: finding(0).Key},
		},
	})
}

func TestEvidence(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	var want []Evidence
	for i := range 3 {
		e := Evidence{Key: "accounts/a", Level: Level(i + 1), Op: 4, Detail: "x", Run: int64(i), At: time.Unix(9, 0).UTC()}
		want = append(want, e)
		must(t, l.AddEvidence(t.Context(), e))
		e.Key = "accounts/b"
		must(t, l.AddEvidence(t.Context(), e))
	}
	must(t, l.Flush(t.Context()))
	got, err := l.Evidence(t.Context(), "accounts/a")
	must(t, err)
	equal(t, got, want)
	for _, q := range []string{"DELETE FROM evidence", "UPDATE evidence SET level = 3"} {
		if err := l.wait(t.Context(), func(s *session) error { return s.exec(q) }); err == nil {
			t.Errorf("%q worked", q)
		}
	}
}
