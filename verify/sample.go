package verify

import (
	"cmp"
	"container/heap"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

// A stratum is what a sample is spread over: a class and an order of magnitude of
// size, a power of eight in bytes.
type stratum struct {
	class Class
	size  int
}

func stratumOf(k media.Key, size int64) stratum {
	return stratum{ClassOf(k), (bits.Len64(uint64(max(0, size))) + 2) / 3}
}

// strata counts what there is to choose from.
type strata map[stratum]int64

func (s strata) add(k media.Key, size int64) { s[stratumOf(k, size)]++ }

func (s strata) total() (n int64) {
	for _, c := range s {
		n += c
	}
	return n
}

// A Sample is a choice that can be repeated, with what it bounds.
type Sample struct {
	Seed       uint64
	Population int64
	Objects    int64 // chosen
	// Share is the smallest part of any stratum that was chosen, 0 to 1. A single
	// bad object among all is among the chosen with at least this probability.
	Share float64
}

// confidence of what [Sample.Bound] says.
const confidence = 0.95

// Bound returns how many bad objects there may be at most, with 95 % confidence, if
// none of the chosen is bad: the largest d for which missing all of them,
// (1 - Share)^d, is still likelier than 5 %. It says nothing about any one object.
func (s Sample) Bound() int64 {
	switch {
	case s.Population == 0 || s.Share >= 1:
		return 0
	case s.Share <= 0:
		return s.Population
	}
	return min(s.Population, int64(math.Log(1-confidence)/math.Log1p(-s.Share)))
}

// String says in one line what the sample bounds and what it can't promise.
func (s Sample) String() string {
	if s.Share >= 1 {
		return "all of them: nothing is left to chance"
	}
	return fmt.Sprintf(
		"seed %d: if none of them is bad, then with 95 %% confidence at most %d of %d are, by (1-%.2g)^d >= 0.05; "+
			"a single bad one is found with probability %.2g, so this can't promise that no photo is lost",
		s.Seed, s.Bound(), s.Population, s.Share, s.Share)
}

// quotas spreads n over the strata in proportion, rounded up: so every stratum has
// one at least, and none a smaller share than n of all.
func (s strata) quotas(n int64) map[stratum]int64 {
	all := s.total()
	q := make(map[stratum]int64, len(s))
	for k, have := range s {
		q[k] = min(have, int64(math.Ceil(float64(n)*float64(have)/float64(max(1, all)))))
	}
	return q
}

// A chooser picks, in one pass, the objects with the lowest lots of each stratum.
type chooser struct {
	seed  uint64
	quota map[stratum]int64
	picks map[stratum]*lots
}

func newChooser(seed uint64, quota map[stratum]int64) *chooser {
	return &chooser{seed, quota, make(map[stratum]*lots)}
}

// offer considers e.
func (c *chooser) offer(s stratum, e *ledger.Entry) {
	l := c.picks[s]
	if l == nil {
		l = new(lots)
		c.picks[s] = l
	}
	n := lot(c.seed, e.File.Key)
	switch {
	case int64(len(*l)) < c.quota[s]:
		heap.Push(l, pick{n, *e})
	case len(*l) > 0 && n < (*l)[0].lot:
		(*l)[0] = pick{n, *e}
		heap.Fix(l, 0)
	}
}

// chosen returns the picks, local users' media first.
func (c *chooser) chosen() []ledger.Entry {
	var all []ledger.Entry
	for _, l := range c.picks {
		for _, p := range *l {
			all = append(all, p.entry)
		}
	}
	slices.SortFunc(all, func(a, b ledger.Entry) int {
		return cmp.Or(cmp.Compare(precedence(a.File.Key), precedence(b.File.Key)), cmp.Compare(a.File.Key, b.File.Key))
	})
	return all
}

// share is the smallest part of a stratum that was picked.
func (c *chooser) share(all strata) float64 {
	least := 1.0
	for s, have := range all {
		got := 0
		if l := c.picks[s]; l != nil {
			got = len(*l)
		}
		least = min(least, float64(got)/float64(have))
	}
	return least
}

// precedence puts what local users can't get back before the rest.
func precedence(k media.Key) int {
	switch c := k.Class(); {
	case k.Cached():
		return 2
	case c == media.PreviewCards, c == media.PreviewCardProviders:
		return 1
	}
	return 0
}

// lot draws a number for k that only the seed decides.
func lot(seed uint64, k media.Key) uint64 {
	sum := sha256.Sum256(append(binary.BigEndian.AppendUint64(nil, seed), k...))
	return binary.BigEndian.Uint64(sum[:])
}

type pick struct {
	lot   uint64
	entry ledger.Entry
}

// lots is a heap with the highest lot on top: the next to be replaced.
type lots []pick

func (l lots) Len() int           { return len(l) }
func (l lots) Less(i, j int) bool { return l[i].lot > l[j].lot }
func (l lots) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }

// Push implements heap.Interface.
func (l *lots) Push(x any) { *l = append(*l, x.(pick)) }

// Pop implements heap.Interface.
func (l *lots) Pop() any {
	last := (*l)[len(*l)-1]
	*l = (*l)[:len(*l)-1]
	return last
}
