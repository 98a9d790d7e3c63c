package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"example.org/mediamove/billing"
	"example.org/mediamove/cloudflare"
	"example.org/mediamove/costs"
	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/owner"
	"example.org/mediamove/r2"
	"example.org/mediamove/scanner"
	"example.org/mediamove/uploader"
)

// Every error that a room may end a run with has one exit status, and whoever
// reads the line is told what to do.
func TestEveryErrorHasStatusAndHint(t *testing.T) {
	t.Parallel()
	bucketError := func(err error) error {
		return &r2.Error{Op: costs.PutObject, Key: "accounts/x", Status: 403, Code: "X", Err: err}
	}
	tests := []struct {
		err  error
		code int
	}{
		{usagef("do this", "wrong"), exitUsage},
		{&stopped{syscall.SIGINT}, 130},
		{&stopped{syscall.SIGTERM}, 143},

		{&owner.RefusedError{Reason: "not yours", Hint: "check"}, exitRefused},
		{owner.ErrNoDomain, exitUsage},

		{uploader.ErrHiddenTree, exitRefused},
		{&uploader.EmptiedError{Folder: "cache", Files: 100}, exitRefused},
		{uploader.ErrDisk, exitStopped},

		{&scanner.RootError{Root: "/x", Reason: "no", Hint: "type"}, exitUsage},
		{&scanner.Problem{Path: "x", Kind: scanner.Unreadable, Err: fs.ErrPermission}, exitStopped},

		{&mastodon.ConflictError{Name: "S3_BUCKET", First: "a", Second: "b"}, exitUsage},
		{&mastodon.SettingError{Name: "S3_PROTOCOL", Source: "a", Reason: "no", Hint: "https"}, exitUsage},
		{&mastodon.FileError{Path: "/x", Hint: "name it", Err: fs.ErrNotExist}, exitUsage},

		{&r2.ConfigError{Setting: "S3_ENDPOINT", Reason: "is no URL", Hint: "like"}, exitUsage},
		{&r2.ConfigError{Setting: "S3_BUCKET", Reason: "is not set"}, exitUsage},
		{bucketError(r2.ErrDenied), exitUsage},
		{bucketError(r2.ErrNoBucket), exitUsage},
		{bucketError(r2.ErrEndpoint), exitUsage},
		{bucketError(r2.ErrLimit), exitLeft},
		{bucketError(r2.ErrOutage), exitStopped},
		{bucketError(r2.ErrNonsense), exitStopped},
		{bucketError(r2.ErrTransient), exitStopped},
		{bucketError(r2.ErrNotFound), exitStopped},
		{bucketError(r2.ErrExists), exitStopped},
		{bucketError(r2.ErrChanged), exitStopped},
		{bucketError(r2.ErrBadDigest), exitStopped},
		{bucketError(r2.ErrSource), exitStopped},

		{ledger.ErrLocked, exitLocked},
		{ledger.ErrNoLedger, exitUsage},
		{ledger.ErrNewer, exitUsage},
		{&ledger.UnsafeFSError{Dir: "/x", Type: "NFS"}, exitUsage},
		{ledger.ErrBroken, exitStopped},
		{ledger.ErrFull, exitStopped},
		{ledger.ErrCorrupt, exitStopped},
		{ledger.ErrReadOnly, exitStopped},
		{ledger.ErrClosed, exitStopped},
		{ledger.ErrUnknown, exitStopped},
		{&billing.MonthError{Month: "2026-13", Reason: "no month", Hint: "type"}, exitUsage},
		{billing.ErrNoRuns, exitUsage},

		{&cloudflare.Error{Dataset: "storage", Status: 403, Err: cloudflare.ErrToken}, exitUsage},
		{&cloudflare.Error{Dataset: "storage", Status: 200, Err: cloudflare.ErrLimit}, exitStopped},
		{&cloudflare.Error{Dataset: "storage", Err: cloudflare.ErrUnavailable}, exitStopped},
		{&cloudflare.Error{Dataset: "storage", Status: 200, Err: cloudflare.ErrShape}, exitStopped},
		{stateError("/x", fs.ErrPermission), exitUsage},
		{stateError("/x", syscall.EROFS), exitUsage},

		{errors.New("anything else"), exitStopped},
	}
	for _, tt := range tests {
		for _, err := range []error{tt.err, fmt.Errorf("upload x: %w", tt.err), errors.Join(tt.err, nil)} {
			if got := exitCode(err); got != tt.code {
				t.Errorf("%T %v: exit %d, want %d", tt.err, err, got, tt.code)
			}
			if hint := hintFor(err); hint == "" || strings.Contains(hint, "\n") {
				t.Errorf("%T %v: hint %q", tt.err, err, hint)
			}
			var stderr bytes.Buffer
			(&world{stderr: &stderr}).complain(err)
			if n := strings.Count(stderr.String(), "\n"); n != 2 {
				t.Errorf("%T %v: %d lines, want two:\n%s", tt.err, err, n, stderr.String())
			}
		}
	}
	if exitCode(nil) != exitOK {
		t.Error("no error is no success")
	}
}

