package ledger

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestKill kills a writer 200 times, each time somewhere in what follows an
// acknowledged Flush. The next one finds every acknowledged row, whole, and no
// row without those before it.
func TestKill(t *testing.T) {
	t.Parallel()
	for lane := range 8 {
		t.Run(strconv.Itoa(lane), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			rnd := rand.New(rand.NewPCG(1, uint64(lane)))
			for kill, acked := 0, 0; kill < 25; kill++ {
				acked = killOnce(t, dir, acked, 1+rnd.IntN(6))
			}
		})
	}
}

// killOnce lets a child acknowledge a few groups and kills it. It returns how
// many rows were acknowledged until then.
func killOnce(t *testing.T, dir string, acked, groups int) int {
	t.Helper()
	c := child(t, "store", dir, "ACKED="+strconv.Itoa(acked))
	stdout, err := c.StdoutPipe()
	must(t, err)
	must(t, c.Start())
	lines := bufio.NewScanner(stdout)
	for n := 1; lines.Scan(); n++ { // to the end: it may have acknowledged more
		if acked, err = strconv.Atoi(lines.Text()); err != nil {
			t.Fatal(err)
		}
		if n == groups {
			must(t, c.Process.Kill())
		}
	}
	if err := c.Wait(); c.ProcessState.Exited() {
		t.Fatalf("not killed: %v", err)
	}
	return acked
}

// storeUntilKilled checks what earlier children left and goes on.
func storeUntilKilled() error {
	acked, err := strconv.Atoi(os.Getenv("ACKED"))
	if err != nil {
		return err
	}
	ctx, l, err := openChild()
	if err != nil {
		return err
	}
	next, err := verifyPrefix(ctx, l, acked)
	if err != nil {
		return err
	}
	for {
		for range 1 + rand.IntN(1<<rand.IntN(8)) { // mostly small groups, some large
			if err := l.Store(ctx, sample(next)); err != nil {
				return err
			}
			next++
		}
		if err := l.Flush(ctx); err != nil {
			return err
		}
		fmt.Println(next)
	}
}

// verifyPrefix checks that the rows are sample(0), sample(1) … without a gap,
// at least atLeast of them, and returns how many.
func verifyPrefix(ctx context.Context, l *Ledger, atLeast int) (int, error) {
	n := 0
	for e, err := range l.Entries(ctx) {
		if err != nil {
			return 0, err
		}
		if want := sample(n); !e.File.SameStat(want.File) || e.SHA256 != want.SHA256 || e.ETag != want.ETag {
			return 0, fmt.Errorf("row %d: %s", n, cmp.Diff(want, e))
		}
		n++
	}
	if n < atLeast {
		return 0, fmt.Errorf("%d rows of %d are left", n, atLeast)
	}
	return n, nil
}

func openChild() (context.Context, *Ledger, error) {
	ctx := context.Background()
	l, err := Open(ctx, os.Getenv("DIR"), Options{})
	return ctx, l, err
}
