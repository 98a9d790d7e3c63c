package main

import (
	"context"
	"fmt"
)

// big is where bytes cost, not requests.
func big(ctx context.Context, h *harness, m measure) error {
	clients, err := h.clients(ctx, ours, mc)
	if err != nil {
		return err
	}
	s, err := h.startSink(ctx, false)
	if err != nil {
		return err
	}
	defer s.stop()
	for _, name := range m.trees {
		t, err := h.forest.get(ctx, name, false)
		if err != nil {
			return err
		}
		h.report.printf("### %s\n\n", name)
		h.report.tree(t)
		all, err := h.rounds(ctx, m, clients, false, func(ctx context.Context, c client) (sample, error) {
			return h.fresh(ctx, s, c, t)
		})
		if err != nil {
			return err
		}
		h.report.table(all, t)
		h.report.goal(goal{
			text:  "wall time against mc's",
			value: all.get(ours).of(wall).med / all.get(mc).of(wall).med, limit: 1,
			void: bounded(all...),
		})
		h.report.goal(goal{text: "peak memory, MB", value: all.get(ours).of(rss).max / mb, limit: memoryMost})
		h.report.printf("\n")
	}
	return nil
}

const (
	mb         = 1e6
	memoryMost = 64  // MB
	sameMemory = 1.1 // how far two peaks may be apart and still be the same
)

// memory compares peaks at 10,000 and at 300,000 files, moved and found again.
func memory(ctx context.Context, h *harness, m measure) error {
	clients, err := h.clients(ctx, ours)
	if err != nil {
		return err
	}
	s, err := h.startSink(ctx, false)
	if err != nil {
		return err
	}
	defer s.stop()
	peaks := make(map[string]float64)
	for _, name := range m.trees {
		t, err := h.forest.get(ctx, name, false)
		if err != nil {
			return err
		}
		h.report.printf("### %s\n\n", name)
		h.report.tree(t)
		first, err := h.rounds(ctx, m, clients, false, func(ctx context.Context, c client) (sample, error) {
			return h.fresh(ctx, s, c, t)
		})
		if err != nil {
			return err
		}
		second, err := h.second(ctx, s, m, clients, t)
		if err != nil {
			return err
		}
		second[0].name += ", again"
		h.report.table(append(first, second...), t)
		peaks[name] = max(first[0].of(rss).max, second[0].of(rss).max)
	}
	for _, name := range m.trees {
		h.report.goal(goal{text: "peak memory with " + name + ", MB", value: peaks[name] / mb, limit: memoryMost})
	}
	small, large := m.trees[0], m.trees[1]
	h.report.goal(goal{
		text:  fmt.Sprintf("peak with %s against the peak with %s", large, small),
		value: peaks[large] / peaks[small], limit: sameMemory,
	})
	return nil
}

// second measures runs that find nothing to do.
func (h *harness) second(ctx context.Context, s *sinkProc, m measure, clients []client, t tree) (results, error) {
	if _, err := s.control(ctx, "/_wipe"); err != nil {
		return nil, err
	}
	jobs, err := h.filled(ctx, s, clients, t)
	if err != nil {
		return nil, err
	}
	defer forget(jobs)
	m.name += " again"
	return h.rounds(ctx, m, clients, false, func(ctx context.Context, c client) (sample, error) {
		return h.measured(ctx, s, c, jobs[c.name])
	})
}
