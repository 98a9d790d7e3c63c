package ledger

import (
	"bytes"
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"example.org/mediamove/costs"
)

// raw opens the file as any SQLite program would.
func raw(t testing.TB, file string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driverName, dsn(file, ""))
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	return db
}

// plant makes a ledger.db out of SQL text.
func plant(t *testing.T, text string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	db := raw(t, filepath.Join(dir, "ledger.db"))
	_, err := db.ExecContext(t.Context(), text)
	must(t, err)
	must(t, db.Close())
	return dir
}

// TestSchema shows in a review what all migrations together make.
func TestSchema(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	parts, err := collect(t.Context(), l.read, "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type, name",
		func(r row) (s string, err error) { return s, r.Scan(&s) }, nil)
	must(t, err)
	golden(t, "testdata/schema.sql", []byte(strings.Join(parts, ";\n\n")+";\n"))
}

// TestOldVersions reads ledgers as earlier versions left them. The files stay as
// they are when later versions come.
func TestOldVersions(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"version1", "version3", "version4", "version5", "version6"} {
		text, err := os.ReadFile("testdata/" + name + ".sql")
		must(t, err)
		dir := plant(t, string(text))
		var got bytes.Buffer
		for _, l := range []*Ledger{mustOpen(t, dir), mustOpenReader(t, dir)} {
			got.Reset()
			dump(t, &got, l)
			golden(t, "testdata/"+name+".txt", got.Bytes())
		}
	}
}

// TestVersion2 had listings and proofs, but no ETag beside a proof: those are
// kept, for good, and are proofs of nothing that is there now.
func TestVersion2(t *testing.T) {
	t.Parallel()
	first, err := os.ReadFile("testdata/version1.sql")
	must(t, err)
	second, err := fs.ReadFile(embedded(), "0002_listing.sql")
	must(t, err)
	key := fmt.Sprintf("x'%x'", string(sample(1).File.Key))
	dir := plant(t, string(first)+string(second)+`
		INSERT INTO listed VALUES (x'61ff', 5, 'e');
		INSERT INTO evidence (key, level, op, detail, run, at_ns) VALUES (`+key+`, 3, 'GetObject', 'd', 9, 1);
		PRAGMA user_version = 2`)
	l := mustOpen(t, dir)
	ctx := t.Context()
	o, ok, err := l.Listed(ctx, "a\xff")
	must(t, err)
	equal(t, []any{o, ok}, []any{ListedObject{Key: "a\xff", Size: 5, ETag: "e"}, true})
	got, err := l.Evidence(ctx, sample(1).File.Key)
	must(t, err)
	equal(t, got, []Evidence{{Key: sample(1).File.Key, Level: ReadBack, Op: costs.GetObject, Detail: "d", Run: 9, At: time.Unix(0, 1).UTC()}})
	st, err := l.Standing(ctx, sample(1).File.Key)
	must(t, err)
	equal(t, st.Level, Acknowledged)
	for _, q := range []string{"DELETE FROM evidence", "UPDATE evidence SET etag = 'e'"} {
		if err := l.wait(ctx, func(s *session) error { return s.exec(q) }); err == nil {
			t.Errorf("%q worked", q)
		}
	}
	equal(t, rows(t, mustOpen(t, restore(t, dir))), rows(t, l))
}

// restore puts the copy that was made before the migration into a folder.
func restore(t *testing.T, dir string) (back string) {
	t.Helper()
	asides, err := filepath.Glob(filepath.Join(dir, "ledger.db.before-v*"))
	must(t, err)
	equal(t, len(asides), 1)
	back = t.TempDir()
	must(t, os.Rename(asides[0], filepath.Join(back, "ledger.db")))
	return back
}

// nextVersion is this program's migrations and one more.
func nextVersion(t *testing.T, text string) fstest.MapFS {
	t.Helper()
	from := fstest.MapFS{}
	steps, err := fs.Glob(embedded(), "*.sql")
	must(t, err)
	for _, name := range steps {
		data, err := fs.ReadFile(embedded(), name)
		must(t, err)
		from[name] = &fstest.MapFile{Data: data}
	}
	from[fmt.Sprintf("%04d_next.sql", len(steps)+1)] = &fstest.MapFile{Data: []byte(text)}
	return from
}

// migrateWith closes l and runs other migrations on its file.
func migrateWith(t *testing.T, dir string, from fstest.MapFS) error {
	t.Helper()
	s, err := openSession(t.Context(), folder(dir).file())
	must(t, err)
	defer func() { must(t, s.Close()) }()
	return migrate(t.Context(), s.conn, folder(dir), from)
}

// TestMigrate: the copy aside is a whole ledger of the old version and 0600,
// and the old rows are in the new one.
func TestMigrate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := mustOpen(t, dir)
	storeSamples(t, l, 0, 300)
	mustClose(t, l)
	must(t, migrateWith(t, dir, nextVersion(t, "ALTER TABLE object ADD COLUMN moon INTEGER")))

	db := raw(t, filepath.Join(dir, "ledger.db"))
	var n int
	must(t, db.QueryRowContext(t.Context(), "SELECT count(*) FROM object WHERE moon IS NULL").Scan(&n))
	equal(t, n, 300)
	_, err := Open(t.Context(), dir, Options{})
	wantIs(t, err, ErrNewer)
	_, err = OpenReader(t.Context(), dir)
	wantIs(t, err, ErrNewer)

	info, err := os.Stat(filepath.Join(dir, "ledger.db.before-v7"))
	must(t, err)
	equal(t, info.Mode().Perm(), os.FileMode(0o600))
	equal(t, rows(t, mustOpen(t, restore(t, dir))), 300)
}

// TestMigrateFails: a step that fails leaves the version and the rows alone.
func TestMigrateFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := mustOpen(t, dir)
	storeSamples(t, l, 0, 3)
	mustClose(t, l)
	if err := migrateWith(t, dir, nextVersion(t, "DELETE FROM object; CREATE TABLE object (x)")); err == nil {
		t.Fatal("migrated")
	}
	equal(t, rows(t, mustOpen(t, dir)), 3)
}

func TestMigrationsAreNumbered(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mustClose(t, mustOpen(t, dir))
	from := nextVersion(t, "")
	from["0008_later.sql"] = from["0007_next.sql"]
	delete(from, "0007_next.sql")
	if err := migrateWith(t, dir, from); err == nil || !strings.Contains(err.Error(), "out of order") {
		t.Errorf("got %v", err)
	}
}

func TestOlderReader(t *testing.T) {
	t.Parallel()
	dir := plant(t, "PRAGMA user_version = 0; CREATE TABLE x (y)")
	_, err := OpenReader(t.Context(), dir)
	wantIs(t, err, ErrNoLedger)
	_, err = Open(t.Context(), dir, Options{})
	wantIs(t, err, ErrCorrupt) // somebody else's
}

func TestNewerIsRefused(t *testing.T) {
	t.Parallel()
	for _, version := range []int{7, 99} {
		dir := plant(t, fmt.Sprintf("PRAGMA user_version = %d; CREATE TABLE object (x)", version))
		before, err := os.ReadFile(filepath.Join(dir, "ledger.db"))
		must(t, err)
		_, err = Open(t.Context(), dir, Options{})
		wantIs(t, err, ErrNewer)
		_, err = OpenReader(t.Context(), dir)
		wantIs(t, err, ErrNewer)
		after, err := os.ReadFile(filepath.Join(dir, "ledger.db"))
		must(t, err)
		if !bytes.Equal(before[100:], after[100:]) { // the header says WAL now
			t.Error("a newer ledger was changed")
		}
	}
}
