package main

import (
	"context"
	"encoding/json"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/ledger"
	"example.org/mediamove/owner"
	"example.org/mediamove/scanner"
	"example.org/mediamove/uploader"
)

// lookWith decides with a ledger.
func (s *planSetting) lookWith(ctx context.Context, led *ledger.Ledger, tree *scanner.Tree) (f foresight, err error) {
	id, err := led.Identity(ctx)
	if err != nil {
		return f, err
	}
	if err := s.readBooks(ctx, led, &f); err != nil {
		return f, err
	}
	if s.newBucket {
		// The new ledger knows nothing but the switch, and the account pays for what
		// the old one used.
		f.recorded = uploader.Totals{} // but the old bucket's bytes are stored until somebody empties it
		id.Joining = false
		c := s.claim(id, true)
		f.trust(c, s.join != "")
		f.Plan, err = uploader.MakePlan(ctx, ledger.AllNew(tree.Files(ctx)), s.policy(id, c))
		return f, err
	}
	last, err := led.LastWalk(ctx)
	if err != nil {
		return f, err
	}
	if err := uploader.CheckEmptied(ctx, tree, last, allowed(s.allowEmpty)); err != nil {
		return f, err
	}
	o, err := s.options(ctx, led, id, &f)
	if err != nil {
		return f, err
	}
	o.Disk, o.Policy.LastWalk = tree, last.Began
	f.Plan, err = uploader.MakePlan(ctx, led.Pending(ctx, tree.Files(ctx)), o)
	return f, err
}

// options are what a sync with this ledger would go by.
func (s *planSetting) options(ctx context.Context, led *ledger.Ledger, id ledger.Identity, f *foresight) (o uploader.PlanOptions, err error) {
	empty, err := led.Empty(ctx)
	if err != nil {
		return o, err
	}
	c := s.claim(id, empty)
	leftovers, err := led.Uploads(ctx)
	if err != nil {
		return o, err
	}
	// A sync begins by ending what a killed one has left in parts.
	c.requests[costs.AbortMultipartUpload] += int64(len(leftovers))
	o = s.policy(id, c)
	if o.Gone, err = uploader.GoneKeys(led.Findings(ctx, ledger.Conflict)); err != nil {
		return o, err
	}
	state, at, err := led.ListingState(ctx)
	if o.Joining && believed(state, at, s.now, s.join) {
		o.Listing = led
	}
	f.trust(c, o.Joining && o.Listing == nil)
	return o, err
}

// trust notes what can't be known. blind says that the ledger joins a bucket without
// knowing what is there.
func (f *foresight) trust(c claim, blind bool) {
	f.before = c.requests.A()
	if f.joining = blind; c.unproven {
		f.unsure = append(f.unsure, "an earlier run ended before the owner mark was proven: if the mark is there, sync sends 1 LIST and 1 PUT less")
	}
	if blind {
		f.unsure = append(f.unsure, "what the bucket holds is not known without a request: its listing comes on top, 1 Class A per 1,000 objects, and what it shows is not sent, so this is the most that files can take")
	}
}

// readBooks reads what was used and stored so far, and how fast it went.
func (s *planSetting) readBooks(ctx context.Context, led *ledger.Ledger, f *foresight) error {
	p := s.tariff.Of(s.now)
	today := costs.DayOf(s.now)
	f.used = make(map[costs.Day]costs.Usage)
	for d := range (costs.Period{From: p.From, To: today + 1}).All() {
		u, err := led.MonthUsage(ctx, d.Start(), (d + 1).Start())
		if err != nil {
			return err
		}
		if !u.IsZero() {
			f.used[d] = u
		}
	}
	sum, err := led.Summary(ctx)
	if err != nil {
		return err
	}
	for _, c := range sum.Classes {
		f.recorded.Files += c.Files
		f.recorded.Bytes += c.Bytes
	}
	added, err := led.StoredByDay(ctx, p.From, today+1)
	if err != nil {
		return err
	}
	// What is older than the cycle comes as one sum, on the day before it.
	f.stored = storedUp(added, costs.Period{From: p.From - 1, To: today + 1})
	runs, err := led.Runs(ctx, recentRuns)
	f.speed = measured(runs)
	return err
}

// storedUp adds up what was stored on each day.
// What came on one day is there on all the days after it: the ledger does not know what
// others have deleted.
func storedUp(added []ledger.StoredDay, p costs.Period) costs.Storage {
	stored := make(costs.Storage)
	for _, a := range added {
		stored[a.Day] += a.Bytes
	}
	for d := p.From + 1; d < p.To; d++ {
		stored[d] += stored[d-1]
	}
	return stored
}

// A claim is what a sync asks before its first file, as owner.Check does.
type claim struct {
	requests costs.Usage
	unproven bool // whether the bucket has our mark can't be known
}

// claim follows owner.Check by what the ledger knows. empty says that it has no object.
func (s *planSetting) claim(id ledger.Identity, empty bool) (c claim) {
	u := &c.requests
	u[costs.GetObject]++
	was, known := !id.SwitchedAt.IsZero(), id.BucketID != "" && !s.newBucket
	probed := id.Probed && (s.settings.Endpoint == "" || s.settings.Endpoint == id.Endpoint)
	if s.newBucket {
		u[costs.GetObject]++ // would a new ledger be granted the bucket?
	}
	fresh := false // the mark is written anew, without the switch
	switch {
	case known && probed:
	case known && (!empty || id.Joining && s.join == ""):
		u[costs.PutObject]++ // the probe
	case s.join != "" && s.join != s.settings.Bucket:
		u[costs.PutObject] += 2 // our id into the mark, and the probe
	default:
		fresh, c.unproven = true, known
		u[costs.ListObjects]++
		u[costs.PutObject] += 2 // the mark, and the probe
		if s.newBucket {
			u[costs.ListObjects]++
		}
	}
	if s.mode == owner.After && (fresh || !was) || s.mode == owner.Before && was || s.mode == owner.Unset && was && fresh {
		u[costs.PutObject]++ // the switch, into the mark
	}
	return c
}

// How fast a sync is. assumedRate is in bytes per second, 160 Mbit/s, and stands in until
// a sync has measured better.
const (
	recentRuns  = 200 // where measured speeds come from
	speedSyncs  = 10
	speedFiles  = 100 // a sync that moved fewer says nothing
	assumedRate = 20_000_000
)

// A speed is what this ledger's last syncs reached.
type speed struct {
	syncs        int
	files, bytes int64
	took         time.Duration
}

// measured takes runs with the latest first.
func measured(runs []ledger.Run) speed {
	var v speed
	for _, r := range runs {
		var n uploader.Files
		took := r.At.Sub(r.Began)
		if r.Command != "sync" || r.At.IsZero() || took <= 0 || v.syncs == speedSyncs || json.Unmarshal(r.Counts, &n) != nil {
			continue
		}
		if moved := n.Moved + n.Replaced; moved >= speedFiles {
			v.syncs, v.files, v.bytes, v.took = v.syncs+1, v.files+moved, v.bytes+r.Bytes, v.took+took
		}
	}
	return v
}

// perSecond is the measured speed; 0 if nothing is measured.
func (v speed) perSecond() (files, bytes float64) {
	if v.syncs == 0 {
		return 0, 0
	}
	return float64(v.files) / v.took.Seconds(), float64(v.bytes) / v.took.Seconds()
}
