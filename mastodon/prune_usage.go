package mastodon

import (
	"cmp"
	"context"
	"strings"

	"example.org/mediamove/media"
)

// usage sums up one table, the local rows apart from the others.
func (f *findings) usage(t table) string {
	remote := t.remote
	if t.class == media.MediaAttachments { // tootctl goes by the account, not by remote_url
		remote = "(account_id IN (SELECT id FROM " + f.tables[string(media.Accounts)].name + " WHERE domain IS NULL)) IS NOT TRUE"
	}
	var filed, sizes []string
	for _, a := range t.attachments {
		filed = append(filed, a.column+"_file_name <> ''")
		sizes = append(sizes, "COALESCE("+a.column+"_file_size, 0)::pg_catalog.int8")
	}
	return "SELECT " + remote + ", pg_catalog.count(*) FILTER (WHERE " + strings.Join(filed, " OR ") + "), COALESCE(pg_catalog.sum(" +
		strings.Join(sizes, " + ") + "), 0)::pg_catalog.int8 FROM " + t.name + " GROUP BY 1"
}

// Usage adds up what the tables of [Database.Classes] say of their files.
func (d *Database) Usage(ctx context.Context) (map[media.Class]Usage, error) {
	var all map[media.Class]Usage
	err := d.read(ctx, "add up the files", func() []query {
		all = make(map[media.Class]Usage, len(d.shape.tables))
		var queries []query
		for _, t := range d.shape.tables {
			all[t.class] = Usage{}
			queries = append(queries, query{sql: t.usage, row: func(v [][]byte) error {
				rows, err1 := integer(v[1])
				bytes, err2 := integer(v[2])
				u := all[t.class]
				if isTrue(v[0]) {
					u.Remote = Claim{rows, bytes}
				} else {
					u.Local = Claim{rows, bytes}
				}
				all[t.class] = u
				return cmp.Or(err1, err2)
			}})
		}
		return queries
	})
	return all, err
}
