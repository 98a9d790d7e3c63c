package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

// A proofJSON is one thing that was proven: by which operation of which run, and when. It
// is history, and stays although a later doubt has overtaken it.
type proofJSON struct {
	Level  string    `json:"level"`
	Op     string    `json:"op"`
	Run    int64     `json:"run"`
	At     time.Time `json:"at"`
	ETag   string    `json:"etag,omitempty"`
	Detail string    `json:"detail,omitempty"`
}

// A standingJSON is what the proofs are worth by now: the best one that still stands, or in
// Fallen why none does. Listings counts whole ones that showed the object as recorded.
type standingJSON struct {
	Level    string     `json:"level"`
	Op       string     `json:"op,omitempty"`
	Run      int64      `json:"run,omitempty"`
	At       *time.Time `json:"at,omitempty"`
	Listings int64      `json:"listings"`
	Fallen   string     `json:"fallen,omitempty"`
}

// A doubtJSON is what a verify has found last; Since is the first run that found the same.
type doubtJSON struct {
	Verdict ledger.Verdict `json:"verdict"`
	Cause   string         `json:"cause"`
	Detail  string         `json:"detail,omitempty"`
	ETag    string         `json:"etag,omitempty"`
	Since   int64          `json:"since_run"`
	Run     int64          `json:"run"`
	At      time.Time      `json:"at"`
}

// proofOf says what was known when the object was recorded, which is the first proof.
func proofOf(e ledger.Entry) string {
	if e.Origin == ledger.Put {
		return "our PUT was answered with the MD5 of the bytes that were hashed"
	}
	return "found in the bucket with the same bytes as on disk"
}

// opOf is the operation that this proof rests on: an adopted object was only looked at.
func opOf(e ledger.Entry) string {
	switch {
	case e.Origin != ledger.Put:
		return costs.HeadObject.String()
	case e.PartSize > 0:
		return costs.CompleteMultipartUpload.String()
	}
	return costs.PutObject.String()
}

// weigh adds the later proofs, and what they are all worth now.
func (s *story) weigh(ctx context.Context, led *ledger.Ledger, k media.Key) error {
	proofs, err := led.Evidence(ctx, k)
	if err != nil {
		return err
	}
	for _, p := range proofs {
		s.Evidence = append(s.Evidence, proofJSON{levelWords(p.Level), p.Op.String(), p.Run, p.At.UTC(), p.ETag, p.Detail})
	}
	st, err := led.Standing(ctx, k)
	if err != nil {
		return err
	}
	s.Verified = &standingJSON{Level: levelWords(st.Level), Run: st.Run, At: instant(st.At), Listings: st.Passes, Fallen: st.Fallen}
	if st.Level > 0 {
		s.Verified.Op = st.Op.String()
	}
	return nil
}

// doubtAbout adds the last doubt, even if a later run has settled it.
func (s *story) doubtAbout(ctx context.Context, led *ledger.Ledger, k media.Key) error {
	d, err := led.DoubtAbout(ctx, k)
	if errors.Is(err, ledger.ErrUnknown) {
		return nil
	}
	s.Doubt = &doubtJSON{d.Verdict, d.Cause, d.Detail, d.ETag, d.Since, d.Run, d.At.UTC()}
	return err
}

// levelWords says what a proof shows.
func levelWords(l ledger.Level) string {
	switch l {
	case ledger.ReadBack:
		return "read back to the last byte, with the SHA-256 that was moved"
	case ledger.Listed:
		return "a listing of the whole bucket shows it with the size and ETag that were recorded"
	case ledger.Acknowledged:
		return "the bucket's own answer when it was stored or found"
	}
	return "nothing"
}

// printVerified says what the proofs are worth by now, and what was doubted last.
func (s *story) printVerified(b *strings.Builder) {
	if v := s.Verified; v != nil {
		switch {
		case v.Fallen != "":
			_, _ = fmt.Fprintf(b, "  NOT verified any more: %s\n", oneLine(v.Fallen))
		default:
			_, _ = fmt.Fprintf(b, "  verified: %s, run %d, %s\n", v.Level, v.Run, v.At.Format(time.RFC3339))
		}
		if v.Listings > 0 {
			_, _ = fmt.Fprintf(b, "  seen as recorded by %s whole listings\n", count(v.Listings))
		}
	}
	if d := s.Doubt; d != nil {
		_, _ = fmt.Fprintf(b, "\nlast doubt: %s: %s (run %d", d.Verdict, oneLine(d.Cause), d.Run)
		if d.Since != d.Run {
			_, _ = fmt.Fprintf(b, ", and all since run %d", d.Since)
		}
		_, _ = fmt.Fprintf(b, ", %s)\n", d.At.Format(time.RFC3339))
		if d.Detail != "" {
			_, _ = fmt.Fprintf(b, "  %s\n", oneLine(d.Detail))
		}
	}
}
