package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"example.org/mediamove/costs"
)

// A RunDay is what one run sent on one day.
type RunDay struct {
	Run     int64
	Command string
	Ended   bool // without an end the run goes on or was killed, and its last seconds may not be counted
	Day     costs.Day
	Usage   costs.Usage
}

// UsageByRun returns what each run sent on each day from from until before to,
// by run and day. It grows with the number of runs, by some 300 bytes for each.
// Operations of a later version count as [costs.Unknown].
func (l *Ledger) UsageByRun(ctx context.Context, from, to costs.Day) ([]RunDay, error) {
	const query = `SELECT u.run, r.command, r.ended_ns IS NOT NULL, u.day, u.op, u.count
		FROM usage u JOIN run r ON r.id = u.run WHERE u.day >= ? AND u.day < ? ORDER BY u.run, u.day`
	var all []RunDay
	rows, err := collect(ctx, l.read, query, scanRunDay, []any{from.String(), to.String()})
	for _, r := range rows {
		if n := len(all); n == 0 || all[n-1].Run != r.Run || all[n-1].Day != r.Day {
			all = append(all, r.RunDay)
		}
		all[len(all)-1].Usage[r.op] += r.n
	}
	return all, failed("read ledger", err)
}

// runDayOp is one row of usage.
type runDayOp struct {
	RunDay
	opCount
}

func scanRunDay(r row) (runDayOp, error) {
	var v runDayOp
	var day, op string
	if err := r.Scan(&v.Run, &v.Command, &v.Ended, &day, &op, &v.n); err != nil {
		return v, err
	}
	v.op, _ = costs.ParseOp(op)
	var err error
	if v.Day, err = costs.ParseDay(day); err != nil {
		return v, fmt.Errorf("%w: usage of run %d: %w", ErrCorrupt, v.Run, err)
	}
	return v, nil
}

// A StoredDay is what one run found acknowledged in the bucket on one day.
type StoredDay struct {
	Day     costs.Day
	Run     int64 // 0 for all that came before the first day asked for, which stands on the day before it
	Bytes   int64
	Adopted int64 // of these: was there already
}

// StoredByDay returns which of the objects that are recorded now came to be so on
// which day until before to, and by which run; what is older than from is one
// sum. Added up, that is what the bucket held at least: the ledger doesn't know
// of Mastodon's own objects, nor of deletions, and an object that was sent again
// counts from then on. The result grows with the number of runs; every row is
// read, those from from on one by one, because SQLite would sort them for a GROUP
// BY, in a file in /tmp.
func (l *Ledger) StoredByDay(ctx context.Context, from, to costs.Day) (_ []StoredDay, err error) {
	const query = `SELECT ?1 - 1, 0, coalesce(sum(size), 0), coalesce(sum(size) FILTER (WHERE origin = ?4), 0)
		FROM object WHERE at_ns < ?1 * ?3
		UNION ALL SELECT at_ns / ?3, run, size, iif(origin = ?4, size, 0)
		FROM object WHERE at_ns >= ?1 * ?3 AND at_ns < ?2 * ?3`
	rows, err := l.read.QueryContext(ctx, query, int64(from), int64(to), int64(24*time.Hour), int64(Adopted))
	if err != nil {
		return nil, failed("read ledger", err)
	}
	defer func() { err = failed("read ledger", errors.Join(err, rows.Close())) }()
	type of struct {
		day costs.Day
		run int64
	}
	sums := make(map[of]StoredDay)
	for rows.Next() {
		var d StoredDay
		if err := rows.Scan(&d.Day, &d.Run, &d.Bytes, &d.Adopted); err != nil {
			return nil, err
		}
		sum := sums[of{d.Day, d.Run}]
		sums[of{d.Day, d.Run}] = StoredDay{d.Day, d.Run, sum.Bytes + d.Bytes, sum.Adopted + d.Adopted}
	}
	days := slices.SortedFunc(maps.Values(sums), func(a, b StoredDay) int {
		return cmp.Or(cmp.Compare(a.Day, b.Day), cmp.Compare(a.Run, b.Run))
	})
	return days, rows.Err()
}

// A Beginning is how the ledger's work began.
type Beginning struct {
	First time.Time // of the first run, whatever its command; zero if there was none
	Moved int64     // the sync that decided about every file for the first time; 0 if none has
}

// Beginning returns when the first run began, and which sync ended the first move:
// it came to its end in order, and no file was left undecided. An unreadable folder
// makes no walk whole, but it doesn't keep the move from being over.
func (l *Ledger) Beginning(ctx context.Context) (Beginning, error) {
	const query = `SELECT coalesce((SELECT min(began_ns) FROM run), 0), coalesce((SELECT min(id) FROM run
		WHERE command = 'sync' AND (complete OR exit_code = 3 AND json_extract(counts, '$.pending') = 0)), 0)`
	var b Beginning
	var first int64
	err := l.read.QueryRowContext(ctx, query).Scan(&first, &b.Moved)
	b.First = instant(first)
	return b, failed("read ledger", err)
}
