package uploader

import (
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"

	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

// recheck is what [Uploader.touched] would make of a file that the ledger knows with
// another size, mtime or inode.
func (p *planner) recheck(c ledger.Candidate) error {
	change, err := p.lookInto(c)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.Vanished++
	case err != nil:
		p.Failed++ // as for a sync: it can't be read
	case change == rewritten:
		p.Replaced++
		p.Grown += c.File.Size - c.Entry.File.Size
		p.add(c.File)
	case change == renewed:
		p.Present++
	default:
		p.Changed++
	}
	return nil
}

type change uint8

const (
	otherwise change = iota // not sent, whatever it is
	rewritten               // by Mastodon: replaces the object
	renewed                 // the same bytes
)

// lookInto reads a file only if it can be a rewrite by all that is known without
// reading. One with the size and mtime that were moved is the same file on another
// disk: a transcoding has a new mtime.
func (p *planner) lookInto(c ledger.Candidate) (_ change, err error) {
	e := c.Entry
	if p.Disk == nil || e == nil || e.Origin != ledger.Put || !p.nameable(c.File.Key) ||
		p.Policy.Switched && !p.Policy.newSince(c.File.ModTime) ||
		e.File.Size == c.File.Size && e.File.ModTime.Equal(c.File.ModTime) {
		return otherwise, nil
	}
	if !media.MayRewrite(c.File, anyVideo()) {
		return otherwise, nil
	}
	file, now, err := p.Disk.Open(c.File.Key)
	if err != nil {
		return otherwise, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	head := make([]byte, media.SniffLen)
	n, err := file.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return otherwise, err
	}
	if now.Size == e.File.Size {
		if same, err := sameSum(file, e.SHA256); err != nil || same {
			return renewed, err
		}
	}
	if media.MayRewrite(now, head[:n]) {
		return rewritten, nil
	}
	return otherwise, nil
}

// anyVideo is a beginning that [media.MayRewrite] takes for one, to ask it about the
// name and the time alone.
func anyVideo() []byte { return []byte("OggS") }

func sameSum(file *os.File, want [32]byte) (bool, error) {
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return false, err
	}
	return [32]byte(sum.Sum(nil)) == want, nil
}
