package ledger

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/media"
)

// A Holder says whose an object is. The words are stored.
type Holder string

// The holders.
const (
	HeldLocal   Holder = "local"   // a row of this instance's own users, or of the site
	HeldRemote  Holder = "remote"  // a row about another server
	HeldOrphan  Holder = "orphan"  // no row owns it
	HeldUnknown Holder = "unknown" // not a key that Mastodon is known to write, or nobody could tell
)

// Valid reports whether h is one of the holders.
func (h Holder) Valid() bool {
	return h == HeldLocal || h == HeldRemote || h == HeldOrphan || h == HeldUnknown
}

// A BucketPart is one cell of what a bucket holds.
type BucketPart struct {
	Class media.Class
	Owner Holder
}

// A BucketDay is what the bucket held on a day, as the last run of that day listed
// it. From one day to the next it grew by
//
//	b.Bytes - (a.Bytes - a.Removed.Bytes) + b.Before.Bytes
//
// if every run that removes anything records its day.
type BucketDay struct {
	Day     costs.Day
	Run     int64     // that listed it
	At      time.Time // when, by the server's clock; may be zero
	Objects int64
	Bytes   int64
	Parts   map[BucketPart]ClassSum // the same, by class and owner
	// Removed is what Run removed after it had listed: 0 while it has not, and a
	// run may record its day again. Before is the same of earlier runs of the
	// day; RecordBucket doesn't read it.
	Removed, Before ClassSum
}

// A bucketPart is a part as it is stored.
type bucketPart struct {
	Class   media.Class `json:"class"`
	Owner   Holder      `json:"owner"`
	Objects int64       `json:"objects"`
	Bytes   int64       `json:"bytes"`
}

const upsertBucketDay = `INSERT INTO bucket
	(day, run, at_ns, objects, bytes, parts, removed_objects, removed_bytes, before_objects, before_bytes)
	VALUES (?,?,?,?,?,?,?,?,0,0)
	ON CONFLICT (day) DO UPDATE SET
	before_objects = iif(run = excluded.run, before_objects, before_objects + removed_objects),
	before_bytes = iif(run = excluded.run, before_bytes, before_bytes + removed_bytes),
	run = excluded.run, at_ns = excluded.at_ns, objects = excluded.objects, bytes = excluded.bytes, parts = excluded.parts,
	removed_objects = excluded.removed_objects, removed_bytes = excluded.removed_bytes
	WHERE excluded.run >= run`

// RecordBucket records d, and returns when that is durable. There is one row per
// day: a later run's takes the place of an earlier one's, and what a run says last
// that of what it said before.
func (l *Ledger) RecordBucket(ctx context.Context, d BucketDay) error {
	if d.Run <= 0 {
		return fmt.Errorf("record bucket of %s: a run is needed", d.Day)
	}
	parts, err := d.encodeParts()
	if err != nil {
		return fmt.Errorf("record bucket of %s: %w", d.Day, err)
	}
	return l.wait(ctx, func(s *session) error {
		return s.exec(upsertBucketDay, d.Day.String(), d.Run, nanos(d.At), d.Objects, d.Bytes, parts,
			d.Removed.Objects, d.Removed.Bytes)
	})
}

// encodeParts is in one order, so that the same is stored the same.
func (d BucketDay) encodeParts() (string, error) {
	parts := make([]bucketPart, 0, len(d.Parts))
	for p, sum := range d.Parts {
		if !p.Owner.Valid() {
			return "", fmt.Errorf("no owner %q", p.Owner)
		}
		parts = append(parts, bucketPart{p.Class, p.Owner, sum.Objects, sum.Bytes})
	}
	slices.SortFunc(parts, func(a, b bucketPart) int {
		return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(a.Owner, b.Owner))
	})
	text, err := json.Marshal(parts)
	return string(text), err
}

// BucketDays returns the days from since on that have a row, in order. It grows
// with the number of days.
func (l *Ledger) BucketDays(ctx context.Context, since costs.Day) ([]BucketDay, error) {
	const query = `SELECT day, run, at_ns, objects, bytes, parts, removed_objects, removed_bytes, before_objects, before_bytes
		FROM bucket WHERE day >= ? ORDER BY day`
	days, err := collect(ctx, l.read, query, scanBucketDay, []any{since.String()})
	return days, failed("read ledger", err)
}

func scanBucketDay(r row) (BucketDay, error) {
	var d BucketDay
	var day, parts string
	var at int64
	if err := r.Scan(&day, &d.Run, &at, &d.Objects, &d.Bytes, &parts,
		&d.Removed.Objects, &d.Removed.Bytes, &d.Before.Objects, &d.Before.Bytes); err != nil {
		return d, err
	}
	d.At = instant(at)
	var err error
	if d.Day, err = costs.ParseDay(day); err != nil {
		return d, fmt.Errorf("%w: bucket of %s: %w", ErrCorrupt, day, err)
	}
	if d.Parts, err = decodeParts(parts); err != nil {
		return d, fmt.Errorf("%w: bucket of %s: %w", ErrCorrupt, day, err)
	}
	return d, nil
}

func decodeParts(text string) (map[BucketPart]ClassSum, error) {
	var stored []bucketPart
	if err := json.Unmarshal([]byte(text), &stored); err != nil {
		return nil, err
	}
	parts := make(map[BucketPart]ClassSum, len(stored))
	for _, p := range stored {
		parts[BucketPart{p.Class, p.Owner}] = ClassSum{p.Objects, p.Bytes}
	}
	return parts, nil
}
