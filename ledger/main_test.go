package ledger

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"example.org/mediamove/media"
)

// childEnv makes the test binary play one of children instead of testing:
// what another process does, or what a kill interrupts.
const childEnv = "LEDGER_TEST_CHILD"

var children = map[string]func() error{
	"hold":         holdLock,
	"store":        storeUntilKilled,
	"modes":        printModes,
	"full":         fillDisk,
	"scratch":      addUntilKilled,
	"scratch full": fillScratch,
	"ro":           openReadOnlyFolder,
	"aside":        setAsideUntilKilled,
	"intend":       intendUntilKilled,
	"clear":        clearUntilKilled,
	"expire":       expireUntilKilled,
}

func TestMain(m *testing.M) {
	if play, ok := children[os.Getenv(childEnv)]; ok {
		if err := play(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// child returns this binary as one of children, with dir as its folder.
func child(t *testing.T, name, dir string, env ...string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), "/proc/self/exe")
	c.Env = append(append(os.Environ(), childEnv+"="+name, "DIR="+dir, "GORACE=atexit_sleep_ms=0"), env...)
	c.Stderr = t.Output()
	return c
}

func mustOpen(t testing.TB, dir string) *Ledger {
	t.Helper()
	l, err := Open(t.Context(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mustClose(t, l) })
	return l
}

func mustClose(t testing.TB, l *Ledger) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sample returns the entry that every test and child makes of n.
func sample(n int) Entry {
	text := fmt.Appendf(nil, "%d", n)
	e := Entry{
		File: media.File{
			Key:     media.Key(fmt.Sprintf("media_attachments/files/114/%03d/%03d/original/%08x.jpeg", n/1000, n%1000, n)),
			Size:    int64(n) * 7,
			ModTime: time.Unix(1_700_000_000+int64(n), 123),
			Mode:    0o644,
			Inode:   1<<63 + uint64(n),
		},
		MD5:    md5.Sum(text),
		SHA256: sha256.Sum256(text),
		Run:    3,
		At:     time.Unix(1_800_000_000, int64(n)).UTC(),
	}
	e.ETag = hex.EncodeToString(e.MD5[:])
	if n%10 == 9 {
		e.ETag, e.PartSize, e.Origin, e.Untyped = e.ETag+"-3", 5<<20, Adopted, true
	}
	return e
}

func storeSamples(t testing.TB, l *Ledger, from, to int) {
	t.Helper()
	for n := from; n < to; n++ {
		must(t, l.Store(t.Context(), sample(n)))
	}
	must(t, l.Flush(t.Context()))
}

func all[T any](t testing.TB, seq iter.Seq2[T, error]) []T {
	t.Helper()
	var out []T
	for v, err := range seq {
		must(t, err)
		out = append(out, v)
	}
	return out
}

func equal(t testing.TB, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("(-want +got)\n%s", d)
	}
}

func wantIs(t testing.TB, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("got %v, want %v", err, target)
	}
}

// golden compares with a file in testdata; UPDATE_GOLDEN=1 writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if os.Getenv("UPDATE_GOLDEN") != "" {
		must(t, os.WriteFile(name, got, 0o644))
	}
	want, err := os.ReadFile(name)
	must(t, err)
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (-want +got)\n%s", name, cmp.Diff(string(want), string(got)))
	}
}
