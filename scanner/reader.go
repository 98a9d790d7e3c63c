package scanner

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"example.org/mediamove/media"
)

// maxHeld is how many subdirectories of one directory are remembered, so that
// they are walked in the order of their names. For Mastodon's ids that is the
// order of their making: near the order on disk, and that of the ledger. A
// directory with more is walked in groups of about this size.
const maxHeld = 4 << 10

// A reader walks one subtree, with one set of buffers.
type reader struct {
	*walk
	path    []byte // of the directory being read, with "/" at the end; empty for the root
	buf     []byte
	entries []dirent // point into buf
	pending []sub    // subdirectories of this directory and of all above it
	st      unix.Statx_t
	batch   *batch
}

// A place is what a directory or file has from its path.
type place struct {
	depth int  // below the class folder
	plain bool // plain names only: nothing to check but the length
	twin  bool // it, or a directory above it, has a twin
}

type sub struct {
	name string
	place
}

// directory reads the directory fd, which r.path names, and all below it, and
// closes it.
func (r *reader) directory(fd int, at place) {
	defer closeFD(fd)
	held := len(r.pending)
	var odd []oddName
	for entries := range r.chunks(fd) {
		for _, d := range entries {
			if d.typ == unix.DT_UNKNOWN {
				d.typ = r.lookUp(fd, string(d.name))
			}
			if !d.plain && (d.typ == unix.DT_REG || d.typ == unix.DT_DIR) {
				odd = append(odd, oddName{string(d.name), media.Normal(string(d.name)), d.typ})
				continue
			}
			r.visit(fd, d, at)
		}
		if len(r.pending)-held >= maxHeld {
			r.descend(fd, held)
		}
	}
	r.visitOdd(fd, odd, at)
	r.descend(fd, held)
}

// chunks yields the entries of the directory fd, as many as fit into the
// buffer. They are gone when the loop's body reads another directory.
func (r *reader) chunks(fd int) iter.Seq[[]dirent] {
	return func(yield func([]dirent) bool) {
		for !r.stopped() {
			n, err := r.tree.getdents(fd, r.buf)
			if err == unix.EINTR {
				continue
			}
			if err != nil {
				r.failed("", "read", err)
				return
			}
			if n == 0 {
				return
			}
			r.entries, err = parseDirents(r.entries[:0], r.buf[:n])
			if !yield(r.entries) {
				return
			}
			if err != nil {
				r.failed("", "read", err)
				return
			}
		}
	}
}

// visit handles one name of the directory fd.
func (r *reader) visit(fd int, d dirent, at place) {
	switch d.typ {
	case unix.DT_DIR:
		at.depth++
		r.pending = append(r.pending, sub{string(d.name), at})
	case unix.DT_REG:
		r.file(fd, d, at)
	case unix.DT_LNK:
		r.report(string(d.name), Link, errLink)
	case unix.DT_UNKNOWN: // lookUp said why
	default:
		r.report(string(d.name), Special, specialError(d.typ))
	}
}

func (r *reader) file(fd int, d dirent, at place) {
	above := len(r.path)
	r.path = append(r.path, d.name...)
	key := string(r.path)
	r.path = r.path[:above]
	if err := statx(fd, key[above:], &r.st); err != nil {
		r.failed(key[above:], "stat", err)
		return
	}
	if d.typ = typeOf(&r.st); d.typ != unix.DT_REG { // it has just become something else
		r.visit(fd, d, at)
		return
	}
	f := fileOf(media.Key(key), &r.st)
	if !at.plain || len(key) > media.MaxKeyLen {
		if err := media.CheckKey(key); err != nil {
			r.add(f, &Problem{f.Key, BadName, err})
			return
		}
	}
	if at.twin {
		r.add(f, &Problem{f.Key, Twin, errTwin})
		return
	}
	r.add(f, nil)
}

// An oddName is a name that may have a twin. It has to wait until all names of
// the directory are known.
type oddName struct {
	name, normal string
	typ          uint8
}

func (r *reader) visitOdd(fd int, odd []oddName, at place) {
	slices.SortFunc(odd, func(a, b oddName) int { return strings.Compare(a.normal, b.normal) })
	at.plain = false
	for i, o := range odd {
		here := at
		here.twin = at.twin ||
			i > 0 && odd[i-1].normal == o.normal ||
			i+1 < len(odd) && odd[i+1].normal == o.normal
		r.visit(fd, dirent{name: []byte(o.name), typ: o.typ}, here)
	}
}

// descend walks the directories in fd that are pending since held.
func (r *reader) descend(fd, held int) {
	slices.SortFunc(r.pending[held:], func(a, b sub) int { return strings.Compare(a.name, b.name) })
	above := len(r.path)
	for i := held; i < len(r.pending) && !r.stopped(); i++ {
		s := r.pending[i]
		if above+len(s.name) > media.MaxKeyLen { // nothing in there can be a key: end of descent
			r.report(s.name, BadName, media.CheckKey(string(r.path)+s.name))
			continue
		}
		below, ok := r.enter(fd, s.name)
		if !ok {
			continue
		}
		r.path = append(append(r.path, s.name...), '/')
		if s.depth > spawnDepth || !r.handOver(below, s.place) {
			r.directory(below, s.place)
		}
		r.path = r.path[:above]
	}
	clear(r.pending[held:])
	r.pending = r.pending[:held]
}

// handOver gives the directory fd, which r.path names, to another worker, if
// one is free.
func (r *reader) handOver(fd int, at place) bool {
	w, dir := r.walk, string(r.path)
	return w.group.TryGo(func() error {
		w.subtree(fd, dir, at)
		return nil
	})
}

// enter opens the directory name in parent, or reports why not.
func (r *reader) enter(parent int, name string) (fd int, ok bool) {
	fd, mount, err := r.tree.openDir(parent, name)
	switch {
	case err == unix.ENOTDIR || err == unix.ELOOP: // it has just become something else
		if r.lookUp(parent, name) == unix.DT_LNK {
			r.report(name, Link, errLink)
			return fd, false
		}
		fallthrough
	case err != nil:
		r.failed(name, "open", err)
	case mount:
		r.report(name, Mount, errMount)
	}
	return fd, err == nil
}

// lookUp returns the type of name in dir; DT_UNKNOWN if that is reported.
func (r *reader) lookUp(dir int, name string) uint8 {
	if err := statx(dir, name, &r.st); err != nil {
		r.failed(name, "stat", err)
		return unix.DT_UNKNOWN
	}
	return typeOf(&r.st)
}

// failed reports what went wrong with name in the directory being read, or with
// that itself if name is empty. What is not there any more is no failure: the
// instance is running.
func (r *reader) failed(name, op string, err error) {
	if err == unix.ENOENT {
		return
	}
	r.report(name, Unreadable, fmt.Errorf("%s: %w", op, err))
}

func (r *reader) report(name string, kind Kind, err error) {
	k := media.Key(strings.TrimSuffix(string(r.path)+name, "/"))
	if k == "" {
		k = "."
	}
	r.add(media.File{Key: k}, &Problem{k, kind, err})
}

func (r *reader) add(f media.File, p *Problem) {
	it := item{file: f}
	if p != nil {
		it.err = p
	}
	r.batch.items = append(r.batch.items, it)
	if len(r.batch.items) == cap(r.batch.items) {
		r.flush()
	}
}

// flush hands on what has been found. It blocks while the consumer is behind.
func (r *reader) flush() {
	if len(r.batch.items) == 0 {
		return
	}
	select {
	case r.out <- r.batch:
	case <-r.done:
	}
	r.batch = r.batches.Get().(*batch)
}

func (r *reader) stopped() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}
