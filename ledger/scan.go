package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"example.org/mediamove/media"
)

// A Scan is one whole look at the bucket beside the database.
type Scan struct {
	Run     int64
	At      time.Time        // by the server's clock
	Objects int64            // in the bucket
	Bytes   int64            // of them
	Owned   int64            // objects that a row owns
	Counts  map[string]int64 // rows by table
	// Control is a sample of the keys that this run saw owned, for later runs to
	// be tried on. [Ledger.LastScan] leaves it out.
	Control []media.Key
}

// ControlAge is how old a control set must be to try a run on it: a database
// that went wrong today must not have chosen its own questions.
const ControlAge = 20 * time.Hour

// EndScan records sc, after all suspects of its run, and returns when that is
// durable. Suspects that the run didn't see go: they are owned by now, or gone.
//
// sc.Control becomes a set of its own. Of the sets at least [ControlAge] older
// than sc only the newest stays. An empty Control is no set, so that a run that
// saw nothing owned takes no earlier set away.
func (l *Ledger) EndScan(ctx context.Context, sc Scan) error {
	counts, err := json.Marshal(sc.Counts)
	if err != nil {
		return fmt.Errorf("end scan: %w", err)
	}
	sc.Control = slices.Clone(sc.Control) // the writer may be at it after ctx has ended
	return l.wait(ctx, func(s *session) error {
		if err := s.exec("REPLACE INTO scan (run, at_ns, objects, bytes, owned, counts) VALUES (?,?,?,?,?,?)",
			sc.Run, nanos(sc.At), sc.Objects, sc.Bytes, sc.Owned, string(counts)); err != nil {
			return err
		}
		if err := s.exec("DELETE FROM suspect WHERE last_run <> ?", sc.Run); err != nil {
			return err
		}
		return s.storeControl(&sc)
	})
}

func (s *session) storeControl(sc *Scan) error {
	if err := s.exec("DELETE FROM control WHERE run = ?", sc.Run); err != nil {
		return err
	}
	for _, k := range sc.Control {
		if err := s.exec("INSERT OR IGNORE INTO control (run, key) VALUES (?, ?)", sc.Run, []byte(k)); err != nil {
			return err
		}
	}
	newest, err := controlRun(context.Background(), s.conn, sc.At.Add(-ControlAge))
	if err != nil || newest == 0 {
		return err
	}
	return s.exec(`DELETE FROM control WHERE run IN (SELECT run FROM scan
		WHERE (at_ns, run) < (SELECT at_ns, run FROM scan WHERE run = ?))`, newest)
}

// controlRun returns the run of the newest set recorded at or before before, or 0.
func controlRun(ctx context.Context, q queryer, before time.Time) (run int64, err error) {
	const query = `SELECT run FROM scan WHERE at_ns <= ? AND EXISTS (SELECT 1 FROM control WHERE control.run = scan.run)
		ORDER BY at_ns DESC, run DESC LIMIT 1`
	err = q.QueryRowContext(ctx, query, nanos(before)).Scan(&run)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return run, err
}

// LastScan returns the scan of the latest run that ended one, without Control,
// or [ErrUnknown].
func (l *Ledger) LastScan(ctx context.Context) (Scan, error) {
	var sc Scan
	var at int64
	var counts string
	err := l.read.QueryRowContext(ctx, "SELECT run, at_ns, objects, bytes, owned, counts FROM scan ORDER BY run DESC LIMIT 1").
		Scan(&sc.Run, &at, &sc.Objects, &sc.Bytes, &sc.Owned, &counts)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Scan{}, fmt.Errorf("scan: %w", ErrUnknown)
	case err != nil:
		return Scan{}, failed("read ledger", err)
	}
	if err := json.Unmarshal([]byte(counts), &sc.Counts); err != nil {
		return Scan{}, fmt.Errorf("read ledger: %w: scan of run %d: %w", ErrCorrupt, sc.Run, err)
	}
	sc.At = instant(at)
	return sc, nil
}

// Control returns the newest set of control keys that was recorded at or before
// before, ordered by their bytes, and the run that saw them owned. There is none:
// run 0, and no error.
func (l *Ledger) Control(ctx context.Context, before time.Time) (run int64, keys []media.Key, err error) {
	tx, err := l.read.BeginTx(ctx, nil) // an EndScan in between drops sets
	if err != nil {
		return 0, nil, failed("read ledger", err)
	}
	defer func() { _ = tx.Rollback() }() // only read
	if run, err = controlRun(ctx, tx, before); err != nil || run == 0 {
		return 0, nil, failed("read ledger", err)
	}
	keys, err = collect(ctx, tx, "SELECT key FROM control WHERE run = ? ORDER BY key", scanKey, []any{run})
	return run, keys, failed("read ledger", err)
}

func scanKey(r row) (media.Key, error) {
	var key []byte
	err := r.Scan(&key)
	return media.Key(key), err
}
