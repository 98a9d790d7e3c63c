package uploader

import "sync/atomic"

// Files says what became of every regular file below a known class. Seen is the
// sum of all others.
type Files struct {
	Seen     int64 `json:"seen"`
	Moved    int64 `json:"moved"`     // sent by this run
	Replaced int64 `json:"replaced"`  // our own object, replaced after Mastodon transcoded the file
	Present  int64 `json:"present"`   // proven earlier, unchanged
	Adopted  int64 `json:"adopted"`   // found in the bucket with our bytes
	HeldBack int64 `json:"held_back"` // not public on disk: hidden mode, backups, imports
	Changed  int64 `json:"changed"`   // differs from what was moved; object left alone
	Vanished int64 `json:"vanished"`  // gone before it could be read
	Conflict int64 `json:"conflict"`  // the bucket holds other bytes under this key
	Left     int64 `json:"left"`      // not sent: after the switch, or removed by a cleanup run
	Failed   int64 `json:"failed"`
	Pending  int64 `json:"pending"` // not decided: a limit or an interruption
}

// Counts are all of a run's counters.
type Counts struct {
	Files
	Exposed    int64 // part of HeldBack: was moved before it was hidden
	Removed    int64 // part of Left: a cleanup run removed the object
	Untyped    int64 // part of those sent: as application/octet-stream
	Outside    int64 // files and folders not below a known class; not part of Seen
	Unreadable int64 // folders or entries that could not be read
	Links      int64 // symbolic links, never followed
	Special    int64 // FIFOs, sockets, devices
	BytesMoved int64 // bytes of moved and replaced files
	BytesSaved int64 // bytes of adopted files
}

// decided is the sum of all final outcomes.
func (c Files) decided() int64 {
	return c.Moved + c.Replaced + c.Present + c.Adopted + c.HeldBack + c.Changed +
		c.Vanished + c.Conflict + c.Left + c.Failed
}

// Stats is a snapshot for whoever draws the progress line.
type Stats struct {
	Counts
	ToSend      int64 // files that need a worker, as far as the walk has come
	ToSendBytes int64
	Done        int64 // of these, decided
	DoneBytes   int64 // bytes of these
	WalkDone    bool  // ToSend is final
}

type counters struct {
	seen, outside, exposed, removed, untyped, unreadable, links, special atomic.Int64
	kinds                                                                [numKinds]atomic.Int64
	bytesMoved, bytesSaved                                               atomic.Int64
	toSend, toSendBytes, done, doneBytes                                 atomic.Int64
	walkDone                                                             atomic.Bool
	readErrors                                                           atomic.Int64
}

// Stats may be called at any time.
func (c *counters) Stats() Stats {
	k := func(kind kind) int64 { return c.kinds[kind].Load() }
	n := Counts{
		Files: Files{
			Moved: k(moved), Replaced: k(replaced), Present: k(known), Adopted: k(adopted),
			HeldBack: k(heldBack), Changed: k(changed), Vanished: k(vanished), Conflict: k(conflict),
			Left: k(left), Failed: k(failed),
		},
		Outside: c.outside.Load(), Exposed: c.exposed.Load(), Removed: c.removed.Load(), Untyped: c.untyped.Load(),
		Unreadable: c.unreadable.Load(), Links: c.links.Load(), Special: c.special.Load(),
		BytesMoved: c.bytesMoved.Load(), BytesSaved: c.bytesSaved.Load(),
	}
	n.Seen = max(c.seen.Load(), n.decided())
	n.Pending = n.Seen - n.decided()
	return Stats{
		Counts: n,
		ToSend: c.toSend.Load(), ToSendBytes: c.toSendBytes.Load(),
		Done: c.done.Load(), DoneBytes: c.doneBytes.Load(), WalkDone: c.walkDone.Load(),
	}
}
