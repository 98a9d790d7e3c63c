package main

import (
	"bufio"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.org/mediamove/mastodon"
)

const (
	deploy    = "../../deploy/"
	installed = "/usr/local/bin/mediamove"
)

// tool runs one of the tools that admins have, in the system's own time and language.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	c := exec.CommandContext(t.Context(), name, args...)
	c.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC", "SYSTEMD_COLORS=0", "SYSTEMD_PAGER=")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// A unitFile is a systemd unit: the values of each name, in order.
type unitFile map[string][]string

func readUnit(t *testing.T, name string) (text string, u unitFile) {
	t.Helper()
	data, err := os.ReadFile(deploy + "systemd/" + name)
	if err != nil {
		t.Fatal(err)
	}
	u = unitFile{}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if key, value, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, "#") {
			u[key] = append(u[key], value)
		}
	}
	return string(data), u
}

func (u unitFile) one(t *testing.T, key string) string {
	t.Helper()
	if len(u[key]) != 1 {
		t.Fatalf("%s: %q, want one value", key, u[key])
	}
	return u[key][0]
}

// plantUnits copies the units to where systemd-analyze may look at them, with a program
// that is there: the real one is not installed where tests run.
func plantUnits(t *testing.T) (service, timer string) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"mediamove-nightly.service", "mediamove-nightly.timer"} {
		text, _ := readUnit(t, name)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.ReplaceAll(text, installed, "/bin/true")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "mediamove-nightly.service"), filepath.Join(dir, "mediamove-nightly.timer")
}

// The real systemd reads the units without a word: it warns of what it doesn't know.
func TestUnitsVerify(t *testing.T) {
	t.Parallel()
	service, timer := plantUnits(t)
	if out := tool(t, "systemd-analyze", "verify", "--man=no", service, timer); strings.Contains(out, "mediamove") {
		t.Errorf("systemd-analyze verify:\n%s", out)
	}
	// 0 is no access at all, 100 all of it. What is left is the network, which it needs.
	tool(t, "systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=15", service)
}

// The night is at least 20 hours after the last one, so that marks are believed, and out
// of the hours of Mastodon's vacuum, at both ends of the delay.
func TestTimer(t *testing.T) {
	t.Parallel()
	_, u := readUnit(t, "mediamove-nightly.timer")
	out := tool(t, "systemd-analyze", "calendar", "--iterations=3", "--base-time=2026-11-22 12:00:00 UTC", u.one(t, "OnCalendar"))
	delay, err := time.ParseDuration(strings.Replace(u.one(t, "RandomizedDelaySec"), "min", "m", 1))
	if err != nil {
		t.Fatal(err)
	}
	var nights []time.Time
	for line := range strings.Lines(out) {
		if _, at, ok := strings.Cut(line, ": "); ok {
			if night, err := time.Parse("Mon 2006-01-02 15:04:05 MST", strings.TrimSpace(at)); err == nil && !strings.Contains(line, "in UTC") {
				nights = append(nights, night)
			}
		}
	}
	if len(nights) != 3 {
		t.Fatalf("%d nights in\n%s", len(nights), out)
	}
	for i, night := range nights {
		for at := night; !at.After(night.Add(delay)); at = at.Add(time.Minute) {
			if at.Hour() >= 3 && at.Hour() <= 5 {
				t.Errorf("%v: Mastodon's vacuum may run", at)
			}
		}
		if i > 0 && night.Sub(nights[i-1])-delay < 20*time.Hour {
			t.Errorf("%v is too soon after %v", night, nights[i-1])
		}
	}
	if u.one(t, "Persistent") != "yes" || u.one(t, "WantedBy") != "timers.target" {
		t.Error("a missed night is not made up for, or the timer is not started at boot")
	}
}

