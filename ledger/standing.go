package ledger

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/media"
)

// A Standing is what the proofs of one object are worth now. It is worked out
// anew each time: a doubt or a later change makes it fall by itself.
type Standing struct {
	Level  Level     // 0: nothing stands
	Op     costs.Op  // the request that proved it
	Run    int64     // whose
	At     time.Time // when
	Passes int64     // whole passes that saw the object since it was stored
	Fallen string    // why nothing stands, e.g. "missing: not in the listing"; else empty
	Seen   int64     // the last run that sent it or whose whole pass saw it, also if nothing stands
}

// Standing weighs what is recorded about k, or returns [ErrUnknown] if no
// object is. Only what is later than the [Entry] counts.
//
// Nothing stands while there is a finding [Changed], [Exposed] or [Conflict]
// about k, or one of the first six verdicts. A doubt about the bucket is lifted
// by a later [ReadBack], or by a later whole pass without it, unless the doubt is
// about bytes behind the recorded ETag: no listing sees those. A doubt about the
// disk is lifted by a later whole pass that walked it.
//
// Else the best proof stands: read back with the recorded ETag, later than any
// of those doubts; seen by a whole pass; or the PUT itself (adopted objects: the
// look at what was there).
func (l *Ledger) Standing(ctx context.Context, k media.Key) (Standing, error) {
	tx, err := l.read.BeginTx(ctx, nil) // one state of the ledger
	if err != nil {
		return Standing{}, failed("read ledger", err)
	}
	defer func() { _ = tx.Rollback() }() // only read
	e, err := entry(tx.QueryRowContext(ctx, "SELECT "+entryColumns+" FROM object WHERE key = ?", []byte(k)), k)
	if err != nil {
		return Standing{}, err
	}
	w := weighing{entry: e}
	if err := w.gather(ctx, tx); err != nil {
		return Standing{}, failed("read ledger", err)
	}
	return w.weigh(), nil
}

// against are the verdicts that speak against an object, and refuting the
// findings, in SQL.
const (
	against     = `('missing', 'differs', 'rewritten', 'withdrawn', 'deleted', 'exposed', 'changed_on_disk')`
	againstDisk = `('exposed', 'changed_on_disk')`
	refuting    = `('changed', 'exposed', 'conflict')`
)

// Runs are in order even where the clock was not. So a later run is later, and
// the clock decides within one only: row values compare just so.
const (
	doubtsQuery = "SELECT " + doubtColumns + ` FROM doubt WHERE key = ? AND verdict IN ` + against + `
		AND (last_run, at_ns) > (?, ?) ORDER BY last_run DESC, at_ns DESC`
	refutingQuery = `SELECT kind, cause FROM finding WHERE key = ? AND kind IN ` + refuting
	proofQuery    = "SELECT " + evidenceColumns + ` FROM evidence WHERE key = ? AND etag = ?
		AND (run, at_ns) > (?, ?) ORDER BY level DESC, run DESC, at_ns DESC LIMIT 1`
	passesQuery = `SELECT run, ended_ns, walked,
		run > ?2 AND NOT EXISTS (SELECT 1 FROM doubt WHERE key = ?1 AND verdict IN ` + against + `
			AND since_run <= pass.run AND last_run >= pass.run) FROM pass`
)

// weighing is what there is to weigh about one entry.
type weighing struct {
	entry   Entry
	doubts  []Doubt  // against it, and later; the latest first
	refuted string   // by a finding, or empty
	proof   Evidence // the best, later than all doubts; its Level is 0 if there is none
	passes
}

// passes is what the whole passes say of one entry.
type passes struct {
	last, walked int64 // the latest, and the latest that walked the disk; 0 if there is none
	saw          int64 // those that saw the object since it was stored
	seen         Pass  // the latest of these
}

func (w *weighing) gather(ctx context.Context, tx *sql.Tx) (err error) {
	key, run, at := []byte(w.entry.File.Key), w.entry.Run, nanos(w.entry.At)
	if w.doubts, err = collect(ctx, tx, doubtsQuery, scanDoubt, []any{key, run, at}); err != nil {
		return err
	}
	var kind, cause string
	switch err := tx.QueryRowContext(ctx, refutingQuery, key).Scan(&kind, &cause); {
	case err == nil:
		w.refuted = because(kind, cause)
	case !errors.Is(err, sql.ErrNoRows):
		return err
	}
	if len(w.doubts) > 0 {
		run, at = w.doubts[0].Run, nanos(w.doubts[0].At)
	}
	w.proof, err = scanEvidence(tx.QueryRowContext(ctx, proofQuery, key, w.entry.ETag, run, at))
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	return w.count(ctx, tx)
}

