package mastodon

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
)

// begin names the isolation level: with a stricter one that a role may have as its
// default, a row that has changed would be an error and not just passed over.
const begin = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"

// limits keep a write from waiting for a migration's locks until the statement's
// own timeout, with Mastodon waiting behind it. For jit see [uncompiled].
const limits = "SELECT pg_catalog.set_config('lock_timeout', '5s', true), pg_catalog.set_config('jit', 'off', true)"

// An outcomeError says that the answer to COMMIT got lost.
type outcomeError struct{ err error }

func (e *outcomeError) Error() string { return "not known whether it happened: " + e.err.Error() }
func (e *outcomeError) Unwrap() error { return e.err }

// write runs one query in a transaction, and commits it once all answers have been
// found to be right: until then nothing has happened, wherever it was that it was
// sent. So it too is tried again if the connection breaks, but never after that
// point: an [*outcomeError] says that only the database knows whether it happened.
func (d *Database) write(ctx context.Context, op string, q func() query) error {
	return d.persist(ctx, op, func() error { return d.attemptWrite(ctx, q()) })
}

func (d *Database) attemptWrite(ctx context.Context, q query) error {
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release() // one with an open transaction is closed by this
	ctx, cancel := context.WithTimeout(ctx, 4*d.timeout+grace)
	defer cancel()
	server := conn.Conn().PgConn()
	queries := []query{d.proof(), {sql: limits, one: true, row: func([][]byte) error { return nil }}, q}
	if err := send(ctx, server, begin, queries, ""); err != nil {
		return err
	}
	if err := commit(ctx, server); err != nil {
		if _, refused := errors.AsType[*pgconn.PgError](err); refused && !broken(err) {
			return err // rolled back
		}
		return &outcomeError{err}
	}
	return nil
}

// commit ends a transaction.
func commit(ctx context.Context, server *pgconn.PgConn) error {
	var batch pgconn.Batch
	batch.ExecParams("COMMIT", nil, nil, nil, nil)
	results := server.ExecBatch(ctx, &batch)
	if err := command(results, "COMMIT"); err != nil {
		return errors.Join(err, results.Close())
	}
	return results.Close()
}
