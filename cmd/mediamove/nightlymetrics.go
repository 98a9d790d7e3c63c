package main

import (
	"context"
	"time"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/ledger"
)

// writeMetrics replaces the textfile, whatever the night was like.
func (r *nightlyReport) writeMetrics(ctx context.Context, runErr error) error {
	m := &metrics{budget: r.budget.Bytes, left: r.kept()}
	now := time.Now()
	m.end("nightly", now, runErr)
	for _, err := range r.errs {
		m.fail(err)
	}
	p := r.c.tariff.Of(now)
	used, err := r.c.ledger.MonthUsage(ctx, p.From.Start(), p.To.Start())
	if err != nil {
		return err
	}
	m.month = monthOf(used, r.c.tariff.Standard.ClassA.Free.IntPart(), p.From.Start(), p.To.Start(), now)
	if r.looked() {
		r.bucketMetrics(m)
	}
	r.parts(m, now)
	return m.save(ctx, r.o.metricsFile, r.c.ledger, now, r.c.log)
}

// parts tells how the jobs of the night ended that came to their work.
func (r *nightlyReport) parts(m *metrics, now time.Time) {
	if r.orphans != nil && (r.orphans.applied || r.orphans.err != nil) {
		m.end("orphans", now, r.orphans.outcome())
	}
	if r.prune != nil && r.prune.applied {
		m.end("prune", now, r.prune.outcome())
	}
}

func (r *nightlyReport) kept() map[string]int64 {
	left := map[string]int64{}
	if r.orphans != nil {
		for why, n := range r.orphans.kept {
			left[why] += n
		}
	}
	if r.prune != nil {
		for why, n := range r.prune.kept {
			left[why] += n
		}
	}
	return left
}

func (r *nightlyReport) bucketMetrics(m *metrics) {
	found := r.sweep.found
	m.removed, m.missing = r.removed(), r.missing
	m.listed, m.bucket, m.orphans = found.Scan.At, map[bucketPart]cleanup.Sum{}, map[orphanState]cleanup.Sum{}
	for h, s := range found.Scan.Holdings {
		part := bucketPart{h.Class, objectOwner(holderOf(h.Owner))}
		was := m.bucket[part]
		m.bucket[part] = cleanup.Sum{Objects: was.Objects + s.Objects, Bytes: was.Bytes + s.Bytes}
	}
	groups := sortGroups(found.Scan.Totals)
	m.orphans[orphanWaiting], m.orphans[orphanMayGo] = found.Waiting, found.Candidates
	m.orphans[orphanReview], m.orphans[orphanUnknown] = cleanup.Sum(ofKind(groups, ledger.Review)), cleanup.Sum(ofKind(groups, ledger.Unknown))
	for _, a := range found.Above {
		above := m.orphans[orphanAbove]
		m.orphans[orphanAbove] = cleanup.Sum{Objects: above.Objects + a.Candidates.Objects, Bytes: above.Bytes + a.Candidates.Bytes}
	}
	if r.forecast != nil {
		m.growth = &growthMetrics{bytesPerDay: r.forecast.BytesPerDay}
		if r.forecast.Crosses != nil {
			m.growth.crossing = *r.forecast.Crosses
		}
	}
}

// unbegun writes the metrics of a night that did not come to its work: who watches the
// last success alone learns of it a day late, and never why.
func (o *nightlyOptions) unbegun(ctx context.Context, w *world, budget cleanup.Budget, why error) error {
	if o.metricsFile == "" {
		return why
	}
	why, now := ended(ctx, why), time.Now()
	m := &metrics{budget: budget.Bytes}
	m.end("nightly", now, why)
	m.fail(why)
	ctx = context.WithoutCancel(ctx)
	var past metricHistory = noHistory{}
	if led, err := o.reader(ctx, w); err == nil {
		defer func() { _ = led.Close() }() // it was only read
		past = led
	}
	return also(why, m.save(ctx, o.metricsFile, past, now, w.logger(o.verbose)))
}

// noHistory is a ledger that can't be read.
type noHistory struct{}

// Runs knows none.
func (noHistory) Runs(context.Context, int) ([]ledger.Run, error) { return nil, nil }
