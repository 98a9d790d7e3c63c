package cleanup

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// A Lister lists the bucket.
type Lister interface {
	List(ctx context.Context, prefix string) iter.Seq2[r2.Object, error]
}

// An Instance is Mastodon's database, on the primary.
type Instance interface {
	Rows(ctx context.Context, ids map[media.Class][]int64) (mastodon.Rows, error)
	Counts(ctx context.Context) (map[string]int64, error)
	Newest(ctx context.Context) (time.Time, error)
}

// ErrRows says that the database did not answer in full. Nothing may be concluded.
var ErrRows = errors.New("the rows could not be read")

// Marks remember sightings.
type Marks interface {
	AddSuspects(ctx context.Context, run int64, at time.Time, s []ledger.Suspect) error
	Known(ctx context.Context, keys []media.Key) (map[media.Key]string, error)
	Control(ctx context.Context, before time.Time) (run int64, keys []media.Key, err error)
}

// A Survey is how a bucket is scanned.
type Survey struct {
	Bucket   Lister
	Instance Instance
	Marks    Marks
	Classes  []media.Class // that the database has a table for; nil: all
	Run      int64
	Now      func() time.Time // the server's clock
	// Clearings, if set, tells which orphans a prune that was stopped has left.
	Clearings Clearings
	// Cache, if set, gathers what prune may clear, from the same listing.
	Cache watcher
	// Each, if set, is told every object of the listing, in its order.
	Each func(ctx context.Context, o r2.Object) error

	begun  begun
	listed atomic.Int64
	held   marks
}

// A watcher sees every page after it was judged, and is told when that was the last.
type watcher interface {
	begin()
	page(ctx context.Context, all []judged) error
	end(ctx context.Context) error
}

// Page is how many objects are judged together: some pages of the listing. A question to
// the database costs as much as a thousand of its rows, and memory grows with the page.
const page = 4000

// askers ask the database side by side: while one waits for an answer, the other judges.
const askers = 2

// Listed is how many objects were judged so far.
func (s *Survey) Listed() int64 { return s.listed.Load() }

