package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3" // also registers the driver
)

const (
	driverName = "sqlite3"
	readers    = 3 // connections; each holds up to 2 MiB of pages

	// Up to 3.51.2 two connections could corrupt a WAL that was being reset
	// (sqlite.org/releaselog/3_51_3.html).
	oldestSafe = 3_051_003

	fullSync   = 2 // PRAGMA synchronous, as it is read back
	checkEvery = 7 * 24 * time.Hour
)

// Settings of the connections. The driver's default of synchronous=NORMAL
// would lose acknowledged commits in a power cut.
const (
	writerSettings = "mode=rw&_journal_mode=WAL&_synchronous=FULL&_txlock=immediate&_busy_timeout=10000&_foreign_keys=1"
	readerSettings = "mode=ro&_query_only=1&_busy_timeout=10000"
)

// dsn escapes file, which may hold any character.
func dsn(file, settings string) string {
	if abs, err := filepath.Abs(file); err == nil {
		file = abs
	}
	return "file:" + (&url.URL{Path: file}).EscapedPath() + "?" + settings
}

func assertVersion() error {
	if v, n, _ := sqlite3.Version(); n < oldestSafe {
		return fmt.Errorf("open ledger: SQLite %s can damage it: 3.51.3 or later is needed", v)
	}
	return nil
}

// A session is the one connection that writes.
type session struct {
	db   *sql.DB
	conn *sql.Conn

	begin, commit             *sql.Stmt
	store, clear, note, prove *sql.Stmt
	extend, doubt             *sql.Stmt
	suspect, intend, outcome  *sql.Stmt
	clearing, cleared         *sql.Stmt
	open                      []*sql.Stmt // all of them

	findings bool // there may be some: spares a look-up per stored row while there are none
}

func openSession(ctx context.Context, file string) (*session, error) {
	db, err := sql.Open(driverName, dsn(file, writerSettings))
	if err != nil {
		return nil, failed("open ledger", err)
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, errors.Join(failed("open ledger", err), db.Close())
	}
	s := &session{db: db, conn: conn}
	if err := s.assertDurable(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// assertDurable reads back what the DSN asked for: an option that the driver
// stops knowing would be ignored in silence.
func (s *session) assertDurable(ctx context.Context) error {
	var sync int
	var journal string
	err := errors.Join(
		s.conn.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&sync),
		s.conn.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&journal),
	)
	if err != nil {
		return failed("open ledger", err)
	}
	if sync != fullSync || journal != "wal" {
		return fmt.Errorf("open ledger: SQLite runs with synchronous=%d journal_mode=%s; a commit might not be durable", sync, journal)
	}
	return nil
}

// Close ends the connection; what is not committed is rolled back. As the
// last connection it moves the WAL into the ledger and removes it.
func (s *session) Close() error {
	var errs []error
	for _, stmt := range s.open { // or SQLite would wait for them, and keep its files open
		errs = append(errs, stmt.Close())
	}
	return errors.Join(append(errs, s.conn.Close(), s.db.Close())...)
}

// check looks for damage if the last writer didn't close the ledger or none
// has looked for a week, and marks it as open.
func (s *session) check(ctx context.Context, log *slog.Logger) error {
	clean, err := metaValue(ctx, s.conn, metaClean)
	if err != nil && !errors.Is(err, ErrUnknown) {
		return err
	}
	if at, err := time.Parse(time.RFC3339, clean); err != nil || time.Since(at).Abs() > checkEvery {
		if err := s.quickCheck(ctx, log); err != nil {
			return err
		}
	}
	return failed("open ledger", s.setMeta(metaClean, ""))
}

func (s *session) quickCheck(ctx context.Context, log *slog.Logger) error {
	log.DebugContext(ctx, "checking the ledger")
	var verdict string
	if err := s.conn.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return failed("check ledger", err)
	}
	if verdict != "ok" {
		return fmt.Errorf("check ledger: %w: %s", ErrCorrupt, verdict)
	}
	return failed("check ledger", s.setMeta(metaChecked, time.Now().UTC().Format(time.RFC3339)))
}
