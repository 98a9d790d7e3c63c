package ledger

import (
	"context"
	"fmt"
	"time"

	"example.org/mediamove/costs"
)

// AddUsage records that run has sent u, all in all, on that day (UTC, as R2
// bills), and returns when that is durable. It sets the total of the run and
// day, so it may be repeated as the total grows: a killed run keeps the last
// one. The run must exist.
func (l *Ledger) AddUsage(ctx context.Context, run int64, day time.Time, u costs.Usage) error {
	return l.wait(ctx, func(s *session) error {
		if err := s.setUsage(run, date(day), u); err != nil {
			return fmt.Errorf("record usage of run %d: %w", run, err)
		}
		return nil
	})
}

// MonthUsage returns what all runs sent on the days from from until before to
// (dates in UTC; the hour doesn't matter).
func (l *Ledger) MonthUsage(ctx context.Context, from, to time.Time) (costs.Usage, error) {
	return sumUsage(ctx, l.read, "day >= ? AND day < ?", date(from), date(to))
}

func date(t time.Time) string { return t.UTC().Format(time.DateOnly) }

func (s *session) setUsage(run int64, day string, u costs.Usage) error {
	if err := s.exec("DELETE FROM usage WHERE run = ? AND day = ?", run, day); err != nil {
		return err
	}
	for op, n := range u.All() {
		if err := s.exec("INSERT INTO usage (run, day, op, count) VALUES (?, ?, ?, ?)", run, day, op.String(), n); err != nil {
			return err
		}
	}
	return nil
}

// finishUsage sets the last day's total to what total has beyond the others.
func (s *session) finishUsage(run int64, day string, total costs.Usage) error {
	before, err := sumUsage(context.Background(), s.conn, "run = ? AND day <> ?", run, day)
	if err != nil {
		return err
	}
	return s.setUsage(run, day, total.Sub(before))
}

// sumUsage adds up the rows that where selects. Operations of a later version
// count as [costs.Unknown].
func sumUsage(ctx context.Context, db rowsQueryer, where string, args ...any) (costs.Usage, error) {
	var total costs.Usage
	counts, err := collect(ctx, db, "SELECT op, count FROM usage WHERE "+where, scanCount, args)
	for _, c := range counts {
		total[c.op] += c.n
	}
	return total, failed("read ledger", err)
}

type opCount struct {
	op costs.Op
	n  int64
}

func scanCount(r row) (opCount, error) {
	var c opCount
	var name string
	err := r.Scan(&name, &c.n)
	c.op, _ = costs.ParseOp(name)
	return c, err
}
