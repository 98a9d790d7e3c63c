package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"example.org/mediamove/media"
)

// A Verdict says what a verify found wrong about a key. The words are stored.
type Verdict string

// The verdicts. The first five, and those about the disk, speak against the bytes in the bucket, see
// [Ledger.Standing]; the others don't.
const (
	Missing       Verdict = "missing"         // recorded, and not in the bucket
	Differs       Verdict = "differs"         // in the bucket with another size, ETag or content than recorded
	Rewritten     Verdict = "rewritten"       // written anew after our PUT, by Mastodon
	Withdrawn     Verdict = "withdrawn"       // hidden on disk since it was moved, or removed by a cleanup run, and not in the bucket any more: as it should be
	Deleted       Verdict = "deleted"         // after the switch: recorded, not in the bucket, and no row names it: as it should be
	HiddenOnDisk  Verdict = "exposed"         // hidden on disk, and in the bucket
	ChangedOnDisk Verdict = "changed_on_disk" // the file is not the one that was moved
	Extra         Verdict = "extra"           // in the bucket, and neither recorded nor on disk
	NeverUploaded Verdict = "never_uploaded"  // on disk, and neither recorded nor in the bucket
	Unread        Verdict = "unread"          // could not be read back, for whatever reason
	BadHeaders    Verdict = "headers"         // Content-Type or Cache-Control isn't what Mastodon writes
	BadPublic     Verdict = "public"          // visitors don't get what they should, or get what they shouldn't
)

// Valid reports whether v is one of the verdicts.
func (v Verdict) Valid() bool {
	switch v {
	case Extra, NeverUploaded, Unread, BadHeaders, BadPublic:
		return true
	}
	return v.bytes() || v.disk()
}

// bytes reports whether v says that the bucket doesn't hold our bytes.
func (v Verdict) bytes() bool {
	return v == Missing || v == Differs || v == Rewritten || v == Withdrawn || v == Deleted
}

// disk reports whether v says that the disk holds something else by now.
func (v Verdict) disk() bool { return v == HiddenOnDisk || v == ChangedOnDisk }

// A Doubt is what one run found wrong about a key. Runs that find the same one
// after the other are one row, so that a nightly verify adds none per night.
type Doubt struct {
	Key     media.Key // any bytes
	Verdict Verdict
	Cause   string // short and stable, to group by
	Detail  string // for one person and one object
	Size    int64  // bytes
	ETag    string // seen in the bucket; empty if nothing was
	Run     int64  // the last run that found it
	At      time.Time
	// Since is the first run of the unbroken row of runs. Reads set it.
	Since int64
}

// Doubt records d. It goes on from the doubt of the same verdict that no whole
// pass before d.Run went by without, or begins anew. Durability and errors are
// as for [Ledger.Store].
func (l *Ledger) Doubt(ctx context.Context, d Doubt) error {
	return l.queue(ctx, func(s *session) error { return s.storeDoubt(&d) })
}

// storeDoubt looks at the passes before d.Run only: what is read back comes
// after the pass of the same run.
func (s *session) storeDoubt(d *Doubt) error {
	ctx := context.Background()
	res, err := s.extend.ExecContext(ctx, d.Run, d.Cause, d.Detail, d.Size, d.ETag, nanos(d.At), []byte(d.Key), string(d.Verdict))
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n > 0 {
		return err
	}
	_, err = s.doubt.ExecContext(ctx,
		[]byte(d.Key), string(d.Verdict), d.Run, d.Run, d.Cause, d.Detail, d.Size, d.ETag, nanos(d.At))
	return err
}

const (
	doubtColumns = `key, verdict, since_run, last_run, cause, detail, size, etag, at_ns`

	insertDoubt = "REPLACE INTO doubt (" + doubtColumns + ") VALUES (?,?,?,?,?,?,?,?,?)"
	extendDoubt = `UPDATE doubt SET last_run = ?1, cause = ?2, detail = ?3, size = ?4, etag = ?5, at_ns = ?6
		WHERE key = ?7 AND verdict = ?8
		AND last_run >= (SELECT coalesce(max(run), 0) FROM pass WHERE run < ?1)`
)

