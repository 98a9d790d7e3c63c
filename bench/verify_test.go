package main

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"example.org/mediamove/bench/gentree"
	"example.org/mediamove/bench/sink"
	"example.org/mediamove/costs"
	"example.org/mediamove/ledger"
)

// check plays a verify or an `rclone check`: it lists the bucket, counts what
// is as it should be by the ledger and by the tree, and says so. An object that
// is not is an error.
func (a *actor) check() error {
	if a.mark {
		if _, err := a.request(http.MethodGet, "/.mediamove/owner.json", nil, http.StatusOK); err != nil {
			return err
		}
	}
	want, err := a.wanted()
	if err != nil {
		return err
	}
	listed, err := a.listing()
	if err != nil {
		return err
	}
	for key, is := range listed {
		if as, ok := want[key]; !ok || !strings.HasPrefix(is, as) {
			return fmt.Errorf("%s: %s, want %q", key, is, as)
		}
		delete(want, key)
	}
	if len(want) > 0 {
		return fmt.Errorf("%d missing", len(want))
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]int{"same": len(listed)})
}

// listing is what is there but for the mark: key to size and ETag.
func (a *actor) listing() (map[string]string, error) {
	all := make(map[string]string)
	for token := ""; ; {
		body, err := a.request(http.MethodGet, "?list-type=2&continuation-token="+url.QueryEscape(token), nil, http.StatusOK)
		if err != nil {
			return nil, err
		}
		var l struct {
			NextContinuationToken string
			Contents              []struct{ Key, Size, ETag string }
		}
		if err := xml.Unmarshal(body, &l); err != nil {
			return nil, err
		}
		for _, c := range l.Contents {
			if !strings.HasPrefix(c.Key, ".mediamove/") {
				all[c.Key] = c.Size + " " + strings.Trim(c.ETag, `"`)
			}
		}
		if token = l.NextContinuationToken; token == "" {
			return all, nil
		}
	}
}

// recorded adds what the ledger in dir records.
func recorded(dir string, want map[string]string) error {
	l, err := ledger.OpenReader(context.Background(), dir)
	if err != nil {
		return err
	}
	defer l.Close()
	for e, err := range l.Entries(context.Background()) {
		if err != nil {
			return err
		}
		want[string(e.File.Key)] = fmt.Sprintf("%d %s", e.File.Size, e.ETag)
	}
	return nil
}

// wanted is what should be there: key to size and, by the ledger, ETag.
func (a *actor) wanted() (map[string]string, error) {
	want := make(map[string]string)
	if a.mark {
		sent, err := os.ReadFile(filepath.Join(a.memory, "keys"))
		if err != nil {
			return nil, err
		}
		for key := range strings.Lines(string(sent)) {
			want[strings.TrimSpace(key)] = ""
		}
		if err := recorded(a.memory, want); err != nil && !errors.Is(err, ledger.ErrNoLedger) {
			return nil, err
		}
	}
	if a.tree == "" {
		return want, nil
	}
	return want, filepath.WalkDir(a.tree, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			want[strings.TrimPrefix(name, a.tree+"/")] = fmt.Sprintf("%d ", info.Size())
		}
		return err
	})
}

// Ledger and sink are filled with the same objects, which are the spec's, and
// nothing of it is a request.
func TestFill(t *testing.T) {
	t.Parallel()
	h := workshop(t)
	s, err := h.startSink(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	j := job{s.endpoint, "", "b", t.TempDir()}
	spec := gentree.Spec{Files: 1500, Seed: 3, Median: 900, Sigma: 1}
	if err := h.fill(t.Context(), j, spec); err != nil {
		t.Fatal(err)
	}
	st, err := s.control(t.Context(), "/_stats")
	if err != nil || st.Objects != spec.Files || st.ClassA+st.ClassB != 0 {
		t.Errorf("%+v, %v", st, err)
	}
	rows := make(map[string]string)
	if err := recorded(filepath.Join(j.home, "state"), rows); err != nil {
		t.Fatal(err)
	}
	a := actor{base: s.url + "/b", http: s.client}
	listed, err := a.listing()
	if err != nil || len(listed) != spec.Files || !maps.Equal(listed, rows) {
		t.Errorf("%d listed, %d recorded, %v", len(listed), len(rows), err)
	}
	for f := range spec.All() {
		if !strings.HasPrefix(listed[string(f.Key)], strconv.FormatInt(f.Size, 10)+" ") {
			t.Errorf("%+v is listed as %q", f, listed[string(f.Key)])
		}
	}
}

func TestFillFails(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(gone.Close)
	for _, tt := range []struct{ name, state, sink, want string }{
		{"no state", "", gone.URL, "needs -state"},
		{"no sink", t.TempDir(), "", "needs -state and -sink"},
		{"state is a file", "/dev/null", gone.URL, "/dev/null"},
		{"no such path in the sink", filepath.Join(t.TempDir(), "s"), gone.URL, "404"},
		{"no server", filepath.Join(t.TempDir(), "s"), "http://127.0.0.1:1", "fill sink"},
	} {
		err := runFill(t.Context(), []string{"-state", tt.state, "-sink", tt.sink, "-files", "3"})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// A verify that did not see everything is no figure, whatever its exit status.
func TestVerified(t *testing.T) {
	t.Parallel()
	h := workshop(t)
	s, err := h.startSink(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	for _, tt := range []struct {
		name, script string
		says         bool
		want         string // empty: no error
	}{
		{"all", `echo '{"same": 20, "missing": 0}'`, true, ""},
		{"all but one", `echo '{"same": 19, "missing": 0}'`, true, "found 19 of 20"},
		{"no JSON", `echo 20`, true, "cannot unmarshal"},
		{"silent", `true`, true, "unexpected end"},
		{"status alone", `echo nothing`, false, ""},
		{"status alone, failing", `exit 1`, false, "exit status 1"},
	} {
		c := client{name: "c", argv: shell(tt.script), env: word, says: tt.says}
		_, err := h.verified(t.Context(), s, c, job{s.endpoint, "", "b", t.TempDir()}, 20)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestFrugal(t *testing.T) {
	t.Parallel()
	run := func(lists int, others ...costs.Op) sample {
		var m costs.Meter
		for range lists {
			m.Count(costs.ListObjects)
		}
		for _, op := range others {
			m.Count(op)
		}
		return sample{Requests: sink.Stats{Ops: m.Usage()}}
	}
	for _, tt := range []struct {
		name   string
		keys   int
		runs   []sample
		missed int
	}{
		{"as few as can be", 3000, []sample{run(3, costs.GetObject), run(3)}, 0},
		{"the mark fills a page", 3001, []sample{run(4, costs.GetObject)}, 0},
		{"one page twice", 3000, []sample{run(3), run(4)}, 1},
		{"a HEAD", 3000, []sample{run(3, costs.GetObject, costs.HeadObject), run(3)}, 1},
		{"both", 3000, []sample{run(4, costs.GetObject, costs.GetObject)}, 2},
	} {
		h, b := quietHarness(1)
		h.frugal(series{name: "c", samples: tt.runs}, tt.keys)
		if got := strings.Count(b.String(), "missed"); got != tt.missed {
			t.Errorf("%s: %d missed, want %d:\n%s", tt.name, got, tt.missed, b)
		}
	}
}
