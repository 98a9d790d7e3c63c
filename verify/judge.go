package verify

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// A Policy is what the verdicts depend on beside the three sides.
type Policy struct {
	Run      int64
	Switched bool // Mastodon writes to the bucket: what is there and not recorded is its own
	Shared   bool // the owner mark names several ledgers
	// ClockAhead is the server's clock minus ours. It decides what is newer than
	// our PUT, whose time is by our clock.
	ClockAhead time.Duration
}

// clockSlack is how much later than our record of a PUT its object may seem to be.
const clockSlack = 5 * time.Second

// A triple is what the three sides have for one key.
type triple struct {
	key       media.Key
	hasObject bool
	object    r2.Object
	hasEntry  bool
	entry     ledger.Entry
	hasFile   bool
	file      media.File
	removedBy int64       // the cleanup run that removed it; asked for only where there is no object
	said      ledger.Kind // what the last sync said of the file, where that is all that is known of it
}

// A step is what must still be looked at before the verdict stands.
type step uint8

const (
	decided    step = iota
	readFile        // is the file still what was moved?
	hashFile        // the file and the object, of which nothing is recorded
	readObject      // the ETag does not tell
)

// A ruling is a verdict with its reason, or the step that leads to one.
type ruling struct {
	verdict Verdict
	cause   string // short and stable, to group by
	detail  string // of this one
	next    step
	as      ledger.Verdict // how the ledger notes it, if not by the verdict's own word
}

func rule(v Verdict, cause string) ruling { return ruling{verdict: v, cause: cause} }

// because is a ruling with the particulars of one key.
func because(v Verdict, cause, format string, args ...any) ruling {
	return ruling{verdict: v, cause: cause, detail: fmt.Sprintf(format, args...)}
}

// judge decides what can be told without opening anything. wholeDisk says that
// every folder was read, so that a file which was not seen is not there.
func (p *Policy) judge(t *triple, wholeDisk bool) ruling {
	switch {
	case t.hidden() && t.hasObject:
		return rule(Exposed, "not public on disk, but readable in the bucket")
	case t.hidden() && t.hasEntry:
		// As it should be; but no proof of the object stands any more.
		return ruling{verdict: HeldBack, cause: "hidden on disk since it was moved, and not in the bucket any more", as: ledger.Withdrawn}
	case t.hidden():
		return rule(HeldBack, "")
	case t.removedBy != 0: // and so there is no object
		return removed(t)
	case !t.hasObject && t.hasEntry:
		return rule(Missing, p.whyMissing(t, wholeDisk))
	case !t.hasObject:
		return rule(NeverUploaded, "on disk, and no sync has moved it")
	case t.hasEntry:
		return p.compare(t, wholeDisk)
	case t.hasFile:
		return p.unrecorded(t)
	}
	return p.unknown(t)
}

// removed decides about what a cleanup run removed, and nobody put back: as it should
// be. But no proof of the object stands any more.
func removed(t *triple) ruling {
	r := ruling{verdict: Removed, cause: fmt.Sprintf("removed by cleanup run %d", t.removedBy)}
	if t.hasEntry {
		r.as = ledger.Withdrawn
	}
	return r
}

// unknown decides about an object that nobody here has a row or a file of.
func (p *Policy) unknown(t *triple) ruling {
	if t.key.Private() && !p.Switched {
		return rule(Exposed, "of a class that is never public, but readable in the bucket")
	}
	return p.extra(causeUnknown)
}

// causeUnknown groups objects that nobody here has sent.
const causeUnknown = "not recorded by this ledger"

// hidden is decided before anything else: R2 would publish it.
func (t *triple) hidden() bool {
	if !t.hasFile {
		return false
	}
	return t.key.Private() || t.said == ledger.HeldBack || t.said == ledger.Exposed || t.file.Hidden()
}

func (p *Policy) whyMissing(t *triple, wholeDisk bool) string {
	switch {
	case p.Switched:
		return "missing, or deleted by Mastodon"
	case wholeDisk && !t.hasFile:
		return "moved earlier, now neither in the bucket nor on disk"
	}
	return "moved earlier, not in the bucket now"
}

func (p *Policy) extra(cause string) ruling {
	switch {
	case p.Switched:
		return rule(Extra, "")
	case p.Shared:
		return rule(OtherHost, "")
	}
	return rule(Extra, cause)
}

// compare holds a recorded object against what the listing shows.
func (p *Policy) compare(t *triple, wholeDisk bool) ruling {
	same, certain := sameByListing(&t.entry, &t.object)
	switch {
	case !certain:
		return ruling{next: readObject}
	case !same && p.newer(t):
		return rule(Rewritten, "newer than our PUT, with other bytes")
	case t.entry.File.Size != t.object.Size:
		return because(Differs, "another size than was moved", "the bucket holds %d bytes, %d were moved", t.object.Size, t.entry.File.Size)
	case !same:
		return because(Differs, "another ETag than that of the bytes that were moved", "the bucket says %q, the ledger %q", t.object.ETag, t.entry.ETag)
	case !t.hasFile && wholeDisk && !p.Switched:
		// Its owner deleted it: not ours to keep, and public if it stays.
		return rule(Extra, causeGone)
	case t.said == ledger.Changed:
		return rule(ChangedOnDisk, "the last sync found other bytes on disk than were moved")
	case t.hasFile && t.said == "" && !t.file.SameStat(t.entry.File):
		return ruling{next: readFile}
	}
	return rule(Same, "")
}

// causeGone groups objects whose files were deleted on disk.
const causeGone = "gone from disk since it was moved"

// newer reports whether the object is younger than our acknowledged PUT, so that
// somebody else's bytes are to be expected.
func (p *Policy) newer(t *triple) bool {
	return p.Switched && t.object.LastModified.After(t.entry.At.Add(clockSlack+p.ClockAhead))
}

// unrecorded decides about a file and an object that the ledger has no row of.
func (p *Policy) unrecorded(t *triple) ruling {
	switch {
	case t.said == ledger.Conflict:
		return rule(Differs, "the last sync found other bytes in the bucket than on disk")
	case t.said != "" && p.Switched:
		return rule(Extra, "")
	case t.said != "":
		// Not another host's: this one has the file, and nobody has compared the two.
		return rule(Extra, "in the bucket, but no sync has proven that it has the file's bytes")
	case t.file.Size != t.object.Size:
		return because(Differs, "not in the ledger, and another size than on disk", "the bucket holds %d bytes, the disk %d", t.object.Size, t.file.Size)
	}
	return ruling{next: hashFile}
}

// sameByListing compares sizes and ETags. A plain ETag is the MD5 (R2: data model),
// one with a dash the MD5 of the parts' MD5s, which depends on how it was cut: two
// such that differ prove nothing, nor does any other form.
func sameByListing(e *ledger.Entry, o *r2.Object) (same, certain bool) {
	there := strings.ToLower(o.ETag)
	switch {
	case e.File.Size != o.Size:
		return false, true
	case there == strings.ToLower(e.ETag):
		return true, true
	case !plainETag(there):
		return false, false
	case e.MD5 != [16]byte{}:
		return there == hex.EncodeToString(e.MD5[:]), true
	}
	return false, plainETag(e.ETag)
}

// plainETag reports whether etag has the form of an MD5.
func plainETag(etag string) bool {
	_, err := hex.DecodeString(etag)
	return err == nil && len(etag) == 32
}
