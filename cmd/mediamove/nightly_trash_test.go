package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/cleanup/trash"
	"example.org/mediamove/fixtures/instance"
	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/owner"
	"example.org/mediamove/r2"
)

// A trash that is broken or full stops the orphans of the night and nothing else: what
// prune clears goes into no trash.
func TestNightlyTrashBroken(t *testing.T) {
	t.Parallel()
	c := newCached(t, instance.Small(86, "4.6"), 0)
	c.posts(c.db, 150, 5*time.Hour)
	c.plantGone(t, 5, 200)
	c.full()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		args   []string
		code   int
		cause  failureCause
		damage func(run int64)
	}{
		{"a file", []string{"--trash", file}, exitUsage, causeTrash, nil},
		{"no folder", []string{"--trash", file + "/trash"}, exitUsage, causeTrash, nil},
		{"too small", []string{"--trash-max", "1B"}, exitLeft, causeLeft, nil},
		{"in its own place", nil, exitUsage, causeTrash, func(run int64) {
			dir := filepath.Join(c.state, "trash")
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, strconv.FormatInt(run, 10)), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		c.night()
		full := c.full()
		own := full.Bytes - full.Orphans.Bytes - full.Cached.Bytes/20 // with room for the orphans that stay
		args := append([]string{"--budget", sizeFlag(own), "--target", sizeFlag(own - 2000)}, tt.args...)
		if tt.damage != nil {
			last, err := strconv.ParseInt(c.lastRun("prune"), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			tt.damage(last + 1)
		}
		metrics := t.TempDir() + "/m.prom"
		out := c.nightly(tt.code, append(args, "--metrics-file", metrics)...)
		if out.Orphans.Removed.Objects != 0 || out.Prune.Removed.Objects == 0 || out.Prune.Short != 0 || len(out.Problems) != 1 {
			t.Errorf("%s: %+v", tt.name, out)
		}
		text, err := os.ReadFile(metrics)
		if err != nil || !strings.Contains(string(text), `mediamove_failures{cause="`+string(tt.cause)+`"} 1`) || !strings.Contains(string(text), `mediamove_last_exit_status{command="prune"} 0`) ||
			!strings.Contains(string(text), `mediamove_last_exit_status{command="orphans"} `+itoa(int64(tt.code))) {
			t.Errorf("%s: %s, %v", tt.name, text, err)
		}
		for _, key := range c.planted(5) {
			if _, ok := c.bucket.Object(key); !ok {
				t.Errorf("%s: %s is gone without a copy", tt.name, key)
			}
		}
		c.whole()
	}
}

// What fails beside the trash stops the night as ever.
func TestTrashAlone(t *testing.T) {
	t.Parallel()
	called, cancel := context.WithCancel(t.Context())
	cancel()
	broken := fmt.Errorf("trash \"k\": %w: %w", trash.ErrBroken, os.ErrPermission)
	for _, tt := range []struct {
		ctx  context.Context
		err  error
		want bool
	}{
		{t.Context(), broken, true},
		{t.Context(), asTrashFault(&usageError{os.ErrPermission, "h"}), true},
		{t.Context(), errors.Join(broken, asTrashFault(os.ErrPermission)), true},
		{t.Context(), os.ErrPermission, false},
		{called, broken, false},
		{t.Context(), errors.Join(broken, context.Canceled), false},
		{t.Context(), errors.Join(broken, fmt.Errorf("journal: %w", ledger.ErrBroken)), false},
		{t.Context(), errors.Join(broken, cleanup.ErrRows), false},
		{t.Context(), errors.Join(broken, cleanup.ErrCanary), false},
		{t.Context(), errors.Join(broken, &mastodon.DatabaseError{}), false},
		{t.Context(), errors.Join(broken, &owner.RefusedError{}), false},
		{t.Context(), errors.Join(broken, r2.ErrOutage), false},
		{t.Context(), errors.Join(broken, &r2.Error{Status: 403, Err: r2.ErrDenied}), false},
	} {
		if got := trashAlone(tt.ctx, tt.err); got != tt.want {
			t.Errorf("%v: %t", tt.err, got)
		}
	}
	if asTrashFault(nil) != nil {
		t.Error("no fault is one")
	}
}
