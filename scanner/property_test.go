package scanner_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"example.org/mediamove/media"
	"example.org/mediamove/scanner"
)

// A node is a directory if it has a map, else what plantOne makes of what.
type node struct {
	what string
	kids map[string]*node
}

func drawTree(t *rapid.T) *node {
	root := &node{kids: map[string]*node{"accounts": {kids: map[string]*node{}}}}
	top := rapid.SampledFrom([]string{"accounts", "media_attachments", "cache", "cache/accounts", "cache/preview_cards", "foreign", ""})
	name := rapid.SampledFrom([]string{
		"a", "b", "\u00e9", "e\u0301", "K", "\u212a", "x.jpg", "\xff", "new\nline", "accounts", "cache", ".", "109",
	}).Filter(func(s string) bool { return s != "." })
	what := rapid.SampledFrom([]string{"", "content", "", "fifo", "-> a", "-> ..", "-> /etc", "socket"})
	for range rapid.IntRange(0, 40).Draw(t, "entries") {
		path := strings.Split(top.Draw(t, "top"), "/")
		path = append(path, rapid.SliceOfN(name, 1, 6).Draw(t, "path")...)
		root.put(slices.DeleteFunc(path, func(s string) bool { return s == "" }), what.Draw(t, "what"))
	}
	return root
}

// put adds a leaf, unless something that is no directory is in its way.
func (n *node) put(path []string, what string) {
	for ; len(path) > 1; path = path[1:] {
		if n.kids[path[0]] == nil {
			n.kids[path[0]] = &node{kids: map[string]*node{}}
		}
		if n = n.kids[path[0]]; n.kids == nil {
			return
		}
	}
	if n.kids[path[0]] == nil {
		n.kids[path[0]] = &node{what: what}
	}
}

func (n *node) plant(dir string) error {
	for name, kid := range n.kids {
		var err error
		if kid.kids == nil {
			err = plantOne(dir, name, kid.what)
		} else if err = os.Mkdir(dir+"/"+name, 0o755); err == nil {
			err = kid.plant(dir + "/" + name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// level says what a walk finds in the root or in cache.
func (n *node) level(prefix string) (lines []string) {
	for name, kid := range n.kids {
		class := slices.Contains(media.TopFolders(), name) && name != "cache"
		key := prefix + name
		switch {
		case name == "cache" && prefix == "" && kid.kids != nil:
			lines = append(lines, kid.level("cache/")...)
		case class && kid.kids != nil:
			lines = append(lines, kid.below(key+"/", false)...)
		case (class || name == "cache" && prefix == "") && strings.HasPrefix(kid.what, "->"):
			lines = append(lines, "link "+key)
		default:
			lines = append(lines, "outside "+key)
		}
	}
	return lines
}

// below says what a walk finds in a class folder.
func (n *node) below(prefix string, twin bool) (lines []string) {
	for name, kid := range n.kids {
		key, alone := prefix+name, true
		for other, o := range n.kids {
			alone = alone && (other == name || !o.twinnable() || media.Normal(other) != media.Normal(name))
		}
		switch {
		case strings.HasPrefix(kid.what, "->"):
			lines = append(lines, "link "+key)
		case kid.what == "fifo" || kid.what == "socket":
			lines = append(lines, "special "+key)
		case kid.kids != nil:
			lines = append(lines, kid.below(key+"/", twin || !alone)...)
		case media.CheckKey(key) != nil:
			lines = append(lines, "bad name "+key)
		case twin || !alone:
			lines = append(lines, "twin "+key)
		default:
			lines = append(lines, "file "+key)
		}
	}
	return lines
}

func (n *node) twinnable() bool { return n.kids != nil || n.what == "" || n.what == "content" }

func TestRandomTrees(t *testing.T) {
	t.Parallel()
	base, n := fastDir(t), 0
	rapid.Check(t, func(rt *rapid.T) {
		want := drawTree(rt)
		n++
		root := filepath.Join(base, strconv.Itoa(n))
		err := os.Mkdir(root, 0o755)
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = os.RemoveAll(root) }()
		if err := want.plant(root); err != nil {
			rt.Fatal(err)
		}
		tree, err := scanner.Open(root, scanner.Options{Workers: rapid.SampledFrom([]int{1, 2, 16}).Draw(rt, "workers")})
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = tree.Close() }()
		rapid.SampledFrom(variants()).Draw(rt, "variant").set(tree)
		lines, err := walk(t.Context(), tree)
		if err != nil {
			rt.Fatal(err)
		}
		slices.Sort(lines)
		if diff := cmp.Diff(slices.Sorted(slices.Values(want.level(""))), lines); diff != "" {
			rt.Fatalf("-want +got:\n%s", diff)
		}
		for _, line := range lines {
			k, ok := strings.CutPrefix(line, "file ")
			if _, err := tree.Stat(media.Key(k)); ok && err != nil {
				rt.Error(err)
			}
		}
	})
}
