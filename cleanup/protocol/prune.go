package protocol

// A Prune is an order in which a cached file goes: its row is cleared, and its
// object deleted.
type Prune struct {
	ObjectFirst bool
	Compare     bool // the row is cleared only if it still names the file that was chosen
}

const copies = 3 // that Mastodon fetches, each under a name of its own

type prune struct {
	row       int8             // the copy that it names, 0 none
	fetched   int8             // how many copies there were
	arriving  bool             // the newest is in the bucket, and not in the row yet
	objects   [copies + 1]bool // in the bucket; [0] stays empty
	chosen    int8             // by the run, 0 none
	half      bool             // one of the run's two steps is done
	clobbered bool
}

// Run searches every order of steps, as [Sweep.Run] does.
func (w Prune) Run(until ...Event) Result {
	start := prune{row: 1, fetched: 1, objects: [copies + 1]bool{1: true}}
	return search(start, w.steps, until, func(s prune) []Event {
		switch {
		case s.clobbered:
			return []Event{Clobbered}
		case s.half:
			return []Event{Achieved}
		case s.chosen == 0 && s.row > 0 && !s.objects[s.row]:
			return []Event{Dangling}
		}
		return nil
	})
}

func (w Prune) steps(s prune, step stepper[prune]) {
	step("mastodon clears", s.row > 0, func(s *prune) { s.objects[s.row], s.row = false, 0 })
	step("mastodon fetches, puts", s.row == 0 && !s.arriving && s.fetched < copies, func(s *prune) {
		s.fetched++
		s.objects[s.fetched], s.arriving = true, true
	})
	step("mastodon names it", s.arriving, func(s *prune) { s.row, s.arriving = s.fetched, false })
	step("mastodon gives it up", s.arriving, func(s *prune) { s.arriving = false })

	step("choose", s.chosen == 0 && s.row > 0, func(s *prune) { s.chosen = s.row })
	step("clear row", s.chosen > 0 && s.half == w.ObjectFirst, func(s *prune) {
		if w.Compare && s.row != s.chosen { // somebody was faster
			s.chosen, s.half = 0, false
			return
		}
		s.clobbered = s.clobbered || s.row != s.chosen && s.row > 0
		s.row = 0
		s.advance()
	})
	step("delete object", s.chosen > 0 && s.half != w.ObjectFirst, func(s *prune) {
		s.objects[s.chosen] = false
		s.advance()
	})
	step("kill", s.chosen > 0, func(s *prune) { s.chosen, s.half = 0, false })
}

func (s *prune) advance() {
	if s.half {
		s.chosen = 0
	}
	s.half = !s.half
}
