package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.org/mediamove/fixtures"
	"example.org/mediamove/fixtures/instance"
)

// markText is the owner mark as it stands in the bucket.
func (l *living) markText() string {
	l.t.Helper()
	text, ok := l.bucket.Body(".mediamove/owner.json")
	if !ok {
		l.t.Fatal("no mark")
	}
	return string(text)
}

// Nothing is bound unless a person has typed the domain, exactly.
func TestBindAsks(t *testing.T) {
	t.Parallel()
	l := newLiving(t, instance.Small(31, "4.6"), 10)
	before := l.markText()
	for _, typed := range []string{"", "\n", "example.org\n", "Example.com\n", "example.com.\n", "y\n", "yes\n", "exampleXcom\n"} {
		l.typed = typed
		for _, args := range [][]string{{"bind"}, {"bind", "--take-over"}, {"bind", "--json"}} {
			r := l.clean(args...)
			if r.code != exitRefused || !strings.Contains(r.stderr, "not confirmed: nothing was changed") || !strings.Contains(r.stderr, "type exactly: example.com") {
				t.Errorf("%q typed: %v", typed, r)
			}
			if strings.Contains(r.stdout, `"bound": true`) || strings.HasPrefix(r.stdout, "bound") {
				t.Errorf("%q typed: %v", typed, r)
			}
		}
	}
	if l.markText() != before {
		t.Error("the mark has changed")
	}
	l.refusedBy("unbound", "not bound to a database")
	for _, typed := range []string{"example.com", "  example.com \r\n", "example.com\nmore\n"} {
		l.typed = typed
		r := l.clean("bind")
		if r.code != exitOK || !strings.Contains(r.stdout, `bound: example.com, database "`+l.db.Name) {
			t.Errorf("%q typed: %v", typed, r)
		}
		for _, want := range []string{"bucket    media: ", "database  " + l.db.Name + " of example.com; newest row: 20", "(100.0 %)", "Type the instance's domain"} {
			if !strings.Contains(r.stderr, want) {
				t.Errorf("want %q in %v", want, r)
			}
		}
	}
}

// A database that does not fit is not bound, even if a person types what is asked for.
func TestBindFits(t *testing.T) {
	t.Parallel()
	l := newLiving(t, instance.Small(32, "4.6"), 10)
	l.typed = "example.com\n"
	refused := func(name, want string) {
		t.Helper()
		mark := l.markText()
		if r := l.clean("bind"); r.code != exitRefused || !strings.Contains(r.stderr, want) || r.stdout != "" || strings.Contains(r.stderr, "Type the") {
			t.Errorf("%s: want %q in %v", name, want, r)
		}
		if l.markText() != mark {
			t.Errorf("%s: the mark has changed", name)
		}
	}
	// Every ninth object is not there, which is more than a tenth of what is needed.
	var gone []instance.Object
	for i, k := range slices.Sorted(keysOf(l.objects)) {
		if i%9 == 0 {
			l.bucket.Delete(string(k))
			gone = append(gone, l.objects[k])
		}
	}
	refused("under 90 %", "% of the objects that the rows need are in bucket media, such as not ")
	instance.Fill(l.bucket, "", slices.Values(gone[len(gone)/3:]))
	if b := l.bind(); !b.Bound || b.Percent == 100 || b.Percent < 90 {
		t.Errorf("over 90 %%: %+v", b)
	}
	instance.Fill(l.bucket, "", slices.Values(gone))

	empty := databases.Cluster(t).Create(t, "4.6")
	l.with(func() { l.use(empty) }, func() { refused("no rows", "0.0 %") })
	other := databases.Cluster(t).Create(t, "4.6")
	if err := instance.New(instance.Small(33, "4.6")).Load(t.Context(), other.DSN); err != nil {
		t.Fatal(err)
	}
	l.with(func() { l.use(other) }, func() { refused("another instance", "% of the objects that the rows need") })
	l.later(3 * hour)
	l.posts(l.copyOf("live"), 1, hour)
	refused("standing still", "older than what Mastodon wrote into the bucket last")
	l.alive()
	l.bind()

	unreadable := l.copyOf("unreadable")
	unreadable.Exec(t, "ALTER TABLE site_uploads DROP COLUMN var")
	l.with(func() { l.use(unreadable) }, func() { refused("no Mastodon of ours", "column var of table site_uploads") })
}

