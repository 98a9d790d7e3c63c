package uploader

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// maxReadErrors is how many files may fail with an I/O error before the run
// stops: a failing disk should be copied, not read file by file.
const maxReadErrors = 10

// errHidden reports that a file was hidden while it waited to be sent.
var errHidden = errors.New("the file was hidden while it waited")

// errMoved reports that a file changed while it was being read.
var errMoved = errors.New("the file changed while it was read")

// move takes one file to its end. maySettle says that a file which is too fresh,
// or changes under the reading, may be put off to the end of the run. The error
// is not nil only if the whole run must stop.
func (u *Uploader) move(ctx context.Context, it item, maySettle bool) error {
	if over(ctx) {
		return nil // stays pending
	}
	o, err := u.try(ctx, it, maySettle)
	switch {
	case err == nil && o == nil: // put off
		return nil
	case err == nil:
	case errors.Is(err, errStop):
		return err
	case r2.Stops(err):
		// Nothing new begins, but what is in flight is answered and recorded.
		u.halt(err)
		return nil
	case over(ctx):
		return nil // interrupted is not failed
	case errors.Is(err, fs.ErrNotExist):
		o = &outcome{kind: vanished, file: it.file, cause: whyVanished(it.state)}
	case errors.Is(err, errMoved) && maySettle:
		return u.settle.push(it)
	case errors.Is(err, ErrUnnamed):
		o = &outcome{kind: left, file: it.file, cause: whyUnnamed(err)}
	case errors.Is(err, errHidden):
		o = &outcome{kind: heldBack, file: it.file, cause: "hidden by its mode"}
		if public(it.candidate(it.file)) {
			o = u.exposedFile(it.file)
		}
	default:
		o = &outcome{kind: failed, file: it.file, cause: cause(err), detail: err.Error()}
		if errors.Is(err, syscall.EIO) && u.readErrors.Add(1) > maxReadErrors {
			return fmt.Errorf("%w: %d files, the last is %s", ErrDisk, maxReadErrors+1, it.file.Key)
		}
	}
	if err := u.record(ctx, *o); err != nil {
		return err
	}
	u.done.Add(1)
	u.doneBytes.Add(it.file.Size)
	return nil
}

// over reports whether nothing more is to be done under ctx: what fails then says
// nothing about the file.
func over(ctx context.Context) bool { return ctx.Err() != nil }

// errStop marks failures of our own house, the ledger first of all.
var errStop = errors.New("stop")

func stop(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", errStop, err)
}

// try opens the file and decides again on what the open file says.
func (u *Uploader) try(ctx context.Context, it item, maySettle bool) (*outcome, error) {
	file, now, err := u.Disk.Open(it.file.Key)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // only read
	if o := u.again(now, it); o != nil {
		return o, nil
	}
	if e, ok := errors.AsType[*media.KeyError](media.CheckKey(u.Prefix + string(now.Key))); ok {
		return &outcome{kind: failed, file: now, cause: "its name can't be a key: " + e.Reason, detail: e.Error()}, nil
	}
	if u.Policy.fresh(now.ModTime, time.Now()) && maySettle {
		it.file = now
		return nil, u.settle.push(it)
	}
	c, err := u.load(ctx, file, now)
	if err != nil {
		return nil, err
	}
	defer c.release()
	o, err := u.place(ctx, c, it)
	if err == nil && o.entry != nil && u.hiddenSince(c) {
		// Hidden while it was on its way: the object is there, and is told at once.
		entry := o.entry
		o = u.exposedFile(c.file)
		if o.entry = entry; c.unnamed.Load() {
			o.cause = causeUnnamedSince
		}
	}
	return o, err
}

// place finds out what is to be done with a file's bytes, and does it.
func (u *Uploader) place(ctx context.Context, c *content, it item) (*outcome, error) {
	switch {
	case it.state == ledger.Touched:
		return u.touched(ctx, c)
	case u.Policy.byRows():
		return u.heal(ctx, c)
	case it.state == ledger.Lost:
		return u.restore(ctx, c, it.seen)
	case u.Listing != nil:
		return u.join(ctx, c)
	}
	return u.put(ctx, c, "")
}

// again decides anew on what the open file says: its mode and its mtime may be
// others than those the walk saw. nil lets it go on.
func (u *Uploader) again(now media.File, it item) *outcome {
	c := it.candidate(now)
	switch u.Policy.decide(c, u.Listing != nil) {
	case hold:
		return &outcome{kind: heldBack, file: now, cause: whyHeld(now)}
	case expose:
		return u.exposedFile(now)
	case leave:
		return new(u.Policy.leftOnDisk(c))
	}
	return nil
}

func (u *Uploader) exposedFile(f media.File) *outcome {
	u.exposed.Add(1)
	return &outcome{kind: heldBack, file: f, cause: causeExposed}
}

