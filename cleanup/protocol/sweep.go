package protocol

// Ages are in ticks.
const (
	longest = 2  // how long a transaction of Mastodon's may be open
	window  = 3  // how long the trash keeps what it has
	oldest  = 4  // no rule tells greater ages apart
	never   = -1 // it hasn't happened
)

// A Purge says when what is old enough leaves the trash for good.
type Purge int

// The purges. PurgeUnowned stands for a window that is long enough for somebody
// to miss what is theirs.
const (
	PurgeUnowned Purge = iota // nobody owns it, in truth
	PurgeAsks                 // nobody owns it, says the database that the scan believes too
	PurgeAlways
)

// An Emptiness says whether the database may be an empty one for a while.
type Emptiness int

// The kinds of emptiness.
const (
	NeverEmpty Emptiness = iota
	LongEmpty            // until somebody repairs it
	BriefEmpty           // once, and for one tick
)

// A Sweep is a way to remove orphans, and the world that it is done in.
type Sweep struct {
	DatabaseFirst bool // rows are read before the bucket is listed
	Age           int8 // an object of fewer ticks is left alone
	Twice         int8 // it was seen unowned that many ticks before too; 0: once is enough
	Trash         bool // it is copied before it is deleted
	Recheck       bool // the primary is asked once more, right before deletion
	Identity      bool // an empty database is told from the right one, at every look
	Purge         Purge

	Lag    int8 // the scan's database is that many ticks behind
	Empty  Emptiness
	Reuses bool // Mastodon writes a name again after its row is gone, which it doesn't
}

type row int8

const (
	unborn    row = iota
	open          // the object is in the bucket, the row in an open transaction
	committed     // somebody's
	gone          // rolled back, or deleted
)

type phase int8

const (
	idle    phase = iota
	asked         // the database first: it has no row
	listed        // in the bucket, and old enough
	planned       // no row
	copied        // in the trash
	cleared       // still no row
	sent          // the delete is on its way
)

type sweep struct {
	row       row
	committed int8 // how long ago, for a database that lags
	live      bool // the object is in the bucket
	age       int8 // of the object
	phase     phase
	sighted   int8 // how long ago it was first seen unowned; durable
	trashed   int8 // how long ago it was copied
	late      bool // the delete of a killed run may still land
	empty     bool // the database that is asked
	emptied   int8 // how long ago
}

// Run searches every order of steps, or until it has met all that until names.
func (w Sweep) Run(until ...Event) Result {
	return search(sweep{sighted: never, trashed: never, emptied: never}, w.steps, until, func(s sweep) []Event {
		switch {
		case s.row == committed && !s.live && s.trashed == never:
			return []Event{Lost, Unavailable}
		case s.row == committed && !s.live:
			return []Event{Unavailable}
		case s.row == gone && s.live && s.phase == sent:
			return []Event{Achieved}
		}
		return nil
	})
}

func (w Sweep) steps(s sweep, step stepper[sweep]) {
	w.mastodon(s, step)
	w.operator(s, step)
	w.scan(s, step)
	w.remove(s, step)
	briefly := w.Empty == BriefEmpty && s.empty && s.emptied > 0
	step("tick", (s.row != open || s.age < longest) && !briefly, func(s *sweep) {
		for _, age := range []*int8{&s.committed, &s.age, &s.sighted, &s.trashed, &s.emptied} {
			if *age != never {
				*age = min(*age+1, oldest)
			}
		}
	})
}

func (w Sweep) mastodon(s sweep, step stepper[sweep]) {
	step("mastodon begins, puts", s.row == unborn || s.row == gone && w.Reuses, func(s *sweep) {
		s.row, s.live, s.age = open, true, 0
		s.trashed = never // a copy of other bytes is none
	})
	step("mastodon commits", s.row == open, func(s *sweep) { s.row, s.committed = committed, 0 })
	step("mastodon rolls back", s.row == open, func(s *sweep) { s.row = gone })
	step("user deletes", s.row == committed, func(s *sweep) { s.row, s.live = gone, false })
	step("user deletes, object stays", s.row == committed, func(s *sweep) { s.row = gone })
}

func (w Sweep) operator(s sweep, step stepper[sweep]) {
	may := w.Empty == LongEmpty || w.Empty == BriefEmpty && s.emptied == never
	step("wrong database", may && !s.empty, func(s *sweep) { s.empty, s.emptied = true, 0 })
	step("right database", s.empty, func(s *sweep) { s.empty = false })
	step("undo", s.trashed != never && !s.live, func(s *sweep) { s.live, s.age, s.sighted = true, 0, never })
	mistaken := w.Purge == PurgeAsks && s.empty
	purged := w.Purge == PurgeAlways || s.row != committed || mistaken
	step("purge", s.trashed >= window && purged, func(s *sweep) { s.trashed = never })
}

func (w Sweep) scan(s sweep, step stepper[sweep]) {
	found := s.live && s.age >= w.Age
	if w.DatabaseFirst {
		step("ask", s.phase == idle, func(s *sweep) { w.ask(s, w.Lag, asked) })
		step("list", s.phase == asked && found, w.sight)
		return
	}
	step("list", s.phase == idle && found, func(s *sweep) { s.phase = listed })
	step("ask", s.phase == listed, func(s *sweep) {
		if w.ask(s, w.Lag, listed); s.phase == listed {
			w.sight(s)
		}
	})
}

// ask goes on to then if a database that is lag ticks behind says that there is
// no row, else it ends the run.
func (w Sweep) ask(s *sweep, lag int8, then phase) {
	switch {
	case s.empty && w.Identity:
		s.phase = idle
	case !s.empty && s.row == committed && s.committed >= lag:
		s.phase, s.sighted = idle, never
	default:
		s.phase = then
	}
}

func (w Sweep) sight(s *sweep) {
	switch {
	case w.Twice == 0, s.sighted >= w.Twice:
		s.phase = planned
		return
	case s.sighted == never:
		s.sighted = 0
	}
	s.phase = idle
}

func (w Sweep) remove(s sweep, step stepper[sweep]) {
	next := s.phase // what was just done, or needn't be
	if next == planned && !w.Trash {
		next = copied
	}
	if next == copied && !w.Recheck {
		next = cleared
	}
	step("copy", next == planned, func(s *sweep) {
		if s.phase = idle; s.live {
			s.phase, s.trashed = copied, 0
		}
	})
	step("ask the primary", next == copied, func(s *sweep) { w.ask(s, 0, cleared) })
	step("send delete", next == cleared, func(s *sweep) { s.phase = sent })
	step("delete lands", s.phase == sent, func(s *sweep) { s.live, s.phase, s.sighted = false, idle, never })
	step("kill", s.phase != idle, func(s *sweep) { s.late, s.phase = s.late || s.phase == sent, idle })
	step("old delete lands", s.late, func(s *sweep) { s.live, s.late = false, false })
}
