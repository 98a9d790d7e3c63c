package mastodon

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"iter"
	"math"

	"github.com/jackc/pgx/v5/pgtype"

	"example.org/mediamove/media"
)

// manyRows is how many rows one account or post may hide to be read along with
// others; more than that are read by pages of their own.
const manyRows = 1000

// Concealed yields the rows of a class that have a file and are hidden, as
// [Database.Standing] says; none of other classes than attachments and accounts. It
// goes by the accounts that are suspended and the posts that are discarded, so that
// what it takes follows these, and not the number of attachments. Every page is a
// transaction, as in [Database.Rows]; what becomes hidden meanwhile may be left out.
// Rows come in no order, and one that is hidden by both may come twice. An error is
// the last thing it yields.
func (d *Database) Concealed(ctx context.Context, class media.Class) iter.Seq2[Standing, error] {
	return func(yield func(Standing, error) bool) {
		t, err := d.dated(class)
		if err != nil {
			yield(Standing{}, err)
			return
		}
		for _, h := range t.standing.hiding {
			for batch, err := range d.hidden(ctx, t, h) {
				if err != nil {
					yield(Standing{}, err)
					return
				}
				for _, s := range batch {
					// One may have been shown again since its account was looked at.
					if s.Hidden != Shown && hasFile(&s.Row) && !yield(s, nil) {
						return
					}
				}
			}
		}
	}
}

// A parent is an account or a post that may hide rows.
type parent struct {
	id   int64
	rows int64 // at most manyRows + 1 are counted
}

// hidden yields the rows of all parents, about pageRows at a time.
func (d *Database) hidden(ctx context.Context, t *table, h hidingBy) iter.Seq2[[]Standing, error] {
	return func(yield func([]Standing, error) bool) {
		for after := h.first; ; {
			parents, next, err := d.parents(ctx, h, after)
			if err != nil {
				yield(nil, err)
				return
			}
			if next == nil {
				return
			}
			for batch, err := range d.ofParents(ctx, t, h, parents) {
				if !yield(batch, err) || err != nil {
					return
				}
			}
			after = next
		}
	}
}

// parents reads those that follow in the order of h, and where to go on; nil: there
// are no more.
func (d *Database) parents(ctx context.Context, h hidingBy, after []argument) (parents []parent, next []argument, err error) {
	err = d.read(ctx, "look for what is hidden", func() []query {
		parents, next = nil, nil
		return []query{uncompiled(), {sql: h.parents, args: after, row: func(v [][]byte) error {
			id, err1 := integer(v[0])
			rows, err2 := integer(v[1])
			next = []argument{int8Argument(id)}
			for i, key := range v[2:] { // as it came: no type of time is rounded
				next = append(next, argument{bytes.Clone(key), after[1+i].oid})
			}
			if rows > 0 {
				parents = append(parents, parent{id, rows})
			}
			return cmp.Or(err1, err2)
		}}}
	})
	return parents, next, err
}

// ofParents yields the rows of parents: those of several that have few in one batch.
func (d *Database) ofParents(ctx context.Context, t *table, h hidingBy, parents []parent) iter.Seq2[[]Standing, error] {
	return func(yield func([]Standing, error) bool) {
		var few []int64
		sum := int64(0)
		flush := func() bool {
			if len(few) == 0 {
				return true
			}
			batch, err := d.standingRows(ctx, t, h.rows, int8Array(few))
			few, sum = nil, 0
			return yield(batch, err) && err == nil
		}
		for _, p := range parents {
			if p.rows > manyRows {
				for batch, err := range d.ofOne(ctx, t, h, p.id) {
					if !yield(batch, err) || err != nil {
						return
					}
				}
				continue
			}
			if sum+p.rows > pageRows && !flush() {
				return
			}
			few, sum = append(few, p.id), sum+p.rows
		}
		flush()
	}
}

// ofOne yields the rows of a parent that has many. First those in no post, which are
// few: Mastodon deletes them after a day (app/lib/vacuum/media_attachments_vacuum.rb).
func (d *Database) ofOne(ctx context.Context, t *table, h hidingBy, id int64) iter.Seq2[[]Standing, error] {
	return func(yield func([]Standing, error) bool) {
		if batch, err := d.standingRows(ctx, t, h.loose, int8Argument(id)); !yield(batch, err) || err != nil {
			return
		}
		for after := []int64{math.MaxInt64, math.MaxInt64}; ; {
			ids, next, err := d.restOf(ctx, h, id, after)
			if err != nil {
				yield(nil, err)
				return
			}
			if len(ids) == 0 {
				return
			}
			if batch, err := d.standingRows(ctx, t, t.standing.byID, int8Array(ids)); !yield(batch, err) || err != nil {
				return
			}
			after = next
		}
	}
}

// restOf reads the ids of a page of one parent's rows, and the post and the row that
// it ends with.
func (d *Database) restOf(ctx context.Context, h hidingBy, id int64, after []int64) (ids, next []int64, err error) {
	args := []argument{int8Argument(id), int8Argument(after[0]), int8Argument(after[1])}
	err = d.read(ctx, "look for what is hidden", func() []query {
		ids = make([]int64, 0, pageRows)
		return []query{uncompiled(), {sql: h.rest, args: args, row: func(v [][]byte) error {
			row, err1 := integer(v[0])
			post, err2 := integer(v[1])
			ids, next = append(ids, row), []int64{post, row}
			return cmp.Or(err1, err2)
		}}}
	})
	return ids, next, err
}

// standingRows reads a batch of rows.
func (d *Database) standingRows(ctx context.Context, t *table, sql string, arg argument) (batch []Standing, err error) {
	err = d.read(ctx, "read what is hidden of "+string(t.class), func() []query {
		batch = nil
		return []query{uncompiled(), t.standings(sql, pageRows, func(s Standing) error {
			batch = append(batch, s)
			return nil
		}, arg)}
	})
	return batch, err
}

func int8Argument(n int64) argument {
	return argument{binary.BigEndian.AppendUint64(nil, uint64(n)), pgtype.Int8OID}
}
