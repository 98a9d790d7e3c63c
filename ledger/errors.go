package ledger

import (
	"errors"
	"fmt"
	"syscall"

	sqlite3 "github.com/mattn/go-sqlite3"
)

// What callers tell apart. ErrFull and ErrCorrupt are ErrBroken too.
var (
	ErrLocked   = errors.New("another run holds the lock")
	ErrNoLedger = errors.New("no ledger here")
	ErrNewer    = errors.New("the ledger was written by a newer mediamove")
	ErrReadOnly = errors.New("the ledger is open for reading only")
	ErrClosed   = errors.New("the ledger is closed")
	ErrUnknown  = errors.New("not in the ledger")
	ErrUsed     = errors.New("used already")
	ErrIntended = errors.New("intended already")

	// ErrBroken: a read or a commit failed, and what the disk holds is
	// unknown. The run must stop; the next one asks the bucket.
	ErrBroken = errors.New("the ledger failed: check the disk, then run again")
	// ErrFull: no room for the ledger (disk, quota or file size limit).
	ErrFull = fmt.Errorf("%w (no space left for it)", ErrBroken)
	// ErrCorrupt: the file is damaged or not a ledger.
	ErrCorrupt = fmt.Errorf("%w (the file is damaged: put it aside and rebuild it from the bucket)", ErrBroken)
)

// failed wraps an error into the sentinel that fits it. A cancelled context
// and what was wrapped before are passed on as they are.
func failed(what string, err error) error {
	if err == nil || errors.Is(err, ErrBroken) {
		return err
	}
	if kind := kindOf(err); kind != nil {
		return fmt.Errorf("%s: %w: %w", what, kind, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

func kindOf(err error) error {
	e, ok := errors.AsType[sqlite3.Error](err)
	switch {
	case full(err), full(e.SystemErrno), e.Code == sqlite3.ErrFull:
		return ErrFull
	case e.Code == sqlite3.ErrCorrupt, e.Code == sqlite3.ErrNotADB:
		return ErrCorrupt
	case !ok, e.Code == sqlite3.ErrInterrupt, e.Code == sqlite3.ErrConstraint:
		return nil
	default:
		return ErrBroken
	}
}

// full looks at the errno because SQLite calls only ENOSPC on write "full",
// and a quota, a file size limit or a full disk seen by fsync "I/O error".
func full(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}
