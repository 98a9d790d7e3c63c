package mastodon

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"
)

// ready46 is whole46 with what prune reads beside it.
func ready46() *findings {
	f := whole46()
	f.views = map[string]bool{}
	for _, m := range witnesses() {
		name := string(m.class)
		if f.tables[name] == nil {
			f.tables[name] = &foundTable{name: "public." + name, schema: "public", plain: true, columns: map[string]uint32{}}
		}
		for _, c := range m.columns {
			f.tables[name].columns[c.name] = c.kind.oids()[0]
		}
	}
	return f
}

// Without any of the tables and columns that prune reads, prune is refused with the
// place named, and nothing else is.
func TestPruneNeedsEverything(t *testing.T) {
	t.Parallel()
	wrong := func(f *findings, table, column string) {
		t.Helper()
		s, err := f.shape()
		if shape, ok := errors.AsType[*ShapeError](s.pruning.missing); err != nil || !ok || shape.Table != table || shape.Column != column {
			t.Errorf("%s %s: %v, %v", table, column, s.pruning.missing, err)
		}
	}
	if s, err := ready46().shape(); err != nil || s.pruning.missing != nil || len(s.pruning.tables) != 2 {
		t.Fatal(err, s.pruning.missing)
	}
	for _, m := range witnesses() {
		name := string(m.class)
		for _, c := range m.columns {
			f := ready46()
			delete(f.tables[name].columns, c.name)
			wrong(f, name, c.name)
			f = ready46()
			f.tables[name].columns[c.name] = pgtype.JSONOID
			wrong(f, name, c.name)
		}
		f := ready46()
		if f.tables[name].plain = false; whole46().tables[name] == nil {
			wrong(f, name, "")
		}
	}
	f := ready46()
	if delete(f.tables, "quotes"); f.pruning().missing != nil {
		t.Errorf("before 4.4: %v", f.pruning().missing)
	}
}

// No word is left in a statement, and the statements go where the role may go.
func TestPruneStatements(t *testing.T) {
	t.Parallel()
	for _, view := range []bool{false, true} {
		f := ready46()
		f.views["remote_media"], f.views["preview_cards"] = view, view
		f.tables["media_attachments"].columns["created_at"] = pgtype.TimestamptzOID
		p := f.pruning()
		for _, table := range p.tables {
			for _, sql := range []string{table.fates, table.clear, table.restore, table.look, p.touched} {
				if strings.ContainsAny(sql, "{}") {
					t.Error(sql)
				}
			}
			for _, sql := range []string{table.clear, table.restore} {
				if strings.Contains(sql, "UPDATE mediamove.") != view || strings.Contains(sql, "UPDATE public.") == view {
					t.Error(sql)
				}
			}
		}
		if !strings.Contains(p.tables[0].clear, "(created_at AT TIME ZONE 'UTC') < $2") {
			t.Error(p.tables[0].clear)
		}
	}
}
