// Package ledger remembers, in one SQLite file, what has been moved and how
// that is known.
//
// # Layout
//
// The state folder (0700) holds three files of ours (0600) and SQLite's own:
//
//	ledger.db            the ledger; ledger.db-wal and ledger.db-shm belong to it
//	ledger.db.before-vN  a copy made before it was migrated to version N
//	lock                 held by the one writer; holds its process id
//
// The tables, exactly as migrations/*.sql makes them:
//
//	object    one row per key known to be in the bucket: the file as lstat saw
//	          it, MD5, SHA-256, ETag, part size, whose PUT it was, run and time
//	finding   one row per key that was not moved, or that a person should see
//	evidence  later proofs (read back) of single objects; rows are only ever added
//	pass      one row per whole listing: proof of every object it doesn't doubt
//	doubt     what verifies found wrong about a key, one row per unbroken row of runs
//	run       one row per run, with its end if it came to one
//	usage     requests by run, day (UTC) and operation
//	upload    multipart uploads that were begun and not ended
//	listed    what the bucket held when the ledger joined it; empty otherwise
//	suspect   objects that no row of Mastodon's owned when a scan last looked
//	scan      one row per whole scan
//	control   keys that a scan saw owned, to try later ones on
//	removal   the journal: what was to be removed, and what came of it; never dropped
//	clearing  the journal of rows that prune cleared, with what they said before; never dropped
//	bucket    what the bucket held, one row per day
//	plan      saved plans that were applied
//	meta      whose ledger it is, the last whole walk, the cleaning counter, how it was closed
//
// A [Scratch] is a file of its own beside them, without a name.
//
// Keys are BLOBs: a name may be any bytes. Times are nanoseconds since 1970,
// 0 for none. What is stored may grow in later versions and never changes its
// meaning. No secret is ever stored, but names of files are personal data.
//
// # Promises
//
//   - What [Ledger.Flush] or any other waiting method has acknowledged survives
//     a kill and, if the disk honours fsync, a power cut (WAL, synchronous=FULL).
//   - What [Ledger.Store] took and nobody flushed is durable within 50 ms or
//     so; a kill loses at most [GroupRows] rows, never half of one.
//   - After a failed commit nothing more is written: it is unknown what reached
//     the disk, and the next run asks the bucket.
//   - One process writes; any number read meanwhile, without waiting.
//   - Memory doesn't grow with the number of rows.
package ledger

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"log/slog"
)

// Options are what a writer may choose. The zero value will do.
type Options struct {
	Log    *slog.Logger // nil: discard
	statfs statfs       // tests: another file system
}

// A Ledger is one open ledger. It is safe for concurrent use. Opened by
// [OpenReader], its writing methods return [ErrReadOnly].
type Ledger struct {
	read    *sql.DB
	open    *sql.Stmt // for OpenClearing: a scan asks it for object after object
	write   *writer   // nil in a reader
	closers []io.Closer
}

// Open opens the ledger in the folder dir for writing, makes both if there
// are none, and migrates an older one. After an unclean end, and once a week,
// it is checked first, which takes seconds for a million rows.
//
// Errors to tell apart: [ErrLocked], [ErrNewer], [ErrCorrupt], [ErrFull],
// [*UnsafeFSError].
func Open(ctx context.Context, dir string, o Options) (*Ledger, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	l := &Ledger{}
	if err := l.openWriter(ctx, folder(dir), o); err != nil {
		return nil, errors.Join(err, l.release())
	}
	return l, nil
}

func (l *Ledger) openWriter(ctx context.Context, dir folder, o Options) error {
	if err := assertVersion(); err != nil {
		return err
	}
	if err := dir.prepare(o); err != nil {
		return err
	}
	lock, err := dir.lock()
	if err != nil {
		return err
	}
	l.closers = append(l.closers, lock)
	if err := dir.create(); err != nil {
		return err
	}
	s, err := openSession(ctx, dir.file())
	if err != nil {
		return err
	}
	l.closers = append(l.closers, s)
	if err := migrate(ctx, s.conn, dir, embedded()); err != nil {
		return err
	}
	if err := s.check(ctx, o.Log); err != nil {
		return err
	}
	if err := s.prepare(ctx); err != nil {
		return err
	}
	if err := l.openPool(dir, readerSettings); err != nil {
		return err
	}
	if err := l.prepare(ctx); err != nil {
		return err
	}
	l.write = startWriter(s)
	return nil
}

// OpenReader opens the ledger in dir for reading, also while another process
// writes. It returns [ErrNoLedger] if there is none.
func OpenReader(ctx context.Context, dir string) (*Ledger, error) {
	l := &Ledger{}
	if err := l.openReader(ctx, folder(dir)); err != nil {
		return nil, errors.Join(err, l.release())
	}
	return l, nil
}

func (l *Ledger) openReader(ctx context.Context, dir folder) error {
	if err := assertVersion(); err != nil {
		return err
	}
	if err := dir.exists(); err != nil {
		return err
	}
	if err := l.openPool(dir, dir.readerSettings()); err != nil {
		return err
	}
	if err := checkReadable(ctx, l.read); err != nil {
		return err
	}
	return l.prepare(ctx)
}

// openPool opens the readers. They can't write, whatever the query.
func (l *Ledger) openPool(dir folder, settings string) error {
	db, err := sql.Open(driverName, dsn(dir.file(), settings))
	if err != nil {
		return failed("open ledger", err)
	}
	db.SetMaxOpenConns(readers)
	db.SetMaxIdleConns(readers) // the default of 2 would reopen the file again and again
	l.read = db
	l.closers = append(l.closers, db)
	return nil
}

// prepare makes what is read once per object. The tables are of this version.
func (l *Ledger) prepare(ctx context.Context) error {
	stmt, err := l.read.PrepareContext(ctx, openClearingQuery) // release closes it
	if err != nil {
		return failed("open ledger", err)
	}
	l.open = stmt
	l.closers = append(l.closers, stmt)
	return nil
}

// Close writes what is queued, closes the ledger and gives up its lock. It
// returns the error that broke the ledger, if one did. Closing twice is safe.
func (l *Ledger) Close() error {
	var err error
	if l.write != nil {
		err = l.write.close()
	}
	return errors.Join(err, l.release())
}

// release closes in the reverse order of opening: the readers go before the
// writer, so that SQLite's last connection can tidy the WAL away, and the lock last.
func (l *Ledger) release() error {
	var errs []error
	for len(l.closers) > 0 {
		last := len(l.closers) - 1
		errs = append(errs, l.closers[last].Close())
		l.closers = l.closers[:last]
	}
	return errors.Join(errs...)
}
