package uploader

import (
	"io/fs"
	"testing"
	"time"

	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

func TestDecide(t *testing.T) {
	t.Parallel()
	walk := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	older, newer := walk.Add(-time.Hour), walk.Add(time.Hour)
	const key, private = "accounts/avatars/000/000/001/original/a.png", "backups/dumps/000/000/001/original/a.zip"
	tests := []struct {
		name     string
		key      media.Key
		mode     uint32
		state    ledger.State
		seen     string
		mtime    time.Time
		switched bool
		noWalk   bool
		joining  bool
		want     verdict
	}{
		{name: "new", state: ledger.New, want: send},
		{name: "known", state: ledger.Same, want: present},
		{name: "touched", state: ledger.Touched, want: recheck},
		{name: "0640 is public", mode: 0o640, state: ledger.New, want: send},
		{name: "0604 is public", mode: 0o604, state: ledger.New, want: send},
		{name: "0600 is hidden", mode: 0o600, state: ledger.New, want: hold},
		{name: "0611 is hidden: execute is not read", mode: 0o611, state: ledger.New, want: hold},
		{name: "hidden after it was moved", mode: 0o600, state: ledger.Same, want: expose},
		{name: "hidden and changed after it was moved", mode: 0o600, state: ledger.Touched, want: expose},
		{name: "backups never", key: private, state: ledger.New, want: hold},
		{name: "backups never, whatever the ledger says", key: private, state: ledger.Same, want: hold},
		{name: "after the switch: old", switched: true, mtime: older, state: ledger.New, want: leave},
		{name: "after the switch: exactly at the walk's begin", switched: true, mtime: walk, state: ledger.New, want: leave},
		{name: "after the switch: new", switched: true, mtime: newer, state: ledger.New, want: send},
		{name: "after the switch without a walk: nothing is new", switched: true, noWalk: true, mtime: newer, state: ledger.New, want: leave},
		{name: "after the switch: known stays known", switched: true, mtime: older, state: ledger.Same, want: present},
		{name: "after the switch: hidden stays held", switched: true, mode: 0o600, mtime: newer, state: ledger.New, want: hold},
		{name: "after the switch, joining", switched: true, noWalk: true, joining: true, mtime: newer, state: ledger.New, want: adopt},
		{name: "joining before the switch", joining: true, state: ledger.New, want: send},
		{name: "missing in the bucket", state: ledger.Lost, want: send},
		{name: "missing in the bucket, joining", joining: true, state: ledger.Lost, want: send},
		{name: "missing in the bucket, hidden on disk", mode: 0o600, state: ledger.Lost, want: hold},
		{name: "different in the bucket", state: ledger.Lost, seen: "etag", want: send},
		{name: "different in the bucket, hidden on disk", mode: 0o600, state: ledger.Lost, seen: "etag", want: expose},
		{name: "missing in the bucket, private", key: private, state: ledger.Lost, want: hold},
		{name: "missing after the switch", switched: true, mtime: older, state: ledger.Lost, want: leave},
		{name: "missing after the switch, however new the file", switched: true, mtime: newer, state: ledger.Lost, want: leave},
		{name: "different after the switch", switched: true, mtime: newer, state: ledger.Lost, seen: "etag", want: leave},
		{name: "removed", state: ledger.Removed, mtime: newer, want: leave},
		{name: "removed, however new the file, after the switch", switched: true, mtime: newer, state: ledger.Removed, want: leave},
		{name: "removed, joining after the switch", switched: true, joining: true, mtime: newer, state: ledger.Removed, want: leave},
		{name: "removed, hidden on disk", mode: 0o600, state: ledger.Removed, want: hold},
		{name: "removed, private", key: private, state: ledger.Removed, want: hold},
		{name: "missing after the switch, joining", switched: true, joining: true, mtime: newer, state: ledger.Lost, want: leave},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := DefaultPolicy(1)
			p.Switched = tt.switched
			if !tt.noWalk {
				p.LastWalk = walk
			}
			c := ledger.Candidate{State: tt.state, Seen: tt.seen}
			c.File = media.File{Key: key, Mode: 0o644, ModTime: tt.mtime}
			if tt.key != "" {
				c.File.Key = tt.key
			}
			if tt.mode != 0 {
				c.File.Mode = fs.FileMode(tt.mode)
			}
			if got := p.decide(c, tt.joining); got != tt.want {
				t.Errorf("got verdict %d, want %d", got, tt.want)
			}
		})
	}
}

func TestFresh(t *testing.T) {
	t.Parallel()
	p, now := DefaultPolicy(1), time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for d, want := range map[time.Duration]bool{-time.Hour: false, -time.Minute: false, -59 * time.Second: true, 0: true, time.Hour: true} {
		if got := p.fresh(now.Add(d), now); got != want {
			t.Errorf("mtime %v from now: fresh %t", d, got)
		}
	}
}
