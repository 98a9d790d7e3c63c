package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/verify"
)

// A verifyReport is the end of a verify: the last screen and --json.
type verifyReport struct {
	verify.Report
	x           *session
	o           *verifyOptions
	run         int64
	err         error
	shrunk      int64 // objects fewer than in the last whole pass
	others      int64 // other hosts' objects then
	goesOn      bool  // reading back did not come to its end; the same command goes on
	repaired    int64
	held        int64 // of what --repair was asked for: what it would not send
	certificate *certificateJSON
	refusal     string             // why there is no certificate
	rows        verify.Rows        // that say what was deleted; nil: nobody can tell
	db          *mastodon.Database // these, if they can be had
	unasked     string             // why they are nil, although the settings name a database
	tell        bool               // the owner mark does not know of the switch yet
	untold      error              // why it still does not
	causes      []doubtGroup
	requests    costs.Usage
	usd         string
	seconds     float64
}

// remaining is what still differs when the run ends.
func (r *verifyReport) remaining() int64 { return r.Differences() + r.lost() - r.repaired }

// lost is how many of the other hosts' objects are gone since the last whole listing.
func (r *verifyReport) lost() int64 {
	if r.Switched || !r.Listing {
		return 0
	}
	return max(0, r.others-r.Of(verify.OtherHost))
}

// othersThen is how many objects of other hosts the run of the last whole listing saw.
func (x *session) othersThen(ctx context.Context, run int64) (int64, error) {
	r, err := x.ledger.Run(ctx, run)
	if err != nil {
		if errors.Is(err, ledger.ErrUnknown) {
			err = nil // there was none
		}
		return 0, err
	}
	counts := make(map[string]int64)
	_ = json.Unmarshal(r.Counts, &counts) // an older program's are other words
	return counts[verify.OtherHost.String()], nil
}

// complete reports whether everything that was asked for was found out.
func (r *verifyReport) complete() bool { return r.Complete() && r.err == nil }

// counts is what the ledger keeps of the run.
func (r *verifyReport) counts() map[string]int64 {
	m := make(map[string]int64)
	for v, n := range r.Counts {
		if n != 0 {
			m[verify.Verdict(v).String()] = n
		}
	}
	return m
}

// classRows sorts the local classes before the cached ones: the local can't be had again.
func (r *verifyReport) classRows() []verifyClassJSON {
	var rows []verifyClassJSON
	for c, t := range r.Classes {
		if t.Objects > 0 {
			rows = append(rows, verifyClassJSON{string(c.Class), c.Cached, t.Objects, t.Bytes})
		}
	}
	slices.SortFunc(rows, func(a, b verifyClassJSON) int {
		if a.Cached != b.Cached {
			if a.Cached {
				return 1
			}
			return -1
		}
		return cmp.Compare(a.Class, b.Class)
	})
	return rows
}

// A doubtGroup is what differs for one reason.
type doubtGroup struct {
	verdict ledger.Verdict
	cause   string
	n       int64
	first   []ledger.Doubt // maxShown at most
	foreign bool           // the ledger has no row of the first
}

// showVerify completes the report from the ledger and prints it.
func (w *world) showVerify(ctx context.Context, x *session, r *verifyReport, o *verifyOptions) (err error) {
	ctx = context.WithoutCancel(ctx)
	if x.ledger != nil {
		_, usd, err := x.spent(ctx)
		if err != nil {
			return err
		}
		r.usd = usd.StringFixed(2)
		if r.causes, err = groupDoubts(ctx, x.ledger, r.run); err != nil {
			return err
		}
		for i := range r.causes {
			// What to advise depends on whether the object is one of ours. One look for each cause
			// has to do: there may be a million keys.
			_, err := x.ledger.Entry(ctx, r.causes[i].first[0].Key)
			r.causes[i].foreign = errors.Is(err, ledger.ErrUnknown)
		}
	}
	if o.json {
		return printJSON(w.stdout, r.json())
	}
	_, err = io.WriteString(w.stdout, r.screen())
	return err
}

