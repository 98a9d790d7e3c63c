package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"example.org/mediamove/cleanup"
)

const (
	bareColumns = "bare listing + COPY, and what prune asks besides"
	prunePlan   = "mediamove prune"
	pruneApply  = "mediamove prune --apply"
)

// The goals of a prune.
const (
	pruneMemoryMost = 150 // MB
	pruneWallMost   = 1.5 // of the bare client's
	deletionsMost   = 60  // requests for 50,000 objects: ten by themselves, then 1,000 in each
)

// prune1m plans how a bucket that is 8 % over its budget comes down to it, beside clients
// that only read what anybody would have to read, and then lets a twentieth of it go.
func prune1m(ctx context.Context, h *harness, m measure) error {
	t, err := h.forest.get(ctx, m.trees[0], false)
	if err != nil {
		return err
	}
	sync, err := h.client(ctx, ours)
	if err != nil {
		return err
	}
	s, err := h.startSink(ctx, false)
	if err != nil {
		return err
	}
	defer s.stop()
	jobs, err := h.filled(ctx, s, []client{sync}, t)
	if err != nil {
		return err
	}
	defer forget(jobs)
	keys := h.forest.specs[m.trees[1]].Files
	p, err := h.startMastodon(ctx, jobs[ours], keys-t.Files-sync.marks, "-cache")
	if err != nil {
		return err
	}
	defer p.stop()
	w := &pruning{sink: s, mastodon: p, home: jobs[ours], keys: keys, marks: sync.marks, bytes: p.Bytes + t.Bytes}
	if w.path, err = h.tools.ours(ctx); err != nil {
		return err
	}
	if err := h.nights(ctx, w); err != nil {
		return err
	}
	if err := h.planned(ctx, m, w); err != nil || h.quick {
		return err // the ten minutes' wait is too long to try the harness
	}
	return h.applied(ctx, m, w)
}

// A pruning is the instance whose bucket is too full.
type pruning struct {
	sink        *sinkProc
	mastodon    *mastodonProc
	home        job
	path        string // of mediamove
	keys, marks int    // in the bucket; of these mediamove's own
	bytes       int64  // in the bucket without the marks
}

// budget is what the bucket is 8 % over.
func (w *pruning) budget() int64 { return w.bytes * 100 / 108 }

// client runs mediamove with the settings of the instance.
func (w *pruning) client(name string, command ...string) client {
	return switchedClient(name, w.path, w.mastodon.Settings, command...)
}

// nights binds, and lets a night go by: what is known as owned counts after 20 hours, by
// the server's clock. Nothing of it is measured.
func (h *harness) nights(ctx context.Context, w *pruning) error {
	bind := w.client("mediamove bind", "bind", "--json")
	argv := bind.argv
	bind.argv = func(j job) []string { // the domain is typed
		return append([]string{"sh", "-c", `echo bench.example | exec "$0" "$@"`}, argv(j)...)
	}
	if _, err := h.measured(ctx, w.sink, bind, w.home); err != nil {
		return err
	}
	_, err := w.sink.control(ctx, "/_clock?ahead=25h")
	return err
}

// A pruned is what --json says.
type pruned struct {
	Objects  int
	Bytes    int64
	Orphans  struct{ Objects, Bytes int64 }
	Rows     int
	Freed    struct{ Objects, Bytes int64 }
	Share    float64 `json:"share_percent"`
	Short    int64   `json:"short_bytes"`
	After    int64   `json:"bytes_after"`
	Guards   []refusable
	Cleared  int `json:"rows_cleared"`
	Skipped  int `json:"rows_skipped"`
	Removed  struct{ Objects, Bytes int64 }
	Refusal  string
	Complete bool
}

// A refusable is a guard, and whether it refused.
type refusable struct {
	Name, Reason string
	Refused      bool
}

// refusals are the guards that forbid what would be done with --apply.
func (p *pruned) refusals() []refusable {
	return slices.DeleteFunc(slices.Clone(p.Guards), func(g refusable) bool { return !g.Refused })
}

