package r2

import "time"

const (
	// startLimit connections suffice on a machine beside the bucket and are
	// four doublings from defaultMax. After an outage restartLimit spares a
	// service that just came back.
	startLimit   = 16
	restartLimit = 4
	// Below lowestProbe there is nothing left to save.
	lowestProbe = 8

	// A window lasts minWindow, within which a pause of the garbage collector
	// or of the disk is noise. It also lasts a round trip, that is as many
	// completions as may be in flight, and holds minSamples: sizes differ so
	// much (deviation 2.6 times the mean) that fewer say little. Where that
	// would take long, maxRounds round trips must do.
	minWindow  = 100 * time.Millisecond
	minSamples = 64
	maxRounds  = 4
	// An object counts at most clipBytes, or one video would make a window.
	// Of what is larger, operations say as much as bytes.
	clipBytes = 256 << 10

	// Twice the requests in flight are worth it if they bring clearGrowth in
	// operations (a link with latency gives 2), or someGrowth in operations
	// and in bytes: a change of the sizes raises one and lowers the other.
	// Two windows must say no, since the first pays for new connections.
	clearGrowth = 1.5
	someGrowth  = 1.1
	maxMisses   = 2

	// A search compares a quarter more or a fifth fewer with what came before
	// and after it. It takes searchWindows, and asks for both operations and
	// bytes, because differences are small and hours are long: on a slow line
	// a criterion of operations alone wandered up to 256 within half an hour.
	searchStep    = 1.25
	searchWindows = 4
	better        = 1.05
	asGood        = 0.97
	// The first search comes soon, to repair a climb that ended too early;
	// then ever more rarely, since each costs a little.
	firstSearch = 2 * time.Second
	lastSearch  = 5 * time.Minute

	// About ten windows, each a regainPart more, bring back what a cut took.
	regainPart = 24
)

type stage uint8

const (
	climbing  stage = iota // doubling while it pays
	holding                // until the next search, then measuring for it
	searching              // measuring at another limit
	returning              // measuring again at the limit from before
	regaining              // after a cut, a step per window
)

// climb finds the number of requests in flight that brings the throughput. It
// looks at throughput alone: on one core latency grows with every request in
// flight, whatever the link and the bucket do.
type climb struct {
	limit, max int
	stage      stage
	settle     int // completions still under the influence of the last change
	window     window

	known    int // the limit that brought base
	base     speed
	misses   int
	tried    int // the limit that brought trial
	trial    speed
	searchAt time.Duration
	every    time.Duration
	down     bool // direction of the next search
	lastCut  time.Duration
	quietAt  time.Duration // when caution ends
}

// sample is one completed request.
type sample struct {
	bytes int64
	full  bool // all places were taken
}

type window struct {
	from    time.Duration
	n, full int
	bytes   int64
}

// speed is per second.
type speed struct{ operations, bytes float64 }

func (s speed) atLeast(factor float64, than speed) bool {
	return s.operations >= factor*than.operations && s.bytes >= factor*than.bytes
}

func (c *climb) restart(limit, most int) {
	*c = climb{max: most, every: firstSearch, lastCut: -time.Second}
	c.set(limit)
}

func (c *climb) set(limit int) {
	c.limit = min(max(limit, 1), c.max)
	c.settle = c.limit
}

// completed counts a request and decides at the end of a window.
func (c *climb) completed(now time.Duration, s sample) {
	w := &c.window
	if c.settle > 0 || c.stage == holding && now < c.searchAt {
		c.settle = max(c.settle-1, 0)
		*w = window{from: now}
		return
	}
	w.n++
	w.bytes += min(s.bytes, clipBytes)
	if s.full {
		w.full++
	}
	enough := max(c.limit, min(minSamples, maxRounds*c.limit))
	if c.stage == holding || c.stage == searching || c.stage == returning {
		enough *= searchWindows
	}
	if elapsed := now - w.from; w.n >= enough && elapsed >= minWindow {
		per := 1 / elapsed.Seconds()
		full := 2*w.full >= w.n
		v := speed{float64(w.n) * per, float64(w.bytes) * per}
		*w = window{from: now}
		c.decide(now, v, full)
	}
}

// decide takes what the limit brought. If it was not full, workers were
// missing: more places would not be used.
func (c *climb) decide(now time.Duration, s speed, full bool) {
	switch c.stage {
	case climbing:
		c.double(now, s, full)
	case holding:
		if full {
			c.known, c.base = c.limit, s
			c.search(now)
		}
	case searching:
		c.tried, c.trial = c.limit, s
		c.stage = returning
		c.set(c.known)
	case returning:
		c.compare(now, s)
	case regaining:
		if full {
			c.regain(now)
		}
	}
}

func (c *climb) double(now time.Duration, s speed, full bool) {
	first := c.known == 0
	if first && !full {
		return
	}
	if !first && s.operations < clearGrowth*c.base.operations && !s.atLeast(someGrowth, c.base) {
		if c.misses++; c.misses == maxMisses {
			c.set(c.known)
			c.hold(now)
		}
		return
	}
	c.known, c.base, c.misses = c.limit, s, 0
	if c.limit == c.max || !full {
		c.hold(now)
		return
	}
	c.set(2 * c.limit)
}

// regain adds a little, or climbs again when the refusals have ended.
func (c *climb) regain(now time.Duration) {
	if now >= c.quietAt {
		c.stage, c.known, c.misses = climbing, 0, 0
		return
	}
	c.set(c.limit + max(c.limit/regainPart, 1))
}

func (c *climb) hold(now time.Duration) {
	c.stage = holding
	c.searchAt = now + c.every
}

func (c *climb) search(now time.Duration) {
	if c.limit >= c.max {
		c.down = true
	} else if c.limit <= lowestProbe {
		c.down = false
	}
	next := int(float64(c.limit)*searchStep) + 1
	if c.down {
		next = max(int(float64(c.limit)/searchStep), min(lowestProbe, c.max))
	}
	if next == c.limit {
		c.hold(now)
		return
	}
	c.stage = searching
	c.set(next)
}

// compare ends a search: more must be better than before and after it, less
// must be as good.
func (c *climb) compare(now time.Duration, after speed) {
	factor := better
	if c.down {
		factor = asGood
	}
	if !c.trial.atLeast(factor, c.base) || !c.trial.atLeast(factor, after) {
		c.down = !c.down
		c.every = min(2*c.every, lastSearch)
		c.hold(now)
		return
	}
	c.every = firstSearch
	c.set(c.tried)
	c.hold(now)
	if !c.down { // there may be much more
		c.stage, c.known, c.base, c.misses = climbing, c.tried, c.trial, 0
		c.set(2 * c.tried)
	}
}
