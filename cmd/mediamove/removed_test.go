package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

// cleaned is a cleanup run that removes one object, as the ledger remembers it.
func (m *moved) cleaned(key string) (run int64) {
	m.t.Helper()
	ctx := m.t.Context()
	led, err := ledger.Open(ctx, m.state, ledger.Options{})
	if err != nil {
		m.t.Fatal(err)
	}
	run, err = led.Begin(ctx, "orphans", time.Now())
	r := []ledger.Removal{{Run: run, Key: media.Key(key), Policy: "orphans", Reason: "row gone", ETag: "e", State: ledger.RemovalIntent, Intended: time.Now()}}
	err = errors.Join(err, led.Intend(ctx, r))
	r[0].State, r[0].Ended = ledger.RemovalRemoved, time.Now()
	if err = errors.Join(err, led.EndRemovals(ctx, r), led.Close()); err != nil {
		m.t.Fatal(err)
	}
	m.b.Delete(key)
	return run
}

// What a cleanup run removed is not missing, asks for nobody, and is sent again by no
// command that sends.
func TestRemovedStaysAway(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(60))
	key := m.plain(3)[1]
	m.cleaned(key)
	away := func(after string) {
		t.Helper()
		if _, ok := m.b.Object(key); ok || m.b.Writes(key) != 1 {
			t.Errorf("%s: it is there again", after)
		}
	}
	m.touch(key, time.Now().Add(-time.Hour)) // not even if the disk has it anew
	r := m.must(exitOK, m.sync())
	if r.Files.Left != 1 || r.Removed != 1 || r.Files.Moved != 0 || !r.Complete {
		t.Errorf("%+v", r)
	}
	away("sync")
	m.must(exitOK, m.sync("--retry-failed"))
	away("retry")
	out := m.verify(exitOK, m.root)
	if out.Removed != 1 || out.Missing != 0 || out.Differences != 0 || len(out.counts()) != 0 {
		t.Errorf("%+v", out)
	}
	out, sent := m.repair(exitOK, "--replace-differing", m.root)
	if out.Removed != 1 || out.Repaired != 0 || out.Held != 0 || sent.Get(costs.PutObject) != 0 {
		t.Errorf("%+v, sent %v", out, sent)
	}
	away("repair")

	page := filepath.Join(t.TempDir(), "certificate")
	out = m.verify(exitOK, "--certificate", page, m.root)
	text, err1 := os.ReadFile(page)
	list, err2 := os.ReadFile(page + ".sha256")
	if err := errors.Join(err1, err2); err != nil || !strings.Contains(string(text), "1 by cleanup runs") || strings.Contains(string(list), key) {
		t.Errorf("%v, %q\n%s", err, out.Refusal, text)
	}
	// Something else under its key is what it always was: nobody replaces it unasked,
	// and not even asked.
	m.b.Put(key, []byte("somebody else's"))
	out, sent = m.repair(exitLeft, "--replace-differing", m.root)
	if out.Removed != 0 || out.Differs != 1 || out.Held != 1 || sent.Get(costs.PutObject) != 0 {
		t.Errorf("%+v, sent %v", out, sent)
	}
}

// The screens say who removed it, and what undoes that.
func TestRemovedOnScreens(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(30))
	m.cleaned(m.plain(1)[0])
	for _, tt := range []struct {
		want string
		args []string
	}{
		{"removed               1   by a cleanup run, so not sent; mediamove undo RUN puts back what it removed\n", []string{"sync", m.root}},
		{"removed               1   by a cleanup run, and not there: as it should be\n", []string{"verify", m.root}},
		{"left: removed by a cleanup run                1\n", []string{"plan", m.root}},
	} {
		r := m.run(tt.args...)
		if r.code != exitOK || !strings.Contains(r.stdout, tt.want) || strings.Contains(r.stdout, "  left   ") || strings.Contains(r.stdout, "after the switch") {
			t.Errorf("%v: want %q in\n%v", tt.args, tt.want, r)
		}
	}
}
