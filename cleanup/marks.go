package cleanup

import (
	"sync"

	"example.org/mediamove/ledger"
)

// marked is how many suspects are written down together: each commit waits for the disk.
const marked = 500

// marks holds suspects back until there are some.
type marks struct {
	mu   sync.Mutex
	held []ledger.Suspect
}

// add returns what is to be written down now.
func (m *marks) add(s []ledger.Suspect) []ledger.Suspect {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.held = append(m.held, s...); len(m.held) < marked {
		return nil
	}
	return m.take()
}

// rest returns what was held back.
func (m *marks) rest() []ledger.Suspect {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.take()
}

func (m *marks) take() []ledger.Suspect {
	all := m.held
	m.held = nil
	return all
}
