package cleanup_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/media"
)

// planOf is a plan about candidates.
func planOf(candidates []cleanup.Candidate) *cleanup.Plan {
	p := &cleanup.Plan{
		Schema: cleanup.PlanSchema, ID: "0123456789ab", BucketID: "bucket", LedgerID: "ledger", Run: 7,
		Made: noon, Expires: noon.Add(cleanup.PlanLife), MinAge: cleanup.Age(cleanup.MinAge), Limits: cleanup.Ceilings(),
		Classes: map[media.Class]cleanup.Sum{}, Reasons: map[string]cleanup.Sum{},
	}
	for _, c := range candidates {
		s := p.Classes[c.Key.Class()]
		p.Classes[c.Key.Class()] = cleanup.Sum{Objects: s.Objects + 1, Bytes: s.Bytes + c.Size}
		p.Candidates.Objects++
		p.Candidates.Bytes += c.Size
	}
	return p
}

func candidate(i int) cleanup.Candidate {
	k := media.Path{Cached: true, Class: media.Accounts, Attachment: "avatars", ID: int64(i + 1), Style: "original", Name: "a.png"}.Key()
	return cleanup.Candidate{
		Key: k, Reason: "row gone", Size: int64(i), ETag: fmt.Sprintf("%032x", i),
		Modified: noon.AddDate(0, 0, -9).Add(time.Duration(i)), First: noon.AddDate(0, 0, -1),
	}
}

func candidates(n int) []cleanup.Candidate {
	list := make([]cleanup.Candidate, n)
	for i := range list {
		list[i] = candidate(i)
	}
	return list
}

// saved writes a plan of list and returns its path.
func saved(t testing.TB, list []cleanup.Candidate) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "plan.json")
	must(t, cleanup.WritePlan(path, planOf(list), each(list, nil)))
	return path
}

// anyCandidate has a key of any text: what JSON escapes, and what looks like a seam.
func anyCandidate(r *rapid.T) cleanup.Candidate {
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
		"", "],\n", "\n", "{}\n],\n\"sha256\": \"", "\"list\": [\n", "\x00\x01\x1f\x7f", "\u2028\u2029", "<&>", "\\\"", "\ufffd", "a\r\n",
	}), rapid.StringN(0, 5000, 20_000))
	at := func(name string) time.Time {
		return time.Unix(rapid.Int64Range(0, 1<<35).Draw(r, name), rapid.Int64Range(0, 999_999_999).Draw(r, name+" ns")).UTC()
	}
	return cleanup.Candidate{
		Key: media.Key(text.Draw(r, "key")), Reason: text.Draw(r, "reason"), Size: rapid.Int64().Draw(r, "size"),
		ETag: text.Draw(r, "etag"), Modified: at("modified"), First: at("first"),
	}
}

// TestPlanRoundTrip: whatever is written comes back, and again on a second reading.
func TestPlanRoundTrip(t *testing.T) {
	t.Parallel()
	dir, n := t.TempDir(), 0
	rapid.Check(t, func(r *rapid.T) {
		list := rapid.SliceOfN(rapid.Custom(anyCandidate), 0, 6).Draw(r, "candidates")
		want := planOf(list)
		want.ID = rapid.String().Draw(r, "id")
		want.MinAge = cleanup.Age(rapid.Int64Range(0, 1<<50).Draw(r, "age"))
		want.Above = rapid.SampledFrom([][]cleanup.Above{nil, {{Class: media.Accounts, Candidates: cleanup.Sum{Objects: 30, Bytes: 1}, Objects: 20, Bytes: 5}}}).Draw(r, "above")
		n++
		path := filepath.Join(dir, strconv.Itoa(n))
		must(t, cleanup.WritePlan(path, want, each(list, nil)))
		defer func() { must(t, os.Remove(path)) }()
		f, err := cleanup.OpenPlan(path)
		if err != nil {
			r.Fatal(err)
		}
		equal(t, f.Plan, *want)
		for range 2 {
			got, err := all(f.List(t.Context()))
			if err != nil {
				r.Fatal(err)
			}
			equal(t, got, append([]cleanup.Candidate(nil), list...))
		}
	})
}

