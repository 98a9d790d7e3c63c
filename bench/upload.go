package main

import (
	"context"
	"fmt"
	"time"
)

// upload100k is many small files: what a request costs.
func upload100k(ctx context.Context, h *harness, m measure) error {
	return h.upload(ctx, m, "t100k", false)
}

// upload10k is files as an instance has them, over TLS as R2 wants it.
func upload10k(ctx context.Context, h *harness, m measure) error {
	return h.upload(ctx, m, "t10k", true)
}

// upload compares whole uploads into an empty bucket.
func (h *harness) upload(ctx context.Context, m measure, name string, secure bool) error {
	t, err := h.forest.get(ctx, name, false)
	if err != nil {
		return err
	}
	h.report.tree(t)
	clients, err := h.clients(ctx, ours, rclone, rcloneNoHead, mc)
	if err != nil {
		return err
	}
	s, err := h.startSink(ctx, secure)
	if err != nil {
		return err
	}
	defer s.stop()
	all, err := h.rounds(ctx, m, clients, false, func(ctx context.Context, c client) (sample, error) {
		return h.fresh(ctx, s, c, t)
	})
	if err != nil {
		return err
	}
	h.report.table(all, t)
	ratio := all.get(ours).of(cpu).med / all.get(mc).of(cpu).med
	h.report.goal(goal{text: "client CPU against mc's", value: ratio, limit: 0.5})
	h.report.goal(goal{text: "the same, what is aimed for", value: ratio, limit: 0.35})
	return nil
}

// latency shows whether a client finds a pace that a far server needs.
func latency(ctx context.Context, h *harness, m measure) error {
	t, err := h.forest.get(ctx, "t10k", false)
	if err != nil {
		return err
	}
	h.report.tree(t)
	clients, err := h.clients(ctx, ours, rclone, rcloneNoHead, mc)
	if err != nil {
		return err
	}
	s, err := h.startSink(ctx, false)
	if err != nil {
		return err
	}
	defer s.stop()
	for _, added := range []time.Duration{20 * time.Millisecond, 150 * time.Millisecond} {
		if _, err := s.control(ctx, "/_latency?d="+added.String()); err != nil {
			return err
		}
		h.report.printf("### %v\n\nA client more than %d times slower than the best is not run again.\n\n", added, hopeless)
		m := m
		m.name = fmt.Sprintf("%s %v", m.name, added)
		all, err := h.rounds(ctx, m, clients, true, func(ctx context.Context, c client) (sample, error) {
			return h.fresh(ctx, s, c, t)
		})
		if err != nil {
			return err
		}
		h.report.table(all, t)
		name, best := all.best(wall, rclone, rcloneNoHead, mc)
		h.report.goal(goal{
			text:  fmt.Sprintf("wall time at %v against the better peer's (%s)", added, name),
			value: all.get(ours).of(wall).med / best, limit: 0.6,
			void: bounded(all.get(ours), all.get(name)),
		})
		h.report.printf("\n")
	}
	return nil
}
