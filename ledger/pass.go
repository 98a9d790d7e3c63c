package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// A Pass is one whole listing of the bucket, compared with the ledger. It is
// the evidence, in one row, that every object recorded before it began was
// there with the recorded size and ETag, but for those that its run doubts.
type Pass struct {
	Run          int64
	Began, Ended time.Time
	Walked       bool  // the whole disk was compared too
	Switched     bool  // Mastodon wrote to the bucket by then
	Listed       int64 // objects in the bucket
	Same         int64 // of them, as recorded
	Bytes        int64 // of those
}

const passColumns = `run, began_ns, ended_ns, walked, switched, listed, same, bytes`

// EndPass records p, after every doubt of its run that the listing gave rise
// to, and returns when that is durable.
func (l *Ledger) EndPass(ctx context.Context, p Pass) error {
	return l.wait(ctx, func(s *session) error {
		return s.exec("REPLACE INTO pass ("+passColumns+") VALUES (?,?,?,?,?,?,?,?)",
			p.Run, nanos(p.Began), nanos(p.Ended), p.Walked, p.Switched, p.Listed, p.Same, p.Bytes)
	})
}

// LastPass returns the latest whole pass, or [ErrUnknown].
func (l *Ledger) LastPass(ctx context.Context) (Pass, error) {
	p, err := scanPass(l.read.QueryRowContext(ctx, "SELECT "+passColumns+" FROM pass ORDER BY run DESC LIMIT 1"))
	if errors.Is(err, sql.ErrNoRows) {
		return Pass{}, fmt.Errorf("whole pass: %w", ErrUnknown)
	}
	return p, failed("read ledger", err)
}

func scanPass(r row) (Pass, error) {
	var p Pass
	var began, ended int64
	err := r.Scan(&p.Run, &began, &ended, &p.Walked, &p.Switched, &p.Listed, &p.Same, &p.Bytes)
	p.Began, p.Ended = instant(began), instant(ended)
	return p, err
}
