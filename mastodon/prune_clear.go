package mastodon

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"example.org/mediamove/media"
)

// MaxClear is how many rows [Database.Clear] takes at once.
const MaxClear = 500

// Snapshot reads rows as they are now, by class and id. An id without a row is
// left out. It is read as by [Database.Rows].
func (d *Database) Snapshot(ctx context.Context, ids map[media.Class][]int64) ([]Cleared, error) {
	if err := d.prunes(ids); err != nil {
		return nil, err
	}
	var rows []Cleared
	err := d.read(ctx, "read rows before they are cleared", func() []query {
		rows = nil
		var queries []query
		for _, p := range d.shape.pruning.tables {
			if len(ids[p.class]) > 0 {
				queries = append(queries, d.snapshot(p, ids[p.class], &rows))
			}
		}
		return queries
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(rows, func(a, b Cleared) int {
		return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(a.ID, b.ID))
	})
	return rows, nil
}

func (d *Database) snapshot(p prunable, ids []int64, into *[]Cleared) query {
	t, _ := d.table(p.class)
	decode := t.decoder(len(ids))
	sql := "SELECT " + t.columns + ", " + p.json + " FROM " + t.name + " WHERE id = ANY ($1)"
	return query{sql: sql, args: []argument{int8Array(ids)}, row: func(v [][]byte) error {
		r, err := decode(v[:len(v)-1])
		if err != nil {
			return err
		}
		var columns bytes.Buffer
		err = json.Compact(&columns, v[len(v)-1])
		*into = append(*into, Cleared{r.ID, p.class, r, columns.Bytes()})
		return err
	}}
}

// Clear sets columns of up to [MaxClear] rows of one class to NULL: those that
// Mastodon's own batch does (app/lib/attachment_batch.rb), and updated_at is not
// among them. A row is passed over if it isn't as in its snapshot any more, if by
// now [Database.Fates] would keep it, or if somebody is just changing it. What a
// local user had touched before it was cleared has its columns back when Clear
// returns, and is passed over too.
//
// It returns the ids of the rows that are cleared. After an error it is not known
// of any of them: ask [Database.Rows], and [Database.Touched] of those without a file.
func (d *Database) Clear(ctx context.Context, rule PruneRule, class media.Class, rows []Cleared) ([]int64, error) {
	p, err := d.prunable(class)
	if err != nil {
		return nil, err
	}
	args, err := p.argumentsBy(rule, rows)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	var cleared []int64
	err = d.write(ctx, "clear rows", func() query {
		cleared = nil
		return query{sql: p.clearBy(rule), args: args, update: true, row: idInto(&cleared)}
	})
	// What has begun is brought to an end, even if the run was just called off.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.timeout+grace)
	defer cancel()
	if _, open := errors.AsType[*outcomeError](err); open {
		cleared, err = d.settle(ctx, p, rows)
	}
	if err != nil || rule.Lost {
		return cleared, err
	}
	return d.takeBack(ctx, p, rows, cleared)
}

// clearArguments are $1 and so on of the UPDATE: ids, the rule's time, and the file
// names of each attachment.
func (p *prunable) clearArguments(rule PruneRule, rows []Cleared) ([]argument, error) {
	if len(rows) > MaxClear {
		return nil, fmt.Errorf("clear %d rows: more than %d at once", len(rows), MaxClear)
	}
	ids, names := make([]int64, len(rows)), make([][]*string, len(p.attachments))
	for i, c := range rows {
		values, err := p.values(c)
		if err != nil {
			return nil, err
		}
		ids[i] = c.ID
		for k, attachment := range p.attachments {
			name, ok := values[attachment+"_file_name"].(string)
			names[k] = append(names[k], nil)
			if ok {
				names[k][i] = &name
			}
		}
	}
	args := []argument{int8Array(ids), rule.before(p.class)}
	for _, n := range names {
		args = append(args, textArray(n))
	}
	return args, nil
}

// values reads a snapshot's columns, which must be the very ones that are cleared.
func (p *prunable) values(c Cleared) (map[string]any, error) {
	var values map[string]any
	if err := json.Unmarshal(c.Columns, &values); err != nil {
		return nil, fmt.Errorf("read the snapshot of %s %d: %w", p.class, c.ID, err)
	}
	if c.Class != p.class || !slices.Equal(slices.Sorted(maps.Keys(values)), slices.Sorted(slices.Values(p.columns))) {
		return nil, fmt.Errorf("read the snapshot of %s %d: these are not the columns of %s", c.Class, c.ID, p.class)
	}
	return values, nil
}

// settle finds out what came of an UPDATE whose answer got lost: it waits for
// whoever is changing the rows, who may be that one. That it comes through only
// after this would leave objects without an owner, and no row without its object.
func (d *Database) settle(ctx context.Context, p *prunable, rows []Cleared) (empty []int64, err error) {
	ids := make([]int64, len(rows))
	for i, c := range rows {
		ids[i] = c.ID
	}
	err = d.write(ctx, "ask which rows have been cleared", func() query {
		empty = nil
		return query{sql: p.look, args: []argument{int8Array(ids)}, row: func(v [][]byte) error {
			if isTrue(v[1]) {
				return idInto(&empty)(v)
			}
			return nil
		}}
	})
	return empty, err
}

// takeBack restores the rows that a local user had touched before they were
// cleared, but after the UPDATE had begun: it did not see that. The objects are
// still there, so nothing was lost. It returns the rest.
func (d *Database) takeBack(ctx context.Context, p *prunable, rows []Cleared, cleared []int64) ([]int64, error) {
	if p.class != media.MediaAttachments || len(cleared) == 0 {
		return cleared, nil
	}
	touched, err := d.Touched(ctx, cleared)
	if err != nil {
		return nil, err
	}
	for _, c := range rows {
		if !slices.Contains(touched, c.ID) {
			continue
		}
		if _, err := d.Restore(ctx, c); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(cleared, func(id int64) bool { return slices.Contains(touched, id) }), nil
}

// Restore sets the columns of a snapshot back where all of them are still NULL and
// the row is still another server's. It reports whether the row is as it was; false:
// somebody has fetched the file again, or the row is gone. To restore twice is fine.
func (d *Database) Restore(ctx context.Context, c Cleared) (bool, error) {
	p, err := d.prunable(c.Class)
	if err != nil {
		return false, err
	}
	want, err := p.values(c)
	if err != nil {
		return false, err
	}
	var back []int64
	args := []argument{{binary.BigEndian.AppendUint64(nil, uint64(c.ID)), pgtype.Int8OID}, {c.Columns, pgtype.JSONOID}}
	err = d.write(ctx, "restore a row", func() query {
		back = nil
		return query{sql: p.restore, args: args, update: true, row: idInto(&back)}
	})
	if err == nil && len(back) == 1 {
		return true, nil
	}
	if _, open := errors.AsType[*outcomeError](err); err != nil && !open {
		return false, err
	}
	return d.stands(ctx, p, c.ID, want)
}

// stands reports whether a row has these columns now.
func (d *Database) stands(ctx context.Context, p *prunable, id int64, want map[string]any) (bool, error) {
	now, err := d.Snapshot(ctx, map[media.Class][]int64{p.class: {id}})
	if err != nil || len(now) == 0 {
		return false, err
	}
	got, err := p.values(now[0])
	return err == nil && reflect.DeepEqual(got, want), err
}

// timestampArgument is a timestamp without time zone, in UTC. The zero time is
// before everything.
func timestampArgument(t time.Time) argument {
	micros := int64(math.MinInt64) // -infinity
	if !t.IsZero() {
		micros = t.UnixMicro() - epoch2000
	}
	return argument{binary.BigEndian.AppendUint64(nil, uint64(micros)), pgtype.TimestampOID}
}

// textArray is a text[]; nil is NULL.
func textArray(texts []*string) argument {
	var b []byte
	for _, head := range []uint32{1, 1, pgtype.TextOID, uint32(len(texts)), 1} { // dimensions, NULLs, type, length, first index
		b = binary.BigEndian.AppendUint32(b, head)
	}
	for _, text := range texts {
		if text == nil {
			b = binary.BigEndian.AppendUint32(b, math.MaxUint32) // a length of -1
			continue
		}
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(*text))), *text...)
	}
	return argument{b, pgtype.TextArrayOID}
}
