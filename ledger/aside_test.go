package ledger

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"example.org/mediamove/costs"
)

// TestSetAsideKeepsTheSwitch: a new ledger is an empty one, and an empty one that
// forgot the switch would publish deleted media again, however soon it was killed.
func TestSetAsideKeepsTheSwitch(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), t.TempDir()
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	l := mustOpen(t, dir)
	must(t, l.SetIdentity(ctx, Identity{BucketID: "old", Bucket: "old", Probed: true, Joining: true, SwitchedAt: at}))
	old, err := l.Identity(ctx)
	must(t, err)
	mustClose(t, l)
	must(t, SetAside(ctx, dir, time.Now()))
	id, err := mustOpen(t, dir).Identity(ctx)
	must(t, err)
	if id.LedgerID == old.LedgerID {
		t.Error("it is the old ledger")
	}
	id.LedgerID = ""
	equal(t, id, Identity{SwitchedAt: at})
}

// TestSetAsideKilled kills a process that puts one ledger after the other aside, at
// any place. Whatever is left opens, and knows of the switch.
func TestSetAsideKilled(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), t.TempDir()
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	l := mustOpen(t, dir)
	must(t, l.SetIdentity(ctx, Identity{SwitchedAt: at}))
	mustClose(t, l)
	for range 15 {
		c := child(t, "aside", dir)
		stdout, err := c.StdoutPipe()
		must(t, err)
		must(t, c.Start())
		_, err = bufio.NewReader(stdout).ReadString('\n') // it has begun
		must(t, err)
		<-time.After(rand.N(20 * time.Millisecond))
		must(t, c.Process.Kill())
		if err := c.Wait(); c.ProcessState.Exited() {
			t.Fatalf("not killed: %v", err)
		}
		id, err := mustOpenReader(t, dir).Identity(ctx)
		must(t, err)
		equal(t, id.SwitchedAt, at)
	}
	must(t, SetAside(ctx, dir, time.Now()))
	// What the kills left behind is gone, or a ledger of its own.
	_, err := os.Lstat(filepath.Join(dir, "ledger.db.new"))
	wantIs(t, err, os.ErrNotExist)
	seen := make(map[string]bool)
	for _, name := range asides(t, dir) {
		back := t.TempDir()
		must(t, os.Rename(name, filepath.Join(back, "ledger.db")))
		id, err := mustOpenReader(t, back).Identity(ctx)
		must(t, err)
		if equal(t, id.SwitchedAt, at); seen[id.LedgerID] {
			t.Errorf("%s is another name of the same ledger", name)
		}
		seen[id.LedgerID] = true
	}
}

// TestExchangeEndsHalfWay: between the two steps the old ledger is in place under two
// names, and the next time it has one of its own.
func TestExchangeEndsHalfWay(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), t.TempDir()
	l := mustOpen(t, dir)
	old, err := l.Identity(ctx)
	must(t, err)
	mustClose(t, l)
	d := folder(dir)
	wantIs(t, d.exchange(d.file()+".new", d.file()+".1.aside"), os.ErrNotExist)
	id, err := mustOpenReader(t, dir).Identity(ctx)
	must(t, err)
	equal(t, id, old)
	equal(t, len(asides(t, dir)), 1)
	must(t, SetAside(ctx, dir, time.Now()))
	equal(t, len(asides(t, dir)), 1)
}

// setAsideUntilKilled is the process that is killed.
func setAsideUntilKilled() error {
	for fmt.Println("begun"); ; {
		if err := SetAside(context.Background(), os.Getenv("DIR"), time.Now()); err != nil {
			return err
		}
	}
}

// TestSetAsideNextToAReader: who reads the ledger meanwhile has all of it, and so has
// the ledger that was put aside.
func TestSetAsideNextToAReader(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), t.TempDir()
	l := mustOpen(t, dir)
	storeSamples(t, l, 0, 300)
	reader := mustOpenReader(t, dir)
	equal(t, rows(t, reader), 300)
	mustClose(t, l)
	must(t, SetAside(ctx, dir, time.Now()))
	equal(t, rows(t, reader), 300)
	equal(t, rows(t, mustOpen(t, dir)), 0)
	back := t.TempDir()
	must(t, os.Rename(asides(t, dir)[0], filepath.Join(back, "ledger.db")))
	equal(t, rows(t, mustOpen(t, back)), 300)
}

// TestSetAsideOlder: an update of the program stands in nobody's way, and the old
// ledger stays of its version.
func TestSetAsideOlder(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), t.TempDir()
	l, err := Open(ctx, dir, Options{})
	must(t, err)
	must(t, l.wait(ctx, func(s *session) error { return s.exec("PRAGMA user_version = 1") }))
	must(t, l.Close())
	must(t, SetAside(ctx, dir, time.Now()))
	equal(t, rows(t, mustOpen(t, dir)), 0)
	equal(t, len(asides(t, dir)), 1)
}

// TestSetAsideRefuses: what can't be put aside whole stays where it is.
func TestSetAsideRefuses(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for name, tt := range map[string]struct {
		spoil func(l *Ledger, file string) error // closes l
		want  error
	}{
		"newer": {func(l *Ledger, _ string) error {
			err := l.wait(ctx, func(s *session) error { return s.exec("PRAGMA user_version = 99") })
			return errors.Join(err, l.Close())
		}, ErrNewer},
		"not a ledger": {func(l *Ledger, file string) error {
			text := bytes.Repeat([]byte("not a ledger "), 100)
			return errors.Join(l.Close(), os.WriteFile(file, text, 0o600))
		}, ErrCorrupt},
	} {
		dir := t.TempDir()
		l, err := Open(ctx, dir, Options{})
		must(t, err)
		must(t, tt.spoil(l, folder(dir).file()))
		before, err := os.Stat(folder(dir).file())
		must(t, err)
		wantIs(t, SetAside(ctx, dir, time.Now()), tt.want)
		after, err := os.Stat(folder(dir).file())
		must(t, err)
		if !os.SameFile(before, after) || len(asides(t, dir)) != 0 {
			t.Errorf("%s: something was moved", name)
		}
	}
}

func asides(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.aside"))
	must(t, err)
	return names
}

// TestSetAsideCarriesTheUse: the account pays for what the old ledger used, so the new
// one knows of the last two months, and of no object.
func TestSetAsideCarriesTheUse(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), t.TempDir()
	l := mustOpen(t, dir)
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for days, n := range map[int]int64{0: 5, 1: 7, 40: 11, 100: 13} {
		run, err := l.Begin(ctx, "sync", now)
		must(t, err)
		at := now.AddDate(0, 0, -days)
		must(t, l.AddUsage(ctx, run, at, costs.Usage{costs.PutObject: n, costs.GetObject: 1}))
		must(t, l.Finish(ctx, run, RunEnd{At: at, Usage: costs.Usage{costs.PutObject: n, costs.GetObject: 1}}))
	}
	mustClose(t, l)
	for i := range 2 { // also from one that has inherited itself
		must(t, SetAside(ctx, dir, now.Add(time.Duration(i)*time.Second)))
	}
	l = mustOpen(t, dir)
	used, err := l.MonthUsage(ctx, now.AddDate(-1, 0, 0), now.AddDate(0, 0, 1))
	must(t, err)
	equal(t, used, costs.Usage{costs.PutObject: 23, costs.GetObject: 3})
	runs, err := l.Runs(ctx, 10)
	must(t, err)
	if len(runs) != 1 || runs[0].Command != Carried || runs[0].At.IsZero() {
		t.Errorf("%+v", runs)
	}
	empty, err := l.Empty(ctx)
	must(t, err)
	equal(t, empty, true)
}
