package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
)

// dump writes everything that the exported methods read.
func dump(t *testing.T, out *bytes.Buffer, l *Ledger) {
	t.Helper()
	ctx := t.Context()
	id, err1 := l.Identity(ctx)
	walk, err2 := l.LastWalk(ctx)
	uploads, err3 := l.Uploads(ctx)
	evidence, err4 := l.Evidence(ctx, sample(9).File.Key)
	sum, err5 := l.Summary(ctx)
	runs, err6 := l.Runs(ctx, 10)
	must(t, errors.Join(err1, err2, err3, err4, err5, err6))
	fmt.Fprintf(out, "identity %+v\nwalk %+v\nuploads %+v\nevidence %+v\nsummary %+v\n", id, walk, uploads, evidence, sum)
	for _, r := range runs {
		line, err := json.Marshal(r)
		must(t, err)
		fmt.Fprintf(out, "run %s\n", line)
	}
	for _, e := range all(t, l.Entries(ctx)) {
		f := e.File
		f.ModTime = f.ModTime.UTC()
		fmt.Fprintf(out, "object %+q %+v\n\t%x %x\n\t%s %d %d %t %d %s\n",
			f.Key, []any{f.Size, f.ModTime, f.Mode, f.Inode}, e.MD5, e.SHA256, e.ETag, e.PartSize, e.Origin, e.Untyped, e.Run, e.At)
	}
	for _, f := range all(t, l.Findings(ctx)) {
		fmt.Fprintf(out, "finding %+q\n", fmt.Sprint(f))
	}
	dumpVerify(t, out, l)
}

// dumpVerify writes what a verify has left, if there was one.
func dumpVerify(t *testing.T, out *bytes.Buffer, l *Ledger) {
	t.Helper()
	ctx := t.Context()
	p, err := l.LastPass(ctx)
	if errors.Is(err, ErrUnknown) {
		return
	}
	must(t, err)
	fmt.Fprintf(out, "pass %+v\n", p)
	for run := range p.Run {
		for _, d := range all(t, l.Doubts(ctx, run+1)) {
			fmt.Fprintf(out, "doubt of run %d %+q\n", run+1, fmt.Sprintf("%+v", d))
		}
	}
	for _, e := range all(t, l.Entries(ctx)) {
		st, err1 := l.Standing(ctx, e.File.Key)
		evidence, err2 := l.Evidence(ctx, e.File.Key)
		must(t, errors.Join(err1, err2))
		fmt.Fprintf(out, "standing %+q %+v %+v\n", e.File.Key, st, evidence)
	}
	proofs, err1 := l.Proofs(ctx)
	rotation, err2 := l.Rotation(ctx, "30")
	must(t, errors.Join(err1, err2))
	fmt.Fprintf(out, "proofs %+v\nrotation %+v\n", proofs, rotation)
	dumpCleanup(t, out, l)
}

// dumpCleanup writes what cleaning has left, if there was any.
func dumpCleanup(t *testing.T, out *bytes.Buffer, l *Ledger) {
	t.Helper()
	ctx := t.Context()
	scan, err := l.LastScan(ctx)
	if errors.Is(err, ErrUnknown) {
		return
	}
	must(t, err)
	run, keys, err1 := l.Control(ctx, scan.At)
	cleaning, err2 := l.Cleaning(ctx)
	must(t, errors.Join(err1, err2))
	fmt.Fprintf(out, "scan %+v\ncontrol %d %+q\ncleaning %+v\n", scan, run, keys, cleaning)
	for _, s := range all(t, l.Suspects(ctx, SuspectQuery{})) {
		fmt.Fprintf(out, "suspect %+q\n", fmt.Sprintf("%+v", s))
	}
	for _, r := range all(t, l.Removals(ctx, RemovalQuery{})) {
		by, err := l.RemovedBy(ctx, r.Key)
		if !errors.Is(err, ErrUnknown) {
			must(t, err)
		}
		fmt.Fprintf(out, "removal %+q removed by %d\n", fmt.Sprintf("%+v", r), by)
	}
	dumpPrune(t, out, l)
}

// dumpPrune writes what prune has left, if there was any.
func dumpPrune(t *testing.T, out *bytes.Buffer, l *Ledger) {
	t.Helper()
	ctx := t.Context()
	days, err := l.BucketDays(ctx, 0)
	must(t, err)
	for _, d := range days {
		fmt.Fprintf(out, "bucket on %+v\n", d)
	}
	for _, c := range all(t, l.Clearings(ctx, ClearingQuery{})) {
		open, err := l.OpenClearing(ctx, c.Class, c.RowID)
		if !errors.Is(err, ErrUnknown) {
			must(t, err)
		}
		columns := string(c.Columns)
		c.Columns = nil
		fmt.Fprintf(out, "clearing %+q of %s open by %d\n", fmt.Sprintf("%+v", c), columns, open.Run)
	}
}
