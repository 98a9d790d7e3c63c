package mastodon

import (
	"github.com/jackc/pgx/v5/pgtype"

	"example.org/mediamove/media"
)

// A prunable is a table whose rows may be cleared, with the SQL for it; see
// prune_sql.go.
type prunable struct {
	class       media.Class
	attachments []string // prefixes of their columns
	columns     []string // those that are cleared
	json        string   // they, as one JSON object
	fates       string
	clear       string
	restore     string
	lost        lost
	look        string // which rows have no file now; waits for those that are being changed
}

// A pruning is what prune needs of a shape, beyond what all commands do.
type pruning struct {
	missing error // a *ShapeError: this database can't be pruned
	tables  []prunable
	touched string
	changed map[media.Class]string
}

// witnesses lists the columns that prune reads beside those of the models. Tables
// and columns are the same in Mastodon 3.5 to 4.6 (db/schema.rb).
func witnesses() []model {
	return []model{
		{class: media.MediaAttachments, columns: []column{{"account_id", whole}, {"status_id", whole}, {"created_at", moment}, {"updated_at", moment}}},
		{class: media.PreviewCards, columns: []column{{"updated_at", moment}}},
		{class: media.Accounts, columns: []column{{"uri", text}, {"suspended_at", moment}}},
		{class: "statuses", columns: []column{
			{"uri", text}, {"local", yesno}, {"deleted_at", moment}, {"in_reply_to_id", whole}, {"reblog_of_id", whole},
		}},
		{class: "favourites", columns: []column{{"account_id", whole}, {"status_id", whole}}},
		{class: "bookmarks", columns: []column{{"status_id", whole}}},
		{class: "status_pins", columns: []column{{"account_id", whole}, {"status_id", whole}}},
		{class: "quotes", optional: true, columns: []column{{"status_id", whole}, {"quoted_status_id", whole}}}, // came with 4.4
		{class: "reports", columns: []column{{"status_ids", wholes}}},
		{class: "unavailable_domains", columns: []column{{"domain", text}}},
		{class: "domain_blocks", columns: []column{{"domain", text}, {"reject_media", yesno}}},
	}
}

// findViews looks for the views of docs/grants.sql that this role may update.
const findViews = `SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'mediamove' AND c.relname IN ('remote_media', 'preview_cards') AND c.relkind = 'v'
AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_any_column_privilege(c.oid, 'UPDATE')`

// pruning judges what prune needs. That something is missing is an error of prune
// only: the other commands never look there.
func (f *findings) pruning() pruning {
	for _, m := range witnesses() {
		name := string(m.class)
		if f.tables[name] == nil && m.optional {
			continue
		}
		for _, column := range m.columns {
			if err := f.need(name, column.name, column.kind); err != nil {
				return pruning{missing: err}
			}
		}
	}
	s := f.statements()
	return pruning{tables: []prunable{s.losing(s.attachments()), s.cards()}, touched: s.fill(touchedSQL), changed: s.changed()}
}

// statements writes SQL for the tables as they are here.
func (f *findings) statements() statements {
	words := append(f.common(),
		"{target of media_attachments}", f.target(media.MediaAttachments, "remote_media"),
		"{target of preview_cards}", f.target(media.PreviewCards, "preview_cards"),
	)
	for name, t := range f.tables {
		words = append(words, "{"+name+"}", t.name)
	}
	return statements{f, words}
}

// target is what an UPDATE goes to: the view of docs/grants.sql if this role may
// use it, since it then may not change the table.
func (f *findings) target(class media.Class, view string) string {
	if f.views[view] {
		return "mediamove." + view
	}
	return f.tables[string(class)].name
}

// utc is a time as Rails means it, whatever the session's time zone is.
func (f *findings) utc(table, column string) string {
	if f.tables[table].columns[column] == pgtype.TimestamptzOID {
		return "(" + column + " AT TIME ZONE 'UTC')"
	}
	return column
}

// utcBack is the same the other way round, for a value x.column.
func (f *findings) utcBack(table, column string) string {
	if f.tables[table].columns[column] == pgtype.TimestamptzOID {
		return "(x." + column + " AT TIME ZONE 'UTC')"
	}
	return "x." + column
}
