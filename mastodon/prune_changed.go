package mastodon

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"example.org/mediamove/media"
)

// changedSQL reads the younger of two dates, of the one row $1.
const changedSQL = `SELECT CASE WHEN {created} IS NOT NULL AND {updated} IS NOT NULL THEN GREATEST({created}, {updated}) END FROM {table} WHERE id = $1`

// changed is by class how one row is asked when it last changed.
func (s statements) changed() map[media.Class]string {
	all := make(map[media.Class]string)
	for class, first := range map[media.Class]string{media.MediaAttachments: "created_at", media.PreviewCards: "updated_at"} {
		all[class] = s.fill(changedSQL, "{table}", "{"+string(class)+"}",
			"{created}", s.found.utc(string(class), first), "{updated}", s.found.utc(string(class), "updated_at"))
	}
	return all
}

// Changed is the time from which on the age of a row counts that a [PruneRule] asks for:
// the later of created_at and updated_at of an attachment, updated_at of a preview card.
// It is zero if there is no such row, or none of its dates. Other classes are an error.
func (d *Database) Changed(ctx context.Context, class media.Class, id int64) (time.Time, error) {
	if _, err := d.prunable(class); err != nil {
		return time.Time{}, err
	}
	var at time.Time
	err := d.read(ctx, "ask how old a row is", func() []query {
		at = time.Time{}
		return []query{{sql: d.shape.pruning.changed[class], args: []argument{{binary.BigEndian.AppendUint64(nil, uint64(id)), pgtype.Int8OID}}, row: func(v [][]byte) (err error) {
			at, err = timestamp(v[0])
			return err
		}}}
	})
	return at, err
}
