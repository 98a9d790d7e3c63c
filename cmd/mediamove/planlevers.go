package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"
	"github.com/spf13/pflag"

	"example.org/mediamove/costs"
	"example.org/mediamove/uploader"
)

// The levers of a plan. The words are stable: they are in --json.
const (
	leverStop   = "stop"
	leverSpread = "spread"
	leverShrink = "shrink-cache"
)

// A lever is something that makes the bill smaller.
type lever struct {
	id       string
	days     int      // leverShrink: what is older is cleared
	work     workload // leverShrink: what is left to do
	cleared  uploader.Spare
	shares   []leverShare // leverStop: the first; leverSpread: all of them
	commands []string
	cycle    decimal.Decimal // this cycle's bill, US dollars
	month    decimal.Decimal // that of the normal month after it
	saves    decimal.Decimal // of all cycles that the sync touches
	keeps    bool            // the budget, in all of them
}

// A leverShare is one cycle's part of a sync.
type leverShare struct {
	from   costs.Day // on which it may begin
	classA int64
	files  int64 // about, if files go in parts
	usd    decimal.Decimal
}

// pull finds the levers that change something.
func (r *planReport) pull() []lever { return append(r.parting(), r.shrinking()...) }

// parting ends the sync before it begins a million, and goes on in the next cycle.
// Both levers come of one division: stop is the first share of spread, without the rest.
func (r *planReport) parting() []lever {
	shares, ok := r.books.outlook(r.work).Spread(r.books.Cycle, spreadOver)
	if !ok || len(shares) < 2 {
		return nil
	}
	spread := lever{id: leverSpread, cycle: shares[0].Bill.Total, month: r.month.Total, keeps: true}
	var done, sent int64
	for _, s := range shares {
		done += s.Work.Requests.A()
		files := r.work.filesIn(done) - sent
		sent += files
		spread.shares = append(spread.shares, leverShare{max(s.Period.From, r.books.today), s.Work.Requests.A(), files, s.Bill.Total})
		spread.saves = spread.saves.Add(r.books.bill(r.work, s.Period).Total.Sub(s.Bill.Total))
		spread.keeps = spread.keeps && r.within(s.Bill.Total)
	}
	stop := lever{
		id: leverStop, shares: spread.shares[:1], cycle: spread.cycle, month: spread.month,
		saves: r.cycle.Total.Sub(spread.cycle), keeps: r.within(spread.cycle),
	}
	if n := stop.shares[0].classA; n > r.work.first { // else not one file
		stop.commands = []string{r.command.with("--max-class-a", strconv.FormatInt(n, 10))}
		return []lever{stop, spread}
	}
	return []lever{spread}
}

// cardsDays is the least age of preview cards that Mastodon's manual advises to clear:
// one comes back only when its link is posted again.
const cardsDays = 14

// shrinking clears the cache first.
func (r *planReport) shrinking() (levers []lever) {
	var last int64
	for i, o := range r.Old {
		// Cards younger than that stay: the next milder age stands in for them.
		cards := o
		if o.Days < cardsDays && i > 0 {
			cards = r.Old[i-1]
		}
		spare := o.Media.Add(cards.Cards)
		if spare.Files == last {
			continue // no more than the milder one
		}
		last = spare.Files
		l := lever{id: leverShrink, days: o.Days, work: r.work.without(spare), cleared: spare}
		if o.Media.Files > 0 {
			l.commands = append(l.commands, fmt.Sprintf("tootctl media remove --days %d", o.Days))
		}
		if cards.Cards.Files > 0 {
			l.commands = append(l.commands, fmt.Sprintf("tootctl preview_cards remove --days %d", cards.Days))
		}
		l.cycle = r.books.bill(l.work, r.books.cycle()).Total
		l.month = r.books.bill(l.work, r.after()).Total
		l.saves = r.cycle.Total.Sub(l.cycle)
		l.keeps = r.within(l.cycle) && r.within(l.month)
		if l.saves.IsPositive() || l.month.LessThan(r.month.Total) {
			levers = append(levers, l)
		}
	}
	return levers
}

// within reports whether a bill keeps the budget.
func (r *planReport) within(usd decimal.Decimal) bool {
	return r.budget != nil && !usd.GreaterThan(*r.budget)
}

// A command is what to type for a sync like the one that was planned.
type command []string

// syncCommand repeats the flags that sync knows too.
// Left out is what a sync does not know, what the lever sets itself, and what changes
// nothing of what is sent.
func syncCommand(fs *pflag.FlagSet, args []string) command {
	c := command{"mediamove", "sync"}
	if fs != nil {
		fs.Visit(func(f *pflag.Flag) {
			switch f.Name {
			case "budget", "rate", "json", "verbose", "dry-run", "max-class-a", "max-cost", "prices", "cycle-day":
				return
			}
			c = append(c, typed(f)...)
		})
	}
	// A root that begins with a dash would be read as a flag.
	if len(args) > 0 && strings.HasPrefix(args[0], "-") {
		c = append(c, "--")
	}
	return append(c, args...)
}

// typed spells a flag out in words: a list becomes one flag for each element, and a true
// boolean its name alone.
func typed(f *pflag.Flag) []string {
	name := "--" + f.Name
	switch v := f.Value.(type) {
	case pflag.SliceValue:
		var words []string
		for _, s := range v.GetSlice() {
			words = append(words, name, s)
		}
		return words
	default:
		if v.Type() == "bool" {
			return []string{name + map[string]string{"true": "", "false": "=false"}[v.String()]}
		}
		return []string{name, v.String()}
	}
}

// with puts one flag more behind the command's name and quotes all of it for a shell.
// It goes first, as behind a -- it would be no flag any more.
func (c command) with(words ...string) string {
	all := slices.Concat(c[:2], words, c[2:])
	quoted := make([]string, len(all))
	for i, w := range all {
		quoted[i] = shellWord(w)
	}
	return strings.Join(quoted, " ")
}

// shellWord quotes s so that a shell reads it back. What a terminal would not show as
// it is, is spelled out as bash does.
func shellWord(s string) string {
	odd := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_./=:@%+,", r)
	}
	switch {
	case s != "" && !strings.ContainsFunc(s, odd):
		return s
	case oneLine(s) == s && !strings.Contains(s, "'"):
		return "'" + s + "'"
	}
	q := fmt.Sprintf("%q", s) // its escapes are bash's own
	q = strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
	return "$'" + strings.ReplaceAll(q, "'", `\'`) + "'"
}
