package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

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
