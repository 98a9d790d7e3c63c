package uploader

import (
	"context"
	"errors"
	"iter"

	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

// causeNotOurs groups lost objects whose file is another one by now.
const causeNotOurs = "differs from what was moved: not sent again"

// Lost yields the files of objects that a verify found missing or different, as
// they are now, for [Uploader.Run] to send again. Whoever passes a doubt asks for
// what it takes: what is missing is created, what differs is replaced if it is still
// the object that was seen. So pass [ledger.Differs] only if that was asked for;
// doubts of other verdicts are skipped. A file that is not on disk is passed on too:
// it will count as vanished. What a cleanup run removed is passed on as that.
func Lost(ctx context.Context, doubts iter.Seq2[ledger.Doubt, error], disk Disk, removals Removals) iter.Seq2[ledger.Candidate, error] {
	return func(yield func(ledger.Candidate, error) bool) {
		for d, err := range doubts {
			if err != nil || ctx.Err() != nil {
				yield(ledger.Candidate{}, errors.Join(err, context.Cause(ctx)))
				return
			}
			if d.Verdict != ledger.Missing && d.Verdict != ledger.Differs || media.CheckKey(string(d.Key)) != nil {
				continue
			}
			c := ledger.Candidate{State: ledger.Lost}
			if d.Verdict == ledger.Differs {
				c.Seen = d.ETag
			}
			if c.File, err = disk.Stat(d.Key); err != nil {
				// Opening it will say what is wrong.
				c.File = media.File{Key: d.Key, Size: d.Size, Mode: 0o644}
			}
			c.RemovedBy, err = removals.RemovedBy(ctx, d.Key)
			switch {
			case err == nil:
				c.State = ledger.Removed
			case !errors.Is(err, ledger.ErrUnknown):
				yield(ledger.Candidate{}, err)
				return
			}
			if !yield(c, nil) {
				return
			}
		}
	}
}

// Removals say which run removed an object; a [ledger.ErrUnknown] if none did.
type Removals interface {
	RemovedBy(ctx context.Context, k media.Key) (run int64, err error)
}

// restore sends a file again whose object is missing, or replaces the object that
// was seen in its place. The file must be the one that was moved: the ledger's word
// is all there is to tell a good copy from a damaged one.
func (u *Uploader) restore(ctx context.Context, c *content, seen string) (*outcome, error) {
	old, err := u.Journal.Entry(context.WithoutCancel(ctx), c.file.Key)
	if errors.Is(err, ledger.ErrUnknown) {
		return &outcome{kind: failed, file: c.file, cause: "nothing is recorded to hold it against", detail: "mediamove sync decides about it"}, nil
	}
	if err != nil {
		return nil, stop(err)
	}
	if !c.oldBytes(&old) {
		return c.notOurs(), nil
	}
	if u.Named != nil {
		seen = "" // a row names a key, and says nothing about what stands there
	}
	o, err := u.put(ctx, c, seen)
	if err != nil || o.kind != adopted || o.entry.ETag != seen {
		return o, err
	}
	// Bytes that rot keep their ETag: only reading tells whether ours are there now.
	same, _, err := u.sameContent(ctx, c)
	if err == nil && !same {
		o = c.differs("the bucket holds other bytes under our ETag")
	}
	return o, err
}

// oldBytes reports whether c is what old is the record of, and binds c to it: what is
// hashed anew later must be the same.
func (c *content) oldBytes(old *ledger.Entry) bool {
	c.only = &old.SHA256
	return old.File.Size == c.file.Size && old.SHA256 == c.sums.sha256
}

func (c *content) notOurs() *outcome {
	return &outcome{kind: changed, file: c.file, cause: causeNotOurs, detail: "the bucket was left as it is"}
}

func whyVanished(s ledger.State) string {
	if s == ledger.Lost {
		return "lost in the bucket, and no copy on disk"
	}
	return "gone before it could be read"
}
