package verify

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
)

const (
	// rowsAtOnce is how many absent objects the database is asked about in one go.
	rowsAtOnce = 500
	// rowAge is how long ago a row must have been changed for its files to be expected:
	// Mastodon writes the row first and the files afterwards, with tries over days.
	rowAge = 72 * time.Hour
)

// An absent object is one that is recorded and not in the bucket, with the verdict that
// it has as long as nobody has asked the rows.
type absent struct {
	key       media.Key
	size      int64
	etag      string // seen, before it went
	removedBy int64
	otherwise ruling
}

// asksRows reports whether rows decide what an absence means.
func (v *Verifier) asksRows() bool { return v.Rows != nil && v.Policy.Switched }

// forRows reports whether a ruling is one that rows may change.
func (v *Verifier) forRows(t *triple, r ruling) bool {
	return v.asksRows() && t.hasEntry && (r.verdict == Missing || r.as == ledger.Withdrawn)
}

// conclude counts what is decided, and puts aside what the rows decide: they are read
// once the listing has come to its end, so that what is deleted between the two does not
// count as lost.
func (c *comparison) conclude(ctx context.Context, t *triple, r ruling) error {
	if !c.v.forRows(t, r) {
		return c.v.count(ctx, t, r)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.absent.Add(ctx, looseAbsent(&absent{t.key, t.size(), t.object.ETag, t.removedBy, r}))
}

func looseAbsent(a *absent) ledger.Loose {
	data := binary.AppendUvarint([]byte{byte(a.otherwise.verdict)}, uint64(a.removedBy))
	return ledger.Loose{
		Side: ledger.Recorded, Key: a.key, File: media.File{Key: a.key, Size: a.size},
		Object: ledger.ListedObject{ETag: a.etag}, Data: append(data, a.otherwise.cause...),
	}
}

func absentOf(l *ledger.Loose) absent {
	run, n := binary.Uvarint(l.Data[1:])
	a := absent{key: l.Key, size: l.File.Size, etag: l.Object.ETag, removedBy: int64(run)}
	a.otherwise = rule(Verdict(l.Data[0]), string(l.Data[1+n:]))
	if a.otherwise.verdict != Missing {
		a.otherwise.as = ledger.Withdrawn
	}
	return a
}

// askRows decides about the absent ones, some at a time, so that memory does not grow with
// their number.
func (c *comparison) askRows(ctx context.Context) error {
	if c.absent == nil {
		return nil
	}
	batch := make([]absent, 0, rowsAtOnce)
	for l, err := range c.absent.Sorted(ctx) {
		if err != nil {
			return err
		}
		if batch = append(batch, absentOf(&l)); len(batch) < rowsAtOnce {
			continue
		}
		if err := c.v.concludeAll(ctx, batch); err != nil {
			return err
		}
		batch = batch[:0]
	}
	return c.v.concludeAll(ctx, batch)
}

func (v *Verifier) concludeAll(ctx context.Context, batch []absent) error {
	rulings, err := v.byRows(ctx, batch)
	if err != nil {
		return err
	}
	for i, r := range rulings {
		a := &batch[i]
		t := triple{key: a.key, hasEntry: true, entry: ledger.Entry{File: media.File{Key: a.key, Size: a.size}}}
		t.object.ETag = a.etag
		if err := v.count(ctx, &t, r); err != nil {
			return err
		}
	}
	return nil
}

// byRows asks the rows about all of batch. If they can't be had, what was absent stays
// what it was, and the run could not tell.
func (v *Verifier) byRows(ctx context.Context, batch []absent) ([]ruling, error) {
	rulings := make([]ruling, len(batch))
	paths := make([]media.Path, len(batch))
	ids, known := make(map[media.Class][]int64), v.Rows.Classes()
	for i := range batch {
		rulings[i] = batch[i].otherwise
		if p, err := media.Parse(batch[i].key); err == nil && slices.Contains(known, p.Class) {
			paths[i] = p
			ids[p.Class] = append(ids[p.Class], p.ID)
		}
	}
	if len(ids) == 0 {
		return rulings, nil
	}
	rows, ok, err := v.standing(ctx, ids)
	if !ok || err != nil {
		return rulings, err
	}
	now := time.Now().Add(v.Policy.ClockAhead)
	for i, p := range paths {
		if p.Class == "" {
			continue // no row can tell
		}
		v.mu.Lock()
		v.report.Asked++
		v.mu.Unlock()
		var row *mastodon.Standing
		if s, ok := rows[p.Class][p.ID]; ok {
			row = &s
		}
		rulings[i] = batch[i].byRow(p, row, now)
	}
	return rulings, nil
}

// standing asks for rows. They can be had or not, which is told once; from then on nobody
// is asked. An error is that the run is over.
func (v *Verifier) standing(ctx context.Context, ids map[media.Class][]int64) (rows map[media.Class]map[int64]mastodon.Standing, ok bool, err error) {
	v.live.Do(func() {
		if err := v.checkLive(ctx); err != nil && ctx.Err() == nil {
			v.giveUpRows(err)
		}
	})
	if v.noRows.Load() {
		return nil, false, nil
	}
	rows, err = v.Rows.Standing(ctx, ids)
	switch {
	case err == nil && ctx.Err() == nil:
		return rows, true, nil
	case ctx.Err() != nil:
		return nil, false, context.Cause(ctx)
	}
	v.giveUpRows(err)
	return nil, false, nil
}

func (v *Verifier) giveUpRows(err error) {
	if v.noRows.CompareAndSwap(false, true) {
		v.unknown("which of the absent objects Mastodon has deleted: " + err.Error())
	}
}

// RowsTold reports whether the rows of all that was absent could be had. Nothing may be sent
// again by rows that could not, or that are not the live ones.
func (v *Verifier) RowsTold() bool { return !v.noRows.Load() }

// staleAfter is how much older than the bucket a database may be: what is written right
// now may have no row yet.
const staleAfter = time.Hour

// checkLive holds the database against the bucket. A copy of its server, or one that was put
// back, has the identity of the live one, and still names what people have deleted since.
func (v *Verifier) checkLive(ctx context.Context) error {
	newest, err := v.Rows.Newest(ctx)
	if err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.foreign.Sub(newest) <= staleAfter {
		return nil
	}
	return fmt.Errorf("the database's newest row is of %s, and Mastodon has written to the bucket at %s: is this the live database?",
		newest.UTC().Format(time.DateTime), v.foreign.UTC().Format(time.DateTime))
}

// sawForeign notes an object that this ledger did not write.
func (v *Verifier) sawForeign(t *triple) {
	if !t.hasObject || t.hasEntry && t.entry.ETag == t.object.ETag {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if t.object.LastModified.After(v.foreign) {
		v.foreign = t.object.LastModified
	}
}

// The causes that rows give. What a person must look at names the row.
const (
	causeNamed      = "a row names it"
	causeNamedYoung = "a row names it, but was changed less than 72 hours ago"
	causeBusy       = "its row is still being processed"
	causeUnfamiliar = "its row may name it in a way that this version does not know"
	causeHidden     = "hidden by Mastodon, and not in the bucket: "
)

// byRow decides about an absent object by the row that its key names; nil is that there is
// none. What Mastodon hides is missed by nobody. Else what a row names is missing, whoever
// removed it and whatever the mode on disk; what no row names was deleted by its owner.
func (a *absent) byRow(p media.Path, row *mastodon.Standing, now time.Time) ruling {
	wasMissing := a.otherwise.verdict == Missing
	switch {
	case row == nil && wasMissing:
		return deleted(media.RowGone)
	case row == nil:
		return a.otherwise
	case row.Hidden != mastodon.Shown && wasMissing:
		return ruling{verdict: HeldBack, cause: causeHidden + string(row.Hidden), as: ledger.Withdrawn}
	case row.Hidden != mastodon.Shown:
		return a.otherwise
	case row.Row.Requires(a.key):
		return a.named(row, p, now)
	case !wasMissing:
		return a.otherwise
	case row.Row.Busy && row.Row.MayOwn(p):
		return rule(Missing, causeBusy)
	}
	reason := media.Judge(p, &row.Row)
	if reason == media.Unfamiliar {
		return rule(Missing, causeUnfamiliar)
	}
	return deleted(reason)
}

// named is the ruling for what a row needs in order to show.
func (a *absent) named(row *mastodon.Standing, p media.Path, now time.Time) ruling {
	changed := row.Row.Changed
	for _, f := range row.Row.Files {
		if f.Attachment == p.Attachment && f.Updated.After(changed) {
			changed = f.Updated
		}
	}
	r := rule(Missing, causeNamed)
	if changed.After(now.Add(-rowAge)) {
		r = rule(Missing, causeNamedYoung)
	}
	if a.otherwise.verdict != Missing {
		r.detail = a.otherwise.cause
	}
	return r
}

// deleted is the ruling for what no row needs any more.
func deleted(why media.Reason) ruling {
	if why == media.Owned {
		return rule(Deleted, "no row needs it")
	}
	return rule(Deleted, "no row names it: "+string(why))
}

// recountAbsent is recount for what went while this run looked at it.
func (v *Verifier) recountAbsent(ctx context.Context, e *ledger.Entry, r ruling) error {
	if v.forRows(&triple{hasEntry: true}, r) {
		rulings, err := v.byRows(ctx, []absent{{key: e.File.Key, size: e.File.Size, otherwise: r}})
		if err != nil {
			return err
		}
		r = rulings[0]
	}
	return v.recount(ctx, e, r, "")
}
