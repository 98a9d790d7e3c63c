package uploader

import (
	"fmt"
	"time"

	"example.org/mediamove/ledger"
)

// A Policy is what a run may send. It is the same for a plan and for a sync.
//
// With [Options.Named] after the switch the database decides, and neither the age of a
// file, nor its mode, nor what the ledger says of its object: whatever is not present is
// sent if a row names it, and made only where nothing stands. Private classes never are.
// Before the switch a run with Named sends what it would send without, if it is named.
type Policy struct {
	Run int64 // the ledger's number of this run

	// Switched says that Mastodon writes to the bucket: what is missing there was
	// most likely deleted by its owner, and sending it would publish it again.
	Switched bool
	// LastWalk is when this ledger's last whole walk began; zero without one.
	LastWalk time.Time

	FreshFor time.Duration // a younger file may still be being written
	StillFor time.Duration // how long it must not change before it is taken

	named bool // the run has an [Options.Named]
}

// DefaultPolicy is the caution of the design: Paperclip moves files into place,
// and across file systems that is a copy which can be seen half done.
func DefaultPolicy(run int64) Policy {
	return Policy{Run: run, FreshFor: time.Minute, StillFor: 2 * time.Second}
}

// Rounds is how often a fresh file is looked at before the run gives up on it.
func (p Policy) Rounds() int { return 15 }

// A verdict is what the walk decides about a file without any request.
type verdict uint8

const (
	send    verdict = iota // not known: open, hash, put
	recheck                // known with another size, mtime or inode: read it and see
	present                // known and unchanged
	hold                   // must not be public
	expose                 // must not be public, but was moved earlier
	leave                  // removed by a cleanup run; or after the switch: history, unless a row names it
	adopt                  // after the switch, while joining: adopted if it is there, else left
)

// decide looks only at what lstat and the ledger said. Hidden is decided before
// anything opens the file.
func (p Policy) decide(c ledger.Candidate, joining bool) verdict {
	f := c.File
	switch {
	case f.Key.Private():
		return hold
	case p.byRows():
		return decideByRows(c)
	case f.Hidden() && public(c):
		return expose
	case f.Hidden():
		return hold
	case c.State == ledger.Removed: // nobody owns it: only undo puts it back
		return leave
	case c.State == ledger.Same:
		return present
	case c.State == ledger.Touched:
		return recheck
	case c.State == ledger.Lost && p.Switched: // deleted by its owner, most likely
		return leave
	case c.State == ledger.Lost:
		return send
	case p.Switched && joining: // adopts only, whatever the mtime
		return adopt
	case p.Switched && !p.newSince(f.ModTime):
		return leave
	}
	return send
}

// public reports whether an object of this key is in the bucket, as far as is known.
func public(c ledger.Candidate) bool {
	switch c.State {
	case ledger.New, ledger.Removed:
		return false
	case ledger.Lost:
		return c.Seen != ""
	}
	return true
}

// newSince reports whether a file appeared after this ledger had seen everything.
func (p Policy) newSince(mtime time.Time) bool {
	return !p.LastWalk.IsZero() && mtime.After(p.LastWalk)
}

// fresh reports whether a file may still be being written. A time in the future
// tells nothing, so it counts as fresh.
func (p Policy) fresh(mtime, now time.Time) bool {
	return mtime.After(now.Add(-p.FreshFor))
}

// leftOnDisk says in words why a file is not sent.
func (p Policy) leftOnDisk(c ledger.Candidate) outcome {
	o := outcome{kind: left, file: c.File}
	switch {
	case c.State == ledger.Removed:
		o.removed, o.cause = true, fmt.Sprintf("removed by cleanup run %d", c.RemovedBy)
		o.detail = fmt.Sprintf("mediamove undo %d puts back what it removed", c.RemovedBy)
	case c.State == ledger.Lost:
		o.cause = "after the switch: missing, or deleted by Mastodon"
	case p.LastWalk.IsZero():
		o.cause = "after the switch, and no whole walk before it"
	default:
		o.cause = "after the switch: older than the last whole walk of " + p.LastWalk.UTC().Format(time.RFC3339)
	}
	return o
}
