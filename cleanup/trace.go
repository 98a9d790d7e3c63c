package cleanup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"syscall"
	"time"

	"example.org/mediamove/cleanup/trash"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

// A Cause is why an object is missing, as far as the ledger can tell.
type Cause string

// The causes, in the order in which they are looked for.
const (
	CauseWithdrawn Cause = "withdrawn while it was to be hidden"
	CauseRemoved   Cause = "removed by a cleanup run"
	CauseGone      Cause = "gone since we saw it"
	CauseHeld      Cause = "held back when it was moved"
	CauseFailed    Cause = "its upload failed"
	CauseLeft      Cause = "left behind at the switch"
	CauseSkipped   Cause = "seen on disk, and not moved"
	CauseMastodon  Cause = "written by Mastodon itself, and gone since"
	CauseNever     Cause = "never moved"
	CauseBefore    Cause = "gone before mediamove came"
	CauseUnknown   Cause = "not known to this ledger"
)

// A Source is where a missing object's bytes still are.
type Source string

// The sources, the best first.
const (
	OnDisk  Source = "disk"
	InTrash Source = "trash"
	// Unseen: the disk could not be looked at, or a copy that must still be kept lies in no
	// trash that was looked into.
	Unseen  Source = "unknown"
	Nowhere Source = "nothing"
)

// A Trace is what became of a missing object.
type Trace struct {
	Cause  Cause  `json:"cause"`
	Run    int64  `json:"run,omitempty"` // that removed it, or was the last to see it; 0: none
	Detail string `json:"detail,omitempty"`
	Source Source `json:"source"`
	Policy string `json:"policy,omitempty"` // of the cleanup run that removed it
	Copy   string `json:"copy,omitempty"`   // its name in that policy's trash
}

// A Lore is what the ledger knows of one key.
type Lore interface {
	Standing(ctx context.Context, k media.Key) (ledger.Standing, error)
	Evidence(ctx context.Context, k media.Key) ([]ledger.Evidence, error)
	Finding(ctx context.Context, k media.Key) (ledger.Finding, error)
}

// A RemovalLog is the journal of what was removed.
type RemovalLog interface {
	Removals(ctx context.Context, q ledger.RemovalQuery) iter.Seq2[ledger.Removal, error]
}

// A Disk is the media root.
type Disk interface {
	Stat(k media.Key) (media.File, error)
}

// A Tracer finds out what became of an object, and where it still is.
type Tracer struct {
	Lore    Lore
	Journal RemovalLog
	Disk    Disk                           // nil: none is named
	Copies  func(policy, name string) bool // whether a policy's trash still has a copy; nil: there is none
	Now     func() time.Time               // the server's clock, by which copies expire
	// SwitchedAt is when Mastodon began to write to the bucket; zero: it has not, or nobody knows.
	SwitchedAt time.Time
}

// Trace follows k, which row needs and the bucket does not have.
func (t *Tracer) Trace(ctx context.Context, k media.Key, row *media.Row) (Trace, error) {
	v := Trace{Source: Nowhere}
	removal, err := t.removal(ctx, k)
	if err != nil {
		return v, err
	}
	there, unseen := t.onDisk(k)
	switch {
	case there:
		v.Source = OnDisk
	case removal.Trash != "" && t.Copies != nil && t.Copies(removal.Policy, removal.Trash):
		v.Source = InTrash
	case unseen, t.mayBeKept(&removal):
		v.Source = Unseen
	}
	if removal.State == ledger.RemovalRemoved {
		v.Cause, v.Run, v.Detail, v.Policy, v.Copy = CauseRemoved, removal.Run, removal.Reason, removal.Policy, removal.Trash
		if removal.Policy == WithdrawPolicy {
			v.Cause = CauseWithdrawn
		}
		return v, nil
	}
	return v, t.remember(ctx, &v, k, row)
}

// onDisk reports whether the disk has a file of that name, or could not be looked at:
// what is not known to be there is not counted on, nor counted as lost.
func (t *Tracer) onDisk(k media.Key) (there, unseen bool) {
	if t.Disk == nil {
		return false, false
	}
	_, err := t.Disk.Stat(k)
	for _, none := range []error{fs.ErrNotExist, fs.ErrInvalid, syscall.ENOTDIR, syscall.ENAMETOOLONG} {
		if errors.Is(err, none) {
			return false, false
		}
	}
	return err == nil, err != nil
}

// mayBeKept reports whether a copy was made so lately that a trash still has it: in a
// folder of somebody's choice, or on a disk that is not mounted.
func (t *Tracer) mayBeKept(r *ledger.Removal) bool {
	keep := trash.DefaultKeep
	if r.Policy == WithdrawPolicy {
		keep = WithdrawKeep
	}
	return r.Trash != "" && t.Now != nil && r.Ended.Add(keep).After(t.Now())
}

// hides reports whether the disk hides what was withdrawn for that reason. One that can't
// be asked still hides what was withdrawn for its sake.
func (t *Tracer) hides(k media.Key, reason string) bool {
	if t.Disk == nil {
		return reason == HiddenOnDisk
	}
	f, err := t.Disk.Stat(k)
	return err == nil && f.Hidden() || err != nil && reason == HiddenOnDisk
}

// removal is the latest entry of the journal about k, if k is removed now.
func (t *Tracer) removal(ctx context.Context, k media.Key) (last ledger.Removal, err error) {
	for r, err := range t.Journal.Removals(ctx, ledger.RemovalQuery{Key: k}) {
		if err != nil {
			return last, fmt.Errorf("read the journal: %w", err)
		}
		last = r
	}
	if last.State != ledger.RemovalRemoved {
		return ledger.Removal{}, nil
	}
	return last, nil
}

// remember asks what syncs and verifies have noted.
func (t *Tracer) remember(ctx context.Context, v *Trace, k media.Key, row *media.Row) error {
	switch st, err := t.Lore.Standing(ctx, k); {
	case err == nil:
		v.Cause, v.Run = CauseGone, st.Seen
		proofs, err := t.Lore.Evidence(ctx, k)
		for _, p := range proofs {
			v.Run = max(v.Run, p.Run)
		}
		return err
	case !errors.Is(err, ledger.ErrUnknown):
		return err
	}
	f, err := t.Lore.Finding(ctx, k)
	switch {
	case err == nil:
		v.Cause, v.Run, v.Detail = causeOf(f.Kind), f.Run, f.Cause
	case !errors.Is(err, ledger.ErrUnknown):
		return err
	case t.mastodons(k, row):
		v.Cause = CauseMastodon
	case v.Source == OnDisk:
		v.Cause = CauseNever
	case t.Disk != nil && v.Source != Unseen:
		v.Cause = CauseBefore
	default:
		v.Cause = CauseUnknown
	}
	return nil
}

func causeOf(k ledger.Kind) Cause {
	switch k {
	case ledger.HeldBack, ledger.Exposed:
		return CauseHeld
	case ledger.Failed, ledger.Unreadable:
		return CauseFailed
	case ledger.Left:
		return CauseLeft
	}
	return CauseSkipped
}

// mastodons reports whether Mastodon wrote k into the bucket itself.
func (t *Tracer) mastodons(k media.Key, row *media.Row) bool {
	p, err := media.Parse(k)
	if err != nil || t.SwitchedAt.IsZero() {
		return false
	}
	for _, f := range row.Files {
		if f.Attachment == p.Attachment {
			return f.Updated.After(t.SwitchedAt)
		}
	}
	return false
}
