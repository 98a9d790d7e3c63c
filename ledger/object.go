package ledger

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"time"

	"example.org/mediamove/media"
)

// Origin says who made the object.
type Origin uint8

// The origins. Their numbers are stored.
const (
	Put     Origin = iota // our own acknowledged PUT: may be replaced under the rules for rewrites
	Adopted               // found there with our bytes; never replaced
)

// An Entry is one object known to be in the bucket, and how it is known.
type Entry struct {
	File     media.File // as lstat saw it when its bytes were read
	MD5      [16]byte
	SHA256   [32]byte
	ETag     string // without quotes; hex, with -n after a multipart upload
	PartSize int64  // bytes; 0 for a single PUT
	Origin   Origin
	Untyped  bool // sent as application/octet-stream for want of a better type
	Run      int64
	At       time.Time // when the bucket acknowledged it
}

// Store records that e's object is in the bucket and drops what was found
// about its key. It returns before that is durable, see [Ledger.Flush], and
// waits while [GroupRows] rows are not. An error is [ErrBroken] and final, or
// comes from ctx.
func (l *Ledger) Store(ctx context.Context, e Entry) error {
	return l.queue(ctx, func(s *session) error { return s.storeEntry(&e) })
}

func (s *session) storeEntry(e *Entry) error {
	ctx := context.Background()
	if _, err := s.store.ExecContext(
		ctx,
		[]byte(e.File.Key), e.File.Size, e.File.ModTime.UnixNano(), int64(e.File.Inode), int64(e.File.Mode),
		e.MD5[:], e.SHA256[:], storedETag(e), e.PartSize, int64(e.Origin), e.Untyped, e.Run, nanos(e.At),
	); err != nil || !s.findings {
		return err
	}
	_, err := s.clear.ExecContext(ctx, []byte(e.File.Key))
	return err
}

// storedETag spares 32 bytes in most rows.
func storedETag(e *Entry) any {
	var plain [32]byte
	hex.Encode(plain[:], e.MD5[:])
	if e.ETag == string(plain[:]) {
		return nil
	}
	return e.ETag
}

// queue hands do to the writer.
func (l *Ledger) queue(ctx context.Context, do func(*session) error) error {
	if l.write == nil {
		return ErrReadOnly
	}
	return l.write.add(ctx, job{do: do})
}

// wait hands do to the writer and returns when it is durable.
func (l *Ledger) wait(ctx context.Context, do func(*session) error) error {
	if l.write == nil {
		return ErrReadOnly
	}
	return l.write.wait(ctx, do)
}

// Flush returns when everything handed over before it is durable.
func (l *Ledger) Flush(ctx context.Context) error { return l.wait(ctx, nil) }

const entryColumns = `key, size, mtime_ns, inode, mode, md5, sha256, etag, part_size, origin, untyped, run, at_ns`

// Entry returns the object recorded for k, or [ErrUnknown]. Like all reading
// methods it sees what is durable, not what is queued.
func (l *Ledger) Entry(ctx context.Context, k media.Key) (Entry, error) {
	return entry(l.read.QueryRowContext(ctx, "SELECT "+entryColumns+" FROM object WHERE key = ?", []byte(k)), k)
}

func entry(r *sql.Row, k media.Key) (Entry, error) {
	e, err := scanEntry(r)
	if errors.Is(err, sql.ErrNoRows) {
		return Entry{}, fmt.Errorf("object %q: %w", k, ErrUnknown)
	}
	return e, failed("read ledger", err)
}

func scanEntry(r row) (Entry, error) {
	var e Entry
	var key, md5, sha256 []byte
	var etag sql.NullString
	var mtime, inode, mode, at int64
	if err := r.Scan(
		&key, &e.File.Size, &mtime, &inode, &mode, &md5, &sha256, &etag,
		&e.PartSize, &e.Origin, &e.Untyped, &e.Run, &at,
	); err != nil {
		return Entry{}, err
	}
	e.File.Key = media.Key(key)
	e.File.ModTime = time.Unix(0, mtime)
	e.File.Inode = uint64(inode)
	e.File.Mode = fs.FileMode(mode)
	e.At = instant(at)
	copy(e.MD5[:], md5) // the schema checks the lengths
	copy(e.SHA256[:], sha256)
	e.ETag = etag.String
	if !etag.Valid {
		e.ETag = hex.EncodeToString(md5)
	}
	return e, nil
}

// Entries yields every object, ordered by the bytes of the key. Rows that
// change meanwhile may be seen in either state. An error is the last thing it
// yields.
func (l *Ledger) Entries(ctx context.Context) iter.Seq2[Entry, error] {
	return pages[Entry]{
		query: "SELECT " + entryColumns + " FROM object WHERE key > ? ORDER BY key LIMIT ?",
		scan:  scanEntry,
		key:   func(e Entry) media.Key { return e.File.Key },
	}.read(ctx, l.read)
}

// EntriesBelow yields the objects whose keys begin with folder and a slash,
// like [Ledger.Entries]. "0" is the byte after "/".
func (l *Ledger) EntriesBelow(ctx context.Context, folder string) iter.Seq2[Entry, error] {
	return pages[Entry]{
		query: "SELECT " + entryColumns + " FROM object WHERE key > ?1 AND key < ?3 ORDER BY key LIMIT ?2",
		scan:  scanEntry,
		key:   func(e Entry) media.Key { return e.File.Key },
		from:  media.Key(folder + "/"),
		args:  []any{[]byte(folder + "0")},
	}.read(ctx, l.read)
}

// Empty reports whether no object is recorded.
func (l *Ledger) Empty(ctx context.Context) (bool, error) {
	var some bool
	err := l.read.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM object)").Scan(&some)
	return !some, failed("read ledger", err)
}

// nanos is how times are stored. The times of files don't pass through it:
// theirs may be 1970-01-01, which is not "none".
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func instant(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}
