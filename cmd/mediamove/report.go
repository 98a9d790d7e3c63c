package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"example.org/mediamove/costs"
	"example.org/mediamove/ledger"
	"example.org/mediamove/uploader"
)

// A syncReport is the end of a sync: the last screen and --json.
// limited, limit and err say how it ended, exposed and causes are read from the ledger
// when all else is done.
type syncReport struct {
	uploader.Counts
	Complete bool
	Run      int64
	Seconds  float64
	Requests costs.Usage
	cost     decimal.Decimal // what this run added to the month's bill

	month               costs.Usage // the billing cycle's requests, this run's included
	tariff              tariff
	at                  time.Time // of the end
	limited             bool
	limit               brake
	switched, modeUnset bool
	retry               bool
	decided             bool // the walk came to its end and every file was decided
	bucket, domain      string
	root                string
	tops                map[string]int64 // files seen below each top folder
	exposed             []ledger.Finding
	causes              []ledger.CauseTotal
	err                 error
}

// left reports whether anything asks for a person or another run.
func (r *syncReport) left() bool {
	// What a cleanup run removed is decided: it stays away from the bucket until undo.
	return r.Failed+r.Conflict+r.Changed+r.Left-r.Removed+r.Exposed+r.Pending+r.Unreadable+r.Links > 0 || (!r.Complete && !r.retry)
}

// A syncJSON is sync's --json. Exposed and Removed are part of Files already, Outside is
// not. ClassA and ClassB sum up Requests, attempts that failed included. Complete is about
// the walk, not about the files: one that failed was decided too.
type syncJSON struct {
	Schema     string         `json:"schema"`
	Run        int64          `json:"run"`
	Files      uploader.Files `json:"files"`
	Exposed    int64          `json:"exposed"`
	Removed    int64          `json:"removed"`
	Outside    int64          `json:"outside"`
	Untyped    int64          `json:"untyped"`
	Unreadable int64          `json:"unreadable"`
	Links      int64          `json:"links"`
	Special    int64          `json:"special"`
	BytesMoved int64          `json:"bytes_moved"`
	Requests   costs.Usage    `json:"requests"`
	ClassA     int64          `json:"class_a"`
	ClassB     int64          `json:"class_b"`
	CostUSD    string         `json:"cost_usd"`
	Complete   bool           `json:"complete"`
	Seconds    float64        `json:"seconds"`
}

// json turns the report into the shape that docs/json.md promises.
func (r *syncReport) json() syncJSON {
	return syncJSON{
		Schema: "mediamove.sync/1", Run: r.Run, Files: r.Files,
		Exposed: r.Exposed, Removed: r.Removed, Outside: r.Outside, Untyped: r.Untyped,
		Unreadable: r.Unreadable, Links: r.Links, Special: r.Special,
		BytesMoved: r.BytesMoved, Requests: r.Requests,
		ClassA: r.Requests.A(), ClassB: r.Requests.B(),
		CostUSD: costs.FormatUSD(r.cost), Complete: r.Complete, Seconds: r.Seconds,
	}
}

// showSync completes the report from the ledger and prints it.
func (w *world) showSync(ctx context.Context, x *session, r *syncReport, o *syncOptions) error {
	// Whoever interrupts a run wants to know all the more what it did.
	ctx = context.WithoutCancel(ctx)
	var err error
	if r.month, r.cost, err = x.spent(ctx); err != nil {
		return err
	}
	if o.json {
		return printJSON(w.stdout, r.json())
	}
	for f, err := range x.ledger.Findings(ctx, ledger.Exposed) {
		if err != nil {
			return err
		}
		if r.exposed = append(r.exposed, f); len(r.exposed) == maxShown {
			break
		}
	}
	summary, err := x.ledger.Summary(ctx)
	if err != nil {
		return err
	}
	r.causes = summary.Findings
	_, err = io.WriteString(w.stdout, r.screen())
	return err
}

// printJSON leaves <, > and & as they are: a key is read by people and scripts, and by no
// browser.
func printJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// maxShown is how many keys of one kind the last screen lists.
const maxShown = 10

// screen is the last screen: what is dangerous first, then the counts, the
// causes, the requests, and what to do next.
func (r *syncReport) screen() string {
	var b strings.Builder
	r.printExposed(&b)
	_, _ = fmt.Fprintf(&b, "run %d   %s → %s   %s\n\n", r.Run, quoteKey(r.root), r.bucket, span(time.Duration(r.Seconds*float64(time.Second))))
	r.printFiles(&b)
	r.printCauses(&b)
	r.printRequests(&b)
	r.printEnd(&b)
	return b.String()
}

// printExposed comes first since these objects can be read by anybody right now.
func (r *syncReport) printExposed(b *strings.Builder) {
	if r.Exposed == 0 {
		return
	}
	_, _ = fmt.Fprintf(b, "EXPOSED: hidden on disk now, but moved before and readable in the bucket: %s.\nRemove the objects, or make the files public again.\n", files(r.Exposed))
	for _, f := range r.exposed {
		_, _ = fmt.Fprintf(b, "  %q\n", f.Key)
	}
	if r.Exposed > int64(len(r.exposed)) {
		b.WriteString("  … all of them: mediamove status --list exposed\n")
	}
	b.WriteString("\n")
}

