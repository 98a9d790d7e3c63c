package verify

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"example.org/mediamove/media"
)

// certified is what every test makes of content.
func certified(k media.Key, content string) Certified {
	return Certified{
		Key: k, Size: int64(len(content)), ETag: fmt.Sprintf("%x", sha256.Sum256([]byte(content)))[:32],
		SHA256: sha256.Sum256([]byte(content)), Adopted: len(content)%2 == 1,
	}
}

// written returns the list of cs, sorted first.
func written(t testing.TB, cs []Certified) []byte {
	t.Helper()
	slices.SortFunc(cs, func(a, b Certified) int { return strings.Compare(string(a.Key), string(b.Key)) })
	var b bytes.Buffer
	l := NewListWriter(&b)
	for _, c := range cs {
		if err := l.Add(c); err != nil {
			t.Fatal(err)
		}
	}
	sum, lines, err := l.Close()
	if err != nil || sum != sha256.Sum256(b.Bytes()) || lines != int64(bytes.Count(b.Bytes(), []byte("\n"))) {
		t.Fatalf("close: %x, %d lines, %v of\n%s", sum, lines, err, b.Bytes())
	}
	return b.Bytes()
}

// readAllOf returns what a list yields before its error.
func readAllOf(r io.Reader) (cs []Certified, err error) {
	for c, err := range ReadList(r) {
		if err != nil {
			return cs, err
		}
		cs = append(cs, c)
	}
	return cs, nil
}

// exampleList has one of everything.
func exampleList() []Certified {
	big := certified("media_attachments/files/114/000/000/000/000/002/original/0a1b2c3d4e5f6071.mp4", "large")
	big.Size, big.ETag = 104857601, big.ETag+"-7"
	return []Certified{
		certified("-", "standard input"),
		certified("accounts/avatars/000/000/001/original/a b.png", "avatar"),
		certified(`cache/accounts/headers/000/000/009/original/back\slash.png`, "header!"),
		{Key: `cache/accounts/headers/000/000/010/original/gone\.png`, Except: ExceptAbsent},
		{Key: "media_attachments/files/114/000/000/000/000/001/original/0a1b2c3d4e5f6070.mp4", Except: ExceptRewritten},
		big,
		certified("site_uploads/files/000/000/001/@1x/thumb.png", ""),
	}
}

func TestCertListGolden(t *testing.T) {
	t.Parallel()
	list := written(t, exampleList())
	certGolden(t, "list.sha256", list)
	got, err := readAllOf(bytes.NewReader(list))
	if d := cmp.Diff(exampleList(), got); err != nil || d != "" {
		t.Errorf("%v (-want +got)\n%s", err, d)
	}
}

// anyKey draws keys that CheckKey lets pass, near each other and odd.
func anyKey() *rapid.Generator[media.Key] {
	return rapid.Map(rapid.OneOf(
		rapid.StringMatching(`[ac/#\\ .*-]{1,6}`),
		rapid.String(),
		rapid.SampledFrom(oddNames()),
		rapid.StringMatching(`(cache/)?(accounts|media_attachments)/[0-9]{1,3}`),
	), func(s string) media.Key { return media.Key(s) }).Filter(func(k media.Key) bool { return media.CheckKey(string(k)) == nil })
}

func anyCertified() *rapid.Generator[Certified] {
	return rapid.Custom(func(t *rapid.T) Certified {
		c := Certified{Key: anyKey().Draw(t, "key"), Except: rapid.SampledFrom([]Exception{"", "", "", ExceptAbsent, ExceptRewritten}).Draw(t, "except")}
		if c.Except == "" {
			c.Size = rapid.Int64Range(0, 1<<40).Draw(t, "size")
			c.ETag = rapid.StringMatching(`[0-9a-f]{32}(-[1-9][0-9]{0,3})?|[!-~]{1,128}`).Draw(t, "etag")
			c.SHA256 = sha256.Sum256([]byte(c.ETag))
			c.Adopted = rapid.Bool().Draw(t, "adopted")
		}
		return c
	})
}

func TestCertListInverse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		cs := rapid.SliceOfNDistinct(anyCertified(), 0, 20, func(c Certified) media.Key { return c.Key }).Draw(rt, "list")
		list := written(t, cs)
		got, err := readAllOf(iotest.OneByteReader(bytes.NewReader(list)))
		if err != nil || !slices.Equal(got, cs) {
			rt.Fatalf("%v (-want +got)\n%s\n%s", err, cmp.Diff(cs, got), list)
		}
	})
}

