package verify

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
	"example.org/mediamove/scanner"
)

// Compare walks the disk, if there is one, and holds the bucket's listing against
// it and the records: one Class A per 1,000 keys, and one Class B for each of the
// few that their ETag does not decide. An error means that nothing is known; what
// single files or folders kept from being told is in the report.
func (v *Verifier) Compare(ctx context.Context) (err error) {
	v.report.Began = time.Now()
	c := &comparison{v: v}
	c.later.SetLimit(8)
	defer func() { err = errors.Join(err, c.later.Wait(), c.close()) }()
	if c.odd, err = v.Scratch(ctx); err != nil {
		return err
	}
	if v.asksRows() {
		if c.absent, err = v.Scratch(ctx); err != nil {
			return err
		}
	}
	if v.private, err = v.Scratch(ctx); err != nil {
		return err
	}
	if v.Disk != nil {
		if err := c.walk(ctx); err != nil {
			return err
		}
	}
	v.enter(Listing)
	if err := c.aligned(ctx); err != nil {
		return err
	}
	if err := c.rest(ctx); err != nil {
		return err
	}
	if err := c.later.Wait(); err != nil {
		return err
	}
	if err := c.askRows(ctx); err != nil {
		return err
	}
	if err := v.probe(ctx); err != nil {
		return err
	}
	return v.endPass(ctx)
}

// endPass records what the listing proved. A million objects are one row: all that
// were recorded, but for those that a doubt of this run names.
func (v *Verifier) endPass(ctx context.Context) error {
	v.mu.Lock()
	v.report.Listing = true
	r := v.report
	v.mu.Unlock()
	if r.Recorded == 0 && v.Disk == nil {
		v.unknown("nothing is recorded: there is nothing to hold the bucket against")
	}
	return v.Notes.EndPass(ctx, ledger.Pass{
		Run: v.Policy.Run, Began: r.Began, Ended: time.Now(), Walked: r.WholeDisk, Switched: v.Policy.Switched,
		Listed: r.Listed, Same: r.Counts[Same], Bytes: r.Total().Bytes,
	})
}

// A comparison is one pass over the three sides.
type comparison struct {
	v     *Verifier
	disk  Scratch // the walk, sorted
	odd   Scratch // what found no partner at once, or is not spelled in NFC
	later errgroup.Group

	mu     sync.Mutex
	absent Scratch // mu; what the rows decide about
}

func (c *comparison) close() error {
	var errs []error
	for _, s := range []Scratch{c.disk, c.odd, c.absent} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}

// walk puts the disk in order: the walk itself is in none.
func (c *comparison) walk(ctx context.Context) (err error) {
	if c.disk, err = c.v.Scratch(ctx); err != nil {
		return err
	}
	whole := true
	for f, err := range c.v.Disk.Files(ctx) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		seen := &seenFile{file: f}
		if err != nil {
			if seen, err = c.problem(f, err, &whole); err != nil {
				return err
			}
		}
		if seen == nil {
			continue
		}
		c.v.stats.walked.Add(1)
		if err := c.disk.Add(ctx, looseFile(seen)); err != nil {
			return err
		}
	}
	c.v.mu.Lock()
	c.v.report.WholeDisk = whole
	c.v.mu.Unlock()
	return ctx.Err()
}

// problem decides what an entry that is no file to be moved means. A file whose name
// can't be a key is a file all the same, and so is a link in a file's place, which is
// never followed; nil is nothing to compare.
func (c *comparison) problem(f media.File, err error, whole *bool) (*seenFile, error) {
	p, ok := errors.AsType[*scanner.Problem](err)
	if !ok {
		return nil, fmt.Errorf("walk the disk: %w", err)
	}
	switch {
	case p.Kind == scanner.BadName, p.Kind == scanner.Twin, p.Kind == scanner.Link && looksLikeFile(p.Path):
		return &seenFile{media.File{Key: p.Path, Size: f.Size, Mode: f.Mode}, ledger.Failed}, nil
	case p.Kind == scanner.Link, p.Incomplete():
		*whole = false
		c.v.unknown(p.Error())
	}
	return nil, nil
}

// looksLikeFile tells a link in the place of a file from one that may lead to a folder
// full of them: Mastodon's files have an extension, its folders have none.
func looksLikeFile(k media.Key) bool { return strings.Contains(path.Base(string(k)), ".") }

// A seen file is one of the disk, or one that the last sync said something of.
type seenFile struct {
	file media.File
	said ledger.Kind
}

