package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/fixtures/instance"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

// missingKills is how often runs of missing are killed; TEST_KILLS asks for more.
func missingKills() int { return cleanupKills() * 3 / 8 }

// A ward is an instance that loses objects while Mastodon goes on, and whose healer is
// killed again and again.
type ward struct {
	*cached
	*slayer
	env    []string
	dice   *rand.Rand
	writer *instance.Writer
	judge  *pgx.Conn // of whoever looks at the bucket's requests
	people *pgx.Conn
	tally  *killTally
	blows  []blow
	before map[string]fixtures.Object // this run
	ill    []int64                    // accounts that are suspended

	mu        sync.Mutex
	reads     int // of the mark, in this run
	meanwhile []string
	banned    map[string]string // what must not be put back now, and why
	withdrawn map[media.Key]bool
	forgone   map[media.Key]bool // lost without a copy
	put       map[string]bool    // was put back once
	healed    int
}

func missingMoments() []moment { return append(slices.Clone(moments), wireMoments[:3]...) }

// SIGKILL before, at and after every step of a run that heals, clears and withdraws, while
// Mastodon works: nothing comes back whose row went or was hidden before it was asked for,
// no row is cleared whose original is there, nothing goes that Mastodon shows, what was
// healed is right, the next run settles what a killed one left open, and all that was ever
// withdrawn comes back.
func TestMissingKilled(t *testing.T) {
	t.Parallel()
	if _, err := new(world).machine(); err != nil {
		t.Fatal(err) // the program is bound to its host
	}
	tally := newKillTally()
	t.Run("wards", func(t *testing.T) {
		for i, version := range []string{"4.2", "4.6"} {
			t.Run(version, func(t *testing.T) {
				t.Parallel()
				w := newWard(t, uint64(i)+95, version, tally)
				for killed := 0; killed < missingKills()/2; {
					if b := w.next(); w.strikes(b) {
						killed++
						tally.killed(b.at(b.when))
					}
				}
				w.discharge()
			})
		}
	})
	total := 0
	for _, m := range missingMoments() {
		hits := 0
		for when := range whens {
			hits += tally.kills[m.at(when)]
		}
		total += hits
		t.Logf("%4d %s", hits, m.name)
	}
	t.Logf("%d kills; runs that ended: %v; %d objects were withdrawn, %d put back", total, tally.codes, tally.gone, tally.back)
	if tally.gone < missingKills() || tally.back < missingKills() {
		t.Error("the test tests too little")
	}
}

func newWard(t *testing.T, seed uint64, version string, tally *killTally) *ward {
	t.Helper()
	spec := instance.Small(seed, version)
	spec.Attachments, spec.Accounts, spec.Statuses = 900, 300, 500
	w := &ward{
		cached: &cached{newLiving(t, spec, 0)}, dice: rand.New(rand.NewPCG(seed, 5)), tally: tally,
		banned: map[string]string{}, withdrawn: map[media.Key]bool{}, forgone: map[media.Key]bool{}, put: map[string]bool{},
	}
	w.machine = ""
	w.quick()
	w.slayer = newSlayer(w.goes)
	w.bucket.SetFault(w.asked)
	w.env = w.but(append(w.connect(t, w.living), "S3_ENDPOINT="+w.listen(t, w.bucket))...)
	w.db.Exec(t, "DELETE FROM unavailable_domains; DELETE FROM domain_blocks")
	w.bind()
	w.night()
	w.orphan(exitOK)
	w.later(5 * 24 * time.Hour)
	w.alive()
	for _, conn := range []**pgx.Conn{&w.judge, &w.people} {
		var err error
		if *conn, err = pgx.Connect(t.Context(), w.db.DSN); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { (*conn).Close(context.WithoutCancel(t.Context())) })
	}
	var err error
	w.writer, err = w.in.Writer(t.Context(), instance.WriterOptions{DSN: w.db.DSN, Store: newShelf(w.living), Seed: seed, Failing: -1, Now: w.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.writer.Close() })
	return w
}

// next yields the blows in turn, each as often as the others.
func (w *ward) next() blow {
	if len(w.blows) == 0 {
		for _, m := range missingMoments() {
			for when := range whens {
				w.blows = append(w.blows, blow{m, when})
			}
		}
		w.dice.Shuffle(len(w.blows), func(i, j int) { w.blows[i], w.blows[j] = w.blows[j], w.blows[i] })
	}
	b := w.blows[0]
	w.blows = w.blows[1:]
	return b
}

