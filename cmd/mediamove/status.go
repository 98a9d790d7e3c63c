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
	"example.org/mediamove/verify"
)

// statusOptions are what was typed. budget is text such as 100GB; list are kinds of
// findings, of a sync or a verify.
type statusOptions struct {
	common
	list   []string
	budget string
}

func newStatus(w *world) *cobra.Command {
	o := new(statusOptions)
	c := &cobra.Command{
		Use:   "status",
		Short: "What the ledger knows: totals, last runs, failures and what to do",
		Long: `Status reads the ledger only: no request, no lock, also while a sync is running.
--list prints one line per key, tab-separated: kind, size, cause, key; with --json an
object with the same, and what is known beside it. Of a sync: failed, conflict,
changed, held_back, exposed, left, vanished, outside, unreadable, link, special. Of the
last verify: missing, differs, rewritten, deleted, extra, exposed, changed_on_disk,
never_uploaded, unread, headers, public.` + "\n" + exitHelp,
		Args: wantArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return runStatus(c.Context(), w, o) },
	}
	o.addFlags(c.Flags())
	c.Flags().StringVar(&o.budget, "budget", "", "say when the bucket would pass so many `BYTES`, such as 100GB")
	c.Flags().StringSliceVar(&o.list, "list", nil, "list every key of these `KINDS`")
	return c
}

// runStatus prints either a list of keys or the overview, never both: a list may have a
// million lines, and is for another program.
func runStatus(ctx context.Context, w *world, o *statusOptions) (err error) {
	kinds, err := parseKinds(o.list)
	if err != nil {
		return err
	}
	budget := int64(0)
	if o.budget != "" {
		if budget, err = parseSize("--budget", o.budget); err != nil {
			return err
		}
	}
	led, err := o.reader(ctx, w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, led.Close()) }()
	if len(o.list) > 0 {
		return kinds.list(ctx, w.stdout, led, o.json)
	}
	s, err := readStatus(ctx, led)
	if err != nil {
		return err
	}
	if s.Outlook, err = readOutlook(ctx, led, w.time(), budget); err != nil {
		return err
	}
	if o.json {
		return printJSON(w.stdout, s)
	}
	_, err = io.WriteString(w.stdout, s.screen())
	return err
}

// reader opens the ledger for looking, which never waits for a run.
func (o *common) reader(ctx context.Context, w *world) (*ledger.Ledger, error) {
	dir, err := o.stateDir(w)
	if err != nil {
		return nil, err
	}
	led, err := ledger.OpenReader(ctx, dir)
	if err != nil {
		return nil, stateError(dir, err)
	}
	return led, nil
}

// quoteKey quotes a key only if a terminal or a script would stumble over it.
func quoteKey(k string) string {
	if q := fmt.Sprintf("%q", k); len(q) != len(k)+2 {
		return q
	}
	return k
}

// screen begins with whose ledger it is, since one host may have several, and with the
// switch, which decides what a sync still sends.
func (s *statusJSON) screen() string {
	var b strings.Builder
	if s.BucketID == "" {
		b.WriteString("this ledger belongs to no bucket yet\n")
	} else {
		_, _ = fmt.Fprintf(&b, "%s → bucket %s (id %s)\n", s.Domain, s.Bucket, s.BucketID)
	}
	switch {
	case s.Switched != nil:
		_, _ = fmt.Fprintf(&b, "Mastodon writes to the bucket since %s\n", s.Switched.Format(time.RFC3339))
	default:
		b.WriteString("Mastodon still writes to disk, as far as any run was told\n")
	}
	if s.LastWalk != nil {
		_, _ = fmt.Fprintf(&b, "last whole walk began %s\n", s.LastWalk.Format(time.RFC3339))
	} else {
		b.WriteString("no whole walk yet\n")
	}
	s.printTotals(&b)
	s.printProof(&b)
	s.printFindings(&b)
	s.Outlook.print(&b)
	s.printRuns(&b)
	return b.String()
}

// printTotals says what the ledger has recorded, class by class. Adopted ones are part of
// the files: they were there already, with our bytes.
func (s *statusJSON) printTotals(b *strings.Builder) {
	const row = "  %-28s %12s %10s %12s\n"
	_, _ = fmt.Fprintf(b, "\n"+row, "in the bucket", "files", "bytes", "adopted")
	var n, bytes, adopted int64
	for _, c := range s.Classes {
		name := string(c.Class)
		if c.Cached {
			name = "cache/" + name
		}
		_, _ = fmt.Fprintf(b, row, name, count(c.Files), size(c.Bytes), count(c.Adopted))
		n, bytes, adopted = n+c.Files, bytes+c.Bytes, adopted+c.Adopted
	}
	_, _ = fmt.Fprintf(b, row, "together", count(n), size(bytes), count(adopted))
	if s.Uploads > 0 {
		_, _ = fmt.Fprintf(b, "\n%s under way in parts, or left by a killed run: the next sync ends what is left\n", files(int64(s.Uploads)))
	}
}

