package uploader

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// A Tree is a media root that can be walked.
type Tree interface {
	Files(ctx context.Context) iter.Seq2[media.File, error]
	HoldsFile(ctx context.Context, top string) (bool, error)
}

// An EmptiedError reports a class folder that lost all its files since the last
// whole walk: more likely a disk that is not mounted than a decision.
type EmptiedError struct {
	Folder string // top folder
	Files  int64  // in the last whole walk
}

func (e *EmptiedError) Error() string {
	return fmt.Sprintf("folder %s held %d files in the last whole walk and holds none now", e.Folder, e.Files)
}

// manyFiles is how many files a folder must have held for its emptiness to stop a run.
const manyFiles = 100

// CheckEmptied compares the tree with the last whole walk before anything is
// sent. allowed names the folders whose emptiness a person has confirmed.
func CheckEmptied(ctx context.Context, t Tree, last ledger.Walk, allowed map[string]bool) error {
	for top, n := range last.Classes {
		if n < manyFiles || allowed[top] {
			continue
		}
		holds, err := t.HoldsFile(ctx, top)
		if err != nil {
			return fmt.Errorf("look into %s: %w", top, err)
		}
		if !holds {
			return &EmptiedError{top, n}
		}
	}
	return nil
}

// Again yields the files of earlier failures as they are now, so that they can
// be retried without a walk.
func Again(ctx context.Context, failures iter.Seq2[ledger.Finding, error], disk Disk) iter.Seq2[media.File, error] {
	return func(yield func(media.File, error) bool) {
		for f, err := range failures {
			if err != nil || ctx.Err() != nil {
				yield(media.File{}, errors.Join(err, context.Cause(ctx)))
				return
			}
			if f.Cause == causeTwin || media.CheckKey(string(f.Key)) != nil {
				continue // its name is the failure, and only a walk sees that it changed
			}
			file, err := disk.Stat(f.Key)
			if err != nil {
				// Passed on as it was: opening it will say what is wrong now.
				file = media.File{Key: f.Key, Size: f.Size, Mode: 0o644}
			}
			if !yield(file, nil) {
				return
			}
		}
	}
}

// Leftovers aborts the uploads in parts that an earlier run began and did not
// end, for instance because it was killed. Aborting is free.
func Leftovers(ctx context.Context, uploads []ledger.Upload, b Aborter, p Parts, log *slog.Logger) error {
	var failures []error
	for _, u := range uploads {
		if err := b.Abort(ctx, u.Key, u.ID); err != nil {
			err = fmt.Errorf("abort the upload of %s that an earlier run began: %w", u.Key, err)
			if r2.Stops(err) || ctx.Err() != nil {
				return err
			}
			failures = append(failures, err) // its id stays in the ledger, for the next run
			continue
		}
		if err := p.RemoveUpload(ctx, u.ID); err != nil {
			return err
		}
	}
	if len(failures) > 0 {
		log.WarnContext(ctx, "parts of earlier uploads could not be removed; R2 drops them after a week", "err", errors.Join(failures...))
	}
	return nil
}

// An Aborter aborts uploads in parts.
type Aborter interface {
	Abort(ctx context.Context, k media.Key, uploadID string) error
}

// A Lister lists a bucket.
type Lister interface {
	List(ctx context.Context, prefix string) iter.Seq2[r2.Object, error]
}

// A Shelf keeps a listing until the joining run has used it.
type Shelf interface {
	StartListing(ctx context.Context) error
	AddListed(ctx context.Context, objs []ledger.ListedObject) error
	EndListing(ctx context.Context) error
}

// Enlist lists the bucket once, one Class A per 1,000 keys, so that a joining
// run can adopt what is there without asking for each object.
func Enlist(ctx context.Context, b Lister, s Shelf) (n int64, err error) {
	if err := s.StartListing(ctx); err != nil {
		return 0, err
	}
	batch := make([]ledger.ListedObject, 0, 1000)
	for o, err := range b.List(ctx, "") {
		if err != nil {
			return n, fmt.Errorf("list the bucket: %w", err)
		}
		n++
		if batch = append(batch, ledger.ListedObject{Key: o.Key, Size: o.Size, ETag: o.ETag}); len(batch) == cap(batch) {
			if err := s.AddListed(ctx, batch); err != nil {
				return n, err
			}
			batch = batch[:0]
		}
	}
	if err := s.AddListed(ctx, batch); err != nil {
		return n, err
	}
	return n, s.EndListing(ctx)
}

// Today is the UTC day under which requests are booked.
func Today(now time.Time) string { return now.UTC().Format(time.DateOnly) }
