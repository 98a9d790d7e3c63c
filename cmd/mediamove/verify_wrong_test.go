package main

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
)

// What is wrong with the command line or the settings is told at once, with a hint,
// and nothing is asked.
func TestVerifyWrongUsage(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(20))
	before := m.b.Usage()
	for name, tt := range map[string]struct {
		args []string
		want string
		env  map[string]string // "-" unsets
	}{
		"read and sample":           {[]string{"--read", "--sample", "3"}, "three ways", nil},
		"read and rotate":           {[]string{"--read", "--rotate", "3"}, "three ways", nil},
		"sample and rotate":         {[]string{"--sample", "3", "--rotate", "3"}, "three ways", nil},
		"sample of less than none":  {[]string{"--sample", "-1"}, "number of objects", nil},
		"sample of nothing":         {[]string{"--sample", "0"}, "number of objects", nil},
		"no number":                 {[]string{"--sample", "many"}, "invalid argument", nil},
		"headers of less than none": {[]string{"--headers", "-1"}, "number of objects", nil},
		"no visits":                 {[]string{"--public", "--visits", "0"}, "number of objects", nil},
		"parts of nothing":          {[]string{"--rotate", "0"}, "from 1 to 1000", nil},
		"too many parts":            {[]string{"--rotate", "1001"}, "from 1 to 1000", nil},
		"no parts":                  {[]string{"--rotate", "-2"}, "from 1 to 1000", nil},
		"seed below zero":           {[]string{"--sample", "3", "--seed", "-1"}, "invalid argument", nil},
		"replace without repair":    {[]string{"--replace-differing"}, "belongs to --repair", nil},
		"repair and certificate":    {[]string{"--repair", "--certificate", "x"}, "do not go together", nil},
		"repair without a root":     {[]string{"--repair"}, "no media root", nil},
		"both switches":             {[]string{"--before-switch", "--after-switch"}, "contradict", nil},
		"no limit":                  {[]string{"--max-class-a", "0"}, "at least 1", nil},
		"no requests":               {[]string{"--max-concurrency", "-1"}, "at least 1", nil},
		"public of nowhere":         {[]string{"--public"}, "S3_ALIAS_HOST", nil},
		"public with a scheme":      {[]string{"--public"}, "S3_ALIAS_HOST", map[string]string{"S3_ALIAS_HOST": "https://files.example"}},
		"two roots":                 {[]string{m.root, m.root}, "accepts at most 1 arg", nil},
		"no such root":              {[]string{"/nonexistent"}, "media root", nil},
		"a class folder as root":    {[]string{filepath.Join(m.root, "media_attachments")}, "one folder of a media root", nil},
		"cache as root":             {[]string{filepath.Join(m.root, "cache")}, "Mastodon's cache", nil},
		"unknown flag":              {[]string{"--delete"}, "unknown flag", nil},
		"a link that is no folder":  {[]string{m.root, "--allow-link", "etc"}, "--allow-link", nil},
		"no proxy":                  {[]string{"--proxy", "nonsense"}, "--proxy", nil},
		"no credentials":            {nil, "AWS_SECRET_ACCESS_KEY", map[string]string{"AWS_SECRET_ACCESS_KEY": "-"}},
		"no bucket":                 {nil, "S3_BUCKET", map[string]string{"S3_BUCKET": "-"}},
		"no domain":                 {nil, "LOCAL_DOMAIN", map[string]string{"LOCAL_DOMAIN": "-"}},
		"http to another host":      {nil, "https", map[string]string{"S3_ENDPOINT": "http://storage.example"}},
		"no such env file":          {[]string{"--env-file", "/nonexistent"}, "/nonexistent", nil},
	} {
		s := *m.site
		s.env = maps.Clone(m.env)
		for name, value := range tt.env {
			if s.env[name] = value; value == "-" {
				delete(s.env, name)
			}
		}
		r := s.run(append([]string{"verify"}, tt.args...)...)
		s.complaint(r, exitUsage, tt.want)
		if r.stdout != "" || t.Failed() {
			t.Fatalf("%s: %v", name, r)
		}
	}
	if sent := m.b.Usage().Sub(before); !sent.IsZero() {
		t.Errorf("sent %v", sent)
	}
	state := *m.site
	state.state = filepath.Join(m.root, "media_attachments", "state")
	if err := os.CopyFS(state.state, os.DirFS(m.state)); err != nil {
		t.Fatal(err)
	}
	state.complaint(state.run("verify", m.root), exitUsage, "inside the media root")
}