// Which status wins when one run has several reasons.
func TestSeveralErrors(t *testing.T) {
	t.Parallel()
	left := &somethingLeft{"something is left"}
	full := fmt.Errorf("commit: %w", ledger.ErrFull)
	interrupted := &stopped{syscall.SIGINT}
	for _, tt := range []struct {
		name  string
		err   error
		code  int
		quiet bool
	}{
		{"something left", left, exitLeft, true},
		{"something left, closed in order", also(left, nil), exitLeft, true},
		{"something left, and the ledger broke", also(left, full), exitStopped, false},
		{"the limit, and the ledger broke", errors.Join(r2.ErrLimit, full), exitStopped, false},
		{"denied, and the ledger broke", errors.Join(r2.ErrDenied, full), exitUsage, false},
		{"interrupted, and the ledger broke", errors.Join(interrupted, full), 130, false},
		{"nothing, and the ledger broke", also(nil, full), exitStopped, false},
	} {
		if got := exitCode(tt.err); got != tt.code || quiet(tt.err) != tt.quiet {
			t.Errorf("%s: exit %d, quiet %t, want %d, %t", tt.name, got, quiet(tt.err), tt.code, tt.quiet)
		}
	}
	if err := also(nil, nil); err != nil {
		t.Errorf("nothing and nothing is %v", err)
	}
}

// Whatever a signal makes fail, the run was interrupted.
func TestEndedBySignal(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	echo := fmt.Errorf("read ledger: %w", context.Canceled)
	if err := ended(ctx, echo); exitCode(err) != exitStopped {
		t.Errorf("no signal: %v", err)
	}
	cancel(&stopped{syscall.SIGTERM})
	for name, tt := range map[string]struct {
		err  error
		code int
	}{
		"an echo":          {echo, 143},
		"the cause itself": {context.Cause(ctx), 143},
		"both":             {errors.Join(echo, context.Cause(ctx)), 143},
		"something else":   {ledger.ErrLocked, exitLocked},
		"nothing":          {nil, exitOK},
	} {
		if got := exitCode(ended(ctx, tt.err)); got != tt.code {
			t.Errorf("%s: exit %d, want %d", name, got, tt.code)
		}
	}
}

// Whatever a command is about when the signal comes, it was interrupted: what the
// database or the walk then say is an echo.
func TestInterruptedAnywhere(t *testing.T) {
	t.Parallel()
	in := inside(t, 20)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(&stopped{syscall.SIGINT})
	check := func(args ...string) {
		t.Helper()
		if r := in.runCtx(ctx, args...); r.code != 130 || r.stdout != "" || strings.Count(r.stderr, "mediamove: interrupted\n") != 1 {
			t.Errorf("%v: %v", args, r)
		}
	}
	check("plan", in.root)
	check("sync", in.root)
	if r := in.run("sync", in.root); r.code != exitOK {
		t.Fatal(r)
	}
	check("plan", in.root)
	check("sync", in.root)
	check("status")
	check("status", "--list", "held_back")
	check("explain", string(avatar))
}

// A file that the program can't make sense of is told by name.
func TestDamagedLedger(t *testing.T) {
	t.Parallel()
	in := inside(t, 20)
	if err := os.MkdirAll(in.state, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(in.state, "ledger.db"), []byte(strings.Repeat("not a ledger ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"sync", in.root}, {"plan", in.root}, {"status"}, {"explain", "accounts/x"}} {
		if r := in.run(args...); r.code != exitStopped || !strings.Contains(r.stderr, "hint: move the state folder aside") {
			t.Errorf("%v: %v", args, r)
		}
	}
}

// The names of signals that are no numbers.
func TestSignalCode(t *testing.T) {
	t.Parallel()
	if got := signalCode(oddSignal{}); got != exitStopped {
		t.Errorf("exit %d", got)
	}
}

type oddSignal struct{}

func (oddSignal) Signal()        {}
func (oddSignal) String() string { return "odd" }
