package verify

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// settle brings a triple to its verdict. What takes reading is done beside the
// comparison, a few at a time.
func (c *comparison) settle(ctx context.Context, t *triple) error {
	if err := c.v.askWhoRemoved(ctx, t); err != nil {
		return err
	}
	c.v.sawForeign(t)
	r := c.v.Policy.judge(t, c.v.Disk != nil && c.v.report.WholeDisk)
	if r.next != decided {
		t, next := *t, r.next
		c.later.Go(func() error {
			r, err := c.resolve(ctx, &t, next)
			if err != nil {
				return err
			}
			return c.conclude(ctx, &t, r)
		})
		return nil
	}
	if r.verdict == NeverUploaded {
		r.cause = c.v.whyNot(ctx, t, r.cause)
	}
	return c.conclude(ctx, t, r)
}

// askWhoRemoved finds out whether a cleanup run removed what is not there.
func (v *Verifier) askWhoRemoved(ctx context.Context, t *triple) (err error) {
	if t.hasObject || v.Removals == nil {
		return nil
	}
	t.removedBy, err = v.Removals.RemovedBy(ctx, t.key)
	if errors.Is(err, ledger.ErrUnknown) {
		return nil
	}
	return err
}

// whyNot asks what the last sync said of a file that is not in the bucket.
func (v *Verifier) whyNot(ctx context.Context, t *triple, otherwise string) string {
	f, err := v.Remarks.Finding(ctx, t.key)
	if err != nil || f.Cause == "" {
		return otherwise
	}
	return string(f.Kind) + ": " + f.Cause
}

// resolve looks at bytes where names, sizes and ETags don't tell.
func (c *comparison) resolve(ctx context.Context, t *triple, next step) (ruling, error) {
	var r ruling
	var err error
	switch next {
	case readFile:
		r, err = c.readFile(t)
	case hashFile:
		r, err = c.hashFile(ctx, t)
	default:
		r, err = c.v.readObject(ctx, t, t.entry.SHA256)
	}
	switch {
	case err == nil:
		return r, nil
	case ctx.Err() != nil:
		return r, context.Cause(ctx)
	case r2.Stops(err):
		return r, err
	}
	c.v.unknown(err.Error())
	r = because(Unread, "could not be read", "%v", err)
	if next == readObject && t.hasEntry {
		// Its ETag is not the recorded one: no proof stands before somebody has read it.
		r.as = ledger.Differs
	}
	return r, nil
}

// readFile compares a file whose size, mtime or inode changed with what was moved.
func (c *comparison) readFile(t *triple) (ruling, error) {
	file, now, err := c.v.Disk.Open(t.file.Key)
	if errors.Is(err, fs.ErrNotExist) {
		return rule(Same, ""), nil // deleted during this run: the next one tells
	}
	if err != nil {
		return ruling{}, fmt.Errorf("read %s: %w", t.file.Key, err)
	}
	defer func() { _ = file.Close() }() // only read
	if now.Hidden() {
		return rule(Exposed, "hidden on disk during this run, but readable in the bucket"), nil
	}
	sum := sha256.New()
	n, err := io.Copy(sum, file)
	if err != nil {
		return ruling{}, fmt.Errorf("read %s: %w", t.file.Key, err)
	}
	if n == t.entry.File.Size && [32]byte(sum.Sum(nil)) == t.entry.SHA256 {
		return rule(Same, ""), nil
	}
	return rule(ChangedOnDisk, "the disk holds other bytes than were moved"), nil
}

// hashFile compares a file with an object that the ledger does not know.
func (c *comparison) hashFile(ctx context.Context, t *triple) (ruling, error) {
	file, now, err := c.v.Disk.Open(t.file.Key)
	if errors.Is(err, fs.ErrNotExist) {
		return c.v.Policy.extra("gone from disk during this run"), nil
	}
	if err != nil {
		return ruling{}, fmt.Errorf("read %s: %w", t.file.Key, err)
	}
	defer func() { _ = file.Close() }() // only read
	if now.Hidden() {
		return rule(Exposed, "hidden on disk during this run, but readable in the bucket"), nil
	}
	long, short := sha256.New(), md5.New()
	if _, err := io.Copy(io.MultiWriter(long, short), file); err != nil {
		return ruling{}, fmt.Errorf("read %s: %w", t.file.Key, err)
	}
	same, certain, err := r2.SameBytes(t.object.ETag, t.object.Size, [16]byte(short.Sum(nil)), file)
	switch {
	case err != nil:
		return ruling{}, fmt.Errorf("read %s: %w", t.file.Key, err)
	case !certain:
		return c.v.readObject(ctx, t, [32]byte(long.Sum(nil)))
	case !same:
		return rule(Differs, "the bucket holds other bytes than the disk"), nil
	}
	return rule(Same, ""), unchanged(file, now)
}

var errChanging = errors.New("the file changed while it was read")

func unchanged(file *os.File, was media.File) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.Size() != was.Size || !info.ModTime().Equal(was.ModTime) {
		return fmt.Errorf("%s: %w", was.Key, errChanging)
	}
	return nil
}

// readObject reads an object whose ETag does not tell (one Class B).
func (v *Verifier) readObject(ctx context.Context, t *triple, want [32]byte) (ruling, error) {
	got, err := v.fetch(ctx, t.key)
	switch {
	case errors.Is(err, r2.ErrNotFound):
		return rule(Missing, "deleted while it was looked at"), nil
	case err != nil:
		return ruling{}, err
	case got.size != t.object.Size || got.sha256 != want:
		if t.hasEntry && v.Policy.newer(t) {
			return rule(Rewritten, "newer than our PUT, with other bytes"), nil
		}
		return rule(Differs, "read back: the bucket holds other bytes"), nil
	}
	if !t.hasEntry {
		return rule(Same, ""), nil
	}
	return rule(Same, ""), v.proveRead(ctx, &t.entry, got)
}

// proveRead records that an object was read back whole.
func (v *Verifier) proveRead(ctx context.Context, e *ledger.Entry, got fetched) error {
	return v.Notes.AddEvidence(ctx, ledger.Evidence{
		Key: e.File.Key, Level: ledger.ReadBack, Op: costs.GetObject, ETag: got.head.ETag,
		Detail: fmt.Sprintf("%d bytes, SHA-256 as recorded", got.size), Run: v.Policy.Run, At: time.Now(),
	})
}
