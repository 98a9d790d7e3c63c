package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"example.org/mediamove/fixtures"
	"example.org/mediamove/fixtures/instance"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

// cleanupKills is how often cleanups are killed; TEST_KILLS asks for more, for a night.
func cleanupKills() int {
	if n, err := strconv.Atoi(os.Getenv("TEST_KILLS")); err == nil && n > 0 {
		return n
	}
	return 160
}

// A chain is one instance, and one kill after the other.
type chain struct {
	*living
	*slayer
	shelf   *shelf
	writer  *instance.Writer
	dice    *rand.Rand
	planted map[string]instance.Object
	tally   *killTally
	blows   []blow

	log      sync.Mutex
	allowing bool
	removals []removal
}

// A removal is a deletion as the bucket saw it.
type removal struct {
	key     string
	at      time.Time
	allowed bool // above the ceiling, by a person
}

// A killTally counts over all chains.
type killTally struct {
	mu         sync.Mutex
	kills      map[string]int // by moment
	codes      map[int]int    // exit statuses of runs that ended
	gone, back int
}

func newKillTally() *killTally { return &killTally{kills: map[string]int{}, codes: map[int]int{}} }

func (k *killTally) killed(moment string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kills[moment]++
}

func (k *killTally) ended(code int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.codes[code]++
}

func (k *killTally) objects(gone, back int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.gone, k.back = k.gone+gone, k.back+back
}

// report lists the kills by moment; each has to be there.
func (k *killTally) report(t *testing.T, all int) {
	t.Helper()
	total := 0
	for _, m := range moments {
		line := make([]string, len(whens))
		for when := range whens {
			n := k.kills[m.at(when)]
			line[when] = fmt.Sprintf("%d %s", n, whens[when])
			if total += n; n == 0 && all >= 150 {
				t.Errorf("never killed: %s", m.at(when))
			}
		}
		t.Logf("%s: %s", m.name, strings.Join(line, ", "))
	}
	t.Logf("%d kills; runs that ended: %d, beyond the ceiling: %d; %d objects removed, %d put back",
		total, k.codes[exitOK], k.codes[exitRefused], k.gone, k.back)
	if total < all*3/4 || k.codes[exitRefused] == 0 || k.gone < all {
		t.Error("the test tests too little")
	}
}

// SIGKILL at any step of a cleanup, followed by another run at once or a night later:
// nothing that is owned goes, the journal says what the bucket has, everything that went
// comes back byte for byte, the counter never locks its only owner out, and the ceilings
// hold for all runs of a night together.
func TestCleanupKilled(t *testing.T) {
	t.Parallel()
	if _, err := new(world).machine(); err != nil {
		t.Fatal(err) // the built program is bound to its host
	}
	tally := newKillTally()
	all := cleanupKills()
	t.Run("chains", func(t *testing.T) {
		for seed := range max(4, all/50) {
			t.Run(strconv.Itoa(seed), func(t *testing.T) {
				t.Parallel()
				c := newChain(t, uint64(seed), tally)
				c.bindAtLast()
				c.later(20 * time.Hour) // until then there is no control
				start := c.now()        // the trash keeps its copies for a month
				for killed := 0; killed < all/max(4, all/50) && c.now().Sub(start) < 27*24*time.Hour; {
					killed += c.killedNight()
				}
				c.takeBack()
			})
		}
	})
	tally.report(t, all)
}

// applied is how cleanups run here: at most sixty objects of a class in a night.
var applied = []string{"orphans", "--apply", "--json", "--max-objects", "60", "--max-share", "100"}

const ceiling = 60

func newChain(t *testing.T, seed uint64, tally *killTally) *chain {
	t.Helper()
	spec := instance.Small(seed, "4.6")
	spec.Attachments, spec.Accounts, spec.Emoji, spec.Cards = 150, 40, 20, 30
	c := &chain{living: newLiving(t, spec, 0), dice: rand.New(rand.NewPCG(seed, 2)), planted: map[string]instance.Object{}, tally: tally}
	c.quick()
	c.slayer = newSlayer(c.noted)
	c.set("S3_ENDPOINT", c.listen(t, c.bucket))
	c.bucket.SetFault(c.request)
	c.shelf = newShelf(c.living)
	var err error
	if c.writer, err = c.in.Writer(t.Context(), instance.WriterOptions{DSN: c.db.DSN, Store: c.shelf, Seed: seed, Failing: -1, Now: c.now}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.writer.Close() })
	c.alive()
	return c
}

