package verify

import (
	"context"
	"maps"
	"slices"
	"time"

	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

// A Class is where totals are kept: one of Mastodon's, local or below cache/.
type Class struct {
	Class  media.Class
	Cached bool
}

// ClassOf returns the class that k counts in.
func ClassOf(k media.Key) Class { return Class{k.Class(), k.Cached()} }

// A Report is what a run found.
type Report struct {
	Counts     Counts
	Classes    map[Class]Total // of what is the same
	Listed     int64           // objects in the bucket, mediamove's own left out
	Recorded   int64           // objects that should be there
	Unrecorded int64           // part of same: equal on disk and in the bucket, not in the ledger
	Gone       int64           // part of extra: deleted on disk since they were moved
	Strange    int64           // part of extra: nobody here has sent them
	Switched   bool
	WholeDisk  bool // the disk was compared and every folder read

	Listing bool     // the listing came to a good end
	Unknown []string // why something could not be told; none on a complete run
	Probes  int64    // missing ones that HEAD was asked about; all were really absent
	Asked   int64    // absent ones whose rows were asked for; 0 without [Options.Rows]

	Read    Reading
	Headers Look
	Public  Look
	Private Look // keys below backups/ and imports/, through the public host
	Began   time.Time
}

// A Reading says what was read back.
type Reading struct {
	Asked   string // "all", "sample", "rotation"; "" for none
	Objects int64  // read to their end
	Equal   int64
	Bytes   int64
	Sample  Sample
	Slot    int // of a rotation, from 1
	Of      int
	Resumed int64 // read by an earlier, interrupted run of the same part
}

// A Look says what a sample of requests showed.
type Look struct{ Asked, Fine int64 }

func newReport() Report { return Report{Classes: make(map[Class]Total)} }

// Of returns the count of one verdict.
func (r *Report) Of(v Verdict) int64 { return r.Counts[v] }

// Total adds up the classes: all that is the same.
func (r *Report) Total() (sum Total) {
	for _, t := range r.Classes {
		sum.Objects += t.Objects
		sum.Bytes += t.Bytes
	}
	return sum
}

// Differences counts what a person must look at. After the switch objects that
// nobody here knows are Mastodon's own, and so are those newer than our PUT.
func (r *Report) Differences() int64 {
	n := r.Counts[Missing] + r.Counts[Differs] + r.Counts[NeverUploaded] + r.Counts[ChangedOnDisk] +
		r.Counts[Exposed] + r.Counts[BadHeaders] + r.Counts[BadPublic]
	if !r.Switched {
		n += r.Counts[Extra]
	}
	return n
}

// Complete reports whether everything that was asked for was found out.
func (r *Report) Complete() bool { return r.Listing && len(r.Unknown) == 0 && r.Counts[Unread] == 0 }

// Report returns what was found so far.
func (v *Verifier) Report() Report {
	v.mu.Lock()
	defer v.mu.Unlock()
	r := v.report
	r.Classes, r.Unknown = maps.Clone(r.Classes), slices.Clone(r.Unknown)
	return r
}

// maxUnknown bounds the reasons that are kept; each is one line for a person.
const maxUnknown = 20

// unknown records why the run is incomplete.
func (v *Verifier) unknown(why string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch n := len(v.report.Unknown); {
	case n < maxUnknown:
		v.report.Unknown = append(v.report.Unknown, why)
	case n == maxUnknown:
		v.report.Unknown = append(v.report.Unknown, "… and more of this kind")
	}
}

// count books a verdict and keeps its doubt.
func (v *Verifier) count(ctx context.Context, t *triple, r ruling) error {
	size := t.size()
	v.mu.Lock()
	v.report.Counts[r.verdict]++
	switch {
	case r.verdict == Extra && r.cause == causeGone:
		v.report.Gone++
	case r.verdict == Extra && !t.hasEntry && !t.hasFile:
		v.report.Strange++
	}
	if r.verdict == Same {
		total := v.report.Classes[ClassOf(t.key)]
		total.add(size)
		v.report.Classes[ClassOf(t.key)] = total
		if t.hasEntry {
			v.strata.add(t.key, size)
		} else {
			v.report.Unrecorded++
		}
	}
	v.mu.Unlock()
	return v.note(ctx, t.key, r, ledger.ListedObject{Size: size, ETag: t.object.ETag})
}

// note hands a doubt to the ledger, unless the verdict is none or is normal.
func (v *Verifier) note(ctx context.Context, k media.Key, r ruling, seen ledger.ListedObject) error {
	word, ok := r.verdict.doubt()
	if r.as != "" {
		word, ok = r.as, true
	}
	if !ok || (r.verdict == Extra && v.Policy.Switched) {
		return nil
	}
	v.Log.DebugContext(ctx, "not the same", "key", k, "verdict", r.verdict.String(), "cause", r.cause, "detail", r.detail)
	return v.Notes.Doubt(ctx, ledger.Doubt{
		Key: k, Verdict: word, Cause: r.cause, Detail: r.detail, Size: seen.Size, ETag: seen.ETag, Run: v.Policy.Run, At: time.Now(),
	})
}

// recount moves a key that counted as the same to another verdict.
func (v *Verifier) recount(ctx context.Context, e *ledger.Entry, r ruling, seen string) error {
	v.mu.Lock()
	v.report.Counts[Same]--
	v.report.Counts[r.verdict]++
	total := v.report.Classes[ClassOf(e.File.Key)]
	total.Objects--
	total.Bytes -= e.File.Size
	v.report.Classes[ClassOf(e.File.Key)] = total
	v.mu.Unlock()
	return v.note(ctx, e.File.Key, r, ledger.ListedObject{Size: e.File.Size, ETag: seen})
}

// size is that of the object, else of what should be there.
func (t *triple) size() int64 {
	switch {
	case t.hasObject:
		return t.object.Size
	case t.hasEntry:
		return t.entry.File.Size
	}
	return t.file.Size
}
