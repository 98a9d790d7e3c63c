// Package uploader moves files into the bucket, many at a time, and records each
// with the evidence that it arrived.
//
// The walk runs ahead and decides what needs no request: what the ledger knows,
// what must be held back, what is history. The rest waits in a spool until a
// worker opens the file, hashes what it read, sends it once under a condition
// that never overwrites, and hands the proof to the ledger. Uncertainty never
// overwrites: whatever does not fit is recorded as a finding and left alone.
package uploader

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// A Disk is the media root. Open never follows links and never blocks.
type Disk interface {
	Open(k media.Key) (*os.File, media.File, error)
	Stat(k media.Key) (media.File, error)
}

// A Bucket takes objects and says what it holds under a key.
type Bucket interface {
	Put(ctx context.Context, u r2.Upload) (r2.Stored, error)
	PutLarge(ctx context.Context, l r2.Large) (r2.Stored, error)
	Comparer
}

// A Comparer looks at one object, to find out whether it has our bytes.
type Comparer interface {
	Head(ctx context.Context, k media.Key) (r2.Head, error)
	Get(ctx context.Context, k media.Key) (io.ReadCloser, r2.Head, error)
}

// A Journal remembers outcomes.
type Journal interface {
	Store(ctx context.Context, e ledger.Entry) error
	Note(ctx context.Context, f ledger.Finding) error
	Entry(ctx context.Context, k media.Key) (ledger.Entry, error)
}

// A Parts journal remembers uploads in parts that are under way, so that a
// killed run's leftovers can be aborted by the next.
type Parts interface {
	AddUpload(ctx context.Context, u ledger.Upload) error
	RemoveUpload(ctx context.Context, id string) error
}

// A Listing is what the bucket held when this ledger joined it.
type Listing interface {
	Listed(ctx context.Context, k media.Key) (ledger.ListedObject, bool, error)
}

// Options configure an [Uploader]. Disk, Bucket, Journal and Parts are required.
type Options struct {
	Disk    Disk
	Bucket  Bucket
	Journal Journal
	Parts   Parts
	Listing Listing // nil unless this run adopts what others sent
	Retry   bool    // the files are earlier failures or lost ones, not a walk
	// Named, if not nil, says right before each request that would make an object
	// whether a row of the database names it and shows it: nil lets it go, an
	// [ErrUnnamed] leaves the file, any other error fails it. Its text groups files
	// that were left for one reason. Many workers ask at once. See [Policy] for what
	// changes with it.
	Named func(ctx context.Context, k media.Key) error
	// Gone are keys that earlier runs found deleted by somebody else between two
	// requests. There are next to none of them.
	Gone    map[media.Key]bool
	Policy  Policy
	Prefix  string // S3_KEY_PREFIX, with a slash at its end, or "": it counts for a key's length
	Log     *slog.Logger
	TempDir string        // where the spool may go; the state folder
	Workers int           // files in hand at once; 0 means 192
	Grace   time.Duration // time to finish what is in flight after ctx ends; 0 means 18 s, which with the time to abort uploads stays below 30 s
}

// Defaults of [Options].
const (
	DefaultWorkers = 192
	DefaultGrace   = 18 * time.Second
)

// bufferBudget bounds the bytes of file content in memory, whatever the number
// of workers.
const bufferBudget = 10 << 20

// ErrHiddenTree reports that most of the tree is unreadable for group and
// others: a umask, not a decision to hide.
var ErrHiddenTree = errors.New("more than half of the first files are unreadable for group and others")

// ErrDisk reports that the local disk fails to read.
var ErrDisk = errors.New("the local disk fails to read")

// An Uploader moves files. Use it for one Run.
type Uploader struct {
	Options
	counters

	hash     *hasher
	plainMD5 bool                    // tests in a bubble
	halt     context.CancelCauseFunc // lets nothing new begin; what was begun goes on
	buffers  *buffers
	bytes    *semaphore.Weighted
	queue    *spool
	settle   *spool // too fresh: looked at again at the end
	walk     walkState
}

