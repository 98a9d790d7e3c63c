package main

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/fixtures/instance"
)

// content is the bytes of every object.
func (l *living) content() map[string][]byte {
	m := map[string][]byte{}
	for k := range l.stands() {
		m[k], _ = l.bucket.Body(k)
	}
	return m
}

// A thousand go, and a thousand come back: bytes, types, every header.
func TestUndoThousand(t *testing.T) {
	t.Parallel()
	l := newBound(t, databases.Cluster(t), 71, fixtures.Options{})
	l.plantGone(1000)
	for i, k := range l.planted(1000) {
		if i%7 != 0 {
			continue
		}
		body, _ := l.bucket.Body(k)
		l.bucket.Plant(fixtures.Object{
			Key: k, ContentType: "video/mp4", CacheControl: "private, max-age=5", Meta: map[string]string{"who": "some body", "n": k},
			Header: map[string][]string{
				"Content-Disposition": {`attachment; filename="a b.mp4"`}, "Content-Encoding": {"gzip"}, "Content-Language": {"de"},
				"Expires": {"Thu, 01 Dec 2033 16:00:00 GMT"},
			},
			LastModified: l.now().AddDate(-1, 0, 0),
		}, body)
	}
	l.orphan(exitOK)
	l.night()
	before, bytesBefore := l.stands(), l.content()
	want := l.removable()
	l.removes(want, "--max-share", "100", "--max-objects", "2000")
	run := l.lastRun("orphans")
	if held := l.clean("status"); held.code != exitOK {
		t.Error(held)
	}
	var out undoJSON
	decode(t, l.clean("undo", run, "--json"), exitOK, &out)
	if got := out.Outcomes["put back"].Objects; got != int64(len(want)) || len(out.NotBack) > 0 || !out.Complete {
		t.Errorf("%+v", out)
	}
	after := l.stands()
	if lost := missing(before, after); len(lost) > 0 || len(after) != len(before) {
		t.Fatalf("%d of %d are back, not %q", len(after), len(before), lost[:min(3, len(lost))])
	}
	for k, o := range before {
		now := after[k]
		now.LastModified, o.LastModified = time.Time{}, time.Time{}
		if fmt.Sprintf("%+v", now) != fmt.Sprintf("%+v", o) { // an empty map is as good as none
			t.Fatalf("%s was %+v, is %+v", k, o, now)
		}
	}
	for k, body := range l.content() {
		if !bytes.Equal(body, bytesBefore[k]) {
			t.Fatalf("%s has other bytes", k)
		}
	}
	// Once more is nothing to do, and no request that writes.
	used := l.bucket.Usage()
	again := l.clean("undo", run)
	if again.code != exitOK || !strings.Contains(again.stdout, "nothing that this run removed is to be put back") || l.bucket.Usage().Get(costs.PutObject) != used.Get(costs.PutObject) {
		t.Errorf("again: %v", again)
	}
	// Nights go by, and all of it stays.
	for range 3 {
		l.later(100 * time.Hour)
		l.alive()
		if out := l.orphan(exitOK, "--apply"); out.Removed.Objects != 0 || out.Returned.Objects != int64(len(want)) {
			t.Errorf("removed again: %+v", out)
		}
	}
	if r := l.clean("orphans"); !strings.Contains(r.stdout, "put back") || !strings.Contains(r.stdout, "by undo: left alone") {
		t.Error(r)
	}
}

