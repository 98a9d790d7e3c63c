package owner_test

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"iter"
	"strconv"
	"time"

	"pgregory.net/rapid"

	"example.org/mediamove/ledger"
	"example.org/mediamove/owner"
	"example.org/mediamove/r2"
)

// A world is one mark in a bucket and some copies of one machine with its ledger. Each
// runs step by step, and what becomes of a step is drawn.
type world struct {
	t        interface{ Fatalf(string, ...any) }
	doc      []byte
	late     []write // sent, and not arrived: they may arrive at any time, or never
	machines []*machine
	writer   map[string]write // the write that put a token into the mark
	clock    int              // of actions
	granted  []grant
}

// A grant is a run that got through.
type grant struct {
	to    *machine
	began int
	over  string // the token that it replaced
}

// A write is a conditional PUT of the mark.
type write struct {
	by      *machine
	data    []byte
	ifMatch string
	over    owner.Binding // what it replaced
}

// A fate is what becomes of a step.
type fate string

const (
	fine      fate = "fine"
	unheard   fate = "done, but its answer is lost"
	onTheWay  fate = "sent, and not arrived when the run gives up"
	killed    fate = "killed before it"
	killedNow fate = "killed right after it"
)

// A machine is one copy. Between two steps it stands still.
type machine struct {
	w     *world
	name  int
	books ledger.Cleaning
	forks []int // when it and each machine before it were last the same; its own is 0
	began int   // of this run
	dead  bool  // of this run

	pause func() fate
	next  func() (string, bool)
	stop  func()
	fate  fate // of the step that it stands before
	err   error
}

const bucketID = "bid"

func newWorld(t interface{ Fatalf(string, ...any) }, start *owner.Binding) *world {
	w := &world{t: t, writer: map[string]write{}}
	m := owner.Mark{BucketID: bucketID, Domain: "a.example", Ledgers: []string{"me"}, Binding: start}
	w.doc, _ = m.Encode()
	w.machines = []*machine{{w: w, forks: []int{0}}}
	if start != nil {
		w.machines[0].books = ledger.Cleaning{Count: start.Count, Token: start.Token}
	}
	return w
}

func (w *world) binding() owner.Binding {
	m, err := owner.ParseMark(w.doc)
	if err != nil {
		w.t.Fatalf("%v", err)
	}
	if m.Binding == nil {
		return owner.Binding{}
	}
	return *m.Binding
}

func etagOf(data []byte) string {
	sum := md5.Sum(data)
	return hex.EncodeToString(sum[:])
}

// arrive is what the server does with a PUT.
func (w *world) arrive(p write) bool {
	if p.ifMatch != etagOf(w.doc) {
		return false
	}
	p.over = w.binding()
	w.doc = p.data
	if b := w.binding(); b.Token != p.over.Token {
		w.writer[b.Token] = p
	}
	return true
}

// begin starts a run and brings it to its first step.
func (m *machine) begin(run func(m *machine) error) {
	m.dead, m.began = false, m.w.clock
	m.next, m.stop = iter.Pull(func(yield func(string) bool) {
		m.pause = func() fate {
			if m.dead || !yield("") {
				m.dead = true
				return killed
			}
			return m.fate
		}
		m.err = run(m)
	})
	m.advance(fine)
}

// advance lets the machine do the step it stands before, and reports whether it still runs.
func (m *machine) advance(f fate) bool {
	m.fate = f
	if _, more := m.next(); more {
		return true
	}
	m.next = nil
	return false
}

func (m *machine) running() bool { return m.next != nil }

// step has an effect, or not, as was drawn.
func (m *machine) step(do func()) error {
	f := m.pause()
	if f != killed && !m.dead {
		do()
	}
	if f == killed || f == killedNow {
		m.dead = true
	}
	if m.dead {
		return errKilled
	}
	return nil
}

func (m *machine) Identity(context.Context) (ledger.Identity, error) {
	return ledger.Identity{LedgerID: "me", BucketID: bucketID, Probed: true}, nil
}
func (m *machine) SetIdentity(context.Context, ledger.Identity) error { return nil }
func (m *machine) Empty(context.Context) (bool, error)                { return false, nil }
func (m *machine) Cleaning(context.Context) (ledger.Cleaning, error)  { return m.books, nil }
func (m *machine) SetCleaning(_ context.Context, c ledger.Cleaning) error {
	return m.step(func() { m.books = c })
}

func (m *machine) Page(context.Context, int) ([]r2.Object, bool, error) { panic("not asked") }

func (m *machine) GetDoc(context.Context, string) (data []byte, etag string, err error) {
	err = m.step(func() { data, etag = m.w.doc, etagOf(m.w.doc) })
	return data, etag, err
}

var errNoAnswer = errors.New("no answer")

