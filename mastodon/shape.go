package mastodon

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"

	"example.org/mediamove/media"
)

// A model is what Mastodon 3.5 to 4.6 knows of one table with files
// (db/schema.rb, app/models). The class is the table's name.
type model struct {
	class       media.Class
	optional    bool // not in every version
	attachments []attached
	columns     []column // what else is read
	// SQL for what media.Row says of the whole row; "" is the zero value.
	remote, busy, variable string
}

type column struct {
	name string
	kind columnKind
}

// attached is one has_attached_file.
type attached struct {
	name, column string // in keys, and as the columns' prefix
	versioned    bool   // has a storage_schema_version in every version; thumbnails since 4.6
}

// present is Ruby's present?, which calls a text of white space blank. To trim a URL
// takes PostgreSQL a third of what it does for a row; one that begins with h is not blank.
const present = "(remote_url LIKE 'h%' OR pg_catalog.btrim(remote_url, E' \\t\\n\\x0b\\f\\r') <> '')"

// models lists every table that owns files. The private ones are here because
// their columns are known, and are never asked for rows.
func models() []model {
	return []model{
		{
			class: media.MediaAttachments, attachments: []attached{{"files", "file", true}, {"thumbnails", "thumbnail", false}},
			columns: []column{{"remote_url", text}, {"processing", whole}},
			remote:  present, busy: "processing IN (0, 1)", // queued, in_progress
		},
		{
			class: media.Accounts, attachments: []attached{{"avatars", "avatar", true}, {"headers", "header", true}},
			columns: []column{{"domain", text}}, remote: "domain IS NOT NULL",
		},
		{
			class: media.CustomEmojis, attachments: []attached{{"images", "image", true}},
			columns: []column{{"domain", text}}, remote: "domain IS NOT NULL",
		},
		{class: media.PreviewCards, attachments: []attached{{"images", "image", true}}, remote: "true"},
		{class: media.PreviewCardProviders, optional: true, attachments: []attached{{"icons", "icon", false}}}, // came with 3.5
		{class: media.SiteUploads, attachments: []attached{{"files", "file", false}}, columns: []column{{"var", text}}, variable: "var"},
		{class: media.Backups, attachments: []attached{{"dumps", "dump", false}}},
		{class: media.Imports, optional: true, attachments: []attached{{"data", "data", false}}}, // until 4.3
	}
}

// A table is a model as this database has it.
type table struct {
	class       media.Class
	name        string // qualified and quoted
	remote      string // SQL; see [model]
	attachments []attached
	columns     string // all that are read
	selectByID  string
	usage       string // see [Database.Usage]
	standing    standing
}

// A shape is what the database turned out to be.
type shape struct {
	tables     []table  // not the private ones
	snowflakes []string // qualified names of the tables whose ids tell the time
	pruning    pruning
}

// A columnKind is what we read a column as; several types may do.
type columnKind uint8

const (
	whole columnKind = iota
	text
	moment
	yesno
	wholes
)

func (k columnKind) oids() []uint32 {
	switch k {
	case whole:
		return []uint32{pgtype.Int8OID, pgtype.Int4OID}
	case text:
		return []uint32{pgtype.VarcharOID, pgtype.TextOID}
	case yesno:
		return []uint32{pgtype.BoolOID}
	case wholes:
		return []uint32{pgtype.Int8ArrayOID, pgtype.Int4ArrayOID}
	}
	return []uint32{pgtype.TimestampOID, pgtype.TimestamptzOID}
}

func (k columnKind) String() string {
	return [...]string{"an integer", "a text", "a timestamp", "a boolean", "an array of integers"}[k]
}

// findings are the answers that a shape is made of. They come from pg_catalog:
// information_schema shows a role only what it may read, so that a column that
// was added to Mastodon after the role's grants would look as if it were not there.
type findings struct {
	tables map[string]*foundTable
	files  [][2]string // every table and column called *_file_name
	views  map[string]bool
}

type foundTable struct {
	name, schema string // quoted; the table's with its schema
	plain        bool   // a table, and no view on something else
	columns      map[string]uint32
}

const findTables = `SELECT want.name, pg_catalog.quote_ident(n.nspname), pg_catalog.quote_ident(c.relname),
	c.relkind IN ('r', 'p'), a.attname, a.atttypid
FROM (VALUES %s) AS want(name)
JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(pg_catalog.quote_ident(want.name))
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped`

const findFiles = `SELECT c.relname, a.attname
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p', 'f') AND NOT c.relispartition
AND pg_catalog.right(a.attname::pg_catalog.text, 10) = '_file_name'
AND c.relnamespace IN (SELECT relnamespace FROM pg_catalog.pg_class WHERE oid IN (%s))
ORDER BY 1, 2`

