package ledger

import (
	"context"
	"time"

	"example.org/mediamove/media"
)

// An Upload is a multipart upload that was begun. If it is still here when a
// run begins, its parts take up paid space and are to be aborted.
type Upload struct {
	Key media.Key
	ID  string // the bucket's
	Run int64
	At  time.Time
}

// AddUpload records u and returns when that is durable: before the first part
// is sent, or a kill would leave parts that nobody knows of.
func (l *Ledger) AddUpload(ctx context.Context, u Upload) error {
	return l.wait(ctx, func(s *session) error {
		return s.exec("REPLACE INTO upload (id, key, run, at_ns) VALUES (?, ?, ?, ?)", u.ID, []byte(u.Key), u.Run, nanos(u.At))
	})
}

// RemoveUpload drops the upload id, completed or aborted, and returns when
// that is durable. Unknown ids are fine.
func (l *Ledger) RemoveUpload(ctx context.Context, id string) error {
	return l.wait(ctx, func(s *session) error { return s.exec("DELETE FROM upload WHERE id = ?", id) })
}

// Uploads returns the open multipart uploads, oldest first.
func (l *Ledger) Uploads(ctx context.Context) ([]Upload, error) {
	all, err := collect(ctx, l.read, "SELECT id, key, run, at_ns FROM upload ORDER BY at_ns, id", scanUpload, nil)
	return all, failed("read ledger", err)
}

func scanUpload(r row) (Upload, error) {
	var u Upload
	var key []byte
	var at int64
	err := r.Scan(&u.ID, &key, &u.Run, &at)
	u.Key, u.At = media.Key(key), instant(at)
	return u, err
}