// printProof says what was proven since it was moved.
func (s *statusJSON) printProof(b *strings.Builder) {
	p := s.Proof
	b.WriteString("\nproof\n")
	if p.LastPass == nil {
		b.WriteString("  the answers to our PUTs only: no verify has listed the bucket yet\n")
		return
	}
	disk := ""
	if p.LastPass.Walked {
		disk = ", the disk compared too"
	}
	_, _ = fmt.Fprintf(b, "  listed       %12s   the same in run %d, %s%s\n", count(p.LastPass.Same), p.LastPass.Run, p.LastPass.At.Format(time.DateTime), disk)
	if found := p.found(); found != "" {
		_, _ = fmt.Fprintf(b, "  the last verify found: %s; which: mediamove status --list KINDS\n", found)
	}
	_, _ = fmt.Fprintf(b, "  read back    %12s   of %s, and not in doubt since\n", count(p.ReadBack), count(p.Recorded))
}

// found names what the last verify left to look at.
func (p *proofsJSON) found() string {
	var words []string
	for _, v := range []verify.Verdict{
		verify.Missing, verify.Differs, verify.ChangedOnDisk, verify.Exposed, verify.NeverUploaded, verify.Unread, verify.BadHeaders, verify.BadPublic,
	} {
		if n := p.Verify[v.String()]; n > 0 {
			words = append(words, v.String()+" "+count(n))
		}
	}
	return strings.Join(words, ", ")
}

// printFindings shows each cause once, with what to do about it.
func (s *statusJSON) printFindings(b *strings.Builder) {
	if len(s.Causes) == 0 {
		b.WriteString("\nnothing is held back, failed or left\n")
		return
	}
	b.WriteString("\nnot in the bucket, or not as on disk\n")
	for _, c := range s.Causes {
		_, _ = fmt.Fprintf(b, "  %-10s %12s   %s\n", c.Kind, count(c.Files), oneLine(c.Cause))
		if advice := adviceFor(c); advice != "" {
			_, _ = fmt.Fprintf(b, "  %-10s %12s   → %s\n", "", "", advice)
		}
	}
}

// adviceFor says what to do about a group of findings.
func adviceFor(c causeJSON) string {
	switch c.Kind {
	case ledger.Exposed:
		return "public in the bucket although hidden on disk: remove these objects, or make the files public again; mediamove status --list exposed"
	case ledger.Failed:
		if strings.Contains(c.Cause, "permission") {
			return "let this user read the files, then: mediamove sync --retry-failed"
		}
		if strings.Contains(c.Cause, "can't be a key") || strings.Contains(c.Cause, "NFC") {
			return "rename on disk, and in the row that owns it"
		}
		return "mediamove sync --retry-failed"
	case ledger.Conflict:
		return "compare by hand: mediamove explain KEY"
	case ledger.Changed:
		return "the object was left alone; look whether the file on disk is damaged"
	case ledger.Unreadable:
		return "let this user read the folder, then sync again"
	case ledger.Link:
		return "if it leads to another disk of Mastodon's: --allow-link FOLDER"
	}
	return ""
}

// printRuns lists the last runs, the latest first.
func (s *statusJSON) printRuns(b *strings.Builder) {
	if len(s.Runs) == 0 {
		return
	}
	_, _ = fmt.Fprintf(b, "\n  %5s  %-20s %-8s %10s %10s %10s   %s\n", "run", "began (UTC)", "command", "bytes", "Class A", "Class B", "end")
	for _, r := range s.Runs {
		_, _ = fmt.Fprintf(b, "  %5d  %-20s %-8s %10s %10s %10s   %s\n", r.Run, r.Began.Format(time.DateTime),
			r.Command, size(r.Bytes), count(r.ClassA), count(r.ClassB), endOf(r))
	}
}

// endOf is how a run ended, in words. That one was killed is known for certain only when a
// later run has found it without an end; until then it looks like one at work.
func endOf(r runJSON) string {
	switch {
	case r.Killed:
		return "killed"
	case r.ExitCode == nil:
		return "running, or killed"
	case r.Complete && *r.ExitCode == exitOK:
		return "complete"
	case r.Complete:
		return fmt.Sprintf("complete, something is left (exit %d)", *r.ExitCode)
	case *r.ExitCode == exitOK:
		return "in order" // a retry: it walked nothing
	case *r.ExitCode > 128:
		return fmt.Sprintf("interrupted (exit %d)", *r.ExitCode)
	}
	return fmt.Sprintf("exit %d", *r.ExitCode)
}
