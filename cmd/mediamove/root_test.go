package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.org/mediamove/mastodon"
	"example.org/mediamove/owner"
)

func TestStateDir(t *testing.T) {
	t.Parallel()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	all := []string{"STATE_DIRECTORY=/var/lib/a:/var/lib/b", "XDG_STATE_HOME=/xdg", "HOME=/home/m"}
	for _, tt := range []struct {
		name, typed string
		environ     []string
		want        string
	}{
		{"typed", "/typed", all, "/typed"},
		{"typed, relative", "here", all, filepath.Join(here, "here")},
		{"systemd, the first of two", "", all, "/var/lib/a"},
		{"XDG", "", all[1:], "/xdg/mediamove"},
		{"home", "", all[2:], "/home/m/.local/state/mediamove"},
		{"empty ones don't count", "", []string{"STATE_DIRECTORY=", "XDG_STATE_HOME=", "HOME=/home/m"}, "/home/m/.local/state/mediamove"},
		{"nothing at all", "", nil, ""},
	} {
		o := &common{state: tt.typed}
		got, err := o.stateDir(&world{environ: tt.environ})
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%s: %q, %v, want %q", tt.name, got, err, tt.want)
		}
		if err != nil && (exitCode(err) != exitUsage || hintFor(err) == "") {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// The ledger must never be where it would be served and moved, by whatever way.
func TestCheckState(t *testing.T) {
	t.Parallel()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(dir, "public", "system")
	for _, d := range []string{root + "/accounts", root + "-old", dir + "/state", root + "/..odd"} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{
		"into": root + "/accounts", "to": root, "beside": dir + "/state", "dangling": root + "/not-yet", "loop": dir + "/loop",
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		state  string
		inside bool
	}{
		{"public/system", true},
		{"public/system/accounts", true},
		{"public/system/accounts/not/yet", true},
		{"public/system/..odd", true},
		{"into", true},
		{"into/not/yet", true},
		{"to", true},
		{"to/new", true},
		{"public", false},
		{"public/system-old", false},
		{"public/system/../state", false},
		{"state", false},
		{"beside", false},
		{"beside/not/yet", false},
		{"not/yet", false},
		{"loop", false},     // opening it will say what is wrong
		{"dangling", false}, // no folder is ever made through a dangling link
	} {
		err := checkState(filepath.Join(dir, tt.state), root)
		if (err != nil) != tt.inside {
			t.Errorf("%s: %v, inside: %t", tt.state, err, tt.inside)
		}
		if err != nil && (exitCode(err) != exitUsage || !strings.Contains(err.Error(), "inside the media root")) {
			t.Errorf("%s: %v", tt.state, err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "dangling", "state"), 0o700); err == nil {
		t.Error("a folder was made through a dangling link: checkState must look where it leads")
	}
}

func TestSwitchMode(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		enabled, before, after bool
		want                   owner.Switch
	}{
		{false, false, false, owner.Unset},
		{true, false, false, owner.After},
		{false, false, true, owner.After},
		{true, false, true, owner.After},
		{false, true, false, owner.Before},
		{true, true, false, owner.Before}, // typing wins
	} {
		got, err := switchMode(mastodon.Settings{S3Enabled: tt.enabled}, tt.before, tt.after)
		if got != tt.want || err != nil {
			t.Errorf("%+v: %v, %v", tt, got, err)
		}
	}
	for _, enabled := range []bool{false, true} {
		if _, err := switchMode(mastodon.Settings{S3Enabled: enabled}, true, true); exitCode(err) != exitUsage {
			t.Errorf("both typed: %v", err)
		}
	}
}

func TestNeedSettings(t *testing.T) {
	t.Parallel()
	full := mastodon.Settings{LocalDomain: "d", Bucket: "b", Endpoint: "e", AccessKeyID: "a", SecretAccessKey: "s"}
	if err := needSettings(full); err != nil {
		t.Error(err)
	}
	full.Bucket, full.AccessKeyID = "", ""
	if err := needSettings(full); exitCode(err) != exitUsage || err.Error() != "not set: S3_BUCKET and AWS_ACCESS_KEY_ID" {
		t.Error(err)
	}
}

func TestPrefix(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{"": "", "/": "", "a": "a/", "a/": "a/", "/a/b/": "a/b/"} {
		if got := prefix(s); got != want {
			t.Errorf("prefix(%q) = %q, want %q", s, got, want)
		}
	}
}

func TestProxy(t *testing.T) {
	t.Parallel()
	in := inside(t, 1)
	for _, proxy := range []string{"nowhere", "http://", "::"} {
		if r := in.run("sync", in.root, "--proxy", proxy); r.code != exitUsage || !strings.Contains(r.stderr, "--proxy is no URL") {
			t.Errorf("--proxy %q: %v", proxy, r)
		}
	}
}

// The environment of a run is the world's, not the process's.
func TestGetenv(t *testing.T) {
	t.Parallel()
	w := &world{environ: []string{"A=1", "AB=2", "A=3", "EMPTY="}}
	for name, want := range map[string]string{"A": "1", "AB": "2", "EMPTY": "", "HOME": ""} {
		if got := w.getenv(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}
