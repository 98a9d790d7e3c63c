package protocol

// A Raise is how one of two clones, machines with one ledger, becomes the one
// that cleans: a run replaces the value in the bucket's mark, and is granted only
// if it found its own ledger's value there. That promises nothing about a run
// whose PUT was answered before the cloning, nor which clone will be the one.
type Raise struct {
	Unguarded    bool // there is no value: every machine is granted
	CountOnly    bool // the value has no random token beside its count
	Blind        bool // the mark is written without If-Match
	NoIntent     bool // the ledger hears of the new value after the mark
	Overwrite    bool // an open intent is replaced at once, not brought into the mark first
	GrantsIntent bool // to bring an open intent into the mark grants
	GrantsLook   bool // to find one's value in the mark, after the answer was lost, grants
}

const attempts = 3 // to make a new value, in all

type value struct{ count, token int8 } // of the mark; stands for its ETag too

type stage int8

const (
	resting  stage = iota
	begun          // to read the mark, for the first time or again
	looked         // the mark is ours
	intended       // the next value is in the ledger
	unsure         // the PUT was refused, or its answer lost
	won            // the next value is in the mark
	granted        // and confirmed in the ledger
)

type machine struct {
	value, next value // the ledger's; next if open
	open        bool
	stage       stage
	read        value
	plain       bool // this run made its value itself, and was answered
	after       bool // this run began after the cloning
	late        struct{ over, put value }
}

type raise struct {
	mark     value
	machines [2]machine
	tries    int8
	cloned   bool
	since    [2]bool            // granted in a run begun after the cloning
	replaced [attempts + 2]bool // by count: a run was granted that replaced it
	doubly   bool
}

// Run searches every order of steps, as [Sweep.Run] does.
func (w Raise) Run(until ...Event) Result {
	return search(raise{}, w.steps, until, func(s raise) (met []Event) {
		m := s.machines[0]
		if s.doubly || s.since[0] && s.since[1] {
			met = append(met, TwoCleaners)
		}
		if !s.cloned && m.stage == resting && m.late.put == (value{}) && !m.accepts(s.mark) {
			met = append(met, Wedged)
		}
		if m.stage == granted {
			met = append(met, Achieved)
		}
		return met
	})
}

func (m *machine) accepts(mark value) bool {
	return mark == m.value || m.open && mark == m.next
}

// rest ends a run: what is not in the ledger is forgotten.
func (m *machine) rest() {
	m.stage, m.read, m.plain, m.after = resting, value{}, false, false
	if !m.open {
		m.next = value{}
	}
}

func (w Raise) steps(s raise, step stepper[raise]) {
	copied := func(s *raise) {
		s.cloned, s.machines[1] = true, s.machines[0]
		s.machines[1].late.over, s.machines[1].late.put = value{}, value{}
	}
	step("the disk is cloned", !s.cloned, func(s *raise) { copied(s); s.machines[1].rest() })
	step("the running machine is cloned", !s.cloned && s.machines[0].stage < won, copied)
	w.run(s, 0, "original ", step)
	if s.cloned {
		w.run(s, 1, "clone ", step)
	}
}

func (w Raise) run(s raise, i int, who string, step stepper[raise]) {
	m := s.machines[i]
	act := func(does string, ok bool, do func(*raise, *machine)) {
		step(who+does, ok, func(s *raise) { do(s, &s.machines[i]) })
	}
	act("begins", m.stage == resting, func(s *raise, m *machine) { m.stage, m.after = begun, s.cloned })
	act("reads the mark", m.stage == begun, w.look)
	act("commits its intent", m.stage == looked && s.tries < attempts, w.intend)
	act("writes the mark", m.stage == intended, w.write)
	act("writes it, answer lost", m.stage == intended, func(s *raise, m *machine) { w.write(s, m); m.stage = unsure })
	act("gives up a PUT", m.stage == intended, func(_ *raise, m *machine) {
		m.late.over, m.late.put = m.read, m.next
		m.rest()
	})
	act("sees that PUT land", m.late.put != (value{}), func(s *raise, m *machine) {
		if s.mark == m.late.over || w.Blind {
			s.mark = m.late.put
		}
		m.late.over, m.late.put = value{}, value{}
	})
	act("looks what became of it", m.stage == unsure, func(s *raise, m *machine) {
		if m.stage = begun; s.mark == m.next {
			m.stage, m.plain = won, m.plain && w.GrantsLook
		}
	})
	act("confirms", m.stage == won, func(s *raise, _ *machine) { w.confirm(s, i) })
	act("ends", m.stage != resting, func(_ *raise, m *machine) { m.rest() }) // killed, or done
}

func (w Raise) look(s *raise, m *machine) {
	switch {
	case w.Unguarded:
		m.stage, m.read, m.plain, m.next = won, s.mark, true, m.value
	case m.accepts(s.mark):
		m.stage, m.read = looked, s.mark
	default:
		m.rest()
	}
}

func (w Raise) intend(s *raise, m *machine) {
	again := m.open && m.read == m.value && !w.Overwrite
	if !again {
		s.tries++
		if m.next = (value{m.read.count + 1, s.tries}); w.CountOnly {
			m.next.token = 0
		}
	}
	m.stage, m.plain = intended, !again || w.GrantsIntent
	if !w.NoIntent {
		m.value, m.open = m.read, true
	}
}

func (w Raise) write(s *raise, m *machine) {
	if m.stage = unsure; s.mark == m.read || w.Blind {
		s.mark, m.stage = m.next, won
	}
}

func (w Raise) confirm(s *raise, i int) {
	m := &s.machines[i]
	m.value, m.next, m.open, m.stage = m.next, value{}, false, begun
	if m.plain {
		m.stage = granted
		s.doubly = s.doubly || s.replaced[m.read.count]
		s.replaced[m.read.count] = true
		s.since[i] = s.since[i] || m.after
	}
}
