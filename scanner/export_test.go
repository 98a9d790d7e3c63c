package scanner

import "golang.org/x/sys/unix"

// Stepwise makes t do without openat2, as on an old kernel.
func (t *Tree) Stepwise() { t.beneath = false }

// Beneath reports whether t uses openat2.
func (t *Tree) Beneath() bool { return t.beneath }

// Getdents puts f between t and the kernel.
func (t *Tree) Getdents(f func(read func() (int, error), buf []byte) (int, error)) {
	t.getdents = func(fd int, buf []byte) (int, error) {
		return f(func() (int, error) { return unix.Getdents(fd, buf) }, buf)
	}
}

// HideTypes makes every entry one of an unknown type, as some file systems do.
func HideTypes(read func() (int, error), buf []byte) (int, error) {
	n, err := read()
	for rest := buf[:max(n, 0)]; len(rest) > direntHead; {
		rest[typeAt] = unix.DT_UNKNOWN
		rest = rest[int(rest[reclenAt])|int(rest[reclenAt+1])<<8:]
	}
	return n, err
}

// ParseNames is parseDirents as seen from outside.
func ParseNames(buf []byte) (names []string, types []uint8, err error) {
	entries, err := parseDirents(nil, buf)
	for _, d := range entries {
		names, types = append(names, string(d.name)), append(types, d.typ)
	}
	return names, types, err
}

// IsPlain is isPlain.
func IsPlain(c byte) bool { return isPlain(c) }
