package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/media"
	"example.org/mediamove/owner"
)

// verified decodes what verify --json printed.
func verified(t *testing.T, code int, r result) verifyJSON {
	t.Helper()
	var out verifyJSON
	decode(t, r, code, &out)
	return out
}

// A moved instance is a site whose tree was synced into the stand-in.
type moved struct {
	*site

	b *fixtures.Bucket
}

func newMoved(t *testing.T, spec fixtures.Spec) *moved {
	t.Helper()
	return newMovedInto(t, fixtures.NewBucket(fixtures.Options{}), spec)
}

func newMovedInto(t *testing.T, b *fixtures.Bucket, spec fixtures.Spec) *moved {
	t.Helper()
	m := &moved{newSite(t, listen(t, b), spec), b}
	m.must(exitOK, m.sync())
	return m
}

// written counts what was ever stored, but for the owner mark.
func (m *moved) written() (n int) {
	for _, o := range m.b.Objects() {
		if !strings.Contains(o.Key, ".mediamove/") { // maybe below S3_KEY_PREFIX
			n += m.b.Writes(o.Key)
		}
	}
	return n
}

// looked runs something that may only look at the bucket.
func (m *moved) looked(f func()) costs.Usage {
	m.t.Helper()
	before, objects := m.b.Usage(), m.written()
	f()
	sent := m.b.Usage().Sub(before)
	// The first run that learns of the switch tells the owner mark.
	looks := costs.Usage{}
	if m.written() == objects {
		looks[costs.PutObject] = min(1, sent[costs.PutObject])
	}
	for _, op := range []costs.Op{costs.ListObjects, costs.HeadObject, costs.GetObject} {
		looks[op] = sent[op]
	}
	if sent != looks {
		m.t.Errorf("a verify sent %v", sent)
	}
	return sent
}

// verify runs a verify that repairs nothing; its word about requests is the bucket's.
func (m *moved) verify(code int, args ...string) (out verifyJSON) {
	m.t.Helper()
	sent := m.looked(func() { out = verified(m.t, code, m.run(append([]string{"verify", "--json"}, args...)...)) })
	if out.Requests != sent || out.ClassA != sent.A() || out.ClassB != sent.B() {
		m.t.Errorf("verify says that it sent %v, the bucket saw %v", out.Requests, sent)
	}
	return out
}

// differs runs a verify that ends with 3 and finds exactly these verdicts by key.
func (m *moved) differs(want map[string]string, args ...string) verifyJSON {
	m.t.Helper()
	out := m.verify(exitLeft, args...)
	m.found(out, want)
	return out
}

// found compares what a verify counted, and what status lists, with what was planted.
func (s *site) found(out verifyJSON, want map[string]string) {
	s.t.Helper()
	if diff := cmp.Diff(want, verdictsOf(s.doubts(out.Run))); diff != "" {
		s.t.Errorf("verdicts (-want +got):\n%s", diff)
	}
	counts := make(map[string]int64)
	for _, v := range want {
		counts[v]++
	}
	if diff := cmp.Diff(counts, out.counts()); diff != "" {
		s.t.Errorf("counts (-want +got):\n%s", diff)
	}
	if !out.Complete || len(out.Unknown) > 0 {
		s.t.Errorf("incomplete: %+v", out)
	}
}

// counts is every verdict but the good ones.
func (v *verifyJSON) counts() map[string]int64 {
	all := map[string]int64{
		"missing": v.Missing, "differs": v.Differs, "rewritten": v.Rewritten, "extra": v.Extra,
		"never_uploaded": v.NeverUploaded, "changed_on_disk": v.ChangedOnDisk, "exposed": v.Exposed,
		"unread": v.Unread, "headers": v.Headers, "public": v.Public,
	}
	maps.DeleteFunc(all, func(_ string, n int64) bool { return n == 0 })
	return all
}

// verdictWords are what status --list takes of a verify.
const verdictWords = "missing,differs,rewritten,extra,exposed,changed_on_disk,never_uploaded,unread,headers,public"

// doubts is what status lists of one verify, by key.
func (s *site) doubts(run int64) map[string]listItem {
	s.t.Helper()
	var out struct{ Items []listItem }
	decode(s.t, s.run("status", "--json", "--list", verdictWords), exitOK, &out)
	all := make(map[string]listItem)
	for _, i := range out.Items {
		if i.Run == run {
			all[string(i.Key)] = i
		}
	}
	return all
}

func verdictsOf(items map[string]listItem) map[string]string {
	words := make(map[string]string, len(items))
	for key, i := range items {
		words[key] = i.Kind
	}
	return words
}

