package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"example.org/mediamove/bench/sink"
	"example.org/mediamove/cleanup"
	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures/instance"
	"example.org/mediamove/media"
)

// A copyOf is a row of another server's with its objects.
type copyOf struct {
	id      int64
	objects []cleanup.Candidate
}

// caches are the attachments of an instance that may go, the oldest first.
func caches(in *instance.Instance) (rows []*copyOf) {
	at := map[int64]*copyOf{}
	for o := range in.Objects() {
		p, err := media.Parse(o.Key)
		if err != nil || p.Class != media.MediaAttachments || !p.Cached {
			continue
		}
		if at[p.ID] == nil {
			at[p.ID] = &copyOf{id: p.ID}
			rows = append(rows, at[p.ID])
		}
		at[p.ID].objects = append(at[p.ID].objects, cleanup.Candidate{Key: o.Key, Size: o.Size, Row: p.ID})
	}
	return rows
}

// enough are the first rows that hold so many bytes.
func enough(rows []*copyOf, need int64) (some []*copyOf, freed cleanup.Sum) {
	for _, r := range rows {
		if freed.Bytes >= need {
			break
		}
		some = append(some, r)
		for _, c := range r.objects {
			freed.Objects++
			freed.Bytes += c.Size
		}
	}
	return some, freed
}

// prunes plays a bind, which finds nothing wrong, or a prune: it plans by what it knows the
// instance is made of, and clears and deletes if it is told to.
func (a *actor) prunes() error {
	if _, err := a.request(http.MethodGet, "/.mediamove/owner.json", nil, http.StatusOK); err != nil || a.prune[0] == "bind" {
		domain, readErr := io.ReadAll(os.Stdin)
		if a.prune[0] == "bind" && string(domain) != "bench.example\n" {
			return fmt.Errorf("typed was %q, %w", domain, readErr)
		}
		return err
	}
	flag := func(name string) string {
		if i := slices.Index(a.prune, name); i >= 0 {
			return a.prune[i+1]
		}
		return ""
	}
	listed, err := a.listing()
	if err != nil {
		return err
	}
	var p pruned
	for _, is := range listed {
		size, _, _ := strings.Cut(is, " ")
		n, err := strconv.ParseInt(size, 10, 64)
		if err != nil {
			return err
		}
		p.Objects++
		p.Bytes += n
	}
	budget, err := strconv.ParseInt(strings.TrimSuffix(flag("--budget"), "B"), 10, 64)
	if err != nil {
		return err
	}
	target := budget / 100 * 95
	if t := flag("--target"); t != "" {
		if target, err = strconv.ParseInt(strings.TrimSuffix(t, "B"), 10, 64); err != nil {
			return err
		}
	}
	rows, freed := enough(caches(instance.New(hoard(p.Objects-1))), p.Bytes-target) // one was moved
	said := map[string]any{
		"objects": p.Objects, "bytes": p.Bytes, "rows": len(rows), "freed": map[string]int64{"objects": freed.Objects, "bytes": freed.Bytes}, "complete": true,
		"guards": []map[string]any{{"name": "bound", "refused": false}},
	}
	switch {
	case flag("--save") != "":
		err = cleanup.WritePlan(flag("--save"), &cleanup.Plan{Schema: cleanup.PrunePlanSchema, Candidates: freed}, listOf(rows))
	case slices.Contains(a.prune, "--apply"):
		said["rows_cleared"], said["removed"] = len(rows), said["freed"]
		err = a.letGo(rows)
	}
	return errors.Join(err, json.NewEncoder(os.Stdout).Encode(said))
}

func listOf(rows []*copyOf) iter.Seq2[cleanup.Candidate, error] {
	return func(yield func(cleanup.Candidate, error) bool) {
		for _, r := range rows {
			for _, c := range r.objects {
				if !yield(c, nil) {
					return
				}
			}
		}
	}
}

