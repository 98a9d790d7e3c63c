package cleanup

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"example.org/mediamove/media"
)

// The numbers of the guards. Mastodon uploads inside an open transaction, so an object
// is visible before its row: the age must exceed the longest transaction, and three days
// also outlive a long weekend's outage of the queue.
const (
	MinAge      = 72 * time.Hour // default age of a candidate, by the server's clock
	SightingGap = 20 * time.Hour // between the first and the last sighting: two nights

	staleAfter     = time.Hour // the database may be older than the bucket by this much
	recentLeast    = 20        // fewer objects of Mastodon's own say nothing
	controlLeast   = 200       // fewer known keys prove nothing
	controlPerMill = 5         // more of the control called orphan than this refuse
	rowsPercent    = 90        // rows of the last run that must still be there
)

// Facts are everything that the guards look at. They come from one whole scan and from
// the mark; no guard asks anybody.
type Facts struct {
	Whole    error // nil: the scan came to its end without any error
	Alone    bool  // this process holds the ledger's lock
	Switched bool  // Mastodon writes to the bucket
	// Bound is nil if the mark, the database, this host and this ledger belong
	// together, and the mark's counter is the ledger's.
	Bound   error
	Primary error // nil: the database is no replica

	Scan   *Scan
	Before map[string]int64 // rows by table in the last scan that was believed; nil: none was
}

// A Guard is one reason for which nothing is deleted.
type Guard struct {
	Name string
	Rule string // for the admin, in one line
	// check returns why the guard refuses, or "".
	check func(f *Facts) string
	Hint  string
	// doubt marks a guard that contradicts the database: its scan is not recorded,
	// or the next one would be held against it.
	doubt bool
}

// A Refusal is a guard that said no.
type Refusal struct {
	Guard, Reason, Hint string
	Doubt               bool // it contradicts the database: nothing that rests on this scan is kept
}

func (r *Refusal) Error() string { return fmt.Sprintf("guard %q: %s", r.Guard, r.Reason) }