// Every cut inside an object is an error, and so is a byte that became another, as
// long as it is not another hash, size, name or ETag.
func TestCertListCut(t *testing.T) {
	t.Parallel()
	list := written(t, exampleList())
	whole := []int{len(listHeader)}
	for _, c := range exampleList() {
		whole = append(whole, whole[len(whole)-1]+lengthOf(&c))
	}
	for n := range list {
		cs, err := readAllOf(bytes.NewReader(list[:n]))
		if i := slices.Index(whole, n); i >= 0 {
			if err != nil || len(cs) != i {
				t.Errorf("cut after %d objects: %d, %v", i, len(cs), err)
			}
		} else if !errors.Is(err, ErrList) {
			t.Errorf("cut at byte %d: %v", n, err)
		}
	}
}

// lengthOf is how many bytes of a list c takes.
func lengthOf(c *Certified) int {
	if c.Except != "" {
		return len(c.appendNote(nil))
	}
	return len(c.appendNote(nil)) + len(c.appendSum(nil))
}

func TestCertListOdd(t *testing.T) {
	t.Parallel()
	const sum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	const tag = "d41d8cd98f00b204e9800998ecf8427e"
	for name, body := range map[string]string{
		"no size":            "# " + tag + "\n" + sum + "  a\n",
		"no comment":         sum + "  a\n",
		"two comments":       "# 0 " + tag + "\n# 0 " + tag + "\n" + sum + "  a\n",
		"comment alone":      "# 0 " + tag + "\n",
		"empty line":         "\n# 0 " + tag + "\n" + sum + "  a\n",
		"plus":               "# +0 " + tag + "\n" + sum + "  a\n",
		"zeros":              "# 00 " + tag + "\n" + sum + "  a\n",
		"negative":           "# -1 " + tag + "\n" + sum + "  a\n",
		"size too large":     "# 9223372036854775808 " + tag + "\n" + sum + "  a\n",
		"sizes too large":    "# 9223372036854775807 x\n" + sum + "  a\n# 1 x\n" + sum + "  b\n",
		"no ETag":            "# 0 \n" + sum + "  a\n",
		"two ETags":          "# 0 a b\n" + sum + "  a\n",
		"adopted only":       "# 0 adopted adopted adopted\n" + sum + "  a\n",
		"ETag too long":      "# 0 " + strings.Repeat("x", maxETag+1) + "\n" + sum + "  a\n",
		"odd ETag":           "# 0 \x7f\n" + sum + "  a\n",
		"tab":                "#\t0 " + tag + "\n" + sum + "  a\n",
		"capital digits":     "# 0 " + tag + "\n" + strings.ToUpper(sum) + "  a\n",
		"short hash":         "# 0 " + tag + "\n" + sum[:62] + "  a\n",
		"long hash":          "# 0 " + tag + "\n" + sum + "00  a\n",
		"no hash":            "# 0 " + tag + "\n" + strings.Repeat("0", 64) + "  a\n",
		"not hex":            "# 0 " + tag + "\n" + strings.Repeat("x", 64) + "  a\n",
		"binary mark":        "# 0 " + tag + "\n" + sum + " *a\n",
		"one space":          "# 0 " + tag + "\n" + sum + " a\n",
		"BSD style":          "# 0 " + tag + "\nSHA256 (a) = " + sum + "\n",
		"no name":            "# 0 " + tag + "\n" + sum + "  \n",
		"CRLF":               "# 0 " + tag + "\r\n" + sum + "  a\r\n",
		"needless escape":    "# 0 " + tag + "\n\\" + sum + "  a\n",
		"missing escape":     "# 0 " + tag + "\n" + sum + "  a\\b\n",
		"bad escape":         "# 0 " + tag + "\n\\" + sum + "  a\\b\n",
		"escaped line break": "# 0 " + tag + "\n\\" + sum + "  a\\nb\n",
		"half an escape":     "# 0 " + tag + "\n\\" + sum + "  a\\\\\\\n",
		"out of the folder":  "# 0 " + tag + "\n" + sum + "  ../a\n",
		"absolute":           "# 0 " + tag + "\n" + sum + "  /etc/passwd\n",
		"standard input":     "# 0 " + tag + "\n" + sum + "  -\n",
		"needless ./":        "# 0 " + tag + "\n" + sum + "  ./a\n",
		"control character":  "# 0 " + tag + "\n" + sum + "  \x1b[2J\n",
		"not UTF-8":          "# 0 " + tag + "\n" + sum + "  \xff\n",
		"key too long":       "# 0 " + tag + "\n" + sum + "  " + strings.Repeat("x", 1025) + "\n",
		"line too long":      "# 0 " + tag + "\n" + sum + "  " + strings.Repeat("x", listBuffer) + "\n",
		"twice":              "# 0 x\n" + sum + "  a\n# 0 x\n" + sum + "  a\n",
		"order":              "# 0 x\n" + sum + "  b\n# 0 x\n" + sum + "  a\n",
		"not bytes' order":   "# 0 x\n" + sum + "  \U0001f389\n# 0 x\n" + sum + "  \uffe0\n",
		"also excepted":      "# 0 x\n" + sum + "  a\n# absent a\n",
		"other exception":    "# vanished a\n",
		"exception of none":  "# absent \n",
		"no exception's key": "# absent\n",
		"exception's sum":    "# absent a\n" + sum + "  a\n",
		"second header":      listHeader,
	} {
		cs, err := readAllOf(strings.NewReader(listHeader + body))
		if !errors.Is(err, ErrList) || !strings.Contains(err.Error(), "line ") {
			t.Errorf("%s: %d objects, error %v", name, len(cs), err)
		}
	}
	for name, list := range map[string]string{
		"empty": "", "no header": "# 0 x\n" + sum + "  a\n", "later format": strings.Replace(listHeader, "list 1", "list 2", 1),
		"header cut": listHeader[:20], "binary": "\x7fELF", "line break only": "\n",
	} {
		if cs, err := readAllOf(strings.NewReader(list)); !errors.Is(err, ErrList) || cs != nil {
			t.Errorf("%s: %v, error %v", name, cs, err)
		}
	}
}

