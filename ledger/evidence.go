package ledger

import (
	"context"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/media"
)

// Level is how much a proof is worth. The numbers are stored.
type Level uint8

// The levels, each worth more than the one before.
const (
	Acknowledged Level = 1 // the bucket answered a PUT with our MD5
	Listed       Level = 2 // a listing shows the size and ETag we recorded
	ReadBack     Level = 3 // the bytes were read and have our SHA-256
)

// Evidence is one later proof that an object is there. The PUT's own proof is
// the [Entry].
type Evidence struct {
	Key    media.Key
	Level  Level
	Op     costs.Op // the request that proved it
	Detail string
	ETag   string // of the object that was proven, without quotes; empty in rows of before version 3
	Run    int64
	At     time.Time
}

const evidenceColumns = `key, level, op, detail, etag, run, at_ns`

// AddEvidence records a proof; none is ever changed or dropped. Durability
// and errors are as for [Ledger.Store].
func (l *Ledger) AddEvidence(ctx context.Context, e Evidence) error {
	return l.queue(ctx, func(s *session) error {
		_, err := s.prove.ExecContext(context.Background(),
			[]byte(e.Key), int64(e.Level), e.Op.String(), e.Detail, e.ETag, e.Run, nanos(e.At))
		return err
	})
}

// Evidence returns the proofs of k, oldest first.
func (l *Ledger) Evidence(ctx context.Context, k media.Key) ([]Evidence, error) {
	const query = "SELECT " + evidenceColumns + " FROM evidence WHERE key = ? ORDER BY id"
	all, err := collect(ctx, l.read, query, scanEvidence, []any{[]byte(k)})
	return all, failed("read ledger", err)
}

func scanEvidence(r row) (Evidence, error) {
	var e Evidence
	var key []byte
	var op string
	var at int64
	err := r.Scan(&key, &e.Level, &op, &e.Detail, &e.ETag, &e.Run, &at)
	e.Key, e.At = media.Key(key), instant(at)
	e.Op, _ = costs.ParseOp(op)
	return e, err
}
