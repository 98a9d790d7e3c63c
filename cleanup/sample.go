package cleanup

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// ControlSize is how many owned keys a scan leaves for the control of later ones.
const ControlSize = 1000

// A stratum keeps small and young groups in the sample: a database that lost its last
// week is found out by the objects of that week, a few per cent of the bucket.
type stratum struct {
	class  media.Class
	cached bool
	age    int // 0: under a week, 1: under two months, 2: older
}

// A sample draws owned objects evenly within each stratum (a reservoir each), so its
// memory does not grow with the bucket.
type sample struct {
	now    time.Time
	strata map[stratum]*reservoir
}

type reservoir struct {
	keys []media.Key
	seen int
}

func newSample(now time.Time) *sample { return &sample{now, map[stratum]*reservoir{}} }

func (s *sample) see(o r2.Object) {
	class := o.Key.Class()
	if class == media.Outside || class.Private() {
		return
	}
	at := stratum{class, o.Key.Cached(), 2}
	switch age := s.now.Sub(o.LastModified); {
	case age < 7*24*time.Hour:
		at.age = 0
	case age < 60*24*time.Hour:
		at.age = 1
	}
	r := s.strata[at]
	if r == nil {
		r = new(reservoir)
		s.strata[at] = r
	}
	r.seen++
	if len(r.keys) < ControlSize {
		r.keys = append(r.keys, o.Key)
	} else if i := rand.IntN(r.seen); i < ControlSize {
		r.keys[i] = o.Key
	}
}

// keys takes one of each stratum in turn until there are ControlSize.
func (s *sample) keys() []media.Key {
	order := slices.SortedFunc(maps.Keys(s.strata), func(a, b stratum) int {
		return cmp.Or(cmp.Compare(a.age, b.age), cmp.Compare(a.class, b.class), b2i(a.cached)-b2i(b.cached))
	})
	for _, r := range s.strata {
		rand.Shuffle(len(r.keys), func(i, j int) { r.keys[i], r.keys[j] = r.keys[j], r.keys[i] })
	}
	var out []media.Key
	for i := 0; len(out) < ControlSize; i++ {
		before := len(out)
		for _, at := range order {
			if r := s.strata[at]; i < len(r.keys) && len(out) < ControlSize {
				out = append(out, r.keys[i])
			}
		}
		if len(out) == before {
			break
		}
	}
	return out
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
