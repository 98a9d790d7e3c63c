package mastodon

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/jackc/pgx/v5/pgtype"

	"example.org/mediamove/media"
)

// pageRows is what [Database.All] reads at a time: about 2 MB of rows.
const pageRows = 5000

// Rows are rows by class and id. Each class that was asked about is in it; an id
// that is not has no row.
type Rows map[media.Class]map[int64]media.Row

// Rows returns the rows with these ids, all read in one transaction that has
// proven to be on the primary and in the database that was opened: one round
// trip, one SELECT per class. It is complete, or an error. Classes that are not
// among [Database.Classes] are an error.
func (d *Database) Rows(ctx context.Context, ids map[media.Class][]int64) (Rows, error) {
	for class := range ids {
		if _, err := d.table(class); err != nil {
			return nil, err
		}
	}
	var rows Rows
	err := d.read(ctx, "read rows", func() []query {
		rows = make(Rows, len(ids))
		var queries []query
		for i := range d.shape.tables {
			t := &d.shape.tables[i]
			wanted, asked := ids[t.class]
			if !asked {
				continue
			}
			rows[t.class] = make(map[int64]media.Row, len(wanted))
			if len(wanted) > 0 {
				queries = append(queries, t.byID(wanted, rows[t.class]))
			}
		}
		return queries
	})
	if err != nil {
		return nil, err
	}
	return rows, nil
}

// byID asks for the rows with these ids.
func (t *table) byID(ids []int64, into map[int64]media.Row) query {
	decode := t.decoder(len(ids))
	return query{sql: t.selectByID, args: []argument{int8Array(ids)}, row: func(v [][]byte) error {
		r, err := decode(v)
		if err != nil {
			return err
		}
		if _, twice := into[r.ID]; twice {
			return fmt.Errorf("%s has the id %d twice", t.name, r.ID)
		}
		into[r.ID] = r
		return nil
	}}
}

// All yields every row of a class that has at least one file, by id, with the time
// when it was last changed. Pages of 5,000 rows are a transaction each, as in
// [Database.Rows]. An error is the last thing it yields.
func (d *Database) All(ctx context.Context, class media.Class) iter.Seq2[media.Row, error] {
	return func(yield func(media.Row, error) bool) {
		t, err := d.dated(class)
		if err != nil {
			yield(media.Row{}, err)
			return
		}
		for after := int64(math.MinInt64); ; { // the instance's own account has the id -99
			page, err := d.page(ctx, t, after)
			if err != nil {
				yield(media.Row{}, err)
				return
			}
			for i := range page {
				if hasFile(&page[i]) && !yield(page[i], nil) {
					return
				}
			}
			if len(page) < pageRows {
				return
			}
			after = page[len(page)-1].ID
		}
	}
}

// page reads the rows that follow an id. It takes those without a file along:
// with a condition, a page of a table that was pruned could take for ever.
func (d *Database) page(ctx context.Context, t *table, after int64) ([]media.Row, error) {
	var page []media.Row
	err := d.read(ctx, "read all rows of "+string(t.class), func() []query {
		page = make([]media.Row, 0, pageRows)
		decode, last := t.datedDecoder(pageRows), after
		arg := argument{binary.BigEndian.AppendUint64(nil, uint64(after)), pgtype.Int8OID}
		return []query{{sql: t.standing.page, args: []argument{arg}, row: func(v [][]byte) error {
			r, err := decode(v)
			if err == nil && r.ID <= last && len(page) > 0 {
				err = fmt.Errorf("%s is not in order at id %d", t.name, r.ID)
			}
			last = r.ID
			page = append(page, r)
			return err
		}}}
	})
	return page, err
}

func hasFile(r *media.Row) bool {
	return slices.ContainsFunc(r.Files, func(f media.Filed) bool { return f.Name != "" })
}
