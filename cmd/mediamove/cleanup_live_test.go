package main

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/fixtures/instance"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

// rounds is how many commands run beside the writers, in all; TEST_ROUNDS asks for
// more, for a night.
func rounds() int {
	if n, err := strconv.Atoi(os.Getenv("TEST_ROUNDS")); err == nil && n > 0 {
		return n
	}
	return 160
}

// While Mastodon uploads before COMMIT, deletes, replaces avatars and transcodes in
// place, scans and applies run again and again: nothing that is owned in the end is
// ever removed, and in the end nothing is left that nobody owns.
func TestCleanupAlive(t *testing.T) {
	t.Parallel()
	worlds := []struct {
		version string
		minAge  time.Duration
		asleep  int // nights that a transaction stays open: as long as it may
	}{
		{"3.5", time.Hour, 1},
		{"4.2", 72 * time.Hour, 3},
		{"4.4", time.Hour, 1},
		{"4.6", 72 * time.Hour, 3},
	}
	for i, tt := range worlds {
		t.Run(tt.version, func(t *testing.T) {
			t.Parallel()
			p := newPlay(t, uint64(i+1), tt.version, tt.minAge)
			for p.rounds < rounds()/len(worlds) {
				p.night(tt.asleep)
			}
			p.curtain()
			t.Logf("%d rounds (%d refused, %d alarms), %d removed; %d were owned on the last look, %d had changed", p.rounds, p.refused, p.alarms, len(p.gone),
				p.kept[cleanup.KeptOwned], p.kept[cleanup.KeptChanged])
			if len(p.gone) < 20 || p.kept[cleanup.KeptOwned] == 0 || p.refused > p.rounds/4 || p.alarms > 2 {
				t.Error("the test tests too little")
			}
		})
	}
}

// A play is a living instance with its writers at work.
type play struct {
	*living
	shelf   *shelf
	stage   *stage
	dice    *rand.Rand
	minAge  time.Duration
	writers []*instance.Writer
	sleeper *sleeper
	conn    *pgx.Conn
	slept   int // nights
	rounds  int
	refused int
	alarms  int
	kept    map[string]int64

	mu   sync.Mutex
	gone map[media.Key]bool // removed by requests, which only mediamove sends
}

func newPlay(t *testing.T, seed uint64, version string, minAge time.Duration) *play {
	t.Helper()
	l := newLiving(t, instance.Small(seed, version), 60)
	p := &play{
		living: l, shelf: newShelf(l), stage: newStage(), dice: rand.New(rand.NewPCG(seed, 1)), minAge: minAge,
		kept: map[string]int64{}, gone: map[media.Key]bool{},
	}
	p.quick()
	var err error
	if p.conn, err = pgx.Connect(t.Context(), l.db.DSN); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.conn.Close(context.Background()) })
	const parts = 3
	for part := range parts {
		dice := rand.New(rand.NewPCG(seed, uint64(part)))
		p.hire(instance.WriterOptions{Seed: seed, Part: part, Parts: parts + 1, Store: p.shelf, Between: func(context.Context) {
			if dice.IntN(2) == 0 {
				p.stage.wait()
			}
		}})
	}
	p.sleeper = &sleeper{shelf: p.shelf}
	p.sleeper.w = p.hire(instance.WriterOptions{
		Seed: seed, Part: parts, Parts: parts + 1, Store: p.sleeper, Failing: -1, Between: func(context.Context) { p.sleeper.rest() },
	})
	p.orphan(0)
	p.bind()
	p.bucket.SetFault(p.request)
	return p
}

func (p *play) hire(o instance.WriterOptions) *instance.Writer {
	p.t.Helper()
	o.DSN, o.Now = p.db.DSN, p.now
	w, err := p.in.Writer(p.t.Context(), o)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { w.Close() })
	p.writers = append(p.writers, w)
	return w
}

// night goes on by a day, and runs what a timer and a person run in it.
func (p *play) night(asleep int) {
	p.t.Helper()
	if p.slept++; p.slept > asleep {
		p.sleeper.wake(p.t)
	}
	if !p.sleeper.asleep() {
		p.sleeper.lieDown(p.t)
		p.slept = 0
	}
	p.living.night()
	if p.dice.IntN(3) == 0 {
		p.round()
		p.later(time.Duration(p.dice.IntN(120)) * time.Minute)
		p.alive()
	}
	p.round("--apply")
	if p.dice.IntN(4) == 0 {
		p.round("--apply")
	}
}

