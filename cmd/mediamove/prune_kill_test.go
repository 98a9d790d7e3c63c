package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"example.org/mediamove/fixtures/instance"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

// pruneKills is how often prunes are killed; TEST_KILLS asks for more, for a night.
func pruneKills() int {
	if n, err := strconv.Atoi(os.Getenv("TEST_KILLS")); err == nil && n > 0 {
		return n
	}
	return 90
}

// A village is an instance whose people go on while prune runs and is killed.
type village struct {
	*cached
	*slayer
	env    []string
	dice   *rand.Rand
	writer *instance.Writer
	tally  *killTally
	conn   *pgx.Conn // of the people
	judge  *pgx.Conn // of whoever looks at deletions
	local  int64

	mu      sync.Mutex
	touched map[int64]string // the names in rows that a local user touched, committed before they were cleared
	deleted int
}

// SIGKILL before, at and after every step of a prune, while people favourite, bookmark,
// fetch again and delete: whenever an object goes, no row names it, ten minutes have
// passed since its row was cleared, and nobody here had touched its post before that. The
// next run comes to what is left, and the bucket ends below its budget.
func TestPruneKilled(t *testing.T) {
	t.Parallel()
	if _, err := new(world).machine(); err != nil {
		t.Fatal(err) // the program is bound to its host
	}
	tally := newKillTally()
	t.Run("villages", func(t *testing.T) {
		for i, version := range []string{"4.2", "4.4", "4.6"} {
			t.Run(version, func(t *testing.T) {
				t.Parallel()
				v := newVillage(t, uint64(i+81), version, tally)
				blows := v.blows()
				for killed := 0; killed < pruneKills()/3; {
					b := blows()
					v.aim(v.dice, b.moment, b.when)
					if v.strikes(b) {
						killed++
						tally.killed(b.at(b.when))
					}
				}
				v.curtain()
			})
		}
	})
	total := 0
	for _, m := range pruneMoments() {
		hits := 0
		for when := range whens {
			hits += tally.kills[m.at(when)]
		}
		t.Logf("%4d %s", hits, m.name)
		if total += hits; hits == 0 {
			t.Errorf("never killed: %s", m.name)
		}
	}
	t.Logf("%d kills; runs that ended: %v", total, tally.codes)
}

func pruneMoments() []moment {
	return append(slices.DeleteFunc(slices.Clone(moments), func(m moment) bool { return m.name == "copy" || m.name == "put back" }), wireMoments...)
}

func (v *village) blows() func() blow {
	var all []blow
	return func() blow {
		if len(all) == 0 {
			for _, m := range pruneMoments() {
				for when := range whens {
					all = append(all, blow{m, when})
				}
			}
			v.dice.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		}
		b := all[0]
		all = all[1:]
		return b
	}
}

func newVillage(t *testing.T, seed uint64, version string, tally *killTally) *village {
	t.Helper()
	spec := instance.Small(seed, version)
	spec.Attachments, spec.Statuses = 1200, 900
	v := &village{cached: &cached{newLiving(t, spec, 0)}, dice: rand.New(rand.NewPCG(seed, 3)), tally: tally, touched: map[int64]string{}}
	v.machine = ""
	v.slayer = newSlayer(v.goes)
	v.bucket.SetFault(v.request)
	v.env = v.but(append(v.connect(t, v.living), "S3_ENDPOINT="+v.listen(t, v.bucket))...)
	v.grow()
	for _, conn := range []**pgx.Conn{&v.conn, &v.judge} {
		var err error
		if *conn, err = pgx.Connect(t.Context(), v.db.DSN); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { (*conn).Close(context.WithoutCancel(t.Context())) })
	}
	var err error
	v.writer, err = v.in.Writer(t.Context(), instance.WriterOptions{DSN: v.db.DSN, Store: newShelf(v.living), Seed: seed, Failing: -1, Now: v.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.writer.Close() })
	v.each("SELECT min(id) FROM accounts WHERE domain IS NULL", nil, []any{&v.local}, func() {})
	return v
}

