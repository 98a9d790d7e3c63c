package mastodon

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"

	"example.org/mediamove/media"
)

// whole46 is what a database of Mastodon 4.6 answers, in as far as it matters.
func whole46() *findings {
	f := &findings{tables: map[string]*foundTable{"statuses": {name: "public.statuses", schema: "public", plain: true, columns: map[string]uint32{"id": pgtype.Int8OID}}}}
	for _, m := range models() {
		if m.class == media.Imports {
			continue // dropped in 4.4
		}
		columns := map[string]uint32{"id": pgtype.Int8OID, "remote_url": pgtype.VarcharOID, "domain": pgtype.VarcharOID, "var": pgtype.VarcharOID, "processing": pgtype.Int4OID}
		for _, a := range m.attachments {
			columns[a.column+"_file_name"], columns[a.column+"_content_type"] = pgtype.VarcharOID, pgtype.VarcharOID
			columns[a.column+"_file_size"], columns[a.column+"_updated_at"] = pgtype.Int4OID, pgtype.TimestampOID
			if a.versioned || a.name == "thumbnails" {
				columns[a.column+"_storage_schema_version"] = pgtype.Int4OID
			}
			f.files = append(f.files, [2]string{string(m.class), a.column + "_file_name"})
		}
		f.tables[string(m.class)] = &foundTable{name: "public." + string(m.class), schema: "public", plain: true, columns: columns}
	}
	return f
}

// Every table that must be there, every column of it that is read, and its type:
// without any of them the shape is refused, with the place named.
func TestShapeNeedsEverything(t *testing.T) {
	t.Parallel()
	if _, err := whole46().shape(); err != nil {
		t.Fatal(err)
	}
	wrong := func(f *findings, table, column string) {
		t.Helper()
		_, err := f.shape()
		if shape, ok := errors.AsType[*ShapeError](err); !ok || shape.Table != table || shape.Column != column || shape.Reason == "" {
			t.Errorf("%s %s: %v", table, column, err)
		}
	}
	for table, found := range whole46().tables {
		if table != "preview_card_providers" && table != "media_attachments" { // all others must stand beside these
			f := whole46()
			delete(f.tables, table)
			wrong(f, table, "")
			f = whole46()
			f.tables[table].schema = "other"
			wrong(f, table, "")
		}
		f := whole46()
		f.tables[table].plain = false
		wrong(f, table, "")
		for _, column := range needed(table, slices.Collect(maps.Keys(found.columns))) {
			f := whole46()
			f.tables[table].columns[column] = pgtype.JSONOID
			wrong(f, table, column)
			f = whole46()
			if delete(f.tables[table].columns, column); column == "thumbnail_storage_schema_version" {
				if _, err := f.shape(); err != nil {
					t.Errorf("before 4.6: %v", err)
				}
				continue
			}
			wrong(f, table, column)
		}
	}
	f := whole46()
	f.files = append(f.files, [2]string{"accounts", "banner_file_name"})
	wrong(f, "accounts", "banner_file_name")
	delete(f.tables, "media_attachments")
	wrong(f, "media_attachments", "")
}

// needed leaves out the columns that only other tables are read for.
func needed(table string, columns []string) []string {
	of := map[string]string{"remote_url": "media_attachments", "processing": "media_attachments", "var": "site_uploads"}
	return slices.DeleteFunc(columns, func(c string) bool {
		if c == "domain" {
			return table != "accounts" && table != "custom_emojis"
		}
		return of[c] != "" && of[c] != table
	})
}

// A proof of every kind of other place.
func TestProof(t *testing.T) {
	t.Parallel()
	here := serverIdentity{system: "7309872130987654321", name: "m", oid: 16384}
	answer := func(replica byte, s serverIdentity, system int64) [][]byte {
		return [][]byte{
			{replica},
			binary.BigEndian.AppendUint64(nil, uint64(system)),
			binary.BigEndian.AppendUint64(nil, uint64(s.oid)), []byte(s.name), []byte("60000"), []byte("off"),
		}
	}
	for _, tt := range []struct {
		name   string
		answer [][]byte
		want   error
	}{
		{"the same", answer(0, here, 7309872130987654321), nil},
		{"a replica of it", answer(1, here, 7309872130987654321), ErrReplica},
		{"another server", answer(0, here, 7309872130987654322), ErrOtherDatabase},
		{"another name", answer(0, serverIdentity{name: "staging", oid: 16384}, 7309872130987654321), ErrOtherDatabase},
		{"made anew", answer(0, serverIdentity{name: "m", oid: 16385}, 7309872130987654321), ErrOtherDatabase},
		{"nonsense", [][]byte{{}, {1}, {}, {}, {}, {}}, errBinary},
		{"nonsense of a number", [][]byte{{0}, {1}, {}, {}, {}, {}}, errBinary},
	} {
		d := &Database{opened: here}
		if err := d.proof().row(tt.answer); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	var d Database // initdb makes up 64 bits; pg_controldata prints them without a sign
	if err := d.proof().row(answer(0, here, -1)); err != nil || d.opened.system != "18446744073709551615" {
		t.Errorf("%v, %+v", err, d.opened)
	}
}