// round runs a command while the writers work, and holds the world against them.
func (p *play) round(args ...string) orphansJSON {
	p.t.Helper()
	p.rounds++
	p.stage.begin()
	var group errgroup.Group
	for _, w := range p.writers {
		if w != p.sleeper.w {
			group.Go(func() error { return w.Run(p.t.Context(), 1+p.rounds%6) })
		}
	}
	r := p.clean(p.args(args)...)
	p.stage.end()
	if err := group.Wait(); err != nil {
		p.t.Fatal(err)
	}
	out := p.judged(r)
	p.check(out)
	return out
}

// args are those of orphans with ceilings that never refuse.
func (p *play) args(more []string) []string {
	return append([]string{"orphans", "--json", "--max-share", "100", "--min-age", p.minAge.String()}, more...)
}

// judged expects that a run ended well. The positive control may refuse: so many deletions
// fail here, in so small an instance. Then a person looks, and binds anew. And the canary
// may find an avatar gone whose transaction is still open.
func (p *play) judged(r result) (out orphansJSON) {
	p.t.Helper()
	decode(p.t, r, r.code, &out)
	switch {
	case r.code == exitRefused && strings.Contains(out.Refusal, "positive control"):
		p.refused++
		p.bind()
	case r.code == exitStopped && strings.Contains(r.stderr, cleanup.ErrCanary.Error()) && strings.Contains(r.stderr, "avatars"):
		p.alarms++
	case r.code != exitOK:
		p.t.Fatal(r)
	}
	for why, n := range out.Kept {
		p.kept[why] += n
	}
	return out
}

// request sees every request before it is served; all are mediamove's.
func (p *play) request(r fixtures.Request) fixtures.Fault {
	p.stage.cue()
	switch r.Op {
	case costs.GetObject:
		// The copy is made between the scan and the last look: the transaction that held
		// this object since before the marks ends now.
		if p.sleeper.holds(media.Key(r.Key)) {
			p.sleeper.wake(p.t)
		}
	case costs.DeleteObject:
		p.note(r.Key)
	case costs.DeleteObjects:
		return fixtures.Fault{Keys: func(key string) fixtures.KeyFault {
			p.note(key)
			return fixtures.KeyFault{}
		}}
	}
	return fixtures.Fault{}
}

// note sees a deletion right before it happens: it must be journalled, and of an object
// that is old enough and still the one that was listed.
func (p *play) note(key string) {
	o, ok := p.bucket.Object(key)
	if !ok {
		return
	}
	p.mu.Lock()
	p.gone[media.Key(key)] = true
	p.mu.Unlock()
	if age := p.now().Sub(o.LastModified); age < p.minAge {
		p.t.Errorf("%s is deleted at an age of %v", key, age)
	}
	led, err := ledger.OpenReader(p.t.Context(), p.state)
	if err != nil {
		p.t.Error(err)
		return
	}
	defer led.Close()
	intents := 0
	for r, err := range led.Removals(p.t.Context(), ledger.RemovalQuery{Key: media.Key(key), State: ledger.RemovalIntent}) {
		intents++
		if err != nil || r.ETag != o.ETag || r.Trash == "" {
			p.t.Errorf("%s is deleted as %+v: %v", key, r, err)
		}
	}
	if intents != 1 {
		p.t.Errorf("%s is deleted with %d intents", key, intents)
	}
}

// check holds bucket and journal against what the writers know. None of them is in the
// middle of something but the sleeper, who has only added.
func (p *play) check(out orphansJSON) {
	p.t.Helper()
	p.shelf.whole(p.t, p.in, p.writers)
	nobodys := p.nobodys()
	for k := range p.in.OwnedAfter(p.writers...) {
		if p.gone[media.Key(media.Normal(string(k)))] {
			p.t.Errorf("%s was removed, and somebody owns it", k)
		}
	}
	for k := range p.gone {
		if _, ok := nobodys[k]; !ok {
			p.t.Errorf("%s was removed, and no writer lost it", k)
		}
	}
	p.journalled(out)
	if p.t.Failed() {
		p.t.FailNow()
	}
}

