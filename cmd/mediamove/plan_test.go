package main

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/mediamove/costs"
)

// A dry run is a plan: the same words, no request, nothing written.
func TestDryRunIsPlan(t *testing.T) {
	t.Parallel()
	in := inside(t, 200)
	for _, flags := range [][]string{nil, {"--after-switch"}, {"--before-switch"}, {"--domain", "elsewhere.example"}} {
		plan := in.run(append([]string{"plan", in.root, "--json"}, flags...)...)
		dry := in.run(append([]string{"sync", in.root, "--dry-run", "--json"}, flags...)...)
		if diff := cmp.Diff(plan, dry, cmp.AllowUnexported(result{})); diff != "" || plan.code != exitOK {
			t.Errorf("%v: exit %d (-plan +dry run):\n%s", flags, plan.code, diff)
		}
		without := func(r result) string { // how long the walk took
			first, rest, _ := strings.Cut(r.stdout, "\n")
			first, _, _ = strings.Cut(first, " in ")
			return first + "\n" + rest
		}
		plan, dry = in.run(append([]string{"plan", in.root}, flags...)...), in.run(append([]string{"sync", in.root, "--dry-run"}, flags...)...)
		if diff := cmp.Diff(without(plan), without(dry)); diff != "" {
			t.Errorf("%v (-plan +dry run):\n%s", flags, diff)
		}
	}
	if u := in.bucket.Usage(); !u.IsZero() {
		t.Errorf("a plan sent %v", u)
	}
	if _, err := os.Stat(in.state); !os.IsNotExist(err) {
		t.Errorf("a plan made the state folder: %v", err)
	}
}

// What a plan announces is what the sync then does: files, bytes and requests.
func TestPlanKeepsItsWord(t *testing.T) {
	t.Parallel()
	in := inside(t, 300)
	var plan planJSON
	decode(t, in.run("plan", in.root, "--json"), exitOK, &plan)
	var done syncJSON
	decode(t, in.run("sync", in.root, "--json"), exitOK, &done)
	var sent int64
	for _, c := range plan.Bytes {
		sent += c.Bytes
	}
	if plan.Files.Pending != done.Files.Moved || plan.Files.HeldBack != done.Files.HeldBack || plan.Outside != done.Outside || sent != done.BytesMoved {
		t.Errorf("planned %+v and %d bytes, done %+v and %d", plan.Files, sent, done.Files, done.BytesMoved)
	}
	if plan.Sync.Requests != done.Requests || plan.Sync.ClassA != done.ClassA {
		t.Errorf("planned %v, sent %v", plan.Sync.Requests, done.Requests)
	}
	decode(t, in.run("plan", in.root, "--json"), exitOK, &plan)
	if plan.Files.Pending != 0 || plan.Files.Present != done.Files.Moved || plan.Sync.Requests != (costs.Usage{costs.GetObject: 1}) {
		t.Errorf("afterwards: %+v, %v", plan.Files, plan.Sync.Requests)
	}
	if r := in.run("plan", in.root); !strings.Contains(r.stdout, "nothing is left to send") {
		t.Error(r)
	}
}

