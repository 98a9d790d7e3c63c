package billing

import (
	"fmt"
	"strings"

	"example.org/mediamove/cloudflare"
	"example.org/mediamove/costs"
)

// partial says why the cycle's figures are not all there are; nil if they are.
func (f Figures) partial() []string {
	if f.Account == nil {
		return nil
	}
	var why []string
	for _, set := range []struct {
		name     string
		err      error
		coverage cloudflare.Coverage
	}{
		{"operations", f.Account.OperationsErr, f.Account.Operations.Coverage},
		{"storage", f.Account.StorageErr, f.Account.Storage.Coverage},
	} {
		if set.err != nil {
			why = append(why, set.err.Error())
		}
		if !nothing(set.err) {
			why = append(why, f.gaps(set.name, set.coverage)...)
		}
	}
	return append(why, f.oddClasses()...)
}

// A gap is what a day is short of.
type gap struct {
	state   cloudflare.State
	reason  cloudflare.Reason
	sampled bool
}

func (g gap) String() string {
	switch {
	case g.sampled:
		return "estimates from a sample"
	case g.state == cloudflare.Partial:
		return "incomplete: " + string(g.reason)
	}
	return string(g.reason)
}

// gaps groups the cycle's days by what they are short of. That today is not over
// goes without saying.
func (f Figures) gaps(name string, c cloudflare.Coverage) []string {
	var order []gap
	days := map[gap][]costs.Day{}
	note := func(d cloudflare.Day, g gap) {
		if days[g] == nil {
			order = append(order, g)
		}
		days[g] = append(days[g], costs.DayOf(d.Date))
	}
	for _, d := range c {
		if !f.Period.Contains(costs.DayOf(d.Date)) {
			continue
		}
		if d.State != cloudflare.Complete && (d.Reason != cloudflare.NotOver || f.over()) {
			note(d, gap{state: d.State, reason: d.Reason})
		}
		if d.Sampling == cloudflare.Sampled {
			note(d, gap{sampled: true})
		}
	}
	var why []string
	for _, g := range order {
		why = append(why, fmt.Sprintf("%s of %s: %v", name, Ranges(days[g]), g))
	}
	return why
}

// maxRanges is how many rows of days [Ranges] names.
const maxRanges = 4

// Ranges writes days that are in order: "2026-11-16 to 2026-11-18, 2026-11-20 (4 days)".
func Ranges(days []costs.Day) string {
	var rows []costs.Period
	for _, d := range days {
		if n := len(rows); n > 0 && rows[n-1].To == d {
			rows[n-1].To++
		} else {
			rows = append(rows, costs.Period{From: d, To: d + 1})
		}
	}
	var words []string
	for i, p := range rows {
		switch {
		case i == maxRanges:
			words = append(words, "…")
		case i > maxRanges:
		case p.Days() == 1:
			words = append(words, p.From.String())
		default:
			words = append(words, p.String())
		}
	}
	if len(days) == 1 {
		return words[0]
	}
	return fmt.Sprintf("%s (%d days)", strings.Join(words, ", "), len(days))
}

// missingDays are those without figures.
func missingDays(c cloudflare.Coverage) map[costs.Day]bool {
	days := map[costs.Day]bool{}
	for d := range c.In(cloudflare.Missing) {
		days[costs.DayOf(d.Date)] = true
	}
	return days
}

// oddClasses names the storage classes that costs doesn't know; they are counted as
// Standard.
func (f Figures) oddClasses() []string {
	var why []string
	seen := map[string]bool{}
	note := func(name string) {
		if _, known := costs.ParseStorageClass(name); !known && !seen[name] {
			seen[name] = true
			why = append(why, fmt.Sprintf("storage class %q has no price here: counted as Standard", name))
		}
	}
	if o := f.Account.operations(); o != nil {
		for _, r := range o.Rows {
			note(r.StorageClass)
		}
	}
	if s := f.Account.storage(); s != nil {
		for _, r := range s.Rows {
			note(r.StorageClass)
		}
	}
	return why
}
