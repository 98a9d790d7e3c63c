package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

func looseObject(o *r2.Object) ledger.Loose {
	return ledger.Loose{Side: ledger.InBucket, Key: o.Key, Object: ledger.ListedObject{Key: o.Key, Size: o.Size, ETag: o.ETag, LastModified: o.LastModified}}
}

// looseEntry keeps what the verdict needs of a record.
func looseEntry(e *ledger.Entry) ledger.Loose {
	return ledger.Loose{
		Side: ledger.Recorded, Key: e.File.Key, File: e.File,
		Object: ledger.ListedObject{ETag: e.ETag, LastModified: e.At}, Data: slices.Concat(e.MD5[:], e.SHA256[:]),
	}
}

func entryOf(l *ledger.Loose) ledger.Entry {
	e := ledger.Entry{File: l.File, ETag: l.Object.ETag, At: l.Object.LastModified}
	e.File.Key = l.Key
	copy(e.MD5[:], l.Data)
	copy(e.SHA256[:], l.Data[min(len(e.MD5), len(l.Data)):])
	return e
}

func looseFile(f *seenFile) ledger.Loose {
	return ledger.Loose{Side: ledger.OnDisk, Key: f.file.Key, File: f.file, Data: []byte(f.said)}
}

// rest judges, after the listing has come to its end, what found no partner: names
// that are one to R2 stand together now.
func (c *comparison) rest(ctx context.Context) error {
	var g group
	for l, err := range c.odd.Sorted(ctx) {
		if err != nil {
			return err
		}
		if norm := media.Normal(string(l.Key)); norm != g.norm {
			if err := c.settleGroup(ctx, &g); err != nil {
				return err
			}
			g = group{norm: norm}
		}
		g.add(&l)
	}
	return errors.Join(c.settleGroup(ctx, &g), ctx.Err())
}

// A group is all that stands under names which are one to R2.
type group struct {
	norm    string
	odd     bool // some name is not spelled in NFC
	triples []triple
}

// add puts l with what has its very name, else with what still lacks its side.
func (g *group) add(l *ledger.Loose) {
	g.odd = g.odd || string(l.Key) != g.norm
	for i := range g.triples {
		if t := &g.triples[i]; t.key == l.Key && t.put(l) {
			return
		}
	}
	for i := range g.triples {
		if g.triples[i].put(l) {
			return
		}
	}
	t := triple{key: l.Key}
	t.put(l)
	g.triples = append(g.triples, t)
}

// put fills one side; false if that is taken.
func (t *triple) put(l *ledger.Loose) bool {
	switch {
	case l.Side == ledger.InBucket && !t.hasObject:
		t.hasObject = true
		t.object = r2.Object{Key: l.Key, Size: l.Object.Size, ETag: l.Object.ETag, LastModified: l.Object.LastModified}
	case l.Side == ledger.Recorded && !t.hasEntry:
		t.hasEntry, t.key, t.entry = true, l.Key, entryOf(l)
	case l.Side == ledger.OnDisk && !t.hasFile:
		t.hasFile, t.file, t.said = true, l.File, ledger.Kind(l.Data)
		if t.key == "" {
			t.key = l.Key
		}
	default:
		return false
	}
	return true
}

func (c *comparison) settleGroup(ctx context.Context, g *group) error {
	for i := range g.triples {
		t := &g.triples[i]
		// The object may have been listed under a spelling that is somebody's own. What
		// the scanner or a sync would not move is not it, whatever R2 makes of its name.
		if g.odd && !t.hasObject && (t.hasEntry || t.said == "") {
			if err := c.askFor(ctx, t); err != nil {
				return err
			}
		}
		if err := c.settle(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// askFor asks the bucket for one key: R2 finds the object under any spelling.
func (c *comparison) askFor(ctx context.Context, t *triple) error {
	if !nameable(t.key) {
		return nil
	}
	head, err := c.v.Bucket.Head(ctx, t.key)
	switch {
	case err == nil:
		t.hasObject, t.object = true, head.Object
	case !errors.Is(err, r2.ErrNotFound):
		return fmt.Errorf("look for another spelling of %q: %w", t.key, err)
	}
	return nil
}

// nameable reports whether a request can ask for k; else the bucket can't have it.
func nameable(k media.Key) bool { return media.CheckKey(string(k)) == nil }
