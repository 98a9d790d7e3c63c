package main

import (
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
	"example.org/mediamove/uploader"
)

// kills is how often the program is killed; of these, partKills while a file is
// under way in parts. TEST_KILLS asks for more, for a night.
func kills() (all, inParts int) {
	all, inParts = 500, 24
	if n, err := strconv.Atoi(os.Getenv("TEST_KILLS")); err == nil && n > 0 {
		all, inParts = n, n/20
	}
	return all, inParts
}

// A killer ends the process at a chosen request.
type killer struct {
	process atomic.Pointer[os.Process]
	when    atomic.Pointer[func(r fixtures.Request, stored int) bool] // requests of the dead may still be served
	stored  atomic.Int64
	fired   atomic.Int64 // objects stored at that moment; -1 before
}

// at says when the next process is killed.
func (k *killer) at(when func(r fixtures.Request, stored int) bool) { k.when.Store(&when) }

func (k *killer) fault(r fixtures.Request) fixtures.Fault {
	k.check(r)
	return fixtures.Fault{}
}

func (k *killer) check(r fixtures.Request) {
	stored := int(k.stored.Load())
	if p := k.process.Load(); p != nil && (*k.when.Load())(r, stored) && k.process.CompareAndSwap(p, nil) {
		k.fired.Store(int64(stored))
		_ = p.Signal(syscall.SIGKILL)
	}
}

// SIGKILL at any instant loses nothing, sends nothing twice beyond what was in
// flight and one commit group, overwrites nothing and leaves the tree untouched.
func TestKilled(t *testing.T) {
	t.Parallel()
	all, inParts := kills()
	var done, doneInParts int
	for seed := uint64(1); done < all; seed++ {
		large := doneInParts < inParts
		n, p := killChain(t, seed, large, all-done)
		done, doneInParts = done+n, doneInParts+p
		if n == 0 {
			t.Fatal("a chain without a kill: the test tests nothing")
		}
	}
	if doneInParts < inParts {
		t.Errorf("%d kills inside an upload in parts, want %d", doneInParts, inParts)
	}
	t.Logf("%d kills, %d of them inside an upload in parts", done, doneInParts)
}

// largeFile is sent in parts; it is sparse, and the bucket keeps its hash only.
const largeFile = r2.SinglePutMax + 1<<20

func never(fixtures.Request, int) bool { return false }

// killChain moves one instance through many kills to its end.
func killChain(t *testing.T, seed uint64, large bool, atMost int) (killed, inParts int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 0))
	k := new(killer)
	k.at(never)
	b := fixtures.NewBucket(fixtures.Options{
		Discard: true, Latency: 500 * time.Microsecond, Fault: k.fault,
		OnStored: func(key string, _ int) {
			if !media.Key(key).Reserved() {
				k.stored.Add(1)
			}
		},
	})
	spec := fixtures.Kill()
	spec.Files, spec.Seed = 600, seed
	if large {
		spec.Files, spec.Large = 80, []int64{largeFile}
	}
	s := newSite(t, listen(t, b), spec)
	before := s.sums()
	for killed < atMost || !large {
		from, step := int(k.stored.Load()), 1+rng.IntN(20)
		part := 1 + rng.IntN(int((largeFile+r2.PartSize(largeFile)-1)/r2.PartSize(largeFile)))
		inPart := large && killed%2 == 0
		k.at(func(r fixtures.Request, stored int) bool {
			if inPart {
				return r.Op == costs.UploadPart && r.Part >= part && stored > 0
			}
			return stored >= max(1, from+step) && stored < s.files.Moved.Files
		})
		ended, dead := s.runAndKill(k)
		if !dead {
			s.must(exitOK, ended)
			break
		}
		if at := k.fired.Load(); at < 1 || at >= int64(s.files.Moved.Files) {
			t.Fatalf("killed with %d of %d objects stored", at, s.files.Moved.Files)
		}
		if killed++; large && killed%2 == 1 {
			inParts++
		}
		s.resentBound(b, k)
		if killed >= atMost || (large && killed >= 16) {
			k.at(never)
			s.must(exitOK, s.sync())
			break
		}
	}
	s.arrived(b, before)
	after := s.sums()
	if len(after) != len(before) {
		t.Errorf("the tree has %d files, had %d", len(after), len(before))
	}
	for name, sum := range before {
		if after[name] != sum {
			t.Errorf("%s was changed on disk", name)
		}
	}
	return killed, inParts
}

// runAndKill runs a sync until it ends or k kills it.
func (s *site) runAndKill(k *killer, args ...string) (r result, dead bool) {
	s.t.Helper()
	cmd, stdout, stderr := s.command(s.t.Context(), append([]string{"sync", s.root, "--json"}, args...)...)
	k.fired.Store(-1)
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	k.process.Store(cmd.Process)
	err := cmd.Wait()
	k.process.Store(nil)
	if err != nil {
		if _, ok := errors.AsType[*exec.ExitError](err); !ok {
			s.t.Fatal(err)
		}
	}
	r = result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
	return r, cmd.ProcessState.Sys().(syscall.WaitStatus).Signaled()
}

// resentBound: every PUT beyond the objects stored was in flight at a kill, or of
// the one commit group that the kill undid.
func (s *site) resentBound(b *fixtures.Bucket, k *killer) {
	s.t.Helper()
	u := b.Usage()
	if list := u.Get(costs.ListObjects); list > 1 {
		s.t.Errorf("%d LIST requests: a continued run must not list", list)
	}
	led, err := ledger.OpenReader(s.t.Context(), s.state)
	if err != nil {
		s.t.Fatal(err)
	}
	defer led.Close()
	var known int64
	for _, err := range led.Entries(s.t.Context()) {
		if err != nil {
			s.t.Fatal(err)
		}
		known++
	}
	if lost := k.stored.Load() - known; lost > uploader.DefaultWorkers+ledger.GroupRows {
		s.t.Errorf("%d stored, %d known: more than what was in flight and one group", k.stored.Load(), known)
	}
}
