package main

import (
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/ledger"
)

// bookedA is what the ledger knows of Class A in this month.
func (s *site) bookedA() int64 {
	s.t.Helper()
	led, err := ledger.OpenReader(s.t.Context(), s.state)
	if err != nil {
		s.t.Fatal(err)
	}
	defer led.Close()
	now := time.Now().UTC()
	used, err := led.MonthUsage(s.t.Context(), time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC), now.AddDate(0, 0, 1))
	if err != nil {
		s.t.Fatal(err)
	}
	return used.A()
}

// killedAt runs a sync that is killed at its n-th PUT.
func (m *moved) killedAt(n int64, args ...string) {
	m.t.Helper()
	var process atomic.Pointer[os.Process]
	var puts atomic.Int64
	m.b.SetFault(func(r fixtures.Request) fixtures.Fault {
		if p := process.Load(); r.Op == costs.PutObject && puts.Add(1) >= n && p != nil && process.CompareAndSwap(p, nil) {
			_ = p.Signal(syscall.SIGKILL)
		}
		return fixtures.Fault{}
	})
	cmd, _, _ := m.command(m.t.Context(), append([]string{"sync", m.root}, args...)...)
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	process.Store(cmd.Process)
	_ = cmd.Wait()
	m.quiet()
	m.b.SetFault(nil)
}

// Whenever a run is killed, what it sent is in the books: at most a block too much, and
// never too little. So --max-cost is never passed, not by ten killed runs either.
func TestKilledRunsAreInTheBooks(t *testing.T) {
	t.Parallel()
	b := fixtures.NewBucket(fixtures.Options{})
	m := &moved{newSite(t, listen(t, b), fixtures.Mixed(1500)), b}
	const before = 999_300
	bookUsage(t, m.state, time.Now(), costs.Usage{costs.PutObject: before})
	for kills := range 4 {
		m.killedAt(int64(20+90*kills), "--max-cost", "0")
		sent, booked := b.Usage().A(), m.bookedA()-before
		if booked < sent || booked > sent+int64(kills+1)*bookBlock {
			t.Fatalf("after %d kills the bucket got %d Class A, the books have %d", kills+1, sent, booked)
		}
		if before+sent > 1_000_000 {
			t.Fatalf("%d Class A: the limit was passed", before+sent)
		}
	}
	if r := m.sync("--max-cost", "0"); r.code != exitLeft || before+b.Usage().A() > 1_000_000 {
		t.Errorf("%d Class A, %v", before+b.Usage().A(), r)
	}
	// An end in order leaves nothing booked ahead.
	booked := m.bookedA()
	m.must(exitOK, m.sync())
	if got := m.bookedA() - booked; got > int64(m.files.Moved.Files) {
		t.Errorf("%d booked by the last run", got)
	}
}

// An empty limit is a mistake in a script, not "none".
func TestEmptyLimits(t *testing.T) {
	t.Parallel()
	m := &moved{newSite(t, "http://127.0.0.1:1", fixtures.Mixed(5)), nil}
	for _, args := range [][]string{
		{"sync", m.root, "--max-cost", ""},
		{"sync", m.root, "--max-cost="},
		{"verify", "--max-cost", ""},
		{"sync", "--dry-run", m.root, "--max-cost", "junk"},
		{"sync", "--dry-run", m.root, "--max-class-a", "-5"},
	} {
		if r := m.run(args...); r.code != exitUsage || !strings.Contains(r.stderr, "--max-") {
			t.Errorf("%v: %v", args, r)
		}
	}
}