func (w *weighing) count(ctx context.Context, tx *sql.Tx) (err error) {
	rows, err := tx.QueryContext(ctx, passesQuery, []byte(w.entry.File.Key), w.entry.Run)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var p Pass
		var ended int64
		var saw bool
		if err := rows.Scan(&p.Run, &ended, &p.Walked, &saw); err != nil {
			return err
		}
		p.Ended = instant(ended)
		w.add(p, saw)
	}
	return rows.Err()
}

func (ps *passes) add(p Pass, saw bool) {
	ps.last = max(ps.last, p.Run)
	if p.Walked {
		ps.walked = max(ps.walked, p.Run)
	}
	if saw {
		ps.saw++
		if p.Run > ps.seen.Run {
			ps.seen = p
		}
	}
}

// ProofTotals counts objects by what they are proven by.
type ProofTotals struct {
	Entries  int64 // all that are recorded
	ReadBack int64 // those whose [Standing] is of level [ReadBack]
}

// Proofs reads every row, in SQL: up to three seconds per million.
func (l *Ledger) Proofs(ctx context.Context) (ProofTotals, error) {
	var p ProofTotals
	err := l.read.QueryRowContext(ctx, proofsQuery, int64(ReadBack)).Scan(&p.Entries, &p.ReadBack)
	return p, failed("read ledger", err)
}

const proofsQuery = `SELECT (SELECT count(*) FROM object), (SELECT count(*) FROM object o
	WHERE EXISTS (SELECT 1 FROM evidence e
		WHERE e.key = o.key AND e.level = ?1 AND e.etag = coalesce(o.etag, lower(hex(o.md5)))
		AND (e.run, e.at_ns) > (o.run, o.at_ns)
		AND NOT EXISTS (SELECT 1 FROM doubt d WHERE d.key = o.key AND d.verdict IN ` + against + `
			AND (d.last_run, d.at_ns) >= (e.run, e.at_ns)))
	AND NOT EXISTS (SELECT 1 FROM doubt d WHERE d.key = o.key AND d.verdict IN ` + againstDisk + `
		AND (d.last_run, d.at_ns) > (o.run, o.at_ns)
		AND d.last_run >= (SELECT coalesce(max(run), 0) FROM pass WHERE walked))
	AND NOT EXISTS (SELECT 1 FROM finding f WHERE f.key = o.key AND f.kind IN ` + refuting + `))`

// weigh finds the best proof that nothing later speaks against.
func (w *weighing) weigh() Standing {
	st := Standing{Level: Acknowledged, Op: costs.PutObject, Run: w.entry.Run, At: w.entry.At}
	if w.entry.Origin == Adopted {
		st.Op = costs.HeadObject
	}
	if w.saw > 0 {
		st = Standing{Level: Listed, Op: costs.ListObjects, Run: w.seen.Run, At: w.seen.Ended}
	}
	if p := w.proof; p.Level > st.Level {
		st = Standing{Level: p.Level, Op: p.Op, Run: p.Run, At: p.At}
	}
	if why := w.fallen(); why != "" {
		st = Standing{Fallen: why}
	}
	st.Passes, st.Seen = w.saw, max(w.entry.Run, w.seen.Run)
	return st
}

func (w *weighing) fallen() string {
	for _, d := range w.doubts {
		if !w.lifted(d) {
			return because(string(d.Verdict), d.Cause)
		}
	}
	return w.refuted
}

// lifted reports whether something later says the opposite of d. A listing
// can't say it of an object that was there with the recorded ETag and was wrong
// all the same, and nothing but a walk can say it of the disk.
func (w *weighing) lifted(d Doubt) bool {
	if d.Verdict.disk() {
		return w.walked > d.Run
	}
	listable := d.Verdict == Missing || d.Verdict == Withdrawn || d.Verdict == Deleted || d.ETag != "" && d.ETag != w.entry.ETag
	return w.proof.Level >= ReadBack || listable && w.last > d.Run
}

func because(what, cause string) string {
	if cause == "" {
		return what
	}
	return what + ": " + cause
}
