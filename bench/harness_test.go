package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"example.org/mediamove/bench/gentree"
)

// The harness starts its own binary as sink and as tree maker; under test
// that is the test binary. It plays the clients too, see [actor].
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && slices.Contains([]string{"sink", "gentree", "fill", "mastodon", "bare"}, os.Args[1]) {
		os.Exit(run(os.Args[1:]))
	}
	if a := newActor(os.Args[1:]); a != nil {
		if err := a.play(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			leave(1)
		}
		leave(0)
	}
	// Else every process that is started sleeps a second before it ends.
	if err := os.Setenv("GORACE", strings.TrimSpace(os.Getenv("GORACE")+" atexit_sleep_ms=0")); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// leave ends an actor at once. Its environment is a client's, without GORACE.
func leave(status uintptr) {
	_, _, _ = syscall.RawSyscall(syscall.SYS_EXIT_GROUP, status, 0, 0)
}

func TestSelected(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		want string // empty: an error
	}{
		{nil, "upload100k noop verify100k upload10k latency kill versity memory walk big verify1m orphans1m prune1m"},
		{[]string{"-only", "walk,cold"}, "walk cold"},
		{[]string{"-only", "nothing"}, ""},
		{[]string{"stray"}, ""},
		{[]string{"-unknown"}, ""},
	} {
		var c config
		err := c.parse(tt.args)
		var names []string
		if err == nil {
			var picked []measure
			picked, err = c.selected()
			for _, m := range picked {
				names = append(names, m.name)
			}
		}
		if got := strings.Join(names, " "); got != tt.want || (err != nil) != (tt.want == "") {
			t.Errorf("%v: %q, %v", tt.args, got, err)
		}
	}
	var c config
	if err := c.parse([]string{"-quick", "-n", "9"}); err != nil || c.n != 1 {
		t.Errorf("-quick runs %d rounds, %v", c.n, err)
	}
}

func TestEveryMeasureHasItsTrees(t *testing.T) {
	t.Parallel()
	for _, quick := range []bool{true, false} {
		for _, m := range measures() {
			for _, id := range m.trees {
				name := strings.TrimSuffix(id, "-disk")
				if _, ok := treeTable(quick)[name]; !ok {
					t.Errorf("%s: no tree %s", m.name, name)
				}
			}
		}
	}
}

func workshop(t *testing.T) *harness {
	t.Helper()
	h, _ := quietHarness(1)
	h.work, h.trees = t.TempDir(), t.TempDir()
	h.forest = newForest(h.config)
	h.forest.specs = map[string]gentree.Spec{"small": {Files: 20, Median: 100, Sigma: 1}}
	return h
}

func TestForest(t *testing.T) {
	t.Parallel()
	h := workshop(t)
	one, err := h.forest.get(t.Context(), "small", false)
	if err != nil {
		t.Fatal(err)
	}
	if one.Files != 20 || filepath.Dir(one.dir) != h.trees {
		t.Errorf("%+v", one)
	}
	two, err := h.forest.get(t.Context(), "small", false)
	if err != nil || two != one {
		t.Errorf("made again: %+v, %v", two, err)
	}
	disk, err := h.forest.get(t.Context(), "small", true)
	if err != nil || filepath.Dir(disk.dir) != h.work {
		t.Errorf("%+v, %v", disk, err)
	}
	h.forest.fell([]measure{{trees: []string{"small"}}})
	if _, err := os.Stat(one.dir); err != nil {
		t.Error("felled a tree that is needed:", err)
	}
	if _, err := os.Stat(disk.dir); err == nil {
		t.Error("left a tree that is not needed")
	}
}

func TestKeptForest(t *testing.T) {
	t.Parallel()
	h := workshop(t)
	h.keep = true
	h.forest.keep = true
	one, err := h.forest.get(t.Context(), "small", false)
	if err != nil {
		t.Fatal(err)
	}
	h.forest.fell(nil)
	mark := filepath.Join(one.dir, "mark")
	if err := os.WriteFile(mark, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	spec := h.forest.specs["small"]
	if sum, err := h.forest.grow(t.Context(), one.dir, spec); err != nil || sum != one.Summary {
		t.Errorf("%+v, %v", sum, err)
	}
	if _, err := os.Stat(mark); err != nil {
		t.Error("a kept tree was made again")
	}
	spec.Files++
	if sum, err := h.forest.grow(t.Context(), one.dir, spec); err != nil || sum.Files != 21 {
		t.Errorf("another spec: %+v, %v", sum, err)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("a tree of another spec was kept")
	}
}

func TestMeasured(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		h := workshop(t)
		s, err := h.startSink(t.Context(), secure)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.stop)
		tr, err := h.forest.get(t.Context(), "small", false)
		if err != nil {
			t.Fatal(err)
		}
		sleeper := client{name: "sleeper", argv: shell("sleep 0.05; echo $WORD >&2"), env: word}
		got, err := h.measured(t.Context(), s, sleeper, job{s.endpoint, tr.dir, "b", filepath.Join(h.work, "home")})
		if err != nil {
			t.Fatal(err)
		}
		if got.Wall < 0.05 || got.CPU <= 0 || got.RSS <= 0 || got.CPU > got.Wall {
			t.Errorf("%+v", got)
		}
		if _, err := h.fresh(t.Context(), s, sleeper, tr); err == nil || !strings.Contains(err.Error(), "stored 0 objects of 20") {
			t.Errorf("a client that sends nothing: %v", err)
		}
		failing := client{name: "failing", argv: shell("echo $WORD >&2; exit 3"), env: word}
		if _, err := h.fresh(t.Context(), s, failing, tr); err == nil || !strings.Contains(err.Error(), "reason") {
			t.Errorf("a client that fails: %v", err)
		}
	}
}

