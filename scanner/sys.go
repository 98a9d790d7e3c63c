package scanner

import (
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"example.org/mediamove/media"
)

// dirFlags opens a directory and nothing else; O_NONBLOCK in case it has become
// something else that would block.
const dirFlags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC

// statMask is what a media.File needs.
const statMask = unix.STATX_TYPE | unix.STATX_MODE | unix.STATX_INO | unix.STATX_SIZE | unix.STATX_MTIME

// Each of these may be interrupted on a network file system, as in package os.

func openat(dir int, name string, flags int) (int, error) {
	for {
		fd, err := unix.Openat(dir, name, flags, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

func openat2(dir int, name string, how *unix.OpenHow) (int, error) {
	for {
		fd, err := unix.Openat2(dir, name, how)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// closeFD closes what was only read: there is nothing to lose.
func closeFD(fd int) { _ = unix.Close(fd) }

// statx looks at name in dir, or at dir itself if name is empty.
func statx(dir int, name string, st *unix.Statx_t) error {
	flags := unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT
	if name == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	for {
		if err := unix.Statx(dir, name, flags, statMask, st); err != unix.EINTR {
			return err
		}
	}
}

// hasOpenat2 asks once: it came with Linux 5.6, and containers may forbid it.
func hasOpenat2(dir int) bool {
	fd, err := openat2(dir, ".", &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_XDEV,
	})
	if err != nil {
		return false
	}
	closeFD(fd)
	return true
}

// openDir opens the directory name in dir and reports whether it is the root of
// a mounted file system. RESOLVE_NO_XDEV tells that for nothing.
func (t *Tree) openDir(dir int, name string) (fd int, mount bool, err error) {
	if t.beneath {
		fd, err = openat2(dir, name, &unix.OpenHow{Flags: dirFlags, Resolve: unix.RESOLVE_NO_XDEV})
		if err != unix.EXDEV {
			return fd, false, err
		}
		fd, err = openat(dir, name, dirFlags)
		return fd, err == nil, err
	}
	if fd, err = openat(dir, name, dirFlags); err != nil {
		return fd, false, err
	}
	var above, here unix.Statx_t
	known := statx(dir, "", &above) == nil && statx(fd, "", &here) == nil
	return fd, known && (above.Dev_major != here.Dev_major || above.Dev_minor != here.Dev_minor), nil
}

// fileOf translates st. The mode is as os.Lstat gives it.
func fileOf(k media.Key, st *unix.Statx_t) media.File {
	return media.File{
		Key:     k,
		Size:    int64(st.Size),
		ModTime: time.Unix(st.Mtime.Sec, int64(st.Mtime.Nsec)),
		Mode:    modeOf(st.Mode),
		Inode:   st.Ino,
	}
}

func modeOf(mode uint16) fs.FileMode {
	m := fs.FileMode(mode & 0o777)
	if mode&unix.S_ISUID != 0 {
		m |= os.ModeSetuid
	}
	if mode&unix.S_ISGID != 0 {
		m |= os.ModeSetgid
	}
	if mode&unix.S_ISVTX != 0 {
		m |= os.ModeSticky
	}
	return m
}