// files is the disk's side: the walk, or else what the last sync said of the files
// that it did not move.
func (c *comparison) files(ctx context.Context) iter.Seq2[seenFile, error] {
	return func(yield func(seenFile, error) bool) {
		if c.disk != nil {
			for l, err := range c.disk.Sorted(ctx) {
				if !yield(seenFile{l.File, ledger.Kind(l.Data)}, err) {
					return
				}
			}
			return
		}
		for f, err := range c.v.Remarks.Findings(ctx, ledger.HeldBack, ledger.Exposed, ledger.Failed, ledger.Conflict, ledger.Changed, ledger.Left) {
			if !yield(seenFile{media.File{Key: f.Key, Size: f.Size, Mode: 0o644}, f.Kind}, err) {
				return
			}
		}
	}
}

// objects is the bucket's side. What is mediamove's own is nobody's business.
func (c *comparison) objects(ctx context.Context) iter.Seq2[r2.Object, error] {
	return func(yield func(r2.Object, error) bool) {
		for o, err := range c.v.Bucket.List(ctx, "") {
			if err != nil {
				yield(o, fmt.Errorf("list the bucket: %w", err))
				return
			}
			if o.Key.Reserved() {
				continue
			}
			c.v.stats.listed.Add(1)
			if o.Key.Private() {
				if err := c.v.private.Add(ctx, looseObject(&o)); err != nil {
					yield(o, err)
					return
				}
			}
			if !yield(o, nil) {
				return
			}
		}
		c.v.mu.Lock()
		c.v.report.Listed = c.v.stats.listed.Load()
		c.v.mu.Unlock()
	}
}

// aligned goes through all sides at once. What finds an object and a partner is
// judged; the rest waits for the end of the listing, and for other spellings.
func (c *comparison) aligned(ctx context.Context) (err error) {
	objects := newStream(c.objects(ctx), func(o *r2.Object) media.Key { return o.Key }, func(o *r2.Object) error { return c.odd.Add(ctx, looseObject(o)) })
	entries := newStream(c.entries(ctx), func(e *ledger.Entry) media.Key { return e.File.Key }, func(e *ledger.Entry) error { return c.odd.Add(ctx, looseEntry(e)) })
	files := newStream(c.files(ctx), func(f *seenFile) media.Key { return f.file.Key }, func(f *seenFile) error { return c.odd.Add(ctx, looseFile(f)) })
	defer objects.stop()
	defer entries.stop()
	defer files.stop()
	if err := errors.Join(objects.advance(), entries.advance(), files.advance()); err != nil {
		return err
	}
	for objects.more || entries.more || files.more {
		t := triple{key: lowest(objects.view(), entries.view(), files.view())}
		var f seenFile
		if t.object, t.hasObject, err = objects.take(t.key); err != nil {
			return err
		}
		if t.entry, t.hasEntry, err = entries.take(t.key); err != nil {
			return err
		}
		if f, t.hasFile, err = files.take(t.key); err != nil {
			return err
		}
		t.file, t.said = f.file, f.said
		if err := c.sort(ctx, &t); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// lowest returns the first key in view; a nil one is at its end.
func lowest(views ...*media.Key) media.Key {
	var low *media.Key
	for _, k := range views {
		if k != nil && (low == nil || *k < *low) {
			low = k
		}
	}
	return *low
}

// entries is the side of what should be there, counted.
func (c *comparison) entries(ctx context.Context) iter.Seq2[ledger.Entry, error] {
	return func(yield func(ledger.Entry, error) bool) {
		var n int64
		defer func() {
			c.v.mu.Lock()
			c.v.report.Recorded = n
			c.v.mu.Unlock()
		}()
		for e, err := range c.v.Records.Entries(ctx) {
			if n++; !yield(e, err) {
				return
			}
		}
	}
}

// sort judges at once what has all its sides, which is nearly everything. The rest
// waits: the side that is missing may stand under another spelling.
func (c *comparison) sort(ctx context.Context, t *triple) error {
	if t.hasObject && t.hasEntry && !c.misses(t) {
		return c.settle(ctx, t)
	}
	var errs []error
	if t.hasFile {
		errs = append(errs, c.odd.Add(ctx, looseFile(&seenFile{t.file, t.said})))
	}
	if t.hasEntry {
		errs = append(errs, c.odd.Add(ctx, looseEntry(&t.entry)))
	}
	if t.hasObject {
		errs = append(errs, c.odd.Add(ctx, looseObject(&t.object)))
	}
	return errors.Join(errs...)
}

// misses reports whether a file might be there under another spelling.
func (c *comparison) misses(t *triple) bool { return !t.hasFile && c.disk != nil }
