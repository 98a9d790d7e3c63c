package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ClearingLife is how long the journal of rows keeps what is finished: three times as
// long as the trash keeps a copy (cleanup/trash), so that whatever undo can still put
// back it also knows the row of.
const ClearingLife = 90 * 24 * time.Hour

// expireBatch keeps the writer free for others in between.
const expireBatch = 1000

// The schema holds to the same rule, whoever deletes.
const expireClearings = `DELETE FROM clearing WHERE id IN (SELECT id FROM clearing WHERE state IN ('skipped', 'done', 'restored')
	AND max(ended_ns, restored_ns) < coalesce((SELECT at_ns FROM scan ORDER BY run DESC LIMIT 1), 0) - ?1 LIMIT ?2)`

// ExpireClearings takes out of the journal what was skipped, done or restored more than
// [ClearingLife] before the last scan that ended, and returns how many rows those were.
// Without a scan there are none. Intents and what waits for its objects stay, however
// old. What goes is overwritten in the file: its columns are names of people's files.
//
// It goes in batches; after an error the count is of those that are gone for good.
func (l *Ledger) ExpireClearings(ctx context.Context) (gone int64, err error) {
	for n := int64(expireBatch); n == expireBatch; gone += n {
		err := l.wait(ctx, func(s *session) error {
			return s.overwriting(func() (err error) {
				n, err = s.expireClearings()
				return err
			})
		})
		if err != nil {
			return gone, fmt.Errorf("expire the journal of rows: %w", err)
		}
	}
	return gone, nil
}

func (s *session) expireClearings() (n int64, err error) {
	res, err := s.conn.ExecContext(context.Background(), expireClearings, int64(ClearingLife), expireBatch)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// overwriting lets SQLite overwrite what do changes or deletes, which takes time: nobody
// else in this ledger needs it.
func (s *session) overwriting(do func() error) (err error) {
	if err := s.exec("PRAGMA secure_delete = ON"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.exec("PRAGMA secure_delete = OFF")) }()
	return do()
}
