package mastodon

import (
	"cmp"
	"fmt"

	"example.org/mediamove/media"
)

// hiddenColumns follow a row's own: suspended, discarded.
const hiddenColumns = 2

// A standing is the SQL for how the rows of a table stand.
type standing struct {
	missing error  // a *ShapeError: this table can't be asked
	page    string // rows with their time Changed, in order; see [Database.All]
	byID    string // the same, and what hides them
	hiding  hiding
}

// A hiding is the SQL of [Database.Concealed]; zero for a class that is never hidden.
type hiding struct{ bySuspended, byDiscarded hidingBy }

// A hidingBy goes by the accounts, or the posts, that hide something.
type hidingBy struct {
	parents string // a page of them, each with how many rows it may hide
	rows    string // those of parents that hide few
	rest    string // those of one that hides many, by pages
	loose   string // of that one, those that are in no page
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
	return standing{
		missing: missing,
		page:    fmt.Sprintf("%s FROM %s WHERE id > $1 ORDER BY id LIMIT %d", dated, t.name, pageRows),
		byID:    all + " WHERE id = ANY ($1)",
		hiding:  f.hiding(t, all),
	}
}