// asked sees every request before it is served.
func (w *ward) asked(r fixtures.Request) fixtures.Fault {
	switch k := media.Key(r.Key); {
	case r.Op == costs.GetObject && k.Reserved():
		w.happen()
	case r.Op == costs.PutObject && !k.Reserved():
		w.mu.Lock()
		if why := w.banned[media.Normal(r.Key)]; why != "" {
			w.t.Errorf("%s is put back, although %s", r.Key, why)
		}
		w.healed, w.put[media.Normal(r.Key)] = w.healed+1, true
		w.mu.Unlock()
	}
	return w.request(r)
}

// happen lets people act when the look is over and the first effect is near.
func (w *ward) happen() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.reads++; w.reads != 2 {
		return
	}
	for _, sql := range w.meanwhile {
		if _, err := w.people.Exec(context.WithoutCancel(w.t.Context()), sql); err != nil {
			w.t.Error(err)
		}
	}
	w.meanwhile = nil
}

// goes sees every deletion before it has an effect.
func (w *ward) goes(key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p, err := media.Parse(media.Key(key))
	query := "SELECT suspended_at IS NOT NULL FROM accounts WHERE id = $1"
	if p.Class == media.MediaAttachments {
		query = `SELECT COALESCE(a.suspended_at IS NOT NULL, false) OR COALESCE(s.deleted_at IS NOT NULL, false) FROM media_attachments m
			LEFT JOIN accounts a ON a.id = m.account_id LEFT JOIN statuses s ON s.id = m.status_id WHERE m.id = $1`
	}
	var hidden bool
	if err == nil && (p.Class == media.MediaAttachments || p.Class == media.Accounts) {
		err = w.judge.QueryRow(context.WithoutCancel(w.t.Context()), query, p.ID).Scan(&hidden)
	}
	if !hidden && !errors.Is(err, pgx.ErrNoRows) {
		w.t.Errorf("%s is withdrawn, and Mastodon shows it: %v", key, err)
	}
	w.withdrawn[media.Key(key)] = true
}

// fallIll loses some objects, suspends some accounts, and lets others back.
func (w *ward) fallIll() {
	w.t.Helper()
	rows := w.shown()
	var lost []media.Key
	for _, i := range w.dice.Perm(len(rows))[:14] {
		lost = append(lost, rows[i])
	}
	w.lose(lost...)
	first, _ := media.Parse(lost[0])
	for k := range w.objects { // what is left of a deleted row would speak against the database
		if p, _ := media.Parse(k); p.Class == first.Class && p.ID == first.ID {
			w.lose(k)
			w.forgone[media.Key(media.Normal(string(k)))] = true
		}
	}
	for _, k := range lost[9:] {
		w.forgone[media.Key(media.Normal(string(k)))] = true
	}
	w.onDisk(w.root, []os.FileMode{0o600, 0o644}[w.dice.IntN(2)], lost[:9]...)
	for _, k := range lost[:9] {
		at := time.Now().AddDate(-1, 0, 0) // nobody waits until it stands still
		if err := os.Chtimes(filepath.Join(w.root, filepath.FromSlash(string(k))), at, at); err != nil {
			w.t.Fatal(err)
		}
	}
	now := []string{"UPDATE accounts SET suspended_at = NULL"}
	w.ill = w.rowsOf(fmt.Sprintf(`SELECT a.id FROM accounts a JOIN media_attachments m ON m.account_id = a.id
		WHERE a.suspended_at IS NULL AND m.file_file_name <> '' GROUP BY a.id HAVING count(*) > 1 ORDER BY md5(concat(a.id, '%d')) LIMIT 5`, w.dice.IntN(1000)))
	now = append(now, fmt.Sprintf("UPDATE accounts SET suspended_at = now() WHERE id IN (%s)", idList(w.ill[:4])))
	// In the midst of it one post is deleted, one account suspended, and one let back.
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reads, w.banned = 0, map[string]string{}
	w.meanwhile = []string{
		"DELETE FROM media_attachments WHERE id = " + itoa(first.ID), "UPDATE accounts SET suspended_at = now() WHERE id = " + itoa(w.ill[4]),
		"UPDATE accounts SET suspended_at = NULL WHERE id = " + itoa(w.ill[0]),
	}
	for _, sql := range now {
		w.db.Exec(w.t, sql)
	}
	of := w.accounts()
	for k := range w.objects {
		p, _ := media.Parse(k)
		switch {
		case p.Class == media.MediaAttachments && p.ID == first.ID:
			w.banned[media.Normal(string(k))] = "its row is gone"
		case p.Class == media.Accounts && slices.Contains(w.ill[1:], p.ID), p.Class == media.MediaAttachments && slices.Contains(w.ill[1:], of[p.ID]):
			w.banned[media.Normal(string(k))] = "its account is suspended"
		}
	}
}