// PutDoc answers as r2's: after a lost answer it looks.
func (m *machine) PutDoc(_ context.Context, _ string, data []byte, ifMatch string) (string, error) {
	p := write{by: m, data: data, ifMatch: ifMatch}
	f := m.pause()
	switch {
	case f == killed || m.dead:
		return "", errKilled
	case f == onTheWay:
		m.w.late = append(m.w.late, p)
		return "", errNoAnswer
	}
	ok := m.w.arrive(p)
	switch {
	case f == killedNow:
		m.dead = true
		return "", errKilled
	case f == unheard && etagOf(m.w.doc) == etagOf(data):
		return etagOf(data), r2.ErrFound
	case !ok:
		return "", r2.ErrChanged
	}
	return etagOf(data), nil
}

func quick() owner.Options {
	o := options()
	o.ProbeDelay = time.Nanosecond
	return o
}

// actions are what can happen in a world.
func (w *world) actions(runs ...func(*machine) error) map[string]func(*rapid.T) {
	draw := func(t *rapid.T, running bool) *machine {
		var fit []*machine
		for _, m := range w.machines {
			if m.running() == running {
				fit = append(fit, m)
			}
		}
		if len(fit) == 0 {
			t.Skip("none")
		}
		return rapid.SampledFrom(fit).Draw(t, "machine")
	}
	fates := []fate{fine, fine, fine, fine, fine, fine, fine, fine, fine, fine, unheard, onTheWay, killed, killedNow}
	step := func(t *rapid.T) {
		m := draw(t, true)
		if m.advance(rapid.SampledFrom(fates).Draw(t, "fate")) {
			return
		}
		w.ended(m)
	}
	return map[string]func(*rapid.T){
		"begin": func(t *rapid.T) { draw(t, false).begin(rapid.SampledFrom(runs).Draw(t, "run")) },
		"step":  step, "step on": step, "and on": step, "further": step,
		"arrive": func(t *rapid.T) {
			if len(w.late) == 0 {
				t.Skip("none")
			}
			n := rapid.IntRange(0, len(w.late)-1).Draw(t, "write")
			p := w.late[n]
			w.late = append(w.late[:n:n], w.late[n+1:]...)
			w.arrive(p)
		},
		"another host joins": func(*rapid.T) { w.join() },
	}
}

// ended looks at a run that came to its end. If it was granted, nobody else was by a
// write over the same value; nor, of two copies, both by runs that began after they
// became two.
func (w *world) ended(m *machine) {
	if m.err != nil {
		return
	}
	p, ok := w.writer[m.books.Token]
	switch {
	case m.books.Open || !ok:
		w.t.Fatalf("machine %d: granted, its ledger has %+v, in no mark ever", m.name, m.books)
	case p.by != m:
		w.t.Fatalf("machine %d: granted by the write of machine %d", m.name, p.by.name)
	}
	now := grant{m, m.began, p.over.Token}
	for _, g := range w.granted {
		if g.over == now.over {
			w.t.Fatalf("machine %d: %q was replaced before, by machine %d that was granted", m.name, g.over, g.to.name)
		}
		if fork := forked(m, g.to); m != g.to && min(g.began, now.began) > fork {
			w.t.Fatalf("machines %d and %d are the same one until %d, and both were granted since", m.name, g.to.name, fork)
		}
	}
	w.granted = append(w.granted, now)
}

func forked(a, b *machine) int {
	if a.name < b.name {
		a, b = b, a
	}
	return a.forks[b.name]
}

// join is another writer of the mark, who keeps the binding.
func (w *world) join() {
	m, _ := owner.ParseMark(w.doc)
	m.Ledgers = append(m.Ledgers, strconv.Itoa(len(m.Ledgers)))
	w.doc, _ = m.Encode()
}

// fork copies a machine's disk. A process that runs there does not come along.
func (w *world) fork(of *machine) {
	m := &machine{w: w, name: len(w.machines), books: of.books}
	for _, other := range w.machines {
		at := w.clock
		if other != of {
			at = forked(of, other)
		}
		m.forks = append(m.forks, at)
	}
	m.forks = append(m.forks, 0)
	w.machines = append(w.machines, m)
}

func (w *world) close() {
	for _, m := range w.machines {
		if m.running() {
			m.stop()
		}
	}
}

// inOrder runs all machines together; each bit of order says whose step is next.
func (w *world) inOrder(order int) {
	for _, m := range w.machines {
		m.begin(doRaise)
	}
	for a, b := w.machines[0], w.machines[1]; a.running() || b.running(); order >>= 1 {
		m := a
		if !a.running() || b.running() && order&1 == 1 {
			m = b
		}
		if !m.advance(fine) {
			w.ended(m)
		}
	}
}

func (w *world) happens(event string) {
	switch {
	case event == "joins":
		w.join()
	case event == "arrives" && len(w.late) > 0:
		w.arrive(w.late[0])
		w.late = w.late[1:]
	}
}

// through runs to the end, with what becomes of the step with this number, and reports
// whether there was such a step.
func (m *machine) through(run func(*machine) error, number int, what func() fate) (reached bool) {
	m.begin(run)
	for n := 0; m.running(); n++ {
		f := fine
		if n == number {
			f, reached = what(), true
		}
		m.advance(f)
	}
	return reached
}