// A host without a machine id can't be told from any other.
func TestBindNeedsMachine(t *testing.T) {
	t.Parallel()
	l := newLiving(t, instance.Small(34, "4.6"), 10)
	l.typed = "example.com\n"
	mark := l.markText()
	for name, content := range map[string]string{"none": "", "empty": "\n", "uninitialized": "uninitialized\n"} {
		file := filepath.Join(t.TempDir(), "machine-id")
		if content != "" {
			if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		l.with(func() { l.machine, l.machineFiles = "", []string{file} }, func() {
			if r := l.clean("bind"); r.code != exitUsage || !strings.Contains(r.stderr, "systemd-machine-id-setup") || l.markText() != mark {
				t.Errorf("%s: %v", name, r)
			}
		})
	}
	file := filepath.Join(t.TempDir(), "machine-id")
	if err := os.WriteFile(file, []byte(l.machine+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	l.with(func() { l.machine, l.machineFiles = "", []string{filepath.Join(t.TempDir(), "none"), file} }, func() { l.bind() })
	l.bind() // it is the same machine
	l.with(func() { l.machine, l.machineFiles = "", []string{filepath.Join(t.TempDir(), "none")} }, func() {
		l.night()
		l.refusedBy("no machine id any more", "another host is bound")
	})
}

// One host cleans. Another one is refused until a person moves that, and then the first
// one is.
func TestBindTakeOver(t *testing.T) {
	t.Parallel()
	l := newBound(t, databases.Cluster(t), 35, fixtures.Options{})
	second := func() { l.machine = strings.Repeat("cd", 16) }
	mark := l.markText()
	l.with(second, func() {
		l.typed = "example.com\n"
		r := l.clean("bind")
		if r.code != exitRefused || !strings.Contains(r.stderr, "another host is bound") || !strings.Contains(r.stderr, "bind --take-over") || l.markText() != mark {
			t.Errorf("%v", r)
		}
		l.refusedBy("the second host", "another host is bound")
		if b := l.bind("--take-over"); !b.Bound {
			t.Errorf("%+v", b)
		}
	})
	l.refusedBy("the first host", "another host is bound")
	if r := l.clean("bind"); r.code != exitRefused {
		t.Errorf("the first one took it back unasked: %v", r)
	}
	l.night()
	l.refusedBy("the first host, a night later", "another host is bound")
	l.with(second, func() { l.removes(l.removable()) })
	l.with(second, func() {
		if r := l.clean("undo", l.lastRun("orphans")); r.code != exitOK { // any host may give back
			t.Error(r)
		}
	})
	l.bind("--take-over")
	l.with(second, func() { l.refusedBy("the second host, pushed aside", "another host is bound") })
}

// The mark keeps what a later version has put there, and tells nobody anything.
func TestBindMark(t *testing.T) {
	t.Parallel()
	l := newLiving(t, instance.Small(36, "4.6"), 40)
	edit := func(change func(m map[string]any)) {
		t.Helper()
		var m map[string]any
		if err := json.Unmarshal([]byte(l.markText()), &m); err != nil {
			t.Fatal(err)
		}
		change(m)
		data, err := json.MarshalIndent(m, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		l.bucket.Put(".mediamove/owner.json", append(data, '\n'))
	}
	edit(func(m map[string]any) { m["later"] = map[string]any{"x": []any{1.0, "two"}} })
	l.bind()
	edit(func(m map[string]any) { m["database"].(map[string]any)["nested"] = "kept" })
	l.night()
	l.orphan(exitOK, "--apply")
	text := l.markText()
	var m struct {
		Later    map[string][]any
		Database struct {
			Nested      string
			Hash, Host  string
			Ledger      string
			Count       int64
			Token       string
			BoundAtText string `json:"bound_at"`
		}
	}
	if err := json.Unmarshal([]byte(text), &m); err != nil || fmt.Sprint(m.Later["x"]) != "[1 two]" || m.Database.Nested != "kept" || m.Database.Count != 2 {
		t.Errorf("%v %+v in %s", err, m, text)
	}
	led := l.reader()
	defer led.Close()
	id, err := led.Identity(t.Context())
	if err != nil || id.LedgerID == "" {
		t.Fatal(id, err)
	}
	secrets := map[string]string{
		"password": l.db.Settings["DB_PASS"], "key": fixtures.Secret, "key id": fixtures.AccessKey, "machine": l.machine,
		"database": l.db.Name, "socket": l.db.Socket,
	}
	for name, secret := range secrets {
		if secret == "" || strings.Contains(text, secret) {
			t.Errorf("the mark tells the %s: %s", name, text)
		}
	}
	for _, hash := range []string{m.Database.Hash, m.Database.Host, m.Database.Ledger} {
		if len(hash) != 64 || strings.Contains(hash, id.LedgerID) {
			t.Errorf("%q is no hash", hash)
		}
	}
	if _, err := os.Stat(filepath.Join(l.state, "trash")); errors.Is(err, os.ErrNotExist) {
		t.Error("nothing was removed")
	}
}

// Before the switch the database says nothing about the bucket.
func TestBeforeTheSwitch(t *testing.T) {
	t.Parallel()
	l := newBound(t, databases.Cluster(t), 37, fixtures.Options{})
	l.refusedBy("before the switch", `guard "switched"`, "orphans", "--apply", "--before-switch")
	l.with(func() { l.set("S3_ENABLED", "false") }, func() {
		l.well("a setting that came later than the mark", len(l.removable()))
	})

	fresh := newLiving(t, instance.Small(38, "4.6"), 40)
	fresh.set("S3_ENABLED", "")
	fresh.bind()
	fresh.night()
	fresh.refusedBy("never switched", "Mastodon does not write to this bucket yet")
	fresh.night()
	fresh.orphan(exitOK, "--apply", "--after-switch")
}
