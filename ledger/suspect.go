package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

	"example.org/mediamove/media"
)

// A SuspectKind says what may become of an object that no row owns. The words
// are stored.
type SuspectKind string

// The kinds.
const (
	Orphan  SuspectKind = "orphan"  // may be removed, once it was a suspect for long enough
	Review  SuspectKind = "review"  // for a person to look at: its row exists and is not remote
	Unknown SuspectKind = "unknown" // not a key that Mastodon is known to write
)

// Valid reports whether k is one of the kinds.
func (k SuspectKind) Valid() bool { return k == Orphan || k == Review || k == Unknown }

// A Suspect is an object that no row owned when the last scan looked. That says
// nothing about the next moment: Mastodon stores an object before its row.
type Suspect struct {
	Key      media.Key // any bytes
	Kind     SuspectKind
	Reason   string // short and stable, to group by, e.g. "row gone"
	Size     int64  // bytes
	ETag     string // as listed, without quotes
	Modified time.Time
	// The first and the last scan of the unbroken row that saw the object with
	// this ETag and of this kind, and when, by the server's clock. Reads set them.
	FirstRun, LastRun int64
	First, Last       time.Time
}

// AddSuspects records that run saw s, of keys that differ, at at by the server's
// clock. A suspect goes on from the one of the same key if ETag and Kind are
// the same: its first sighting stays and all else is the new one's. Otherwise it
// begins anew. What s says of sightings is not read.
//
// It returns when that is durable, so that a page of a listing is best one call.
func (l *Ledger) AddSuspects(ctx context.Context, run int64, at time.Time, s []Suspect) error {
	for _, v := range s {
		if !v.Kind.Valid() {
			return fmt.Errorf("add suspect %q: no kind %q", v.Key, v.Kind)
		}
	}
	s = slices.Clone(s) // the writer may be at it after ctx has ended
	return l.wait(ctx, func(w *session) error {
		for i := range s {
			if err := w.storeSuspect(&s[i], run, at); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *session) storeSuspect(v *Suspect, run int64, at time.Time) error {
	_, err := s.suspect.ExecContext(context.Background(),
		[]byte(v.Key), string(v.Kind), v.Reason, v.Size, v.ETag, anyNanos(v.Modified), run, nanos(at), run, nanos(at))
	return err
}

// anyNanos is nanos for a time that a server says: the year 9999 must not become
// an age of centuries.
func anyNanos(t time.Time) int64 {
	if t.After(time.Unix(0, math.MaxInt64)) {
		return math.MaxInt64
	}
	return nanos(t)
}

const (
	suspectColumns = `key, kind, reason, size, etag, modified_ns, first_run, first_ns, last_run, last_ns`

	upsertSuspect = `INSERT INTO suspect (` + suspectColumns + `) VALUES (?,?,?,?,?,?,?,?,?,?)
		ON CONFLICT (key) DO UPDATE SET
		first_run = iif(etag = excluded.etag AND kind = excluded.kind, first_run, excluded.first_run),
		first_ns = iif(etag = excluded.etag AND kind = excluded.kind, first_ns, excluded.first_ns),
		kind = excluded.kind, reason = excluded.reason, size = excluded.size, etag = excluded.etag,
		modified_ns = excluded.modified_ns, last_run = excluded.last_run, last_ns = excluded.last_ns`
)

// A SuspectQuery selects suspects. What is zero selects all.
type SuspectQuery struct {
	Run            int64       // seen last by this run
	Kind           SuspectKind // of this kind
	FirstBefore    time.Time   // seen first at that time or before it
	ModifiedBefore time.Time   // last modified at that time or before it; one without a time never was
	Prefix         string      // the key begins with these bytes
}

// Suspects yields the suspects that q selects, ordered by the bytes of the key.
// It may be used while others are added or go; those may be seen or not. An
// error is the last thing it yields.
func (l *Ledger) Suspects(ctx context.Context, q SuspectQuery) iter.Seq2[Suspect, error] {
	w := where{used: 2}
	if q.Run != 0 {
		w.and("last_run = ?", q.Run)
	}
	if q.Kind != "" {
		w.and("kind = ?", string(q.Kind))
	}
	if !q.FirstBefore.IsZero() {
		w.and("first_ns <> 0 AND first_ns <= ?", nanos(q.FirstBefore))
	}
	if !q.ModifiedBefore.IsZero() {
		w.and("modified_ns <> 0 AND modified_ns <= ?", nanos(q.ModifiedBefore))
	}
	w.prefixed(q.Prefix)
	return pages[Suspect]{
		query: "SELECT " + suspectColumns + " FROM suspect WHERE key > ?1" + w.sql + " ORDER BY key LIMIT ?2",
		scan:  scanSuspect,
		key:   func(s Suspect) media.Key { return s.Key },
		from:  media.Key(q.Prefix),
		args:  w.args,
	}.read(ctx, l.read)
}

// SuspectAbout returns the suspect of that key, or [ErrUnknown].
func (l *Ledger) SuspectAbout(ctx context.Context, k media.Key) (Suspect, error) {
	s, err := scanSuspect(l.read.QueryRowContext(ctx, "SELECT "+suspectColumns+" FROM suspect WHERE key = ?", []byte(k)))
	if errors.Is(err, sql.ErrNoRows) {
		return Suspect{}, fmt.Errorf("suspect %q: %w", k, ErrUnknown)
	}
	return s, failed("read ledger", err)
}

// CancelSuspects takes back what run was the first to mark: the suspect of key
// k, or all of them if k is "". It returns how many there were, when that is
// durable. The next scan may mark them again, and their waiting time begins anew.
func (l *Ledger) CancelSuspects(ctx context.Context, run int64, k media.Key) (int64, error) {
	var n int64
	err := l.wait(ctx, func(s *session) error {
		res, err := s.conn.ExecContext(context.Background(),
			"DELETE FROM suspect WHERE first_run = ?1 AND (?2 = x'' OR key = ?2)", run, append([]byte{}, k...))
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	if err != nil {
		return 0, err // not n: the writer may still be at it
	}
	return n, nil
}

func scanSuspect(r row) (Suspect, error) {
	var s Suspect
	var key []byte
	var modified, first, last int64
	err := r.Scan(&key, &s.Kind, &s.Reason, &s.Size, &s.ETag, &modified, &s.FirstRun, &first, &s.LastRun, &last)
	s.Key, s.Modified, s.First, s.Last = media.Key(key), instant(modified), instant(first), instant(last)
	return s, err
}
