package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

// A documented field of docs/json.md: its path, and whether it may be missing.
type field struct {
	path     string
	optional bool
}

// documented reads the tables of docs/json.md by command.
func documented(t *testing.T) map[string][]field {
	t.Helper()
	text, err := os.ReadFile("../../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	heading, name := regexp.MustCompile(`^## mediamove\.(\w+)/1$`), regexp.MustCompile("`([^`]+)`")
	fields := map[string][]field{}
	command := ""
	for line := range strings.Lines(string(text)) {
		if m := heading.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			command = m[1]
		}
		if cells := strings.Split(line, "|"); command != "" && len(cells) > 2 {
			for _, m := range name.FindAllStringSubmatch(cells[1], -1) {
				fields[command] = append(fields[command], field{strings.TrimSuffix(m[1], "?"), strings.HasSuffix(m[1], "?")})
			}
		}
	}
	return fields
}

// paths flattens a decoded object into the paths of its leaves, and of what is empty.
func paths(v any, prefix string, add func(path string, empty bool)) {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			paths(value, strings.TrimPrefix(prefix+"."+name, "."), add)
		}
		if len(v) == 0 {
			add(prefix, true)
		}
	case []any:
		for _, value := range v {
			paths(value, prefix+"[]", add)
		}
		if len(v) == 0 {
			add(prefix, true)
		}
	default:
		add(prefix, v == nil)
	}
}

// fits reports whether a path is the documented one; * stands for one name.
func fits(doc, path string) bool {
	want, got := strings.Split(doc, "."), strings.Split(path, ".")
	return slices.EqualFunc(want, got, func(a, b string) bool { return a == b || a == "*" })
}

// below reports whether an empty list or object may hold the documented path.
func below(doc, empty string) bool {
	return strings.HasPrefix(doc, empty+".") || strings.HasPrefix(doc, empty+"[]")
}

// check holds what a command printed against the page. It returns the paths seen.
func check(t *testing.T, command, output string, fields []field) map[string]bool {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(output), &v); err != nil {
		t.Fatalf("%s: %v in %q", command, err, output)
	}
	if v["schema"] != "mediamove."+command+"/1" {
		t.Errorf("%s: the schema is %v", command, v["schema"])
	}
	seen, empty := map[string]bool{}, []string{}
	paths(v, "", func(path string, nothing bool) {
		if nothing {
			empty = append(empty, path)
			return
		}
		i := slices.IndexFunc(fields, func(f field) bool { return fits(f.path, path) })
		if i < 0 {
			t.Errorf("%s prints %s, which docs/json.md does not have", command, path)
			return
		}
		seen[fields[i].path] = true
	})
	for _, f := range fields {
		hollow := slices.ContainsFunc(empty, func(e string) bool { return below(f.path, e) })
		if !seen[f.path] && !f.optional && !hollow {
			t.Errorf("%s does not print %s, which docs/json.md has", command, f.path)
		}
	}
	for _, path := range empty {
		if !slices.ContainsFunc(fields, func(f field) bool { return below(f.path, path) }) {
			t.Errorf("%s prints nothing for %s", command, path)
		}
	}
	return seen
}

// docs/json.md and the program say the same: no field more, no field less.
func TestJSON(t *testing.T) {
	t.Parallel()
	fields := documented(t)
	in := inside(t, 60)
	seen := map[string]map[string]bool{}
	collected := func(schema string, code int, r result) {
		t.Helper()
		if r.code != code {
			t.Fatalf("%s: %v", schema, r)
		}
		if seen[schema] == nil {
			seen[schema] = map[string]bool{}
		}
		for path := range check(t, schema, r.stdout, fields[schema]) {
			seen[schema][path] = true
		}
	}
	collectAs := func(schema string, code int, command string, args ...string) {
		t.Helper()
		collected(schema, code, in.run(append([]string{command, "--json"}, args...)...))
	}
	collect := func(code int, command string, args ...string) {
		t.Helper()
		collectAs(command, code, command, args...)
	}
	collect(exitOK, "plan", in.root)
	in.bucket.SetFault(func(r fixtures.Request) fixtures.Fault {
		if r.Op == costs.PutObject && strings.HasSuffix(r.Key, ".png") {
			return fixtures.Fault{Status: 400, Code: "InvalidArgument"}
		}
		return fixtures.Fault{}
	})
	collect(exitLeft, "sync", in.root)
	in.bucket.SetFault(nil)
	collect(exitOK, "explain", string(in.finding(ledger.Failed)))
	collect(exitOK, "status")
	collect(exitLeft, "sync", in.root, "--after-switch", "--retry-failed")
	in.enrich()
	collect(exitOK, "status")
	collect(exitOK, "plan", in.root, "--before-switch")
	in.dear(collect)
	for _, key := range []media.Key{in.entry(), "media_attachments/files/000/000/001/original/large.mp4"} {
		collect(exitOK, "explain", string(key))
	}
	collect(exitLeft, "explain", "accounts/never/seen.png")
	in.verifies(collect, collectAs)
	collectAs("list", exitOK, "status", "--list", "missing,failed")
	cleans(t, collected)
	seen["cost"] = costPaths(t, fields["cost"])
	for command, all := range fields {
		for _, f := range all {
			if !seen[command][f.path] {
				t.Errorf("%s: no run here prints %s: is it stale?", command, f.path)
			}
		}
	}
	if len(fields) != 17 {
		t.Errorf("docs/json.md has %d commands", len(fields))
	}
}

// dear makes a plan with all of its levers.
func (in *insider) dear(collect func(int, string, ...string)) {
	in.t.Helper()
	state := in.state
	in.state = filepath.Join(in.t.TempDir(), "state")
	bookUsage(in.t, in.state, time.Now(), costs.Usage{costs.PutObject: 999_960})
	collect(exitOK, "plan", in.root, "--budget", "1", "--rate", "5MB")
	collect(exitOK, "plan", in.root, "--join", fixtures.Name)
	in.state = state
}

// verifies runs verify in all the ways that print something of their own.
func (in *insider) verifies(collect func(int, string, ...string), collectAs func(string, int, string, ...string)) {
	in.t.Helper()
	in.state, in.bucket = filepath.Join(in.t.TempDir(), "state"), fixtures.NewBucket(fixtures.Options{})
	collect(exitOK, "sync", in.root)
	collect(exitOK, "verify", "--certificate", filepath.Join(in.t.TempDir(), "certificate"), in.root)
	collect(exitOK, "verify", "--sample", "5")
	collect(exitOK, "verify", "--rotate", "2")
	key := in.entry()
	collect(exitOK, "explain", string(key))
	in.bucket.Put(string(key), []byte("other bytes"))
	collect(exitLeft, "verify")
	collect(exitOK, "explain", string(key))
	collectAs("list", exitOK, "status", "--list", "differs")
	in.bucket.Delete(string(key))
	collect(exitLeft, "verify", "--read", "--certificate", filepath.Join(in.t.TempDir(), "refused"))
	collect(exitOK, "explain", string(key))
	in.bucket.SetFault(func(r fixtures.Request) fixtures.Fault {
		if r.Op == costs.GetObject && strings.HasSuffix(r.Key, ".png") {
			return fixtures.Fault{Status: 400, Code: "InvalidArgument"}
		}
		return fixtures.Fault{}
	})
	collect(exitStopped, "verify", "--read")
	in.bucket.SetFault(nil)
	collect(exitOK, "status")
}

// An empty ledger prints empty lists, not nothing.
func TestJSONOfEmptyLedger(t *testing.T) {
	t.Parallel()
	in := inside(t, 1)
	led, err := ledger.Open(t.Context(), in.state, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := led.Close(); err != nil {
		t.Fatal(err)
	}
	r := in.run("status", "--json")
	check(t, "status", r.stdout, documented(t)["status"])
	for _, name := range []string{"classes", "findings", "runs"} {
		if !strings.Contains(r.stdout, fmt.Sprintf("%q: []", name)) {
			t.Errorf("no empty list of %s in %v", name, r)
		}
	}
}

// enrich puts into the ledger what only large files and unlucky runs leave there.
func (in *insider) enrich() {
	in.t.Helper()
	ctx := in.t.Context()
	led, err := ledger.Open(ctx, in.state, ledger.Options{})
	if err != nil {
		in.t.Fatal(err)
	}
	defer led.Close()
	now := time.Now()
	key := media.Key("media_attachments/files/000/000/001/original/large.mp4")
	for _, err := range []error{
		led.Store(ctx, ledger.Entry{File: media.File{Key: key, Size: 1 << 30, ModTime: now}, ETag: "x-64", PartSize: 16 << 20, Origin: ledger.Put, Run: 1, At: now}),
		led.Note(ctx, ledger.Finding{Key: key, Kind: ledger.Changed, Cause: "c", Detail: "d", Run: 1, At: now}),
		led.AddUpload(ctx, ledger.Upload{Key: key, ID: "u", Run: 1, At: now}),
	} {
		if err != nil {
			in.t.Error(err)
		}
	}
	if _, err := led.Begin(ctx, "sync", now); err != nil {
		in.t.Error(err)
	}
}

// reader opens the ledger of the last run.
func (in *insider) reader() *ledger.Ledger {
	in.t.Helper()
	led, err := ledger.OpenReader(in.t.Context(), in.state)
	if err != nil {
		in.t.Fatal(err)
	}
	return led
}

// finding returns a key that was found to be so.
func (in *insider) finding(k ledger.Kind) media.Key {
	in.t.Helper()
	led := in.reader()
	defer led.Close()
	for f, err := range led.Findings(in.t.Context(), k) {
		if err == nil {
			return f.Key
		}
	}
	in.t.Fatalf("no finding of kind %s", k)
	return ""
}

// entry returns a key with a row that can be told from it.
func (in *insider) entry() media.Key {
	in.t.Helper()
	led := in.reader()
	defer led.Close()
	for e, err := range led.Entries(in.t.Context()) {
		if err != nil {
			in.t.Fatal(err)
		}
		if p, err := media.Parse(e.File.Key); err == nil {
			if _, ok := p.Created(); ok {
				return e.File.Key
			}
		}
	}
	in.t.Fatal("no such key")
	return ""
}

// No --json output holds a secret, and its root may be anything.
func TestJSONHoldsNoSecret(t *testing.T) {
	t.Parallel()
	in := inside(t, 5)
	for _, args := range [][]string{{"sync", in.root, "--verbose"}, {"status"}, {"plan", in.root}} {
		r := in.run(append(args, "--json")...)
		if strings.Contains(r.stdout+r.stderr, fixtures.Secret) || strings.Contains(r.stdout+r.stderr, fixtures.AccessKey) {
			t.Errorf("%v: %v", args, r)
		}
	}
	err := filepath.WalkDir(in.state, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if strings.Contains(string(data), fixtures.Secret) || strings.Contains(string(data), fixtures.AccessKey) {
			t.Errorf("%s holds credentials", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
