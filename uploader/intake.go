package uploader

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"strings"
	"sync"
	"time"

	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
	"example.org/mediamove/scanner"
)

// firstFiles is how many files are looked at before the first PUT, to tell a
// umask from a decision to hide.
const firstFiles = 1000

// walkState is what the intake learns of the tree as a whole.
type walkState struct {
	gate chan struct{} // closed when the first PUT is allowed

	mu         sync.Mutex
	tops       map[string]int64 // regular files seen, by top folder
	incomplete bool             // something could not be read
	ended      bool             // the walk came to its end
}

// take is the intake: it decides what needs no request and queues the rest. It
// returns an error only if the run must stop.
func (u *Uploader) take(ctx context.Context, files iter.Seq2[ledger.Candidate, error]) error {
	defer u.queue.finish()
	first := make([]ledger.Candidate, 0, firstFiles)
	var look sample
	for c, err := range files {
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			if err := u.problem(ctx, c.File, err); err != nil {
				return err
			}
			continue
		}
		u.seenFile(c.File)
		if first == nil {
			if err := u.decided(ctx, c); err != nil {
				return err
			}
			continue
		}
		first = append(first, c)
		if look.add(c.File); len(first) == firstFiles {
			if err := u.openGate(ctx, first, look); err != nil {
				return err
			}
			first = nil
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	if first != nil {
		if err := u.openGate(ctx, first, look); err != nil {
			return err
		}
	}
	u.endWalk()
	return nil
}

// A sample is the first files of a tree, by which a umask is told from a decision
// to hide. A plan asks it as a sync does.
type sample struct{ seen, hidden int }

func (s *sample) add(f media.File) {
	if s.seen == firstFiles {
		return
	}
	s.seen++
	if f.Hidden() {
		s.hidden++
	}
}

func (s *sample) verdict() error {
	if 2*s.hidden > s.seen {
		return fmt.Errorf("%w: %d of %d", ErrHiddenTree, s.hidden, s.seen)
	}
	return nil
}

func (u *Uploader) openGate(ctx context.Context, first []ledger.Candidate, look sample) error {
	// Earlier failures, or what rows name, are no sample of the tree.
	if err := look.verdict(); err != nil && !u.Retry && u.Named == nil {
		return err
	}
	close(u.walk.gate)
	for _, c := range first {
		if err := u.decided(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

func (u *Uploader) seenFile(f media.File) {
	top := topOf(f.Key)
	u.seen.Add(1)
	u.walk.mu.Lock()
	u.walk.tops[top]++
	u.walk.mu.Unlock()
}

// topOf is the folder whose emptiness would be suspicious: "accounts", or
// "cache/accounts", which may stand on a disk of its own.
func topOf(k media.Key) string {
	top, below, _ := strings.Cut(string(k), "/")
	if k.Cached() {
		class, _, _ := strings.Cut(below, "/")
		top += "/" + class
	}
	return top
}

func (u *Uploader) endWalk() {
	u.walk.mu.Lock()
	u.walk.ended = true
	u.walk.mu.Unlock()
	u.walkDone.Store(true)
}

// decided acts on the verdict about one file.
func (u *Uploader) decided(ctx context.Context, c ledger.Candidate) error {
	f := c.File
	switch u.Policy.decide(c, u.Listing != nil) {
	case present:
		return u.record(ctx, outcome{kind: known, file: f})
	case hold:
		return u.held(ctx, f)
	case expose:
		return u.record(ctx, *u.exposedFile(f))
	case leave:
		return u.record(ctx, u.Policy.leftOnDisk(c))
	}
	if c.State != ledger.Touched && u.Gone[f.Key] {
		return u.record(ctx, outcome{kind: conflict, file: f, cause: causeGone, detail: "an earlier run found it deleted by somebody else; not sent again"})
	}
	u.toSend.Add(1)
	u.toSendBytes.Add(f.Size)
	return u.queue.push(itemOf(c))
}

// held holds a file back. While joining, the listing may show that somebody else
// has published it.
func (u *Uploader) held(ctx context.Context, f media.File) error {
	if u.Listing != nil {
		_, public, err := u.Listing.Listed(context.WithoutCancel(ctx), f.Key)
		if err != nil {
			return err
		}
		if public {
			return u.record(ctx, *u.exposedFile(f))
		}
	}
	return u.record(ctx, outcome{kind: heldBack, file: f, cause: whyHeld(f)})
}

func whyHeld(f media.File) string {
	if f.Key.Private() {
		return "private class " + string(f.Key.Class())
	}
	return "hidden by its mode"
}

// problem counts and notes what the scanner could not pass on as a file.
func (u *Uploader) problem(ctx context.Context, f media.File, err error) error {
	p, ok := errors.AsType[*scanner.Problem](err)
	switch {
	case !ok && over(ctx):
		return nil
	case !ok:
		return err // the ledger, or the walk itself
	}
	note := ledger.Finding{Key: p.Path, Cause: problemCause(p), Detail: p.Error(), Run: u.Policy.Run, At: time.Now()}
	switch p.Kind {
	case scanner.Mount:
		u.Log.InfoContext(ctx, "entering another file system", "path", p.Path)
		return nil
	case scanner.BadName, scanner.Twin:
		u.seenFile(f)
		return u.record(ctx, outcome{kind: failed, file: media.File{Key: p.Path, Size: f.Size}, cause: problemCause(p), detail: p.Error()})
	case scanner.Outside:
		u.outside.Add(1)
		note.Kind = ledger.Outside
	case scanner.Link:
		u.links.Add(1)
		note.Kind = ledger.Link
	case scanner.Special:
		u.special.Add(1)
		note.Kind = ledger.Special
	default:
		u.unreadable.Add(1)
		note.Kind = ledger.Unreadable
	}
	if p.Incomplete() || p.Kind == scanner.Link { // a link may lead to a folder full of media
		u.Log.WarnContext(ctx, "not looked at", "path", p.Path, "why", p.Error())
		u.spoilWalk()
	}
	u.Log.DebugContext(ctx, "not moved", "path", p.Path, "why", p.Error())
	return u.Journal.Note(context.WithoutCancel(ctx), note)
}

// problemCause groups problems; the name itself stays out of it.
func problemCause(p *scanner.Problem) string {
	if p.Kind == scanner.Twin {
		return causeTwin
	}
	if e, ok := errors.AsType[*media.KeyError](p.Err); ok {
		return "its name can't be a key: " + e.Reason
	}
	if e, ok := errors.AsType[*fs.PathError](p.Err); ok {
		return e.Err.Error()
	}
	return p.Err.Error()
}

func (u *Uploader) spoilWalk() {
	u.walk.mu.Lock()
	u.walk.incomplete = true
	u.walk.mu.Unlock()
}

// Ended reports whether the walk came to its end, whole or not.
func (u *Uploader) Ended() bool { return u.walkDone.Load() }

// Walk says whether every folder was read and every file decided (a whole walk),
// and how many files stand below each top folder. Call it after Run.
func (u *Uploader) Walk() (whole bool, tops map[string]int64) {
	u.walk.mu.Lock()
	defer u.walk.mu.Unlock()
	whole = u.walk.ended && !u.walk.incomplete && u.Stats().Pending == 0
	return whole, maps.Clone(u.walk.tops)
}
