package scanner_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"example.org/mediamove/media"
	"example.org/mediamove/scanner"
)

// appendDirent writes an entry as the kernel does: padded to 8 bytes.
func appendDirent(b []byte, name string, typ uint8) []byte {
	reclen := (19 + len(name) + 1 + 7) &^ 7
	b = binary.NativeEndian.AppendUint64(b, 1)
	b = binary.NativeEndian.AppendUint64(b, 2)
	b = binary.NativeEndian.AppendUint16(b, uint16(reclen))
	b = append(append(b, typ), name...)
	return append(b, make([]byte, reclen-19-len(name))...)
}

func TestParseDirentsInvertsTheKernel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.Custom(func(t *rapid.T) string {
			b := rapid.SliceOfN(rapid.ByteRange(1, 255), 1, 255).Draw(t, "bytes")
			return string(bytes.ReplaceAll(b, []byte("/"), []byte("_")))
		}).Filter(func(s string) bool { return s != "." && s != ".." })
		names := rapid.SliceOf(name).Draw(t, "names")
		buf := appendDirent(appendDirent(nil, "..", unix.DT_DIR), ".", unix.DT_DIR)
		var types []uint8
		for i, n := range names {
			types = append(types, uint8(i%13))
			buf = appendDirent(buf, n, types[i])
		}
		got, gotTypes, err := scanner.ParseNames(buf)
		if err != nil || strings.Join(got, "/") != strings.Join(names, "/") || !bytes.Equal(gotTypes, types) {
			t.Fatalf("got %q %v %v, want %q %v", got, gotTypes, err, names, types)
		}
	})
}

func TestParseDirentsRefuses(t *testing.T) {
	t.Parallel()
	good := appendDirent(nil, "good", unix.DT_REG)
	withLen := func(n uint16) []byte {
		b := appendDirent(nil, "name", unix.DT_REG)
		binary.NativeEndian.PutUint16(b[16:], n)
		return b
	}
	for name, bad := range map[string][]byte{
		"cut":            good[:len(good)-1],
		"head only":      good[:19],
		"length 0":       withLen(0),
		"length 19":      withLen(19),
		"length beyond":  withLen(1000),
		"no NUL":         withLen(23),
		"empty name":     appendDirent(nil, "", unix.DT_REG),
		"slash":          appendDirent(nil, "../../etc", unix.DT_REG),
		"nothing but it": appendDirent(nil, "/", unix.DT_DIR),
	} {
		names, _, err := scanner.ParseNames(append(bytes.Clone(good), bad...))
		if err == nil || len(names) != 1 {
			t.Errorf("%s: %q, %v", name, names, err)
		}
	}
}

// Whatever stands in the buffer: a name stays in its directory.
func FuzzParseDirents(f *testing.F) {
	f.Add(appendDirent(appendDirent(nil, "a", unix.DT_REG), "..", unix.DT_DIR))
	f.Add(appendDirent(nil, "a/b", unix.DT_UNKNOWN))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, buf []byte) {
		names, _, err := scanner.ParseNames(buf)
		total := 0
		for _, n := range names {
			if n == "" || n == "." || n == ".." || strings.ContainsAny(n, "/\x00") {
				t.Errorf("name %q", n)
			}
			total += 19 + len(n) + 1
		}
		if total > len(buf) || err == nil && len(buf) > 0 && len(buf) < 20 {
			t.Errorf("%d bytes of names in %d, %v", total, len(buf), err)
		}
	})
}

// Plain names are spared the checks, so that must be right for every character.
func TestPlainNamesNeedNoCheck(t *testing.T) {
	t.Parallel()
	for c := range 256 {
		key := "x" + string(rune(c)) + "x" // no name holds "/", or is "."
		if scanner.IsPlain(byte(c)) && (media.CheckKey(key) != nil || c > 127) {
			t.Errorf("%q is no key, yet plain", key)
		}
	}
	for r := rune(128); r <= 0x10ffff; r++ {
		// If only some of the bytes are ASCII, the name as a whole is not plain.
		if n := media.Normal(string(r)); len(n) == 1 && scanner.IsPlain(n[0]) {
			t.Errorf("%U becomes %q, which is plain", r, n)
		}
	}
}
