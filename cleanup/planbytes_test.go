package cleanup

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"example.org/mediamove/media"
)

// smallPlan is the text of a plan of n candidates.
func smallPlan(t *testing.T, n int64) []byte {
	t.Helper()
	at := time.Date(2026, 10, 1, 3, 0, 0, 0, time.UTC)
	path := filepath.Join(t.TempDir(), "plan")
	p := &Plan{Schema: PlanSchema, ID: "0f", BucketID: "b", LedgerID: "l", Made: at, Expires: at, Limits: Ceilings(), Candidates: Sum{n, n}}
	err := WritePlan(path, p, func(yield func(Candidate, error) bool) {
		for i := range n {
			if !yield(Candidate{Key: media.Key(strconv.FormatInt(i, 10)), Reason: "row gone", Size: 1, ETag: "e", Modified: at, First: at}, nil) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// isPlan reads text as [OpenPlan] reads a file.
func isPlan(text []byte) bool {
	_, err := readPlan(bytes.NewReader(text), planVisit{head: func(*Plan) {}, part: func(string) error { return nil }, each: func(Candidate) {}})
	return err == nil
}

// TestEveryByteCounts: a plan with any one byte flipped, cut or doubled, or cut short
// anywhere, is no plan. So it is with no candidates, one and two.
func TestEveryByteCounts(t *testing.T) {
	t.Parallel()
	for n := range int64(3) {
		whole := smallPlan(t, n)
		for i, b := range whole {
			for name, text := range map[string][]byte{
				"the lowest bit of": slices.Concat(whole[:i], []byte{b ^ 1}, whole[i+1:]),
				"the case of":       slices.Concat(whole[:i], []byte{b ^ 0x20}, whole[i+1:]),
				"a newline for":     slices.Concat(whole[:i], []byte{b ^ '\n' ^ ' '}, whole[i+1:]),
				"nothing for":       slices.Concat(whole[:i], whole[i+1:]),
				"twice":             slices.Concat(whole[:i], []byte{b, b}, whole[i+1:]),
				"a newline before":  slices.Concat(whole[:i], []byte{'\n'}, whole[i:]),
				"the end before":    whole[:i],
			} {
				if isPlan(text) {
					t.Errorf("%d candidates: %s byte %d (%q) went unseen", n, name, i, b)
				}
			}
		}
		for _, more := range []string{"\n", " ", "{}", string(whole)} {
			if isPlan(append(slices.Clone(whole), more...)) {
				t.Errorf("%d candidates: %q at the end went unseen", n, more)
			}
		}
		if !isPlan(whole) {
			t.Errorf("%d candidates: the whole plan is refused", n)
		}
	}
}

// TestPlanLines: a line that never ends is not read for ever, nor held.
func TestPlanLines(t *testing.T) {
	t.Parallel()
	whole := string(smallPlan(t, 1))
	for _, long := range []string{"x", "\n", "x\n"} {
		for _, at := range []int{0, len(whole) - 5} {
			r := &endless{text: whole[:at], more: long}
			_, err := readPlan(r, planVisit{head: func(*Plan) {}, part: func(string) error { return nil }, each: func(Candidate) {}})
			if err == nil || r.n > 4*maxPlanLine {
				t.Errorf("%q from %d on: read %d bytes, %v", long, at, r.n, err)
			}
		}
	}
}

// endless is text, and then more of more for ever.
type endless struct {
	text, more string
	n          int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.text)
	e.text = e.text[n:]
	for n+len(e.more) <= len(p) {
		n += copy(p[n:], e.more)
	}
	e.n += n
	if e.n > 64*maxPlanLine {
		return 0, os.ErrDeadlineExceeded
	}
	return n, nil
}
