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

// retryAfter are the pauses before a transaction is tried again because its
// connection broke. A failover takes longer, but then the run had better end.
var retryAfter = [...]time.Duration{250 * time.Millisecond, time.Second}

// A query is one SELECT, or one UPDATE that returns rows. Everything goes and
// comes in PostgreSQL's binary format, so that no setting of a session
// (DateStyle, TimeZone) has a say.
type query struct {
	sql    string
	args   []argument // $1 and so on
	one    bool       // one row must come, no more and no less
	update bool       // it is an UPDATE
	row    func(values [][]byte) error
}

// An argument is a value in binary form; nil is NULL.
type argument struct {
	value []byte
	oid   uint32
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
	return d.persist(ctx, op, func() error { return d.attempt(ctx, queries()) })
}

// persist tries again while the connection breaks.
func (d *Database) persist(ctx context.Context, op string, attempt func() error) error {
	for _, pause := range retryAfter {
		err := attempt()
		if !broken(err) || ctx.Err() != nil {
			return databaseError(op, err)
		}
		d.log.WarnContext(ctx, "the database connection broke: trying again", "op", op, "error", databaseError(op, err))
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
	return databaseError(op, attempt())
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
	return send(ctx, conn.Conn().PgConn(), "BEGIN READ ONLY", append([]query{d.proof()}, queries...), "COMMIT")
}

// send sends commands around queries in one go and reads the answers; an end of ""
// is none.
func send(ctx context.Context, conn *pgconn.PgConn, begin string, queries []query, end string) error {
	var batch pgconn.Batch
	batch.ExecParams(begin, nil, nil, nil, nil)
	for _, q := range queries {
		q.add(&batch)
	}
	if end != "" {
		batch.ExecParams(end, nil, nil, nil, nil)
	}
	results := conn.ExecBatch(ctx, &batch)
	err := collect(results, queries, end)
	// What a query says of its rows explains more than what came of it later.
	return cmp.Or(err, results.Close())
}

func (q query) add(batch *pgconn.Batch) {
	values, oids := make([][]byte, len(q.args)), make([]uint32, len(q.args))
	for i, a := range q.args {
		values[i], oids[i] = a.value, a.oid
	}
	binary := []int16{pgtype.BinaryFormatCode}
	batch.ExecParams(q.sql, values, oids, binary, binary)
}

// collect reads the answers to BEGIN, the queries and the end.
func collect(results *pgconn.MultiResultReader, queries []query, end string) error {
	if err := command(results, "BEGIN"); err != nil {
		return err
	}
	for _, q := range queries {
		if err := q.collect(results); err != nil {
			return err
		}
	}
	if end == "" {
		return nil
	}
	// A transaction that failed answers ROLLBACK to COMMIT.
	return command(results, end)
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
	if err == nil && (tag.Select() == q.update || tag.Update() != q.update || tag.RowsAffected() != n || q.one && n != 1) {
		err = fmt.Errorf("%d rows came of %q", n, tag)
	}
	return err
}

// proof is the first query of every transaction. The first one of all says which
// database was opened.
func (d *Database) proof() query {
	return query{
		sql: proof, one: true,
		args: []argument{{[]byte(strconv.FormatInt(max(1, d.timeout.Milliseconds()), 10)), pgtype.TextOID}},
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

// int8Array is a bigint[].
func int8Array(ids []int64) argument {
	b := make([]byte, 0, 20+12*len(ids))
	for _, head := range []uint32{1, 0, pgtype.Int8OID, uint32(len(ids)), 1} { // dimensions, NULLs, type, length, first index
		b = binary.BigEndian.AppendUint32(b, head)
	}
	for _, id := range ids {
		b = binary.BigEndian.AppendUint32(b, 8)
		b = binary.BigEndian.AppendUint64(b, uint64(id))
	}
	return argument{b, pgtype.Int8ArrayOID}
}