// New returns an uploader for one run.
func New(o Options) *Uploader {
	if o.Workers <= 0 {
		o.Workers = DefaultWorkers
	}
	if o.Grace <= 0 {
		o.Grace = DefaultGrace
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Policy.named = o.Named != nil
	return &Uploader{
		Options: o,
		buffers: newBuffers(),
		bytes:   semaphore.NewWeighted(bufferBudget),
		queue:   newSpool(o.TempDir),
		settle:  newSpool(o.TempDir),
		walk:    walkState{tops: make(map[string]int64), gate: make(chan struct{})},
	}
}

// Run moves what files says is pending until it ends, ctx is cancelled, or
// something makes going on useless: credentials, the bucket, the ledger, a limit.
// A file that can't be moved is noted and passed over. After ctx ends nothing new
// is begun and what is in flight gets the grace period. Run returns the cause of
// a stop, nil when it decided about every file.
func (u *Uploader) Run(ctx context.Context, files iter.Seq2[ledger.Candidate, error]) (err error) {
	u.hash = newHasher(u.plainMD5)
	defer u.hash.close()
	defer func() { err = errors.Join(err, u.queue.close(), u.settle.close()) }()

	// Two contexts: ctx starts new work, work finishes what was begun.
	work, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	stopGrace := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(u.Grace)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel(context.Cause(ctx))
		case <-work.Done():
		}
	})
	defer stopGrace()

	intake, halt := context.WithCancelCause(ctx)
	defer halt(nil)
	u.halt = halt

	g, gctx := errgroup.WithContext(work)
	g.Go(func() error { return u.stopAt(u.take(intake, files)) })
	g.Go(func() error { return u.stopAt(u.drain(intake, gctx, u.queue)) })
	if err := g.Wait(); err != nil {
		return err
	}
	if intake.Err() == nil {
		if err := u.settled(intake, work); err != nil {
			return err
		}
	}
	return context.Cause(intake)
}

// stopAt lets nothing new begin after an error.
func (u *Uploader) stopAt(err error) error {
	if err != nil {
		u.halt(err)
	}
	return err
}

// drain hands queued files to the workers until the queue is finished or intake
// ends. Files that were begun are finished under work.
func (u *Uploader) drain(intake, work context.Context, queue *spool) error {
	select {
	case <-u.walk.gate:
	case <-intake.Done():
		return nil
	}
	g, gctx := errgroup.WithContext(work)
	g.SetLimit(u.Workers) // Go blocks when all are busy
	for {
		it, ok, err := queue.pop(intake)
		if err != nil {
			return errors.Join(err, g.Wait())
		}
		if !ok || gctx.Err() != nil {
			return g.Wait()
		}
		g.Go(func() error { return u.stopAt(u.move(gctx, it, true)) })
	}
}

// settled takes the files that were too fresh during the walk, once their size
// and mtime have stood still.
func (u *Uploader) settled(ctx, work context.Context) error {
	for range u.Policy.Rounds() {
		if u.settle.waiting == 0 {
			return nil
		}
		select {
		case <-time.After(u.Policy.StillFor):
		case <-ctx.Done():
			return nil
		}
		round := u.settle
		round.finish()
		u.settle = newSpool(u.TempDir)
		err := u.drainSettled(ctx, work, round)
		if err = errors.Join(err, round.close()); err != nil {
			return err
		}
	}
	return u.giveUpOn(ctx, u.settle)
}

func (u *Uploader) drainSettled(ctx, work context.Context, round *spool) error {
	g, gctx := errgroup.WithContext(work)
	g.SetLimit(u.Workers)
	for {
		it, ok, err := round.pop(ctx)
		if !ok || err != nil || gctx.Err() != nil {
			return errors.Join(err, g.Wait())
		}
		g.Go(func() error {
			now, err := u.Disk.Stat(it.file.Key)
			if err == nil && !now.SameStat(it.file) {
				it.file = now // still being written: another round
				return u.settle.push(it)
			}
			return u.stopAt(u.move(gctx, it, false))
		})
	}
}

// giveUpOn reports files that never stood still.
func (u *Uploader) giveUpOn(ctx context.Context, s *spool) error {
	s.finish()
	for {
		it, ok, err := s.pop(ctx)
		if !ok || err != nil {
			return err
		}
		o := outcome{kind: failed, file: it.file, cause: "still being written", detail: "size or mtime kept changing; the next run takes it"}
		if err := u.record(ctx, o); err != nil {
			return fmt.Errorf("note %s: %w", it.file.Key, err)
		}
	}
}
