package owner_test

import (
	"context"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"example.org/mediamove/owner"
)

func doRaise(m *machine) error {
	return owner.Raise(context.Background(), m, m, quick(), owner.Tie{Database: "db", Host: "h"})
}

func doBind(m *machine) error {
	_, err := owner.Bind(context.Background(), m, m, quick(), owner.BindRequest{Database: "db", Host: "h"})
	return err
}

func start() *owner.Binding {
	return &owner.Binding{Database: "db", Host: "h", Ledger: owner.LedgerHash(bucketID, "me"), Count: 1, Token: "one"}
}

// However two or three copies of a machine are interleaved, killed and not answered,
// and whenever they were copied: of those that replace the same value one gets through.
func TestCopiesDoNotBothGetThrough(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, start())
		defer w.close()
		do := w.actions(doRaise)
		do["copy"] = func(t *rapid.T) {
			if len(w.machines) == 3 {
				t.Skip("enough")
			}
			w.fork(rapid.SampledFrom(w.machines).Draw(t, "machine"))
		}
		do[""] = func(*rapid.T) { w.clock++ } // after every action
		t.Repeat(do)
	})
}

// The same, in every order of the first seven steps of two copies, of a machine whose
// run before had any fate at any step.
func TestTwoCopiesInEveryOrder(t *testing.T) {
	t.Parallel()
	neither := 0
	for _, f := range []fate{onTheWay, killed, killedNow} { // at its end it is as if none
		for at, reached := 0, true; reached; at++ {
			for order := range 1 << 7 {
				w := newWorld(t, start())
				reached = w.machines[0].through(doRaise, at, func() fate { return f })
				w.fork(w.machines[0])
				w.clock++
				w.inOrder(order)
				if len(w.granted) == 0 {
					neither++
				}
			}
		}
	}
	if neither > 0 {
		t.Errorf("%d times neither of two copies was granted", neither)
	}
}

// No fault wedges the one that is bound: whatever becomes of any step of one run, the
// next one is granted, even if a write of old arrives or another host joins before any
// of its steps; and so is the one after it.
func TestSoleOwnerIsNeverWedged(t *testing.T) {
	t.Parallel()
	type job struct {
		name string
		run  func(*machine) error
	}
	raise, bind := job{"raise", doRaise}, job{"bind", doBind}
	for _, tt := range []struct {
		start       *owner.Binding
		first, then job
	}{{start(), raise, raise}, {start(), bind, raise}, {start(), raise, bind}, {start(), bind, bind}, {nil, bind, bind}} {
		t.Run(fmt.Sprintf("%s, %s, bound %t", tt.first.name, tt.then.name, tt.start != nil), func(t *testing.T) {
			t.Parallel()
			for _, f := range []fate{unheard, onTheWay, killed, killedNow} {
				for _, event := range []string{"nothing", "arrives", "joins"} {
					for at, reached := 0, true; reached; at++ {
						for step, more := 0, true; more; step++ {
							w := newWorld(t, tt.start)
							m := w.machines[0]
							if reached = m.through(tt.first.run, at, func() fate { return f }); !reached {
								break
							}
							more = m.through(tt.then.run, step, func() fate { w.happens(event); return fine })
							if m.err != nil {
								t.Fatalf("step %d %s, then %s before step %d: %v; ledger %+v, mark %+v", at, f, event, step, m.err, m.books, w.binding())
							}
							if m.through(doRaise, 0, func() fate { return fine }); m.err != nil {
								t.Fatalf("step %d %s, then %s before step %d, then once more: %v", at, f, event, step, m.err)
							}
						}
					}
				}
			}
		})
	}
}

// The same under many faults in a row.
func TestSoleOwnerOutlivesManyFaults(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, start())
		defer w.close()
		t.Repeat(w.actions(doRaise, doBind))
		m := w.machines[0]
		if m.running() {
			m.stop()
		}
		m.through(doRaise, 0, func() fate { return fine })
		if m.err != nil {
			t.Fatalf("the sole owner is told: %v; ledger %+v, mark %+v", m.err, m.books, w.binding())
		}
	})
}
