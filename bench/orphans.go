package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"example.org/mediamove/bench/gentree"
	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures/instance"
)

const (
	bareScan     = "bare listing + COPY"
	orphansFirst = "mediamove orphans"
	orphansAgain = "mediamove orphans, again"
	orphansKnown = "mediamove orphans, all of it moved before"
	missingLook  = "mediamove missing"
)

// The goals of a scan.
const (
	orphansMemoryMost  = 150 // MB
	orphansWallMost    = 1.5 // of the bare client's
	orphansQueriesMost = 6   // SELECTs for the objects of one page
)

// orphans1m looks for what nobody owns among a million objects, beside a client that
// only reads what anybody would have to read.
func orphans1m(ctx context.Context, h *harness, m measure) error {
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
	home := jobs[ours]
	moved := home // the same ledger, and another that has moved everything
	if moved.home, err = os.MkdirTemp(h.work, "home-"); err != nil {
		return err
	}
	defer os.RemoveAll(moved.home)
	if err := copyState(filepath.Join(home.home, "state"), filepath.Join(moved.home, "state")); err != nil {
		return err
	}
	keys := h.forest.specs[m.trees[1]].Files
	p, err := h.startMastodon(ctx, moved, keys-t.Files-sync.marks)
	if err != nil {
		return err
	}
	defer p.stop()
	return h.searched(ctx, m, &search{s, p, home, moved, keys, sync.marks})
}

// copyState copies a state folder, which nobody else may look into.
func copyState(from, to string) error {
	return errors.Join(os.Mkdir(to, 0o700), os.CopyFS(to, os.DirFS(from)))
}

// A search is what the clients look through.
type search struct {
	sink        *sinkProc
	mastodon    *mastodonProc
	home, moved job
	keys, marks int // in the bucket; of these mediamove's own
}

// searched runs the clients and judges them.
func (h *harness) searched(ctx context.Context, m measure, w *search) error {
	path, err := h.tools.ours(ctx)
	if err != nil {
		return err
	}
	bare, err := bareClient(bareScan, w.mastodon.DSN)
	if err != nil {
		return err
	}
	clients := []client{bare}
	for _, name := range []string{orphansFirst, orphansAgain, orphansKnown} {
		clients = append(clients, orphansClient(name, path, w.mastodon.Settings))
	}
	clients = append(clients, switchedClient(missingLook, path, w.mastodon.Settings, "missing", "--json"))
	state, fresh := filepath.Join(w.home.home, "state"), filepath.Join(h.work, "fresh")
	if err := copyState(state, fresh); err != nil {
		return err
	}
	defer os.RemoveAll(fresh)
	all, err := h.rounds(ctx, m, clients, false, func(ctx context.Context, c client) (sample, error) {
		if c.name == orphansFirst { // a ledger without marks
			if err := errors.Join(os.RemoveAll(state), copyState(fresh, state)); err != nil {
				return sample{}, err
			}
		}
		return h.lookedThrough(ctx, w, c)
	})
	if err != nil {
		return err
	}
	h.reportSearch(all, w)
	return nil
}

// lookedThrough is measured with what the database did, and fails unless c looked at
// everything.
func (h *harness) lookedThrough(ctx context.Context, w *search, c client) (sample, error) {
	j := w.home
	if c.name == orphansKnown {
		j = w.moved
	}
	before, err := w.mastodon.cpu()
	if err != nil {
		return sample{}, err
	}
	if _, w.mastodon.read, err = readStatements(w.mastodon.Log, w.mastodon.read); err != nil {
		return sample{}, err
	}
	got, err := h.measured(ctx, w.sink, c, j)
	if err != nil {
		return got, err
	}
	after, err := w.mastodon.cpu()
	if err != nil {
		return got, err
	}
	got.DatabaseCPU = after - before
	got.Others = max(0, got.Others-got.DatabaseCPU/got.Wall)
	if got.Statements, w.mastodon.read, err = readStatements(w.mastodon.Log, w.mastodon.read); err != nil {
		return got, err
	}
	b, err := os.ReadFile(c.stdout(j))
	if err != nil {
		return got, err
	}
	switch c.name {
	case bareScan:
		return got, w.checkBare(b, &got)
	case missingLook:
		return got, checkMissing(b)
	}
	return got, w.checkOrphans(b)
}