// Guards lists every guard that forbids all deletions of a run. The ceilings stand
// beside them: they forbid those of one policy.
func Guards() []Guard {
	return []Guard{
		{
			Name: "whole", Rule: "the bucket was listed and every row was read without any error",
			Hint: "run again when the cause is gone",
			check: func(f *Facts) string {
				if f.Scan == nil && f.Whole == nil {
					return "the bucket was not listed"
				}
				return text(f.Whole)
			},
		},
		{
			Name: "one runner", Rule: "this run holds the ledger's lock, and its host is the only one in the mark",
			Hint: "wait for the other run to end",
			check: func(f *Facts) string {
				return unless(f.Alone, "this run does not hold the lock of the state folder")
			},
		},
		{
			Name: "switched", Rule: "Mastodon writes to the bucket; before that the database says nothing about it",
			Hint: "after the switch set S3_ENABLED=true, or type --after-switch",
			check: func(f *Facts) string {
				return unless(f.Switched, "Mastodon does not write to this bucket yet")
			},
		},
		{
			Name: "bound", Rule: "the mark names this database, this host and this ledger, and its counter is ours",
			Hint:  "mediamove bind",
			check: func(f *Facts) string { return text(f.Bound) },
		},
		{
			Name: "primary", Rule: "rows come from the primary; a replica lags", doubt: true,
			Hint:  "point DB_HOST, or DATABASE_URL, at the primary",
			check: func(f *Facts) string { return text(f.Primary) },
		},
		{
			Name: "fresh", Rule: "the newest row is at most 1 h older than what Mastodon wrote into the bucket last", doubt: true,
			Hint:  "is this the live database, and not a restored or a staging one? does Mastodon run?",
			check: stale,
		},
		{
			Name: "newest objects", Rule: "of the 100 objects that Mastodon wrote last, but over an hour ago, at least half are owned", doubt: true,
			Hint:  "this database goes its own way: a copy that was made of the live one, or one that was put back",
			check: diverged,
		},
		{
			Name: "positive control", Rule: "of 1,000 objects that an earlier run knew as owned, at most 0.5 % are called orphans", doubt: true,
			Hint:  "is this the live database? If you know why so much has gone: mediamove bind takes a new control",
			check: contradicted,
		},
		{
			Name: "control size", Rule: "the control has at least 200 objects, seen at least 20 h ago",
			Hint:  "run mediamove orphans again in 20 hours; the first run takes the control",
			check: uncontrolled,
		},
		{
			Name: "row counts", Rule: "every table has at least 90 % of the rows of the last run", doubt: true,
			Hint:  "if that many rows were deleted on purpose: mediamove bind takes new counts",
			check: shrunk,
		},
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func unless(ok bool, reason string) string {
	if ok {
		return ""
	}
	return reason
}

// stale holds against a restored, lagging or staging database: its newest row is
// older than what the live one's Mastodon has written since.
func stale(f *Facts) string {
	s := f.Scan
	switch {
	case s == nil || s.NewestForeign.IsZero():
		return ""
	case s.Newest.IsZero():
		return "the database has no statuses, accounts or attachments"
	case s.NewestForeign.Sub(s.Newest) > staleAfter:
		return fmt.Sprintf("the newest row is of %s, the bucket has an object of %s that mediamove did not write",
			stamp(s.Newest), stamp(s.NewestForeign))
	}
	return ""
}

// diverged holds against a copy of the live database that lives on by itself: it is
// as fresh, and knows nothing of what the live one's Mastodon wrote since.
func diverged(f *Facts) string {
	if f.Scan == nil {
		return ""
	}
	r := f.Scan.Recent
	if r.Objects < recentLeast || r.Unowned*2 <= r.Objects {
		return ""
	}
	return fmt.Sprintf("of the %d objects that Mastodon wrote last, %d belong to nobody, such as %q", r.Objects, r.Unowned, r.Example)
}

func contradicted(f *Facts) string {
	if f.Scan == nil {
		return ""
	}
	c := f.Scan.Control
	if c.Orphans*1000 <= c.Listed*controlPerMill {
		return ""
	}
	return fmt.Sprintf("%d of %d objects that run %d knew as owned belong to nobody now, such as %q", c.Orphans, c.Listed, c.Run, c.Example)
}

func uncontrolled(f *Facts) string {
	if f.Scan == nil || f.Scan.Control.Listed >= controlLeast {
		return ""
	}
	return fmt.Sprintf("only %d objects are known as owned since 20 hours or more, %d are needed", f.Scan.Control.Listed, controlLeast)
}

func shrunk(f *Facts) string {
	if f.Scan == nil {
		return ""
	}
	for _, table := range slices.Sorted(maps.Keys(f.Before)) {
		if now, then := f.Scan.Counts[table], f.Before[table]; now*100 < then*rowsPercent {
			return fmt.Sprintf("table %s has %d rows, the last run saw %d", table, now, then)
		}
	}
	return ""
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// Check asks every guard and returns those that refuse.
func Check(guards []Guard, f *Facts) []*Refusal {
	var out []*Refusal
	for _, g := range guards {
		if reason := g.check(f); reason != "" {
			out = append(out, &Refusal{g.Name, reason, g.Hint, g.doubt})
		}
	}
	return out
}

// Believed reports whether the database stands uncontradicted, so that the scan's
// counts and control may be held against later ones.
func Believed(guards []Guard, f *Facts) bool {
	return !slices.ContainsFunc(guards, func(g Guard) bool { return g.doubt && g.check(f) != "" })
}

// Limits are the ceilings of one night, per class of media.
type Limits struct {
	Share   float64 `json:"share_percent"` // of the class's objects
	Least   int64   `json:"least_objects"` // always allowed, however small the class
	Objects int64   `json:"objects"`
	Bytes   int64   `json:"bytes"`
}

// Ceilings are the default: what a night's failed deletions leave behind is far below.
func Ceilings() Limits { return Limits{Share: 0.5, Least: 20, Objects: 1000, Bytes: 5e9} }

// Allowed is how many objects of a class of n may go.
func (l Limits) Allowed(n int64) int64 {
	return min(max(l.Least, int64(float64(n)*l.Share/100)), l.Objects)
}

// An Above is a class with more candidates than its ceiling lets go.
type Above struct {
	Class      media.Class `json:"class"`
	Candidates Sum         `json:"candidates"`
	Tonight    Sum         `json:"removed_within_20h"`
	Objects    int64       `json:"allowed_objects"`
	Bytes      int64       `json:"allowed_bytes"`
}

// Above names the classes of which more would go than the ceilings allow, what went
// since the last night included.
func (l Limits) Above(classes, candidates, tonight map[media.Class]Sum) []Above {
	var out []Above
	for _, c := range slices.Sorted(maps.Keys(candidates)) {
		want, gone, most := candidates[c], tonight[c], l.Allowed(classes[c].Objects)
		if want.Objects > 0 && (want.Objects+gone.Objects > most || want.Bytes+gone.Bytes > l.Bytes) {
			out = append(out, Above{c, want, gone, most, l.Bytes})
		}
	}
	return out
}