// groupDoubts groups what a run found by its cause; causes are few and stable.
func groupDoubts(ctx context.Context, led *ledger.Ledger, run int64) ([]doubtGroup, error) {
	groups := make(map[[2]string]*doubtGroup)
	for d, err := range led.Doubts(ctx, run) {
		if err != nil {
			return nil, err
		}
		id := [2]string{string(d.Verdict), d.Cause}
		g := groups[id]
		if g == nil {
			if len(groups) == 1000 { // causes of earlier syncs may hold anything
				continue
			}
			g = &doubtGroup{verdict: d.Verdict, cause: d.Cause}
			groups[id] = g
		}
		if g.n++; g.n <= maxShown {
			g.first = append(g.first, d)
		}
	}
	var all []doubtGroup
	for _, g := range groups {
		all = append(all, *g)
	}
	slices.SortFunc(all, func(a, b doubtGroup) int {
		return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.verdict, b.verdict), cmp.Compare(a.cause, b.cause))
	})
	return all, nil
}

// screen is the last screen: what is dangerous first, then the counts, the reasons,
// what this proves and what it can't, and the end.
func (r *verifyReport) screen() string {
	var b strings.Builder
	if n := r.Of(verify.Exposed); n > 0 {
		_, _ = fmt.Fprintf(&b, "EXPOSED: not public on disk, but readable in the bucket: %s.\nRemove the objects, or make the files public again: mediamove status --list exposed\n\n", files(n))
	}
	against := "the ledger"
	if r.x.tree != nil {
		against += " and " + quoteKey(r.x.tree.Root())
	}
	if r.o.against != "" {
		against = "the certificate " + quoteKey(r.o.against)
	}
	_, _ = fmt.Fprintf(&b, "verify   bucket %s against %s   %s\n\n", r.x.settings.Bucket, against, span(time.Duration(r.seconds*float64(time.Second))))
	r.printVerdicts(&b)
	r.printWhy(&b)
	r.printProof(&b)
	r.printUse(&b)
	r.printResult(&b)
	return b.String()
}

// printVerdicts has a row for each verdict that some key got. Notes go by the switch: what
// was a fault before it is Mastodon's daily work afterwards.
func (r *verifyReport) printVerdicts(b *strings.Builder) {
	extra := "in the bucket, and nobody here knows it"
	if r.Switched {
		extra = "put there by Mastodon since the switch: normal"
	}
	missing := "moved earlier, not in the bucket now"
	if r.Switched {
		missing = "missing, or deleted by Mastodon: only its database can tell"
	}
	if r.Asked > 0 {
		missing = "not in the bucket, and not deleted as far as the rows tell"
	}
	for _, row := range []struct {
		verdict verify.Verdict
		name    string
		note    string
	}{
		{verify.Same, "same", size(r.Total().Bytes)},
		{verify.Missing, "missing", missing},
		{verify.Differs, "differs", "the bucket holds other bytes"},
		{verify.Rewritten, "rewritten", "newer than our PUT: by Mastodon, after the switch"},
		{verify.Removed, "removed", "by a cleanup run, and not there: as it should be"},
		{verify.Deleted, "deleted", "by Mastodon: no row names them"},
		{verify.Extra, "extra", extra},
		{verify.OtherHost, "other host", "not moved by this ledger; other ledgers write to this bucket too"},
		{verify.NeverUploaded, "never sent", "on disk, neither in the ledger nor in the bucket"},
		{verify.ChangedOnDisk, "changed", "the disk holds other bytes than were moved"},
		{verify.HeldBack, "held back", "not public on disk, and not in the bucket: as it should be"},
		{verify.Exposed, "exposed", "not public on disk, but in the bucket"},
		{verify.Unread, "unread", "could not be read, so nothing is known"},
		{verify.BadHeaders, "headers", "other Content-Type or Cache-Control than Mastodon writes"},
		{verify.BadPublic, "public", "wrong through the public host"},
	} {
		if n := r.Of(row.verdict); n != 0 || row.verdict == verify.Same {
			_, _ = fmt.Fprintf(b, "  %-10s %12s   %s\n", row.name, count(n), row.note)
		}
	}
	if r.Gone > 0 {
		_, _ = fmt.Fprintf(b, "  %-10s %12s   of the extra: deleted on disk since they were moved\n", "gone", count(r.Gone))
	}
	if r.Unrecorded > 0 {
		_, _ = fmt.Fprintf(b, "  %-10s %12s   of the same: equal on disk and in the bucket, not in the ledger; sync adopts them\n", "unrecorded", count(r.Unrecorded))
	}
	if n := r.lost(); n > 0 {
		_, _ = fmt.Fprintf(b, "  %-10s %12s   gone since the last whole listing, and not this ledger's: verify on the other host\n", "lost", count(n))
	}
	if r.shrunk > 0 {
		_, _ = fmt.Fprintf(b, "  %-10s %12s   objects fewer than in the last whole listing\n", "shrunk", count(r.shrunk))
	}
	if r.Asked > 0 {
		_, _ = fmt.Fprintf(b, "  %-10s %12s   of the absent looked up in the database\n", "asked", count(r.Asked))
	}
	if r.Probes > 0 {
		_, _ = fmt.Fprintf(b, "  %-10s %12s   of the missing asked for one by one: all of them absent\n", "probed", count(r.Probes))
	}
}

