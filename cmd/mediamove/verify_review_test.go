package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A copy of the database's server has the identity that the bucket is bound to, and goes its
// own way: what people have deleted since, its rows still name. Nothing is sent by them.
func TestVerifyRepairByACopyOfTheDatabase(t *testing.T) {
	t.Parallel()
	l := newRecorded(t, 306)
	copied := l.copyOf("copied")
	l.posts(l.db, 1, time.Hour)
	l.later(4 * time.Hour)
	l.alive()
	l.posts(l.db, 5, time.Minute)
	deleted, id := l.lose()
	l.db.Exec(t, fmt.Sprintf("DELETE FROM media_attachments WHERE id = %d", id))
	l.instead(copied, func() {
		out := l.verify(exitStopped, "--repair", l.root)
		if _, there := l.bucket.Body(string(deleted)); there || out.Repaired != 0 || out.Complete || len(out.Unknown) != 1 || !strings.Contains(out.Unknown[0], "newest row") {
			t.Errorf("there %t, %+v", there, out)
		}
	})
	if out := l.verify(exitOK, "--repair", l.root); out.Deleted != int64(1+l.gone) {
		t.Errorf("%+v", out)
	}
}