func shell(script string) func(job) []string {
	return func(job) []string { return []string{"sh", "-c", script} }
}

func word(job) []string { return []string{"WORD=reason"} }

func TestKillNeedsARunningClient(t *testing.T) {
	t.Parallel()
	h := workshop(t)
	s, err := h.startSink(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	tr, err := h.forest.get(t.Context(), "small", false)
	if err != nil {
		t.Fatal(err)
	}
	short := client{name: "short", argv: shell("exit 0"), env: word}
	if _, err := h.killAndResume(t.Context(), s, short, tr); err == nil {
		t.Error("no error")
	}
}

// The objects appear while the command line is asked for: after the harness has
// reset its counters, before the client runs.
func TestKillAndResume(t *testing.T) {
	t.Parallel()
	h := workshop(t)
	s, err := h.startSink(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	tr, err := h.forest.get(t.Context(), "small", false)
	if err != nil {
		t.Fatal(err)
	}
	runs := 0
	c := client{name: "player", env: word, argv: func(job) []string {
		runs++
		first, last := 0, 10
		if runs == 2 {
			first, last = 8, 20 // two of them again
		}
		put(t, s, first, last)
		return shell([]string{"sleep 60", "exit 0"}[runs-1])(job{})
	}}
	r, err := h.killAndResume(t.Context(), s, c, tr)
	if err != nil {
		t.Fatal(err)
	}
	if r.there != 10 || r.second.Requests.Existing != 2 || r.second.Requests.Objects != 20 {
		t.Errorf("%+v", r)
	}
}

func put(t *testing.T, s *sinkProc, first, last int) {
	t.Helper()
	for i := first; i < last; i++ {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodPut,
			s.url+"/bench/"+string(rune('a'+i)), http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := s.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
}

func TestClientCommands(t *testing.T) {
	t.Parallel()
	pem := filepath.Join(t.TempDir(), "pem")
	if err := os.WriteFile(pem, []byte("trust me"), 0o600); err != nil {
		t.Fatal(err)
	}
	j := job{endpoint{"https://127.0.0.1:1", "auto", "AK", "SK", pem}, "/tree", "bucket", t.TempDir()}
	if err := j.furnish(); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(mcConfig(j), "certs", "CAs", "sink.pem")); err != nil || string(b) != "trust me" {
		t.Errorf("mc trusts %q, %v", b, err)
	}
	for _, tt := range []struct {
		c         client
		argv, env []string
	}{
		{mediamoveClient("mm"), []string{"sync", "/tree", "--state"}, []string{"S3_BUCKET=bucket", "SSL_CERT_FILE=" + pem, "S3_PERMISSION="}},
		{verifyClient("mm", false), []string{"verify", "--json", "--state"}, []string{"S3_BUCKET=bucket", "SSL_CERT_FILE=" + pem}},
		{verifyClient("mm", true), []string{"verify", "--json", "/tree"}, []string{"S3_BUCKET=bucket"}},
		{rcloneClient(checkHash, "rc", rcloneCheck()...), []string{"check", "/tree", "sink:bucket", "--fast-list", "--exclude"}, []string{"RCLONE_CONFIG_SINK_TYPE=s3"}},
		{rcloneClient(rclone, "rc", "copy", "--x"), []string{"copy", "sink:bucket", "--fast-list", "--ca-cert", "--x"}, []string{"RCLONE_CONFIG_SINK_TYPE=s3"}},
		{mcClient("mc"), []string{"mirror", "/tree", "sink/bucket"}, []string{"MC_HOST_sink=https://AK:SK@127.0.0.1:1"}},
	} {
		argv, env := tt.c.argv(j), tt.c.env(j)
		for _, want := range tt.argv {
			if !slices.Contains(argv, want) {
				t.Errorf("%s: %q lacks %s", tt.c.name, argv, want)
			}
		}
		for _, want := range tt.env {
			if !slices.Contains(env, want) {
				t.Errorf("%s: %q lacks %s", tt.c.name, env, want)
			}
		}
		if strings.Contains(strings.Join(argv, " "), "SK") {
			t.Errorf("%s: the secret is on the command line", tt.c.name)
		}
	}
}
