package ledger

import (
	"context"
	"database/sql"
	"errors"
	"iter"
	"strings"

	"example.org/mediamove/media"
)

// A row is one that can be scanned: *sql.Row or *sql.Rows.
type row interface{ Scan(dst ...any) error }

// pages reads a table in the order of its keys. The query begins with the
// parameters "key > ?" and "LIMIT ?".
//
// Each page is a short read of its own that begins after the last key, because
// one long read transaction would keep SQLite from reusing the WAL, which then
// grows for as long as the caller takes.
type pages[T any] struct {
	query string
	scan  func(row) (T, error)
	key   func(T) media.Key
	from  media.Key // the first page begins here
	args  []any     // the other parameters
}

const pageRows = 500

func (p pages[T]) read(ctx context.Context, db rowsQueryer) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		last, query := []byte(p.from), strings.Replace(p.query, "key > ?", "key >= ?", 1) // a finding about the root has the key ""
		for {
			page, err := collect(ctx, db, query, p.scan, append([]any{last, pageRows}, p.args...))
			if err != nil {
				yield(*new(T), failed("read ledger", err))
				return
			}
			for _, v := range page {
				if !yield(v, nil) {
					return
				}
			}
			if len(page) < pageRows {
				return
			}
			last, query = []byte(p.key(page[len(page)-1])), p.query
		}
	}
}

type rowsQueryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// collect runs one query to its end.
func collect[T any](ctx context.Context, db rowsQueryer, query string, scan func(row) (T, error), args []any) (_ []T, err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var all []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}
