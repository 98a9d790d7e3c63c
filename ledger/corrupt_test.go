package ledger

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// crashed makes a ledger that looks as if its writer had been killed after a
// checkpoint: everything in one file, and not marked clean.
func crashed(t *testing.T) (file string) {
	t.Helper()
	dir := t.TempDir()
	l := mustOpen(t, dir)
	storeSamples(t, l, 0, 100)
	noteAll(t, l, 20)
	must(t, l.AddEvidence(t.Context(), Evidence{Key: "accounts/x"}))
	mustClose(t, l)
	file = filepath.Join(dir, "ledger.db")
	db := raw(t, file)
	_, err := db.ExecContext(t.Context(), "DELETE FROM meta WHERE name = 'clean'; PRAGMA wal_checkpoint(TRUNCATE)")
	must(t, err)
	must(t, db.Close())
	return file
}

// TestDamage zeroes the head of each page in turn. Every one is noticed.
func TestDamage(t *testing.T) {
	t.Parallel()
	whole, err := os.ReadFile(crashed(t))
	must(t, err)
	const page = 4096
	for at := 0; at < len(whole); at += page {
		dir := t.TempDir()
		data := append([]byte(nil), whole...)
		clear(data[at : at+120])
		must(t, os.WriteFile(filepath.Join(dir, "ledger.db"), data, 0o600))
		_, err := Open(t.Context(), dir, Options{})
		wantIs(t, err, ErrCorrupt)
		wantIs(t, err, ErrBroken)
	}
}

// TestCheckIsSparedWhenClean, and made when a week has passed or the clock
// was set back by as much.
func TestCheckIsSparedWhenClean(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		age     time.Duration
		checked bool
	}{
		{0, false},
		{6 * 24 * time.Hour, false},
		{8 * 24 * time.Hour, true},
		{-8 * 24 * time.Hour, true},
	} {
		dir := t.TempDir()
		l := mustOpen(t, dir)
		then := time.Now().Add(-tt.age).UTC().Format(time.RFC3339)
		must(t, l.wait(t.Context(), func(s *session) error { return s.setMeta(metaChecked, then) }))
		mustClose(t, l)

		l = mustOpen(t, dir)
		got, err := metaValue(t.Context(), l.read, metaChecked)
		must(t, err)
		if (got != then) != tt.checked {
			t.Errorf("closed %v ago: checked %t, want %t", tt.age, got != then, tt.checked)
		}
		clean, err := metaValue(t.Context(), l.read, metaClean)
		must(t, err)
		equal(t, clean, "") // while it is open
	}
}

func TestNotALedger(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "ledger.db"), []byte("Dear diary, today I moved a file.\n"), 0o600))
	_, err := Open(t.Context(), dir, Options{})
	wantIs(t, err, ErrCorrupt)
	_, err = OpenReader(t.Context(), dir)
	wantIs(t, err, ErrCorrupt)
}
