package cloudflare

import (
	"cmp"
	"context"
	"slices"
	"time"

	"example.org/mediamove/costs"
)

// How an operation ended, in Cloudflare's words. Others may come.
const (
	Success       = "success"
	UserError     = "userError" // 4xx
	InternalError = "internalError"
)

// The storage classes, in Cloudflare's words. Others may come.
const (
	ClassStandard         = "Standard"
	ClassInfrequentAccess = "InfrequentAccess"
)

// An Operation is how often one kind of operation was done on one day.
type Operation struct {
	Day           time.Time // 00:00 UTC
	Type          string    // Cloudflare's name, such as "PutObject"; new ones are kept
	Op            costs.Op  // what costs makes of Type; Unknown counts as Class A
	Status        string    // such as [Success]; "" if it has none
	StorageClass  string    // such as [ClassStandard]; "" if it has none
	Requests      int64
	ResponseBytes int64
	Sampling      Sampling
}

// Operations are what was done to a bucket, or to all.
type Operations struct {
	Bucket   string // "" for all of the account
	Coverage Coverage
	Rows     []Operation // by day, type, status, class; none is named twice
}

// Operations asks for the operations on bucket ("" for all of the account; see
// [Place] for buckets in a jurisdiction) on the days that have a part in [from, to),
// in UTC, at most 400. Days that can't be answered are in the coverage, not in the
// rows; that alone is no error.
//
// Errors are [*Error], or about from and to; with one that is ErrPartial, what came
// is returned as well.
// A day without rows is missing even if nothing was done on it: see [NoRows].
func (c *Client) Operations(ctx context.Context, bucket string, from, to time.Time) (Operations, error) {
	figures, coverage, err := c.collect(ctx, operations(), bucket, from, to)
	o := Operations{Bucket: bucket, Coverage: coverage}
	for k, v := range figures {
		op, _ := costs.ParseOp(k.action)
		o.Rows = append(o.Rows, Operation{
			Day: k.day, Type: k.action, Op: op, Status: k.status, StorageClass: k.class,
			Requests: v.requests, ResponseBytes: v.responseBytes, Sampling: v.sampling,
		})
	}
	slices.SortFunc(o.Rows, func(a, b Operation) int {
		return cmp.Or(a.Day.Compare(b.Day), cmp.Compare(a.Type, b.Type),
			cmp.Compare(a.Status, b.Status), cmp.Compare(a.StorageClass, b.StorageClass))
	})
	return o, err
}

// Usage adds up the requests of all days. Those that failed are in it: R2 bills
// some of them, and the analytics don't say which. Types that costs doesn't know
// are counted as [costs.Unknown].
func (o Operations) Usage() costs.Usage {
	var u costs.Usage
	for _, r := range o.Rows {
		u[r.Op] = plus(u[r.Op], r.Requests)
	}
	return u
}
