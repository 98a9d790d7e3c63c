package ledger

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"
	"pgregory.net/rapid"

	"example.org/mediamove/media"
)

func TestEntriesSurviveReopening(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := mustOpen(t, dir)
	storeSamples(t, l, 0, 1234) // more than two pages
	mustClose(t, l)

	for name, l := range map[string]*Ledger{"writer": mustOpen(t, dir), "reader": mustOpenReader(t, dir)} {
		got := all(t, l.Entries(t.Context()))
		if len(got) != 1234 {
			t.Fatalf("%s: %d entries, want 1234", name, len(got))
		}
		for n, e := range got {
			equal(t, e, sample(n))
		}
		e, err := l.Entry(t.Context(), sample(99).File.Key)
		must(t, err)
		equal(t, e, sample(99))
	}
}

func mustOpenReader(t testing.TB, dir string) *Ledger {
	t.Helper()
	l, err := OpenReader(t.Context(), dir)
	must(t, err)
	t.Cleanup(func() { mustClose(t, l) })
	return l
}

// TestEntryRoundTrip: whatever the fields hold, and any bytes as a key.
func TestEntryRoundTrip(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	rapid.Check(t, func(r *rapid.T) {
		e := sample(rapid.IntRange(0, 20).Draw(r, "n"))
		e.File.Key = media.Key(rapid.SliceOfN(rapid.Byte(), 0, 2000).Draw(r, "key"))
		e.File.Size = rapid.Int64().Draw(r, "size")
		e.File.Inode = rapid.Uint64().Draw(r, "inode")
		e.File.ModTime = time.Unix(0, rapid.Int64().Draw(r, "mtime"))
		e.ETag = rapid.OneOf(rapid.Just(e.ETag), rapid.String()).Draw(r, "etag")
		if err := l.Store(t.Context(), e); err != nil {
			r.Fatal(err)
		}
		if err := l.Flush(t.Context()); err != nil {
			r.Fatal(err)
		}
		got, err := l.Entry(t.Context(), e.File.Key)
		if err != nil {
			r.Fatal(err)
		}
		if !got.File.SameStat(e.File) {
			r.Fatalf("got %+v, want %+v", got.File, e.File)
		}
		got.File.ModTime = e.File.ModTime // other location, same time
		if got != e {
			r.Fatalf("got %+v, want %+v", got, e)
		}
	})
}

// TestKeysWithNULAndNothing: what SQLite's own text functions would cut or skip.
func TestKeysWithNULAndNothing(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	keys := []media.Key{"", "\x00", "\x00a", "a\x00", "a\x00b", "\xff\xfe"}
	for _, k := range keys {
		must(t, l.Note(t.Context(), Finding{Key: k, Kind: Failed, Detail: string(k)}))
	}
	must(t, l.Flush(t.Context()))
	for i, f := range all(t, l.Findings(t.Context())) {
		equal(t, f, Finding{Key: keys[i], Kind: Failed, Detail: string(keys[i])})
	}
}

func TestUnknown(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	_, err := l.Entry(t.Context(), "accounts/none")
	wantIs(t, err, ErrUnknown)
	_, err = l.Finding(t.Context(), "accounts/none")
	wantIs(t, err, ErrUnknown)
}

func TestStoreAgainReplaces(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	a, b := sample(1), sample(19)
	b.File.Key = a.File.Key
	for _, e := range []Entry{b, a, b} { // one group
		must(t, l.Store(t.Context(), e))
	}
	must(t, l.Flush(t.Context()))
	equal(t, all(t, l.Entries(t.Context())), []Entry{b})
}

func TestEmpty(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	empty, err := l.Empty(t.Context())
	must(t, err)
	equal(t, empty, true)
	storeSamples(t, l, 0, 1)
	empty, err = l.Empty(t.Context())
	must(t, err)
	equal(t, empty, false)
}

// TestPromises reads back what power-cut safety rests on, on the connection
// that writes. The driver's default would be synchronous=1.
func TestPromises(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	for pragma, want := range map[string]string{
		"synchronous":        "2",
		"journal_mode":       "wal",
		"foreign_keys":       "1",
		"busy_timeout":       "10000",
		"wal_autocheckpoint": "1000",
		"application_id":     "1835888502",
		"user_version":       "6",
	} {
		var got string
		must(t, l.write.session.conn.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got))
		if got != want {
			t.Errorf("%s = %s, want %s", pragma, got, want)
		}
	}
}

