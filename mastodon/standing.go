package mastodon

import (
	"context"
	"fmt"

	"example.org/mediamove/media"
)

// A Hidden is why Mastodon shows nobody a row's files. Those of attachments are made
// 0600 on disk for it (app/services/update_media_attachments_permissions_service.rb),
// which has no equal in R2.
type Hidden string

// The reasons. Of a row that both apply to, the account's is given.
const (
	Shown           Hidden = ""
	HiddenSuspended Hidden = "account suspended"
	HiddenDiscarded Hidden = "post removed by a moderator"
)

// A Standing is one row as it is now.
type Standing struct {
	Row    media.Row // with its time Changed
	Hidden Hidden
}

// Standing returns the rows with these ids and what hides them, read as
// [Database.Rows] does: complete, or an error. It is a [*ShapeError] if a column is
// missing that only this needs.
//
// An attachment is hidden if its account is suspended, or its post is discarded;
// with neither account nor post it is not. An account is hidden if it is suspended
// itself. Rows of other classes never are.
func (d *Database) Standing(ctx context.Context, ids map[media.Class][]int64) (map[media.Class]map[int64]Standing, error) {
	for class := range ids {
		if _, err := d.dated(class); err != nil {
			return nil, err
		}
	}
	var rows map[media.Class]map[int64]Standing
	err := d.read(ctx, "read how rows stand", func() []query {
		rows = make(map[media.Class]map[int64]Standing, len(ids))
		queries := []query{uncompiled()}
		for i := range d.shape.tables {
			t := &d.shape.tables[i]
			wanted, asked := ids[t.class]
			if !asked {
				continue
			}
			into := make(map[int64]Standing, len(wanted))
			rows[t.class] = into
			if len(wanted) == 0 {
				continue
			}
			queries = append(queries, t.standings(t.standing.byID, len(wanted), func(s Standing) error {
				if _, twice := into[s.Row.ID]; twice {
					return fmt.Errorf("%s has the id %d twice", t.name, s.Row.ID)
				}
				into[s.Row.ID] = s
				return nil
			}, int8Array(wanted)))
		}
		return queries
	})
	if err != nil {
		return nil, err
	}
	return rows, nil
}

// standings is a query for about n rows.
func (t *table) standings(sql string, n int, add func(Standing) error, args ...argument) query {
	decode := t.datedDecoder(n)
	return query{sql: sql, args: args, row: func(v [][]byte) error {
		if len(v) < hiddenColumns {
			return fmt.Errorf("%s answered with %d columns", t.name, len(v))
		}
		row, hides := v[:len(v)-hiddenColumns], v[len(v)-hiddenColumns:]
		r, err := decode(row)
		if err != nil {
			return err
		}
		s := Standing{Row: r}
		switch {
		case isTrue(hides[0]):
			s.Hidden = HiddenSuspended
		case isTrue(hides[1]):
			s.Hidden = HiddenDiscarded
		}
		return add(s)
	}}
}

// datedDecoder is a decoder of rows that end with their time Changed.
func (t *table) datedDecoder(n int) func(v [][]byte) (media.Row, error) {
	decode := t.decoder(n)
	return func(v [][]byte) (media.Row, error) {
		if len(v) == 0 {
			return media.Row{}, fmt.Errorf("%s answered with no column", t.name)
		}
		r, err := decode(v[:len(v)-1])
		if err != nil {
			return media.Row{}, err
		}
		if r.Changed, err = timestamp(v[len(v)-1]); err != nil {
			return media.Row{}, fmt.Errorf("read when row %d of %s was changed: %w", r.ID, t.name, err)
		}
		return r, nil
	}
}

// dated finds a class's table, if it says how its rows stand.
func (d *Database) dated(class media.Class) (*table, error) {
	t, err := d.table(class)
	if err == nil {
		err = t.standing.missing
	}
	return t, err
}
