package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/cleanup/trash"
	"example.org/mediamove/costs"
	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// aNight is a night that found out everything.
func aNight(at time.Time) *metrics {
	m := &metrics{
		listed: at.Add(-20 * time.Minute),
		bucket: map[bucketPart]cleanup.Sum{
			{media.MediaAttachments, ownerRemote}: {Objects: 812_000, Bytes: 71_000_000_000},
			{media.MediaAttachments, ownerLocal}:  {Objects: 40_000, Bytes: 18_000_000_000},
			{media.Accounts, ownerOrphan}:         {Objects: 7, Bytes: 70_000},
			{media.Outside, ownerUnknown}:         {Objects: 1, Bytes: 123},
		},
		removed: cleanup.Sum{Objects: 50_000, Bytes: 4_000_000_000},
		orphans: map[orphanState]cleanup.Sum{orphanWaiting: {Objects: 7, Bytes: 70_000}, orphanUnknown: {Objects: 1, Bytes: 123}},
		budget:  100_000_000_000,
		growth:  &growthMetrics{bytesPerDay: 250_000_000.5, crossing: at.AddDate(0, 0, 44)},
		month:   &monthMetrics{classA: 412_044, classB: 9_000, forecastA: 812_044, freeA: 1_000_000},
		left:    map[string]int64{cleanup.KeptNoRoom: 12, cleanup.KeptOwned: 3},
	}
	m.end("nightly", at, nil)
	m.end("orphans", at.Add(-time.Minute), &cleanup.AboveError{Above: make([]cleanup.Above, 1)})
	m.end("prune", at, nil)
	m.fail(&cleanup.AboveError{Above: make([]cleanup.Above, 1)})
	m.fail(nil)
	return m
}

// someRuns is a ledger that knows of some runs.
type someRuns []ledger.Run

func (r someRuns) Runs(_ context.Context, last int) ([]ledger.Run, error) {
	return r[:min(last, len(r))], nil
}

// lostRuns is a ledger that can't be read.
type lostRuns struct{}

func (lostRuns) Runs(context.Context, int) ([]ledger.Run, error) { return nil, ledger.ErrBroken }

func ranAt(command string, at time.Time, exit int) ledger.Run {
	return ledger.Run{Command: command, RunEnd: ledger.RunEnd{At: at, ExitCode: exit}}
}

var testNight = time.Date(2026, 11, 22, 6, 40, 0, 0, time.UTC)

func saveMetrics(t testing.TB, m *metrics, path string, led metricHistory, now time.Time) string {
	t.Helper()
	if err := m.save(t.Context(), path, led, now, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestMetricsTextfile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mediamove.prom")
	runs := someRuns{
		ranAt("nightly", testNight.AddDate(0, 0, -1), exitOK), // older than this very run
		ranAt("verify", testNight.Add(-time.Hour), exitLeft),
		ranAt("verify", testNight.Add(-5*time.Hour), exitOK),
		ranAt("undo", testNight.Add(-2*time.Hour), exitOK),
	}
	got := saveMetrics(t, aNight(testNight), path, runs, testNight)
	golden(t, "metrics", got)
	checkMetrics(t, got)
}

// checkMetrics asks the real promtool, which reads as Prometheus does and has opinions on names.
func checkMetrics(t testing.TB, text string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), "promtool", "check", "metrics")
	c.Stdin = strings.NewReader(text)
	if out, err := c.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s\nof\n%s", err, out, text)
	}
}

// Whatever a run found out or not, the file is one that Prometheus reads, and what was not
// found out is not in it.
func TestMetricsOfLess(t *testing.T) {
	t.Parallel()
	night := aNight(testNight)
	tests := []struct {
		name string
		m    *metrics
		want []string // has these
		gone []string // and nothing that begins so
	}{
		{
			"nothing at all", &metrics{},
			[]string{`mediamove_failures{cause="guard"} 0`},
			[]string{
				"bucket_", "removed_", "orphans", "budget_", "operations_", "objects_left", "last_",
			},
		},
		{
			"a guard said no before the listing",
			&metrics{budget: 5, failures: map[failureCause]int64{causeGuard: 1}, ended: map[string]commandEnd{"nightly": {testNight, exitRefused}}},
			[]string{"mediamove_budget_bytes 5", `mediamove_failures{cause="guard"} 1`, `mediamove_last_exit_status{command="nightly"} 4`},
			[]string{"bucket_", "orphans", "budget_crossing", "last_success"},
		},
		{
			"an empty bucket", &metrics{listed: testNight, bucket: map[bucketPart]cleanup.Sum{}, orphans: map[orphanState]cleanup.Sum{}},
			[]string{`mediamove_orphans{state="above"} 0`, "mediamove_bucket_listed_timestamp_seconds 1.7"},
			[]string{"bucket_objects", "bucket_bytes"},
		},
		{
			"it shrinks, and the month is young", &metrics{growth: &growthMetrics{bytesPerDay: -5}, month: &monthMetrics{}},
			[]string{"mediamove_bucket_growth_bytes -5", "mediamove_budget_crossing_timestamp_seconds +Inf", `mediamove_operations_month_total{class="B"} 0`},
			[]string{"operations_month_forecast"},
		},
		{"everything", night, []string{`mediamove_objects_left{cause="does not fit into the trash"} 12`}, []string{`objects_left{cause="somebody`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := saveMetrics(t, tt.m, filepath.Join(t.TempDir(), "m.prom"), someRuns{}, testNight)
			checkMetrics(t, got)
			for _, want := range tt.want {
				if !strings.Contains(got, "\n"+want) {
					t.Errorf("lacks %s:\n%s", want, got)
				}
			}
			for _, gone := range tt.gone {
				if strings.Contains(got, "\nmediamove_"+gone) {
					t.Errorf("has %s…:\n%s", gone, got)
				}
			}
		})
	}
}