// printWhy lists the reasons with the command that repairs each kind.
func (r *verifyReport) printWhy(b *strings.Builder) {
	shown := 0
	for _, g := range r.causes {
		switch g.verdict {
		case ledger.Rewritten, ledger.Withdrawn, ledger.Deleted:
			continue // as it should be
		}
		if shown++; shown == 1 {
			b.WriteString(r.whyTitle())
		}
		if shown > maxShown {
			b.WriteString("  … and more\n")
			return
		}
		_, _ = fmt.Fprintf(b, "  %-15s %9s   %s\n  %-15s %9s     %q\n", g.verdict, count(g.n), oneLine(g.cause), "", "", g.first[0].Key)
		if detail := g.first[0].Detail; detail != "" {
			_, _ = fmt.Fprintf(b, "  %-15s %9s     %s\n", "", "", oneLine(detail))
		}
		if r.o.against != "" { // nothing is kept, so this is the place to say it
			for _, d := range g.first[1:] {
				_, _ = fmt.Fprintf(b, "  %-15s %9s     %q\n", "", "", d.Key)
			}
		}
		if advice := r.advice(g); advice != "" && r.remaining() > 0 {
			_, _ = fmt.Fprintf(b, "  %-15s %9s   → %s\n", "", "", advice)
		}
	}
}

// whyTitle names the command that lists the rest; against a certificate there is none.
func (r *verifyReport) whyTitle() string {
	if r.o.against != "" {
		return "\nwhy\n"
	}
	return "\nwhy (every key: mediamove status --list missing,differs,…)\n"
}

// advice is what repairs a kind of difference.
func (r *verifyReport) advice(g doubtGroup) string {
	if r.o.against != "" {
		return ""
	}
	switch g.verdict {
	case ledger.Missing:
		switch {
		case r.Switched && r.db != nil:
			return "mediamove verify --repair ROOT sends again what a row shows"
		case r.Switched:
			return "after the switch nothing is sent again: whoever deleted it may have meant to"
		}
		return "mediamove verify --repair ROOT"
	case ledger.Differs:
		switch {
		case g.foreign:
			return "look at it by hand; mediamove never overwrites what it has no record of"
		case r.Switched:
			return "look at it: mediamove explain KEY"
		}
		return "look at it: mediamove explain KEY; if the disk is right: mediamove verify --repair --replace-differing ROOT"
	case ledger.Extra:
		if !g.foreign {
			return "deleted on disk since; they stay readable in the bucket: remove them there by hand, or after the switch"
		}
		return "look at them: mediamove status --list extra; mediamove never deletes what it does not know"
	case ledger.NeverUploaded:
		if r.Switched {
			return "after the switch a sync sends only what is newer than its last whole walk"
		}
		return "mediamove sync ROOT"
	case ledger.HiddenOnDisk:
		return "remove the objects in the bucket, or chmod go+r the files on disk"
	case ledger.ChangedOnDisk:
		return "look whether the file is damaged: mediamove explain KEY; the object was left alone"
	case ledger.Unread:
		return "run verify again"
	case ledger.BadHeaders:
		return "they are shown or cached otherwise than Mastodon's own; the tool that put them there can write them again"
	case ledger.BadPublic:
		return "look at the bucket's public domain: DNS, CORS policy, cache rules, access"
	}
	return ""
}

