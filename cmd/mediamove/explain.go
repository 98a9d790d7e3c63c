package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

type explainOptions struct {
	common
	minAge time.Duration
}

func newExplain(w *world) *cobra.Command {
	o := new(explainOptions)
	c := &cobra.Command{
		Use:   "explain KEY",
		Short: "The whole story of one object: what it is, what was proven, when, by which run",
		Long: `Explain reads the ledger, and makes no request to the bucket. KEY is the path below
public/system.

With the settings of the instance's database (DATABASE_URL, DB_HOST, …, from the
environment or --env-file) it also asks that for the object's row, and says what prune
would do with it, as the row is now: why it stays, until when it is too young, or that
it may go and what goes before it. What prune did to its row is known for 90 days.
` + exitHelp,
		Example: `  mediamove explain cache/media_attachments/files/110/…/original/0f.jpeg
  mediamove explain --env-file /home/mastodon/live/.env.production KEY   what prune would do with it`,
		Args: wantArgs(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error { return runExplain(c.Context(), w, o, media.Key(args[0])) },
	}
	o.addFlags(c.Flags())
	c.Flags().DurationVar(&o.minAge, "min-age", pruneAge, "as prune's: it leaves alone attachments that were fetched more recently")
	return c
}

func runExplain(ctx context.Context, w *world, o *explainOptions, k media.Key) (err error) {
	if err := o.checkAge(); err != nil {
		return err
	}
	led, err := o.reader(ctx, w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, led.Close()) }()
	s, err := readStory(ctx, led, media.Key(strings.TrimPrefix(string(k), "/")))
	if err != nil {
		return err
	}
	asked := o.foresee(ctx, w, led, s)
	if o.json {
		err = printJSON(w.stdout, s)
	} else {
		_, err = io.WriteString(w.stdout, s.screen())
	}
	if err = errors.Join(asked, err); err == nil && s.silent() && s.Prune == nil {
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

	Clearings []clearingJSON `json:"clearings,omitempty"`
	Prune     *prospectJSON  `json:"prune,omitempty"`

	unasked bool // nothing says where the database is
}

// silent reports whether the ledger knows nothing of the key.
func (s *story) silent() bool {
	return s.Stored == nil && s.Finding == nil && s.Doubt == nil && s.Suspect == nil && len(s.Removals)+len(s.Clearings) == 0
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

// readStory collects all that the ledger knows of a key. None of it is needed: the story
// of a key that was only seen once is short.
func readStory(ctx context.Context, led *ledger.Ledger, k media.Key) (*story, error) {
	s := &story{Schema: "mediamove.explain/1", Key: string(k), Class: k.Class(), Cached: k.Cached(), Evidence: []proofJSON{}}
	p, err := media.Parse(k)
	if err == nil {
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
	if err := errors.Join(s.doubtAbout(ctx, led, k), s.cleaned(ctx, led, k), s.pruned(ctx, led, p)); err != nil {
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

// screen begins with what the key says by itself, then what the move, the proofs and the
// doubts were, and ends with what cleanup runs did and would do.
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
	s.printPrune(&b)
	return b.String()
}