// plain returns the keys of moved objects that need no escaping anywhere, in order.
// No two are of one folder, so that every test's victims are apart.
func (m *moved) plain(n int) []string {
	m.t.Helper()
	var keys []string
	dir := ""
	for _, o := range m.b.Objects() {
		odd := strings.ContainsFunc(o.Key, func(r rune) bool { return r > '~' || strings.ContainsRune(" %&=?#+()", r) })
		if odd || media.Key(o.Key).Reserved() || filepath.Dir(o.Key) == dir || o.Size < 30 {
			continue
		}
		keys, dir = append(keys, o.Key), filepath.Dir(o.Key)
	}
	if len(keys) < n {
		m.t.Fatalf("only %d plain keys, want %d", len(keys), n)
	}
	spread := make([]string, n)
	for i := range spread {
		spread[i] = keys[i*len(keys)/n]
	}
	return spread
}

// plant stores other bytes under key, with the headers and the time of what was there.
func (m *moved) plant(key string, body []byte, etag string) {
	m.t.Helper()
	old, ok := m.b.Object(key)
	if !ok {
		m.t.Fatalf("no object %s", key)
	}
	m.b.Plant(fixtures.Object{
		Key: key, ETag: etag, ContentType: old.ContentType, CacheControl: old.CacheControl, Meta: old.Meta, LastModified: old.LastModified,
	}, body)
}

// body is what the bucket holds under key.
func (m *moved) body(key string) []byte {
	m.t.Helper()
	body, ok := m.b.Body(key)
	if !ok {
		m.t.Fatalf("no body of %s", key)
	}
	return body
}

// mark is the owner mark.
func (m *moved) mark() string {
	m.t.Helper()
	return string(m.body(owner.MarkName))
}

// path is where the file of key is.
func (s *site) path(key string) string { return filepath.Join(s.root, filepath.FromSlash(key)) }

// edit changes bytes of a file, without its size, and makes it an old one.
func (s *site) edit(key string) {
	s.t.Helper()
	body, err := os.ReadFile(s.path(key))
	if err != nil {
		s.t.Fatal(err)
	}
	body[len(body)-1] ^= 1
	if err := os.WriteFile(s.path(key), body, 0o644); err != nil {
		s.t.Fatal(err)
	}
	s.touch(key, time.Now().Add(-time.Hour))
}

func (s *site) touch(key string, at time.Time) {
	s.t.Helper()
	if err := os.Chtimes(s.path(key), at, at); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) chmod(key string, mode os.FileMode) {
	s.t.Helper()
	if err := os.Chmod(s.path(key), mode); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) remove(key string) {
	s.t.Helper()
	if err := os.Remove(s.path(key)); err != nil {
		s.t.Fatal(err)
	}
}

// write puts a file of our own into the tree, old enough to be moved.
func (s *site) write(key string, body []byte) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Dir(s.path(key)), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(s.path(key), body, 0o644); err != nil {
		s.t.Fatal(err)
	}
	s.touch(key, time.Now().Add(-time.Hour))
}

// A tree that was moved is the same, by one LIST per 1,000 and the mark, whatever
// is asked besides; and asking changes neither tree nor bucket.
func TestVerifySame(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(1200))
	local, stored := m.sums(), m.b.Objects()
	n := int64(m.files.Moved.Files)
	for _, args := range [][]string{
		{},
		{m.root},
		{"--read"},
		{"--sample", "50", m.root},
		{"--rotate", "30"},
		{"--headers", "40"},
	} {
		out := m.verify(exitOK, args...)
		m.found(out, map[string]string{})
		gets := int64(1) // the mark
		if out.Read != nil {
			gets += out.Read.Objects
		}
		sent := costs.Usage{costs.ListObjects: 2, costs.GetObject: gets, costs.HeadObject: 0}
		if slices.Contains(args, "--headers") {
			sent[costs.HeadObject] = out.Looks.Headers.Asked
		}
		if out.Same != n || out.Listed != n || out.Recorded != n || out.HeldBack != int64(m.files.HeldBack.Files) || out.Bytes != m.files.Moved.Bytes || out.Requests != sent {
			t.Errorf("%v: %+v, want %d same and %d held back", args, out, n, m.files.HeldBack.Files)
		}
		if out.Switched || out.WholeDisk != (len(args) > 0 && args[len(args)-1] == m.root) {
			t.Errorf("%v: %+v", args, out)
		}
	}
	if diff := cmp.Diff(local, m.sums()); diff != "" {
		t.Errorf("the tree was changed:\n%s", diff)
	}
	if diff := cmp.Diff(stored, m.b.Objects()); diff != "" {
		t.Errorf("the bucket was changed:\n%s", diff)
	}
}