// One of them comes back alone; what is newer is left alone; what is damaged is said.
func TestUndoSome(t *testing.T) {
	t.Parallel()
	l := newBound(t, databases.Cluster(t), 72, fixtures.Options{})
	before := l.stands()
	want := l.removable()
	l.removes(want)
	run := l.lastRun("orphans")
	back := func() []string {
		return slices.DeleteFunc(slices.Clone(want), func(k string) bool { _, ok := l.bucket.Object(k); return !ok })
	}
	undo := func(code int, words string, args ...string) {
		t.Helper()
		if r := l.clean(append([]string{"undo", run}, args...)...); r.code != code || !strings.Contains(r.stdout, words) {
			t.Errorf("%v: want %q in %v", args, words, r)
		}
	}
	undo(exitOK, "nothing that this run removed is to be put back", "--key", "no/such/key")
	undo(exitOK, "put back ", "--key", want[3])
	undo(exitOK, "put back ", "--key", "/"+want[4])
	if !slices.Equal(back(), want[3:5]) {
		t.Errorf("back: %q", back())
	}
	l.bucket.Put(want[0], []byte("newer"))
	same, _ := before[want[1]]
	l.bucket.Plant(same, instance.Body(l.orphans[keyOf(same)].Object)) // somebody put the very same there
	l.damage(run, want[2])
	l.drop(run, want[5])
	undo(exitLeft, "something newer stands there")
	var out undoJSON
	decode(t, l.clean("undo", run, "--json"), exitLeft, &out)
	if out.Outcomes["something newer stands there"].Objects != 1 || out.Outcomes["its copy is damaged"].Objects != 1 || out.Outcomes["its copy is not in the trash any more"].Objects != 1 || len(out.NotBack) != 3 || len(out.Outcomes) != 3 {
		t.Errorf("%+v", out)
	}
	if body, _ := l.bucket.Body(want[0]); string(body) != "newer" {
		t.Errorf("what was newer has %q", body)
	}
	gone := missing(before, l.stands())
	if !slices.Equal(gone, []string{want[0], want[2], want[5]}) {
		t.Errorf("not back: %q", gone)
	}
	// The journal and explain tell all of it.
	states := map[string]int{}
	for line := range strings.Lines(l.clean("journal", "--run", run).stdout) {
		states[strings.Split(line, "\t")[2]]++
	}
	if !maps.Equal(states, map[string]int{"removed": 3, "restored": len(want) - 3}) {
		t.Error(states)
	}
	if r := l.clean("explain", want[3]); !strings.Contains(r.stdout, "restored by run "+run) || !strings.Contains(r.stdout, "put back by run ") {
		t.Error(r)
	}
	l.night()
	if out := l.orphan(exitOK, "--apply"); out.Removed.Objects != 0 {
		t.Errorf("%+v", out)
	}
}

// Undo of a run that only marked makes the waiting begin anew.
func TestUndoMarks(t *testing.T) {
	t.Parallel()
	l := newBound(t, databases.Cluster(t), 73, fixtures.Options{})
	if r := l.clean("undo", l.lastRun("bind")); r.code != exitOK || !strings.Contains(r.stdout, "marks cancelled") {
		t.Error(r)
	}
	l.removes(nil)
	l.later(19 * time.Hour)
	l.alive()
	l.removes(nil)
	l.later(2 * time.Hour)
	l.alive()
	l.removes(l.removable())
}

// The journal's filters, and that it needs neither bucket nor database.
func TestJournal(t *testing.T) {
	t.Parallel()
	l := newBound(t, databases.Cluster(t), 74, fixtures.Options{})
	want := l.removable()
	if r := l.clean("journal"); r.code != exitOK || r.stdout != "" {
		t.Error(r)
	}
	day := l.now().UTC()
	l.removes(want)
	first := l.lastRun("orphans")
	keys := l.plantGone(2)
	l.orphan(exitOK)
	l.night()
	l.removes(keys)
	l.with(func() { l.env = nil }, func() {
		lines := func(args ...string) int {
			t.Helper()
			r := l.clean(append([]string{"journal"}, args...)...)
			if r.code != exitOK || r.stderr != "" {
				t.Fatal(r)
			}
			return strings.Count(r.stdout, "\n")
		}
		all := len(want) + 2
		for name, tt := range map[string]struct{ got, want int }{
			"all":       {lines(), all},
			"run":       {lines("--run", first), len(want)},
			"no run":    {lines("--run", "99"), 0},
			"key":       {lines("--key", want[0]), 1},
			"prefix":    {lines("--prefix", keys[0][:len(keys[0])-len("original/gone.jpeg")]), 1},
			"no prefix": {lines("--prefix", "%"), 0},
			"reason":    {lines("--reason", "row gone", "--prefix", "cache/media_attachments/files/900/"), 2},
			"another":   {lines("--reason", "file name changed", "--prefix", "cache/media_attachments/files/900/"), 0},
			"only":      {lines("--only", "kept"), 0},
			"removed":   {lines("--only", "removed"), all},
			"since":     {lines("--since", day.Add(12*time.Hour).Format(time.RFC3339)), 2},
			"until":     {lines("--until", day.Add(12*time.Hour).Format("2006-01-02 15:04")), len(want)},
			"neither":   {lines("--since", "2031-01-01", "--until", "2031-01-02"), 0},
		} {
			if tt.got != tt.want {
				t.Errorf("%s: %d lines, want %d", name, tt.got, tt.want)
			}
		}
	})
}
