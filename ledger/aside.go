package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"

	"example.org/mediamove/media"
)

// SetAside puts the ledger in dir aside and an empty one in its place, in one step:
// there is no instant without a ledger, and none with one that forgot the switch. Of
// all that the old one knew, the new one knows [Identity.SwitchedAt], because without
// it old files would be published again, and what was used in the last two months, as
// one run of [Carried], because the account pays for it all the same. The old one stays beside it and can be put
// back by hand. No ledger is fine.
//
// Errors to tell apart: [ErrLocked] (another process writes, or reads for longer than
// ten seconds), [ErrNewer], [ErrCorrupt], [ErrFull]. After an error the old one is
// still in place.
func SetAside(ctx context.Context, dir string, now time.Time) (err error) {
	d := folder(dir)
	if err := d.exists(); err != nil {
		if errors.Is(err, ErrNoLedger) {
			return nil
		}
		return err
	}
	if err := assertVersion(); err != nil {
		return err
	}
	lock, err := d.lock()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	old, err := d.fold(ctx, now)
	if err != nil {
		return err
	}
	next := d.file() + ".new"
	if err := d.makeNext(ctx, next, old, now); err != nil {
		return err
	}
	name := fmt.Sprintf("%s.%s.aside", d.file(), now.UTC().Format("20060102T150405.000"))
	return failed("put the ledger aside", d.exchange(next, name))
}

// Carried is the command of the run that holds what the ledgers before this one used.
const Carried = "before"

// carriedDays is how far back use is carried over: two billing cycles.
const carriedDays = 62

// An estate is what one ledger leaves to the next.
type estate struct {
	switched time.Time
	used     []dayCount
}

type dayCount struct {
	day, op string
	n       int64
}

func scanDayCount(r row) (c dayCount, err error) { return c, r.Scan(&c.day, &c.op, &c.n) }

// fold moves the WAL into the one file, and says what the ledger leaves.
func (d folder) fold(ctx context.Context, now time.Time) (left estate, err error) {
	s, err := openSession(ctx, d.file())
	if err != nil {
		return left, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	steps, err := fs.Glob(embedded(), "*.sql")
	if err != nil {
		return left, fmt.Errorf("open ledger: %w", err)
	}
	have, err := userVersion(ctx, s.conn)
	if err != nil {
		return left, err
	}
	if have > len(steps) {
		return left, fmt.Errorf("open ledger: %w: its version is %d, this program knows %d", ErrNewer, have, len(steps))
	}
	var id Identity
	if err := readMeta(ctx, s.conn, metaIdentity, &id); err != nil {
		return left, err
	}
	left.switched = id.SwitchedAt
	left.used, err = collect(ctx, s.conn, "SELECT day, op, sum(count) FROM usage WHERE day > ? GROUP BY day, op",
		scanDayCount, []any{date(now.AddDate(0, 0, -carriedDays))})
	if err != nil {
		return left, failed("put the ledger aside", err)
	}
	return left, s.foldWAL(ctx)
}

// inherit writes down what the ledger before used, as one run that is over.
func (s *session) inherit(used []dayCount, now time.Time) error {
	if len(used) == 0 {
		return nil
	}
	if err := s.exec("INSERT INTO run (command, began_ns, ended_ns) VALUES (?, ?, ?)", Carried, nanos(now), nanos(now)); err != nil {
		return err
	}
	for _, c := range used {
		if err := s.exec("INSERT INTO usage (run, day, op, count) VALUES ((SELECT max(id) FROM run), ?, ?, ?)", c.day, c.op, c.n); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) foldWAL(ctx context.Context) error {
	var busy, log, done int
	if err := s.conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &log, &done); err != nil {
		return failed("put the ledger aside", err)
	}
	if busy != 0 {
		return fmt.Errorf("put the ledger aside: another process reads it: %w", ErrLocked)
	}
	return nil
}

// makeNext makes the ledger that will take the place, whole in one file.
func (d folder) makeNext(ctx context.Context, name string, left estate, now time.Time) (err error) {
	if err := remove(name, name+"-wal", name+"-shm"); err != nil { // a killed run's
		return failed("make ledger", err)
	}
	f, err := createPrivate(name)
	if err != nil {
		return failed("make ledger", err)
	}
	if err := f.Close(); err != nil {
		return failed("make ledger", err)
	}
	s, err := openSession(ctx, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := migrate(ctx, s.conn, d, embedded()); err != nil {
		return err
	}
	var id Identity
	if err := readMeta(ctx, s.conn, metaIdentity, &id); err != nil {
		return err
	}
	id.SwitchedAt = left.switched
	if err := errors.Join(s.setJSON(metaIdentity, id), s.inherit(left.used, now)); err != nil {
		return failed("make ledger", err)
	}
	return s.foldWAL(ctx)
}

// exchange gives the ledger a second name and then its first one to the next. A kill
// in between leaves the second name behind; the next exchange removes it.
func (d folder) exchange(next, aside string) error {
	if err := d.dropSecondNames(); err != nil {
		return err
	}
	// The WAL is empty. It must not be taken for the next one's.
	if err := remove(d.file()+"-wal", d.file()+"-shm"); err != nil {
		return err
	}
	if err := os.Link(d.file(), aside); err != nil {
		return err
	}
	if err := syncDir(string(d)); err != nil {
		return err
	}
	if err := os.Rename(next, d.file()); err != nil {
		return err
	}
	return syncDir(string(d))
}

func (d folder) dropSecondNames() error {
	ours, err := os.Lstat(d.file())
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(string(d))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".aside") {
			continue
		}
		info, err := e.Info()
		if err == nil && os.SameFile(ours, info) {
			err = os.Remove(filepath.Join(string(d), e.Name()))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func remove(names ...string) error {
	for _, name := range names {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// AllNew passes files on as a ledger without objects would.
func AllNew(files iter.Seq2[media.File, error]) iter.Seq2[Candidate, error] {
	return func(yield func(Candidate, error) bool) {
		for f, err := range files {
			if !yield(Candidate{File: f, State: New}, err) {
				return
			}
		}
	}
}

// Valid reports whether k is one of the kinds.
func (k Kind) Valid() bool {
	switch k {
	case HeldBack, Exposed, Failed, Conflict, Changed, Left, Vanished, Outside, Unreadable, Link, Special:
		return true
	}
	return false
}

// String is a phrase for people.
func (o Origin) String() string {
	if o == Put {
		return "sent by mediamove"
	}
	return "adopted: it was there with our bytes"
}
