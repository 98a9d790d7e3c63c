package cleanup

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

// A tally is a scan in the making.
type tally struct {
	mu      sync.Mutex
	scan    *Scan
	control map[media.Key]struct{}
	totals  map[Group]*Sum
	classes map[media.Class]*Sum
	owners  map[Holding]*Sum
	sample  *sample
	recent  recent
}

func (t *tally) add(all []judged) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var near sumsNear
	for i := range all {
		j := &all[i]
		k := j.object.Key
		if k.Reserved() {
			continue
		}
		t.scan.All.add(j.object.Size)
		class := k.Class()
		near.at(t, j, class)
		near.class.add(j.object.Size)
		near.owner.add(j.object.Size)
		near.total.add(j.object.Size)
		if _, ok := t.control[k]; ok && !j.pruned {
			t.scan.Control.Listed++
			if j.kind != "" {
				t.scan.Control.Orphans++
				t.scan.Control.Example = k
			}
		}
		if j.kind == "" {
			t.scan.Owned.add(j.object.Size)
			t.sample.see(j.object)
		}
	}
}

// sumsNear are those that the last object counted to: neighbours mostly share them.
type sumsNear struct {
	holding             Holding
	group               Group
	class, owner, total *Sum
}

func (n *sumsNear) at(t *tally, j *judged, class media.Class) {
	holding, group := Holding{class, ownerOf(j)}, Group{j.kind, prefixOf(j), j.reason}
	if n.class == nil || n.holding.Class != class {
		n.class = sumOf(t.classes, class)
	}
	if n.owner == nil || n.holding != holding {
		n.owner = sumOf(t.owners, holding)
	}
	if n.total == nil || n.group != group {
		n.total = sumOf(t.totals, group)
	}
	n.holding, n.group = holding, group
}

func sumOf[K comparable](m map[K]*Sum, k K) *Sum {
	s := m[k]
	if s == nil {
		s = new(Sum)
		m[k] = s
	}
	return s
}

func sums[K comparable](m map[K]*Sum) map[K]Sum {
	out := make(map[K]Sum, len(m))
	for k, s := range m {
		out[k] = *s
	}
	return out
}

// prefixOf is the folder of an attachment, as people know it; "" of what is none. Only
// unknown objects have to be read again to tell.
func prefixOf(j *judged) string {
	k := string(j.object.Key)
	if j.kind == ledger.Unknown {
		if _, err := media.Parse(j.object.Key); err != nil {
			return ""
		}
	}
	folders := 2 // class and attachment
	if strings.HasPrefix(k, "cache/") {
		folders++
	}
	end := 0
	for range folders {
		next := strings.IndexByte(k[end:], '/')
		if next < 0 {
			return ""
		}
		end += next + 1
	}
	return k[:end-1]
}

// finish asks what the guards want to know of the database. It comes after the
// listing, so that rows which were added meanwhile only make the database look younger.
func (t *tally) finish(ctx context.Context, db Instance) (*Scan, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var err1, err2 error
	t.scan.Counts, err1 = db.Counts(ctx)
	t.scan.Newest, err2 = db.Newest(ctx)
	t.scan.Holdings = sums(t.owners)
	t.scan.Totals, t.scan.Classes, t.scan.Sample = sums(t.totals), sums(t.classes), t.sample.keys()
	t.scan.Recent = t.recent.sum()
	if err := errors.Join(err1, err2); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRows, err)
	}
	return t.scan, nil
}