// Scan lists the bucket once (one Class A per 1,000 objects), asks the database for
// the rows of every page after the page was listed, and marks what nobody owns. An error
// anywhere makes the whole scan worth nothing but its marks; then nothing may be deleted.
func (s *Survey) Scan(ctx context.Context) (*Scan, error) {
	at := s.Now()
	s.held = marks{}
	control, err := s.control(ctx, at)
	if err != nil {
		return nil, err
	}
	if s.begun, err = findBegun(ctx, s.Clearings); err != nil {
		return nil, err
	}
	if s.Cache != nil {
		s.Cache.begin()
	}
	t := &tally{
		scan: &Scan{Run: s.Run, At: at, Control: Control{Run: control.run, Known: int64(len(control.keys))}}, control: control.keys,
		totals: map[Group]*Sum{}, classes: map[media.Class]*Sum{}, owners: map[Holding]*Sum{}, sample: newSample(at),
	}
	pages := make(chan []r2.Object)
	group, inner := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(pages)
		return s.list(inner, pages)
	})
	for range askers {
		group.Go(func() error {
			for objects := range pages {
				if err := s.page(inner, objects, t); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if s.Cache != nil {
		if err := s.Cache.end(ctx); err != nil {
			return nil, err
		}
	}
	if err := s.mark(ctx, t, s.held.rest()); err != nil {
		return nil, err
	}
	return t.finish(ctx, s.Instance)
}

type controlSet struct {
	run  int64
	keys map[media.Key]struct{}
}

// control loads the keys that an earlier run knew as owned.
func (s *Survey) control(ctx context.Context, now time.Time) (controlSet, error) {
	run, keys, err := s.Marks.Control(ctx, now.Add(-SightingGap))
	set := controlSet{run, make(map[media.Key]struct{}, len(keys))}
	for _, k := range keys {
		set.keys[k] = struct{}{}
	}
	return set, err
}

func (s *Survey) list(ctx context.Context, pages chan<- []r2.Object) error {
	batch := make([]r2.Object, 0, page)
	send := func() error {
		select {
		case pages <- batch:
			batch = make([]r2.Object, 0, page)
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	for o, err := range s.Bucket.List(ctx, "") {
		if err != nil {
			return fmt.Errorf("list the bucket: %w", err)
		}
		if s.Each != nil {
			if err := s.Each(ctx, o); err != nil {
				return err
			}
		}
		if batch = append(batch, o); len(batch) == page {
			if err := send(); err != nil {
				return err
			}
		}
	}
	if len(batch) > 0 {
		return send()
	}
	return nil
}

// ids leaves out classes without a table: the database must not be asked for those, and
// a single such object must not end every scan.
func (s *Survey) ids(places []place) map[media.Class][]int64 {
	ids := idsAt(places)
	maps.DeleteFunc(ids, func(c media.Class, _ []int64) bool { return s.Classes != nil && !slices.Contains(s.Classes, c) })
	return ids
}

func (s *Survey) page(ctx context.Context, objects []r2.Object, t *tally) error {
	places := locate(objects)
	rows, err := s.Instance.Rows(ctx, s.ids(places))
	if err != nil {
		return fmt.Errorf("%w of %d objects: %w", ErrRows, len(objects), err)
	}
	var suspects []ledger.Suspect
	var near *media.Row
	all := make([]judged, len(objects))
	for i, o := range objects {
		all[i] = judgeAt(o, &places[i], rows, near)
		near = all[i].row
		if all[i].kind == ledger.Orphan {
			if all[i].pruned, err = s.begun.has(ctx, places[i].path); err != nil {
				return err
			}
		}
		if all[i].kind != "" {
			suspects = append(suspects, ledger.Suspect{
				Key: o.Key, Kind: all[i].kind, Reason: all[i].reason, Size: o.Size, ETag: o.ETag, Modified: o.LastModified,
			})
		}
	}
	if err := s.newest(ctx, all, t); err != nil {
		return err
	}
	if s.Cache != nil {
		if err := s.Cache.page(ctx, all); err != nil {
			return err
		}
	}
	t.add(all)
	s.listed.Add(int64(len(objects)))
	return s.mark(ctx, t, s.held.add(suspects))
}

// mark writes sightings down.
func (s *Survey) mark(ctx context.Context, t *tally, suspects []ledger.Suspect) error {
	if len(suspects) == 0 {
		return nil
	}
	return s.Marks.AddSuspects(ctx, s.Run, t.scan.At, suspects)
}

// newest finds what Mastodon wrote last. The ledger knows what mediamove wrote; it is
// asked for the youngest first, and only as long as they can count.
func (s *Survey) newest(ctx context.Context, all []judged, t *tally) error {
	since := t.oldestRecent()
	var young []*judged
	for i := range all {
		if o := &all[i].object; o.LastModified.After(since) && !o.Key.Reserved() && !all[i].pruned {
			young = append(young, &all[i])
		}
	}
	slices.SortFunc(young, func(a, b *judged) int { return b.object.LastModified.Compare(a.object.LastModified) })
	counted := 0
	first := min(RecentSize, len(young))
	for _, chunk := range [][]*judged{young[:first], young[first:]} { // mostly the first will do
		if len(chunk) == 0 || counted >= RecentSize {
			break
		}
		keys := make([]media.Key, len(chunk))
		for i, j := range chunk {
			keys[i] = j.object.Key
		}
		ours, err := s.Marks.Known(ctx, keys)
		if err != nil {
			return err
		}
		for _, j := range chunk {
			if etag, known := ours[j.object.Key]; !known || etag != j.object.ETag {
				counted += t.sawForeign(j)
			}
		}
	}
	return nil
}

// A Group is what totals are printed by.
type Group struct {
	Kind   ledger.SuspectKind // "": somebody owns them
	Prefix string             // such as cache/media_attachments/files; "" for foreign keys
	Reason string
}

// A Holding is what one owner has of one class.
type Holding struct {
	Class media.Class
	Owner string // "local", "remote", or the kind of what nobody owns
}

func ownerOf(j *judged) string {
	switch {
	case j.kind != "":
		return string(j.kind)
	case j.row != nil && j.row.Remote:
		return "remote"
	}
	return "local"
}

// A Sum adds up objects.
type Sum struct{ Objects, Bytes int64 }

func (s *Sum) add(bytes int64) { s.Objects++; s.Bytes += bytes }

// A Scan is what one whole look at the bucket and the database found.
type Scan struct {
	Run     int64
	At      time.Time // when it began, by the server's clock
	All     Sum
	Owned   Sum
	Totals  map[Group]Sum
	Classes map[media.Class]Sum // all objects, owned or not
	Counts  map[string]int64    // rows by table
	// Holdings are all objects by class and by whose they are.
	Holdings map[Holding]Sum

	Newest        time.Time // newest snowflake in the database; zero if there is none
	NewestForeign time.Time // LastModified of what Mastodon wrote last; zero if nothing
	Recent        Recent
	Control       Control
	Sample        []media.Key // owned objects, to be the control of a later run
}

// Recent is what Mastodon wrote last, but not in the last hour, when rows may not be
// committed yet. A database that goes its own way since it was copied owns none of it.
type Recent struct {
	Objects, Unowned int64
	Example          media.Key // that nobody owns; "" if all are owned
}

// Control is the positive control: keys that an earlier run knew as owned, judged again
// by this scan like any other.
type Control struct {
	Run     int64 // that recorded them; 0: none is old enough
	Known   int64
	Listed  int64 // of these in today's listing
	Orphans int64 // of these not owned any more
	Example media.Key
}