// A disk that fails is no altered list.
func TestCertListReadError(t *testing.T) {
	t.Parallel()
	list := written(t, exampleList())
	for n := range len(list) {
		r := io.MultiReader(bytes.NewReader(list[:n]), iotest.ErrReader(io.ErrNoProgress))
		if _, err := readAllOf(r); !errors.Is(err, io.ErrNoProgress) || errors.Is(err, ErrList) {
			t.Fatalf("at byte %d: %v", n, err)
		}
	}
}

// endless never ends its line.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	e.read += len(p)
	return copy(p, bytes.Repeat([]byte("#"), len(p))), nil
}

func TestCertListEndlessLine(t *testing.T) {
	t.Parallel()
	var e endless
	if _, err := readAllOf(&e); !errors.Is(err, ErrList) || e.read > 2*listBuffer {
		t.Errorf("after %d bytes: %v", e.read, err)
	}
}

func TestCertListStopsEarly(t *testing.T) {
	t.Parallel()
	list := written(t, exampleList())
	for range ReadList(bytes.NewReader(list)) {
		break
	}
	n := 0
	for range ReadList(strings.NewReader(string(list[:len(list)-1]))) { // goes on after an error only if yield is called again
		n++
	}
	if n != len(exampleList()) {
		t.Errorf("%d yields, the last of them the error", n)
	}
}

func TestCertListAddRefuses(t *testing.T) {
	t.Parallel()
	ok := certified("b", "x")
	change := func(f func(*Certified)) Certified {
		c := ok
		f(&c)
		return c
	}
	for name, c := range map[string]Certified{
		"order":         change(func(c *Certified) { c.Key = "a" }),
		"twice":         ok,
		"line break":    change(func(c *Certified) { c.Key = "c\nd" }),
		"up":            change(func(c *Certified) { c.Key = "c/../../d" }),
		"absolute":      change(func(c *Certified) { c.Key = "/c" }),
		"not UTF-8":     change(func(c *Certified) { c.Key = "c\xff" }),
		"negative":      change(func(c *Certified) { c.Key, c.Size = "c", -1 }),
		"no ETag":       change(func(c *Certified) { c.Key, c.ETag = "c", "" }),
		"ETag's break":  change(func(c *Certified) { c.Key, c.ETag = "c", "x\ny" }),
		"ETag's space":  change(func(c *Certified) { c.Key, c.ETag = "c", "x adopted" }),
		"no hash":       change(func(c *Certified) { c.Key, c.SHA256 = "c", [32]byte{} }),
		"too much":      change(func(c *Certified) { c.Key, c.Size = "c", math.MaxInt64 }),
		"half excepted": change(func(c *Certified) { c.Key, c.Except = "c", ExceptAbsent }),
		"no exception":  {Key: "c", Except: "\n"},
	} {
		l := NewListWriter(io.Discard)
		if err := l.Add(ok); err != nil {
			t.Fatal(err)
		}
		err := l.Add(c)
		if err == nil || strings.Contains(err.Error(), "\n") || !utf8.ValidString(err.Error()) {
			t.Errorf("%s: %v", name, err)
		}
		later := l.Add(certified("z", "x"))
		if _, _, closing := l.Close(); !errors.Is(later, err) || !errors.Is(closing, err) {
			t.Errorf("%s: then %v, %v", name, later, closing)
		}
	}
}

