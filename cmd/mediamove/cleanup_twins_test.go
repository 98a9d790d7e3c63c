package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/fixtures/instance"
	"example.org/mediamove/media"
)

// twins are names of an orphan and of its neighbour, which a row owns. Encoders, proxies
// and trimming servers have taken the one for the other.
func twins() [][2]string {
	return [][2]string{
		{"twin ", "twin"},
		{"twin\u00a0", "twin"},
		{"twin\u2003", "twin"},
		{" twin", "twin"},
		{"a%20b", "a b"},
		{"a b", "a%20b"},
		{"a+b", "a b"},
		{"a b", "a+b"},
		{"a%2Bb", "a+b"},
		{"a%2520b", "a%20b"},
		{"a%2Fb", "a_b"},
		{"a\ufffdb", "a\x01b"},
		{"a\x01b", "a\ufffdb"},
		{"a\x7fb", "a\ufffdb"},
		{"a\u0085", "a"},
		{"a\tb", "a b"},
		{"a&amp;b", "a&b"},
		{"a&b", "a&amp;b"},
		{"a&#65;b", "aAb"},
		{"a<b", "a&lt;b"},
		{"cafe\u0301", "caf\u00e9x"},
		{"caf\u00e9", "cafe"},
		{"\u212b", "\u00c5x"}, // the sign and the letter are one in NFC
		{"A", "a"},
		{"a?b", "a"},
		{"a#b", "a"},
		{"a;b", "a"},
		{"a\\b", "a"},
		{`a"b`, "a'b"},
		{"a*", "a"},
		{"~a", "a"},
	}
}

// plantTwins plants them, each pair below a row of its own that owns the neighbour.
func (l *living) plantTwins() (orphans []string) {
	l.t.Helper()
	for i, pair := range twins() {
		id := int64(800_000_000 + i)
		l.db.Exec(l.t, `INSERT INTO media_attachments (id, remote_url, type, file_file_name, file_content_type, file_file_size, file_storage_schema_version, created_at, updated_at)
			VALUES ($1, 'https://far.example/x', 0, $2, 'image/jpeg', 60, 1, now(), now())`, id, pair[1])
		for n, name := range pair {
			key := media.Path{Cached: true, Class: media.MediaAttachments, Attachment: "files", ID: id, Style: "original", Name: name}.Key()
			o := instance.Object{Key: key, Size: int64(60 + n), Modified: l.now().AddDate(-1, 0, 0), ContentType: "image/jpeg"}
			instance.Fill(l.bucket, "", slices.Values([]instance.Object{o}))
			if n == 0 {
				orphans = append(orphans, string(key))
			} else {
				l.objects[key] = o
			}
		}
	}
	slices.Sort(orphans)
	return orphans
}

// Whatever the server does to names, the neighbour that somebody owns survives.
func TestTwins(t *testing.T) {
	t.Parallel()
	noBatches := func(r fixtures.Request) fixtures.Fault {
		if r.Op == costs.DeleteObjects {
			return fixtures.Fault{Status: http.StatusNotImplemented, Code: "NotImplemented"}
		}
		return fixtures.Fault{}
	}
	odd := func(f fixtures.KeyFault) func(r fixtures.Request) fixtures.Fault {
		return func(fixtures.Request) fixtures.Fault {
			return fixtures.Fault{Keys: func(key string) fixtures.KeyFault {
				if strings.HasSuffix(key, "7.jpeg") || strings.HasSuffix(key, "b.jpeg") {
					return f
				}
				return fixtures.KeyFault{}
			}}
		}
	}
	for name, tt := range map[string]struct {
		fault func(fixtures.Request) fixtures.Fault
		trash string
	}{
		"batches":              {nil, ""},
		"no batches, no trash": {noBatches, "none"},
		"silent answers":       {odd(fixtures.KeyFault{Silent: true}), ""},
		"doubled answers":      {odd(fixtures.KeyFault{Twice: true}), "none"},
		"errors":               {odd(fixtures.KeyFault{Code: "InternalError"}), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newBound(t, databases.Cluster(t), 61, fixtures.Options{TrimDeletes: true})
			orphans := l.plantTwins()
			l.plantGone(30)
			l.orphan(exitOK)
			l.night()
			l.bucket.SetFault(tt.fault)
			before := l.stands()
			r := l.clean("orphans", "--apply", "--max-share", "100", "--trash", tt.trash)
			if r.code != exitOK && (r.code != exitLeft || tt.fault == nil) {
				t.Fatal(r)
			}
			l.owned()
			want := l.removable()
			gone := missing(before, l.stands())
			for _, k := range gone {
				if !slices.Contains(want, k) && !slices.Contains(orphans, k) {
					t.Errorf("%q is gone", k)
				}
			}
			for _, k := range want { // what has a plain name goes in any case, but for the errors
				if !slices.Contains(gone, k) && name != "errors" {
					t.Errorf("%q is still there", k)
				}
			}
			taken := 0
			for _, k := range orphans {
				if slices.Contains(gone, k) {
					taken++
				}
			}
			if taken < 10 {
				t.Errorf("only %d of %d odd ones are gone: %q", taken, len(orphans), gone)
			}
			if u := l.bucket.Usage(); u.Get(costs.DeleteObjects) == 0 || u.Get(costs.DeleteObject) < 20 {
				t.Errorf("%v", u)
			}
			// None of them is told wrongly either.
			told := slices.Sorted(slices.Values(l.removedKeys(l.lastRun("orphans"))))
			if !slices.Equal(told, gone) {
				t.Errorf("the journal tells of %d, %d are gone: %q and %q", len(told), len(gone), told, gone)
			}
			l.bucket.SetFault(nil)
			if tt.trash == "none" {
				return
			}
			if r := l.clean("undo", l.lastRun("orphans")); r.code != exitOK || len(missing(before, l.stands())) > 0 {
				t.Errorf("%q are not back: %v", missing(before, l.stands()), r)
			}
		})
	}
}

// removedKeys is what the journal says that a run removed, exactly.
func (l *living) removedKeys(run string) (keys []string) {
	l.t.Helper()
	var journal struct{ Removals []removalJSON }
	decode(l.t, l.clean("journal", "--run", run, "--only", "removed", "--json"), exitOK, &journal)
	for _, r := range journal.Removals {
		keys = append(keys, r.Key)
	}
	return keys
}

// Names that play tricks on a terminal, or on who reads tab-separated lines, do not.
func TestTwinsOnScreens(t *testing.T) {
	t.Parallel()
	l := newBound(t, databases.Cluster(t), 62, fixtures.Options{})
	orphans := l.plantTwins()
	l.orphan(exitOK)
	l.night()
	l.orphan(exitOK, "--apply", "--max-share", "100")
	screens := []result{l.clean("journal"), l.clean("orphans", "--list", "unknown"), l.clean("orphans")}
	for _, k := range orphans {
		screens = append(screens, l.clean("explain", k))
	}
	for _, r := range screens {
		for line := range strings.Lines(r.stdout) {
			if fields := strings.Count(line, "\t"); !harmless(strings.ReplaceAll(strings.TrimSuffix(line, "\n"), "\t", " ")) || fields != 0 && fields != 4 && fields != 5 {
				t.Errorf("%q", line)
			}
		}
		if r.code != exitOK {
			t.Error(r)
		}
	}
	if n := strings.Count(screens[0].stdout, "\n"); n < 20 {
		t.Error(fmt.Sprint(n, " lines: "), screens[0])
	}
}
