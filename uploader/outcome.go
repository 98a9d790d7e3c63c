package uploader

import (
	"context"
	"errors"
	"io/fs"
	"syscall"
	"time"

	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// A kind is what became of one file.
type kind uint8

const (
	moved kind = iota
	replaced
	known // present: proven earlier
	adopted
	heldBack
	changed
	vanished
	conflict
	left
	failed
	numKinds
)

// causeTwin groups files whose names are one object in R2.
const causeTwin = "twin: another name beside it is the same to R2 (Unicode NFC)"

// causeExposed groups files that were public before they were hidden on disk.
const causeExposed = "moved earlier, hidden on disk since"

// causeUnnamedSince groups files whose row went, or hid them, between two requests.
const causeUnnamedSince = "no row shows it since it was sent"

// An outcome is one file's end, as the ledger will remember it.
type outcome struct {
	kind   kind
	file   media.File
	entry  *ledger.Entry // the proof, for moved, replaced, adopted and renewed ones
	cause  string        // a short group name, for all others
	detail string

	removed bool // of a left one: a cleanup run removed its object
}

// findingKind names the list a file is noted in; "" for good ends.
func (o outcome) findingKind() ledger.Kind {
	switch o.kind {
	case heldBack:
		if o.cause == causeExposed || o.cause == causeUnnamedSince {
			return ledger.Exposed
		}
		return ledger.HeldBack
	case changed:
		return ledger.Changed
	case vanished:
		return ledger.Vanished
	case conflict:
		return ledger.Conflict
	case left:
		return ledger.Left
	case failed:
		return ledger.Failed
	}
	return ""
}

// record counts an outcome and hands it to the ledger. What is in the bucket is
// in the bucket, so it is written down even if the run was told to stop.
func (u *Uploader) record(ctx context.Context, o outcome) error {
	ctx = context.WithoutCancel(ctx)
	if o.entry != nil {
		if err := u.Journal.Store(ctx, *o.entry); err != nil {
			return err
		}
		if o.entry.Untyped && o.kind != known {
			u.untyped.Add(1)
		}
	}
	if o.removed {
		u.removed.Add(1)
	}
	if k := o.findingKind(); k != "" {
		f := ledger.Finding{Key: o.file.Key, Kind: k, Cause: o.cause, Detail: o.detail, Size: o.file.Size, Run: u.Policy.Run, At: time.Now()}
		if err := u.Journal.Note(ctx, f); err != nil {
			return err
		}
	}
	switch o.kind {
	case moved, replaced:
		u.bytesMoved.Add(o.file.Size)
	case adopted:
		u.bytesSaved.Add(o.file.Size)
	case failed, conflict, changed:
		u.Log.WarnContext(ctx, "not moved", "key", o.file.Key, "cause", o.cause, "detail", o.detail)
	}
	u.kinds[o.kind].Add(1)
	return nil
}

// cause groups errors by what a person would do about them.
func cause(err error) string {
	if _, ok := errors.AsType[*namedError](err); ok {
		return "the database could not be asked"
	}
	if e, ok := errors.AsType[*r2.Error](err); ok {
		return e.Cause()
	}
	switch {
	case errors.Is(err, errMoved):
		return "still being written"
	case errors.Is(err, fs.ErrPermission):
		return "permission denied on disk"
	case errors.Is(err, syscall.EIO):
		return "read error on disk"
	case errors.Is(err, syscall.ELOOP), errors.Is(err, syscall.EXDEV):
		return "a link on the way"
	}
	return "could not be read"
}