// A success is remembered by the textfile, the ledger or this run; the latest counts.
func TestMetricsRemember(t *testing.T) {
	t.Parallel()
	now := testNight
	ago := func(h int) time.Time { return now.Add(-time.Duration(h) * time.Hour) }
	tests := []struct {
		name    string
		earlier map[watchedCommand]time.Time
		runs    someRuns
		ended   map[string]commandEnd
		want    map[watchedCommand]time.Time
	}{
		{"nothing", nil, nil, nil, nil},
		{"the textfile alone: the ledger was put aside", map[watchedCommand]time.Time{"sync": ago(900)}, nil, nil, map[watchedCommand]time.Time{"sync": ago(900)}},
		{"the ledger alone: the textfile was lost", nil, someRuns{ranAt("verify", ago(3), exitOK)}, nil, map[watchedCommand]time.Time{"verify": ago(3)}},
		{
			"this run failed: yesterday's success stays",
			map[watchedCommand]time.Time{"nightly": ago(24)},
			nil,
			map[string]commandEnd{"nightly": {now, exitRefused}},
			map[watchedCommand]time.Time{"nightly": ago(24)},
		},
		{
			"this run",
			map[watchedCommand]time.Time{"nightly": ago(24), "sync": ago(2)},
			someRuns{ranAt("nightly", ago(48), exitOK)},
			map[string]commandEnd{"nightly": {now, exitOK}},
			map[watchedCommand]time.Time{"nightly": now, "sync": ago(2)},
		},
		{
			"the latest of many",
			map[watchedCommand]time.Time{"verify": ago(7)},
			someRuns{ranAt("sync", ago(2), exitOK), ranAt("sync", ago(50), exitOK), ranAt("verify", ago(9), exitOK)},
			nil,
			map[watchedCommand]time.Time{"sync": ago(2), "verify": ago(7)},
		},
		{
			"no success: left, killed, running, not watched", nil,
			someRuns{
				ranAt("sync", ago(1), exitLeft),
				{Command: "orphans", Interrupted: true, RunEnd: ledger.RunEnd{At: ago(1)}},
				{Command: "prune"},
				ranAt("bind", ago(1), exitOK),
			},
			nil, nil,
		},
		{
			"a clock that went ahead",
			map[watchedCommand]time.Time{"nightly": ago(-1)},
			someRuns{ranAt("nightly", ago(-2), exitOK), ranAt("nightly", ago(30), exitOK)},
			nil,
			map[watchedCommand]time.Time{"nightly": ago(30)},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := &metrics{ended: tt.ended}
			m.remember(tt.earlier, tt.runs, now)
			if len(m.success) != len(tt.want) {
				t.Errorf("got %v, want %v", m.success, tt.want)
			}
			for command, at := range tt.want {
				if !m.success[command].Equal(at) {
					t.Errorf("%s: got %v, want %v", command, m.success[command], at)
				}
			}
		})
	}
}