func TestCertListClosed(t *testing.T) {
	t.Parallel()
	l := NewListWriter(io.Discard)
	if _, lines, err := l.Close(); err != nil || lines != 1 {
		t.Error(lines, err)
	}
	if err := l.Add(certified("a", "x")); !errors.Is(err, errListClosed) {
		t.Error(err)
	}
	if _, _, err := l.Close(); !errors.Is(err, errListClosed) {
		t.Error(err)
	}
}

// A write error comes out at some Add, or at Close at the latest, and stays.
func TestCertListWriteError(t *testing.T) {
	t.Parallel()
	for _, room := range []int64{0, 1, listBuffer, 3*listBuffer + 7} {
		l := NewListWriter(&short{room: room})
		for i := range 2000 {
			if err := l.Add(certified(media.Key(fmt.Sprintf("accounts/%06d", i)), "x")); err != nil {
				break
			}
		}
		if _, _, err := l.Close(); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("room for %d bytes: %v", room, err)
		}
	}
}

// short is a disk with little room.
type short struct{ room int64 }

func (s *short) Write(p []byte) (int, error) {
	n := min(int64(len(p)), s.room)
	if s.room -= n; n < int64(len(p)) {
		return int(n), fs.ErrInvalid
	}
	return int(n), nil
}

func FuzzReadList(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte(listHeader))
	f.Add(written(f, exampleList()))
	f.Add([]byte(listHeader + "# absent a\\\n# rewritten -\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		cs, err := readAllOf(bytes.NewReader(data))
		if err != nil {
			if !errors.Is(err, ErrList) {
				t.Error(err)
			}
			return
		}
		for _, c := range cs {
			if err := media.CheckKey(string(c.Key)); err != nil {
				t.Error(err)
			}
		}
		if again := written(t, cs); !bytes.Equal(again, data) {
			t.Errorf("written again:\n%s\nwas:\n%s", again, data)
		}
	})
}

// FuzzCertListKey lets no name be more than a name.
func FuzzCertListKey(f *testing.F) {
	for _, name := range oddNames() {
		f.Add(name, "x")
	}
	f.Add("a\nb", "c\rd")
	f.Fuzz(func(t *testing.T, key, etag string) {
		var b bytes.Buffer
		l := NewListWriter(&b)
		c := Certified{Key: media.Key(key), ETag: etag, SHA256: [32]byte{1}}
		if err := l.Add(c); err != nil {
			return
		}
		if _, lines, err := l.Close(); err != nil || lines != 3 || bytes.Count(b.Bytes(), []byte("\n")) != 3 {
			t.Errorf("%d lines, %v:\n%s", lines, err, b.Bytes())
		}
		cs, err := readAllOf(&b)
		if err != nil || len(cs) != 1 || cs[0] != c {
			t.Errorf("%v: %+v", err, cs)
		}
	})
}

func ExampleListWriter() {
	l := NewListWriter(os.Stdout)
	sum, _ := hex.DecodeString("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
	_ = l.Add(Certified{Key: "accounts/avatars/000/000/001/original/a.png", ETag: "d41d8cd98f00b204e9800998ecf8427e", SHA256: [32]byte(sum)})
	_ = l.Add(Certified{Key: "media_attachments/files/000/000/001/original/b.mp4", Except: ExceptRewritten})
	if _, _, err := l.Close(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// # mediamove list 1: compare a disk with it in public/system by: sha256sum --quiet -c THIS-FILE
	// # 0 d41d8cd98f00b204e9800998ecf8427e
	// e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  accounts/avatars/000/000/001/original/a.png
	// # rewritten media_attachments/files/000/000/001/original/b.mp4
}