// letGo clears the rows and deletes the objects, ten by themselves and then all others.
func (a *actor) letGo(rows []*copyOf) error {
	ctx := context.Background()
	dsn := fmt.Sprintf("host=%s port=%s dbname=%s user=%s", os.Getenv("DB_HOST"), os.Getenv("DB_PORT"), os.Getenv("DB_NAME"), os.Getenv("DB_USER"))
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	var ids []int64
	var body strings.Builder
	n := 0
	for _, r := range rows {
		ids = append(ids, r.id)
		for _, c := range r.objects {
			if n++; n > 10 {
				fmt.Fprintf(&body, "<Object><Key>%s</Key></Object>", c.Key)
			} else if _, err := a.request(http.MethodDelete, "/"+string(c.Key), nil, http.StatusNoContent); err != nil {
				return err
			}
		}
	}
	if _, err := conn.Exec(ctx, `UPDATE media_attachments SET file_file_name = NULL, file_content_type = NULL, file_file_size = NULL, file_updated_at = NULL,
		thumbnail_file_name = NULL, thumbnail_content_type = NULL, thumbnail_file_size = NULL, thumbnail_updated_at = NULL WHERE id = ANY ($1)`, ids); err != nil {
		return err
	}
	_, err = a.request(http.MethodPost, "?delete", []byte("<Delete>"+body.String()+"</Delete>"), http.StatusOK)
	return err
}

