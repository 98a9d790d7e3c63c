package verify

import (
	"context"
	"io"
	"iter"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// A Bucket is looked at, never changed.
type Bucket interface {
	List(ctx context.Context, prefix string) iter.Seq2[r2.Object, error]
	Head(ctx context.Context, k media.Key) (r2.Head, error)
	Get(ctx context.Context, k media.Key) (io.ReadCloser, r2.Head, error)
}

// A Disk is the media root.
type Disk interface {
	Files(ctx context.Context) iter.Seq2[media.File, error]
	Open(k media.Key) (*os.File, media.File, error)
}

// Records are what should be in the bucket: the ledger, or a certificate's list.
type Records interface {
	Entries(ctx context.Context) iter.Seq2[ledger.Entry, error]                     // by the bytes of the key
	EntriesBelow(ctx context.Context, folder string) iter.Seq2[ledger.Entry, error] // the same, of one folder
}

// Remarks are what syncs found about files that they did not move.
type Remarks interface {
	Finding(ctx context.Context, k media.Key) (ledger.Finding, error)
	Findings(ctx context.Context, kinds ...ledger.Kind) iter.Seq2[ledger.Finding, error]
}

// Removals say which cleanup run removed an object, in any spelling of its key; a
// [ledger.ErrUnknown] if none did.
type Removals interface {
	RemovedBy(ctx context.Context, k media.Key) (run int64, err error)
}

// Rows are the instance's database: the classes that it has a table of, when its newest row
// was made, and rows as they are now, complete or an error. An id that is not in the answer
// has no row. Many ask at once.
type Rows interface {
	Classes() []media.Class
	Newest(ctx context.Context) (time.Time, error)
	Standing(ctx context.Context, ids map[media.Class][]int64) (map[media.Class]map[int64]mastodon.Standing, error)
}

// Notes take what is found.
type Notes interface {
	Doubt(ctx context.Context, d ledger.Doubt) error
	AddEvidence(ctx context.Context, e ledger.Evidence) error
	EndPass(ctx context.Context, p ledger.Pass) error
}

// Doubts say what this run has found so far.
type Doubts interface {
	DoubtAbout(ctx context.Context, k media.Key) (ledger.Doubt, error)
	Doubts(ctx context.Context, run int64, verdicts ...ledger.Verdict) iter.Seq2[ledger.Doubt, error]
	OpenDoubts(ctx context.Context, run int64) iter.Seq2[ledger.Doubt, error] // of earlier runs
}

// A Journal makes what was noted durable, or drops it.
type Journal interface {
	Flush(ctx context.Context) error
	ForgetDoubts(ctx context.Context, run int64) error
}

// A Scratch sorts more than memory holds.
type Scratch interface {
	Add(ctx context.Context, l ledger.Loose) error
	Sorted(ctx context.Context) iter.Seq2[ledger.Loose, error]
	Close() error
}

// Options configure a [Verifier]. What has no word beside it is required.
type Options struct {
	Bucket  Bucket
	Records Records
	Remarks Remarks
	Notes   Notes
	Doubts  Doubts
	Journal Journal
	Disk    Disk // nil: the disk is not compared
	// Removals is nil where nobody knows of any: then what they removed is missing.
	Removals Removals
	// Rows, after the switch, say which of the absent objects Mastodon has deleted. Nil:
	// nobody can tell, and all of them are missing. Pass them only if they are those of
	// the bucket's own database.
	Rows    Rows
	Scratch func(ctx context.Context) (Scratch, error)
	Policy  Policy
	Log     *slog.Logger
	Workers int           // objects read at once; 0 means 64
	Wait    time.Duration // before an object is read again after a failure; 0 means 1 s
}

// A Verifier compares once: first [Verifier.Compare], then whatever else is asked.
type Verifier struct {
	Options
	report Report // mu
	mu     sync.Mutex
	stats  struct {
		walked, listed, read, readBytes, toRead atomic.Int64
		phase                                   atomic.Int32
	}
	strata strata
	// read says whether this run has read an object back, and so seen its headers.
	read    func(k media.Key) bool
	noRows  atomic.Bool // the rows could not be had, or are not the live ones
	foreign time.Time   // mu; LastModified of what Mastodon wrote last
	live    sync.Once   // the database was held against that
	private Scratch     // keys below backups/ and imports/ that the listing shows
	buffers sync.Pool
}

// New returns a verifier for one run.
func New(o Options) *Verifier {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Workers <= 0 {
		o.Workers = 64
	}
	if o.Wait <= 0 {
		o.Wait = time.Second
	}
	report := newReport()
	report.Switched = o.Policy.Switched
	return &Verifier{
		Options: o, report: report, strata: make(strata),
		read:    func(media.Key) bool { return false },
		buffers: sync.Pool{New: func() any { return new([readBuffer]byte) }},
	}
}

// Close gives back what the run kept on disk.
func (v *Verifier) Close() error {
	if v.private == nil {
		return nil
	}
	return v.private.Close()
}

// A Phase is what a run is busy with.
type Phase int32

// The phases, in their order.
const (
	Walking Phase = iota
	Listing
	Fetching
	Looking // headers, and the public host
)

// Stats are the figures of the moment, for a progress line.
type Stats struct {
	Phase           Phase
	Walked, Listed  int64 // files on disk, objects in the bucket
	Read, ToRead    int64 // objects read back or looked at
	ReadBytes       int64
	Differences     int64 // so far
	CouldNotBeTold  int64 // so far
	DiskWasCompared bool
}

// Stats may be called at any time.
func (v *Verifier) Stats() Stats {
	v.mu.Lock()
	defer v.mu.Unlock()
	return Stats{
		Phase:  Phase(v.stats.phase.Load()),
		Walked: v.stats.walked.Load(), Listed: v.stats.listed.Load(),
		Read: v.stats.read.Load(), ToRead: v.stats.toRead.Load(), ReadBytes: v.stats.readBytes.Load(),
		Differences: v.report.Differences(), CouldNotBeTold: int64(len(v.report.Unknown)), DiskWasCompared: v.Disk != nil,
	}
}

// enter begins a phase.
func (v *Verifier) enter(p Phase) { v.stats.phase.Store(int32(p)) }