// nobodys is every object that nobody owns, as the oracle knows it, and why.
func (p *play) nobodys() map[media.Key]media.Reason {
	p.t.Helper()
	all := map[media.Key]media.Reason{}
	for k, o := range p.orphans {
		// What a person is to look at has lost its row by now, if a writer took that.
		if exists, _ := p.row(k); o.Kind == instance.KindOrphan || o.Kind == instance.KindReview && !exists {
			all[media.Key(media.Normal(string(k)))] = media.RowGone
		}
	}
	for _, w := range p.writers {
		for k, reason := range w.Orphans() {
			all[media.Key(media.Normal(string(k)))] = reason
		}
	}
	return all
}

// row looks for k's row, and whether it is the instance's own.
func (p *play) row(k media.Key) (exists, own bool) {
	p.t.Helper()
	queries := map[media.Class]string{
		media.MediaAttachments: "SELECT remote_url = '' FROM media_attachments WHERE id = $1",
		media.Accounts:         "SELECT domain IS NULL FROM accounts WHERE id = $1",
	}
	path, err := media.Parse(k)
	if err != nil || queries[path.Class] == "" {
		return true, true // the writers leave these alone
	}
	err = p.conn.QueryRow(p.t.Context(), queries[path.Class], path.ID).Scan(&own)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		p.t.Fatal(err)
	}
	return err == nil, own
}

// journalled: the run's rows have an outcome, and it is the bucket's.
func (p *play) journalled(out orphansJSON) {
	p.t.Helper()
	led := p.reader()
	defer led.Close()
	var removed int64
	for r, err := range led.Removals(p.t.Context(), ledger.RemovalQuery{}) {
		if err != nil {
			p.t.Fatal(err)
		}
		_, there := p.bucket.Object(string(r.Key))
		switch {
		case r.State == ledger.RemovalIntent:
			p.t.Errorf("without an outcome: %+v", r)
		case (r.State == ledger.RemovalRemoved) != p.gone[r.Key] && r.Run == out.Run, r.State == ledger.RemovalRemoved && there:
			p.t.Errorf("in the bucket: %v; removed by a request: %v; journal: %+v", there, p.gone[r.Key], r)
		case r.Run == out.Run && r.State == ledger.RemovalRemoved:
			removed++
		}
	}
	if removed != out.Removed.Objects {
		p.t.Errorf("the run says that it removed %+v, the journal %d", out.Removed, removed)
	}
}

// curtain: the writers have stopped. What nobody owns goes as soon as it is old enough,
// and not a night earlier.
func (p *play) curtain() {
	p.t.Helper()
	p.sleeper.wake(p.t)
	writers := p.writers
	p.minAge = 72 * time.Hour
	p.fresh()
	may := p.mayGo()
	var young int
	for night := range 8 {
		p.living.night()
		p.writers = nil // nobody works any more
		before, at := p.stands(), p.now().Add(-p.minAge)
		refused := p.refused
		out := p.judged(p.clean(p.args([]string{"--apply"})...))
		p.writers = writers
		p.check(out)
		if night == 0 || p.refused > refused { // they are marked
			continue
		}
		for k := range may {
			o, was := before[string(k)]
			_, is := p.bucket.Object(string(k))
			switch old := o.LastModified.Before(at); {
			case was && is && old:
				p.t.Errorf("night %d: %s of %v is still there", night, k, o.LastModified)
			case was && is:
				young++
			case was && !old && o.LastModified.After(at.Add(time.Minute)):
				p.t.Errorf("night %d: %s of %v is gone", night, k, o.LastModified)
			}
		}
	}
	if young == 0 {
		p.t.Error("nothing was too young")
	}
	for k := range may {
		if _, ok := p.bucket.Object(string(k)); ok {
			p.t.Errorf("%s is left", k)
		}
	}
	for k := range p.nobodys() {
		if _, ok := p.bucket.Object(string(k)); !ok && !may[k] && p.gone[k] {
			p.t.Errorf("%s is gone, and a person was to look at it", k)
		}
	}
}

// mayGo are the objects that nobody owns and whose row is gone, or another server's.
func (p *play) mayGo() map[media.Key]bool {
	p.t.Helper()
	may := map[media.Key]bool{}
	for k := range p.nobodys() {
		planted, ok := p.orphans[k]
		exists, own := p.row(k)
		if !exists || !own || ok && planted.Kind == instance.KindOrphan {
			may[k] = true
		}
	}
	return may
}

// fresh makes sure that some of them are young.
func (p *play) fresh() {
	p.t.Helper()
	p.living.night()
	for young := 0; young < 3; {
		if err := p.writers[0].Run(p.t.Context(), 10); err != nil {
			p.t.Fatal(err)
		}
		young = 0
		for k := range p.mayGo() {
			if o, ok := p.bucket.Object(string(k)); ok && p.now().Sub(o.LastModified) < time.Hour {
				young++
			}
		}
	}
}

