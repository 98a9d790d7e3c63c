package cleanup

import (
	"slices"
	"time"

	"example.org/mediamove/media"
)

// RecentSize is how many of the objects that Mastodon wrote last are held against the
// database.
const RecentSize = 100

// unsettled is how young an object is whose row may still be on its way.
const unsettled = time.Hour

// recent keeps the youngest settled objects, oldest first.
type recent struct{ seen []sighting }

type sighting struct {
	at    time.Time
	owned bool
	key   media.Key
}

// oldestRecent is the time that an object must be younger than to count.
func (t *tally) oldestRecent() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.recent.seen) < RecentSize {
		return time.Time{}
	}
	return t.recent.seen[0].at
}

// sawForeign notes an object that mediamove did not write, and returns 1 if it counts
// among the recent ones.
func (t *tally) sawForeign(j *judged) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := j.object.LastModified
	if at.After(t.scan.NewestForeign) {
		t.scan.NewestForeign = at
	}
	if j.object.Key.Private() || j.object.Key.Class() == media.Outside || at.After(t.scan.At.Add(-unsettled)) {
		return 0
	}
	t.recent.see(sighting{at, j.kind == "", j.object.Key})
	return 1
}

func (r *recent) see(s sighting) {
	i, _ := slices.BinarySearchFunc(r.seen, s, func(a, b sighting) int { return a.at.Compare(b.at) })
	r.seen = slices.Insert(r.seen, i, s)
	if len(r.seen) > RecentSize {
		r.seen = r.seen[1:]
	}
}

func (r *recent) sum() (sum Recent) {
	for _, s := range r.seen {
		sum.Objects++
		if !s.owned {
			sum.Unowned++
			sum.Example = s.key
		}
	}
	return sum
}
