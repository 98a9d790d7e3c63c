package ledger

import (
	"context"
	"encoding/hex"
	"slices"

	"example.org/mediamove/media"
)

// fewKeys are looked up one by one; of more, everything between the first and the last
// is read, which costs a quarter of it a key when they stand close together.
const fewKeys = 64

// Known returns the ETags of those of keys that mediamove wrote itself: sent
// (not adopted), or put back from the trash, whichever was later. Keys are
// compared as stored, and those of others are not in it. It costs some 4 µs a key, or 1 µs
// for every row between the first and the last of many keys: a scan asks about keys that
// stand close together.
func (l *Ledger) Known(ctx context.Context, keys []media.Key) (map[media.Key]string, error) {
	look := knownOneByOne(keys)
	if len(keys) > fewKeys {
		look = knownBetween(keys)
	}
	wrote, err := collect(ctx, l.read, look.sent, scanWritten, look.sentArgs)
	if err != nil {
		return nil, failed("read ledger", err)
	}
	back, err := collect(ctx, l.read, look.restored, scanWritten, look.restoredArgs)
	if err != nil {
		return nil, failed("read ledger", err)
	}
	asked := make(map[media.Key]struct{}, len(keys))
	for _, k := range keys {
		asked[k] = struct{}{}
	}
	last := make(map[media.Key]written, len(wrote))
	for _, w := range slices.Concat(wrote, back) { // what was put back comes later
		if _, ok := asked[w.key]; ok && w.run >= last[w.key].run {
			last[w.key] = w
		}
	}
	etags := make(map[media.Key]string, len(last))
	for k, w := range last {
		etags[k] = w.etag
	}
	return etags, nil
}

// A knownLook is how objects that we wrote are looked up.
type knownLook struct {
	sent, restored         string
	sentArgs, restoredArgs []any
}

func knownOneByOne(keys []media.Key) knownLook {
	return knownLook{
		sent: `SELECT o.key, coalesce(o.etag, lower(hex(o.md5))), o.run
		FROM json_each(?) asked CROSS JOIN object o ON o.key = unhex(asked.value) WHERE o.origin = ?`,
		restored: `SELECT r.key, r.restored_etag, r.restored_run
		FROM json_each(?) asked CROSS JOIN removal r ON coalesce(r.normal, r.key) = unhex(asked.value)
		WHERE r.state = 'restored' ORDER BY r.id`,
		sentArgs:     []any{hexList(keys, asStored), int64(Put)},
		restoredArgs: []any{hexList(keys, normalOf)},
	}
}

func knownBetween(keys []media.Key) knownLook {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = media.Normal(string(k))
	}
	return knownLook{
		sent: `SELECT key, coalesce(etag, lower(hex(md5))), run FROM object WHERE key BETWEEN ? AND ? AND origin = ?`,
		restored: `SELECT key, restored_etag, restored_run FROM removal
		WHERE coalesce(normal, key) BETWEEN ? AND ? AND state = 'restored' ORDER BY id`,
		sentArgs:     []any{[]byte(slices.Min(keys)), []byte(slices.Max(keys)), int64(Put)},
		restoredArgs: []any{[]byte(slices.Min(names)), []byte(slices.Max(names))},
	}
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