// printFiles has a row for each outcome that some file had. What was moved is shown even
// if it is nothing: that is the question.
func (r *syncReport) printFiles(b *strings.Builder) {
	rows := []struct {
		name string
		n    int64
		note string
	}{
		{"moved", r.Moved, size(r.BytesMoved)},
		{"replaced", r.Replaced, "transcoded by Mastodon after they were moved"},
		{"present", r.Present, "proven by an earlier run"},
		{"adopted", r.Adopted, "already in the bucket with the same bytes: " + size(r.BytesSaved) + " not sent again"},
		{"held back", r.HeldBack, "not public on disk, so not sent"},
		{"vanished", r.Vanished, "gone before they could be read"},
		{"changed", r.Changed, "differ from what was moved; objects left alone"},
		{"conflict", r.Conflict, "the bucket holds other bytes; left alone"},
		{"removed", r.Removed, "by a cleanup run, so not sent; mediamove undo RUN puts back what it removed"},
		{"left", r.Left - r.Removed, "after the switch the disk is history; mediamove missing --heal sends what a row names"},
		{"failed", r.Failed, ""},
		{"pending", r.Pending, "not decided yet"},
		{"outside", r.Outside, "not below a known class folder; not Mastodon's media"},
		{"unreadable", r.Unreadable, "folders or files that could not be looked at"},
		{"links", r.Links, "symbolic links, never followed"},
		{"special", r.Special, "FIFOs, sockets, devices"},
		{"untyped", r.Untyped, "of those sent, as application/octet-stream"},
	}
	for _, row := range rows {
		if row.n != 0 || row.name == "moved" {
			line := fmt.Sprintf("  %-10s %12s   %s", row.name, count(row.n), row.note)
			b.WriteString(strings.TrimRight(line, " ") + "\n")
		}
	}
}

// printCauses tells why, but only of outcomes that somebody can do something about.
func (r *syncReport) printCauses(b *strings.Builder) {
	if r.Failed+r.Conflict+r.Changed+r.Unreadable == 0 {
		return
	}
	b.WriteString("\nwhy (all of it: mediamove status --list failed,conflict,changed,unreadable)\n")
	shown := 0
	for _, c := range r.causes {
		switch c.Kind {
		case ledger.Failed, ledger.Conflict, ledger.Changed, ledger.Unreadable:
			if shown++; shown <= maxShown {
				_, _ = fmt.Fprintf(b, "  %-10s %12s   %s, such as %q\n", c.Kind, count(c.Files), oneLine(c.Cause), c.Example)
			}
		}
	}
}

// printRequests speaks of this ledger's use: it knows neither of Mastodon's requests nor of
// other hosts', and they share the free tier.
func (r *syncReport) printRequests(b *strings.Builder) {
	free := r.tariff.Standard.ClassA.Free.IntPart()
	when := r.tariff.month(r.tariff.Of(r.at))
	_, _ = fmt.Fprintf(b, "\nrequests   Class A %s   Class B %s   cost $%s", count(r.Requests.A()), count(r.Requests.B()), costs.FormatUSD(r.cost))
	if used := r.month.A(); used <= free {
		_, _ = fmt.Fprintf(b, "   (this ledger used %s of the %s free Class A %s)\n", count(used), count(free), when)
	} else {
		_, _ = fmt.Fprintf(b, "   (this ledger used %s Class A %s, past the %s free ones)\n", count(used), when, count(free))
	}
}

// printEnd says how the run ended and what to type next. A limit comes before errors, as it
// ends a run by one too.
func (r *syncReport) printEnd(b *strings.Builder) {
	switch {
	case r.limited:
		b.WriteString("\n" + r.limit.said() + "\n")
	case isRefusal(r.err):
		b.WriteString("\nrefused: nothing was sent; the reason is told below\n")
	case r.err != nil && isUsage(r.err):
		b.WriteString("\nstopped; what is proven stays proven. Put right what is told below, then run the same command again\n")
	case r.err != nil:
		b.WriteString("\nstopped; what is proven stays proven. Run the same command again to go on\n")
	case r.retry:
		b.WriteString("\nretried what had failed; a run without --retry-failed walks the tree\n")
	case r.Complete:
		b.WriteString("\ncomplete: every folder was read and every file decided\n")
	default:
		b.WriteString("\nNOT complete: something could not be read or decided; this does not count as a whole walk\n")
	}
	if r.Failed > 0 && !r.limited && r.err == nil {
		b.WriteString("retry what failed: mediamove sync --retry-failed\n")
	}
	if r.modeUnset {
		b.WriteString("S3_ENABLED is not true: Mastodon still writes to disk, so the disk counted as the truth\n")
	}
	if r.switched {
		b.WriteString("after the switch: only files newer than the last whole walk were sent\n")
	}
}