// A tree that is mostly hidden is refused by the plan as by the sync, and a file
// that was moved before it was hidden shows in both.
func TestPlanOfHiddenTree(t *testing.T) {
	t.Parallel()
	in := inside(t, 100)
	if r := in.run("sync", in.root); r.code != exitOK {
		t.Fatal(r)
	}
	chmod := func(top string) {
		err := filepath.WalkDir(filepath.Join(in.root, top), func(path string, d os.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				err = os.Chmod(path, 0o600)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	chmod("accounts")
	var plan planJSON
	decode(t, in.run("plan", in.root, "--json"), exitOK, &plan)
	r := in.run("sync", in.root)
	if plan.Exposed == 0 || plan.Refused || r.code != exitLeft || !strings.HasPrefix(r.stdout, "EXPOSED: ") || r.stderr != "" && strings.Contains(r.stderr, "mediamove:") {
		t.Errorf("%+v, %v", plan, r)
	}
	chmod(".")
	before := in.bucket.Usage()
	decode(t, in.run("plan", in.root, "--json"), exitRefused, &plan)
	if !plan.Refused || plan.Exposed == 0 {
		t.Errorf("%+v", plan)
	}
	if r := in.run("plan", in.root); r.code != exitRefused || !strings.HasPrefix(r.stdout, "REFUSED: ") || !strings.Contains(r.stderr, "umask") {
		t.Error(r)
	}
	if r := in.run("sync", in.root); r.code != exitRefused || !strings.Contains(r.stdout, "refused: nothing was sent") || !strings.Contains(r.stderr, "umask") {
		t.Error(r)
	}
	if sent := in.bucket.Usage().Sub(before); sent != (costs.Usage{costs.GetObject: 1}) {
		t.Errorf("sent %v", sent)
	}
}

// Who types the command that plan prints, and verifies afterwards, stays within the free
// million to the last operation; and a plan in the next cycle sends the rest.
func TestLeverIsFollowed(t *testing.T) {
	t.Parallel()
	in := inside(t, 60)
	now := time.Now().UTC()
	bookUsage(t, in.state, now, costs.Usage{costs.PutObject: 999_960})
	var p planJSON
	decode(t, in.run("plan", in.root, "--json", "--budget", "0"), exitOK, &p)
	i := slices.IndexFunc(p.Levers, func(l leverJSON) bool { return l.ID == leverStop })
	if i < 0 || !*p.Levers[i].Keeps || p.Levers[i].CycleUSD != "0.00" {
		t.Fatalf("%+v", p.Levers)
	}
	typed, _ := strings.CutPrefix(p.Levers[i].Commands[0], "mediamove ")
	var s syncJSON
	decode(t, in.run(append(strings.Fields(typed), "--json")...), exitLeft, &s)
	if s.ClassA != p.Levers[i].ClassA || s.Files.Moved != p.Levers[i].Shares[0].Files || s.CostUSD != "0.00" {
		t.Errorf("%+v, promised %+v", s, p.Levers[i])
	}
	if r := in.run("verify"); r.code != exitOK && r.code != exitLeft || !strings.Contains(r.stdout, "cost $0.00") {
		t.Error(r)
	}
	if used := 999_960 + in.bucket.Usage().A(); used != 1_000_000 {
		t.Errorf("%d Class A were used", used)
	}
	decode(t, in.run("plan", in.root, "--json", "--budget", "0"), exitOK, &p)
	if i := slices.IndexFunc(p.Levers, func(l leverJSON) bool { return l.ID == leverSpread }); i < 0 || p.Levers[i].Shares[0].ClassA != 0 || p.Levers[i].Shares[1].Files != s.Files.Pending {
		t.Errorf("with nothing left: %+v", p.Levers)
	}
}

// A plan of a ledger knows what the bucket holds and what the cycle has seen; a cycle that
// began today has seen less.
func TestPlanReadsTheBooks(t *testing.T) {
	t.Parallel()
	in := inside(t, 150)
	yesterday := time.Now().UTC().AddDate(0, 0, -1)
	bookUsage(t, in.state, yesterday, costs.Usage{costs.PutObject: 1000, costs.GetObject: 7})
	var s syncJSON
	decode(t, in.run("sync", in.root, "--json"), exitOK, &s)
	var p planJSON
	whole := strconv.Itoa(yesterday.Day())
	decode(t, in.run("plan", in.root, "--json", "--cycle-day", whole), exitOK, &p)
	if p.Recorded.Files != s.Files.Moved || p.Recorded.Bytes != s.BytesMoved || p.Cycle.Used.ClassA != 1000+s.ClassA || p.Cycle.Used.ClassB != 7+s.ClassB {
		t.Errorf("%+v, %+v", p.Recorded, p.Cycle.Used)
	}
	if p.Time.From != "measured" || p.Time.FilesPerSecond == 0 {
		t.Errorf("%+v", p.Time)
	}
	decode(t, in.run("plan", in.root, "--json", "--cycle-day", strconv.Itoa(time.Now().UTC().Day())), exitOK, &p)
	if p.Cycle.Used.ClassA != s.ClassA || p.Cycle.First != costs.DayOf(time.Now()) {
		t.Errorf("%+v", p.Cycle)
	}
	var v verifyJSON
	decode(t, in.run("verify", "--json", "--cycle-day", whole), exitOK, &v)
	if v.CostUSD != "0.00" {
		t.Errorf("%+v", v)
	}
}
