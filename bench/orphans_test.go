package main

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"example.org/mediamove/bench/sink"
	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures/instance"
	"example.org/mediamove/media"
)

// lookThrough plays a scan: it lists the bucket, and knows what the instance is made of.
func (a *actor) lookThrough() error {
	if _, err := a.request(http.MethodGet, "/.mediamove/owner.json", nil, http.StatusOK); err != nil {
		return err
	}
	listed, err := a.listing()
	if err != nil {
		return err
	}
	if a.lacks {
		_, err = fmt.Printf(`{"required": %d, "asked": 0, "missing": 0, "complete": true}`, len(listed))
		return err
	}
	n := len(listed) - 1 // one was moved
	e := estate{Spec: populace(n), Planted: map[string]int{}}
	for o := range e.objects(n) {
		if listed[o.Key] == "" {
			return fmt.Errorf("%s is not listed", o.Key)
		}
	}
	review, unknown := e.Planted[instance.KindReview], e.Planted[instance.KindUnknown]+e.Planted[instance.KindPrivate]
	_, err = fmt.Printf(`{"objects": %d, "owned": {"objects": %d}, "orphan": {"objects": %d}, "review": {"objects": %d}, "unknown": {"objects": %d}, "complete": true}`,
		len(listed), e.Owned, len(listed)-e.Owned-review-unknown, review, unknown)
	return err
}

