package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"example.org/mediamove/costs"
)

// filled uploads t with every client into a bucket of its own and returns where
// each keeps what it remembers. find has nothing to upload.
func (h *harness) filled(ctx context.Context, s *sinkProc, clients []client, t tree) (map[string]job, error) {
	jobs := make(map[string]job)
	for i, c := range clients {
		home, err := os.MkdirTemp(h.work, "home-")
		if err != nil {
			return nil, err
		}
		j := job{s.endpoint, t.dir, fmt.Sprintf("bucket-%d", i), home}
		jobs[c.name] = j
		if c.name == find {
			continue
		}
		if _, err := h.measured(ctx, s, c, j); err != nil {
			return nil, fmt.Errorf("first run: %w", err)
		}
	}
	return jobs, nil
}

// forget removes what the clients remembered, which may be a ledger of some 50
// MB each.
func forget(jobs map[string]job) {
	for _, j := range jobs {
		os.RemoveAll(j.home)
	}
}

// noop is the run that a timer starts every night.
func noop(ctx context.Context, h *harness, m measure) error {
	t, err := h.forest.get(ctx, "t100k", false)
	if err != nil {
		return err
	}
	h.report.tree(t)
	clients, err := h.clients(ctx, ours, mc)
	if err != nil {
		return err
	}
	s, err := h.startSink(ctx, false)
	if err != nil {
		return err
	}
	defer s.stop()
	jobs, err := h.filled(ctx, s, clients, t)
	if err != nil {
		return err
	}
	defer forget(jobs)
	all, err := h.rounds(ctx, m, clients, false, func(ctx context.Context, c client) (sample, error) {
		return h.measured(ctx, s, c, jobs[c.name])
	})
	if err != nil {
		return err
	}
	h.report.table(all, t)
	h.report.goal(goal{
		text:  "client CPU against mc's",
		value: all.get(ours).of(cpu).med / all.get(mc).of(cpu).med, limit: 0.5,
	})
	h.report.goal(goal{text: "requests other than the one GET of the owner mark", value: idle(all.get(ours)), limit: 0})
	return nil
}

// idle returns the most requests of a run besides one GET and the operations
// that are its work.
func idle(s series, work ...costs.Op) float64 {
	return s.of(func(s sample) float64 {
		n := -min(1, s.Requests.Ops.Get(costs.GetObject))
		for op, count := range s.Requests.Ops.All() {
			if !slices.Contains(work, op) {
				n += count
			}
		}
		return float64(n)
	}).max
}

// walk sets the walk and the ledger's look-ups against the best that a walk of
// folders alone can be. On one core like everything else; on both it is told too.
func walk(ctx context.Context, h *harness, m measure) error {
	t, err := h.forest.get(ctx, "e300k", false)
	if err != nil {
		return err
	}
	h.report.tree(t)
	clients, err := h.clients(ctx, ours, find)
	if err != nil {
		return err
	}
	s, err := h.startSink(ctx, false)
	if err != nil {
		return err
	}
	defer s.stop()
	jobs, err := h.filled(ctx, s, clients, t)
	if err != nil {
		return err
	}
	defer forget(jobs)
	both := clients[0]
	both.name, both.onBoth = ours+", both cores", true
	jobs[both.name] = jobs[ours]
	all, err := h.rounds(ctx, m, append(clients, both), false, func(ctx context.Context, c client) (sample, error) {
		return h.measured(ctx, s, c, jobs[c.name])
	})
	if err != nil {
		return err
	}
	h.report.table(all, t)
	for _, name := range []string{ours, both.name} {
		h.report.goal(goal{
			text:  name + ": wall time against find's",
			value: all.get(name).of(wall).med / all.get(find).of(wall).med, limit: 1.5,
		})
	}
	return nil
}

// dropCaches is how root makes a tree cold.
const dropCaches = "/proc/sys/vm/drop_caches"

// cold is the walk of a tree that the kernel has forgotten. Nothing is
// promised; it says what a first run after a reboot takes.
func cold(ctx context.Context, h *harness, m measure) error {
	if err := os.WriteFile(dropCaches, []byte("1\n"), 0); err != nil {
		h.report.printf("Not measured: only root can drop the page cache (%v).\n", err)
		return nil
	}
	t, err := h.forest.get(ctx, "t100k", true)
	if err != nil {
		return err
	}
	h.report.tree(t)
	h.report.printf("On %s. Before every run the kernel dropped its caches, binaries and ledger too.\n\n", filepath.Dir(t.dir))
	clients, err := h.clients(ctx, ours, find)
	if err != nil {
		return err
	}
	s, err := h.startSink(ctx, false)
	if err != nil {
		return err
	}
	defer s.stop()
	jobs, err := h.filled(ctx, s, clients, t)
	if err != nil {
		return err
	}
	defer forget(jobs)
	for i := range clients {
		clients[i].onBoth = true
	}
	all, err := h.rounds(ctx, m, clients, false, func(ctx context.Context, c client) (sample, error) {
		if err := os.WriteFile(dropCaches, []byte("3\n"), 0); err != nil {
			return sample{}, err
		}
		return h.measured(ctx, s, c, jobs[c.name])
	})
	if err != nil {
		return err
	}
	h.report.table(all, t)
	return nil
}