// TestPlanSizes: around the borders of the parts in which a list is compared.
func TestPlanSizes(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 2, 999, 1000, 1001, 1999, 2000, 2001, 3500} {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			t.Parallel()
			list := candidates(n)
			f, err := cleanup.OpenPlan(saved(t, list))
			must(t, err)
			got, err := all(f.List(t.Context()))
			must(t, err)
			if len(got) != n || n > 0 && (got[0] != list[0] || got[n-1] != list[n-1]) {
				t.Errorf("%d candidates came back of %d", len(got), n)
			}
		})
	}
}

// TestPlanIsReadable: one JSON document, whose head says what it is about.
func TestPlanIsReadable(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(saved(t, candidates(2)))
	must(t, err)
	for _, part := range []string{
		`"schema": "mediamove.orphans-plan/1"`, `"min_age": "72h0m0s"`, `"made": "2026-10-01T12:00:00Z"`,
		`{"key":"cache/accounts/avatars/000/000/001/original/a.png","reason":"row gone"`,
	} {
		if !strings.Contains(string(text), part) {
			t.Errorf("no %s in\n%s", part, text)
		}
	}
}

// TestWritePlanRefuses: nothing is written over, and no half a plan is left.
func TestWritePlanRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "plan.json")
	must(t, os.WriteFile(path, []byte("mine"), 0o644))
	wantIs(t, cleanup.WritePlan(path, planOf(nil), each(nil, nil)), os.ErrExist)
	text, err := os.ReadFile(path)
	must(t, err)
	equal(t, string(text), "mine")

	must(t, os.Symlink("nowhere", filepath.Join(dir, "link")))
	wantIs(t, cleanup.WritePlan(filepath.Join(dir, "link"), planOf(nil), each(nil, nil)), os.ErrExist)
	wantIs(t, cleanup.WritePlan(filepath.Join(dir, "no", "folder"), planOf(nil), each(nil, nil)), os.ErrNotExist)

	bad := candidate(1)
	bad.Modified = time.Date(12_000, 1, 1, 0, 0, 0, 0, time.UTC) // which JSON can't say
	for name, tt := range map[string]struct {
		list []cleanup.Candidate
		err  error
	}{
		"at once":       {nil, errScripted},
		"in the middle": {candidates(3000), errScripted},
		"not writable":  {[]cleanup.Candidate{candidate(0), bad}, nil},
	} {
		half := filepath.Join(dir, "half")
		err := cleanup.WritePlan(half, planOf(tt.list), each(tt.list, tt.err))
		if err == nil || tt.err != nil && !errors.Is(err, tt.err) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Lstat(half); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: half a plan is left: %v", name, err)
		}
	}
}

// TestPlanIsPrivate: keys are personal data.
func TestPlanIsPrivate(t *testing.T) {
	t.Parallel()
	info, err := os.Stat(saved(t, candidates(1)))
	must(t, err)
	if info.Mode() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}

// TestPlanListEnds: with the reader, and with the run.
func TestPlanListEnds(t *testing.T) {
	t.Parallel()
	f, err := cleanup.OpenPlan(saved(t, candidates(2500)))
	must(t, err)
	n := 0
	for _, err := range f.List(t.Context()) {
		must(t, err)
		if n++; n == 1500 {
			break
		}
	}
	equal(t, n, 1500)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	n = 0
	for _, err = range f.List(ctx) {
		if n++; n == 1500 {
			cancel(errScripted)
		}
	}
	wantIs(t, err, errScripted)
	equal(t, n, 1501)
	if errors.Is(err, cleanup.ErrPlan) {
		t.Error("a cancelled run is the plan's fault")
	}
}

// TestPlanIDs differ: a plan is applied once.
func TestPlanIDs(t *testing.T) {
	t.Parallel()
	if a, b := cleanup.NewPlanID(), cleanup.NewPlanID(); a == b || len(a) != 24 {
		t.Errorf("%q, %q", a, b)
	}
}