// printProof says what was proven, and what this way of looking can't see.
func (r *verifyReport) printProof(b *strings.Builder) {
	if !r.Listing {
		return
	}
	b.WriteString("\nproven by the listing: the same are there with the size and MD5 that were stored with them\n")
	read := r.Read
	switch {
	case read.Asked == "":
		b.WriteString("not looked at: the bytes themselves; what rots at rest only --read, --sample or --rotate can find\n")
	case read.Asked == "sample":
		_, _ = fmt.Fprintf(b, "read back: %s objects, %s, %s equal; sample, %s\n", count(read.Objects), size(read.Bytes), count(read.Equal), read.Sample)
	case read.Of > 1:
		_, _ = fmt.Fprintf(b, "read back: part %d of %d, %s objects, %s, %s equal%s; the other parts are for the next runs\n",
			read.Slot, read.Of, count(read.Objects), size(read.Bytes), count(read.Equal), r.resumed())
	default:
		_, _ = fmt.Fprintf(b, "read back: %s objects, %s, %s equal in size, MD5 and SHA-256%s\n", count(read.Objects), size(read.Bytes), count(read.Equal), r.resumed())
	}
	for _, look := range []struct {
		what string
		verify.Look
	}{
		{"headers looked at", r.Headers}, {"visited through the public host", r.Public}, {"private keys that nobody gets", r.Private},
	} {
		if look.Asked > 0 {
			_, _ = fmt.Fprintf(b, "%s: %s, %s fine\n", look.what, count(look.Asked), count(look.Fine))
		}
	}
	switch {
	case r.x.tree == nil && r.o.against == "":
		b.WriteString("not looked at: the disk; name ROOT to compare it\n")
	case r.x.tree != nil:
		b.WriteString("of the disk: names, sizes, mtimes and inodes; a file that stayed the same in all of them was not read again\n")
	}
	if r.unasked != "" {
		_, _ = fmt.Fprintf(b, "not asked: the database, which knows what Mastodon has deleted: %s\n", r.unasked)
	}
}

// resumed mentions what earlier runs have read of the same part, as it is not in the counts.
func (r *verifyReport) resumed() string {
	if r.Read.Resumed == 0 {
		return ""
	}
	return fmt.Sprintf(" (%s more by the runs before that were interrupted)", count(r.Read.Resumed))
}

// printUse says what it took, and if that is what ended the run, at which limit.
func (r *verifyReport) printUse(b *strings.Builder) {
	_, _ = fmt.Fprintf(b, "\nrequests   Class A %s   Class B %s", count(r.requests.A()), count(r.requests.B()))
	if r.usd != "" {
		_, _ = fmt.Fprintf(b, "   cost $%s", r.usd)
	}
	b.WriteString("\n")
	if r.Listing || r.x.limit.usd {
		b.WriteString(r.x.limited(r.err))
	}
}

// printResult ends with one word in capitals unless all is the same. That something could
// not be told comes before what differs: a part proves nothing about the whole.
func (r *verifyReport) printResult(b *strings.Builder) {
	b.WriteString("\n")
	if r.o.repair {
		_, _ = fmt.Fprintf(b, "repaired: %s; left as they are: %s\n", count(r.repaired), count(r.held))
	}
	switch {
	case isRefusal(r.err):
		b.WriteString("REFUSED; the reason is told below\n")
	case !r.complete():
		b.WriteString("COULD NOT TELL: this pass is incomplete, so it proves nothing as a whole\n")
		for _, why := range r.Unknown {
			_, _ = fmt.Fprintf(b, "  %s\n", oneLine(why))
		}
		switch {
		case r.goesOn:
			b.WriteString("run the same command again: what was read back is not read again\n")
		case r.Read.Asked == "rotation" && r.Of(verify.Unread) > 0:
			b.WriteString("what could not be read is tried again when its part comes round, or by --read\n")
		}
	case r.remaining() > 0:
		_, _ = fmt.Fprintf(b, "DIFFERENCES: %s\n", count(r.remaining()))
	case r.repaired > 0:
		b.WriteString("all the same, now that it is repaired; verify again to prove that too\n")
	default:
		b.WriteString("all the same\n")
	}
	if c := r.certificate; c != nil {
		_, _ = fmt.Fprintf(b, "certificate: %s, list %s\n  check a disk:   cd public/system && sha256sum --quiet -c %s\n  check a bucket: mediamove verify --against %s\n", quoteKey(c.File), quoteKey(c.List), quoteKey(c.List), quoteKey(c.File))
	}
	if r.refusal != "" {
		_, _ = fmt.Fprintf(b, "no certificate: %s\n", r.refusal)
	}
	if r.untold != nil {
		_, _ = fmt.Fprintf(b, "the owner mark could not be told of the switch (%s): until a sync with S3_ENABLED=true\ndoes, another host's sync counts as before it\n", oneLine(r.untold.Error()))
	}
	if r.o.mode == 0 && !r.Switched && r.o.against == "" {
		b.WriteString("S3_ENABLED is not true: Mastodon still writes to disk, so this counted as before the switch\n")
		if r.Strange > 0 {
			b.WriteString("if it is Mastodon that put the extra ones there, it was not: type --after-switch before anything else\n")
		}
	}
}
