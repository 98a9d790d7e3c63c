package ledger

import (
	"bufio"
	"fmt"
	"os"
	"testing"
)

// TestClearingSurvivesKill: what was acknowledged before rows are touched, and
// after, is there after a kill at that instant, whole batch by whole batch.
func TestClearingSurvivesKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for n := range 4 { // kills after an intent and after its outcome
		c := child(t, "clear", dir)
		stdout, err := c.StdoutPipe()
		must(t, err)
		must(t, c.Start())
		acked, state, lines := int64(0), ClearState(""), bufio.NewScanner(stdout)
		for at := 0; lines.Scan(); at++ { // to the end: it may have acknowledged more
			_, err := fmt.Sscan(lines.Text(), &acked, &state)
			must(t, err)
			if at == 2+n {
				must(t, c.Process.Kill())
			}
		}
		if err := c.Wait(); c.ProcessState.Exited() {
			t.Fatalf("not killed: %v", err)
		}
		l := mustOpen(t, dir)
		rows, last := make(map[int64]map[ClearState]int), int64(0)
		for _, v := range all(t, l.Clearings(t.Context(), ClearingQuery{})) {
			last = v.Run
			if rows[v.Run] == nil {
				rows[v.Run] = make(map[ClearState]int)
			}
			rows[v.Run][v.State]++
		}
		if last < acked {
			t.Errorf("run %d was acknowledged, the last is %d", acked, last)
		}
		for run := int64(1); run <= last; run++ {
			if len(rows[run]) != 1 || rows[run][ClearIntent]+rows[run][ClearCleared] != 20 {
				t.Errorf("run %d has %v", run, rows[run])
			}
		}
		if state == ClearCleared {
			equal(t, rows[acked][ClearCleared], 20)
		}
		mustClose(t, l)
	}
}

func clearUntilKilled() error {
	ctx, l, err := openChild()
	if err != nil {
		return err
	}
	run := int64(1)
	for c, err := range l.Clearings(ctx, ClearingQuery{}) {
		if err != nil {
			return err
		}
		run = c.Run + 1
	}
	for ; ; run++ {
		var batch []Clearing
		for n := range int64(20) {
			batch = append(batch, clearIntent(run, 20*run+n+1))
		}
		if err := l.IntendClearing(ctx, batch); err != nil {
			return err
		}
		fmt.Fprintln(os.Stdout, run, ClearIntent)
		for i := range batch {
			batch[i] = batch[i].in(ClearCleared)
		}
		if err := l.EndClearings(ctx, batch); err != nil {
			return err
		}
		fmt.Fprintln(os.Stdout, run, ClearCleared)
	}
}

// TestExpirySurvivesKill: whenever a run is killed that expires the journal, what is open
// is there, and what was told as gone is gone.
func TestExpirySurvivesKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for n := range 4 {
		c := child(t, "expire", dir)
		stdout, err := c.StdoutPipe()
		must(t, err)
		must(t, c.Start())
		open, done, lines := int64(0), int64(0), bufio.NewScanner(stdout)
		for at := 0; lines.Scan(); at++ {
			_, err := fmt.Sscan(lines.Text(), &open, &done)
			must(t, err)
			if at == 3+n {
				must(t, c.Process.Kill())
			}
		}
		if err := c.Wait(); c.ProcessState.Exited() {
			t.Fatalf("not killed: %v", err)
		}
		l := mustOpen(t, dir)
		there := map[int64]ClearState{}
		for _, v := range all(t, l.Clearings(t.Context(), ClearingQuery{})) {
			there[v.RowID] = v.State
		}
		for row := int64(1); row <= open; row++ { // a killed batch may be intents for ever
			switch state := there[row]; {
			case row%3 == 0 && state != ClearCleared && state != ClearIntent:
				t.Errorf("row %d is open, and %q", row, state)
			case row%3 != 0 && row <= done && state != "" && state != ClearIntent:
				t.Errorf("row %d was told as gone, and is %q", row, state)
			}
		}
		mustClose(t, l)
	}
}

// expireUntilKilled writes rows, finishes two of three, and expires those. It tells up to
// which row all are written, and up to which what is finished is gone.
func expireUntilKilled() error {
	ctx, l, err := openChild()
	if err != nil {
		return err
	}
	last := int64(0)
	for c, err := range l.Clearings(ctx, ClearingQuery{}) {
		if err != nil {
			return err
		}
		last = max(last, c.RowID)
	}
	for run := last/30 + 1; ; run++ {
		var batch []Clearing
		for range 30 {
			last++
			batch = append(batch, clearIntent(run, last))
		}
		if err := l.IntendClearing(ctx, batch); err != nil {
			return err
		}
		for i := range batch {
			if batch[i] = batch[i].in(ClearSkipped); batch[i].RowID%3 == 0 {
				batch[i] = batch[i].in(ClearCleared)
			}
		}
		if err := l.EndClearings(ctx, batch); err != nil {
			return err
		}
		fmt.Fprintln(os.Stdout, last, last-30)
		if err := l.EndScan(ctx, Scan{Run: run, At: batch[0].Intended.Add(2 * ClearingLife)}); err != nil {
			return err
		}
		if _, err := l.ExpireClearings(ctx); err != nil {
			return err
		}
		fmt.Fprintln(os.Stdout, last, last)
	}
}