// shown are the originals of attachments whose row names them, that Mastodon shows and the
// bucket has.
func (w *ward) shown() (keys []media.Key) {
	w.t.Helper()
	names := map[int64]string{}
	var id int64
	var name string
	w.each(`SELECT m.id, m.file_file_name FROM media_attachments m JOIN accounts a ON a.id = m.account_id LEFT JOIN statuses s ON s.id = m.status_id
		WHERE m.file_file_name <> '' AND a.suspended_at IS NULL AND s.deleted_at IS NULL AND m.processing IS DISTINCT FROM 0 AND m.processing IS DISTINCT FROM 1`,
		nil, []any{&id, &name}, func() { names[id] = name })
	stands := w.stands()
	for _, k := range slices.Sorted(maps.Keys(w.objects)) {
		p, err := media.Parse(k)
		if _, ok := stands[media.Normal(string(k))]; ok && err == nil && p.Class == media.MediaAttachments && p.Attachment == "files" && p.Style == "original" && names[p.ID] == p.Name {
			keys = append(keys, k)
		}
	}
	return keys
}

// accounts tells whose each attachment is.
func (w *ward) accounts() map[int64]int64 {
	w.t.Helper()
	of := map[int64]int64{}
	var id, account int64
	w.each("SELECT id, account_id FROM media_attachments WHERE account_id IS NOT NULL", nil, []any{&id, &account}, func() { of[id] = account })
	return of
}

// strikes runs missing with all that it can do, and reports whether it was killed.
func (w *ward) strikes(b blow) (dead bool) {
	w.t.Helper()
	w.fallIll()
	w.before = w.stands()
	w.aim(w.dice, b.moment, b.when)
	r, dead := w.runs(w.dice.IntN(5) > 0)
	w.right()
	if !dead {
		w.tally.ended(r.code)
		if r.code != exitOK && r.code != exitLeft {
			w.t.Fatal(r)
		}
		w.settledAll()
	}
	if w.t.Failed() {
		w.t.Fatalf("after %s, killed: %t, %v", b.at(b.when), dead, r)
	}
	w.alive()
	return dead
}

// runs is one run of the program beside Mastodon.
func (w *ward) runs(mortal bool) (r result, dead bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Minute)
	defer cancel()
	cmd, stdout, stderr := w.impatiently(ctx, w.env, "missing", "--json", "--heal", "--null-remote", "--allow-share", "100", "--withdraw", w.root)
	w.slayer.mu.Lock()
	err := cmd.Start()
	if w.process = nil; mortal {
		w.process = cmd.Process
	}
	w.slayer.mu.Unlock()
	work := make(chan error, 1)
	go func() { work <- w.writer.Run(w.t.Context(), 3) }()
	if err == nil {
		err = cmd.Wait()
	}
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited || ctx.Err() != nil {
		w.t.Fatalf("mediamove missing: %v\n%s", err, stderr)
	}
	w.spare()
	w.settled()
	if err := <-work; err != nil {
		w.t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}, cmd.ProcessState.Sys().(syscall.WaitStatus).Signaled()
}

