package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"time"

	"example.org/mediamove/media"
)

// A RemovalQuery selects rows of the journal. What is zero selects all.
type RemovalQuery struct {
	Run    int64
	Key    media.Key // in any spelling that is the same in NFC
	Prefix string    // the key begins with these bytes
	State  RemovalState
	Since  time.Time // intended at that time or after it
	Until  time.Time // intended before that time
	Reason string
}

func (q RemovalQuery) where() where {
	w := where{used: 2}
	if q.Run != 0 {
		w.and("run = ?", q.Run)
	}
	if q.Key != "" {
		w.and("coalesce(normal, key) = ?", normalOf(q.Key))
	}
	w.prefixed(q.Prefix)
	switch q.State {
	case "":
	case RemovalIntent: // in so many words, for the index of the open ones
		w.sql += " AND state = 'intent'"
	default:
		w.and("state = ?", string(q.State))
	}
	if !q.Since.IsZero() {
		w.and("intended_ns >= ?", nanos(q.Since))
	}
	if !q.Until.IsZero() {
		w.and("intended_ns < ?", nanos(q.Until))
	}
	if q.Reason != "" {
		w.and("reason = ?", q.Reason)
	}
	return w
}

// Removals yields the rows of the journal that q selects, by ID. It may be used
// to settle them. An error is the last thing it yields.
func (l *Ledger) Removals(ctx context.Context, q RemovalQuery) iter.Seq2[Removal, error] {
	query, args := q.query()
	return keyset(func(last *Removal) ([]Removal, error) {
		var id int64
		if last != nil {
			id = last.ID
		}
		return collect(ctx, l.read, query, scanRemoval, append([]any{id, pageRows}, args...))
	})
}

func (q RemovalQuery) query() (string, []any) {
	w := q.where()
	return "SELECT " + removalColumns + " FROM removal WHERE id > ?1" + w.sql + " ORDER BY id LIMIT ?2", w.args
}

func scanRemoval(r row) (Removal, error) {
	var v Removal
	var key []byte
	var modified, intended, ended, restored int64
	err := r.Scan(&v.ID, &v.Run, &key, &v.Policy, &v.Reason, &v.Size, &v.ETag, &modified, &v.Trash, &v.Plan, &v.State, &v.Detail,
		&intended, &ended, &v.RestoredRun, &v.RestoredETag, &restored)
	v.Key, v.Modified = media.Key(key), instant(modified)
	v.Intended, v.Ended, v.RestoredAt = instant(intended), instant(ended), instant(restored)
	return v, err
}

// gone are the states in which an object is not to be sent again. An intent that
// a kill left open counts: its object may be deleted, and to send it would
// publish what its owner has deleted.
const gone = `('removed', 'intent')`

const (
	removedByQuery = `SELECT run FROM removal WHERE state IN ` + gone + `
		AND id = (SELECT max(id) FROM removal WHERE coalesce(normal, key) = ?)`
	removedSinceQuery = `SELECT key, size FROM removal WHERE intended_ns >= ? AND policy = ? AND state IN ` + gone
)

// RemovedBy returns the run by which k is removed now: the latest row of the
// journal about k, in any spelling that is the same in NFC, is removed, or an
// intent that is open. It is [ErrUnknown] if there is none, or the latest is
// kept or restored.
func (l *Ledger) RemovedBy(ctx context.Context, k media.Key) (run int64, err error) {
	err = l.read.QueryRowContext(ctx, removedByQuery, normalOf(k)).Scan(&run)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("removal of %q: %w", k, ErrUnknown)
	}
	return run, failed("read ledger", err)
}

// goneQuery names, by position, the files whose objects are removed, and by
// which run, as [Ledger.RemovedBy] does. Places that are not used hold NULL.
func goneQuery() string {
	return `WITH v (n, name) AS (VALUES ` + places("(%d,?)") + `)
		SELECT v.n, r.run FROM v CROSS JOIN removal r
		ON r.id = (SELECT max(id) FROM removal WHERE coalesce(normal, key) = v.name)
		WHERE v.name IS NOT NULL AND r.state IN ` + gone
}

// remember finds out which files of the batch a cleanup run has removed.
func (k *lookup) remember() error {
	if k.gone == nil {
		return nil
	}
	args := k.args[:batchMax]
	clear(args)
	for i, c := range k.files {
		if c.err == nil {
			args[i] = normalOf(c.File.Key)
		}
	}
	return k.each(k.gone, args, func(r row) error {
		var n int
		var run int64
		if err := r.Scan(&n, &run); err != nil {
			return err
		}
		k.files[n].State, k.files[n].RemovedBy = Removed, run
		return nil
	})
}

// A ClassSum adds up objects of one class.
type ClassSum struct{ Objects, Bytes int64 }

// RemovedSince adds up what was intended under policy at since or later and is
// removed or open, by class. Ceilings count by it: what a kill left open may be
// deleted.
func (l *Ledger) RemovedSince(ctx context.Context, policy string, since time.Time) (_ map[media.Class]ClassSum, err error) {
	rows, err := l.read.QueryContext(ctx, removedSinceQuery, nanos(since), policy)
	if err != nil {
		return nil, failed("read ledger", err)
	}
	defer func() { err = failed("read ledger", errors.Join(err, rows.Close())) }()
	sums := make(map[media.Class]ClassSum)
	for rows.Next() {
		var key sql.RawBytes
		var size int64
		if err := rows.Scan(&key, &size); err != nil {
			return nil, err
		}
		c := media.Key(key).Class()
		sums[c] = ClassSum{sums[c].Objects + 1, sums[c].Bytes + size}
	}
	return sums, rows.Err()
}