// Whole rows are taken, and none of cards.
func TestFirstOf(t *testing.T) {
	t.Parallel()
	plan := func(yield func(cleanup.Candidate, error) bool) {
		for i := range 7 { // rows 0, 0, 1, 1, 2, 2, 3
			k := media.Key(fmt.Sprintf("cache/media_attachments/files/%d", i))
			if !yield(cleanup.Candidate{Key: k, Row: int64(i / 2), Size: 10}, nil) {
				return
			}
		}
	}
	for most, want := range map[int][3]int{1: {0, 0, 0}, 2: {1, 2, 20}, 3: {1, 2, 20}, 4: {2, 4, 40}, 6: {3, 6, 60}, 7: {4, 7, 70}, 99: {4, 7, 70}} {
		got, err := firstOf(plan, most)
		if err != nil || [3]int{len(got.rows), len(got.objects), int(got.bytes)} != want {
			t.Errorf("%d: %+v, %v", most, got, err)
		}
	}
	cards := func(yield func(cleanup.Candidate, error) bool) {
		yield(cleanup.Candidate{Key: "cache/preview_cards/images/1"}, nil)
	}
	if _, err := firstOf(cards, 9); err == nil {
		t.Error("a card is taken")
	}
	broken := func(yield func(cleanup.Candidate, error) bool) { yield(cleanup.Candidate{}, io.ErrUnexpectedEOF) }
	if _, err := firstOf(broken, 9); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

func TestCompareDumps(t *testing.T) {
	t.Parallel()
	const before = "media_attachments\t1\t4\ta\tx\nmedia_attachments\t2\t4\tb\ty\npreview_cards\t1\t4\tc\tz\n"
	const cleared = "media_attachments\t1\t0\tnull\tx\n"
	rest := strings.SplitAfterN(before, "\n", 2)[1]
	for name, tt := range map[string]struct {
		before, after string
		right         bool
	}{
		"cleared":             {before, cleared + rest, true},
		"nothing":             {before, before, false},
		"half of it":          {before, "media_attachments\t1\t2\tnull\tx\n" + rest, false},
		"another column":      {before, "media_attachments\t1\t0\tnull\ty\n" + rest, false},
		"another row":         {before, cleared + "media_attachments\t2\t0\tnull\ty\n" + strings.SplitAfterN(rest, "\n", 2)[1], false},
		"a card":              {before, cleared + strings.Replace(rest, "4\tc", "0\tc", 1), false},
		"was empty":           {cleared + rest, cleared + rest, false},
		"a row is gone":       {before, cleared, false},
		"a row has come":      {before, cleared + rest + rest, false},
		"none of it is there": {rest, rest, false},
	} {
		if err := compareDumps(strings.NewReader(tt.before), strings.NewReader(tt.after), map[int64]struct{}{1: {}}); (err == nil) != tt.right {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a prune says is believed only if it saw everything, and freed what had to go.
func TestCheckPlan(t *testing.T) {
	t.Parallel()
	w := &pruning{keys: 101, marks: 1, bytes: 10_800_000_000, home: job{home: t.TempDir()}}
	c := client{name: prunePlan, says: true}
	for said, right := range map[string]bool{
		`{"objects":100,"bytes":10800000000,"rows":9,"freed":{"bytes":1300000000},"complete":true}`:                                             true,
		`{"objects":100,"bytes":10800000000,"rows":9,"freed":{"bytes":1200000000},"orphans":{"bytes":100000000},"complete":true}`:               true,
		`{"objects":100,"bytes":10800000000,"rows":9,"freed":{"bytes":1299999999},"complete":true}`:                                             false,
		`{"objects":100,"bytes":10800000000,"rows":9,"freed":{"bytes":2300000000},"complete":true}`:                                             false,
		`{"objects":100,"bytes":10800000000,"rows":9,"freed":{"bytes":1300000000},"complete":false}`:                                            false,
		`{"objects":100,"bytes":10800000000,"rows":9,"freed":{"bytes":1300000000},"short_bytes":1,"complete":true}`:                             false,
		`{"objects":99,"bytes":10800000000,"rows":9,"freed":{"bytes":1300000000},"complete":true}`:                                              false,
		`{"objects":100,"bytes":10800000001,"rows":9,"freed":{"bytes":1300000000},"complete":true}`:                                             false,
		`{"objects":100,"bytes":10800000000,"rows":9,"freed":{"bytes":1300000000},"guards":[{"name":"fresh","refused":true}],"complete":true}`:  false,
		`{"objects":100,"bytes":10800000000,"rows":9,"freed":{"bytes":1300000000},"guards":[{"name":"fresh","refused":false}],"complete":true}`: true,
		`{"objects":100,"bytes":10800000000,"rows":9,"freed":{"bytes":1300000000},"refusal":"guard","complete":true}`:                           false,
		`{"objects":100,"bytes":10800000000,"rows":0,"freed":{"bytes":1300000000},"complete":true}`:                                             false,
		`nothing`: false,
	} {
		if err := os.WriteFile(filepath.Join(w.home.home, "stdout"), []byte(said), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := w.checkPlan(c); (err == nil) != right {
			t.Errorf("%s: %v", said, err)
		}
	}
}

func TestReportPrune(t *testing.T) {
	t.Parallel()
	run := func(name string, wall float64) series {
		return series{name: name, samples: []sample{{Wall: wall, RSS: 40e6}}}
	}
	for _, tt := range []struct {
		name   string
		plan   float64
		apply  application
		missed int
	}{
		{"as it should be", 2.9, application{choice: &choice{}}, 0},
		{"slow", 3.1, application{choice: &choice{}}, 1},
		{"slow by all measures, and large", 5, application{choice: &choice{}, sample: sample{RSS: 200e6}}, 3},
		{"a row too few", 2.9, application{choice: &choice{rows: map[int64]struct{}{1: {}}, objects: map[string]struct{}{"a": {}}}}, 2},
		{"one request too many", 2.9, application{choice: &choice{}, sample: sample{Requests: deletions(11, 50)}}, 1},
	} {
		h, b := quietHarness(1)
		w := &pruning{mastodon: &mastodonProc{}}
		h.reportPlan(results{run(bareScan, 2), run(bareColumns, 3), run(prunePlan, tt.plan)}, w, &pruned{})
		h.reportApply(&tt.apply)
		if got := strings.Count(b.String(), "missed"); got != tt.missed {
			t.Errorf("%s: %d missed, want %d:\n%s", tt.name, got, tt.missed, b)
		}
	}
}

func deletions(one, many int) (s sink.Stats) {
	var m costs.Meter
	for range one {
		m.Count(costs.DeleteObject)
	}
	for range many {
		m.Count(costs.DeleteObjects)
	}
	s.Ops = m.Usage()
	return s
}