// right: what stands has the right bytes, and no row was cleared whose original stood.
func (w *ward) right() {
	w.t.Helper()
	for k, o := range w.objects {
		if body, ok := w.bucket.Body(string(k)); ok && !bytes.Equal(body, instance.Body(o)) {
			w.t.Errorf("%s has %d bytes, want %d", k, len(body), o.Size)
		}
	}
	originals := map[int64]string{}
	for k := range w.before {
		if p, err := media.Parse(media.Key(k)); err == nil && p.Class == media.MediaAttachments && p.Attachment == "files" && p.Style == "original" {
			originals[p.ID] += "|" + p.Name
		}
	}
	led := w.reader()
	defer led.Close()
	last, err := led.Latest(w.t.Context(), "missing")
	if err != nil && !errors.Is(err, ledger.ErrUnknown) {
		w.t.Fatal(err)
	}
	for c, err := range led.Clearings(w.t.Context(), ledger.ClearingQuery{Run: last.ID}) {
		if err != nil {
			w.t.Fatal(err)
		}
		for name := range strings.SplitSeq(strings.TrimPrefix(originals[c.RowID], "|"), "|") {
			if name != "" && strings.Contains(string(c.Columns), strconv.Quote(name)) {
				w.t.Errorf("row %d was to be cleared, and its original stood: %s", c.RowID, c.Columns)
			}
		}
	}
}

// settledAll: a run that was not killed leaves nothing open, whoever began it.
func (w *ward) settledAll() {
	w.t.Helper()
	led := w.reader()
	defer led.Close()
	latest := map[media.Key]ledger.Removal{}
	for r, err := range led.Removals(w.t.Context(), ledger.RemovalQuery{}) {
		if err != nil {
			w.t.Fatal(err)
		}
		latest[r.Key] = r
	}
	for k, r := range latest {
		// Killed between the PUT and the journal, a run leaves an object that is there and counts
		// as removed: the other way round it would be one that nobody would ever send.
		if _, there := w.bucket.Object(string(k)); r.State == ledger.RemovalIntent || there && r.State == ledger.RemovalRemoved && !w.put[media.Normal(string(k))] {
			w.t.Errorf("in the bucket: %t; journal: %+v", there, r)
		}
	}
	for k := range w.withdrawn {
		if _, ok := latest[k]; !ok {
			w.t.Errorf("%s was withdrawn, and is not in the journal", k)
		}
	}
	for c, err := range led.Clearings(w.t.Context(), ledger.ClearingQuery{State: ledger.ClearIntent}) {
		w.t.Errorf("%+v, %v", c, err)
	}
}

// discharge ends it: everybody is let back, and nothing that was withdrawn is lost.
func (w *ward) discharge() {
	w.t.Helper()
	w.db.Exec(w.t, "UPDATE accounts SET suspended_at = NULL")
	w.mu.Lock()
	w.meanwhile, w.banned, w.reads = nil, map[string]string{}, 0
	w.mu.Unlock()
	w.before = w.stands()
	r, _ := w.runs(false)
	w.right()
	w.settledAll()
	var out missingJSON
	decode(w.t, r, r.code, &out)
	if r.code != exitOK && r.code != exitLeft || out.Shown != 0 || out.Refusal != "" {
		w.t.Fatal(r)
	}
	led := w.reader()
	defer led.Close()
	names := w.allNames()
	for k := range w.withdrawn {
		p, _ := media.Parse(k)
		if _, there := w.bucket.Object(string(k)); !there && !w.forgone[k] && slices.Contains(names[p.Class][p.ID], stemOf(p.Name)) {
			w.t.Errorf("%s was withdrawn, its row names it, and it is not back: %+v", k, out)
		}
	}
	w.tally.objects(len(w.withdrawn), w.healed)
}

func stemOf(name string) string {
	base, _, _ := strings.Cut(media.Normal(name), ".")
	return base
}

// allNames is what rows name. What is still processed needs nothing yet, and what is young
// is left out.
func (w *ward) allNames() map[media.Class]map[int64][]string {
	w.t.Helper()
	names := map[media.Class]map[int64][]string{media.MediaAttachments: {}, media.Accounts: {}}
	for class, query := range map[media.Class]string{
		media.MediaAttachments: "SELECT id, COALESCE(file_file_name, ''), COALESCE(thumbnail_file_name, '') FROM media_attachments WHERE (processing IS NULL OR processing > 1) AND updated_at < $1",
		media.Accounts:         "SELECT id, COALESCE(avatar_file_name, ''), COALESCE(header_file_name, '') FROM accounts WHERE updated_at < $1",
	} {
		var id int64
		var a, b string
		w.each(query, []any{w.now().Add(-73 * time.Hour).UTC()}, []any{&id, &a, &b}, func() { names[class][id] = []string{stemOf(a), stemOf(b)} })
	}
	return names
}
