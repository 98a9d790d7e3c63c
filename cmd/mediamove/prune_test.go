package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures/instance"
	"example.org/mediamove/ledger"
)

// What goes is the beginning of the documented order, just enough to reach the target, on
// generated instances of each schema; the plan says so beforehand; a second run does
// nothing.
func TestPruneOrder(t *testing.T) {
	t.Parallel()
	for seed, version := range []string{"3.5", "4.2", "4.4", "4.6"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			c := newCached(t, instance.Small(uint64(seed+20), version), 40)
			dice := rand.New(rand.NewPCG(uint64(seed), 6))
			rows := c.ordered(pruneAge)
			if len(rows) < 30 {
				t.Fatalf("only %d rows may go", len(rows))
			}
			for round := range 3 {
				c.round(dice, round)
			}
		})
	}
}

// round prunes to a target that is drawn.
func (c *cached) round(dice *rand.Rand, round int) {
	c.t.Helper()
	full, rows, named := c.full(), c.ordered(pruneAge), c.named()
	var may int64
	for i := range rows {
		may += rows[i].holds()
	}
	if may != full.Open.Bytes {
		c.t.Fatalf("%d bytes may go, prune says %d", may, full.Open.Bytes)
	}
	own := full.Bytes - full.Orphans.Bytes
	need := 1 + dice.Int64N(may/3)
	n, freed := enough(rows, need)
	budget := own - 1 - dice.Int64N(need)
	args := []string{"--budget", sizeFlag(budget), "--target", sizeFlag(own - need), "--allow-share", "100"}
	code := exitOK
	if own-freed+full.Orphans.Bytes > budget { // orphans keep it over
		code = exitLeft
	}
	before := c.stands()
	plan := c.prune(code, args...)
	if plan.Rows != int64(n) || plan.Freed.Bytes != freed || plan.Applied || len(missing(before, c.stands())) > 0 {
		c.t.Fatalf("round %d: of %d bytes %d rows with %d bytes have to go, planned: %+v", round, need, n, freed, plan)
	}
	out := c.prune(code, append(args, "--apply")...)
	if out.Removed.Bytes != freed || out.Cleared != int64(n) || out.Skipped != 0 {
		c.t.Fatalf("round %d: %d rows with %d bytes: %+v", round, n, freed, out)
	}
	c.without(before, rows[:n])
	after := c.named()
	for id, was := range named {
		if now, ok := after[id]; ok && now != was {
			c.t.Errorf("%s is %q, and was %q", id, now, was)
		}
	}
	if len(named)-len(after) != n {
		c.t.Errorf("%d rows name no file any more, want %d", len(named)-len(after), n)
	}
	used := c.bucket.Usage()
	again := c.prune(code, append(args, "--apply")...)
	if again.Cleared != 0 || again.Removed.Objects != 0 || again.Rows != 0 || again.ClassA > plan.ClassA {
		c.t.Errorf("the second run: %+v", again)
	}
	if u := c.bucket.Usage().Sub(used); u.Get(costs.DeleteObject)+u.Get(costs.DeleteObjects)+u.Get(costs.PutObject) > 0 {
		c.t.Errorf("the second run sent %+v", u)
	}
	c.journalled(out.Run, n)
}

// journalled: every row that the run cleared is done, with its columns.
func (c *cached) journalled(run int64, rows int) {
	c.t.Helper()
	led := c.reader()
	defer led.Close()
	done := 0
	for v, err := range led.Clearings(c.t.Context(), ledger.ClearingQuery{Run: run}) {
		if err != nil || v.State != ledger.ClearDone || !strings.Contains(string(v.Columns), "_file_name") {
			c.t.Errorf("%+v %s: %v", v, v.Columns, err)
		}
		done++
	}
	if done != rows {
		c.t.Errorf("%d rows in the journal, want %d", done, rows)
	}
}

// Both tables, and all that --min-age spares.
func TestPruneAll(t *testing.T) {
	t.Parallel()
	c := newCached(t, instance.Small(31, "4.6"), 0)
	for _, weeks := range []int{5, 3} {
		minAge := c.now().Sub(c.now().AddDate(0, 0, -7*weeks))
		rows, before, full := c.ordered(minAge), c.stands(), c.full()
		args := []string{"--budget", "1000B", "--min-age", minAge.String(), "--allow-share", "100", "--apply"}
		out := c.prune(exitLeft, args...)
		if out.Cleared != int64(len(rows)) || out.Short != full.Bytes-950-out.Removed.Bytes {
			t.Fatalf("%d rows may go: %+v", len(rows), out)
		}
		c.without(before, rows)
		if r := c.clean(append([]string{"prune"}, args...)...); r.code != exitLeft || !strings.Contains(r.stdout, "what may go does not reach the target: ") {
			t.Errorf("short: %v", r)
		}
	}
}

