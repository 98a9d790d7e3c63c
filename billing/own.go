package billing

import (
	"cmp"
	"slices"

	"example.org/mediamove/costs"
)

// Own is what mediamove itself sent in the cycle. The sums of Commands and of Runs
// are both Usage.
type Own struct {
	Usage    costs.Usage
	Commands []CommandUse // the dearest first
	Runs     []RunUse     // by number
}

// A CommandUse is what all runs of one command sent.
type CommandUse struct {
	Command string
	Runs    int
	Usage   costs.Usage
}

// A RunUse is what one run sent on the days of the cycle.
type RunUse struct {
	Run         int64
	Command     string
	Ended       bool      // else it goes on, or was killed
	First, Last costs.Day // on which it sent something
	Usage       costs.Usage
	FirstSync   bool // it belongs to the first move, which is no habit
}

// own adds up the ledger's figures for the cycle.
func (f Figures) own() Own {
	var own Own
	commands := map[string]*CommandUse{}
	for _, r := range f.Runs {
		if !f.Period.Contains(r.Day) || r.Usage.IsZero() {
			continue
		}
		own.Usage = own.Usage.Add(r.Usage)
		c := commands[r.Command]
		if c == nil {
			c = &CommandUse{Command: r.Command}
			commands[r.Command] = c
		}
		c.Usage = c.Usage.Add(r.Usage)
		if n := len(own.Runs); n == 0 || own.Runs[n-1].Run != r.Run {
			own.Runs = append(own.Runs, RunUse{Run: r.Run, Command: r.Command, Ended: r.Ended, First: r.Day, FirstSync: f.firstSync(r.Run, r.Command)})
			c.Runs++
		}
		last := &own.Runs[len(own.Runs)-1]
		last.Last, last.Usage = r.Day, last.Usage.Add(r.Usage)
	}
	for _, c := range commands {
		own.Commands = append(own.Commands, *c)
	}
	slices.SortFunc(own.Commands, func(a, b CommandUse) int {
		return cmp.Or(cmp.Compare(b.Usage.A(), a.Usage.A()), cmp.Compare(b.Usage.B(), a.Usage.B()), cmp.Compare(a.Command, b.Command))
	})
	return own
}

// ownByDay is the same by day, of all days that were asked about. A day without
// runs is in it, from the first run on: that nothing was sent is known.
func (f Figures) ownByDay() map[costs.Day]costs.Usage {
	days := map[costs.Day]costs.Usage{}
	asked := f.asked()
	for d := max(asked.From, costs.DayOf(f.Began.First)); d < min(asked.To, f.today()+1); d++ {
		days[d] = costs.Usage{}
	}
	for _, r := range f.Runs {
		days[r.Day] = days[r.Day].Add(r.Usage)
	}
	return days
}

// firstSync reports whether a run is a part of the first move: a sync up to the one
// that decided about every file.
func (f Figures) firstSync(run int64, command string) bool {
	return command == "sync" && (f.Began.Moved == 0 || run <= f.Began.Moved)
}