// goes sees every deletion before it has an effect.
func (v *village) goes(key string) {
	p, err := media.Parse(media.Key(key))
	if err != nil || p.Class != media.MediaAttachments && p.Class != media.PreviewCards {
		v.t.Errorf("%s is deleted", key)
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.deleted++
	ctx := context.WithoutCancel(v.t.Context())
	query := "SELECT concat(file_file_name, '|', thumbnail_file_name), remote_url <> '' FROM media_attachments WHERE id = $1"
	if p.Class == media.PreviewCards {
		query = "SELECT concat(image_file_name, '|'), true FROM preview_cards WHERE id = $1"
	}
	var names string
	var remote bool
	err = v.judge.QueryRow(ctx, query, p.ID).Scan(&names, &remote)
	if err == nil && (!remote || named(names, p.Name)) {
		v.t.Errorf("%s is deleted, and its row names %q, of another server: %t", key, names, remote)
	}
	if p.Class == media.MediaAttachments && named(v.touched[p.ID], p.Name) {
		v.t.Errorf("%s is deleted, and somebody here had touched it before its row was cleared", key)
	}
	v.waited(ctx, p)
}

// named reports whether one of two names, without their ends, is that of the object.
func named(names, object string) bool {
	file, thumbnail, _ := strings.Cut(names, "|")
	base := func(s string) string { return s[:len(s)-len(path.Ext(s))] }
	return file != "" && base(file) == base(object) || thumbnail != "" && base(thumbnail) == base(object)
}

// waited: Mastodon's caches have forgotten the file.
func (v *village) waited(ctx context.Context, p media.Path) {
	led, err := ledger.OpenReader(ctx, v.state)
	if err != nil {
		v.t.Error(err)
		return
	}
	defer led.Close()
	c, err := led.OpenClearing(ctx, p.Class, p.ID)
	if since := v.now().Sub(c.ClearedAt); err != nil || since < 10*time.Minute {
		v.t.Errorf("row %d of %s: its object goes %v after it was cleared, %v", p.ID, p.Class, since, err)
	}
}

// strikes runs a prune of some rows beside the people, and reports whether it was killed.
func (v *village) strikes(b blow) (dead bool) {
	v.t.Helper()
	budget := sum(v.stands()) - 4000
	args := []string{"prune", "--apply", "--json", "--budget", sizeFlag(budget), "--target", sizeFlag(budget), "--allow-share", "100"}
	r, dead := v.runs(b.name, args...)
	v.whole()
	if !dead {
		v.tally.ended(r.code)
		if r.code != exitOK && r.code != exitLeft {
			v.t.Fatal(r)
		}
	}
	if v.t.Failed() {
		v.t.Fatalf("after %s, killed: %t, %v", b.at(b.when), dead, r)
	}
	if v.dice.IntN(3) == 0 {
		v.later(time.Duration(v.dice.IntN(90)) * time.Minute)
	}
	v.alive()
	return dead
}

// runs is one run of the program, beside which people live.
func (v *village) runs(what string, args ...string) (r result, dead bool) {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.t.Context(), time.Minute)
	defer cancel()
	cmd, stdout, stderr := v.impatiently(ctx, v.env, args...)
	v.slayer.mu.Lock()
	err := cmd.Start()
	if v.process = nil; what != "" {
		v.process = cmd.Process
	}
	v.slayer.mu.Unlock()
	over, people := make(chan struct{}), make(chan error, 1)
	go func() { people <- v.live(over) }()
	if err == nil {
		err = cmd.Wait()
	}
	close(over)
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited || ctx.Err() != nil {
		v.t.Fatalf("mediamove %v: %v\n%s", args, err, stderr)
	}
	v.spare()
	v.settled()
	if err := <-people; err != nil {
		v.t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}, cmd.ProcessState.Sys().(syscall.WaitStatus).Signaled()
}

// live goes on until the run is over.
func (v *village) live(over <-chan struct{}) error {
	if err := v.writer.Run(v.t.Context(), 2); err != nil {
		return err
	}
	for {
		select {
		case <-over:
			return nil
		case <-time.After(time.Duration(1+v.dice.IntN(4)) * time.Millisecond):
		}
		step := []func(context.Context) error{v.favourite, v.favourite, v.bookmark, v.refetch, v.remove}[v.dice.IntN(5)]
		if err := step(v.t.Context()); err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("people: %w", err)
		}
	}
}
