package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
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
	return keyset(func(last *T) ([]T, error) {
		from, query := p.from, p.query
		if last == nil {
			query = strings.Replace(query, "key > ?", "key >= ?", 1) // a finding about the root has the key ""
		} else {
			from = p.key(*last)
		}
		return collect(ctx, db, query, p.scan, append([]any{[]byte(from), pageRows}, p.args...))
	})
}

// keyset yields what page returns of up to pageRows rows after the last one,
// page by page; the first page is after nil.
func keyset[T any](page func(last *T) ([]T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var last *T
		for {
			rows, err := page(last)
			if err != nil {
				yield(*new(T), failed("read ledger", err))
				return
			}
			for _, v := range rows {
				if !yield(v, nil) {
					return
				}
			}
			if len(rows) < pageRows {
				return
			}
			last = &rows[len(rows)-1]
		}
	}
}

// A where is the rest of a query's conditions, with their parameters. Only what
// is asked for is in it, so that SQLite sees which index serves.
type where struct {
	used int // parameters before these
	sql  string
	args []any
}

// and adds a condition with one parameter.
func (w *where) and(condition string, arg any) {
	w.args = append(w.args, arg)
	w.sql += " AND " + strings.Replace(condition, "?", fmt.Sprintf("?%d", w.used+len(w.args)), 1)
}

// prefixed is the condition that key begins with prefix.
func (w *where) prefixed(prefix string) {
	if prefix == "" {
		return
	}
	w.and("key >= ?", []byte(prefix))
	for end := []byte(prefix); len(end) > 0; end = end[:len(end)-1] {
		if last := &end[len(end)-1]; *last < 0xff { // what is after 0xff is one byte shorter
			*last++
			w.and("key < ?", end)
			return
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