// Doubts yields the doubts that run had, of these verdicts or all, ordered by
// the bytes of the key. It may be used to settle them. An error is the last
// thing it yields.
func (l *Ledger) Doubts(ctx context.Context, run int64, verdicts ...Verdict) iter.Seq2[Doubt, error] {
	list, err := json.Marshal(verdicts) // null for none
	if err != nil {
		return func(yield func(Doubt, error) bool) { yield(Doubt{}, err) }
	}
	// A page holds whole keys, as one may have several doubts.
	return pages[Doubt]{
		query: `WITH had AS (SELECT * FROM doubt WHERE since_run <= ?3 AND last_run >= ?3
				AND (?4 = 'null' OR verdict IN (SELECT value FROM json_each(?4)))),
			page AS (SELECT DISTINCT key FROM had WHERE key > ?1 ORDER BY key LIMIT ?2)
			SELECT ` + doubtColumns + ` FROM page CROSS JOIN had USING (key) ORDER BY key, verdict`,
		scan: scanDoubt,
		key:  func(d Doubt) media.Key { return d.Key },
		args: []any{run, string(list)},
	}.read(ctx, l.read)
}

// DoubtAbout returns the latest doubt about k, which may be settled by now, or
// [ErrUnknown].
func (l *Ledger) DoubtAbout(ctx context.Context, k media.Key) (Doubt, error) {
	const query = "SELECT " + doubtColumns + " FROM doubt WHERE key = ? ORDER BY last_run DESC, at_ns DESC LIMIT 1"
	d, err := scanDoubt(l.read.QueryRowContext(ctx, query, []byte(k)))
	if errors.Is(err, sql.ErrNoRows) {
		return Doubt{}, fmt.Errorf("doubt about %q: %w", k, ErrUnknown)
	}
	return d, failed("read ledger", err)
}

// OpenDoubts yields what runs before run found wrong about bytes behind the recorded
// ETag, and what nothing has lifted since: no listing can, only reading back. They
// come ordered by the bytes of the key, which may have several. An error is the last
// thing it yields.
func (l *Ledger) OpenDoubts(ctx context.Context, run int64) iter.Seq2[Doubt, error] {
	return pages[Doubt]{
		query: "SELECT d." + strings.ReplaceAll(doubtColumns, ", ", ", d.") + ` FROM doubt d JOIN object o ON o.key = d.key
			WHERE d.key > ?1 AND d.verdict IN ('differs', 'rewritten') AND d.last_run < ?3
			AND (d.last_run, d.at_ns) > (o.run, o.at_ns)
			AND d.etag IN ('', coalesce(o.etag, lower(hex(o.md5))))
			AND NOT EXISTS (SELECT 1 FROM evidence e WHERE e.key = o.key AND e.level = ?4
				AND e.etag = coalesce(o.etag, lower(hex(o.md5))) AND (e.run, e.at_ns) > (d.last_run, d.at_ns))
			ORDER BY d.key, d.last_run DESC LIMIT ?2`,
		scan: scanDoubt,
		key:  func(d Doubt) media.Key { return d.Key },
		args: []any{run, int64(ReadBack)},
	}.read(ctx, l.read)
}

// ForgetDoubts drops what run alone has found, because the listing it rests on is not
// believed. It returns when that is durable.
func (l *Ledger) ForgetDoubts(ctx context.Context, run int64) error {
	return l.wait(ctx, func(s *session) error { return s.exec("DELETE FROM doubt WHERE since_run = ?", run) })
}

func scanDoubt(r row) (Doubt, error) {
	var d Doubt
	var key []byte
	var at int64
	err := r.Scan(&key, &d.Verdict, &d.Since, &d.Run, &d.Cause, &d.Detail, &d.Size, &d.ETag, &at)
	d.Key, d.At = media.Key(key), instant(at)
	return d, err
}