// Night after night in one file: each command's last success is the latest that any night
// wrote, whatever ran and however it ended in between.
func TestMetricsOverNights(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		path := filepath.Join(dir, "nights.prom")
		_ = os.Remove(path)
		want := map[watchedCommand]time.Time{}
		now := testNight
		for range rapid.IntRange(1, 6).Draw(rt, "nights") {
			now = now.Add(time.Duration(rapid.IntRange(1, 100_000_000).Draw(rt, "later")) * time.Millisecond)
			m := &metrics{}
			for _, command := range rapid.SliceOfDistinct(rapid.SampledFrom(watchedCommands()), rapid.ID[watchedCommand]).Draw(rt, "ran") {
				exit := rapid.SampledFrom([]int{exitOK, exitOK, exitStopped, exitLeft, exitRefused}).Draw(rt, "exit")
				m.ended = mapWith(m.ended, string(command), commandEnd{now, exit})
				if exit == exitOK {
					want[command] = now
				}
			}
			saveMetrics(t, m, path, lostRuns{}, now)
		}
		got, err := readSuccesses(path)
		if err != nil || len(got) != len(want) {
			rt.Fatalf("got %v, %v; want %v", got, err, want)
		}
		for command, at := range want {
			if !got[command].Equal(at) {
				rt.Errorf("%s: got %v, want %v", command, got[command], at)
			}
		}
	})
}

func mapWith[K comparable, V any](m map[K]V, k K, v V) map[K]V {
	if m == nil {
		m = map[K]V{}
	}
	m[k] = v
	return m
}

// An earlier file that can't be read costs its own successes and nothing else.
func TestMetricsOddPast(t *testing.T) {
	t.Parallel()
	const line = "# TYPE mediamove_last_success_timestamp_seconds gauge\nmediamove_last_success_timestamp_seconds{command=\"sync\"} "
	tests := []struct {
		name, text string
		want       string // "sync" at this Unix time, "" for none
		bad        bool
	}{
		{"empty", "", "", false},
		{"as written", line + "1.7e9\n", "1700000000", false},
		{"a part of a file", line + "1.7e9", "", false},
		{"twice", line + "1.7e9\n" + line + "1.6e9\n", "1700000000", false},
		{"with a timestamp", line + "1.7e9 5\n", "", false},
		{"another's", "node_load1 3\n", "", false},
		{"nonsense", "\x00\xff{{{\n", "", false},
		{"damaged in the middle", "mediamove_bucket_\x00\n" + line + "1.7e9\n", "1700000000", false},
		{"not a number", line + "NaN\n", "", false},
		{"for ever", line + "+Inf\n", "", false},
		{"before time", line + "-5\n", "", false},
		{"after time", line + "1e300\n", "", false},
		{"no command", "mediamove_last_success_timestamp_seconds 1.7e9\n", "", false},
		{"no command that is watched", "mediamove_last_success_timestamp_seconds{command=\"rm\"} 1.7e9\n", "", false},
		{"far too large", "# 34567890123456\n" + strings.Repeat("# 3456789012345\n", 65535) + line + "1.7e9\n", "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := parseSuccesses(strings.NewReader(tt.text))
			if (err != nil) != tt.bad {
				t.Errorf("error %v, want one: %v", err, tt.bad)
			}
			found := ""
			if at, ok := got["sync"]; ok {
				found = strconv.FormatInt(at.Unix(), 10)
			}
			if found != tt.want || len(got) > 1 {
				t.Errorf("got %v, want %q", got, tt.want)
			}
			path := filepath.Join(t.TempDir(), "m.prom")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			checkMetrics(t, saveMetrics(t, aNight(testNight), path, lostRuns{}, testNight))
		})
	}
}

func FuzzParseSuccesses(f *testing.F) {
	f.Add("#TYPE A0000000 \n{}") // on which expfmt panics
	f.Add("# TYPE mediamove_last_success_timestamp_seconds gauge\nmediamove_last_success_timestamp_seconds{command=\"sync\"} 1.7e9 5\n")
	f.Add("mediamove_last_success_timestamp_seconds{command=\"sync\",command=\"prune\"} 0x1p30\n")
	f.Add("# TYPE mediamove_last_success_timestamp_seconds summary\nmediamove_last_success_timestamp_seconds{quantile=\"0.5\"} 1\n")
	f.Fuzz(func(t *testing.T, text string) {
		found, err := parseSuccesses(strings.NewReader(text))
		if err != nil && len(found) > 0 {
			t.Errorf("%v beside an error", found)
		}
		m := &metrics{}
		m.remember(found, nil, testNight)
		for command, at := range m.success {
			if !slices.Contains(watchedCommands(), command) || at.Unix() <= 0 || at.After(testNight) {
				t.Errorf("%s at %v", command, at)
			}
		}
	})
}

