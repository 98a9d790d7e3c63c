package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"example.org/mediamove/bench/sink"
	"example.org/mediamove/costs"
)

// killLatency keeps some requests in flight at the moment of the kill.
const killLatency = 5 * time.Millisecond

// A resume is a run that goes on after a SIGKILL.
type resume struct {
	second   sample
	there    int   // objects stored when it began
	inFlight int64 // most requests at once in the first run
}

// kill counts what a second run repeats. A write to a key that is there was
// sent twice; a HEAD or a LIST asks the bucket for what the ledger should know.
func kill(ctx context.Context, h *harness, m measure) error {
	t, err := h.forest.get(ctx, "t10k", false)
	if err != nil {
		return err
	}
	h.report.tree(t)
	clients, err := h.clients(ctx, ours, rclone, mc)
	if err != nil {
		return err
	}
	s, err := h.startSink(ctx, false)
	if err != nil {
		return err
	}
	defer s.stop()
	if _, err := s.control(ctx, "/_latency?d="+killLatency.String()); err != nil {
		return err
	}
	resumes := make(map[string][]resume)
	all, err := h.rounds(ctx, m, clients, false, func(ctx context.Context, c client) (sample, error) {
		r, err := h.killAndResume(ctx, s, c, t)
		resumes[c.name] = append(resumes[c.name], r)
		return r.second, err
	})
	if err != nil {
		return err
	}
	h.report.printf("The second run:\n\n")
	h.report.table(all, t)
	h.report.resumes(clients, resumes)
	h.resumeGoals(resumes[ours])
	return nil
}

// resumes prints what the second runs asked of the bucket, round by round: a
// median would hide the one that went wrong.
func (r *report) resumes(clients []client, resumes map[string][]resume) {
	r.printf("| client | round | there at restart | at once before the kill | PUT | of these sent twice | HEAD | LIST |\n")
	r.printf("|---|---|---|---|---|---|---|---|\n")
	for _, c := range clients {
		for i, one := range resumes[c.name] {
			ops := one.second.Requests.Ops
			r.printf("| %s | %d | %d | %d | %d | %d | %d | %d |\n", c.name, i+1, one.there, one.inFlight,
				ops.Get(costs.PutObject), one.second.Requests.Existing,
				ops.Get(costs.HeadObject), ops.Get(costs.ListObjects))
		}
	}
	r.printf("\n")
}

// resumeGoals judges the worst round. A HEAD is allowed for each object that
// was sent twice: its refusal has to be compared with what is there.
func (h *harness) resumeGoals(all []resume) {
	var twice, excess, asked int64
	for _, r := range all {
		ops := r.second.Requests.Ops
		twice = max(twice, r.second.Requests.Existing)
		excess = max(excess, r.second.Requests.Existing-r.inFlight-h.group)
		asked = max(asked, ops.Get(costs.ListObjects)+max(0, ops.Get(costs.HeadObject)-r.second.Requests.Existing))
	}
	h.report.goal(goal{
		text:  fmt.Sprintf("sent twice beyond what was in flight and one commit group of %d (%d sent twice)", h.group, twice),
		value: float64(excess), limit: 0,
	})
	h.report.goal(goal{text: "HEAD and LIST for what the ledger knows", value: float64(asked), limit: 0})
}

// killAndResume runs c until half of the tree is stored, kills it in a way that
// it cannot prepare for, waits until the server has finished with what was on
// its way, and runs it again with the same state.
func (h *harness) killAndResume(ctx context.Context, s *sinkProc, c client, t tree) (r resume, err error) {
	if _, err := s.control(ctx, "/_wipe"); err != nil {
		return r, err
	}
	home, err := os.MkdirTemp(h.work, "home-")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(home)
	j := job{s.endpoint, t.dir, "bench", home}
	p, err := h.launch(ctx, c, j)
	if err != nil {
		return r, err
	}
	half, err := s.until(ctx, func(st sink.Stats) bool { return st.Objects >= t.Files/2 || !p.alive() })
	_ = p.cmd.Process.Kill()
	if _, waitErr := p.wait(); err == nil && waitErr == nil {
		err = fmt.Errorf("%s ended before it was killed", c.name)
	}
	if err != nil {
		return r, err
	}
	rest, err := s.until(ctx, func(st sink.Stats) bool { return st.InFlight == 0 })
	if err != nil {
		return r, err
	}
	r.there, r.inFlight = rest.Objects, half.Peak
	if r.there < t.Files/2 {
		return r, fmt.Errorf("%s ended by itself after %d objects", c.name, r.there)
	}
	r.second, err = h.measured(ctx, s, c, j)
	if got := r.second.Requests.Objects - c.marks; err == nil && got != t.Files {
		err = fmt.Errorf("%s stored %d objects of %d in two runs", c.name, got, t.Files)
	}
	return r, err
}

// until asks for the sink's counters every 2 ms until they are as wished.
func (s *sinkProc) until(ctx context.Context, wished func(sink.Stats) bool) (sink.Stats, error) {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		st, err := s.control(ctx, "/_stats")
		if err != nil || wished(st) {
			return st, err
		}
		select {
		case <-ctx.Done():
			return st, context.Cause(ctx)
		case <-tick.C:
		}
	}
}
