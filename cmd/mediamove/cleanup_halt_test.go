package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/fixtures/instance"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

func newHalted(t *testing.T, seed uint64) *chain {
	t.Helper()
	c := newChain(t, seed, newKillTally())
	if r, _ := c.run(c.living, false, "bind"); r.code != exitOK {
		t.Fatal(r)
	}
	return c
}

// ripe has candidates for a night's whole ceiling, and none left of earlier ones.
func (c *chain) ripe() {
	c.t.Helper()
	c.plant()
	c.night()
	if r, _ := c.run(c.living, false, "orphans"); r.code != exitOK {
		c.t.Fatal(r)
	}
	c.night()
}

// clears expects that a run which nobody disturbs removes all that is left.
func (c *chain) clears() orphansJSON {
	c.t.Helper()
	r, _ := c.run(c.living, false, applied...)
	var out orphansJSON
	decode(c.t, r, exitOK, &out)
	c.ended(r)
	for key := range c.planted {
		if _, ok := c.bucket.Object(key); ok {
			c.t.Errorf("%s is left: %v", key, r)
		}
	}
	return out
}

// An interrupt at any step ends the run with 130. The journal has an outcome for all but
// what was being deleted at that moment, and the next run goes on.
func TestCleanupInterrupted(t *testing.T) {
	t.Parallel()
	c := newHalted(t, 20)
	c.signal = syscall.SIGINT
	hit := 0
	for i, m := range moments[:len(moments)-1] {
		c.ripe()
		c.aim(c.dice, m, 1+i%3)
		r, dead := c.beside(applied...)
		if dead || r.code != exitOK && r.code != 130 {
			t.Fatalf("%s: killed: %v, %v", m.at(c.when), dead, r)
		}
		if r.code == 130 {
			hit++
			var out orphansJSON
			if r.stdout != "" { // else it had not begun
				decode(t, r, 130, &out)
			}
			// The canaries go one by one, all else in one batch.
			if open := c.open(); out.Complete || open > 1 && open != 35-cleanup.Canaries {
				t.Errorf("%s: %d without an outcome, %v", m.at(c.when), open, r)
			}
		}
		c.clears()
	}
	if hit < 4 {
		t.Errorf("only %d interrupts came in time", hit)
	}
}

// open counts intents, and expects of all else that it is as the journal says.
func (c *chain) open() (n int) {
	c.t.Helper()
	led := c.reader()
	defer led.Close()
	for r, err := range led.Removals(c.t.Context(), ledger.RemovalQuery{}) {
		if err != nil {
			c.t.Fatal(err)
		}
		if _, there := c.bucket.Object(string(r.Key)); r.State == ledger.RemovalIntent {
			n++
		} else if there && r.State == ledger.RemovalRemoved {
			c.t.Errorf("in the bucket: %v; journal: %+v", there, r)
		}
	}
	return n
}

// What a killed run removed counts for the next one of the same night, and what it may
// have removed too.
func TestCleanupCeilingKilled(t *testing.T) {
	t.Parallel()
	c := newHalted(t, 24)
	for when := range whens[1:3] { // after its answer a quick run may be at its end
		marked := func() {
			c.plant()
			c.alive()
			if r, _ := c.run(c.living, false, "orphans"); r.code != exitOK {
				t.Fatal(r)
			}
		}
		gone := len(c.seen())
		c.later(48 * time.Hour)
		marked()
		c.later(10 * time.Hour)
		marked() // two waves, together above the ceiling
		c.later(11 * time.Hour)
		c.alive()
		c.aim(c.dice, moments[5], when+1)
		c.delay = 0
		if r, dead := c.beside(applied...); !dead || len(c.seen()) != gone+35 {
			t.Fatalf("killed: %v, %d removed, %v", dead, len(c.seen())-gone, r)
		}
		c.later(10 * time.Hour)
		c.alive()
		r, _ := c.run(c.living, false, applied...)
		if out := c.ended(r); r.code != exitRefused || len(c.seen()) != gone+35 {
			t.Errorf("%d removed by a killed run and %d after it: %v", 35, out.Removed.Objects, r)
		}
		c.later(11 * time.Hour)
		c.alive()
		c.clears()
	}
}

// While one cleans, every other run that could get in its way says so, and does nothing.
func TestCleanupTwice(t *testing.T) {
	t.Parallel()
	c := newHalted(t, 21)
	c.ripe()
	listing, goOn := make(chan struct{}), make(chan struct{})
	c.bucket.SetFault(func(r fixtures.Request) fixtures.Fault {
		if r.Op == costs.ListObjects && r.Attempt == 3 { // after those of bind and of the night before
			close(listing)
			<-goOn
		}
		return c.request(r)
	})
	first, stdout, stderr := c.command(t.Context(), applied...)
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	<-listing
	sent := c.bucket.Usage()
	for _, args := range [][]string{applied, {"orphans"}, {"bind"}, {"undo", "1"}, {"orphans", "--save", filepath.Join(t.TempDir(), "plan")}} {
		cmd, _, said := c.command(t.Context(), args...)
		if err := cmd.Run(); cmd.ProcessState.ExitCode() != exitLocked || !strings.Contains(said.String(), "hint: wait for it") {
			t.Errorf("%v: %v\n%s", args, err, said)
		}
	}
	if now := c.bucket.Usage(); now != sent {
		t.Errorf("they sent requests: %v, then %v", sent, now)
	}
	close(goOn)
	if err := first.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	c.settled()
	c.ended(result{exitOK, stdout.String(), stderr.String()})
	if len(c.seen()) != len(c.planted) {
		t.Errorf("%d of %d removed", len(c.seen()), len(c.planted))
	}
}

