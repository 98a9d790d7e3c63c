package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/media"
)

// many is how many objects the planted ones are hidden among.
const many = 100_000

// inMemory is a folder on a file system that makes 100,000 files in a second, where
// the machine has one.
func inMemory(t *testing.T) string {
	t.Helper()
	dir := filepath.Join("/dev/shm", "mediamove-"+rand.Text())
	if err := os.Mkdir(dir, 0o700); err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// manyMoved is a tree of many files in few folders. They are in the bucket already,
// as another tool would have put them there, and one sync proves and adopts them:
// that costs the stand-in 101 requests and not 100,000.
func manyMoved(t *testing.T) *moved {
	t.Helper()
	b := fixtures.NewBucket(fixtures.Options{})
	m := &moved{newSite(t, listen(t, b), fixtures.Empty(0)), b}
	m.root = filepath.Join(inMemory(t), "system")
	for i := range many / 1000 {
		dir := fmt.Sprintf("cache/custom_emojis/images/000/000/%03d/original", i)
		if err := os.MkdirAll(m.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
		for j := range 1000 {
			key := fmt.Sprintf("%s/%03d-%03d.png", dir, i, j)
			body := fmt.Appendf(nil, "\x89PNG\r\n\x1a\n picture %03d of folder %03d", j, i)
			if err := os.WriteFile(m.path(key), body, 0o644); err != nil {
				t.Fatal(err)
			}
			b.Plant(fixtures.Object{Key: key, ContentType: "image/png", CacheControl: media.CacheControl}, body)
		}
	}
	if r := m.must(exitOK, m.sync("--join", fixtures.Name)); r.Files.Adopted != many || !r.Complete {
		t.Fatalf("%+v", r)
	}
	return m
}

// What is planted among 100,000 objects is found by every mode that claims to find
// it, and nothing else is; the mode that can't says so.
func TestVerifyFindsThePlanted(t *testing.T) {
	t.Parallel()
	m := manyMoved(t)
	keys := m.plain(8)
	flipped, truncated, missing := keys[0], keys[1], keys[2]
	one, two, rotOne, rotTwo := keys[3], keys[4], keys[5], keys[6]
	const extra = "cache/custom_emojis/images/000/000/050/original/nobody-knows.png"

	m.b.Corrupt(flipped)
	m.plant(truncated, m.body(truncated)[:20], "")
	bodyOne, bodyTwo := m.body(one), m.body(two)
	m.plant(one, bodyTwo, "")
	m.plant(two, bodyOne, "")
	bodyOne, bodyTwo = m.body(rotOne), m.body(rotTwo)
	was, _ := m.b.Object(rotOne)
	m.plant(rotOne, bodyTwo, was.ETag)
	was, _ = m.b.Object(rotTwo)
	m.plant(rotTwo, bodyOne, was.ETag)
	m.b.Delete(missing)
	m.b.Put(extra, []byte("whose is this?"))

	seen := map[string]string{truncated: "differs", one: "differs", two: "differs", missing: "missing", extra: "extra"}
	// The mark is listed and read; the missing one is asked for by HEAD, and by GET for
	// S3's own word that there is none.
	listing := costs.Usage{costs.ListObjects: many/1000 + 1, costs.GetObject: 2, costs.HeadObject: 1}

	var r result
	if sent := m.looked(func() { r = m.run("verify") }); r.code != exitLeft || sent != listing {
		t.Errorf("sent %v, %v", sent, r)
	}
	for _, say := range []string{
		"what rots at rest only --read, --sample or --rotate can find", "name ROOT to compare it",
		"mediamove verify --repair ROOT", "DIFFERENCES: 5\n",
	} {
		if !strings.Contains(r.stdout, say) {
			t.Errorf("nothing of %q in %v", say, r)
		}
	}
	m.listed(seen, "missing,differs,extra")
	out := m.differs(seen, m.root)
	if out.Same != many-4 || out.Listed != many || out.Recorded != many || out.Probed != 1 || out.Requests != listing || !out.WholeDisk {
		t.Errorf("with the disk: %+v", out)
	}

	all := maps.Clone(seen)
	for _, key := range []string{flipped, rotOne, rotTwo} {
		all[key] = "differs"
	}
	out = m.differs(all, "--read")
	listing[costs.GetObject] += many - 4
	if out.Read.Objects != many-4 || out.Read.Equal != many-7 || out.Same != many-7 || out.Requests != listing || out.Read.Resumed != 0 {
		t.Errorf("by reading: %+v, %+v", out, out.Read)
	}
	m.listed(all, "missing,differs,extra")
	for key, d := range m.doubts(out.Run) {
		if rot := all[key] != seen[key]; rot != strings.Contains(d.Cause, "changed at rest") {
			t.Errorf("%s: %s", key, d.Cause)
		}
	}
}

// listed: status --list prints a line for each of these keys, and no other.
func (s *site) listed(want map[string]string, words string) {
	s.t.Helper()
	r := s.run("status", "--list", words)
	var got, lines []string
	for line := range strings.Lines(r.stdout) {
		cells := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		got = append(got, cells[0]+" "+cells[len(cells)-1])
	}
	for key, word := range want {
		lines = append(lines, word+" "+key)
	}
	slices.Sort(got)
	slices.Sort(lines)
	if r.code != exitOK || !slices.Equal(got, lines) {
		s.t.Errorf("--list %s: want %q, got %v", words, lines, r)
	}
}

// Of many missing ones ten are asked for, all are told.
func TestVerifyProbesTheMissing(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(200))
	gone := m.plain(30)
	m.verify(exitOK)
	m.b.Delete(gone...)
	want := make(map[string]string)
	for _, key := range gone {
		want[key] = "missing"
	}
	out := m.differs(want)
	if out.Probed != 10 || out.Requests.Get(costs.HeadObject) != 10 || out.Shrunk != 30 {
		t.Errorf("%+v", out)
	}
	out = m.differs(want, m.root)
	if out.Probed != 10 || out.Requests.Get(costs.HeadObject) != 10 || out.Shrunk != 0 {
		t.Errorf("%+v", out)
	}
}

// A listing that hides objects which are there is no listing: nobody may act on it.
func TestVerifyListingThatLies(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(200))
	hidden := m.plain(3)
	m.verify(exitOK)
	m.b.SetFault(func(r fixtures.Request) fixtures.Fault {
		return fixtures.Fault{Edit: func(a *fixtures.Answer) {
			if r.Op == costs.ListObjects {
				a.Body = without(a.Body, hidden)
			}
		}}
	})
	before := m.b.Usage()
	for _, args := range [][]string{{"verify"}, {"verify", "--repair", "--replace-differing", m.root}} {
		m.complaint(m.run(args...), exitStopped, "the listing lacks objects that are in the bucket")
	}
	if sent := m.b.Usage().Sub(before); sent.Get(costs.PutObject) != 0 {
		t.Errorf("repaired what is there: %v", sent)
	}
	m.b.SetFault(nil)
	m.found(m.verify(exitOK, m.root), map[string]string{})
}

// without takes objects out of a listing's page.
func without(page []byte, keys []string) []byte {
	parts := bytes.Split(page, []byte("<Contents>"))
	parts = slices.DeleteFunc(parts, func(part []byte) bool {
		return slices.ContainsFunc(keys, func(key string) bool { // of which the folders are escaped
			return bytes.Contains(part, []byte(filepath.Base(key)+"</Key>"))
		})
	})
	count := regexp.MustCompile("<KeyCount>[0-9]+<")
	return count.ReplaceAll(bytes.Join(parts, []byte("<Contents>")), fmt.Appendf(nil, "<KeyCount>%d<", len(parts)-1))
}