// TestNotDurableIsRefused: a driver that doesn't know our settings any more.
func TestNotDurableIsRefused(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	for _, pragma := range []string{"synchronous = NORMAL", "synchronous = OFF"} {
		must(t, l.write.session.exec("PRAGMA "+pragma))
		if err := l.write.session.assertDurable(t.Context()); err == nil {
			t.Errorf("%s was accepted", pragma)
		}
	}
}

// TestSQLiteVersion: older ones can damage a WAL that two connections use.
func TestSQLiteVersion(t *testing.T) {
	t.Parallel()
	v, n, _ := sqlite3.Version()
	if n < 3_051_003 {
		t.Errorf("bundled SQLite is %s, want 3.51.3 or later", v)
	}
	must(t, assertVersion())
}

func TestReaderCantWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mustClose(t, mustOpen(t, dir))
	l := mustOpenReader(t, dir)
	wantIs(t, l.Store(t.Context(), sample(1)), ErrReadOnly)
	wantIs(t, l.Note(t.Context(), Finding{}), ErrReadOnly)
	wantIs(t, l.Flush(t.Context()), ErrReadOnly)
	_, err := l.Begin(t.Context(), "sync", time.Now())
	wantIs(t, err, ErrReadOnly)
	for _, q := range []string{"DELETE FROM meta", "PRAGMA query_only = 0; DELETE FROM meta"} {
		if _, err := l.read.ExecContext(t.Context(), q); err == nil {
			t.Errorf("%q worked on a reader", q)
		}
	}
}

func TestNoLedger(t *testing.T) {
	t.Parallel()
	_, err := OpenReader(t.Context(), t.TempDir())
	wantIs(t, err, ErrNoLedger)
	_, err = OpenReader(t.Context(), filepath.Join(t.TempDir(), "none"))
	wantIs(t, err, ErrNoLedger)
}

func TestClosed(t *testing.T) {
	t.Parallel()
	l, err := Open(t.Context(), t.TempDir(), Options{})
	must(t, err)
	must(t, l.Store(t.Context(), sample(1)))
	mustClose(t, l)
	mustClose(t, l)
	wantIs(t, l.Store(t.Context(), sample(2)), ErrClosed)
	wantIs(t, l.Flush(t.Context()), ErrClosed)
	if _, err := l.Entry(t.Context(), sample(1).File.Key); err == nil {
		t.Error("a closed ledger was read")
	}
}

// TestCloseWritesWhatIsQueued, without a Flush.
func TestCloseWritesWhatIsQueued(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := Open(t.Context(), dir, Options{})
	must(t, err)
	must(t, l.Store(t.Context(), sample(1)))
	mustClose(t, l)
	equal(t, all(t, mustOpenReader(t, dir).Entries(t.Context())), []Entry{sample(1)})
}

func TestOddFolderNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a?mode=ro", "b#c", "d%41", "e f", "g&h", "ü\nx", "file:i"} {
		dir := filepath.Join(t.TempDir(), name)
		l := mustOpen(t, dir)
		storeSamples(t, l, 0, 1)
		equal(t, all(t, mustOpenReader(t, dir).Entries(t.Context())), []Entry{sample(0)})
		if _, err := os.Stat(filepath.Join(dir, "ledger.db-wal")); err != nil {
			t.Errorf("the ledger isn't there: %v", err)
		}
	}
}

// TestTogether lets everything happen at once, for the race detector, and a
// reader in between that must never see a torn row.
func TestTogether(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := mustOpen(t, dir)
	const workers, rows = 8, 200
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for n := w * rows; n < (w+1)*rows; n++ {
				if err := l.Note(t.Context(), Finding{Key: sample(n).File.Key, Kind: Failed}); err != nil {
					t.Error(err)
				}
				if err := l.Store(t.Context(), sample(n)); err != nil {
					t.Error(err)
				}
			}
			if err := l.AddUpload(t.Context(), Upload{ID: string(rune('a' + w))}); err != nil {
				t.Error(err)
			}
		})
	}
	reader := mustOpenReader(t, dir)
	for seen := 0; seen < workers*rows; {
		got := all(t, reader.Entries(t.Context()))
		if len(got) < seen {
			t.Fatalf("%d entries after %d", len(got), seen)
		}
		seen = len(got)
		must(t, l.Flush(t.Context()))
	}
	wg.Wait()
	for n, e := range all(t, reader.Entries(t.Context())) {
		equal(t, e, sample(n))
	}
	equal(t, len(all(t, reader.Findings(t.Context()))), 0)
	uploads, err := reader.Uploads(t.Context())
	must(t, err)
	equal(t, len(uploads), workers)
}