// The wrong bucket, the wrong instance, the wrong ledger: nothing is compared.
func TestVerifyWrongBucket(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(30))
	refused := func(s *site, code int, want string) {
		t.Helper()
		sent := m.looked(func() { s.complaint(s.run("verify", s.root), code, want) })
		if sent.A() != 0 || sent.B() > 1 {
			t.Errorf("%q: sent %v", want, sent)
		}
	}
	changed := func(name, value string) *site {
		s := *m.site
		s.env = maps.Clone(m.env)
		s.env[name] = value
		return &s
	}
	refused(changed("LOCAL_DOMAIN", "staging.example"), exitRefused, "belongs to social.example")
	refused(changed("AWS_SECRET_ACCESS_KEY", "wrong-secret-0123456789"), exitUsage, "403")
	refused(changed("S3_BUCKET", "other"), exitUsage, "NoSuchBucket")
	refused(changed("S3_KEY_PREFIX", "elsewhere"), exitRefused, "no owner mark")
	// Without a ledger there is nothing to hold against the bucket, and none is made.
	lost := changed("LOCAL_DOMAIN", "social.example")
	lost.state = filepath.Join(t.TempDir(), "state")
	refused(lost, exitUsage, "no ledger here")
	if _, err := os.Lstat(lost.state); err == nil {
		t.Error("a state folder was made")
	}
	lost.complaint(lost.sync(), exitRefused, "another ledger") // which leaves one behind that the mark does not name
	refused(lost, exitRefused, "another ledger")
	// A bucket that was never synced into, and one that was emptied.
	lost.env["S3_ENDPOINT"] = listen(t, fixtures.NewBucket(fixtures.Options{}))
	refused(lost, exitRefused, "nothing was synced into bucket media yet")
	m.b.Wipe()
	refused(m.site, exitRefused, "no owner mark")
}

// While a sync runs, a verify says so and ends; the other way round too.
func TestVerifyLocked(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(30))
	release := make(chan struct{})
	var held atomic.Bool
	m.b.SetFault(func(r fixtures.Request) fixtures.Fault {
		if r.Op == costs.ListObjects && held.CompareAndSwap(false, true) {
			<-release
		}
		return fixtures.Fault{}
	})
	cmd, stdout, stderr := m.command(t.Context(), "verify")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for !held.Load() {
		time.Sleep(5 * time.Millisecond) // another process: there is no clock to fake
	}
	m.complaint(m.run("verify", m.root), exitLocked, "another run holds the lock")
	m.complaint(m.sync(), exitLocked, "another run holds the lock")
	for _, args := range [][]string{{"status"}, {"explain", m.plain(1)[0]}, {"status", "--list", "missing"}} {
		if r := m.run(args...); r.code != exitOK {
			t.Errorf("%v while a verify runs: %v", args, r)
		}
	}
	close(release)
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s%s", err, stdout, stderr)
	}
}

// A state folder without room stops the run with what to do, and leaves no trace.
func TestVerifyLeavesNoTrace(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(100))
	m.env["TMPDIR"] = t.TempDir()
	before := names(t, m.state)
	m.verify(exitOK, "--read", m.root)
	if after := names(t, m.state); after != before {
		t.Errorf("the state folder holds %s, held %s", after, before)
	}
	if left := names(t, m.env["TMPDIR"]); left != "" {
		t.Errorf("left behind: %s", left)
	}
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}
