package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"example.org/mediamove/costs"
)

// A RunEnd is how a run came out.
type RunEnd struct {
	At       time.Time
	ExitCode int
	Complete bool            // it was a whole walk
	Counts   json.RawMessage // the command's own counters; nil for none
	Usage    costs.Usage     // of the whole run
	Bytes    int64           // sent
}

// A Run is one run of a command. It has no end while it goes on, or if it was
// killed and none has begun since.
type Run struct {
	ID          int64
	Command     string
	Began       time.Time
	Interrupted bool // killed: a later run found it without an end
	RunEnd           // At is zero without an end; Usage is what was recorded
}

// Begin records a run of command and returns its id, from 1, when that is
// durable. There is one writer, so earlier runs without an end were killed,
// and are marked so.
func (l *Ledger) Begin(ctx context.Context, command string, at time.Time) (int64, error) {
	var id int64
	err := l.wait(ctx, func(s *session) error {
		if err := s.exec("UPDATE run SET interrupted = 1 WHERE ended_ns IS NULL"); err != nil {
			return err
		}
		res, err := s.conn.ExecContext(context.Background(),
			"INSERT INTO run (command, began_ns) VALUES (?, ?)", command, nanos(at))
		if err != nil {
			return err
		}
		id, err = res.LastInsertId()
		return err
	})
	if err != nil {
		return 0, err // not id: the writer may still be at it
	}
	return id, nil
}

// Finish records the end of a run and returns when that is durable. The part
// of end.Usage that no earlier day has goes to the day of end.At.
// The run must exist, else [ErrUnknown].
func (l *Ledger) Finish(ctx context.Context, run int64, end RunEnd) error {
	counts := cmp.Or(string(end.Counts), "{}")
	return l.wait(ctx, func(s *session) error {
		res, err := s.conn.ExecContext(context.Background(),
			"UPDATE run SET ended_ns = ?, interrupted = 0, exit_code = ?, complete = ?, counts = ?, bytes = ? WHERE id = ?",
			nanos(end.At), end.ExitCode, end.Complete, counts, end.Bytes, run)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return cmp.Or(err, fmt.Errorf("finish run %d: %w", run, ErrUnknown))
		}
		return s.finishUsage(run, date(end.At), end.Usage)
	})
}

const runColumns = `id, command, began_ns, interrupted, coalesce(ended_ns, 0), exit_code, complete, counts, bytes`

// Runs returns the last runs, the latest first.
func (l *Ledger) Runs(ctx context.Context, last int) ([]Run, error) {
	const query = "SELECT " + runColumns + " FROM run ORDER BY id DESC LIMIT ?"
	runs, err := collect(ctx, l.read, query, scanRun, []any{last})
	if err != nil {
		return nil, failed("read ledger", err)
	}
	for i := range runs {
		runs[i].Usage, err = sumUsage(ctx, l.read, "run = ?", runs[i].ID)
		if err != nil {
			return nil, err
		}
	}
	return runs, nil
}

// Latest returns the last run of command, or [ErrUnknown].
func (l *Ledger) Latest(ctx context.Context, command string) (Run, error) {
	return l.oneRun(ctx, "command = ?", command)
}

// Run returns one run, or [ErrUnknown].
func (l *Ledger) Run(ctx context.Context, id int64) (Run, error) {
	return l.oneRun(ctx, "id = ?", id)
}

// oneRun returns the latest that where selects.
func (l *Ledger) oneRun(ctx context.Context, where string, arg any) (Run, error) {
	query := "SELECT " + runColumns + " FROM run WHERE " + where + " ORDER BY id DESC LIMIT 1"
	runs, err := collect(ctx, l.read, query, scanRun, []any{arg})
	switch {
	case err != nil:
		return Run{}, failed("read ledger", err)
	case len(runs) == 0:
		return Run{}, fmt.Errorf("run (%s %v): %w", where, arg, ErrUnknown)
	}
	runs[0].Usage, err = sumUsage(ctx, l.read, "run = ?", runs[0].ID)
	return runs[0], err
}

func scanRun(r row) (Run, error) {
	var v Run
	var began, ended int64
	var counts sql.RawBytes
	err := r.Scan(&v.ID, &v.Command, &began, &v.Interrupted, &ended, &v.ExitCode, &v.Complete, &counts, &v.Bytes)
	v.Began, v.At = instant(began), instant(ended)
	v.Counts = json.RawMessage(string(counts))
	return v, err
}
