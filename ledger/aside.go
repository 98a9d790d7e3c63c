package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"time"

	"example.org/mediamove/media"
)

// SetAside renames the ledger in dir, so that the next [Open] makes a new one.
// The old one stays beside it and can be put back by hand. A running writer keeps
// it from happening: [ErrLocked]. No ledger is fine.
func SetAside(ctx context.Context, dir string, now time.Time) error {
	if _, err := os.Stat(folder(dir).file()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	l, err := Open(ctx, dir, Options{})
	if err != nil {
		return err
	}
	// Closing moves everything into the one file; the rename follows at once.
	if err := l.Close(); err != nil {
		return err
	}
	old := folder(dir).file()
	name := fmt.Sprintf("%s.%s.aside", old, now.UTC().Format("20060102T150405.000"))
	if err := os.Rename(old, name); err != nil {
		return fmt.Errorf("put the ledger aside: %w", err)
	}
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Remove(old + suffix); err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("put the ledger aside: %w", err)
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
