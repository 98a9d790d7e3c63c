package ledger

import (
	"context"
	"errors"
	"time"

	"example.org/mediamove/media"
)

// A Rotation says how far reading everything back in turns has come.
type Rotation struct {
	Of    int       `json:"of"`    // turns; 0: none was begun
	Slot  int       `json:"slot"`  // the next one, from 0
	Began time.Time `json:"began"` // this turn; zero if it was not begun
	Run   int64     `json:"run"`   // the first run of this turn
}

// rotation is a row of meta for each way of going round.
func rotation(name string) string { return "rotation " + name }

// Rotation returns the rotation of that name, or a zero one.
func (l *Ledger) Rotation(ctx context.Context, name string) (Rotation, error) {
	var r Rotation
	if err := readMeta(ctx, l.read, rotation(name), &r); !errors.Is(err, ErrUnknown) {
		return r, err
	}
	return Rotation{}, nil
}

// SetRotation records r under its name and returns when that is durable.
func (l *Ledger) SetRotation(ctx context.Context, name string, r Rotation) error {
	return l.wait(ctx, func(s *session) error { return s.setJSON(rotation(name), r) })
}

// ReadSince reports whether run or a later one has read k back, and that still stands:
// it had the recorded ETag, and nothing was found against it since. Runs are in order
// even where the clock was not.
func (l *Ledger) ReadSince(ctx context.Context, k media.Key, run int64) (bool, error) {
	var read bool
	err := l.read.QueryRowContext(ctx,
		"SELECT EXISTS (SELECT 1 FROM evidence WHERE key = ? AND level = ? AND run >= ?)",
		[]byte(k), int64(ReadBack), run).Scan(&read)
	if err != nil || !read {
		return false, failed("read ledger", err)
	}
	st, err := l.Standing(ctx, k)
	if errors.Is(err, ErrUnknown) {
		return false, nil
	}
	return st.Level == ReadBack && st.Run >= run, err
}
