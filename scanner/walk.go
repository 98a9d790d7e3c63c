package scanner

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"example.org/mediamove/media"
)

const (
	batchSize = 256 // files that travel together: one channel operation costs as much as a few
	bufSize   = 32 << 10
	queued    = 8 // batches that may wait for the consumer
)

// spawnDepth is how far below a class folder subtrees are still given to other
// workers: class/files/109/123, some hundred files each. Below that, handing
// over costs more than it brings.
const spawnDepth = 3

type item struct {
	file media.File
	err  error
}

type batch struct{ items []item }

// A walk is one pass over the tree.
type walk struct {
	tree    *Tree
	only    string // the one top folder to walk; "" for all
	done    <-chan struct{}
	out     chan *batch
	group   errgroup.Group
	batches sync.Pool
	readers sync.Pool
}

// Files yields the regular files below Mastodon's media folders, one top folder
// after the other in the order of [media.TopFolders], in no order within one.
// Hidden and private ones are among them. Everything else comes as a file of
// which only the Key is sure, and a [*Problem]. Any other error is the cause of
// ctx's end: there was more to come.
//
// The walk runs ahead of the consumer, but not far. When the loop ends, early or
// not, all of it has ended.
func (t *Tree) Files(ctx context.Context) iter.Seq2[media.File, error] { return t.files(ctx, "") }

// files walks one top folder, or all for "".
func (t *Tree) files(ctx context.Context, top string) iter.Seq2[media.File, error] {
	return func(yield func(media.File, error) bool) {
		walking, cancel := context.WithCancel(ctx)
		w := t.newWalk(walking.Done())
		w.only = top
		defer func() { // also if the consumer panics
			cancel()
			for range w.out { // until all of the walk has ended
			}
		}()
		go w.run()
		for b := range w.out {
			if ctx.Err() != nil {
				break
			}
			for i := range b.items {
				if !yield(b.items[i].file, b.items[i].err) {
					return
				}
			}
			clear(b.items) // or the keys of a long gone batch stay in memory
			b.items = b.items[:0]
			w.batches.Put(b)
		}
		if ctx.Err() != nil {
			yield(media.File{}, context.Cause(ctx))
		}
	}
}

func (t *Tree) newWalk(done <-chan struct{}) *walk {
	w := &walk{tree: t, done: done, out: make(chan *batch, queued)}
	w.group.SetLimit(t.workers)
	w.batches.New = func() any { return &batch{items: make([]item, 0, batchSize)} }
	w.readers.New = func() any {
		return &reader{walk: w, buf: make([]byte, bufSize), batch: w.batches.Get().(*batch)}
	}
	return w
}

func (w *walk) run() {
	defer close(w.out)
	r := w.readers.Get().(*reader)
	defer r.flush()
	fd, err := openat(w.tree.fd, ".", dirFlags) // with an offset of its own
	if err != nil {
		r.failed("", "open", err)
		return
	}
	r.level(fd)
}

// subtree reads the directory fd, named dir, in a goroutine of its own.
func (w *walk) subtree(fd int, dir string, at place) {
	r := w.readers.Get().(*reader)
	r.path = append(r.path[:0], dir...)
	r.directory(fd, at)
	r.flush()
	w.readers.Put(r)
}

// level reads a directory in which every name is known, the root or cache, and
// walks the folders in their order. Their workers have all ended when it returns.
func (r *reader) level(fd int) {
	defer closeFD(fd)
	found := r.known(fd)
	for _, name := range media.TopFolders() {
		if r.passOver(name) {
			continue
		}
		if typ, ok := found[name]; ok && !r.stopped() {
			r.folder(fd, name, typ)
		}
	}
}

// passOver reports whether a walk of one folder does not concern this one.
func (r *reader) passOver(name string) bool {
	if r.only == "" {
		return false
	}
	full := string(r.path) + name
	return full != r.only && !strings.HasPrefix(r.only, full+"/") && !strings.HasPrefix(full, r.only+"/")
}

// known returns the types of the known folders, and reports everything else.
func (r *reader) known(fd int) map[string]uint8 {
	found := make(map[string]uint8)
	for entries := range r.chunks(fd) {
		for _, d := range entries {
			name, typ := string(d.name), d.typ
			if !r.isKnown(name) {
				r.report(name, Outside, errOutside)
				continue
			}
			if typ == unix.DT_UNKNOWN {
				typ = r.lookUp(fd, name)
			}
			switch typ {
			case unix.DT_DIR, unix.DT_LNK:
				found[name] = typ
			case unix.DT_UNKNOWN: // lookUp said why
			default:
				r.report(name, Outside, errOutside)
			}
		}
	}
	return found
}

func (r *reader) isKnown(name string) bool {
	inRoot := len(r.path) == 0
	return media.Key(name+"/x").Class() != media.Outside || inRoot && name == cacheFolder
}

// folder walks one known folder to its end.
func (r *reader) folder(parent int, name string, typ uint8) {
	enter := r.enter
	if typ == unix.DT_LNK {
		enter = r.enterLink
	}
	fd, ok := enter(parent, name)
	if !ok {
		return
	}
	above := len(r.path)
	r.path = append(append(r.path, name...), '/')
	if string(r.path) == cacheFolder+"/" {
		r.level(fd)
	} else {
		r.flush()
		dir := string(r.path)
		r.group.Go(func() error {
			r.subtree(fd, dir, place{plain: true})
			return nil
		})
		_ = r.group.Wait() // workers report, they do not fail
	}
	r.path = r.path[:above]
}

// enterLink opens a top folder that is a link, if that is allowed: what it led
// to when the tree was opened, whatever is in its parent by now.
func (r *reader) enterLink(_ int, name string) (fd int, ok bool) {
	l, allowed := r.tree.links[name]
	if len(r.path) > 0 || !allowed {
		r.report(name, Link, errLink)
		return -1, false
	}
	fd, err := l.fd, l.err
	if err == nil {
		fd, err = openat(l.fd, ".", dirFlags)
	}
	if err != nil {
		r.report(name, Unreadable, fmt.Errorf("open: %w", err))
	}
	return fd, err == nil
}