// Whoever reads while it is replaced has one whole file; nothing stays beside it.
func TestMetricsAtomic(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "mediamove.prom")
	whole := saveMetrics(t, aNight(testNight), path, someRuns{}, testNight)
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o644 {
		t.Fatalf("mode %v, %v: node_exporter must be able to read it", info.Mode(), err)
	}
	done := make(chan struct{})
	var readers sync.WaitGroup
	readers.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			if text, err := os.ReadFile(path); err != nil || string(text) != whole {
				t.Errorf("a reader saw %d of %d bytes, %v", len(text), len(whole), err)
				return
			}
		}
	})
	for range 100 {
		saveMetrics(t, aNight(testNight), path, someRuns{}, testNight)
	}
	close(done)
	readers.Wait()
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// A file that can't be written is an error with its name, and the old one stays.
func TestMetricsUnwritable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	path := filepath.Join(dir, "no", "such", "folder", "m.prom")
	if err := aNight(testNight).save(t.Context(), path, someRuns{}, testNight, log); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
	path = filepath.Join(dir, "m.prom")
	before := saveMetrics(t, aNight(testNight), path, someRuns{}, testNight)
	bad := aNight(testNight)
	bad.bucket[bucketPart{"\xff", ownerLocal}] = cleanup.Sum{Objects: 1}
	if err := bad.save(t.Context(), path, someRuns{}, testNight, log); err == nil {
		t.Error("no label, and no error")
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != before {
		t.Errorf("the old file is damaged: %v", err)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder.prom"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := readSuccesses(filepath.Join(dir, "folder.prom")); err == nil {
		t.Error("a folder was read")
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.prom"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readSuccesses(filepath.Join(dir, "pipe.prom")); err == nil {
		t.Error("a pipe was read")
	}
}

func TestMonthOf(t *testing.T) {
	t.Parallel()
	var meter costs.Meter
	for range 3000 {
		meter.Count(costs.PutObject)
	}
	meter.Count(costs.GetObject)
	from := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	to := from.AddDate(0, 1, 0)
	for _, tt := range []struct {
		after time.Duration
		want  int64
	}{
		{-time.Hour, 0},
		{0, 0},
		{23 * time.Hour, 0},
		{24 * time.Hour, 90_000},
		{10 * 24 * time.Hour, 9_000},
		{30 * 24 * time.Hour, 3_000},
		{31 * 24 * time.Hour, 0},
	} {
		m := monthOf(meter.Usage(), 1_000_000, from, to, from.Add(tt.after))
		if m.classA != 3000 || m.classB != 1 || m.freeA != 1_000_000 || m.forecastA != tt.want {
			t.Errorf("after %v: %+v, want %d", tt.after, m, tt.want)
		}
	}
}

func TestCheckMetricsFile(t *testing.T) {
	t.Parallel()
	for name, ok := range map[string]bool{
		"": true, "/x/m.prom": true, "m.prom": true, "/x/m.txt": false, "/x/.prom": false, ".prom": false, "/x/m.prom/": false, "/x/m.PROM": false,
	} {
		got, err := checkMetricsFile(name)
		if (err == nil) != ok || err != nil && exitCode(err) != exitUsage {
			t.Errorf("%q: %v", name, err)
		}
		if ok && name != "" && !filepath.IsAbs(got) {
			t.Errorf("%q: %q is not absolute", name, got)
		}
	}
}

// Every end that a step may have has a cause, and each cause is reached.
func TestCauseOf(t *testing.T) {
	t.Parallel()
	seen := map[failureCause]bool{}
	for _, tt := range []struct {
		err  error
		want failureCause
	}{
		{&cleanup.Refusal{Guard: "bound"}, causeGuard},
		{fmt.Errorf("run: %w", cleanup.ErrCanary), causeGuard},
		{mastodon.ErrReplica, causeGuard},
		{&cleanup.AboveError{Above: make([]cleanup.Above, 1)}, causeCeiling},
		{&somethingLeft{"x"}, causeLeft},
		{r2.ErrLimit, causeLimit},
		{r2.ErrOutage, causeBucket},
		{r2.ErrNonsense, causeBucket},
		{r2.ErrDenied, causeSettings},
		{&mastodon.DatabaseError{Op: "connect", Hint: "is it up?", Err: io.EOF}, causeDatabase},
		{fmt.Errorf("page: %w", cleanup.ErrRows), causeDatabase},
		{ledger.ErrFull, causeLedger},
		{errors.Join(ledger.ErrBroken, r2.ErrOutage), causeLedger},
		{stateError("/x", os.ErrPermission), causeLedger},
		{fmt.Errorf("open: %w", trash.ErrBroken), causeTrash},
		{usagef("h", "w"), causeSettings},
		{ledger.ErrLocked, causeLocked},
		{&stopped{syscall.SIGTERM}, causeInterrupted},
		{errors.Join(&stopped{syscall.SIGTERM}, r2.ErrOutage), causeInterrupted},
		{errors.New("?"), causeOther},
	} {
		if got := causeOf(tt.err); got != tt.want {
			t.Errorf("%v: %s, want %s", tt.err, got, tt.want)
		}
		seen[tt.want] = true
	}
	for _, c := range failureCauses() {
		if !seen[c] {
			t.Errorf("%s is not tested", c)
		}
	}
}
