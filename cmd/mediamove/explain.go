package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.org/mediamove/costs"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

func newExplain(w *world) *cobra.Command {
	o := new(common)
	c := &cobra.Command{
		Use:   "explain KEY",
		Short: "The whole story of one object: what it is, what was proven, when, by which run",
		Long:  `Explain reads the ledger only. KEY is the path below public/system.` + "\n" + exitHelp,
		Args:  wantArgs(cobra.ExactArgs(1)),
		RunE:  func(c *cobra.Command, args []string) error { return runExplain(c.Context(), w, o, media.Key(args[0])) },
	}
	o.addFlags(c.Flags())
	return c
}

func runExplain(ctx context.Context, w *world, o *common, k media.Key) (err error) {
	led, err := o.reader(ctx, w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, led.Close()) }()
	s, err := readStory(ctx, led, media.Key(strings.TrimPrefix(string(k), "/")))
	if err != nil {
		return err
	}
	if o.json {
		err = printJSON(w.stdout, s)
	} else {
		_, err = io.WriteString(w.stdout, s.screen())
	}
	if err == nil && s.silent() {
		return &somethingLeft{"the ledger knows nothing of this key"}
	}
	return err
}

// A story is explain's screen and --json. What is missing in it the ledger does not know;
// ID, Style and Created are told by the key alone.
type story struct {
	Schema   string       `json:"schema"`
	Key      string       `json:"key"`
	Class    media.Class  `json:"class,omitempty"`
	Cached   bool         `json:"cached"`
	ID       int64        `json:"id,omitempty"`
	Style    string       `json:"style,omitempty"`
	Created  *time.Time   `json:"created_at,omitempty"`
	Stored   *storedJSON  `json:"stored,omitempty"`
	Finding  *findingJSON `json:"finding,omitempty"`
	Evidence []proofJSON  `json:"evidence"`

	Verified *standingJSON `json:"verified,omitempty"`
	Doubt    *doubtJSON    `json:"doubt,omitempty"`

	Suspect  *suspectJSON  `json:"suspect,omitempty"`
	Removals []removalJSON `json:"removals,omitempty"`
}

// silent reports whether the ledger knows nothing of the key.
func (s *story) silent() bool {
	return s.Stored == nil && s.Finding == nil && s.Doubt == nil && s.Suspect == nil && len(s.Removals) == 0
}

// A storedJSON is what the ledger has recorded. ModTime is the file's when it was read. A
// file that went in parts has no MD5 of the whole, but a PartSize in bytes: its ETag can be
// computed only with that.
type storedJSON struct {
	Size     int64     `json:"size"`
	ModTime  time.Time `json:"mtime"`
	MD5      string    `json:"md5,omitempty"`
	SHA256   string    `json:"sha256"`
	ETag     string    `json:"etag"`
	PartSize int64     `json:"part_size,omitempty"`
	Origin   string    `json:"origin"`
}

// A findingJSON is what a sync has found: why it is not in the bucket, or not as on disk.
type findingJSON struct {
	Kind   ledger.Kind `json:"kind"`
	Cause  string      `json:"cause"`
	Detail string      `json:"detail,omitempty"`
	Run    int64       `json:"run"`
	At     time.Time   `json:"at"`
}

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

// readStory collects all that the ledger knows of a key. None of it is needed: the story
// of a key that was only seen once is short.
func readStory(ctx context.Context, led *ledger.Ledger, k media.Key) (*story, error) {
	s := &story{Schema: "mediamove.explain/1", Key: string(k), Class: k.Class(), Cached: k.Cached(), Evidence: []proofJSON{}}
	if p, err := media.Parse(k); err == nil {
		s.ID, s.Style = p.ID, p.Style
		if at, ok := p.Created(); ok {
			s.Created = &at
		}
	}
	e, err := led.Entry(ctx, k)
	switch {
	case errors.Is(err, ledger.ErrUnknown):
	case err != nil:
		return nil, err
	default:
		s.Stored = &storedJSON{
			Size: e.File.Size, ModTime: e.File.ModTime.UTC(), SHA256: fmt.Sprintf("%x", e.SHA256),
			ETag: e.ETag, PartSize: e.PartSize, Origin: e.Origin.String(),
		}
		if e.MD5 != [16]byte{} {
			s.Stored.MD5 = fmt.Sprintf("%x", e.MD5)
		}
		s.Evidence = append(s.Evidence, proofJSON{Level: proofOf(e), Op: opOf(e), Run: e.Run, At: e.At.UTC()})
		if err := s.weigh(ctx, led, k); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(s.doubtAbout(ctx, led, k), s.cleaned(ctx, led, k)); err != nil {
		return nil, err
	}
	f, err := led.Finding(ctx, k)
	switch {
	case errors.Is(err, ledger.ErrUnknown):
		return s, nil
	case err != nil:
		return nil, err
	}
	s.Finding = &findingJSON{f.Kind, f.Cause, f.Detail, f.Run, f.At.UTC()}
	return s, nil
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

// screen begins with what the key says by itself, then what the move, the proofs and the
// doubts were, and ends with what cleanup runs did.
func (s *story) screen() string {
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "%s\n", quoteKey(s.Key))
	switch {
	case s.Class == "":
		b.WriteString("  not below a class folder that Mastodon uses\n")
	case s.Style == "":
		_, _ = fmt.Fprintf(&b, "  %s, of an unusual shape: no row can be told from it\n", s.Class)
	case s.Cached:
		_, _ = fmt.Fprintf(&b, "  %s id %d, style %s, a cached copy of another server's media\n", s.Class, s.ID, s.Style)
	default:
		_, _ = fmt.Fprintf(&b, "  %s id %d, style %s\n", s.Class, s.ID, s.Style)
	}
	if s.Created != nil {
		_, _ = fmt.Fprintf(&b, "  the row was made at %s (told by its id)\n", s.Created.UTC().Format(time.RFC3339))
	}
	if e := s.Stored; e != nil {
		_, _ = fmt.Fprintf(&b, "\nin the bucket\n  %s bytes, mtime on disk %s\n  sha256 %s\n  etag   %s\n  origin %s\n", count(e.Size), e.ModTime.Format(time.RFC3339Nano), e.SHA256, oneLine(e.ETag), e.Origin)
	}
	for _, p := range s.Evidence {
		_, _ = fmt.Fprintf(&b, "  proof: %s (%s), run %d, %s\n", p.Level, p.Op, p.Run, p.At.Format(time.RFC3339))
	}
	s.printVerified(&b)
	if f := s.Finding; f != nil {
		_, _ = fmt.Fprintf(&b, "\n%s: %s (run %d, %s)\n", f.Kind, oneLine(f.Cause), f.Run, f.At.Format(time.RFC3339))
		if f.Detail != "" {
			_, _ = fmt.Fprintf(&b, "  %s\n", oneLine(f.Detail))
		}
	}
	s.printCleaning(&b)
	if s.silent() {
		b.WriteString("\nthe ledger knows nothing of this key\n")
	}
	return b.String()
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
