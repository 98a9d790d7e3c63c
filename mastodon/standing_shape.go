package mastodon

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"

	"example.org/mediamove/media"
)

// hiddenColumns follow a row's own: suspended, discarded.
const hiddenColumns = 2

// A standing is the SQL for how the rows of a table stand.
type standing struct {
	missing error      // a *ShapeError: this table can't be asked
	page    string     // rows with their time Changed, in order; see [Database.All]
	byID    string     // the same, and what hides them
	hiding  []hidingBy // none for a class that is never hidden
}

// A hidingBy is the SQL of [Database.Concealed]: it goes by the accounts, or the
// posts, that hide something.
type hidingBy struct {
	parents string // a page of them: id, how many rows each may hide, and the rest of their order
	rows    string // of the parents $1, which hide few
	// Of the parent $1, which hides many: the rows in no post, and a page of the ids of
	// the others.
	loose, rest string
	first       []argument // of parents: before the first one
}

// standing judges the columns that only All, Standing and Concealed need. Every table
// with files has had the times since long before 3.5 (db/schema.rb).
func (f *findings) standing(t table) standing {
	changed := "GREATEST(" + f.utc(string(t.class), "created_at") + ", " + f.utc(string(t.class), "updated_at") + ")"
	suspended, discarded := "false", "false"
	missing := cmp.Or(f.need(string(t.class), "created_at", moment), f.need(string(t.class), "updated_at", moment))
	switch t.class {
	case media.Accounts:
		suspended = "suspended_at IS NOT NULL"
		missing = cmp.Or(missing, f.need("accounts", "suspended_at", moment))
	case media.MediaAttachments:
		// One row each: the planner can't make a join of it, and read a whole table.
		suspended = "(SELECT a.suspended_at IS NOT NULL FROM " + f.tables["accounts"].name + " a WHERE a.id = t.account_id)"
		discarded = "(SELECT s.deleted_at IS NOT NULL FROM " + f.tables["statuses"].name + " s WHERE s.id = t.status_id)"
		missing = cmp.Or(
			missing, f.need("media_attachments", "account_id", whole), f.need("media_attachments", "status_id", whole),
			f.need("accounts", "suspended_at", moment), f.need("statuses", "deleted_at", moment),
		)
	}
	dated := "SELECT " + t.columns + ", " + changed
	all := dated + ", " + suspended + ", " + discarded + " FROM " + t.name + " t"
	if missing != nil {
		return standing{missing: missing}
	}
	return standing{
		page:   fmt.Sprintf("%s FROM %s WHERE id > $1 ORDER BY id LIMIT %d", dated, t.name, pageRows),
		byID:   all + " WHERE id = ANY ($1)",
		hiding: f.hiding(t, all),
	}
}

// hiding writes what Concealed needs, given a SELECT of all rows of t.
func (f *findings) hiding(t table, all string) []hidingBy {
	switch t.class {
	case media.Accounts:
		return []hidingBy{{parents: f.suspended("1"), rows: all + " WHERE id = ANY ($1)", first: []argument{int8Argument(math.MinInt64)}}}
	case media.MediaAttachments:
		return []hidingBy{
			f.hidingBy(t, all, "account_id", f.suspended(few(t, "account_id")), int8Argument(math.MinInt64)),
			f.hidingBy(t, all, "status_id", f.discarded(few(t, "status_id")), int8Argument(math.MinInt64), argument{
				binary.BigEndian.AppendUint64(nil, 1<<63), // -infinity
				f.tables["statuses"].columns["deleted_at"],
			}),
		}
	}
	return nil
}

// hidingBy goes by one column of attachments. OFFSET 0 keeps the planner from reading
// the whole table for one parent after the other.
func (f *findings) hidingBy(t table, all, column, parents string, first ...argument) hidingBy {
	return hidingBy{
		parents: parents, first: first,
		rows:  "SELECT m.* FROM pg_catalog.unnest($1) p(parent) CROSS JOIN LATERAL (" + all + " WHERE t." + column + " = p.parent OFFSET 0) m",
		loose: all + " WHERE " + column + " = $1 AND status_id IS NULL",
		rest: fmt.Sprintf("SELECT id, status_id FROM %s WHERE %s = $1 AND (status_id, id) < ($2, $3) ORDER BY status_id DESC, id DESC LIMIT %d",
			t.name, column, pageRows),
	}
}

// few counts the rows of the parent x, up to those that are many. The index of either
// column has the answer.
func few(t table, column string) string {
	return fmt.Sprintf("(SELECT pg_catalog.count(*) FROM (SELECT FROM %s m WHERE m.%s = x.id LIMIT %d) few)", t.name, column, manyRows+1)
}

// suspended is a page of the accounts with the id $1 and above: those that are
// suspended, and the last one. It looks at so many and no more, since there is no index of
// suspended_at: where few are suspended, a page of these could take for ever.
func (f *findings) suspended(weight string) string {
	return fmt.Sprintf(`WITH x AS MATERIALIZED (SELECT id, suspended_at IS NOT NULL AS hides FROM %s WHERE id > $1 ORDER BY id LIMIT %d)
SELECT x.id, CASE WHEN x.hides THEN %s END FROM x
WHERE x.hides OR x.id = (SELECT pg_catalog.max(id) FROM x) ORDER BY x.id`, f.tables["accounts"].name, pageRows, weight)
}

// discarded is a page of the posts that were discarded, in the order of
// index_statuses_on_deleted_at (db/schema.rb).
func (f *findings) discarded(weight string) string {
	return fmt.Sprintf(`SELECT x.id, %s, x.deleted_at FROM (
	SELECT id, deleted_at FROM %s WHERE deleted_at IS NOT NULL AND (deleted_at, id) > ($2, $1) ORDER BY deleted_at, id LIMIT %d
) x ORDER BY x.deleted_at, x.id`, weight, f.tables["statuses"].name, pageRows)
}