// bindAtLast binds, after runs that were killed while they did.
func (c *chain) bindAtLast() {
	c.t.Helper()
	for when := range whens {
		m := moments[0]
		if when%2 == 0 {
			m = moments[3]
			m.most = 2 // the first asks whether conditions are heeded
		}
		c.aim(c.dice, m, when)
		r, dead := c.beside("bind")
		if !dead && r.code != exitOK {
			c.t.Fatal(r)
		}
		if dead {
			c.tally.killed(m.at(when))
		}
	}
	if r, _ := c.run(c.living, false, "bind"); r.code != exitOK {
		c.t.Fatal(r)
	}
}

// noted sees every deletion right before it.
func (c *chain) noted(key string) {
	if _, ok := c.bucket.Object(key); ok {
		c.log.Lock()
		defer c.log.Unlock()
		c.removals = append(c.removals, removal{key, c.now(), c.allowing})
	}
}

// seen is all of them so far.
func (c *chain) seen() []removal {
	c.log.Lock()
	defer c.log.Unlock()
	return slices.Clone(c.removals)
}

// A blow is a moment with its place.
type blow struct {
	moment
	when int
}

// next yields the blows in turn, each as often as the others. A put-back is an undo's.
func (c *chain) next() blow {
	if len(c.blows) == 0 {
		for _, m := range moments[:len(moments)-1] {
			for when := range whens {
				c.blows = append(c.blows, blow{m, when})
			}
		}
		c.dice.Shuffle(len(c.blows), func(i, j int) { c.blows[i], c.blows[j] = c.blows[j], c.blows[i] })
	}
	b := c.blows[0]
	c.blows = c.blows[1:]
	return b
}

// killedNight goes on to the next night and runs until a run ends, or the night is over.
func (c *chain) killedNight() (killed int) {
	c.t.Helper()
	c.plant()
	// Runs at any hour: what one removes late must count for the next, early one.
	c.later(time.Duration(16+c.dice.IntN(8)) * time.Hour)
	c.alive()
	for range 6 {
		b := c.next()
		c.aim(c.dice, b.moment, b.when)
		args := applied
		if b.name == "listing" && c.dice.IntN(2) == 0 {
			args = []string{"orphans", "--json"}
		}
		r, dead := c.beside(args...)
		if c.dice.IntN(2) == 0 {
			c.later(time.Duration(c.dice.IntN(240)) * time.Minute)
			c.alive()
		}
		if !dead {
			c.blows = append(c.blows, b) // it missed
			if out := c.ended(r); r.code == exitRefused && out.Candidates.Objects > ceiling {
				killed += c.allow(c.next())
			}
			if c.dice.IntN(2) == 0 {
				return killed
			}
			continue
		}
		killed++
		c.tally.killed(b.at(b.when))
		if c.dice.IntN(5) == 0 { // nobody runs it again tonight
			return killed
		}
	}
	return killed
}

// allow lets a plan above the ceiling go, as a person may; that run is killed too.
func (c *chain) allow(b blow) (killed int) {
	c.t.Helper()
	plan := filepath.Join(c.t.TempDir(), "plan.json")
	r, _ := c.run(c.living, false, "orphans", "--json", "--save", plan, "--max-objects", strconv.Itoa(ceiling), "--max-share", "100")
	var out orphansJSON
	decode(c.t, r, exitOK, &out)
	c.setAllowing(true)
	defer c.setAllowing(false)
	c.aim(c.dice, b.moment, b.when)
	r, dead := c.beside("orphans", "--json", "--apply-plan", plan, "--allow-above", strconv.FormatInt(out.Plan.Objects, 10))
	if dead {
		c.tally.killed(b.at(b.when))
		return 1
	}
	if out := c.ended(r); r.code != exitOK || out.Removed.Objects != out.Candidates.Objects {
		c.t.Fatal(r)
	}
	return 0
}

func (c *chain) setAllowing(yes bool) {
	c.log.Lock()
	defer c.log.Unlock()
	c.allowing = yes
}

// plant adds orphans for the next nights. Two waves are more than one night may remove.
func (c *chain) plant() {
	left := 0
	for key := range c.planted {
		if _, ok := c.bucket.Object(key); ok {
			left++
		}
	}
	for range min(35, 70-left) {
		n := len(c.planted)
		o := instance.Object{
			Key: media.Path{
				Cached: n%3 > 0, Class: media.MediaAttachments, Attachment: "files", ID: 990_000_000_000_000_000 + int64(n),
				Style: "original", Name: fmt.Sprintf("%016x.png", c.dice.Uint64()),
			}.Key(),
			Size: 10 + c.dice.Int64N(2000), ContentType: "image/png", Modified: c.now().AddDate(-6, 0, n),
		}
		c.planted[string(o.Key)] = o
		instance.Fill(c.bucket, "", slices.Values([]instance.Object{o}))
	}
}

