package ledger

import (
	"context"
	"time"
)

const (
	removedByRunsQuery = `SELECT count(*), coalesce(sum(size), 0) FROM removal WHERE run >= ? AND run < ? AND state IN ('removed', 'restored')`
	putBackByRunsQuery = `SELECT count(*), coalesce(sum(size), 0) FROM removal
		WHERE intended_ns >= ? AND state = 'restored' AND restored_run >= ? AND restored_run < ?`
)

// NetRemoved adds up what the runs from from until before to removed, less what they put
// back: by the journal, so that of killed runs too. What one of them put back counts if it
// was removed at since or later.
//
// Between the listings of two runs a bucket that was left alone would have grown by the
// difference of the two and NetRemoved of the first run until before the second.
func (l *Ledger) NetRemoved(ctx context.Context, from, to int64, since time.Time) (net ClassSum, err error) {
	var back ClassSum
	if err := l.read.QueryRowContext(ctx, removedByRunsQuery, from, to).Scan(&net.Objects, &net.Bytes); err != nil {
		return ClassSum{}, failed("read ledger", err)
	}
	if err := l.read.QueryRowContext(ctx, putBackByRunsQuery, nanos(since), from, to).Scan(&back.Objects, &back.Bytes); err != nil {
		return ClassSum{}, failed("read ledger", err)
	}
	return ClassSum{net.Objects - back.Objects, net.Bytes - back.Bytes}, nil
}