// put sends a new file, or replaces the object with this ETag.
func (u *Uploader) put(ctx context.Context, c *content, ifMatch string) (*outcome, error) {
	stored, err := u.send(ctx, c, ifMatch)
	if errors.Is(err, r2.ErrBadDigest) || errors.Is(err, r2.ErrSource) {
		// The bytes that were sent are not those that were hashed: the file changed
		// in between, or the wire lies. Once more from the start tells.
		if err := c.rehash(ctx, u); err != nil {
			return nil, err
		}
		if c.only != nil && *c.only != c.sums.sha256 {
			return c.notOurs(), nil
		}
		select {
		case <-time.After(time.Second): // R2 takes one write per second and key
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		stored, err = u.send(ctx, c, ifMatch)
	}
	switch {
	case errors.Is(err, r2.ErrExists), errors.Is(err, r2.ErrChanged):
		return u.compare(ctx, c)
	case err != nil:
		return nil, err
	case stored.Found:
		return u.proven(c, adopted, ledger.Adopted, stored.ETag), nil
	}
	o := u.proven(c, moved, ledger.Put, stored.ETag)
	if ifMatch != "" {
		o.kind = replaced
	}
	return o, nil
}

func (u *Uploader) send(ctx context.Context, c *content, ifMatch string) (r2.Stored, error) {
	up := r2.Upload{
		Key: c.file.Key, Size: c.file.Size, MD5: c.sums.md5, SHA256: c.sums.sha256,
		ContentType: c.contentType, ModTime: c.file.ModTime, Body: c.body, IfMatch: ifMatch,
		Before: func() error { return u.mayBeSent(ctx, c) },
	}
	if c.partSize == 0 {
		return u.Bucket.Put(ctx, up)
	}
	return u.Bucket.PutLarge(ctx, r2.Large{
		Upload: up, PartSize: c.partSize, PartMD5: c.sums.parts,
		Started: func(ctx context.Context, id string) error {
			return stop(u.Parts.AddUpload(ctx, ledger.Upload{Key: up.Key, ID: id, Run: u.Policy.Run, At: time.Now()}))
		},
		Ended: func(ctx context.Context, id string) error { return stop(u.Parts.RemoveUpload(ctx, id)) },
	})
}

// proven is the outcome of a file whose bytes are in the bucket.
func (u *Uploader) proven(c *content, k kind, origin ledger.Origin, etag string) *outcome {
	e := &ledger.Entry{
		File: c.file, MD5: c.sums.md5, SHA256: c.sums.sha256, ETag: etag, PartSize: c.partSize,
		Origin: origin, Untyped: !c.typed, Run: u.Policy.Run, At: time.Now(),
	}
	return &outcome{kind: k, file: c.file, entry: e}
}

// touched decides about a file that the ledger knows with another size, mtime or inode.
func (u *Uploader) touched(ctx context.Context, c *content) (*outcome, error) {
	old, err := u.Journal.Entry(context.WithoutCancel(ctx), c.file.Key)
	if err != nil {
		return nil, stop(err)
	}
	if old.File.Size == c.file.Size && old.SHA256 == c.sums.sha256 {
		// Same bytes under another mtime or inode: the evidence is renewed.
		old.File = c.file // not old.Run: nobody has asked the bucket anew
		return &outcome{kind: known, file: c.file, entry: &old}, nil
	}
	switch {
	case old.Origin != ledger.Put:
		return c.left("differs from what was adopted"), nil
	case u.Named != nil, !media.MayRewrite(c.file, c.head): // a row names a key, and no bytes
		return c.left("differs from what was moved"), nil
	case u.Policy.Switched && !u.Policy.newSince(c.file.ModTime):
		return c.left("differs from what was moved; after the switch"), nil
	}
	return u.put(ctx, c, old.ETag)
}

func (c *content) left(why string) *outcome {
	return &outcome{kind: changed, file: c.file, cause: why, detail: "the object was left alone: it may be the only good copy"}
}

// A content is one file's bytes, hashed.
type content struct {
	file        media.File
	src         *os.File
	body        io.ReaderAt
	head        []byte
	sums        digests
	partSize    int64 // 0: one PUT
	contentType string
	typed       bool
	only        *[32]byte // SHA-256 of the bytes that may be sent; nil: whatever is on disk
	unnamed     atomic.Bool
	free        func()
}

func (c *content) release() {
	if c.free != nil {
		c.free()
	}
}

// mayBeSent looks at the open file right before it is sent: what waited for its
// turn, or through an outage, may have been hidden or deleted meanwhile.
func (c *content) mayBeSent() error {
	info, err := c.src.Stat()
	if err != nil {
		return err
	}
	if (media.File{Mode: info.Mode()}).Hidden() {
		return errHidden
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Nlink == 0 {
		return fmt.Errorf("%s: %w", c.file.Key, fs.ErrNotExist)
	}
	return nil
}

// verifyUnchanged makes sure that what was hashed is one state of the file.
func (c *content) verifyUnchanged() error {
	info, err := c.src.Stat()
	if err != nil {
		return err
	}
	if info.Size() != c.file.Size || !info.ModTime().Equal(c.file.ModTime) {
		return errMoved
	}
	return nil
}