// beside runs a command that may be killed, while Mastodon works.
func (c *chain) beside(args ...string) (r result, dead bool) {
	c.t.Helper()
	var group errgroup.Group
	group.Go(func() error { return c.writer.Run(c.t.Context(), 2) })
	r, dead = c.run(c.living, true, args...)
	if err := group.Wait(); err != nil {
		c.t.Fatal(err)
	}
	c.shelf.whole(c.t, c.in, []*instance.Writer{c.writer})
	if c.t.Failed() {
		c.t.Fatalf("after %s, killed: %v, %v", c.moment.at(c.when), dead, r)
	}
	return r, dead
}

// ended: a run that was not killed has its way, unless the night's ceiling is reached, and
// has settled what those left that were.
func (c *chain) ended(r result) (out orphansJSON) {
	c.t.Helper()
	c.tally.ended(r.code)
	decode(c.t, r, r.code, &out)
	if r.code != exitOK && (r.code != exitRefused || !strings.Contains(out.Refusal, `"ceilings"`)) {
		c.t.Fatal(r)
	}
	for _, g := range out.Guards {
		if g.Refused {
			c.t.Fatalf("guard %q: %s", g.Name, g.Reason)
		}
	}
	c.agrees()
	return out
}

// agrees: what the journal says is removed is not in the bucket, and the other way round.
func (c *chain) agrees() (removed map[int64]int) {
	c.t.Helper()
	led := c.reader()
	defer led.Close()
	removed = map[int64]int{}
	latest := map[media.Key]ledger.Removal{}
	for r, err := range led.Removals(c.t.Context(), ledger.RemovalQuery{}) {
		if err != nil {
			c.t.Fatal(err)
		}
		latest[r.Key] = r
	}
	for k, r := range latest {
		_, there := c.bucket.Object(string(k))
		if there == (r.State == ledger.RemovalRemoved) || r.State == ledger.RemovalIntent {
			c.t.Errorf("in the bucket: %v; journal: %+v", there, r)
		}
		if r.State == ledger.RemovalRemoved {
			removed[r.Run]++
		}
	}
	for _, r := range c.seen() {
		if _, ok := latest[media.Key(r.key)]; !ok {
			c.t.Errorf("%s was removed, and is not in the journal", r.key)
		}
	}
	return removed
}

// takeBack ends the chain: all that was removed comes back, and stays.
func (c *chain) takeBack() {
	c.t.Helper()
	c.night()
	c.night() // nothing went in the last twenty hours
	if r, _ := c.run(c.living, false, applied...); c.ended(r).Candidates.Objects > ceiling {
		c.allow(blow{moment{"never", func(fixtures.Request) bool { return false }, 1}, 0})
	}
	c.ceilings()
	runs := c.agrees()
	for run := range runs {
		c.undo(run)
	}
	for key, o := range c.planted {
		body, _ := c.bucket.Body(key)
		at, _ := c.bucket.Object(key)
		if !bytes.Equal(body, instance.Body(o)) || at.ContentType != o.ContentType || at.CacheControl == "" {
			c.t.Errorf("%s did not come back: %+v", key, at)
		}
	}
	if left := c.agrees(); len(left) > 0 {
		c.t.Errorf("still removed: %v", left)
	}
	c.night()
	c.night()
	before := len(c.seen())
	r, _ := c.run(c.living, false, applied...)
	out := c.ended(r)
	back := 0
	for _, n := range runs {
		back += n
	}
	c.tally.objects(before, back)
	if out.Returned.Objects != int64(back) || len(c.seen()) != before+int(out.Removed.Objects) || r.code != exitOK {
		c.t.Errorf("%d were put back, %d went again: %v", back, len(c.seen())-before, r)
	}
}

// undo takes a run back; it is killed too.
func (c *chain) undo(run int64) {
	c.t.Helper()
	for {
		b := blow{when: c.dice.IntN(len(whens))}
		if b.moment = moments[1]; c.dice.IntN(2) == 0 { // else it lives: an undo lists nothing
			b.moment = moments[len(moments)-1]
		}
		c.aim(c.dice, b.moment, b.when)
		r, dead := c.beside("undo", strconv.FormatInt(run, 10))
		if !dead && r.code != exitOK {
			c.t.Fatal(r)
		}
		if !dead {
			c.tally.ended(r.code)
			return
		}
		c.tally.killed(b.at(b.when))
	}
}

// ceilings: in no night went more than one may remove, whichever runs were killed.
func (c *chain) ceilings() {
	c.t.Helper()
	removals := c.seen()
	for i, first := range removals {
		n := 0
		for _, r := range removals[i:] {
			if !r.allowed && !first.allowed && r.at.Sub(first.at) < 19*time.Hour && media.Key(r.key).Class() == media.Key(first.key).Class() {
				n++
			}
		}
		if n > ceiling {
			c.t.Fatalf("%d objects went from %v on", n, first.at)
		}
	}
}
