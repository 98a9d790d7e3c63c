package cleanup

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
)

// Fates says what may be cleared, and why not.
type Fates interface {
	Fates(ctx context.Context, rule mastodon.PruneRule, ids map[media.Class][]int64) (map[media.Class]map[int64]mastodon.Fate, error)
}

// A Cache gathers, during a [Survey], the objects of every row that may be cleared, in
// the documented order: attachments before preview cards, the older week first, within
// a week the larger row first, then the smaller id. Memory doesn't grow with them.
type Cache struct {
	Fates   Fates
	Rule    mastodon.PruneRule
	Scratch Scratch

	mu     sync.Mutex
	held   []judged                  // not asked about yet
	cached Sum                       // remote attachments and cards, all of them
	open   Sum                       // of these, what may be cleared
	kept   map[mastodon.Keep]Sum     // why not
	oldest map[media.Class]time.Time // oldest row that is kept
	resume Sum                       // of rows that an earlier run cleared
}

// prunable are the classes whose files come back by themselves when somebody looks.
func prunable(c media.Class) bool { return c == media.MediaAttachments || c == media.PreviewCards }

// askedMost is how many objects are held back until the database is asked about their
// rows: it reads every report for each question.
const askedMost = 10_000

// begin empties what it adds up.
func (c *Cache) begin() {
	c.held = nil
	c.kept, c.oldest = map[mastodon.Keep]Sum{}, map[media.Class]time.Time{}
}

// concerns says whether an object is cache, or was.
func (c *Cache) concerns(j *judged) bool {
	return j.pruned || j.kind == "" && j.row != nil && j.row.Remote && prunable(j.row.Class)
}

// page notes what of a judged page is cache, when there is enough of it.
func (c *Cache) page(ctx context.Context, all []judged) error {
	return c.ask(ctx, c.take(all, askedMost))
}

// end notes what was held back.
func (c *Cache) end(ctx context.Context) error { return c.ask(ctx, c.take(nil, 0)) }

// take adds to what is held back, and returns all of it if that is so many or more.
func (c *Cache) take(more []judged, enough int) (all []judged) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range more {
		if c.concerns(&more[i]) {
			c.held = append(c.held, more[i])
		}
	}
	if len(c.held) < enough {
		return nil
	}
	all, c.held = c.held, nil
	return all
}

// cachedRows are the rows of what is cache, each once.
func cachedRows(all []judged) map[media.Class][]int64 {
	ids := map[media.Class][]int64{}
	for i := range all {
		if r := all[i].row; !all[i].pruned {
			ids[r.Class] = append(ids[r.Class], r.ID)
		}
	}
	for class := range ids {
		slices.Sort(ids[class])
		ids[class] = slices.Compact(ids[class])
	}
	return ids
}