// What the unit gives the program is enough for it, and says nothing twice.
func TestServiceSettings(t *testing.T) {
	t.Parallel()
	text, u := readUnit(t, "mediamove-nightly.service")
	dir := t.TempDir()
	environ := append(envFile(t, deploy+"systemd/nightly.env"), "CREDENTIALS_DIRECTORY="+dir)
	credentials := append(slices.Clone(u["LoadCredential"]), "DB_PASS:/etc/mediamove/credentials/DB_PASS") // the one for who wants it
	for _, line := range credentials {
		name, path, ok := strings.Cut(line, ":")
		if !ok || path != "/etc/mediamove/credentials/"+name || !strings.Contains(text, "LoadCredential="+line) {
			t.Errorf("LoadCredential=%s", line)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte("a "+name+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := mastodon.Resolve(mastodon.Sources{Environ: environ})
	if err != nil || len(s.Missing()) > 0 || len(s.Warnings) > 0 {
		t.Fatalf("%v, missing %v, warnings %v", err, s.Missing(), s.Warnings)
	}
	if s.AccessKeyID != "a AWS_ACCESS_KEY_ID" || string(s.SecretAccessKey) != "a AWS_SECRET_ACCESS_KEY" || string(s.DBPass) != "a DB_PASS" {
		t.Error("a credential does not reach its setting")
	}
	if !s.S3Enabled || s.Permission == nil || *s.Permission != "" || s.DBName == "" || s.LocalDomain == "" {
		t.Errorf("nightly.env: %+v", s)
	}
	state, err := (&common{}).stateDir(&world{environ: []string{"STATE_DIRECTORY=/var/lib/" + u.one(t, "StateDirectory")}})
	if err != nil || state != "/var/lib/mediamove" || u.one(t, "StateDirectoryMode") != "0700" {
		t.Errorf("state in %s: %v", state, err)
	}
	if u.one(t, "EnvironmentFile") != "/etc/mediamove/nightly.env" {
		t.Error("the README installs another file")
	}
}

// envFile reads the plain lines that systemd and a shell read alike.
func envFile(t *testing.T, path string) (lines []string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for in := bufio.NewScanner(f); in.Scan(); {
		if line := in.Text(); !strings.HasPrefix(line, "#") {
			if strings.ContainsAny(line, " \"'\\$") {
				t.Errorf("%q needs quotes, which systemd and others read differently", line)
			}
			lines = append(lines, line)
		}
	}
	return lines
}

// nightlyFlags are the flags of a command line, which the program must know.
func nightlyFlags(t *testing.T, line string) map[string]string {
	t.Helper()
	args := strings.Fields(line)
	if len(args) < 2 || args[0] != installed || args[1] != "nightly" {
		t.Fatalf("%q is no night", line)
	}
	root := newRoot(&world{})
	if c, _, err := root.Find(args[1:2]); err == nil && c != root {
		if err := c.ParseFlags(args[2:]); err != nil || c.Flags().NArg() > 0 {
			t.Errorf("%q: %v", line, err)
		}
	}
	flags := map[string]string{}
	for args = args[2:]; len(args) > 0; args = args[1:] {
		name := args[0]
		flags[name] = ""
		if len(args) > 1 && !strings.HasPrefix(args[1], "-") {
			flags[name], args = args[1], args[1:]
		}
	}
	return flags
}

// Service and cron run the same night, and write the metrics where they may.
func TestNightlyLines(t *testing.T) {
	t.Parallel()
	_, u := readUnit(t, "mediamove-nightly.service")
	service := nightlyFlags(t, u.one(t, "ExecStart"))
	file, err := checkMetricsFile(service["--metrics-file"])
	if err != nil || u.one(t, "ReadWritePaths") != "-"+filepath.Dir(file) {
		t.Errorf("metrics in %q, which the sandbox lets it write only in %q: %v", file, u["ReadWritePaths"], err)
	}

	data, err := os.ReadFile(deploy + "cron/mediamove")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(string(data), "\n") {
		t.Error("cron passes over a last line without an end")
	}
	var line strings.Builder
	names := map[string]string{}
	for text := range strings.Lines(string(data)) {
		name, value, setting := strings.Cut(strings.TrimSpace(text), "=")
		switch {
		case strings.HasPrefix(text, "#"):
		case setting && !strings.Contains(name, " "):
			names[name] = value
		default:
			line.WriteString(text)
		}
	}
	fields := strings.SplitN(strings.TrimSpace(line.String()), " ", 7)
	if len(fields) != 7 || strings.Contains(line.String(), "%") || strings.Count(line.String(), "\n") != 1 {
		t.Fatalf("no cron line: %q", line.String())
	}
	minute, err1 := strconv.Atoi(fields[0])
	hour, err2 := strconv.Atoi(fields[1])
	if err1 != nil || err2 != nil || minute > 59 || hour > 23 || hour >= 3 && hour <= 5 || strings.Join(fields[2:5], " ") != "* * *" {
		t.Errorf("cron at %q", fields[:5])
	}
	if fields[5] != u.one(t, "User") || names["STATE_DIRECTORY"] != "/var/lib/mediamove" {
		t.Errorf("cron runs as %s with %v", fields[5], names)
	}
	cron := nightlyFlags(t, fields[6])
	delete(cron, "--env-file")
	if !maps.Equal(cron, service) {
		t.Errorf("cron %v, systemd %v", cron, service)
	}
}

// The real promtool reads the rules, and each alert speaks when it must. No rule asks for
// a series that is never written.
func TestAlerts(t *testing.T) {
	t.Parallel()
	tool(t, "promtool", "check", "rules", deploy+"prometheus/mediamove.rules.yml")
	tool(t, "promtool", "test", "rules", deploy+"prometheus/mediamove.test.yml")
	rules, err := os.ReadFile(deploy + "prometheus/mediamove.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile(deploy + "prometheus/mediamove.test.yml")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile(deploy + "README.md")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.Write(rules)
	for line := range strings.Lines(string(readme)) {
		if strings.HasPrefix(line, "| `"+metricPrefix) {
			b.WriteString(line)
		}
	}
	named := b.String()
	written := map[string]bool{}
	for _, f := range (&metrics{}).families() {
		written[metricPrefix+f.name] = true
		if !strings.Contains(named, "`"+metricPrefix+f.name+"`") {
			t.Errorf("the README lacks %s%s", metricPrefix, f.name)
		}
	}
	isName := func(r rune) bool { return r == '_' || r >= 'a' && r <= 'z' }
	for name := range strings.FieldsFuncSeq(named, func(r rune) bool { return !isName(r) }) {
		if strings.HasPrefix(name, metricPrefix) && !written[name] {
			t.Errorf("%s is never written", name)
		}
	}
	for line := range strings.Lines(string(rules)) {
		if _, alert, ok := strings.Cut(strings.TrimSpace(line), "alert: "); ok && !strings.Contains(string(tests), "alertname: "+alert+"\n") {
			t.Errorf("%s has no test in which it speaks", alert)
		}
	}
}
