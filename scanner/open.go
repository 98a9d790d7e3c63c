package scanner

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"example.org/mediamove/media"
)

// ErrNotRegular is the cause if Open or Stat meets a link, folder, FIFO, socket
// or device in the place of a file.
var ErrNotRegular = errors.New("not a regular file")

// Open opens the file of k for reading, and says what it is. Neither k nor
// anything in the tree leads out of the root: no link is followed, except the
// top folders that Options allow. It never blocks on a FIFO. Errors are
// [*fs.PathError].
func (t *Tree) Open(k media.Key) (*os.File, media.File, error) {
	fd, f, err := t.open(k, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return nil, media.File{}, &fs.PathError{Op: "open", Path: string(k), Err: err}
	}
	return os.NewFile(uintptr(fd), string(k)), f, nil
}

// Stat looks at the file of k without opening it: it need not be readable.
// Otherwise it is like Open.
func (t *Tree) Stat(k media.Key) (media.File, error) {
	fd, f, err := t.open(k, unix.O_PATH)
	if err != nil {
		return media.File{}, &fs.PathError{Op: "stat", Path: string(k), Err: err}
	}
	return f, unix.Close(fd)
}

func (t *Tree) open(k media.Key, flags int) (int, media.File, error) {
	if !fs.ValidPath(string(k)) {
		return 0, media.File{}, fs.ErrInvalid
	}
	dir, name := t.fd, string(k)
	if top, below, ok := strings.Cut(name, "/"); ok {
		if l, linked := t.links[top]; linked {
			if l.err != nil {
				return 0, media.File{}, l.err
			}
			dir, name = l.fd, below
		}
	}
	fd, err := t.openBeneath(dir, name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC)
	if err != nil {
		return 0, media.File{}, err
	}
	var st unix.Statx_t
	if err = statx(fd, "", &st); err == nil && typeOf(&st) != unix.DT_REG {
		err = ErrNotRegular
	}
	if err != nil {
		closeFD(fd)
		return 0, media.File{}, err
	}
	return fd, fileOf(k, &st), nil
}

// openBeneath opens the path name below dir without following any link.
func (t *Tree) openBeneath(dir int, name string, flags int) (fd int, err error) {
	if t.beneath {
		fd, err = openat2(dir, name, &unix.OpenHow{
			Flags:   uint64(flags),
			Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
		})
	} else {
		fd, err = openStepwise(dir, name, flags)
	}
	switch err {
	case unix.ELOOP, unix.ENXIO: // a link; a socket
		err = ErrNotRegular
	}
	return fd, err
}

// openStepwise is what openat2 does, for kernels without it.
func openStepwise(dir int, name string, flags int) (int, error) {
	fd := dir
	defer func() {
		if fd != dir {
			closeFD(fd)
		}
	}()
	for {
		folder, below, more := strings.Cut(name, "/")
		if !more {
			return openat(fd, name, flags)
		}
		next, err := openat(fd, folder, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC)
		if err != nil {
			return -1, err
		}
		if fd != dir {
			closeFD(fd)
		}
		fd, name = next, below
	}
}
