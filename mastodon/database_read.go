package mastodon

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// grace is what a transaction may take beyond its statements' timeouts, which
// the server keeps. A server that is silent for longer is given up.
const grace = 30 * time.Second

// retryAfter are the pauses before a read is tried again because its connection
// broke. A failover takes longer, but then the run had better end.
var retryAfter = [...]time.Duration{250 * time.Millisecond, time.Second}

// A query is one SELECT. Everything goes and comes in PostgreSQL's binary
// format, so that no setting of a session (DateStyle, TimeZone) has a say.
type query struct {
	sql string
	arg []byte // $1; nil: there is none
	oid uint32 // its type
	one bool   // one row must come, no more and no less
	row func(values [][]byte) error
}

// A serverIdentity is what every transaction asks the server about itself.
type serverIdentity struct {
	system, name string
	oid          int64 // of the database: one that was dropped and made anew has another
}

// proof sets this transaction's timeout, and says where it is. Row security
// would hide rows silently; switched off, it is an error instead. All names are
// qualified: behind a pooler, another client's search_path may be in force.
const proof = `SELECT pg_catalog.pg_is_in_recovery(), s.system_identifier, d.oid::pg_catalog.int8, d.datname,
	pg_catalog.set_config('statement_timeout', $1, true), pg_catalog.set_config('row_security', 'off', true)
FROM pg_catalog.pg_control_system() s, pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()`

// read runs queries in one transaction, and again if the connection breaks: each
// time they are made anew, so that their results start empty.
func (d *Database) read(ctx context.Context, op string, queries func() []query) error {
	for _, pause := range retryAfter {
		err := d.attempt(ctx, queries())
		if !broken(err) || ctx.Err() != nil {
			return databaseError(op, err)
		}
		d.log.WarnContext(ctx, "the database connection broke: trying again", "op", op, "error", databaseError(op, err))
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
	return databaseError(op, d.attempt(ctx, queries()))
}

// attempt sends BEGIN, the proof, the queries and COMMIT in one go and reads the
// answers. No result counts unless it returns nil. Statements have no name, so
// that a pooler in transaction mode may stand between.
func (d *Database) attempt(ctx context.Context, queries []query) error {
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release() // one with an open transaction is closed by this
	ctx, cancel := context.WithTimeout(ctx, d.timeout*time.Duration(len(queries)+1)+grace)
	defer cancel()
	queries = append([]query{d.proof()}, queries...)
	var batch pgconn.Batch
	batch.ExecParams("BEGIN READ ONLY", nil, nil, nil, nil)
	for _, q := range queries {
		q.add(&batch)
	}
	batch.ExecParams("COMMIT", nil, nil, nil, nil)
	results := conn.Conn().PgConn().ExecBatch(ctx, &batch)
	err = collect(results, queries)
	// What a query says of its rows explains more than what came of it later.
	return cmp.Or(err, results.Close())
}

func (q query) add(batch *pgconn.Batch) {
	if q.arg == nil {
		batch.ExecParams(q.sql, nil, nil, nil, []int16{pgtype.BinaryFormatCode})
		return
	}
	batch.ExecParams(q.sql, [][]byte{q.arg}, []uint32{q.oid}, []int16{pgtype.BinaryFormatCode}, []int16{pgtype.BinaryFormatCode})
}

// collect reads the answers to BEGIN, the queries and COMMIT.
func collect(results *pgconn.MultiResultReader, queries []query) error {
	if err := command(results, "BEGIN"); err != nil {
		return err
	}
	for _, q := range queries {
		if err := q.collect(results); err != nil {
			return err
		}
	}
	// A transaction that failed answers ROLLBACK to COMMIT.
	return command(results, "COMMIT")
}

func command(results *pgconn.MultiResultReader, want string) error {
	if !results.NextResult() {
		return cmp.Or(results.Close(), fmt.Errorf("no answer to %s", want))
	}
	tag, err := results.ResultReader().Close()
	if err == nil && tag.String() != want {
		err = fmt.Errorf("%s was answered with %q", want, tag)
	}
	return err
}

// collect hands over the rows, as many as the server says it has sent.
func (q query) collect(results *pgconn.MultiResultReader) error {
	if !results.NextResult() {
		return cmp.Or(results.Close(), errors.New("a query got no answer"))
	}
	rows, n := results.ResultReader(), int64(0)
	for ; rows.NextRow(); n++ {
		if err := q.row(rows.Values()); err != nil {
			return err
		}
	}
	tag, err := rows.Close()
	if err == nil && (!tag.Select() || tag.RowsAffected() != n || q.one && n != 1) {
		err = fmt.Errorf("%d rows came of %q", n, tag)
	}
	return err
}

// proof is the first query of every transaction. The first one of all says which
// database was opened.
func (d *Database) proof() query {
	return query{
		sql: proof, oid: pgtype.TextOID, one: true,
		arg: []byte(strconv.FormatInt(max(1, d.timeout.Milliseconds()), 10)),
		row: func(v [][]byte) error {
			replica, err := boolean(v[0])
			if err != nil || replica {
				return cmp.Or(err, ErrReplica)
			}
			system, err1 := integer(v[1])
			oid, err2 := integer(v[2])
			if err := errors.Join(err1, err2); err != nil {
				return err
			}
			// pg_controldata prints the identifier without a sign.
			here := serverIdentity{strconv.FormatUint(uint64(system), 10), string(v[3]), oid}
			if d.opened == (serverIdentity{}) {
				d.opened = here
			}
			if here != d.opened {
				return ErrOtherDatabase
			}
			return nil
		},
	}
}

// int8Array is PostgreSQL's binary form of a bigint[].
func int8Array(ids []int64) []byte {
	b := make([]byte, 0, 20+12*len(ids))
	for _, head := range []uint32{1, 0, pgtype.Int8OID, uint32(len(ids)), 1} { // dimensions, NULLs, type, length, first index
		b = binary.BigEndian.AppendUint32(b, head)
	}
	for _, id := range ids {
		b = binary.BigEndian.AppendUint32(b, 8)
		b = binary.BigEndian.AppendUint64(b, uint64(id))
	}
	return b
}
