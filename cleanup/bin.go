package cleanup

import (
	"context"
	"errors"

	"example.org/mediamove/cleanup/trash"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// A Trash is a trash folder for one bucket.
type Trash struct {
	Store  *trash.Store
	Bucket interface {
		trash.Getter
		trash.Putter
	}
	Entries interface {
		Entry(ctx context.Context, k media.Key) (ledger.Entry, error)
	}
}

// Add keeps a proven copy of o. The ledger's SHA-256 is a proof beside the ETag, if the
// object is still the one that we moved.
func (t Trash) Add(ctx context.Context, run int64, o r2.Object) (name string, err error) {
	item := trash.Item{Run: run, Object: o}
	e, err := t.Entries.Entry(ctx, o.Key)
	switch {
	case err == nil && e.ETag == o.ETag:
		item.SHA256 = &e.SHA256
	case err != nil && !errors.Is(err, ledger.ErrUnknown):
		return "", err
	}
	return t.Store.Add(ctx, t.Bucket, item)
}

// Drop removes the copy called name.
func (t Trash) Drop(name string) error { return t.Store.Drop(name) }

// PutBack puts the copy called name back where it was.
func (t Trash) PutBack(ctx context.Context, name string) (trash.Restored, error) {
	return t.Store.PutBack(ctx, t.Bucket, name)
}
