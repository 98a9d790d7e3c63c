package cleanup

import (
	"context"
	"errors"

	"example.org/mediamove/cleanup/trash"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// A TrashBucket is where copies come from and go back to.
type TrashBucket interface {
	trash.Getter
	trash.Putter
}

// A Trash is a trash folder for one bucket.
type Trash struct {
	Store   *trash.Store
	Bucket  TrashBucket
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

// Asking is t with needed asked right before every request that would make an object or a
// part of it: a request may have waited for hours.
func (t Trash) Asking(needed func(ctx context.Context, k media.Key) error) Trash {
	t.Bucket = askedBucket{t.Bucket, needed}
	return t
}

type askedBucket struct {
	TrashBucket
	needed func(ctx context.Context, k media.Key) error
}

func (a askedBucket) Put(ctx context.Context, u r2.Upload) (r2.Stored, error) {
	u.Before = func() error { return a.needed(ctx, u.Key) }
	return a.TrashBucket.Put(ctx, u)
}

func (a askedBucket) PutLarge(ctx context.Context, l r2.Large) (r2.Stored, error) {
	l.Before = func() error { return a.needed(ctx, l.Key) }
	return a.TrashBucket.PutLarge(ctx, l)
}
