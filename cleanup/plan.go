package cleanup

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"time"

	"example.org/mediamove/media"
)

// The schemas name the format of a plan's file, and whose plan it is.
const (
	PlanSchema      = "mediamove.orphans-plan/1"
	PrunePlanSchema = "mediamove.prune-plan/1"
)

// PlanLife is how long a plan may be applied: what it rests on grows old.
const PlanLife = 24 * time.Hour

// A Plan is the head of a plan's file; the candidates follow it there.
type Plan struct {
	Schema     string              `json:"schema"`
	ID         string              `json:"id"` // random: a plan is applied once
	BucketID   string              `json:"bucket_id"`
	LedgerID   string              `json:"ledger_id"`
	Run        int64               `json:"run"`
	Made       time.Time           `json:"made"`
	Expires    time.Time           `json:"expires"`
	MinAge     Age                 `json:"min_age"`
	Limits     Limits              `json:"limits"`
	Candidates Sum                 `json:"candidates"`
	Classes    map[media.Class]Sum `json:"classes"`
	Above      []Above             `json:"above"` // classes beyond the limits
	Reasons    map[string]Sum      `json:"reasons"`

	Budget     *Budget `json:"budget,omitempty"`      // of a prune
	AllowShare float64 `json:"allow_share,omitempty"` // of a prune: per cent of the cache
}

// Age is a duration that JSON shows as people write it.
type Age time.Duration

// MarshalText prints a as Go does, such as 72h0m0s.
func (a Age) MarshalText() ([]byte, error) { return []byte(time.Duration(a).String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (a *Age) UnmarshalText(data []byte) error {
	d, err := time.ParseDuration(string(data))
	*a = Age(d)
	return err
}

// A Candidate is an object that may go.
type Candidate struct {
	Key      media.Key `json:"key"`
	Reason   string    `json:"reason"`
	Size     int64     `json:"size"`
	ETag     string    `json:"etag"`
	Modified time.Time `json:"modified"`
	First    time.Time `json:"first_seen"`    // or, of a row's object, since when it is there
	Row      int64     `json:"row,omitempty"` // whose columns go first, if it has a row
}

// NewPlanID returns a random plan id.
func NewPlanID() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return hex.EncodeToString(b[:])
}

// The seams of a plan's file. The list comes last but for the sum, so that a file can
// be written and read without holding it in memory, and still is one JSON document.
const (
	listSeam = ",\n\"list\": [\n"
	hashSeam = "\n],\n\"sha256\": \""
	fileEnd  = "\"}\n"
)

// ErrPlan marks a plan that can't be applied.
var ErrPlan = errors.New("the plan can't be applied")

// WritePlan writes p and its candidates to a new file (0600: keys are personal data).
// An existing file is never written over.
func WritePlan(path string, p *Plan, candidates iter.Seq2[Candidate, error]) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write the plan: %w", err)
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	sum := sha256.New()
	w := bufio.NewWriter(io.MultiWriter(f, sum))
	if err := writeList(w, p, candidates); err != nil {
		return fmt.Errorf("write the plan: %w", err)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write the plan: %w", err)
	}
	// The sum covers everything before it.
	if _, err := fmt.Fprintf(f, "%s%x%s", hashSeam, sum.Sum(nil), fileEnd); err != nil {
		return fmt.Errorf("write the plan: %w", err)
	}
	return f.Sync()
}

func writeList(w *bufio.Writer, p *Plan, candidates iter.Seq2[Candidate, error]) error {
	head, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	_, _ = w.Write(head[:len(head)-len("\n}")]) // bufio keeps the first error for Flush
	_, _ = w.WriteString(listSeam)
	first := true
	for c, err := range candidates {
		if err != nil {
			return err
		}
		line, err := json.Marshal(c)
		if err != nil {
			return err
		}
		if !first {
			_, _ = w.WriteString(",\n")
		}
		first = false
		if _, err := w.Write(line); err != nil {
			return err
		}
	}
	return nil
}

// A PlanFile is a plan that was checked as a whole.
type PlanFile struct {
	Plan
	SHA256 string
	path   string
	parts  []string // the sum up to every planPart candidates
}

// planPart is how many candidates are read before their sum is compared, so that none
// is acted upon that was not in the file when it was checked.
const planPart = 1000

// maxPlanLine bounds a line of a plan: a key of 1,024 bytes, escaped, and its facts.
const maxPlanLine = 1 << 20

// OpenPlan reads the file at path once and checks its sum, so that nothing is believed
// of a plan that was cut or edited. The error wraps [ErrPlan].
func OpenPlan(path string) (*PlanFile, error) {
	f, n := &PlanFile{path: path}, Sum{}
	sum, err := f.read(planVisit{
		head: func(p *Plan) { f.Plan = *p },
		part: func(sum string) error { f.parts = append(f.parts, sum); return nil },
		each: func(c Candidate) { n.add(c.Size) },
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %s: %w", ErrPlan, filepath.Base(path), err)
	case !slices.Contains([]string{PlanSchema, PrunePlanSchema, MissingPlanSchema}, f.Schema):
		return nil, fmt.Errorf("%w: %s: schema %.40q, want %q", ErrPlan, filepath.Base(path), f.Schema, PlanSchema)
	case n != f.Candidates:
		return nil, fmt.Errorf("%w: %s: %d candidates, its head says %d", ErrPlan, filepath.Base(path), n.Objects, f.Candidates.Objects)
	}
	f.SHA256 = sum
	return f, nil
}

// List yields the candidates, reading the file again. It ends in an error where that is
// not the file that was checked; what was yielded before was in that one too.
func (f *PlanFile) List(ctx context.Context) iter.Seq2[Candidate, error] {
	return func(yield func(Candidate, error) bool) {
		l := planList{f: f, yield: yield}
		sum, err := f.read(planVisit{
			head: func(*Plan) {},
			part: func(sum string) error { return l.part(ctx, sum) },
			each: func(c Candidate) { l.held = append(l.held, c) },
		})
		if err == nil && sum != f.SHA256 {
			err = errPlanSwapped
		}
		if err == nil {
			err = l.flush(ctx)
		}
		switch {
		case err == nil, errors.Is(err, errPlanStops):
		case ctx.Err() != nil:
			yield(Candidate{}, context.Cause(ctx))
		default:
			yield(Candidate{}, fmt.Errorf("%w: %w", ErrPlan, err))
		}
	}
}

// A planList holds candidates back until their sum is known.
type planList struct {
	f     *PlanFile
	yield func(Candidate, error) bool
	held  []Candidate
	seen  int // parts
}

func (l *planList) part(ctx context.Context, sum string) error {
	if l.seen >= len(l.f.parts) || l.f.parts[l.seen] != sum {
		return errPlanSwapped
	}
	l.seen++
	return l.flush(ctx)
}

func (l *planList) flush(ctx context.Context) error {
	for _, c := range l.held {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !l.yield(c, nil) {
			return errPlanStops
		}
	}
	l.held = l.held[:0]
	return nil
}
