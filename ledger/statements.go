package ledger

import (
	"context"
	"database/sql"
	"errors"
)

// prepare makes the statements that run once per row or group. The rest are
// rare enough for [session.exec].
func (s *session) prepare(ctx context.Context) error {
	var errs []error
	for dst, query := range map[**sql.Stmt]string{
		&s.begin:  "BEGIN IMMEDIATE",
		&s.commit: "COMMIT",
		&s.store:  "REPLACE INTO object (" + entryColumns + ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
		&s.clear:  "DELETE FROM finding WHERE key = ?",
		&s.note:   "REPLACE INTO finding (" + findingColumns + ") VALUES (?,?,?,?,?,?,?)",
		&s.prove:  "INSERT INTO evidence (" + evidenceColumns + ") VALUES (?,?,?,?,?,?,?)",
		&s.extend: extendDoubt,
		&s.doubt:  insertDoubt,

		&s.suspect: upsertSuspect,
		&s.intend:  insertIntent,
		&s.outcome: endRemoval,

		&s.clearing: insertClearing,
		&s.cleared:  endClearing,
	} {
		stmt, err := s.conn.PrepareContext(ctx, query) //nolint:sqlclosecheck // session.Close does
		if err == nil {
			*dst, s.open = stmt, append(s.open, stmt)
		}
		errs = append(errs, err)
	}
	errs = append(errs, s.conn.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM finding)").Scan(&s.findings))
	return failed("open ledger", errors.Join(errs...))
}

func (s *session) exec(query string, args ...any) error {
	_, err := s.conn.ExecContext(context.Background(), query, args...)
	return err
}