// planned makes plans in turn with the bare clients, and judges them.
func (h *harness) planned(ctx context.Context, m measure, w *pruning) error {
	least, err1 := bareClient(bareScan, w.mastodon.DSN)
	bare, err2 := bareClient(bareColumns, w.mastodon.DSN, "-prune")
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	plan := w.client(prunePlan, "prune", "--json", "--budget", sizeFlag(w.budget()))
	var said pruned
	all, err := h.rounds(ctx, m, []client{least, bare, plan}, false, func(ctx context.Context, c client) (_ sample, err error) {
		got, err := h.weighed(ctx, w, c)
		if err != nil {
			return got, err
		}
		if c.name != prunePlan {
			return got, w.checkBare(c, &got)
		}
		said, err = w.checkPlan(c)
		return got, err
	})
	if err != nil {
		return err
	}
	h.reportPlan(all, w, &said)
	return nil
}

func sizeFlag(bytes int64) string { return strconv.FormatInt(bytes, 10) + "B" }

// weighed is measured, with what the database used.
func (h *harness) weighed(ctx context.Context, w *pruning, c client) (sample, error) {
	before, err := w.mastodon.cpu()
	if err != nil {
		return sample{}, err
	}
	got, err := h.measured(ctx, w.sink, c, w.home)
	if err != nil {
		return got, err
	}
	after, err := w.mastodon.cpu()
	got.DatabaseCPU = after - before
	got.Others = max(0, got.Others-got.DatabaseCPU/got.Wall)
	return got, err
}

// checkBare holds what a bare client says against what is there.
func (w *pruning) checkBare(c client, got *sample) error {
	b, err := os.ReadFile(c.stdout(w.home))
	if err != nil {
		return err
	}
	search := &search{mastodon: w.mastodon, keys: w.keys}
	if err := search.checkBare(b, got); err != nil {
		return err
	}
	if c.name == bareColumns && got.Glance.Others < int64(w.mastodon.Spec.Statuses) {
		return fmt.Errorf("%s: %d rows of posts and what was done with them", c.name, got.Glance.Others)
	}
	return nil
}

// said reads what a prune has printed. It counts only if all of the bucket was looked at,
// and no guard has anything against it.
func (w *pruning) said(c client, there int, bytes int64) (p pruned, err error) {
	b, err := os.ReadFile(c.stdout(w.home))
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal(b, &p); err != nil {
		return p, fmt.Errorf("%s: %w", c.name, err)
	}
	if refused := p.refusals(); p.Objects != there || p.Bytes != bytes || !p.Complete || p.Refusal != "" || len(refused) > 0 {
		return p, fmt.Errorf("%s saw %d of %d objects and %d of %d bytes, whole: %v, refused: %q %v", c.name, p.Objects, there, p.Bytes, bytes, p.Complete, p.Refusal, refused)
	}
	return p, nil
}

// checkPlan expects a plan that reaches its target, 95 % of the budget, with as little
// as that takes: one row more or less.
func (w *pruning) checkPlan(c client) (pruned, error) {
	p, err := w.said(c, w.keys-w.marks, w.bytes)
	if err != nil {
		return p, err
	}
	need := p.Bytes - p.Orphans.Bytes - w.budget()/100*95
	const largestRow = 4 * (99 << 20) // two originals and their small ones
	if p.Rows == 0 || p.Short != 0 || p.Freed.Bytes < need || p.Freed.Bytes > need+largestRow {
		return p, fmt.Errorf("%s: %+v, and %d bytes have to go", c.name, p, need)
	}
	return p, nil
}

// A choice is the beginning of a plan, which is made once more as a run of its own.
type choice struct {
	rows    map[int64]struct{}
	objects map[string]struct{}
	bytes   int64
}

// choose saves a plan, and takes the first of its rows that hold no more than so many
// objects: the documented order goes on from there.
func (h *harness) choose(ctx context.Context, w *pruning, most int) (*choice, pruned, error) {
	file := filepath.Join(h.work, "plan.json")
	save := w.client("mediamove prune --save", "prune", "--json", "--budget", sizeFlag(w.budget()), "--save", file)
	if _, err := h.measured(ctx, w.sink, save, w.home); err != nil {
		return nil, pruned{}, err
	}
	defer os.RemoveAll(file)
	said, err := w.checkPlan(save)
	if err != nil {
		return nil, said, err
	}
	plan, err := cleanup.OpenPlan(file)
	if err != nil {
		return nil, said, err
	}
	ch, err := firstOf(plan.List(ctx), most)
	if err == nil && plan.Candidates.Objects < int64(most) {
		err = fmt.Errorf("only %d objects may go in a plan, %d are to", plan.Candidates.Objects, most)
	}
	return ch, said, err
}