// roomy runs a script that sees a small file system of its own at $SMALL, as $SIZE says.
func (c *chain) roomy(script string, size int, args ...string) result {
	c.t.Helper()
	cmd, stdout, stderr := c.command(c.t.Context(), args...)
	args = append([]string{"-c", `mount --make-rprivate / && mount -t tmpfs -o size=$SIZE,mode=700 tmpfs "$SMALL" || exit 99; ` + script}, cmd.Args...)
	sh := exec.CommandContext(c.t.Context(), "sh", args...)
	sh.Env = slices.Concat(cmd.Env, []string{"SIZE=" + strconv.Itoa(size), "SMALL=" + c.t.TempDir(), "STATE=" + c.state})
	sh.Stdout, sh.Stderr, sh.SysProcAttr = stdout, stderr, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if uid := os.Getuid(); uid != 0 {
		sh.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		sh.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		sh.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	if err := sh.Run(); errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSPC) {
		c.t.Skip("no mount namespaces here")
	}
	c.settled()
	return result{sh.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// The disk of the ledger is full at any step: nothing goes that is not in the journal, and
// the next run with room goes on.
func TestCleanupStateFull(t *testing.T) {
	t.Parallel()
	c := newHalted(t, 22)
	// $0 is the program. The ledger goes to the small disk and comes back from it.
	const script = `files() { find "$1" -maxdepth 1 -type f; }
		cp -p $(files "$STATE") "$SMALL" && "$0" "$@" --state "$SMALL" --trash "$STATE/trash"; code=$?
		rm $(files "$STATE") && cp -p $(files "$SMALL") "$STATE" && exit $code; exit 98`
	before, between := 0, 0
	for step := range 8 {
		c.ripe()
		gone := len(c.seen())
		r := c.roomy(script, c.size()+16<<10+step*64<<10, applied...)
		switch {
		case r.code == exitOK:
		case r.code != exitStopped || !strings.Contains(r.stderr, "hint: make room"):
			t.Errorf("%v", r)
		case len(c.seen()) == gone:
			before++
		default:
			between++
		}
		c.shelf.whole(t, c.in, []*instance.Writer{c.writer})
		c.clears()
	}
	t.Logf("full %d times before the first deletion, %d times after it", before, between)
	if before == 0 || between == 0 {
		t.Error("the test tests too little")
	}
}

// size is that of the state folder, bytes on a disk of pages.
func (c *chain) size() (n int) {
	c.t.Helper()
	files, err := os.ReadDir(c.state)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, f := range files {
		if info, err := f.Info(); err == nil {
			n += int(info.Size()+4095) / 4096 * 4096
		}
	}
	return n
}

// What does not fit into the trash stays in the bucket: its disk is full, or one file is
// too large for it. All else goes.
func TestCleanupTrashFull(t *testing.T) {
	t.Parallel()
	c := newHalted(t, 23)
	c.ripe()
	var out orphansJSON
	// A gigabyte of it stays free, and so nothing fits.
	r := c.roomy(`"$0" "$@" --state "$STATE" --trash "$SMALL"`, 64<<20, applied...)
	decode(t, r, exitLeft, &out)
	if n := out.Kept[cleanup.KeptNoRoom]; n != int64(len(c.planted)) || len(c.seen()) > 0 {
		t.Fatalf("%d of %d kept, %d removed", n, len(c.planted), len(c.seen()))
	}
	c.agrees()
	large := instance.Object{
		Key:  media.Path{Cached: true, Class: media.CustomEmojis, Attachment: "images", ID: 7_000_001, Style: "original", Name: "a.png"}.Key(),
		Size: 6 << 20, ContentType: "image/png", Modified: c.now().AddDate(-6, 0, 0),
	}
	instance.Fill(c.bucket, "", func(yield func(instance.Object) bool) { yield(large) })
	c.night()
	if r, _ := c.run(c.living, false, "orphans"); r.code != exitOK {
		t.Fatal(r)
	}
	c.night()
	// The limit is in blocks of 512 bytes; the ledger is smaller than that.
	cmd, stdout, stderr := c.command(context.Background(), applied...)
	sh := exec.CommandContext(t.Context(), "sh", append([]string{"-c", `ulimit -f 8192; exec "$0" "$@"`}, cmd.Args...)...)
	sh.Env, sh.Stdout, sh.Stderr = cmd.Env, stdout, stderr
	_ = sh.Run()
	c.settled()
	decode(t, result{sh.ProcessState.ExitCode(), stdout.String(), stderr.String()}, exitLeft, &out)
	if out.Kept[cleanup.KeptNoRoom] != 1 || out.Removed.Objects != int64(len(c.planted)) {
		t.Errorf("%+v", out)
	}
	if _, ok := c.bucket.Object(string(large.Key)); !ok {
		t.Error("the large one is gone")
	}
	c.agrees()
	if out := c.clears(); out.Removed.Objects != 1 {
		t.Errorf("%+v", out)
	}
}
