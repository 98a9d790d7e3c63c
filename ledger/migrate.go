package ledger

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

//go:embed migrations/*.sql
var migrations embed.FS

// embedded returns this program's migrations: 0001_*.sql, 0002_*.sql and so
// on. One that was ever released is never changed again.
func embedded() fs.FS {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the name above is not a path
	}
	return sub
}

// migrate brings the ledger to the newest version in from, each step in a
// transaction of its own, and keeps a copy of an older ledger aside.
func migrate(ctx context.Context, conn *sql.Conn, dir folder, from fs.FS) error {
	steps, err := fs.Glob(from, "*.sql") // sorted
	if err != nil {
		return fmt.Errorf("migrate ledger: %w", err)
	}
	have, err := userVersion(ctx, conn)
	if err != nil {
		return err
	}
	switch {
	case have > len(steps):
		return fmt.Errorf("open ledger: %w: its version is %d, this program knows %d", ErrNewer, have, len(steps))
	case have == len(steps):
		return nil
	case have == 0:
		return create(ctx, conn, from, steps)
	}
	if err := copyAside(ctx, conn, fmt.Sprintf("%s.before-v%d", dir.file(), len(steps))); err != nil {
		return err
	}
	return apply(ctx, conn, from, steps[have:], have)
}

// create fills an empty file. One that already holds tables is somebody else's.
func create(ctx context.Context, conn *sql.Conn, from fs.FS, steps []string) error {
	var tables int
	if err := conn.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return failed("open ledger", err)
	}
	if tables > 0 {
		return fmt.Errorf("open ledger: %w: it holds somebody else's tables", ErrCorrupt)
	}
	return apply(ctx, conn, from, steps, 0)
}

func apply(ctx context.Context, conn *sql.Conn, from fs.FS, steps []string, version int) error {
	for _, name := range steps {
		version++
		if !strings.HasPrefix(name, fmt.Sprintf("%04d_", version)) {
			return fmt.Errorf("migrate ledger: %s is out of order: want number %d", name, version)
		}
		text, err := fs.ReadFile(from, name)
		if err != nil {
			return fmt.Errorf("migrate ledger: %w", err)
		}
		if err := step(ctx, conn, string(text), version); err != nil {
			return failed("migrate ledger: "+name, err)
		}
	}
	return nil
}

// step runs one migration. user_version is part of the transaction.
func step(ctx context.Context, conn *sql.Conn, text string, version int) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after a commit
	if _, err := tx.ExecContext(ctx, text); err != nil {
		return err
	}
	if version == 1 {
		if err := insertIdentity(ctx, tx); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version)); err != nil {
		return err
	}
	return tx.Commit()
}

// copyAside writes a consistent copy, WAL included, that appears under its
// name only when it is whole. SQLite doesn't sync it, so this does.
func copyAside(ctx context.Context, conn *sql.Conn, name string) error {
	temp := name + ".tmp"
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return failed("copy ledger before migration", err)
	}
	f, err := createPrivate(temp) // VACUUM INTO takes an empty file, and keeps its mode
	if err != nil {
		return failed("copy ledger before migration", err)
	}
	if _, err := conn.ExecContext(ctx, "VACUUM INTO ?", temp); err != nil {
		return errors.Join(failed("copy ledger before migration", err), f.Close(), os.Remove(temp))
	}
	if err := errors.Join(f.Sync(), f.Close(), os.Rename(temp, name)); err != nil {
		return failed("copy ledger before migration", err)
	}
	return nil
}

type queryer interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func userVersion(ctx context.Context, q queryer) (int, error) {
	var v int
	if err := q.QueryRowContext(ctx, "PRAGMA user_version").Scan(&v); err != nil {
		return 0, failed("open ledger", err)
	}
	return v, nil
}

// checkReadable makes a reader refuse what it would misread. Only a writer
// migrates.
func checkReadable(ctx context.Context, db *sql.DB) error {
	have, err := userVersion(ctx, db)
	if err != nil {
		return err
	}
	steps, err := fs.Glob(embedded(), "*.sql")
	if err != nil {
		return fmt.Errorf("open ledger: %w", err)
	}
	switch known := len(steps); {
	case have == 0:
		return fmt.Errorf("open ledger: %w", ErrNoLedger) // made this instant, or not ours
	case have > known:
		return fmt.Errorf("open ledger: %w: its version is %d, this program knows %d", ErrNewer, have, known)
	case have < known:
		return fmt.Errorf("open ledger: it is of version %d: the next sync migrates it to %d", have, known)
	}
	return nil
}