func TestCountStatements(t *testing.T) {
	t.Parallel()
	const page = `7 LOG:  execute <unnamed>: BEGIN READ ONLY
7 LOG:  execute <unnamed>: SELECT pg_catalog.pg_is_in_recovery(), s.system_identifier,
		pg_catalog.set_config('statement_timeout', $1, true)
	FROM pg_catalog.pg_control_system() s
`
	const media, accounts = "SELECT id, file_file_name FROM public.media_attachments WHERE id = ANY ($1)\n", "SELECT id FROM public.accounts WHERE id = ANY ($1)\n"
	for _, tt := range []struct {
		name, log string
		want      statements
	}{
		{"nothing", "", statements{}},
		{"the proof alone is no page", page + "7 LOG:  execute <unnamed>: COMMIT\n", statements{}},
		{"a page", page + "7 LOG:  execute <unnamed>: " + media + "7 LOG:  execute <unnamed>: COMMIT\n", statements{1, 1, 1, 0}},
		{
			"two at once", "7 LOG:  execute <unnamed>: BEGIN\n8 LOG:  execute <unnamed>: BEGIN\n" +
				"7 LOG:  execute <unnamed>: " + media + "8 LOG:  execute <unnamed>: " + media + "7 LOG:  execute <unnamed>: " + accounts +
				"8 LOG:  execute <unnamed>: COMMIT\n7 LOG:  execute <unnamed>: COMMIT\n", statements{2, 3, 2, 0},
		},
		{
			"one that failed is none", "7 LOG:  execute <unnamed>: BEGIN\n7 LOG:  execute <unnamed>: " + media +
				"7 LOG:  execute <unnamed>: BEGIN\n7 LOG:  execute <unnamed>: COMMIT\n", statements{},
		},
		{
			"counts", "7 LOG:  execute <unnamed>: BEGIN\n7 LOG:  execute <unnamed>: SELECT pg_catalog.count(*) FROM public.accounts\n" +
				"7 LOG:  execute <unnamed>: COMMIT\n", statements{0, 0, 0, 1},
		},
		{"of others", "7 LOG:  statement: COPY accounts (id) TO STDOUT\n7 LOG:  checkpoint starting\n7 ERROR:  SELECT 1 FROM public.x\n", statements{}},
	} {
		got, err := countStatements(strings.NewReader(tt.log))
		if err != nil || got != tt.want {
			t.Errorf("%s: %+v, %v, want %+v", tt.name, got, err, tt.want)
		}
	}
	log := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(log, []byte("9 LOG:  statement: "+accounts), 0o600); err != nil {
		t.Fatal(err)
	}
	_, end, err := readStatements(log, 0)
	if err != nil || end == 0 {
		t.Fatal(end, err)
	}
	f, err := os.OpenFile(log, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString(page + "7 LOG:  execute <unnamed>: " + media + "7 LOG:  execute <unnamed>: COMMIT\n")
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	if got, _, err := readStatements(log, end); err != nil || got != (statements{1, 1, 1, 0}) {
		t.Errorf("since then: %+v, %v", got, err)
	}
	if _, _, err := readStatements(log+"x", 0); err == nil {
		t.Error("no log, no error")
	}
}

// What a child uses is the family's, while it runs and when it was waited for.
func TestFamilyCPU(t *testing.T) {
	t.Parallel()
	const work = `i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done`
	for _, script := range []string{"(" + work + "); echo; read x; exit 0", "(" + work + "; echo; read x; exit 0); exit 0"} {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
		in, err1 := cmd.StdinPipe()
		out, err2 := cmd.StdoutPipe()
		if err := errors.Join(err1, err2, cmd.Start()); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		all, err1 := familyCPU(cmd.Process.Pid)
		own, err2 := processCPU(cmd.Process.Pid)
		if err1 != nil || err2 != nil || all <= own {
			t.Errorf("%s: %v of all, %v its own, %v, %v", script, all, own, err1, err2)
		}
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	if _, err := familyCPU(math.MaxInt32); err == nil {
		t.Error("no process, no error")
	}
}

// A small instance: sink, ledger and database hold the same objects and rows, and what
// looks through them is believed only if it saw them all.
func TestMastodon(t *testing.T) {
	t.Parallel()
	h := workshop(t)
	s, err := h.startSink(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	const objects = 2000
	j := job{s.endpoint, "", "b", t.TempDir()}
	p, err := h.startMastodon(t.Context(), j, objects)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.stop)
	if p.Owned+p.unowned() != objects || p.unowned() < objects/1000 || p.unowned() > objects/20 || p.Planted[instance.KindOrphan] == 0 {
		t.Errorf("%+v", p.estate)
	}
	rows := make(map[string]string)
	if err := recorded(filepath.Join(j.home, "state"), rows); err != nil || len(rows) != objects {
		t.Errorf("%d of %d recorded, %v", len(rows), objects, err)
	}
	a := actor{base: s.url + "/b", http: s.client}
	listed, err := a.listing()
	if err != nil || len(listed) != objects {
		t.Errorf("%d of %d listed, %v", len(listed), objects, err)
	}
	for o := range instance.New(p.Spec).Objects() {
		k := media.Normal(string(o.Key))
		if listed[k] == "" || listed[k] != rows[k] {
			t.Fatalf("%s: listed as %q, recorded as %q", k, listed[k], rows[k])
		}
	}
	bare, err := bareClient(bareScan, p.DSN)
	if err != nil {
		t.Fatal(err)
	}
	w := &search{sink: s, mastodon: p, home: j, moved: j, keys: objects}
	got, err := h.lookedThrough(t.Context(), w, bare)
	if err != nil || got.Glance.Rows == 0 || got.Requests.Ops.Get(costs.ListObjects) != objects/pageKeys || got.Statements != (statements{}) {
		t.Errorf("%+v, %v", got, err)
	}
	w.keys++
	if _, err := h.lookedThrough(t.Context(), w, bare); err == nil {
		t.Error("a bare client that missed an object is believed")
	}
	silent := client{name: orphansFirst, argv: shell("echo '{}'"), env: word, says: true}
	if _, err := h.lookedThrough(t.Context(), w, silent); err == nil {
		t.Error("a scan that saw nothing is believed")
	}
}

func TestMastodonFails(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"-state", t.TempDir()}, {"-unknown"}} {
		if err := runMastodon(t.Context(), args); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
	if err := runMastodon(t.Context(), []string{"-sink", "http://127.0.0.1:1", "-state", t.TempDir(), "-objects", "2000"}); err == nil || !strings.Contains(err.Error(), "fill sink") {
		t.Errorf("no sink: %v", err)
	}
	if err := runBare(t.Context(), nil); err == nil {
		t.Error("bare without a database")
	}
}

func TestCheckOrphans(t *testing.T) {
	t.Parallel()
	w := &search{keys: 112, marks: 1, mastodon: &mastodonProc{estate: estate{
		Owned: 100, Planted: map[string]int{instance.KindOrphan: 4, instance.KindReview: 3, instance.KindUnknown: 2, instance.KindPrivate: 1},
	}}}
	for said, right := range map[string]bool{
		`{"objects":111,"owned":{"objects":100},"orphan":{"objects":5},"review":{"objects":3},"unknown":{"objects":3},"complete":true}`:  true,
		`{"objects":111,"owned":{"objects":100},"orphan":{"objects":5},"review":{"objects":3},"unknown":{"objects":3},"complete":false}`: false,
		`{"objects":110,"owned":{"objects":100},"orphan":{"objects":4},"review":{"objects":3},"unknown":{"objects":3},"complete":true}`:  false,
		`{"objects":111,"owned":{"objects":99},"orphan":{"objects":6},"review":{"objects":3},"unknown":{"objects":3},"complete":true}`:   false,
		`{"objects":111,"owned":{"objects":100},"orphan":{"objects":4},"review":{"objects":4},"unknown":{"objects":3},"complete":true}`:  false,
		`{"objects":111,"owned":{"objects":100},"orphan":{"objects":6},"review":{"objects":3},"unknown":{"objects":2},"complete":true}`:  false,
		`{"objects":111,"owned":{"objects":99},"orphan":{"objects":5},"review":{"objects":3},"unknown":{"objects":3},"complete":true}`:   false,
		`nothing`: false,
	} {
		if err := w.checkOrphans([]byte(said)); (err == nil) != right {
			t.Errorf("%s: %v", said, err)
		}
	}
}

func TestReportSearch(t *testing.T) {
	t.Parallel()
	run := func(name string, wall float64, most int) series {
		var m costs.Meter
		m.Count(costs.ListObjects)
		return series{name: name, samples: []sample{{
			Wall: wall, RSS: 40e6, Requests: sink.Stats{Ops: m.Usage(), ClassA: 1}, Statements: statements{Pages: 1, Rows: most, Most: most},
		}}}
	}
	for _, tt := range []struct {
		name   string
		all    results
		missed int
	}{
		{"as it should be", results{run(bareScan, 2, 0), run(orphansFirst, 2.9, 3)}, 0},
		{"slow", results{run(bareScan, 2, 0), run(orphansFirst, 3.1, 3)}, 1},
		{"too many queries", results{run(bareScan, 2, 0), run(orphansFirst, 2.9, 7), run(orphansAgain, 3.1, 7)}, 3},
	} {
		h, b := quietHarness(1)
		h.reportSearch(tt.all, &search{keys: 1000, mastodon: &mastodonProc{}})
		if got := strings.Count(b.String(), "missed"); got != tt.missed {
			t.Errorf("%s: %d missed, want %d:\n%s", tt.name, got, tt.missed, b)
		}
	}
}

func TestOrphansClient(t *testing.T) {
	t.Parallel()
	c := orphansClient(orphansFirst, "mm", map[string]string{"DB_HOST": "/socket", "LOCAL_DOMAIN": "another.example"})
	j := job{home: "/home"}
	if got := strings.Join(c.argv(j), " "); got != "mm orphans --json --state /home/state" {
		t.Error(got)
	}
	// as the kernel is told: of two values the last one counts
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `echo "$S3_ENABLED $DB_HOST $LOCAL_DOMAIN"`)
	cmd.Env = c.env(j)
	out, err := cmd.Output()
	if err != nil || string(out) != "true /socket bench.example\n" {
		t.Errorf("%s, %v", out, err)
	}
}