// More than a fifth of the cache wants a word.
func TestPruneShare(t *testing.T) {
	t.Parallel()
	c := newCached(t, instance.Small(32, "4.6"), 0)
	full := c.full()
	at := func(share float64) []string {
		target := sizeFlag(full.Bytes - int64(share/100*float64(full.Cached.Bytes)))
		return []string{"--budget", target, "--target", target}
	}
	before, named := c.stands(), c.named()
	for _, args := range [][]string{at(21), append(at(30), "--allow-share", "25"), append(at(22), "--allow-share", "5")} {
		r := c.clean(append([]string{"prune", "--apply"}, args...)...)
		if r.code != exitRefused || !strings.Contains(r.stderr, "--allow-share") || len(missing(before, c.stands())) > 0 || len(c.named()) != len(named) {
			t.Errorf("%v: %v", args, r)
		}
		// Whoever looks first is told that it will be refused.
		if r := c.clean(append([]string{"prune"}, args...)...); r.code != exitOK || !strings.Contains(r.stdout, "--allow-share") {
			t.Errorf("%v: %v", args, r)
		}
		if r := c.clean(append([]string{"prune", "--save", t.TempDir() + "/plan.json"}, args...)...); r.code != exitRefused {
			t.Errorf("%v: %v", args, r)
		}
	}
	if out := c.prune(exitOK, append(at(30), "--allow-share", "60", "--apply")...); out.Removed.Bytes == 0 || out.Share < 29 {
		t.Errorf("%+v", out)
	}
}

// Orphans that wait are counted apart: cache never goes in their place.
func TestPruneBesideOrphans(t *testing.T) {
	t.Parallel()
	c := newCached(t, instance.Small(33, "4.6"), 0)
	c.plantGone(t, 60, 1000)
	full := c.full()
	if full.Orphans.Bytes != 60_000 {
		t.Fatalf("%+v", full)
	}
	own := full.Bytes - full.Orphans.Bytes
	for name, tt := range map[string]struct {
		budget, target int64
		rows           bool
	}{
		"cache within":   {own + 10, own + 10, false},
		"both over":      {own - 10, own - 20_000, true},
		"target at once": {own - 10, own - 10, true},
	} {
		args := []string{"prune", "--budget", sizeFlag(tt.budget), "--target", sizeFlag(tt.target), "--allow-share", "100"}
		r := c.clean(args...)
		if r.code != exitLeft || !strings.Contains(r.stdout, "orphans keep the bucket over its budget") || !strings.Contains(r.stdout, "mediamove orphans --save plan.json") {
			t.Errorf("%s: %v", name, r)
		}
		out := c.prune(exitLeft, args[1:]...)
		if (out.Rows > 0) != tt.rows || !out.OrphansOver || out.After-out.Orphans.Bytes > tt.target && tt.rows {
			t.Errorf("%s: %+v", name, out)
		}
	}
	out := c.prune(exitLeft, "--budget", sizeFlag(own-10), "--target", sizeFlag(own-20_000), "--allow-share", "100", "--apply")
	if out.Removed.Bytes < 20_000 || !out.OrphansOver {
		t.Errorf("%+v", out)
	}
	if r := c.clean("prune", "--budget", sizeFlag(own-10), "--apply"); r.code != exitLeft || !strings.Contains(r.stdout, "orphans keep the bucket") {
		t.Errorf("again: %v", r)
	}
	c.whole()
}

// plantGone adds n orphans of so many bytes.
func (c *cached) plantGone(t *testing.T, n, size int) {
	t.Helper()
	for i := range n {
		c.bucket.Plant(objectAt(string(oldKey(i)), c.now().AddDate(-2, 0, 0)), []byte(strings.Repeat("o", size)))
	}
}

// Sizes are typed with their units, and mean what they say.
func TestPruneUsage(t *testing.T) {
	t.Parallel()
	c := newCached(t, instance.Small(34, "4.6"), 0)
	for args, hint := range map[string]string{
		"":                                "--budget",
		"--budget 100":                    "unit",
		"--budget 100G":                   "unit",
		"--budget 100GB/s":                "unit",
		"--budget -5GB":                   "unit",
		"--budget 0GB":                    "unit",
		"--budget 1GB --target 2GB":       "--target",
		"--budget 1GB --target 5":         "unit",
		"--budget 1GB --allow-share 101":  "per cent",
		"--budget 1GB --allow-share NaN":  "per cent",
		"--budget 1GB --min-age 1h":       "moment",
		"--budget 1GB --apply --save x":   "only one",
		"--budget 1GB --apply-plan x":     "leave them out",
		"--apply-plan x --min-age 48h":    "leave them out",
		"--apply-plan x --allow-share 50": "leave them out",
		"--budget 1GB --apply-plan=":      "file",
		"--budget 1GB --save=":            "file",
		"--budget 1GB --apply plan.json":  "--apply-plan FILE",
	} {
		r := c.clean(append([]string{"prune"}, strings.Fields(args)...)...)
		if r.code != exitUsage || !strings.Contains(r.stderr, hint) || !strings.Contains(r.stderr, "hint: ") {
			t.Errorf("%s: want a usage error about %q, got %v", args, hint, r)
		}
	}
	for budget, want := range map[string]int64{"100GB": 100e9, "100GiB": 100 << 30, "1.5TB": 15e11, "2 GB": 2_000_000_000} {
		if out := c.prune(exitOK, "--budget", budget); out.Budget != want || out.Target != want/100*95 {
			t.Errorf("%s: %d, %d", budget, out.Budget, out.Target)
		}
	}
	screen := c.clean("prune", "--budget", "100GiB").stdout
	for _, want := range []string{"107,374,182,400 bytes", "local", "remote", "the database says", "oldest kept"} {
		if !strings.Contains(screen, want) {
			t.Errorf("the screen lacks %q:\n%s", want, screen)
		}
	}
	if t.Failed() {
		fmt.Println(screen)
	}
}
