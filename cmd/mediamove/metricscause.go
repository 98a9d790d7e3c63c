package main

import (
	"errors"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/cleanup/trash"
	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/r2"
)

// A failureCause is why a step failed. There are few and they are fixed: an error's text
// would make a new series of every key.
type failureCause string

const (
	causeGuard       failureCause = "guard"       // a guard forbade every deletion
	causeCeiling     failureCause = "ceiling"     // more orphans than may go in one night
	causeLeft        failureCause = "left"        // ended in order, with something left: the target was not reached
	causeLimit       failureCause = "limit"       // --max-class-a
	causeBucket      failureCause = "bucket"      // it did not answer, or nonsense
	causeDatabase    failureCause = "database"    // its rows could not be read or written
	causeLedger      failureCause = "ledger"      // the state folder's disk
	causeTrash       failureCause = "trash"       // its folder or its disk
	causeSettings    failureCause = "settings"    // a person must change them
	causeLocked      failureCause = "locked"      // another run holds the lock
	causeInterrupted failureCause = "interrupted" // by a signal
	causeOther       failureCause = "other"
)

func failureCauses() []failureCause {
	return []failureCause{
		causeGuard, causeCeiling, causeLeft, causeLimit, causeBucket, causeDatabase, causeLedger, causeTrash,
		causeSettings, causeLocked, causeInterrupted, causeOther,
	}
}

// causeOf classifies an error. Of several that were joined the one counts that comes first
// here: what a person has to know before anything else.
func causeOf(err error) failureCause {
	_, stop := errors.AsType[*stopped](err)
	_, above := errors.AsType[*cleanup.AboveError](err)
	_, bin := errors.AsType[*trashFault](err)
	_, database := errors.AsType[*mastodon.DatabaseError](err)
	is := func(targets ...error) bool {
		for _, target := range targets {
			if errors.Is(err, target) {
				return true
			}
		}
		return false
	}
	switch {
	case above:
		return causeCeiling
	case isRefusal(err), is(cleanup.ErrCanary):
		return causeGuard
	case stop:
		return causeInterrupted
	case is(ledger.ErrLocked):
		return causeLocked
	case is(ledger.ErrBroken, errReadOnlyState):
		return causeLedger
	case bin, is(trash.ErrBroken, trash.ErrClash):
		return causeTrash
	case database, is(cleanup.ErrRows): // before the settings: a server that is down has the same look
		return causeDatabase
	case isUsage(err):
		return causeSettings
	case is(r2.ErrLimit):
		return causeLimit
	case is(r2.ErrOutage, r2.ErrNonsense, r2.ErrTransient, r2.ErrBadDigest, r2.ErrNoBatch):
		return causeBucket
	case quiet(err):
		return causeLeft
	}
	return causeOther
}
