package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.org/mediamove/fixtures"
)

// The demo is the first thing a newcomer sees: it must come to its good end, in a
// minute, and leave nothing behind. Not parallel: it has a time to keep.
func TestDemo(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	var stdout, stderr bytes.Buffer
	w := &world{args: []string{"demo"}, stdout: &stdout, stderr: &stderr, width: 80}
	began := time.Now()
	code := run(t.Context(), w)
	if took := time.Since(began); took > time.Minute {
		t.Errorf("it took %v", took)
	}
	text := stdout.String()
	if code != exitOK {
		t.Fatalf("exit %d\n%s\n%s", code, text, stderr.String())
	}
	at := 0
	for _, want := range []string{
		"A sample instance: 3,000 files", "$ mediamove plan", "To move: mediamove sync",
		"somebody presses Ctrl-C", "pending ", "Run the same command again to go on",
		"complete: every folder was read", "And once more", "Class A 0   Class B 1", "the GET of the owner mark",
		"$ mediamove verify --read public/system", "2,979 equal", "all the same",
		"byte for byte as on disk", "None missing, none different, none written twice",
		"one bit of one object rots", "they changed at rest", "repaired: 1", "The bill (R2 Standard", "$5.85", "mediamove plan --env-file",
	} {
		i := strings.Index(text[at:], want)
		if i < 0 {
			t.Fatalf("%q is missing, or out of order, in\n%s", want, text)
		}
		at += i
	}
	for line := range strings.Lines(text) {
		if n := len([]rune(line)); n > 130 {
			t.Errorf("a line of %d columns: %s", n, line)
		}
	}
	if n := strings.Count(text, tmp); n != 6 {
		t.Errorf("the temporary folder shows %d times, not once per command", n)
	}
	if strings.Contains(text+stderr.String(), fixtures.Secret) {
		t.Error("a secret is shown")
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	// On a run without a terminal, stderr tells of the interruption alone.
	if got := stderr.String(); strings.Count(got, "\n") != 2 || !strings.HasPrefix(got, "mediamove: interrupted\n") {
		t.Errorf("stderr: %q", got)
	}
}

// A real Ctrl-C ends the demo too, with its status, and tidies up.
func TestDemoInterrupted(t *testing.T) {
	t.Parallel()
	keep := filepath.Join(t.TempDir(), "sample")
	var stdout, stderr bytes.Buffer
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(&stopped{syscall.SIGINT})
	w := &world{args: []string{"demo", "--keep", keep}, stdout: &stdout, stderr: &stderr, width: 80}
	if code := run(ctx, w); code != 130 {
		t.Errorf("exit %d: %s", code, stderr.String())
	}
	if _, err := os.Stat(filepath.Join(keep, "public", "system", "accounts")); err != nil {
		t.Errorf("--keep kept nothing: %v", err)
	}
}