// ask asks about the rows of these objects, and notes what becomes of them.
func (c *Cache) ask(ctx context.Context, all []judged) error {
	ids := cachedRows(all)
	var fates map[media.Class]map[int64]mastodon.Fate
	if len(ids) > 0 {
		var err error
		if fates, err = c.Fates.Fates(ctx, c.Rule, ids); err != nil {
			return fmt.Errorf("%w: what may be cleared: %w", ErrRows, err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range all {
		if err := c.note(ctx, &all[i], fates); err != nil {
			return err
		}
	}
	return nil
}

// note adds one object to what may go, or to what is kept and why.
func (c *Cache) note(ctx context.Context, j *judged, fates map[media.Class]map[int64]mastodon.Fate) error {
	if j.pruned {
		return c.leftover(ctx, j)
	}
	c.cached.add(j.object.Size)
	fate, ok := fates[j.row.Class][j.row.ID]
	if !ok { // the row went between the two questions
		return nil
	}
	if fate.Keep != "" {
		c.kept[fate.Keep] = plus(c.kept[fate.Keep], j.object.Size)
		if at := c.oldest[fate.Class]; at.IsZero() || fate.Since.Before(at) {
			c.oldest[fate.Class] = fate.Since
		}
		return nil
	}
	c.open.add(j.object.Size)
	return c.Scratch.Add(ctx, ledger.Loose{
		Side: ledger.InBucket, Key: orderKey(&fate, j.object.Key), Data: binary.BigEndian.AppendUint64(nil, uint64(fate.Since.Unix())),
		Object: ledger.ListedObject{Key: j.object.Key, Size: j.object.Size, ETag: j.object.ETag, LastModified: j.object.LastModified},
	})
}

// leftover notes an object whose row an earlier run cleared, before it was stopped.
func (c *Cache) leftover(ctx context.Context, j *judged) error {
	c.resume.add(j.object.Size)
	return c.Scratch.Add(ctx, ledger.Loose{
		Side: ledger.InBucket, Key: "0 " + j.object.Key, Data: []byte(j.reason),
		Object: ledger.ListedObject{Key: j.object.Key, Size: j.object.Size, ETag: j.object.ETag, LastModified: j.object.LastModified},
	})
}

// week is the ISO week's number since 1970-01-05, a Monday.
func week(t time.Time) int64 {
	const seconds = 7 * 24 * 3600
	return max(0, (t.Unix()-4*24*3600)/seconds)
}

// orderKey sorts as the documented order, by its bytes.
func orderKey(f *mastodon.Fate, k media.Key) media.Key {
	class := 1
	if f.Class != media.MediaAttachments {
		class = 2
	}
	b := make([]byte, 0, len("1 0000000000 0000000000000000000 0000000000000000000 ")+len(k))
	b = strconv.AppendInt(b, int64(class), 10)
	b = appendPadded(b, week(f.Since), 10)
	b = appendPadded(b, math.MaxInt64-max(0, f.Bytes), 19)
	b = appendPadded(b, f.ID, 19)
	return media.Key(append(append(b, ' '), k...))
}

// appendPadded appends a space and n, which is not negative, with so many digits.
func appendPadded(b []byte, n int64, digits int) []byte {
	const zeros = "0000000000000000000"
	var space [len(zeros)]byte
	text := strconv.AppendInt(space[:0], n, 10)
	b = append(b, ' ')
	b = append(b, zeros[:max(0, digits-len(text))]...)
	return append(b, text...)
}

// A Prunable is one row that may be cleared, with its objects.
type Prunable struct {
	Class   media.Class
	ID      int64
	Since   time.Time
	Reason  string // "": over budget
	Objects []ledger.ListedObject
}

// Bytes is what clearing it frees.
func (p *Prunable) Bytes() (n int64) {
	for _, o := range p.Objects {
		n += o.Size
	}
	return n
}

// Leftovers yields the objects of rows that an earlier run cleared.
func (c *Cache) Leftovers(ctx context.Context) iter.Seq2[Candidate, error] {
	return func(yield func(Candidate, error) bool) {
		for l, err := range c.Scratch.Sorted(ctx) {
			if err != nil || !strings.HasPrefix(string(l.Key), "0 ") {
				if err != nil {
					yield(Candidate{}, err)
				}
				return // they come first
			}
			l.Object.Key = l.Key[len("0 "):]
			if !yield(candidateOf(&l.Object, string(l.Data)), nil) {
				return
			}
		}
	}
}

func candidateOf(o *ledger.ListedObject, reason string) Candidate {
	return Candidate{Key: o.Key, Reason: reason, Size: o.Size, ETag: o.ETag, Modified: o.LastModified}
}

// Ordered yields the rows that may be cleared, in the documented order.
func (c *Cache) Ordered(ctx context.Context) iter.Seq2[Prunable, error] {
	return func(yield func(Prunable, error) bool) {
		var row Prunable
		var name string
		for l, err := range c.Scratch.Sorted(ctx) {
			if err != nil {
				yield(Prunable{}, err)
				return
			}
			head, id := rowKey(string(l.Key))
			if head == "" {
				continue
			}
			l.Object.Key = l.Key[len(head):] // a Scratch keeps one key
			if head != name {
				if len(row.Objects) > 0 && !yield(row, nil) {
					return
				}
				name = head
				row = Prunable{Class: l.Object.Key.Class(), ID: id, Since: time.Unix(int64(binary.BigEndian.Uint64(l.Data)), 0).UTC()}
			}
			row.Objects = append(row.Objects, l.Object)
		}
		if len(row.Objects) > 0 {
			yield(row, nil)
		}
	}
}

// rowKey takes the part of an order key that all objects of a row share.
func rowKey(key string) (head string, id int64) {
	if strings.HasPrefix(key, "0 ") {
		return "", 0
	}
	fields := strings.SplitN(key, " ", 5)
	id, _ = strconv.ParseInt(fields[3], 10, 64) // we wrote it
	return key[:len(key)-len(fields[4])], id
}
