package verify

import "example.org/mediamove/ledger"

// A Verdict is what the sides together say about one key.
type Verdict uint8

// The verdicts.
const (
	Same          Verdict = iota
	Missing               // recorded, and not in the bucket
	Differs               // the bucket holds other bytes
	Rewritten             // after the switch: newer than our PUT, so Mastodon's own
	Removed               // recorded or on disk, and not in the bucket: a cleanup run removed it
	Deleted               // after the switch: recorded, not in the bucket, and no row names it
	Extra                 // in the bucket, and nobody here knows it; after the switch that is normal
	OtherHost             // the same, while several hosts write to the bucket
	NeverUploaded         // on disk, neither recorded nor in the bucket
	ChangedOnDisk         // the disk holds other bytes than were moved
	HeldBack              // not public on disk, and not in the bucket
	Exposed               // not public on disk, but in the bucket
	Unread                // reading it back failed, so nothing is known
	BadHeaders            // another Content-Type or Cache-Control than Mastodon writes
	BadPublic             // wrong through the public host
	numVerdicts
)

// String is the word for v in JSON, in the ledger and on screens.
func (v Verdict) String() string {
	return [numVerdicts]string{
		"same", "missing", "differs", "rewritten", "removed", "deleted", "extra", "other_host", "never_uploaded", "changed_on_disk",
		"held_back", "exposed", "unread", "headers", "public",
	}[v]
}

// doubt names what the ledger keeps about v; ok is false where it keeps nothing.
func (v Verdict) doubt() (d ledger.Verdict, ok bool) {
	switch v {
	case Same, Removed, OtherHost, HeldBack:
		return "", false
	}
	return ledger.Verdict(v.String()), true
}

// Counts says how many keys got each verdict.
type Counts [numVerdicts]int64

// A Total is a number of objects and their bytes.
type Total struct{ Objects, Bytes int64 }

func (t *Total) add(size int64) {
	t.Objects++
	t.Bytes += size
}
