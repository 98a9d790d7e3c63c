// Package protocol is a model of how mediamove deletes, small enough to be
// searched to its end: Mastodon, the bucket, the database and the tool take
// single steps in every order, and the search says which promise can break, and
// by which shortest way. Nothing of the program imports it. Its tests say that
// the guards suffice and that every variant that must break still does, so that
// no guard is taken out as superfluous.
//
// A tick stands for hours, one key for all keys (each is written once), and a
// database is right, late or empty. Times are ages that stop to grow when no
// rule can tell them apart any more, so a search ends although time does not.
package protocol

import "slices"

// An Event is something that a search looks out for.
type Event string

// The broken promises; and that a run achieves something, since guards that
// never let anything through would keep every promise.
const (
	Lost        Event = "I1: a user's bytes are neither in the bucket nor in the trash"
	Unavailable Event = "I2: a row's object is not in the bucket"
	Dangling    Event = "I3: at rest, a row names an object that is not there"
	Clobbered   Event = "a row was cleared of a file that nobody chose"
	TwoCleaners Event = "both clones got through, in runs begun after the cloning"
	Wedged      Event = "the only machine can never get through again"
	Achieved    Event = "a run does what it is for"
)

// A Result says what a search met.
type Result struct {
	States int                // how many were reached
	Met    map[Event][]string // the steps of a shortest way there
}

// A stepper is told of a step: its name, whether it can be taken, and what it does.
type stepper[S any] func(by string, ok bool, do func(s *S))

// search walks the states that the steps reach, nearest first: all of them, or
// until it has met all that until names.
func search[S comparable](start S, steps func(S, stepper[S]), until []Event, met func(S) []Event) Result {
	type node struct {
		state S
		from  int
		by    string
	}
	nodes, seen := []node{{state: start}}, map[S]bool{start: true}
	r := Result{Met: map[Event][]string{}}
	for i := 0; i < len(nodes) && !r.met(until); i++ { // nodes grows
		for _, e := range met(nodes[i].state) {
			if r.Met[e] != nil {
				continue
			}
			r.Met[e] = []string{}
			for at := i; at > 0; at = nodes[at].from {
				r.Met[e] = slices.Insert(r.Met[e], 0, nodes[at].by)
			}
		}
		steps(nodes[i].state, func(by string, ok bool, do func(*S)) {
			if to := nodes[i].state; ok {
				if do(&to); !seen[to] {
					seen[to], nodes = true, append(nodes, node{to, i, by})
				}
			}
		})
	}
	r.States = len(nodes)
	return r
}

// met reports whether r has all of events; it hasn't if there are none.
func (r Result) met(events []Event) bool {
	return len(events) > 0 && !slices.ContainsFunc(events, func(e Event) bool { return r.Met[e] == nil })
}
