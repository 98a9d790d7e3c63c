package main

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

// A statusJSON is what status shows: the screen and --json.
type statusJSON struct {
	Schema   string      `json:"schema"`
	Bucket   string      `json:"bucket"`
	BucketID string      `json:"bucket_id"`
	Domain   string      `json:"domain"`
	Switched *time.Time  `json:"switched_at,omitempty"`
	LastWalk *time.Time  `json:"last_whole_walk,omitempty"`
	Classes  []totalJSON `json:"classes"`
	Proof    proofsJSON  `json:"proof"`
	Causes   []causeJSON `json:"findings"`
	Uploads  int         `json:"uploads_under_way"`
	Outlook  outlookJSON `json:"outlook"`
	Runs     []runJSON   `json:"runs"`
}

// A totalJSON is what the ledger has recorded of one class, local or below cache/. Adopted
// and Untyped are part of Files: found there with our bytes; sent without a known type.
type totalJSON struct {
	Class   media.Class `json:"class"`
	Cached  bool        `json:"cached"`
	Files   int64       `json:"files"`
	Bytes   int64       `json:"bytes"`
	Adopted int64       `json:"adopted"`
	Untyped int64       `json:"untyped"`
}

// A proofsJSON says what was proven since it was moved. ReadBack are those of Recorded
// whose bytes were read again, and that nothing has cast doubt on since.
type proofsJSON struct {
	Recorded int64     `json:"recorded"`
	ReadBack int64     `json:"read_back"`
	LastPass *passJSON `json:"last_listing,omitempty"`

	Verify map[string]int64 `json:"last_verify,omitempty"` // what the last verify found: verdict → objects
}

// A passJSON is the last comparison with a whole listing of the bucket: Listed objects,
// Same of them as recorded. Walked says whether the disk was compared too.
type passJSON struct {
	Run    int64     `json:"run"`
	At     time.Time `json:"at"`
	Walked bool      `json:"disk_compared"`
	Listed int64     `json:"objects"`
	Same   int64     `json:"same"`
}

// readProof asks for the last verify and for the last whole pass: they may be two runs, as
// an interrupted verify is no pass.
func readProof(ctx context.Context, led *ledger.Ledger) (proofsJSON, error) {
	totals, err := led.Proofs(ctx)
	if err != nil {
		return proofsJSON{}, err
	}
	p := proofsJSON{Recorded: totals.Entries, ReadBack: totals.ReadBack}
	switch run, err := led.Latest(ctx, "verify"); {
	case errors.Is(err, ledger.ErrUnknown):
	case err != nil:
		return p, err
	default:
		_ = json.Unmarshal(run.Counts, &p.Verify) // an older program's words are not ours
	}
	last, err := led.LastPass(ctx)
	if errors.Is(err, ledger.ErrUnknown) {
		return p, nil
	}
	p.LastPass = &passJSON{last.Run, last.Ended.UTC(), last.Walked, last.Listed, last.Same}
	return p, err
}

// A causeJSON is a group of findings of one kind and cause. Example is the first key. Its
// fields are those of the ledger's total, in the same order.
type causeJSON struct {
	Kind    ledger.Kind `json:"kind"`
	Cause   string      `json:"cause"`
	Files   int64       `json:"files"`
	Bytes   int64       `json:"bytes"`
	Example media.Key   `json:"example"`
}

// A runJSON is one run. ExitCode is a pointer since 0 is a status, and a run that is under
// way, or was killed, has none.
type runJSON struct {
	Run      int64           `json:"run"`
	Command  string          `json:"command"`
	Began    time.Time       `json:"began_at"`
	Ended    *time.Time      `json:"ended_at,omitempty"` // missing: under way, or killed
	Killed   bool            `json:"killed"`
	ExitCode *int            `json:"exit_code,omitempty"`
	Complete bool            `json:"complete"`
	Bytes    int64           `json:"bytes_moved"`
	Files    json.RawMessage `json:"files,omitempty"` // the run's own counters, as it printed them
	Requests costs.Usage     `json:"requests"`
	ClassA   int64           `json:"class_a"`
	ClassB   int64           `json:"class_b"`
}

// readStatus asks everything and then joins the errors: it is one file, so one cause makes
// them all.
func readStatus(ctx context.Context, led *ledger.Ledger) (*statusJSON, error) {
	id, err1 := led.Identity(ctx)
	walk, err2 := led.LastWalk(ctx)
	sum, err3 := led.Summary(ctx)
	uploads, err4 := led.Uploads(ctx)
	runs, err5 := led.Runs(ctx, 10)
	proof, err6 := readProof(ctx, led)
	s := &statusJSON{
		Schema: "mediamove.status/1", Bucket: id.Bucket, BucketID: id.BucketID, Domain: id.Domain,
		Switched: instant(id.SwitchedAt), LastWalk: instant(walk.Began), Uploads: len(uploads), Proof: proof,
		Classes: []totalJSON{}, Causes: []causeJSON{}, Runs: []runJSON{},
	}
	for _, c := range sum.Classes {
		s.Classes = append(s.Classes, totalJSON{c.Class, c.Cached, c.Files, c.Bytes, c.Adopted, c.Untyped})
	}
	for _, c := range sum.Findings {
		s.Causes = append(s.Causes, causeJSON(c))
	}
	for _, r := range runs {
		s.Runs = append(s.Runs, runOf(r))
	}
	return s, errors.Join(err1, err2, err3, err4, err5, err6)
}

// runOf puts a run into the shape of JSON. Counters of a run without an end are left out:
// nobody has written them.
func runOf(r ledger.Run) runJSON {
	j := runJSON{
		Run: r.ID, Command: r.Command, Began: r.Began.UTC(), Ended: instant(r.At), Killed: r.Interrupted, Complete: r.Complete,
		Bytes: r.Bytes, Requests: r.Usage, ClassA: r.Usage.A(), ClassB: r.Usage.B(),
	}
	if j.Ended != nil {
		j.ExitCode = &r.ExitCode
		if string(r.Counts) != "{}" { // nothing was counted
			j.Files = r.Counts
		}
	}
	return j
}

// instant is a time for JSON: UTC, nil where there was none.
func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return new(t.UTC())
}
