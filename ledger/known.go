package ledger

import (
	"context"
	"encoding/hex"
	"slices"

	"example.org/mediamove/media"
)

// Known returns the ETags of those of keys that mediamove wrote itself: sent
// (not adopted), or put back from the trash, whichever was later. Keys are
// compared as stored, and those of others are not in it. It costs some 4 µs a key,
// so that a scan asks only where the answer matters.
func (l *Ledger) Known(ctx context.Context, keys []media.Key) (map[media.Key]string, error) {
	const sent = `SELECT o.key, coalesce(o.etag, lower(hex(o.md5))), o.run
		FROM json_each(?) asked CROSS JOIN object o ON o.key = unhex(asked.value) WHERE o.origin = ?`
	const restored = `SELECT r.key, r.restored_etag, r.restored_run
		FROM json_each(?) asked CROSS JOIN removal r ON coalesce(r.normal, r.key) = unhex(asked.value)
		WHERE r.state = 'restored' ORDER BY r.id`
	wrote, err := collect(ctx, l.read, sent, scanWritten, []any{hexList(keys, asStored), int64(Put)})
	if err != nil {
		return nil, failed("read ledger", err)
	}
	back, err := collect(ctx, l.read, restored, scanWritten, []any{hexList(keys, normalOf)})
	if err != nil {
		return nil, failed("read ledger", err)
	}
	last := make(map[media.Key]written, len(wrote))
	for _, w := range wrote {
		last[w.key] = w
	}
	for _, w := range back {
		if w.run >= last[w.key].run && slices.Contains(keys, w.key) {
			last[w.key] = w
		}
	}
	etags := make(map[media.Key]string, len(last))
	for k, w := range last {
		etags[k] = w.etag
	}
	return etags, nil
}

// written is an object that we wrote.
type written struct {
	key  media.Key
	etag string
	run  int64
}

func scanWritten(r row) (w written, err error) {
	var key []byte
	err = r.Scan(&key, &w.etag, &w.run)
	w.key = media.Key(key)
	return w, err
}

func asStored(k media.Key) []byte { return []byte(k) }

// hexList makes a JSON array of what name makes of keys, in hex: JSON has no bytes.
func hexList(keys []media.Key, name func(media.Key) []byte) string {
	list := []byte{'['}
	for i, k := range keys {
		if i > 0 {
			list = append(list, ',')
		}
		list = append(list, '"')
		list = hex.AppendEncode(list, name(k))
		list = append(list, '"')
	}
	return string(append(list, ']'))
}
