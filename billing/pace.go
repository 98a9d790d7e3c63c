package billing

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"example.org/mediamove/costs"
	"example.org/mediamove/ledger"
)

// A pace is which figures the forecast goes on from.
type pace struct {
	window int                // whole days before today
	gaps   map[costs.Day]bool // days before today without all their requests
	once   map[int64]bool     // runs that are no habit
}

func (f Figures) pace(stored []StorageDay) pace {
	p := pace{window: f.window(stored)}
	p.once = f.noHabit(p.window)
	if o := f.Account.operations(); o != nil && !f.over() {
		p.gaps = missingDays(o.Coverage)
		maps.DeleteFunc(p.gaps, func(d costs.Day, _ bool) bool { return d >= f.today() })
	}
	return p
}

// window is how many days before today the pace may rest on: what only Cloudflare
// counts would seem to grow from nothing behind days that only the ledger knows.
// Without any other day it is all of them.
func (f Figures) window(stored []StorageDay) int {
	own := true
	for _, d := range slices.Backward(stored) {
		own = own && d.Source == FromLedger
		if n := int(f.today() - d.Day - 1); !own && d.Source == FromLedger && n > 0 {
			return min(n, window)
		}
	}
	return window
}

// noHabit returns the runs of the first move, and those of commands that were not
// begun on two days of the window: what was done once would else be expected daily. A
// run that goes on past midnight is still one.
func (f Figures) noHabit(window int) map[int64]bool {
	once, seen := map[int64]bool{}, map[int64]bool{}
	began := map[string]map[costs.Day]bool{}
	for _, r := range f.Runs {
		if began[r.Command] == nil {
			began[r.Command] = map[costs.Day]bool{}
		}
		counts := !seen[r.Run] && !r.Usage.IsZero() && !f.firstSync(r.Run, r.Command)
		if counts && f.today()-costs.Day(window) <= r.Day && r.Day < f.today() {
			began[r.Command][r.Day] = true
		}
		seen[r.Run] = true
	}
	for _, r := range f.Runs {
		once[r.Run] = f.firstSync(r.Run, r.Command) || len(began[r.Command]) < 2
	}
	return once
}

// once is what the forecast must not take for a habit. What was adopted doesn't let
// the bucket grow, except in the eyes of the ledger.
func (f Figures) once(p pace) []costs.Work {
	works := map[costs.Day]costs.Work{}
	for _, r := range f.Runs {
		if p.once[r.Run] {
			w := works[r.Day]
			works[r.Day] = costs.Work{Day: r.Day, Requests: w.Requests.Add(r.Usage), Bytes: w.Bytes}
		}
	}
	for _, s := range f.Stored {
		if p.once[s.Run] {
			w := works[s.Day]
			works[s.Day] = costs.Work{Day: s.Day, Requests: w.Requests, Bytes: w.Bytes + f.grown(s)}
		}
	}
	return slices.SortedFunc(maps.Values(works), func(a, b costs.Work) int { return cmp.Compare(a.Day, b.Day) })
}

// grown is by how much a day's stored bytes let the storage figures grow.
func (f Figures) grown(s ledger.StoredDay) int64 {
	if f.Account.storage() == nil {
		return s.Bytes
	}
	return s.Bytes - s.Adopted
}

// notes say what the figures don't.
func (f Figures) notes(own Own, p pace, a costs.Account) []string {
	var notes []string
	var first []int64
	var open int
	for _, r := range own.Runs {
		if r.FirstSync {
			first = append(first, r.Run)
		}
		if !r.Ended {
			open++
		}
	}
	if len(first) > 0 && !f.over() {
		notes = append(notes, "the first sync ("+runList(first)+") is no habit: the forecast leaves it out of the pace")
		if f.Began.Moved == 0 {
			notes = append(notes, "the first sync is not over: what it still has to send is not in the forecast, and mediamove plan knows it")
		}
	}
	if !f.over() {
		notes = append(notes, f.paceNotes(p)...)
	}
	if open > 0 {
		notes = append(notes, fmt.Sprintf("runs without an end: %d. They go on or were killed, and the requests of their last seconds may not be counted", open))
	}
	if uses(a.Infrequent.Stored) {
		notes = append(notes, "in Infrequent Access, what was deleted before its 30 days and what was copied is billed too, and is not in these figures")
	}
	return notes
}

// paceNotes say what is left out of the pace beside the first move.
func (f Figures) paceNotes(p pace) []string {
	var notes []string
	runs := map[string][]int64{}
	for _, r := range f.Runs {
		recent := r.Day >= f.today()-costs.Day(p.window) && !r.Usage.IsZero()
		if recent && p.once[r.Run] && !f.firstSync(r.Run, r.Command) && !slices.Contains(runs[r.Command], r.Run) {
			runs[r.Command] = append(runs[r.Command], r.Run)
		}
	}
	for _, command := range slices.Sorted(maps.Keys(runs)) {
		notes = append(notes, fmt.Sprintf("%s (%s) was not begun on two of the %d days before today, so it is no habit: the forecast leaves it out of the pace",
			command, runList(runs[command]), p.window))
	}
	if len(p.gaps) > 0 {
		notes = append(notes, "no figures of operations of "+Ranges(slices.Sorted(maps.Keys(p.gaps)))+": the pace leaves them out, and the forecast expects as much of them as of other days")
	}
	return notes
}

// runList names runs, the first and the last of many.
func runList(runs []int64) string {
	var names []string
	for _, r := range runs {
		names = append(names, strconv.FormatInt(r, 10))
	}
	if n := len(names); n > 6 {
		names = append(names[:3], "…", names[n-1])
	}
	return "run " + strings.Join(names, ", ")
}
