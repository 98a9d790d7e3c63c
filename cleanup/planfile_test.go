package cleanup_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/media"
)

// refused reports whether text is no plan. Nothing but ErrPlan may be said of it.
func refused(t testing.TB, path string, text []byte) bool {
	t.Helper()
	must(t, os.WriteFile(path, text, 0o600))
	_, err := cleanup.OpenPlan(path)
	if err != nil {
		wantIs(t, err, cleanup.ErrPlan)
	}
	return err != nil
}

// TestOpenPlanRefuses: a right sum is not enough.
func TestOpenPlanRefuses(t *testing.T) {
	t.Parallel()
	list := candidates(3)
	for name, edit := range map[string]func(*cleanup.Plan){
		"another schema":  func(p *cleanup.Plan) { p.Schema = "mediamove.orphans-plan/2" },
		"no schema":       func(p *cleanup.Plan) { p.Schema = "" },
		"fewer in head":   func(p *cleanup.Plan) { p.Candidates.Objects-- },
		"more in head":    func(p *cleanup.Plan) { p.Candidates.Objects++ },
		"other bytes":     func(p *cleanup.Plan) { p.Candidates.Bytes++ },
		"nothing in head": func(p *cleanup.Plan) { p.Candidates = cleanup.Sum{} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, p := filepath.Join(t.TempDir(), "plan"), planOf(list)
			edit(p)
			must(t, cleanup.WritePlan(path, p, each(list, nil)))
			_, err := cleanup.OpenPlan(path)
			wantIs(t, err, cleanup.ErrPlan)
		})
	}
	_, err := cleanup.OpenPlan(filepath.Join(t.TempDir(), "none"))
	wantIs(t, err, cleanup.ErrPlan)
	wantIs(t, err, os.ErrNotExist)
	_, err = cleanup.OpenPlan(t.TempDir())
	wantIs(t, err, cleanup.ErrPlan)
}

// TestPlanFields: what this version does not know of a plan might be a limit. The sum of
// each text is right.
func TestPlanFields(t *testing.T) {
	t.Parallel()
	path := saved(t, candidates(1))
	whole, err := os.ReadFile(path)
	must(t, err)
	resum := func(old, text string) []byte {
		return summed(t, bytes.Replace(whole, []byte(old), []byte(text), 1))
	}
	for name, text := range map[string][]byte{
		"in the head":      resum(`"run": 7`, `"run": 7, "at_most": 1`),
		"in the limits":    resum(`"objects": 1000`, `"objects": 1000, "at_most": 1`),
		"in the candidate": resum(`"reason":`, `"if":1,"reason":`),
		"two on a line":    resum("}\n],", "}{}\n],"),
		"two in the head":  resum(",\n\"list\": [", "\n}{,\n\"list\": ["),
		"no comma":         resum(",\n\"list\": [", "\n\"list\": ["),
	} {
		if !refused(t, path, text) {
			t.Errorf("%s: taken for a plan", name)
		}
	}
	if refused(t, path, resum("row gone", "row gone.")) {
		t.Error("a plan with its right sum is refused")
	}
}

// summed gives text, a plan, the sum that it should have.
func summed(t testing.TB, text []byte) []byte {
	t.Helper()
	head, _, _ := bytes.Cut(text, []byte("\n],\n\"sha256\""))
	return []byte(string(head) + "\n],\n\"sha256\": \"" + sha(head) + "\"}\n")
}

// TestPlanChanges: between the check and the use the file is replaced, edited or goes.
// What was not checked is never yielded, and the error says so each time.
func TestPlanChanges(t *testing.T) {
	t.Parallel()
	list := candidates(2500)
	other := candidates(4000)[1500:] // another plan of as many
	longer := append(slices.Clone(list), candidate(2500))
	write := func(t *testing.T, path string, l []cleanup.Candidate) {
		t.Helper()
		must(t, os.Remove(path))
		must(t, cleanup.WritePlan(path, planOf(l), each(l, nil)))
	}
	for name, change := range map[string]func(t *testing.T, path string){
		"another plan": func(t *testing.T, path string) { write(t, path, other) },
		"longer":       func(t *testing.T, path string) { write(t, path, longer) },
		"shorter":      func(t *testing.T, path string) { write(t, path, list[:2400]) },
		"empty list":   func(t *testing.T, path string) { write(t, path, nil) },
		"another head": func(t *testing.T, path string) { edit(t, path, `"run": 7`, `"run": 8`, true) },
		"gone":         func(t *testing.T, path string) { must(t, os.Remove(path)) },
		"cut":          func(t *testing.T, path string) { must(t, os.Truncate(path, 100_000)) },
		"one edited":   func(t *testing.T, path string) { edit(t, path, string(list[2300].Key), "cache/x", false) },
		"one and its sum": func(t *testing.T, path string) {
			edit(t, path, string(list[1200].Key), strings.Replace(string(list[1200].Key), "a.png", "b.png", 1), true)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := saved(t, list)
			f, err := cleanup.OpenPlan(path)
			must(t, err)
			change(t, path)
			for range 2 {
				got, err := all(f.List(t.Context()))
				wantIs(t, err, cleanup.ErrPlan)
				for i, c := range got {
					if c != list[i] {
						t.Fatalf("%d: %s was not in the plan that was checked", i, c.Key)
					}
				}
			}
		})
	}
}

func edit(t *testing.T, path, old, text string, resum bool) {
	t.Helper()
	whole, err := os.ReadFile(path)
	must(t, err)
	whole = bytes.Replace(whole, []byte(old), []byte(text), 1)
	if resum {
		whole = summed(t, whole)
	}
	must(t, os.WriteFile(path, whole, 0o600))
}

// FuzzOpenPlan: what is taken for a plan is one JSON document with the sum of itself.
func FuzzOpenPlan(f *testing.F) {
	for n := range 3 {
		whole, err := os.ReadFile(saved(f, candidates(n)))
		must(f, err)
		f.Add(whole)
		f.Add(bytes.Replace(whole, []byte(`"run": 7`), []byte(`"run": 77`), 1))
		f.Add(whole[:len(whole)-1])
	}
	f.Add([]byte("\"list\": [\n],\n\"sha256\": \"\"}\n"))
	f.Add([]byte(strings.Repeat("\n", 100)))
	path := filepath.Join(f.TempDir(), "plan")
	f.Fuzz(func(t *testing.T, text []byte) {
		resummed := text
		if bytes.Contains(text, []byte("\n],\n\"sha256\"")) {
			resummed = summed(t, text) // to get behind the sum
		}
		if refused(t, path, resummed) {
			return
		}
		var doc struct {
			Schema string
			List   []struct{ Key media.Key }
		}
		if err := json.Unmarshal(resummed, &doc); err != nil || doc.Schema != cleanup.PlanSchema {
			t.Fatalf("no plan: %v\n%s", err, resummed)
		}
		p, err := cleanup.OpenPlan(path)
		must(t, err)
		list, err := all(p.List(t.Context()))
		must(t, err)
		if len(list) != len(doc.List) || int64(len(list)) != p.Candidates.Objects {
			t.Fatalf("%d candidates, %d in the document", len(list), len(doc.List))
		}
	})
}
