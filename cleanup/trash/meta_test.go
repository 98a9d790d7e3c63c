package trash

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

func anyMeta(t *rapid.T) Meta {
	m := Meta{
		Run: rapid.Int64Min(1).Draw(t, "run"),
		Object: r2.Object{
			Key: media.Key(rapid.StringN(1, 50, 200).Draw(t, "key")), Size: rapid.Int64Min(0).Draw(t, "size"), ETag: rapid.String().Draw(t, "etag"),
			LastModified: time.UnixMilli(rapid.Int64Range(0, 1<<41).Draw(t, "modified")).UTC(),
		},
		Header:  http.Header{},
		Trashed: time.UnixMilli(rapid.Int64Range(0, 1<<41).Draw(t, "trashed")).UTC(),
	}
	copy(m.MD5[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "md5"))
	copy(m.SHA256[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "sha256"))
	for _, name := range rapid.SliceOfN(rapid.SampledFrom([]string{"Content-Type", "Expires", "X-Amz-Meta-A"}), 0, 3).Draw(t, "names") {
		m.Header.Set(name, rapid.String().Draw(t, name))
	}
	return m
}

// Facts come back as they went, and no other byte goes unnoticed.
func TestMetaRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := anyMeta(t)
		b, err := m.encode()
		if err != nil {
			t.Fatal(err)
		}
		name := Name(m.Run, m.Object.Key)
		got, err := parseMeta(name, b)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(m, got); d != "" {
			t.Fatal(d)
		}
		i := rapid.IntRange(0, len(b)-2).Draw(t, "at") // the last is the line's end
		b[i] ^= byte(1 << rapid.IntRange(0, 7).Draw(t, "bit"))
		got, err = parseMeta(name, b)
		switch {
		case err == nil && !cmp.Equal(m, got): // JSON takes a field's name in any case
			t.Fatalf("other facts: %q", b)
		case err != nil && !errors.Is(err, ErrDamaged):
			t.Fatal(err)
		}
	})
}

func TestMetaErrors(t *testing.T) {
	t.Parallel()
	g := newRig(t, nil)
	name := g.add(1, g.plant(key, []byte("abc"), ""))
	facts, err := os.ReadFile(filepath.Join(g.dir, name+metaSuffix))
	must(t, err)
	other := Name(2, key)
	must(t, os.Mkdir(filepath.Join(g.dir, "2"), 0o700))
	secret := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(secret, facts, 0o600))
	tests := []struct {
		name string
		plan func(path string) error
		want error
	}{
		{other, func(string) error { return nil }, ErrUnknown},
		{other, func(p string) error { return os.WriteFile(p, facts, 0o600) }, ErrDamaged}, // another run's
		{other, func(p string) error { return os.WriteFile(p, nil, 0o600) }, ErrDamaged},
		{other, func(p string) error { return os.WriteFile(p, facts[:len(facts)/2], 0o600) }, ErrDamaged},
		{other, func(p string) error {
			return os.WriteFile(p, []byte(strings.Replace(string(facts), Schema, "mediamove.trash/2", 1)), 0o600)
		}, ErrDamaged},
		{other, func(p string) error { return os.WriteFile(p, make([]byte, 2*maxMeta), 0o600) }, ErrDamaged},
		{other, func(p string) error { return os.Mkdir(p, 0o700) }, ErrDamaged},
		{other, func(p string) error { return os.Symlink(secret, p) }, ErrDamaged},
		{"../" + other, func(string) error { return nil }, ErrUnknown},
		{"", func(string) error { return nil }, ErrUnknown},
	}
	for _, tt := range tests {
		path := filepath.Join(g.dir, other+metaSuffix)
		must(t, tt.plan(path))
		if _, err := g.store.Meta(tt.name); !errors.Is(err, tt.want) {
			t.Errorf("%q: got %v, want %v", tt.name, err, tt.want)
		}
		if g.store.Has(tt.name) {
			t.Errorf("%q is held", tt.name)
		}
		must(t, os.RemoveAll(path))
	}
}

// Half of a pair, or bytes of another length, are no object.
func TestHas(t *testing.T) {
	t.Parallel()
	g := newRig(t, nil)
	name := g.add(1, g.plant(key, []byte("abc"), ""))
	path := filepath.Join(g.dir, name)
	for want, change := range map[bool]func() error{
		true:  func() error { return nil },
		false: func() error { return os.Truncate(path, 2) },
	} {
		must(t, os.WriteFile(path, []byte("abc"), 0o600))
		must(t, change())
		if got := g.store.Has(name); got != want {
			t.Errorf("held: %v", got)
		}
	}
	must(t, os.Remove(path))
	if g.store.Has(name) {
		t.Error("held without its bytes")
	}
	must(t, os.WriteFile(path, []byte("abc"), 0o600))
	must(t, os.Remove(path+metaSuffix))
	if g.store.Has(name) {
		t.Error("held without its facts")
	}
}

func TestName(t *testing.T) {
	t.Parallel()
	if got, want := Name(12, "../../etc/passwd"), fmt.Sprintf("12/%x", sha256.Sum256([]byte("../../etc/passwd"))); got != want {
		t.Error(got)
	}
	rapid.Check(t, func(t *rapid.T) {
		if err := checkName(Name(rapid.Int64Min(1).Draw(t, "run"), media.Key(rapid.String().Draw(t, "key")))); err != nil {
			t.Error(err)
		}
	})
	sum := strings.Repeat("ab", 32)
	for _, bad := range []string{
		"", "/", "1/", "1/" + sum[2:], "1/" + sum + "00", "1/" + strings.ToUpper(sum), "0/" + sum, "-1/" + sum, "01/" + sum, "+1/" + sum,
		"../" + sum, "1/../" + sum, "1/" + sum + metaSuffix, "1//" + sum, "/1/" + sum, "1/" + sum + "/", sum,
	} {
		if err := checkName(bad); !errors.Is(err, ErrUnknown) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzParseMeta(f *testing.F) {
	m := Meta{Run: 3, Object: r2.Object{Key: key, Size: 3, ETag: "abc"}, Header: http.Header{"Expires": {"0"}}}
	b, err := m.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"schema":"mediamove.trash/1","sha256":"` + strings.Repeat("0", 64) + `","item":{}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseMeta(Name(3, key), b)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Error(err)
			}
			return
		}
		again, err := m.encode()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := parseMeta(Name(3, key), again); err != nil || !cmp.Equal(m, got) {
			t.Errorf("%v: %s", err, cmp.Diff(m, got))
		}
	})
}
