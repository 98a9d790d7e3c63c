package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/fixtures/instance"
	"example.org/mediamove/media"
)

// A job of the night that fails is told as failed, and has no success of today.
func TestNightlyJobFails(t *testing.T) {
	t.Parallel()
	c := newCached(t, instance.Small(89, "4.6"), 0)
	c.posts(c.db, 150, 5*time.Hour)
	for n, name := range []string{"prune", "orphans"} {
		c.plantGone(t, 5*n, 200)
		c.full()
		c.night()
		args := c.some(5)
		c.bucket.SetFault(func(r fixtures.Request) fixtures.Fault {
			if r.Op == costs.DeleteObject || r.Op == costs.DeleteObjects {
				return fixtures.Fault{Status: 403, Code: "AccessDenied"}
			}
			return fixtures.Fault{}
		})
		path := t.TempDir() + "/m.prom"
		c.nightly(exitUsage, append(args, "--metrics-file", path)...)
		c.bucket.SetFault(nil)
		text, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(text), `mediamove_last_exit_status{command="`+name+`"} 2`) {
			t.Errorf("%s: %s, %v", name, text, err)
		}
		c.whole()
	}
}

// A night that does not come to its work says so to Prometheus too: the cause is counted,
// and its last success is not of today. The exit status is what it was.
func TestNightlyUnbegun(t *testing.T) {
	t.Parallel()
	c := newCached(t, instance.Small(85, "4.6"), 0)
	path := t.TempDir() + "/m.prom"
	success := func() string {
		t.Helper()
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return regexp.MustCompile(`(?m)^mediamove_last_success_timestamp_seconds\{command="nightly"\} .*$`).FindString(string(text))
	}
	args := []string{"nightly", "--apply", "--budget", "1TB", "--metrics-file", path}
	c.posts(c.db, 150, 5*time.Hour)
	if r := c.clean(args...); r.code != exitOK {
		t.Fatal(r)
	}
	was := success()
	if was == "" {
		t.Fatal("no success")
	}
	mark, _ := c.bucket.Body(".mediamove/owner.json")
	for name, tt := range map[string]struct {
		change, back func()
		cause        failureCause
		code         int
	}{
		"no mark": {func() { c.bucket.Delete(".mediamove/owner.json") }, func() { c.bucket.Put(".mediamove/owner.json", mark) }, causeGuard, exitRefused},
		"another token": {func() {
			c.bucket.SetFault(func(r fixtures.Request) fixtures.Fault {
				if media.Key(r.Key).Reserved() {
					return fixtures.Fault{Status: 403, Code: "AccessDenied"}
				}
				return fixtures.Fault{}
			})
		}, func() { c.bucket.SetFault(nil) }, causeSettings, exitUsage},
		"no database":  {func() { c.set("DB_PORT", "1"); c.set("DB_HOST", "127.0.0.1") }, func() {}, causeDatabase, exitUsage},
		"no settings":  {func() { c.set("S3_BUCKET", "") }, func() {}, causeSettings, exitUsage},
		"no such file": {func() { args = append(args, "--env-file", t.TempDir()+"/none") }, func() { args = args[:len(args)-2] }, causeSettings, exitUsage},
	} {
		if err := os.WriteFile(path, []byte(was+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		c.with(tt.change, func() {
			r := c.clean(args...)
			text, err := os.ReadFile(path)
			if r.code != tt.code || err != nil || !strings.Contains(string(text), `mediamove_failures{cause="`+string(tt.cause)+`"} 1`) ||
				!strings.Contains(string(text), `mediamove_last_exit_status{command="nightly"} `+itoa(int64(tt.code))) || success() != was {
				t.Errorf("%s: %v, %v\n%s", name, r, err, text)
			}
		})
		tt.back()
	}
	// A flag that is wrong is no night, and neither is another host's.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if r := c.clean("nightly", "--budget", "1", "--metrics-file", path); r.code != exitUsage {
		t.Error(r)
	}
	c.with(func() { c.machine = strings.Repeat("cd", 16) }, func() {
		if r := c.clean(args...); r.code != exitOK {
			t.Error(r)
		}
	})
	if _, err := os.Stat(path); err == nil {
		t.Error("there is a file")
	}
}