// A shelf is the bucket as the writers see it. It knows what they have put there last.
type shelf struct {
	bucket *fixtures.Bucket
	mu     sync.Mutex
	has    map[media.Key]instance.Object
}

func newShelf(l *living) *shelf { return &shelf{bucket: l.bucket, has: maps.Clone(l.objects)} }

func (s *shelf) Put(_ context.Context, o instance.Object, body []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.has[o.Key] = o
	s.bucket.Plant(fixtures.Object{Key: string(o.Key), ContentType: o.ContentType}, body)
	return nil
}

func (s *shelf) Delete(_ context.Context, k media.Key) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.has, k)
	s.bucket.Delete(string(k))
	return nil
}

// whole expects every object that is owned, byte for byte.
func (s *shelf) whole(t *testing.T, in *instance.Instance, writers []*instance.Writer) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for k := range in.OwnedAfter(writers...) {
		o, put := s.has[k]
		body, ok := s.bucket.Body(string(k))
		if !put || !ok || !bytes.Equal(body, instance.Body(o)) {
			t.Errorf("%s is owned; written: %v, in the bucket: %v, of %d bytes %d", k, put, ok, o.Size, len(body))
		}
	}
}

// A stage lets the writers go on when a command sends a request, so that what they
// leave half done is what the command sees.
type stage struct {
	mu   sync.Mutex
	next chan struct{}
	open bool // nobody waits
}

func newStage() *stage { return &stage{next: make(chan struct{}), open: true} }

func (s *stage) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = false
}

func (s *stage) end() {
	s.mu.Lock()
	s.open = true
	s.mu.Unlock()
	s.cue()
}

func (s *stage) cue() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.next)
	s.next = make(chan struct{})
}

func (s *stage) wait() {
	s.mu.Lock()
	next, open := s.next, s.open
	s.mu.Unlock()
	if !open {
		<-next
	}
}

// A sleeper is a writer that goes to sleep once it has written an object that no
// committed row names, and does its COMMIT when it is woken.
type sleeper struct {
	shelf *shelf
	w     *instance.Writer

	mu    sync.Mutex
	wrote []media.Key // in this step
	slept bool        // in this step
	bed   chan struct{}
	up    chan error
	down  chan struct{}
}

func (s *sleeper) Put(ctx context.Context, o instance.Object, body []byte) error {
	s.mu.Lock()
	s.wrote = append(s.wrote, o.Key)
	s.mu.Unlock()
	return s.shelf.Put(ctx, o, body)
}

func (s *sleeper) Delete(ctx context.Context, k media.Key) error { return s.shelf.Delete(ctx, k) }

// rest is where a step may sleep.
func (s *sleeper) rest() {
	s.mu.Lock()
	if s.slept || len(s.wrote) == 0 || s.down == nil {
		s.mu.Unlock()
		return
	}
	s.slept = true
	bed, down := s.bed, s.down
	s.mu.Unlock()
	close(down)
	<-bed
}

// lieDown returns when a step sleeps.
func (s *sleeper) lieDown(t *testing.T) {
	t.Helper()
	down, up := make(chan struct{}), make(chan error, 1)
	s.mu.Lock()
	s.bed, s.up, s.down, s.slept = make(chan struct{}), up, down, false
	s.mu.Unlock()
	go func() {
		for {
			s.mu.Lock()
			s.wrote = nil
			s.mu.Unlock()
			err := s.w.Step(context.WithoutCancel(t.Context()))
			s.mu.Lock()
			slept := s.slept
			s.mu.Unlock()
			if err != nil || slept {
				up <- err
				return
			}
		}
	}()
	select {
	case <-down:
	case err := <-up:
		t.Fatal(err)
	}
}

func (s *sleeper) asleep() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bed != nil
}

func (s *sleeper) holds(k media.Key) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bed != nil && slices.Contains(s.wrote, k)
}

// wake returns when the step is done.
func (s *sleeper) wake(t *testing.T) {
	s.mu.Lock()
	bed, up := s.bed, s.up
	s.bed, s.down = nil, nil
	s.mu.Unlock()
	if bed == nil {
		return
	}
	close(bed)
	if err := <-up; err != nil {
		t.Error(err)
	}
}
