package cloudflare

import (
	"iter"
	"time"
)

// A State says how much of a day is known.
type State string

// The states of a [Day].
const (
	Complete State = "complete" // the whole day was answered
	Partial  State = "partial"  // there are figures, but not all
	Missing  State = "missing"  // there are none; that is not zero
)

// A Reason says why a day isn't [Complete].
type Reason string

// The reasons, of which a [Day] has the first that applies.
const (
	// TooOld: it is, or began, before what Cloudflare keeps (31 days).
	TooOld Reason = "no longer kept"
	// NotAnswered: the query for it failed or was not made any more.
	NotAnswered Reason = "not answered"
	// NotOver: it is not over, ended less than an hour ago, or lies ahead.
	NotOver Reason = "not over"
	// TooMany: even one hour has more rows than one answer holds.
	TooMany Reason = "too many rows"
	// NoRows: it was answered with nothing. Either nothing happened, or the bucket
	// did not exist yet, or Cloudflare has recorded nothing: they can't be told
	// apart.
	NoRows Reason = "no figures"
	// Gap: a bucket of the account that had figures on an earlier day has none. It
	// was deleted, or a figure is missing.
	Gap Reason = "no figures of one bucket"
)

// Sampling says whether figures were counted or extrapolated from a sample.
type Sampling uint8

// What is known about sampling.
const (
	SamplingUnknown Sampling = iota // the API doesn't tell
	Unsampled                       // every event was counted
	Sampled                         // estimates, which can differ from one query to the next
)

// with is what holds for two figures together.
func (s Sampling) with(t Sampling) Sampling {
	switch {
	case s == Sampled || t == Sampled:
		return Sampled
	case s == t:
		return s
	default:
		return SamplingUnknown
	}
}

// String returns "unknown", "no" or "yes".
func (s Sampling) String() string {
	switch s {
	case Unsampled:
		return "no"
	case Sampled:
		return "yes"
	default:
		return "unknown"
	}
}

// A Day is what is known of one day in UTC. Where Cloudflare's billing draws the
// line between days is not documented.
type Day struct {
	Date     time.Time // 00:00 UTC
	State    State
	Reason   Reason   // "" if Complete
	Sampling Sampling // of all its figures together
}

// A Coverage has every day that was asked about, in order.
type Coverage []Day

// Whole reports whether every day is complete and none is known to be sampled.
// Figures with any other coverage are to be called partial.
func (c Coverage) Whole() bool {
	for _, d := range c {
		if d.State != Complete || d.Sampling == Sampled {
			return false
		}
	}
	return true
}

// In yields the days in state s, in order.
func (c Coverage) In(s State) iter.Seq[Day] {
	return c.which(func(d Day) bool { return d.State == s })
}

// Sampled yields the days whose figures are estimates, in order.
func (c Coverage) Sampled() iter.Seq[Day] {
	return c.which(func(d Day) bool { return d.Sampling == Sampled })
}

func (c Coverage) which(is func(Day) bool) iter.Seq[Day] {
	return func(yield func(Day) bool) {
		for _, d := range c {
			if is(d) && !yield(d) {
				return
			}
		}
	}
}