// queries ask for everything in one transaction.
func (f *findings) queries() []query {
	*f = findings{tables: map[string]*foundTable{}, views: map[string]bool{}}
	var names []string
	regclasses := []string{"pg_catalog.to_regclass('statuses')"}
	for _, m := range models() {
		regclasses = append(regclasses, "pg_catalog.to_regclass('"+string(m.class)+"')")
	}
	for _, m := range append(models(), witnesses()...) {
		if name := "('" + string(m.class) + "')"; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return []query{
		{sql: fmt.Sprintf(findTables, strings.Join(names, ", ")), row: f.addColumn},
		{sql: fmt.Sprintf(findFiles, strings.Join(regclasses, ", ")), row: func(v [][]byte) error {
			f.files = append(f.files, [2]string{string(v[0]), string(v[1])})
			return nil
		}},
		{sql: findViews, row: func(v [][]byte) error {
			f.views[string(v[0])] = true
			return nil
		}},
	}
}

func (f *findings) addColumn(v [][]byte) error {
	t := f.tables[string(v[0])]
	if t == nil {
		t = &foundTable{schema: string(v[1]), name: string(v[1]) + "." + string(v[2]), plain: isTrue(v[3]), columns: map[string]uint32{}}
		f.tables[string(v[0])] = t
	}
	if len(v[5]) != 4 {
		return errBinary
	}
	t.columns[string(v[4])] = binary.BigEndian.Uint32(v[5])
	return nil
}

// shape judges what was found. The first thing that is wrong is a [*ShapeError].
func (f *findings) shape() (shape, error) {
	var s shape
	known := map[[2]string]bool{}
	for _, m := range models() {
		for _, a := range m.attachments {
			known[[2]string{string(m.class), a.column + "_file_name"}] = true
		}
		t, err := f.table(m)
		if err != nil {
			return shape{}, err
		}
		if t.name != "" && !m.class.Private() {
			s.tables = append(s.tables, t)
		}
	}
	for _, column := range f.files {
		if !known[column] {
			return shape{}, &ShapeError{column[0], column[1], "not known to this version of mediamove: files may belong to it"}
		}
	}
	for _, name := range []string{"statuses", "accounts", "media_attachments"} {
		if err := f.need(name, "id", whole); err != nil {
			return shape{}, err
		}
		s.snowflakes = append(s.snowflakes, f.tables[name].name)
	}
	for i, t := range s.tables {
		s.tables[i].usage = f.usage(t)
		s.tables[i].standing = f.standing(t)
	}
	s.pruning = f.pruning()
	return s, nil
}

// table judges one model. An optional one that is not there is the zero table.
func (f *findings) table(m model) (table, error) {
	name := string(m.class)
	if f.tables[name] == nil && m.optional {
		return table{}, nil
	}
	if err := f.need(name, "id", whole); err != nil {
		return table{}, err
	}
	found := f.tables[name]
	for _, column := range m.columns {
		if err := f.need(name, column.name, column.kind); err != nil {
			return table{}, err
		}
	}
	columns := m.lead(found)
	for _, a := range m.attachments {
		of, err := f.attachment(name, a)
		if err != nil {
			return table{}, err
		}
		columns = append(columns, of...)
	}
	all := "SELECT " + strings.Join(columns, ", ") + " FROM " + found.name
	return table{
		class: m.class, name: found.name, remote: cmp.Or(m.remote, "false"), attachments: m.attachments,
		columns:    strings.Join(columns, ", "),
		selectByID: all + " WHERE id = ANY ($1)",
	}, nil
}

// lead lists the columns before those of the attachments, as the decoder reads them.
func (m model) lead(found *foundTable) []string {
	blurhash := "NULL"
	if _, ok := found.columns["blurhash"]; ok { // site_uploads have it since 4.0, accounts never
		blurhash = "blurhash <> ''"
	}
	return []string{"id", cmp.Or(m.remote, "false"), cmp.Or(m.busy, "false"), cmp.Or(m.variable, "NULL"), blurhash}
}

// attachment lists one attachment's columns, as the decoder reads them.
func (f *findings) attachment(table string, a attached) ([]string, error) {
	name, contentType, size, updated := a.column+"_file_name", a.column+"_content_type", a.column+"_file_size", a.column+"_updated_at"
	schema := a.column + "_storage_schema_version"
	for column, kind := range map[string]columnKind{name: text, contentType: text, size: whole, updated: moment} {
		if err := f.need(table, column, kind); err != nil {
			return nil, err
		}
	}
	if _, ok := f.tables[table].columns[schema]; !ok && !a.versioned {
		return []string{name, contentType, size, updated, "NULL"}, nil
	}
	return []string{name, contentType, size, updated, schema}, f.need(table, schema, whole)
}

// need says what is wrong with a column that must be there.
func (f *findings) need(table, column string, kind columnKind) error {
	t := f.tables[table]
	if t == nil {
		return &ShapeError{table, "", "missing, or this role may not use its schema"}
	}
	if !t.plain {
		return &ShapeError{table, "", "not a table but a view or a foreign table"}
	}
	if home := f.tables[string(media.MediaAttachments)]; home == nil || t.schema != home.schema {
		return &ShapeError{table, "", "in another schema than media_attachments"}
	}
	oid, ok := t.columns[column]
	if !ok {
		return &ShapeError{table, column, "missing"}
	}
	if !slices.Contains(kind.oids(), oid) {
		return &ShapeError{table, column, "not " + kind.String()}
	}
	return nil
}
