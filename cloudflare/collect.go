package cloudflare

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"time"
)

// maxQueries bounds what one question may take of the 300 queries in 5 minutes
// that all users of a token have together. A month takes 5; 36 if all of it is
// sampled.
const maxQueries = 120

// A mark is what was learnt of one day.
type mark struct {
	asked, answered time.Duration // of the day

	old      bool // Cloudflare said so
	crowded  bool // rows are missing
	gap      bool // a bucket is missing
	seen     bool // there are rows
	sampling Sampling
}

// A collector gathers the answers to one question of a caller.
type collector struct {
	round

	figures map[key]values
	days    map[time.Time]*mark // those that were asked about
	beside  *Error              // the first that came with figures
}

// collect asks about the days that have a part in [from, to). With an error, the
// figures and the coverage are of what came before it.
func (c *Client) collect(ctx context.Context, data *dataset, bucket string, from, to time.Time) (map[key]values, Coverage, error) {
	whole, err := daysOf(from, to)
	if err != nil {
		return nil, nil, fmt.Errorf("read R2 %s from Cloudflare: %w", data.name, err)
	}
	g := &collector{
		round:   round{c: c, data: data, bucket: bucket, queries: maxQueries, patience: c.patience},
		figures: map[key]values{},
		days:    map[time.Time]*mark{},
	}
	now := c.now()
	kept := whole.kept(now)
	for _, s := range kept.cut(day) {
		g.days[dayOf(s.from)] = &mark{asked: s.to.Sub(s.from)}
	}
	var stop *Error
	for _, s := range kept.weeks() {
		if stop = g.span(ctx, s); stop != nil {
			break
		}
	}
	if bucket == "" && data.gauge {
		g.gaps(whole)
	}
	return g.figures, g.coverage(whole, now), g.verdict(stop)
}

// span asks about s, in parts if that is what it takes. An error ends the question.
func (g *collector) span(ctx context.Context, s span) *Error {
	rows, f := g.ask(ctx, s)
	parts := s.parts()
	switch {
	case f != nil && f.remedy == newer && s.oneDay():
		g.days[dayOf(s.from)].old = true
	case f != nil && f.remedy != nothing && parts != nil:
		return g.each(ctx, parts, nil)
	case f != nil && f.some:
		g.beside = cmp.Or(g.beside, f.err)
		g.put(s, f.rows)
	case f != nil:
		return f.err
	case len(rows) == maxRows && parts != nil:
		return g.each(ctx, parts, nil)
	case len(rows) == maxRows:
		g.days[dayOf(s.from)].crowded = true
		g.take(s, rows)
	case sampled(rows) && !s.oneDay():
		return g.each(ctx, parts, rows)
	default:
		g.take(s, rows)
	}
	return nil
}

// each asks about the parts of a span one by one. If that ends early, coarse
// figures of the whole span, if there are any, stand for the days that are left.
func (g *collector) each(ctx context.Context, parts []span, coarse map[key]values) *Error {
	for i, p := range parts {
		stop := g.span(ctx, p)
		if stop == nil {
			continue
		}
		for _, left := range parts[i:] {
			if m := g.days[dayOf(left.from)]; coarse != nil && !m.seen && m.answered == 0 {
				g.take(left, coarse)
			}
		}
		return stop
	}
	return nil
}

// take notes that s is answered, by those of rows that are of its days.
func (g *collector) take(s span, rows map[key]values) {
	for _, d := range s.cut(day) {
		g.days[dayOf(d.from)].answered += d.to.Sub(d.from)
	}
	g.put(s, rows)
}

// put adds those of rows that are of the days of s. Parts of a day were asked
// about one by one, so the same figure may come again.
func (g *collector) put(s span, rows map[key]values) {
	for k, v := range rows {
		if k.day.Before(dayOf(s.from)) || !k.day.Before(s.to) {
			continue
		}
		m := g.days[k.day]
		if m.seen {
			m.sampling = m.sampling.with(v.sampling)
		} else {
			m.seen, m.sampling = true, v.sampling
		}
		if old, ok := g.figures[k]; ok {
			v = g.data.merge(old, v)
		}
		g.figures[k] = v
	}
}

// sampled reports whether any of rows comes from a sample.
func sampled(rows map[key]values) bool {
	for _, v := range rows {
		if v.sampling == Sampled {
			return true
		}
	}
	return false
}

// gaps finds the days on which a bucket that was there before has no row.
func (g *collector) gaps(whole span) {
	on := map[time.Time]map[string]bool{}
	for k := range g.figures {
		if on[k.day] == nil {
			on[k.day] = map[string]bool{}
		}
		on[k.day][k.bucket] = true
	}
	known := map[string]bool{}
	for _, d := range whole.cut(day) {
		maps.Copy(known, on[d.from])
		if m := g.days[d.from]; m != nil {
			m.gap = len(on[d.from]) < len(known)
		}
	}
}

// coverage says what is known of each day of whole.
func (g *collector) coverage(whole span, now time.Time) Coverage {
	var c Coverage
	for _, s := range whole.cut(day) {
		d := Day{Date: s.from, State: Complete}
		m := g.days[s.from]
		if m == nil {
			m = &mark{}
		}
		d.Reason, d.Sampling = m.reason(s, now), m.sampling
		switch {
		case !m.seen:
			d.State = Missing
		case d.Reason != "":
			d.State = Partial
		}
		c = append(c, d)
	}
	return c
}

// reason says why the day s isn't complete, "" if it is.
func (m *mark) reason(s span, now time.Time) Reason {
	switch {
	case m.old || s.from.Before(now.Add(-retention)):
		return TooOld
	case m.asked == 0: // not old, so ahead
		return NotOver
	case m.answered < m.asked:
		return NotAnswered
	case now.Before(s.to.Add(settled)):
		return NotOver
	case m.crowded:
		return TooMany
	case !m.seen:
		return NoRows
	case m.gap:
		return Gap
	default:
		return ""
	}
}

// verdict is the error of the whole question.
func (g *collector) verdict(stop *Error) error {
	stop = cmp.Or(stop, g.beside)
	if stop == nil {
		return nil
	}
	for _, m := range g.days {
		if m.answered > 0 || m.seen {
			return fmt.Errorf("%w: %w", ErrPartial, stop)
		}
	}
	return stop
}
