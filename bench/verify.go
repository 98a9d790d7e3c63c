package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"example.org/mediamove/bench/gentree"
	"example.org/mediamove/costs"
)

// pageKeys is how many keys a listing answer holds at most.
const pageKeys = 1000

// verify100k compares a whole tree with a bucket that holds all of it: the
// question that `rclone check` answers. mediamove has its ledger besides and so
// reads no file; rclone reads them all, unless it looks at sizes only.
func verify100k(ctx context.Context, h *harness, m measure) error {
	t, err := h.forest.get(ctx, "t100k", false)
	if err != nil {
		return err
	}
	h.report.tree(t)
	clients, err := h.clients(ctx, ours, verifyListing, verifyRoot, checkSize, checkHash)
	if err != nil {
		return err
	}
	s, err := h.startSink(ctx, false)
	if err != nil {
		return err
	}
	defer s.stop()
	jobs, err := h.filled(ctx, s, clients[:1], t)
	if err != nil {
		return err
	}
	defer forget(jobs)
	all, err := h.rounds(ctx, m, clients[1:], false, func(ctx context.Context, c client) (sample, error) {
		return h.verified(ctx, s, c, jobs[ours], t.Files)
	})
	if err != nil {
		return err
	}
	h.report.table(all, t)
	for _, peer := range []string{checkSize, checkHash} {
		a, b := all.get(verifyRoot), all.get(peer)
		h.report.goal(goal{
			text:  a.name + ": wall time against that of " + peer,
			value: a.of(wall).med / b.of(wall).med, limit: 0.5, void: bounded(a, b),
		})
		h.report.goal(goal{
			text:  a.name + ": client CPU against that of " + peer,
			value: a.of(cpu).med / b.of(cpu).med, limit: 0.5,
		})
	}
	for _, name := range []string{verifyListing, verifyRoot} {
		h.frugal(all.get(name), t.Files+clients[0].marks)
	}
	return nil
}

// verifyMemoryMost is the most memory in MB that a verify may take.
const verifyMemoryMost = 100

// verify1m compares a ledger with a listing, without a tree: first of 100,000
// objects, to see whether memory grows, then of a million.
func verify1m(ctx context.Context, h *harness, m measure) error {
	clients, err := h.clients(ctx, ours, verifyListing)
	if err != nil {
		return err
	}
	peaks := make(map[string]float64)
	for _, name := range m.trees[1:] {
		s, err := h.crowd(ctx, m, clients, name)
		if err != nil {
			return err
		}
		peaks[name] = s.of(rss).max
	}
	few, many := m.trees[1], m.trees[2]
	h.report.goal(goal{text: "peak memory with " + many + ", MB", value: peaks[many] / mb, limit: verifyMemoryMost})
	h.report.goal(goal{
		text:  fmt.Sprintf("peak with %s against the peak with %s", many, few),
		value: peaks[many] / peaks[few], limit: sameMemory,
	})
	return nil
}

// crowd measures a bucket with as many objects as the named spec has files: one
// that was really uploaded, so that bucket and ledger know each other, and the
// rest only said to be there.
func (h *harness) crowd(ctx context.Context, m measure, clients []client, name string) (series, error) {
	t, err := h.forest.get(ctx, m.trees[0], false)
	if err != nil {
		return series{}, err
	}
	s, err := h.startSink(ctx, false)
	if err != nil {
		return series{}, err
	}
	defer s.stop()
	jobs, err := h.filled(ctx, s, clients[:1], t)
	if err != nil {
		return series{}, err
	}
	defer forget(jobs)
	spec := h.forest.specs[name]
	spec.Files -= t.Files
	if err := h.fill(ctx, jobs[ours], spec); err != nil {
		return series{}, err
	}
	n := t.Files + spec.Files
	m.name += " " + name
	all, err := h.rounds(ctx, m, clients[1:], false, func(ctx context.Context, c client) (sample, error) {
		return h.verified(ctx, s, c, jobs[ours], n)
	})
	if err != nil {
		return series{}, err
	}
	h.report.printf("### %s\n\n%d objects in ledger and bucket, no tree.\n\n", name, n)
	h.report.table(all, tree{Summary: gentree.Summary{Files: n}})
	h.frugal(all[0], n+clients[0].marks)
	h.report.printf("\n")
	return all[0], nil
}

// verified is measured, and fails unless c found every one of n objects to be
// the same: a pass that ends early is quick.
func (h *harness) verified(ctx context.Context, s *sinkProc, c client, j job, n int) (sample, error) {
	got, err := h.measured(ctx, s, c, j)
	if err != nil || !c.says {
		return got, err // the others say it by their exit status
	}
	b, err := os.ReadFile(c.stdout(j))
	if err != nil {
		return got, err
	}
	var said struct{ Same int }
	if err := json.Unmarshal(b, &said); err != nil {
		return got, fmt.Errorf("%s: %w", c.name, err)
	}
	if said.Same != n {
		return got, fmt.Errorf("%s found %d of %d objects to be the same", c.name, said.Same, n)
	}
	return got, nil
}

// frugal judges the requests of a pass over a bucket with so many keys: a LIST
// per page and the GET of the owner mark.
func (h *harness) frugal(s series, keys int) {
	lists := s.of(func(s sample) float64 { return float64(s.Requests.Ops.Get(costs.ListObjects)) })
	h.report.goal(goal{text: s.name + ": LISTs", value: lists.max, limit: float64((keys + pageKeys - 1) / pageKeys)})
	h.report.goal(goal{text: s.name + ": requests other than these and one GET", value: idle(s, costs.ListObjects), limit: 0})
}
