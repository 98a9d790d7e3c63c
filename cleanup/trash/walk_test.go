package trash

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// What killed runs left goes, and only that.
func TestOpenTidies(t *testing.T) {
	t.Parallel()
	g := newRig(t, nil)
	name := g.add(5, g.plant(key, []byte("abc"), ""))
	stays := []string{"5/notes.txt", "README", "5/" + strings.Repeat("0", 63), "x/" + draftPrefix + "a", "6/" + strings.Repeat("a", 64)}
	for _, path := range append(slices.Clone(stays), "5/"+draftPrefix+"one", "6/"+draftPrefix+"two") {
		must(t, os.MkdirAll(filepath.Join(g.dir, filepath.Dir(path)), 0o700))
		must(t, os.WriteFile(filepath.Join(g.dir, path), []byte("12"), 0o600))
	}
	must(t, os.Symlink("/etc", filepath.Join(g.dir, "7")))
	must(t, os.Symlink("/etc/passwd", filepath.Join(g.dir, "5", strings.Repeat("b", 64))))
	stays = append(stays, name, name+metaSuffix, "7", "5/"+strings.Repeat("b", 64))
	slices.Sort(stays)

	second := open(t, Options{Dir: g.dir}) // the first may be writing just now
	if left := g.files(); len(left) != len(stays)+2 {
		t.Errorf("while another has it open: %v", left)
	}
	must(t, second.Close())
	must(t, g.store.Close())
	again, err := Open(t.Context(), Options{Dir: g.dir})
	must(t, err)
	left := g.files()
	slices.Sort(left)
	if !slices.Equal(left, stays) {
		t.Errorf("left %v, want %v", left, stays)
	}
	_, want := g.store.Held()
	if objects, bytes := again.Held(); objects != 1 || bytes != want+2 { // half a pair takes room
		t.Errorf("%d objects, %d bytes", objects, bytes)
	}
	g.store = again
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := Open(t.Context(), Options{Dir: filepath.Join(dir, "not", "mounted")}); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	file := filepath.Join(dir, "file")
	must(t, os.WriteFile(file, nil, 0o600))
	if _, err := Open(t.Context(), Options{Dir: file}); err == nil {
		t.Error("a file is no folder")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	must(t, os.Mkdir(filepath.Join(dir, "1"), 0o700))
	if _, err := Open(ctx, Options{Dir: dir}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// The file system's own word is asked unless another is given.
func TestFreeSpace(t *testing.T) {
	t.Parallel()
	s := open(t, Options{Dir: filepath.Join(t.TempDir(), "t")})
	if n, err := s.opt.Free(); err != nil || n <= 0 {
		t.Errorf("%d, %v", n, err)
	}
	s.opt.Reserve = 1 << 60
	if _, err := s.reserve(1); !errors.Is(err, ErrFull) {
		t.Error(err)
	}
}

func TestExpire(t *testing.T) {
	t.Parallel()
	now := time.Now()
	g := newRig(t, func(o *Options) { o.Now = func() time.Time { return now } })
	o := g.plant(key, []byte("abc"), "")
	old := g.add(1, o)
	_, size := g.store.Held()
	half := filepath.Join(g.dir, "1", strings.Repeat("c", 64))
	must(t, os.WriteFile(half, []byte("half"), 0o600))
	must(t, os.Chtimes(half, now, now)) // the file system's clock is coarser than ours
	g.store.bytes += 4
	now = now.Add(DefaultKeep)
	if n, b, err := g.store.Expire(t.Context()); n != 0 || b != 0 || err != nil {
		t.Errorf("too early: %d, %d, %v", n, b, err)
	}
	young := g.add(2, o)
	now = now.Add(time.Second)
	draft := filepath.Join(g.dir, "2", draftPrefix+"x") // somebody writes it just now
	must(t, os.WriteFile(draft, nil, 0o600))
	must(t, os.Chtimes(draft, time.Unix(0, 0), time.Unix(0, 0)))
	if n, b, err := g.store.Expire(t.Context()); n != 1 || b != size+4 || err != nil {
		t.Errorf("%d objects, %d bytes, %v", n, b, err)
	}
	if g.store.Has(old) || !g.store.Has(young) {
		t.Error("the wrong one went")
	}
	if _, err := os.Stat(filepath.Join(g.dir, "1")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the empty folder stays: %v", err)
	}
	must(t, os.Remove(draft))
	g.accounts()
}

func TestDrop(t *testing.T) {
	t.Parallel()
	g := newRig(t, nil)
	name := g.add(1, g.plant(key, []byte("abc"), ""))
	must(t, g.store.Drop(Name(9, "nothing")))
	for range 2 {
		must(t, g.store.Drop(name))
		if g.store.Has(name) || len(g.files()) > 0 {
			t.Error("it is still there")
		}
		g.accounts()
	}
	if err := g.store.Drop("../x"); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
}

// Whatever is done to it, the trash holds what it should, counts it, and never more
// than it may.
func TestStoreModel(t *testing.T) {
	t.Parallel()
	const limit = 60_000
	g := newRig(t, nil)
	var objects []r2.Object
	for i := range 6 {
		objects = append(objects, memory{}.object(media.Key(strings.Repeat("k", i+1))))
	}
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		now := time.Unix(1_800_000_000, 0)
		n++
		g.dir = filepath.Join(t.TempDir(), strconv.Itoa(n))
		o := Options{Dir: g.dir, Max: limit, Keep: time.Hour, Now: func() time.Time { return now }, Free: func() (int64, error) { return 1 << 50, nil }}
		s, err := Open(t.Context(), o)
		must(t, err)
		defer func() { must(t, g.store.Close()) }()
		s.sync = g.store.sync
		g.store = s
		model := map[string]time.Time{}
		rt.Repeat(map[string]func(*rapid.T){
			"add": func(rt *rapid.T) {
				o, run := rapid.SampledFrom(objects).Draw(rt, "object"), rapid.Int64Range(1, 3).Draw(rt, "run")
				name, err := g.store.Add(t.Context(), memory{}, Item{Run: run, Object: o})
				if err == nil {
					model[name] = now
				} else if !errors.Is(err, ErrFull) {
					rt.Fatal(err)
				}
			},
			"drop": func(rt *rapid.T) {
				name := Name(rapid.Int64Range(1, 3).Draw(rt, "run"), rapid.SampledFrom(objects).Draw(rt, "object").Key)
				must(t, g.store.Drop(name))
				delete(model, name)
			},
			"wait": func(rt *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 40).Draw(rt, "minutes")) * time.Minute)
			},
			"expire": func(rt *rapid.T) {
				want := int64(0)
				for name, at := range model {
					if now.Sub(at) > time.Hour {
						delete(model, name)
						want++
					}
				}
				if n, _, err := g.store.Expire(t.Context()); n != want || err != nil {
					rt.Fatalf("%d expired and not %d, %v", n, want, err)
				}
			},
			"": func(rt *rapid.T) {
				count, size := g.store.Held()
				if count != int64(len(model)) || size > limit {
					rt.Fatalf("%d objects, %d bytes; want %d", count, size, len(model))
				}
			},
			"look": func(rt *rapid.T) {
				for name := range model {
					if !g.store.Has(name) {
						rt.Fatal("one is gone")
					}
				}
			},
		})
		g.accounts()
	})
}
