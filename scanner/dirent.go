package scanner

import (
	"bytes"
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"
)

// A dirent is one name in a directory. The name is only good until the next
// read into the same buffer.
type dirent struct {
	name  []byte
	typ   uint8 // unix.DT_REG …; a file system may say DT_UNKNOWN for any
	plain bool  // see isPlain
}

var errDirent = errors.New("read: malformed directory entry")

// The head of a struct linux_dirent64: d_ino (8 bytes), d_off (8), d_reclen (2)
// and d_type (1). d_name follows, ends with NUL and is padded to d_reclen.
const (
	reclenAt   = 16
	typeAt     = 18
	direntHead = 19
)

// parseDirents appends the entries in buf, as getdents64 wrote them, but not
// "." and "..". The kernel is trusted to write what it promises; a file system
// in user space might not, and a "/" in a name would lead out of the directory.
// Entries of inode 0 count: in Linux they are files, of careless file systems.
func parseDirents(to []dirent, buf []byte) ([]dirent, error) {
	for len(buf) > 0 {
		if len(buf) <= direntHead {
			return to, errDirent
		}
		reclen := int(binary.NativeEndian.Uint16(buf[reclenAt:]))
		if reclen <= direntHead || reclen > len(buf) {
			return to, errDirent
		}
		d := dirent{typ: buf[typeAt]}
		end := bytes.IndexByte(buf[direntHead:reclen], 0)
		if end <= 0 {
			return to, errDirent
		}
		d.name, d.plain = buf[direntHead:direntHead+end], true
		for _, c := range d.name {
			if c == '/' {
				return to, errDirent
			}
			d.plain = d.plain && isPlain(c)
		}
		if n := string(d.name); n != "." && n != ".." {
			to = append(to, d)
		}
		buf = buf[reclen:]
	}
	return to, nil
}

// isPlain reports whether c is printable ASCII and can't come out of a longer
// character in NFC: a name of such bytes can be a key, and has no twin. The
// exceptions are what U+212A, U+037E and U+1FEF become.
func isPlain(c byte) bool { return c >= ' ' && c <= '~' && c != 'K' && c != ';' && c != '`' }

// typeOf is the type that a directory entry should have had.
func typeOf(st *unix.Statx_t) uint8 { return uint8(st.Mode & unix.S_IFMT >> 12) }
