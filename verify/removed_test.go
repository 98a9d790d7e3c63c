package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

// again is the next run's verifier after its listing pass.
func (g *rig) again(t *testing.T, p Policy) *Verifier {
	t.Helper()
	var err error
	g.run, err = g.ledger.Begin(t.Context(), "verify", time.Now())
	g.must(err)
	return g.compared(t, p)
}

// What cleanup runs removed is no difference, nobody is asked for it, and a
// certificate says how many there are without naming them.
func TestRemoved(t *testing.T) {
	t.Parallel()
	g := testRig(t)
	keys := g.moved(20)
	runs := []int64{g.remove(keys[3]), g.remove(keys[7])}
	for night := range 2 {
		before := g.meter.Usage()
		v := g.again(t, Policy{Switched: true})
		wantCounts(t, v, map[string]int64{"same": 18, "removed": 2})
		r := v.Report()
		if r.Differences() != 0 || !r.Complete() || r.Recorded != 20 {
			t.Errorf("night %d: %+v", night, r)
		}
		if u := g.meter.Usage().Sub(before); u != (costs.Usage{costs.ListObjects: 1}) {
			t.Errorf("night %d: asked %v", night, u)
		}
		g.must(g.ledger.Flush(t.Context()))
		for i, k := range []media.Key{keys[3], keys[7]} {
			d, err := g.ledger.DoubtAbout(t.Context(), k)
			if err != nil || d.Verdict != ledger.Withdrawn || d.Cause != fmt.Sprintf("removed by cleanup run %d", runs[i]) {
				t.Errorf("night %d: %+v, %v", night, d, err)
			}
			if s, err := g.ledger.Standing(t.Context(), k); err != nil || s.Level != 0 {
				t.Errorf("night %d: its proof stands: %+v, %v", night, s, err)
			}
		}
	}
	v := g.again(t, Policy{Switched: true})
	path := filepath.Join(t.TempDir(), "certificate")
	c, err := v.Certify(t.Context(), path, Certificate{
		MadeAt: time.Now(), Version: "test", Domain: "d", Bucket: "b", BucketID: "i", Endpoint: "e", LedgerID: "l", SwitchedAt: time.Now(),
	})
	if err != nil || c.Objects != 18 || c.Removed != 2 {
		t.Fatalf("%+v, %v", c, err)
	}
	page, err1 := os.ReadFile(path)
	list, err2 := os.ReadFile(path + ".sha256")
	if err := errors.Join(err1, err2); err != nil || !bytes.Contains(page, []byte("2 by cleanup runs: ")) || bytes.Contains(list, []byte(keys[3])) {
		t.Errorf("%v\n%s", err, page)
	}
}

// What is there although it was removed is judged as anything else: put back, written
// anew, or by undo, which the journal knows.
func TestRemovedButThere(t *testing.T) {
	t.Parallel()
	g := testRig(t)
	keys := g.moved(3)
	run := g.remove(keys[1])
	g.object(keys[1], "object 1 x", 0)
	wantCounts(t, g.again(t, Policy{Switched: true}), map[string]int64{"same": 3})
	g.object(keys[1], "something else", 0)
	wantCounts(t, g.again(t, Policy{}), map[string]int64{"same": 2, "differs": 1})
	g.must(g.ledger.Restored(t.Context(), ledger.Restoration{Run: run, By: g.run, Key: keys[1], ETag: "e", At: time.Now()}))
	g.bucket.Delete(string(keys[1]))
	wantCounts(t, g.again(t, Policy{Switched: true}), map[string]int64{"same": 2, "missing": 1})
}

// Bytes that had rotted, and that nobody read back since, are gone with the object.
func TestRemovedAfterItRotted(t *testing.T) {
	t.Parallel()
	g := testRig(t)
	keys := g.moved(3)
	v := g.compared(t, Policy{Switched: true})
	e, err := g.ledger.Entry(t.Context(), keys[1])
	g.must(err)
	g.must(v.recount(t.Context(), &e, rule(Differs, "rotten"), e.ETag))
	wantCounts(t, v, map[string]int64{"same": 2, "differs": 1})
	g.remove(keys[1])
	v = g.again(t, Policy{Switched: true})
	g.must(v.CarryOver(t.Context()))
	wantCounts(t, v, map[string]int64{"same": 2, "removed": 1})
}

// Where nobody can say what was removed, it is missing; and who ought to know and
// doesn't ends the run.
func TestRemovedByNobodyKnown(t *testing.T) {
	t.Parallel()
	g := testRig(t)
	keys := g.moved(3)
	g.remove(keys[1])
	for _, who := range []Removals{nil, broken{}} {
		v := g.verifier(Policy{Switched: true}, false)
		defer v.Close()
		v.Removals = who
		if err := v.Compare(t.Context()); (who != nil) != errors.Is(err, ledger.ErrBroken) {
			t.Error(err)
		}
		if r := v.Report(); r.Of(Removed) != 0 || who == nil && r.Of(Missing) != 1 {
			t.Errorf("%+v", r)
		}
	}
}

type broken struct{}

func (broken) RemovedBy(context.Context, media.Key) (int64, error) { return 0, ledger.ErrBroken }
