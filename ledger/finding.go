package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	"example.org/mediamove/media"
)

// Kind says what was found about a key. The words are stored.
type Kind string

// The kinds.
const (
	HeldBack   Kind = "held_back"  // hidden or private: never sent
	Exposed    Kind = "exposed"    // moved earlier, hidden on disk now
	Failed     Kind = "failed"     // sending it failed
	Conflict   Kind = "conflict"   // the bucket holds other bytes
	Changed    Kind = "changed"    // differs from what was moved, and may not replace it
	Left       Kind = "left"       // older than the switch: not sent again
	Vanished   Kind = "vanished"   // gone between walk and read
	Outside    Kind = "outside"    // below no known class folder
	Unreadable Kind = "unreadable" // a folder or file that the walk couldn't read
	Link       Kind = "link"       // a symbolic link
	Special    Kind = "special"    // a FIFO, socket or device
)

// A Finding is what the last run that looked found about a key that it didn't
// move, or that a person should see. A key has at most one.
type Finding struct {
	Key    media.Key // any bytes: it may be a name that can't be a key
	Kind   Kind
	Cause  string // short and stable, to group by, e.g. "403 AccessDenied"
	Detail string // for one person and one file
	Size   int64  // bytes
	Run    int64
	At     time.Time
}

// Note records f in place of what was found about its key before. Durability
// and errors are as for [Ledger.Store].
func (l *Ledger) Note(ctx context.Context, f Finding) error {
	return l.queue(ctx, func(s *session) error {
		s.findings = true
		_, err := s.note.ExecContext(context.Background(),
			[]byte(f.Key), string(f.Kind), f.Cause, f.Detail, f.Size, f.Run, nanos(f.At))
		return err
	})
}

// ForgetFindings drops the findings of runs before run. After a whole walk
// under run they are about files that are gone or fine. It returns when that
// is durable.
func (l *Ledger) ForgetFindings(ctx context.Context, run int64) error {
	return l.wait(ctx, func(s *session) error {
		return s.exec("DELETE FROM finding WHERE run < ?", run)
	})
}

const findingColumns = `key, kind, cause, detail, size, run, at_ns`

// Finding returns what was found about k, or [ErrUnknown].
func (l *Ledger) Finding(ctx context.Context, k media.Key) (Finding, error) {
	f, err := scanFinding(l.read.QueryRowContext(ctx, "SELECT "+findingColumns+" FROM finding WHERE key = ?", []byte(k)))
	if errors.Is(err, sql.ErrNoRows) {
		return Finding{}, fmt.Errorf("finding about %q: %w", k, ErrUnknown)
	}
	return f, failed("read ledger", err)
}

// Findings yields the findings of these kinds, or all, ordered by the bytes
// of the key. It may be used to settle them: one that goes while it runs does
// no harm. An error is the last thing it yields.
func (l *Ledger) Findings(ctx context.Context, kinds ...Kind) iter.Seq2[Finding, error] {
	list, err := json.Marshal(kinds) // null for none
	if err != nil {
		return func(yield func(Finding, error) bool) { yield(Finding{}, err) }
	}
	return pages[Finding]{
		query: "SELECT " + findingColumns + ` FROM finding WHERE key > ?1
			AND (?3 = 'null' OR kind IN (SELECT value FROM json_each(?3))) ORDER BY key LIMIT ?2`,
		scan: scanFinding,
		key:  func(f Finding) media.Key { return f.Key },
		args: []any{string(list)},
	}.read(ctx, l.read)
}

func scanFinding(r row) (Finding, error) {
	var f Finding
	var key []byte
	var at int64
	err := r.Scan(&key, &f.Kind, &f.Cause, &f.Detail, &f.Size, &f.Run, &at)
	f.Key, f.At = media.Key(key), instant(at)
	return f, err
}
