package cloudflare

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// A Stored is the most that one bucket held in one storage class on one day. Each
// number is the highest of the day for itself, so that Bytes may be a little more
// than was ever there at once.
type Stored struct {
	Day          time.Time // 00:00 UTC
	Bucket       string    // with the jurisdiction before it, if any: "eu_media"
	StorageClass string    // such as [ClassStandard]; "" if it has none
	Payload      int64     // bytes of objects
	Metadata     int64     // bytes of their metadata
	Objects      int64
	Uploads      int64 // multipart uploads that aren't complete
}

// Bytes returns payload and metadata together. Whether R2 bills metadata is not
// documented; it is little.
func (s Stored) Bytes() int64 { return plus(s.Payload, s.Metadata) }

// Storage is what a bucket held, or all of them.
type Storage struct {
	Bucket   string // "" for all of the account
	Coverage Coverage
	Rows     []Stored // by day, bucket, class; none is named twice
}

// Storage asks what bucket ("" for all of the account; see [Place] for buckets in
// a jurisdiction) held on the days that have a part in [from, to), in UTC, at most
// 400. Days that can't be answered are in the coverage, not in the rows; that alone
// is no error. About sampling the API tells nothing here: a peak between two of its
// figures, which are some ten minutes apart, is not in them.
//
// Errors are [*Error], or about from and to; with one that is ErrPartial, what came
// is returned as well.
func (c *Client) Storage(ctx context.Context, bucket string, from, to time.Time) (Storage, error) {
	figures, coverage, err := c.collect(ctx, storage(), bucket, from, to)
	s := Storage{Bucket: bucket, Coverage: coverage}
	for k, v := range figures {
		s.Rows = append(s.Rows, Stored{
			Day: k.day, Bucket: k.bucket, StorageClass: k.class,
			Payload: v.payload, Metadata: v.metadata, Objects: v.objects, Uploads: v.uploads,
		})
	}
	slices.SortFunc(s.Rows, func(a, b Stored) int {
		return cmp.Or(a.Day.Compare(b.Day), cmp.Compare(a.Bucket, b.Bucket), cmp.Compare(a.StorageClass, b.StorageClass))
	})
	return s, err
}

// A Peak is the most that was stored on one day.
type Peak struct {
	Day     time.Time // 00:00 UTC
	Bytes   int64     // payload and metadata
	Objects int64
	Uploads int64
}

// Peaks adds up the buckets for each day that has rows, in order. With a class,
// such as [ClassStandard], only that: the classes have prices of their own; "" is
// all of them. As buckets may have had their peaks at different times, the sum is
// the most that it can have been.
func (s Storage) Peaks(class string) []Peak {
	var peaks []Peak
	for _, r := range s.Rows {
		if class != "" && r.StorageClass != class {
			continue
		}
		if n := len(peaks); n == 0 || !peaks[n-1].Day.Equal(r.Day) {
			peaks = append(peaks, Peak{Day: r.Day})
		}
		p := &peaks[len(peaks)-1]
		p.Bytes = plus(p.Bytes, r.Bytes())
		p.Objects = plus(p.Objects, r.Objects)
		p.Uploads = plus(p.Uploads, r.Uploads)
	}
	return peaks
}