// checkBare holds what the bare client says against what is there.
func (w *search) checkBare(said []byte, got *sample) error {
	if err := json.Unmarshal(said, &got.Glance); err != nil {
		return fmt.Errorf("%s: %w", bareScan, err)
	}
	spec := w.mastodon.Spec
	// and the actor of the instance, an account like others
	rows := int64(spec.Attachments + spec.Accounts + 1 + spec.Emoji + spec.Cards + spec.SiteUploads)
	if got.Glance.Objects != w.keys || got.Glance.Rows != rows {
		return fmt.Errorf("%s: %d objects of %d, %d rows of %d", bareScan, got.Glance.Objects, w.keys, got.Glance.Rows, rows)
	}
	return nil
}

// checkMissing expects that every row was read and lacks nothing.
func checkMissing(said []byte) error {
	var saw struct {
		Required, Asked, Missing int
		Complete                 bool
	}
	if err := json.Unmarshal(said, &saw); err != nil {
		return fmt.Errorf("missing: %w", err)
	}
	if saw.Required == 0 || saw.Asked != 0 || saw.Missing != 0 || !saw.Complete {
		return fmt.Errorf("missing saw %+v", saw)
	}
	return nil
}

// checkOrphans holds what mediamove says against what is there: the moved file of the
// first run has no row either.
func (w *search) checkOrphans(said []byte) error {
	type sum struct{ Objects int }
	var saw struct {
		Objects                        int
		Owned, Orphan, Review, Unknown sum
		Complete                       bool
	}
	if err := json.Unmarshal(said, &saw); err != nil {
		return fmt.Errorf("orphans: %w", err)
	}
	is, planted := w.mastodon, w.mastodon.Planted
	if saw.Objects != w.keys-w.marks || saw.Owned.Objects != is.Owned || !saw.Complete ||
		saw.Review.Objects != planted[instance.KindReview] ||
		saw.Unknown.Objects != planted[instance.KindUnknown]+planted[instance.KindPrivate] ||
		saw.Orphan.Objects != saw.Objects-is.Owned-saw.Review.Objects-saw.Unknown.Objects {
		return fmt.Errorf("orphans saw %+v of %d keys, of which %d are owned, and planted %v", saw, w.keys, is.Owned, planted)
	}
	return nil
}

