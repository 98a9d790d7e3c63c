package ledger

import (
	"bufio"
	"fmt"
	"os"
	"testing"

	"example.org/mediamove/media"
)

// TestIntentSurvivesKill: what was acknowledged before a delete is there after a
// kill at that instant, whole batch by whole batch.
func TestIntentSurvivesKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for range 5 {
		c := child(t, "intend", dir)
		stdout, err := c.StdoutPipe()
		must(t, err)
		must(t, c.Start())
		acked, lines := int64(0), bufio.NewScanner(stdout)
		for n := 1; lines.Scan(); n++ { // to the end: it may have acknowledged more
			_, err := fmt.Sscan(lines.Text(), &acked)
			must(t, err)
			if n == 3 {
				must(t, c.Process.Kill())
			}
		}
		if err := c.Wait(); c.ProcessState.Exited() {
			t.Fatalf("not killed: %v", err)
		}
		l := mustOpen(t, dir)
		rows := make(map[int64]int)
		for _, r := range all(t, l.Removals(t.Context(), RemovalQuery{State: RemovalIntent})) {
			rows[r.Run]++
		}
		for run := int64(1); run <= acked || rows[run] > 0; run++ {
			equal(t, rows[run], 20)
		}
		mustClose(t, l)
	}
}

func intendUntilKilled() error {
	ctx, l, err := openChild()
	if err != nil {
		return err
	}
	run := int64(1)
	for r, err := range l.Removals(ctx, RemovalQuery{}) {
		if err != nil {
			return err
		}
		run = r.Run + 1
	}
	for ; ; run++ {
		var batch []Removal
		for n := range 20 {
			batch = append(batch, intent(run, media.Key(fmt.Sprintf("%d/%d", run, n))))
		}
		if err := l.Intend(ctx, batch); err != nil {
			return err
		}
		fmt.Fprintln(os.Stdout, run)
	}
}
