package ledger

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"example.org/mediamove/media"
)

// A ListedObject is one object as a listing of the bucket shows it.
type ListedObject struct {
	Key  media.Key
	Size int64  // bytes
	ETag string // without quotes
	// LastModified is zero where it isn't kept, as by [Ledger.AddListed].
	LastModified time.Time
}

// A ListingState says how far a joining ledger came with listing its bucket.
type ListingState string

// The states. Their words are stored.
const (
	NoListing       ListingState = ""
	ListingBegun    ListingState = "begun" // killed half way: begin again
	ListingComplete ListingState = "complete"
)

const metaListing = "listing"

// listing is how the state is stored.
type listing struct {
	State ListingState `json:"state"`
	At    time.Time    `json:"at"` // of the state
}

// StartListing forgets an earlier listing. It returns when that is durable.
func (l *Ledger) StartListing(ctx context.Context) error {
	return l.wait(ctx, func(s *session) error {
		if err := s.exec("DELETE FROM listed"); err != nil {
			return err
		}
		return s.setJSON(metaListing, listing{ListingBegun, time.Now().UTC()})
	})
}

// AddListed adds objects to the listing. It returns when they are durable.
func (l *Ledger) AddListed(ctx context.Context, objs []ListedObject) error {
	return l.wait(ctx, func(s *session) error {
		for _, o := range objs {
			if err := s.exec("REPLACE INTO listed (key, size, etag) VALUES (?, ?, ?)", []byte(o.Key), o.Size, o.ETag); err != nil {
				return err
			}
		}
		return nil
	})
}

// EndListing marks the listing as complete: from now on a key that is not in it
// was not in the bucket. It returns when that is durable.
func (l *Ledger) EndListing(ctx context.Context) error {
	return l.wait(ctx, func(s *session) error { return s.setJSON(metaListing, listing{ListingComplete, time.Now().UTC()}) })
}

// DropListing forgets the listing once everything in it is decided.
func (l *Ledger) DropListing(ctx context.Context) error {
	state, _, err := l.ListingState(ctx)
	if err != nil || state == NoListing {
		return err
	}
	return l.wait(ctx, func(s *session) error {
		if err := s.exec("DELETE FROM listed"); err != nil {
			return err
		}
		return s.setJSON(metaListing, listing{})
	})
}

// ListingState says whether there is a listing to adopt from, and since when.
func (l *Ledger) ListingState(ctx context.Context) (ListingState, time.Time, error) {
	var state listing
	if err := readMeta(ctx, l.read, metaListing, &state); !errors.Is(err, ErrUnknown) {
		return state.State, state.At, err
	}
	return NoListing, time.Time{}, nil
}

// Listed returns what the listing shows under k. ok is false if it shows nothing.
func (l *Ledger) Listed(ctx context.Context, k media.Key) (o ListedObject, ok bool, err error) {
	o.Key = k
	err = l.read.QueryRowContext(ctx, "SELECT size, etag FROM listed WHERE key = ?", []byte(k)).Scan(&o.Size, &o.ETag)
	if errors.Is(err, sql.ErrNoRows) {
		return ListedObject{}, false, nil
	}
	return o, err == nil, failed("read ledger", err)
}