func (h *harness) reportSearch(all results, w *search) {
	spec, planted := w.mastodon.Spec, w.mastodon.Planted
	h.report.printf("%d keys. %d objects are owned by %d attachments, %d accounts, %d emoji, %d cards and %d site uploads; "+
		"%d nobody owns: %d orphans, %d to review, %d unknown, %d private.\n\n",
		w.keys, w.mastodon.Owned, spec.Attachments, spec.Accounts, spec.Emoji, spec.Cards, spec.SiteUploads, w.mastodon.unowned(),
		planted[instance.KindOrphan], planted[instance.KindReview], planted[instance.KindUnknown], planted[instance.KindPrivate])
	h.report.table(all, tree{Summary: gentree.Summary{Files: w.keys}})
	h.report.printf("| client | database CPU s | LIST | other requests | pages asked for | SELECTs for them | most for a page | SELECTs besides |\n|---|---|---|---|---|---|---|---|\n")
	for _, s := range all {
		last := s.samples[len(s.samples)-1]
		h.report.printf("| %s | %s | %d | %d | %d | %d | %d | %d |\n", s.name,
			seconds(s.of(func(s sample) float64 { return s.DatabaseCPU })), last.Requests.Ops.Get(costs.ListObjects),
			last.Requests.ClassA+last.Requests.ClassB-last.Requests.Ops.Get(costs.ListObjects),
			last.Statements.Pages, last.Statements.Rows, last.Statements.Most, last.Statements.Other)
	}
	h.report.printf("\n")
	bare := all.get(bareScan)
	h.report.printf("The bare client listed for %s s, and then copied for %s s.\n\n",
		seconds(bare.of(func(s sample) float64 { return s.Glance.List })), seconds(bare.of(func(s sample) float64 { return s.Glance.Copy })))
	for _, s := range all[1:] {
		if s.name == missingLook {
			h.report.goal(goal{text: s.name + ": peak memory, MB", value: s.of(rss).max / mb, limit: orphansMemoryMost})
			h.frugal(s, w.keys)
			continue
		}
		h.report.goal(goal{text: s.name + ": wall time against the bare client's", value: s.of(wall).med / bare.of(wall).med, limit: orphansWallMost})
		h.report.goal(goal{text: s.name + ": peak memory, MB", value: s.of(rss).max / mb, limit: orphansMemoryMost})
		h.report.goal(goal{
			text:  s.name + ": SELECTs for a page",
			value: s.of(func(s sample) float64 { return float64(s.Statements.Most) }).max, limit: orphansQueriesMost,
		})
		h.frugal(s, w.keys)
	}
}

// bareClient is this program, see [runBare].
func bareClient(name, dsn string, flags ...string) (client, error) {
	self, err := os.Executable()
	c := mediamoveClient("")
	c.name, c.says = name, true
	c.argv = func(job) []string { return append([]string{self, "bare", "-dsn", dsn}, flags...) }
	return c, err
}

// orphansClient scans.
func orphansClient(name, path string, database map[string]string) client {
	return switchedClient(name, path, database, "orphans", "--json")
}

// switchedClient runs a command that needs the database, after the switch: Mastodon
// writes to the bucket.
func switchedClient(name, path string, database map[string]string, command ...string) client {
	c := mediamoveClient(path)
	env := c.env
	c.name, c.says = name, true
	c.argv = func(j job) []string {
		return append(append([]string{path}, command...), "--state", filepath.Join(j.home, "state"))
	}
	c.env = func(j job) []string {
		all := append(env(j), "S3_ENABLED=true") // the last of a name counts
		for name, value := range database {
			if name != "LOCAL_DOMAIN" {
				all = append(all, name+"="+value)
			}
		}
		return all
	}
	return c
}

// A mastodonProc is [runMastodon] in a process of its own, on the server's core with
// its PostgreSQL.
type mastodonProc struct {
	estate
	cmd  *exec.Cmd
	read int64 // of the log
}

// startMastodon fills the bucket of j, and the ledger in its home unless there are flags.
func (h *harness) startMastodon(ctx context.Context, j job, objects int, flags ...string) (*mastodonProc, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &mastodonProc{}
	if flags == nil {
		flags = []string{"-state", filepath.Join(j.home, "state")}
	}
	argv := append([]string{"-c", strconv.Itoa(h.sinkCPU), self, "mastodon", "-sink", j.url, "-bucket", j.bucket, "-objects", strconv.Itoa(objects)}, flags...)
	p.cmd = exec.CommandContext(ctx, "taskset", argv...)
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	fmt.Fprintln(os.Stderr, "bench: making an instance of", objects, "objects")
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start Mastodon: %w", err)
	}
	if err := json.NewDecoder(out).Decode(&p.estate); err != nil {
		return nil, errors.Join(fmt.Errorf("start Mastodon: %w", err), p.cmd.Wait())
	}
	return p, nil
}

// stop lets it remove its database.
func (p *mastodonProc) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	_ = p.cmd.Wait()
}

// cpu is what PostgreSQL has used: its first process with the children that it waited
// for, and those that live.
func (p *mastodonProc) cpu() (float64, error) { return familyCPU(p.PID) }
