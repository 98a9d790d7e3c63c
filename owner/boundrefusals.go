package owner

import (
	"fmt"

	"example.org/mediamove/ledger"
)

// What keeps a run from cleaning. Each hint is for the person who reads it, and none
// of them is typed by a timer.

const takeOver = "if this is the one host that may clean from now on, type mediamove bind --take-over on it"

func neverBound() error {
	return &RefusedError{
		"the bucket is not bound to a database: nothing may be removed",
		"type mediamove bind: it shows what would be tied together, and asks",
	}
}

func otherDatabase() error {
	return &RefusedError{
		"this is not the database that the bucket is bound to: a restored, cloned or staging one, or PostgreSQL was upgraded",
		"check the DB_* settings; if this is the instance's own database now, type mediamove bind",
	}
}

func otherHost() error {
	return &RefusedError{
		"another host is bound to clean this bucket: this one is a copy of it, a second one, or a new one",
		takeOver,
	}
}

func otherCleaner() error {
	return &RefusedError{
		"another ledger is bound to clean this bucket: this one is new, or another state directory's",
		"check --state; " + takeOver,
	}
}

func lostCount(b *Binding, c ledger.Cleaning) error {
	return &RefusedError{
		fmt.Sprintf("the bucket counts %d cleaning runs, this ledger knows of %d, and they are not the same ones: a copy of this machine cleans too, or the ledger was restored from a backup", b.Count, c.Count),
		"stop the copy if there is one; " + takeOver,
	}
}

func (c *cleaner) heedless() error {
	return &RefusedError{
		fmt.Sprintf("the server at %s ignores If-Match: two hosts could clean at once", c.o.Endpoint),
		"use Cloudflare R2, or another server that honours conditional writes",
	}
}
