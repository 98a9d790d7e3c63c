package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A folder is the state folder of one ledger.
type folder string

func (d folder) file() string { return filepath.Join(string(d), "ledger.db") }

// prepare makes the folder if there is none and refuses a file system that a
// ledger isn't safe on.
func (d folder) prepare(o Options) error {
	if err := d.mkdir(); err != nil {
		return failed("make state folder", err)
	}
	if err := d.safe(o.statfs); err != nil {
		return err
	}
	info, err := os.Stat(string(d))
	if err != nil {
		return failed("open state folder", err)
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		// Not ours to tighten: it may hold other things. The files in it are 0600.
		o.Log.Warn("others can look into the state folder; chmod 700 would stop that", "dir", string(d), "mode", perm.String())
	}
	return nil
}

func (d folder) mkdir() error {
	if _, err := os.Stat(string(d)); err == nil {
		return nil
	}
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return err
	}
	if err := os.Chmod(string(d), 0o700); err != nil { // whatever the umask took away
		return err
	}
	return syncDir(filepath.Dir(string(d)))
}

// create makes the empty ledger before SQLite would: SQLite asks for 0644 and
// gives its -wal and -shm the mode of the file it finds.
//
// An existing file is never opened here: closing any descriptor of it would
// drop the POSIX locks that this process holds on it through SQLite.
func (d folder) create() error {
	info, err := os.Lstat(d.file())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return d.createNew()
	case err != nil:
		return failed("open ledger", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("open ledger: %s is not a regular file", d.file())
	case info.Mode().Perm() != 0o600:
		if err := os.Chmod(d.file(), 0o600); err != nil {
			return failed("open ledger", err)
		}
	}
	return nil
}

func (d folder) createNew() error {
	f, err := createPrivate(d.file())
	if err != nil {
		return failed("make ledger", err)
	}
	if err := errors.Join(f.Close(), syncDir(string(d))); err != nil {
		return failed("make ledger", err)
	}
	return nil
}

// exists returns ErrNoLedger unless a ledger was made here.
func (d folder) exists() error {
	info, err := os.Stat(d.file())
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && info.Size() == 0:
		return fmt.Errorf("open ledger in %s: %w", string(d), ErrNoLedger)
	case err != nil:
		return failed("open ledger", err)
	}
	return nil
}

// readerSettings lets a reader do without the shared memory that it would
// have to make beside the ledger, where it can't (a read-only mount, a unit
// with ProtectSystem) and needn't: no WAL means that no writer is there.
func (d folder) readerSettings() string {
	wal, err := os.Stat(d.file() + "-wal")
	idle := errors.Is(err, fs.ErrNotExist) || err == nil && wal.Size() == 0
	if idle && errors.Is(unix.Access(string(d), unix.W_OK), unix.EROFS) {
		return readerSettings + "&immutable=1"
	}
	return readerSettings
}

// lock takes the folder for this process until the file is closed or the
// process dies. The file is never removed, or two could lock two of them.
func (d folder) lock() (*held, error) {
	name := filepath.Join(string(d), "lock")
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, failed("lock state folder (it must be writable)", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer func() { _ = f.Close() }() // only read
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w%s", name, ErrLocked, holder(name))
		}
		return nil, failed("lock "+name, err)
	}
	if err := sign(f); err != nil {
		return nil, errors.Join(failed("lock "+name, err), f.Close())
	}
	return &held{f}, nil
}

// held is the lock while we have it.
type held struct{ *os.File }

// Close unlocks first: a child process that another goroutine is just forking
// has the descriptor until it execs, and would keep the lock that long.
func (h *held) Close() error {
	return errors.Join(unix.Flock(int(h.Fd()), unix.LOCK_UN), h.File.Close())
}

// sign leaves our process id for whoever finds the folder locked.
func sign(f *os.File) error {
	if err := f.Chmod(0o600); err != nil {
		return err
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := fmt.Fprintln(f, os.Getpid())
	return err
}

// holder names the process that has the lock, if it has signed already.
func holder(name string) string {
	text, err := os.ReadFile(name)
	if pid := strings.TrimSpace(string(text)); err == nil && pid != "" {
		return " (process " + pid + ")"
	}
	return ""
}

// createPrivate makes a new file that nobody else can read, under any umask.
func createPrivate(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(0o600); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// syncDir makes the names in dir survive a power cut.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
