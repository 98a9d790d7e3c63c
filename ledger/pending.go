package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"example.org/mediamove/media"
)

// State is what the ledger knows of a file.
type State uint8

// The states.
const (
	New     State = iota // no object of this key is recorded
	Same                 // recorded, with the same size, mtime and inode
	Touched              // recorded, but size, mtime or inode differ
	Lost                 // recorded, but a verify found it missing or different in the bucket
	// Removed: a cleanup run removed the object of this key, see
	// [Ledger.RemovedBy], whatever is recorded. Such a file is never sent.
	Removed
)

// A Candidate is a file with its state.
type Candidate struct {
	File  media.File
	State State
	Entry *Entry // what is recorded of a Touched file, else nil
	Seen  string // ETag that a verify saw in place of a Lost one; "" if it saw nothing
	// RemovedBy is the run that removed a Removed one, else 0.
	RemovedBy int64
}

const (
	batchMax  = 256
	batchWait = 20 * time.Millisecond
)

// Pending passes every file on, in order, with its state; nothing is left
// out. An error of the source passes through beside its file. An [ErrBroken]
// is the ledger's own and the last thing it yields.
//
// Files are looked up in batches that double from 1, so that the first is out
// at once, and end early when the source is slow; a source that stalls holds
// back the batch it has begun. What this run stores may or may not be seen:
// every key is walked once per run.
func (l *Ledger) Pending(ctx context.Context, files iter.Seq2[media.File, error]) iter.Seq2[Candidate, error] {
	return func(yield func(Candidate, error) bool) {
		look, err := l.newLookup(ctx)
		if err != nil {
			yield(Candidate{}, err)
			return
		}
		defer look.close()
		look.run(files, yield)
	}
}

// A lookup asks for one batch after the other.
type lookup struct {
	ctx   context.Context
	conn  *sql.Conn
	batch *sql.Stmt // nil: no object is recorded, so all are new
	one   *sql.Stmt
	gone  *sql.Stmt // nil: nothing was ever removed, which costs nothing then

	files []candidate // the batch
	limit int
	began time.Time
	args  []any // its columns, four per file
}

// A candidate is one of the batch, with the source's error if it had one.
type candidate struct {
	Candidate
	err error
}

func (l *Ledger) newLookup(ctx context.Context) (*lookup, error) {
	k := &lookup{ctx: ctx, limit: 1, args: make([]any, 4*batchMax)}
	var stored, removed bool
	const query = "SELECT EXISTS (SELECT 1 FROM object), EXISTS (SELECT 1 FROM removal)"
	if err := l.read.QueryRowContext(ctx, query).Scan(&stored, &removed); err != nil {
		return nil, failed("look up files", err)
	}
	if !stored && !removed {
		return k, nil
	}
	conn, err := l.read.Conn(ctx)
	if err != nil {
		return nil, failed("look up files", err)
	}
	k.conn = conn
	if err := k.prepare(stored, removed); err != nil {
		k.close()
		return nil, failed("look up files", err)
	}
	return k, nil
}

func (k *lookup) prepare(stored, removed bool) error {
	var errs [3]error
	if stored {
		k.batch, errs[0] = k.conn.PrepareContext(k.ctx, batchQuery())
		k.one, errs[1] = k.conn.PrepareContext(k.ctx, "SELECT "+entryColumns+" FROM object WHERE key = ?")
	}
	if removed {
		k.gone, errs[2] = k.conn.PrepareContext(k.ctx, goneQuery())
	}
	return errors.Join(errs[:]...)
}

// batchQuery names, by position, the files that are not recorded just so, and
// whether they are recorded at all. One query costs well under 1 µs per file
// where a query each would cost 9. Places that are not used hold NULL.
func batchQuery() string {
	return `WITH v (n, key, size, mtime_ns, inode) AS (VALUES ` + places("(%d,?,?,?,?)") + `)
		SELECT v.n, o.key IS NOT NULL FROM v LEFT JOIN object o ON o.key = v.key
		WHERE v.key IS NOT NULL
		AND (o.key IS NULL OR o.size <> v.size OR o.mtime_ns <> v.mtime_ns OR o.inode <> v.inode)`
}

// places repeats place for every file of a batch, each with its position.
func places(place string) string {
	all := make([]string, batchMax)
	for n := range all {
		all[n] = fmt.Sprintf(place, n)
	}
	return strings.Join(all, ",")
}

func (k *lookup) close() {
	for _, s := range []*sql.Stmt{k.batch, k.one, k.gone} {
		if s != nil {
			_ = s.Close() // only read
		}
	}
	if k.conn != nil {
		_ = k.conn.Close() // goes back to the pool
	}
}

func (k *lookup) run(files iter.Seq2[media.File, error], yield func(Candidate, error) bool) {
	for f, err := range files {
		if len(k.files) == 0 {
			k.began = time.Now()
		}
		k.files = append(k.files, candidate{Candidate{File: f}, err})
		if len(k.files) < k.limit && time.Since(k.began) < batchWait {
			continue
		}
		if !k.flush(yield) {
			return
		}
		k.limit = min(2*k.limit, batchMax)
	}
	k.flush(yield)
}

// flush decides the batch and yields it; false means stop.
func (k *lookup) flush(yield func(Candidate, error) bool) bool {
	if err := k.decide(); err != nil {
		yield(Candidate{}, failed("look up files", err))
		return false
	}
	for _, c := range k.files {
		if !yield(c.Candidate, c.err) {
			return false
		}
	}
	k.files = k.files[:0]
	return true
}

func (k *lookup) decide() error {
	if len(k.files) == 0 {
		return nil
	}
	if err := k.compare(); err != nil {
		return err
	}
	if err := k.remember(); err != nil {
		return err
	}
	return k.recall()
}

// compare finds out which files are the same as recorded.
func (k *lookup) compare() error {
	if k.batch == nil {
		return nil
	}
	k.bind()
	return k.each(k.batch, k.args, func(r row) error {
		var n int
		var known bool
		if err := r.Scan(&n, &known); err != nil {
			return err
		}
		k.files[n].State = New
		if known {
			k.files[n].State = Touched
		}
		return nil
	})
}

// each passes every row of a batch's query to do.
func (k *lookup) each(query *sql.Stmt, args []any, do func(row) error) error {
	rows, err := query.QueryContext(k.ctx, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	for rows.Next() {
		if err := do(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// bind fills the places, and calls every file the same until told otherwise.
func (k *lookup) bind() {
	clear(k.args)
	for i := range k.files {
		c := &k.files[i]
		if c.err != nil {
			continue
		}
		c.State = Same
		a := k.args[4*i:]
		a[0], a[1], a[2], a[3] = []byte(c.File.Key), c.File.Size, c.File.ModTime.UnixNano(), int64(c.File.Inode)
	}
}

// recall reads what is recorded of the touched files. The row may have
// changed since the batch was looked up.
func (k *lookup) recall() error {
	for i := range k.files {
		c := &k.files[i]
		if c.State != Touched {
			continue
		}
		e, err := entry(k.one.QueryRowContext(k.ctx, []byte(c.File.Key)), c.File.Key)
		if err != nil {
			return err
		}
		if c.Entry = &e; e.File.SameStat(c.File) {
			c.State, c.Entry = Same, nil
		}
	}
	return nil
}
