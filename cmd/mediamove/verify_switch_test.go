package main

import (
	"bytes"
	"cmp"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/media"
)

const (
	// A file that no sync has seen, and an object that nobody here knows.
	newFile = "media_attachments/files/000/000/777/original/new.png"
	unknown = "media_attachments/files/000/000/888/original/unknown.png"
)

// Before the switch, with one ledger: all that can be wrong at once, each told apart.
func TestVerifyBeforeTheSwitch(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(300))
	keys, mark := m.plain(9), m.mark()
	held, private := firstHidden(m.site), "backups/dumps/000/000/001/original/archive.zip"
	m.b.Delete(keys[0])
	m.plant(keys[1], bytes.Repeat([]byte("x"), len(m.body(keys[1]))), "")
	m.edit(keys[2])
	m.touch(keys[3], time.Now().Add(-time.Hour))
	m.remove(keys[4])
	m.chmod(keys[5], 0o600)
	m.b.Delete(keys[6])
	m.remove(keys[6])
	m.chmod(keys[7], 0o600)
	m.b.Delete(keys[7])
	m.plant(keys[8], m.body(keys[8])[:9], "")
	m.write(newFile, []byte("\x89PNG\r\n\x1a\n new"))
	m.b.Put(unknown, []byte("?"))
	m.b.Put(held, []byte("published by another tool"))
	m.b.Put(private, []byte("an archive of somebody"))
	m.b.Put(".mediamove/whatever", []byte("ours"))

	want := map[string]string{
		keys[0]: "missing", keys[1]: "differs", keys[2]: "changed_on_disk", keys[4]: "extra", keys[5]: "exposed",
		keys[6]: "missing", keys[8]: "differs", newFile: "never_uploaded", unknown: "extra", held: "exposed",
		private: "exposed", // not on this disk, and never public
	}
	out := m.differs(want, m.root)
	doubts := m.doubts(out.Run)
	for key, cause := range map[string]string{
		keys[0]: "moved earlier, not in the bucket now", keys[1]: "another ETag", keys[2]: "the disk holds other bytes",
		keys[4]: "gone from disk", keys[6]: "neither in the bucket nor on disk", keys[8]: "another size", unknown: "not recorded",
	} {
		if !strings.Contains(doubts[key].Cause, cause) {
			t.Errorf("%s: %q, want %q", key, doubts[key].Cause, cause)
		}
	}
	held0, n := int64(m.files.HeldBack.Files), int64(m.files.Moved.Files)
	if out.HeldBack != held0-1+1 || out.Same != n-8 || out.Recorded != n || out.Differences != int64(len(want)) || out.Switched || !out.WholeDisk {
		t.Errorf("%+v", out)
	}
	// Without the disk its own deletions and changes are not seen, but what syncs said is.
	for _, key := range []string{keys[2], keys[4], keys[5], newFile} {
		delete(want, key)
	}
	want[keys[7]] = "missing"
	m.differs(want)
	r := m.run("verify", m.root)
	if !strings.HasPrefix(r.stdout, "EXPOSED: ") || r.code != exitLeft {
		t.Errorf("what is exposed does not come first: %v", r)
	}
	if m.mark() != mark {
		t.Error("the mark was changed")
	}
}

// firstHidden is a hidden picture of the tree: held back for its mode, not its folder.
func firstHidden(s *site) string {
	for _, k := range s.files.HeldBackKeys {
		if !k.Private() && !strings.ContainsAny(string(k), " %+&=?#") {
			return string(k)
		}
	}
	return ""
}

// What one run finds and the next does not is settled by itself.
func TestVerifyDoubtsAreSettled(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(100))
	key := m.plain(1)[0]
	good, stored := m.body(key), m.b.Objects()
	verifiedBy := func() *standingJSON {
		var out story
		decode(t, m.run("explain", "--json", key), exitOK, &out)
		return out.Verified
	}
	m.b.Delete(key)
	m.differs(map[string]string{key: "missing"})
	m.differs(map[string]string{key: "missing"})
	if v := verifiedBy(); !strings.HasPrefix(v.Fallen, "missing") || v.Listings != 0 {
		t.Errorf("%+v", v)
	}
	for _, o := range stored {
		if o.Key == key {
			m.b.Plant(o, good)
		}
	}
	m.found(m.verify(exitOK), map[string]string{})
	if v := verifiedBy(); v.Fallen != "" || v.Listings != 1 || v.Op != costs.ListObjects.String() {
		t.Errorf("%+v", v)
	}
	m.b.Corrupt(key)
	m.differs(map[string]string{key: "differs"}, "--read")
	m.differs(map[string]string{key: "differs"}) // a listing can't see it, and does not forget it
	if v := verifiedBy(); !strings.HasPrefix(v.Fallen, "differs") {
		t.Errorf("a listing lifted the doubt about bytes: %+v", v)
	}
}

// With two ledgers in the mark, what this one does not know may be the other's.
func TestVerifyWithTwoHosts(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(120))
	other := *m.site
	other.root, other.state = filepath.Join(t.TempDir(), "system"), filepath.Join(t.TempDir(), "state")
	if err := os.CopyFS(other.root, os.DirFS(m.root)); err != nil {
		t.Fatal(err)
	}
	other.write(newFile, []byte("\x89PNG\r\n\x1a\n of the other host"))
	for _, k := range m.files.HeldBackKeys { // CopyFS opens what it copies
		other.chmod(string(k), 0o600)
	}
	_, id, _ := strings.Cut(other.sync().stderr, "--join ")
	other.must(exitOK, other.sync("--join", strings.TrimSpace(id)))
	out := m.verify(exitOK, m.root)
	m.found(out, map[string]string{})
	if out.OtherHost != 1 || out.Extra != 0 {
		t.Errorf("%+v", out)
	}
	if r := m.run("verify"); r.code != exitOK || !strings.Contains(r.stdout, "other host") {
		t.Error(r)
	}
	gone := m.plain(1)[0]
	m.b.Delete(gone)
	m.differs(map[string]string{gone: "missing"}, m.root)
	second := &moved{&other, m.b}
	second.differs(map[string]string{gone: "missing"}, other.root)
}

// After the switch Mastodon writes and deletes; only what it can't have done is a
// difference. The ledger remembers, and nobody but a sync writes the mark.
func TestVerifyAfterTheSwitch(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(200))
	keys, mark := m.plain(6), m.mark()
	m.b.Put(unknown, []byte("a new post"))
	later := fixtures.Object{Key: keys[0], LastModified: time.Now().Add(time.Minute)}
	m.b.Plant(later, []byte("processed anew"))
	m.remove(keys[1])
	m.env["S3_ENABLED"] = "true"
	out := m.verify(exitOK, m.root)
	m.foundSwitched(out, map[string]string{keys[0]: "rewritten"})
	if !out.Switched || out.Extra != 1 || out.Rewritten != 1 || out.Differences != 0 {
		t.Errorf("%+v", out)
	}
	delete(m.env, "S3_ENABLED") // the ledger remembers
	m.b.Delete(keys[2])
	m.plant(keys[3], []byte("not newer than our PUT"), "")
	m.chmod(keys[4], 0o600)
	out = m.verify(exitLeft, m.root)
	want := map[string]string{keys[0]: "rewritten", keys[2]: "missing", keys[3]: "differs", keys[4]: "exposed"}
	m.foundSwitched(out, want)
	if !out.Switched || out.Differences != 3 {
		t.Errorf("%+v", out)
	}
	if d := m.doubts(out.Run)[keys[2]]; d.Cause != "missing, or deleted by Mastodon" {
		t.Errorf("%+v", d)
	}
	r := m.run("verify", m.root)
	for _, say := range []string{"normal", "only its database can tell", "after the switch nothing is sent again"} {
		if !strings.Contains(r.stdout, say) {
			t.Errorf("nothing of %q in %v", say, r)
		}
	}
	// Typed, "before" is believed for this run only.
	want[keys[0]], want[keys[1]], want[unknown] = "differs", "extra", "extra"
	m.differs(want, "--before-switch", m.root)
	if out := m.verify(exitLeft); !out.Switched {
		t.Errorf("a verify took the switch back: %+v", out)
	}
	// Another host must not send what was deleted since: the first run that saw the
	// switch has told the mark, and no later one has taken it back.
	if m.mark() == mark || strings.Contains(m.mark(), `"switched_at": null`) || strings.Contains(m.mark(), `"switched_at":null`) {
		t.Errorf("the mark does not know of the switch: %s", m.mark())
	}
}

// What is newer than our PUT is told by the server's clock, whatever ours says.
func TestVerifyByTheServersClock(t *testing.T) {
	t.Parallel()
	for name, ahead := range map[string]time.Duration{"ahead": 10 * time.Minute, "behind": -10 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := func() time.Time { return time.Now().Add(ahead) }
			m := newMovedInto(t, fixtures.NewBucket(fixtures.Options{Now: now}), fixtures.Mixed(40))
			keys := m.plain(2)
			m.plant(keys[0], []byte("as old as our PUT"), "")
			m.b.Plant(fixtures.Object{Key: keys[1], LastModified: now().Add(30 * time.Second)}, []byte("newer"))
			m.env["S3_ENABLED"] = "true"
			m.differs(map[string]string{keys[0]: "differs", keys[1]: "rewritten"}, m.root)
		})
	}
}

// foundSwitched is found where what nobody here knows is normal, and so is not noted.
func (s *site) foundSwitched(out verifyJSON, want map[string]string) {
	s.t.Helper()
	out.Extra = 0
	s.found(out, want)
}

// A switch that only the mark knows of counts.
func TestVerifyLearnsTheSwitchFromTheMark(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(50))
	before := filepath.Join(t.TempDir(), "state")
	if err := os.CopyFS(before, os.DirFS(m.state)); err != nil {
		t.Fatal(err)
	}
	m.must(exitOK, m.sync("--after-switch"))
	m.state = before // as if restored from a backup
	m.b.Put(unknown, []byte("a new post"))
	if out := m.verify(exitOK, m.root); !out.Switched || out.Extra != 1 {
		t.Errorf("%+v", out)
	}
}

// A folder that can't be read: nothing below it is called gone, and the pass is no
// proof, whatever else it found.
func TestVerifyUnreadableFolder(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("becoming another user needs root")
	}
	const nobody = 65534
	openTo(t, filepath.Dir(program(t)))
	m := newMoved(t, fixtures.Small(100))
	openTo(t, m.root)
	openTo(t, filepath.Dir(m.state))
	err := filepath.WalkDir(m.state, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, nobody, nobody)
	})
	if err != nil {
		t.Fatal(err)
	}
	as := func(args ...string) result { return m.as(nobody, append([]string{"verify", "--json"}, args...)...) }
	if out := verified(t, exitOK, as(m.root)); !out.WholeDisk {
		t.Errorf("%+v", out)
	}
	locked := m.path("cache/media_attachments/files")
	if err := os.Chmod(locked, 0o700); err != nil {
		t.Fatal(err)
	}
	out := verified(t, exitStopped, as(m.root))
	if out.Complete || out.WholeDisk || out.Extra != 0 || out.Differences != 0 || len(out.Unknown) != 1 || !strings.Contains(out.Unknown[0], "cache/media_attachments/files") {
		t.Errorf("%+v", out)
	}
	// A difference does not make it known, and no certificate is made of it.
	gone := m.plain(1)[0]
	m.b.Delete(gone)
	file := filepath.Join(filepath.Dir(m.state), "move.cert")
	if err := os.Chown(filepath.Dir(m.state), nobody, nobody); err != nil {
		t.Fatal(err)
	}
	out = verified(t, exitStopped, as(m.root, "--certificate", file))
	if out.Missing != 1 || out.Complete || out.Certificate != nil {
		t.Errorf("%+v", out)
	}
	if _, err := os.Lstat(file); err == nil {
		t.Error("a certificate was made")
	}
	if out := verified(t, exitLeft, as()); !out.Complete { // the bucket against the ledger can be told
		t.Errorf("%+v", out)
	}
}

// What is behind a link is not known.
func TestVerifyLink(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(50))
	link := filepath.Join(m.root, "media_attachments", "files", "999")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	m.remove(m.plain(1)[0]) // it may be behind the link now
	out := m.verify(exitStopped, m.root)
	if out.Complete || out.WholeDisk || out.Differences != 0 || len(out.Unknown) != 1 {
		t.Errorf("%+v", out)
	}
	r := m.run("verify", m.root)
	if r.code != exitStopped || !strings.Contains(r.stdout, "COULD NOT TELL") || !strings.Contains(r.stdout, "999") {
		t.Error(r)
	}
}

// Names that are one to R2: neither file is moved, and each is told, with the reason.
// A twin that appears beside a moved file does not make the object an odd one.
func TestVerifyTwins(t *testing.T) {
	t.Parallel()
	const composed, decomposed = "media_attachments/files/000/000/099/original/\u00fcber.png", "media_attachments/files/000/000/099/original/u\u0308ber.png"
	const first, later = "media_attachments/files/000/000/098/original/\u00e9t\u00e9.png", "media_attachments/files/000/000/098/original/e\u0301te\u0301.png"
	b := fixtures.NewBucket(fixtures.Options{})
	m := &moved{newSite(t, listen(t, b), fixtures.Mixed(50)), b}
	m.write(composed, []byte("\x89PNG\r\n\x1a\n one"))
	m.write(decomposed, []byte("\x89PNG\r\n\x1a\n two"))
	m.write(first, []byte("\x89PNG\r\n\x1a\n moved"))
	m.must(exitLeft, m.sync())
	want := map[string]string{composed: "never_uploaded", decomposed: "never_uploaded"}
	out := m.differs(want, m.root)
	for key := range want {
		if d := m.doubts(out.Run)[key]; !strings.Contains(d.Cause, "failed: ") {
			t.Errorf("%s: %s", key, d.Cause)
		}
	}
	m.write(later, []byte("\x89PNG\r\n\x1a\n not moved"))
	m.must(exitLeft, m.sync())
	want[later] = "never_uploaded"
	m.differs(want, m.root)
}

// A brokenList is what may happen to the pages of a listing.
type brokenList struct {
	name  string
	spoil func(page int, a *fixtures.Answer, first []byte) // first is the first page
	fault fixtures.Fault                                   // of the third page, instead
	code  int
	want  string
}

func brokenLists() []brokenList {
	token := regexp.MustCompile("<NextContinuationToken>[^<]*</NextContinuationToken>")
	contents := regexp.MustCompile("(?s)<Contents>.*</Contents>")
	return []brokenList{
		{name: "truncated without a token", spoil: func(n int, a *fixtures.Answer, _ []byte) {
			if n == 3 {
				a.Body = token.ReplaceAll(a.Body, nil)
			}
		}},
		{name: "its own next page", spoil: func(n int, a *fixtures.Answer, first []byte) {
			if n == 2 {
				a.Body = token.ReplaceAll(a.Body, token.Find(first))
			}
		}},
		{name: "in a circle", spoil: func(n int, a *fixtures.Answer, first []byte) {
			if n == 3 {
				a.Body = token.ReplaceAll(a.Body, token.Find(first))
			}
		}},
		{name: "does not advance", spoil: func(_ int, a *fixtures.Answer, first []byte) {
			a.Body = contents.ReplaceAll(a.Body, contents.Find(first))
		}},
		{name: "says that it is the last in the middle", spoil: func(n int, a *fixtures.Answer, _ []byte) {
			if n == 3 {
				a.Body = bytes.ReplaceAll(a.Body, []byte("<IsTruncated>true<"), []byte("<IsTruncated>false<"))
			}
		}},
		{name: "a page of something else", fault: fixtures.Fault{HTML: true}},
		{name: "refused in the middle", fault: fixtures.Fault{Status: 400, Code: "InvalidArgument"}, want: "InvalidArgument"},
		{name: "denied in the middle", fault: fixtures.Fault{Status: 403, Code: "AccessDenied"}, code: exitUsage, want: "AccessDenied"},
	}
}

// script breaks one listing.
func (l brokenList) script() func(fixtures.Request) fixtures.Fault {
	var mu sync.Mutex // a listing's pages come one at a time, but over several connections
	var first []byte
	pages := 0
	return func(r fixtures.Request) fixtures.Fault {
		if r.Op != costs.ListObjects {
			return fixtures.Fault{}
		}
		mu.Lock()
		defer mu.Unlock()
		pages++
		page, f := pages, fixtures.Fault{}
		if page == 3 {
			f = l.fault
		}
		f.Edit = func(a *fixtures.Answer) {
			mu.Lock()
			defer mu.Unlock()
			if page == 1 {
				first = bytes.Clone(a.Body)
			}
			if l.spoil != nil {
				l.spoil(page, a, first)
			}
		}
		return f
	}
}

// A listing that can't be believed is an error, and nobody is called missing by it.
func TestVerifyListingsThatBreak(t *testing.T) {
	t.Parallel()
	m := newMovedInto(t, fixtures.NewBucket(fixtures.Options{PageSize: 50}), fixtures.Mixed(240))
	m.verify(exitOK)
	for _, l := range brokenLists() { // one after the other: they share a ledger
		m.b.SetFault(l.script())
		r := m.run("verify", m.root)
		m.complaint(r, cmp.Or(l.code, exitStopped), cmp.Or(l.want, "makes no sense"))
		if !strings.Contains(r.stdout, "COULD NOT TELL") || strings.Contains(r.stdout, "proven by the listing") {
			t.Errorf("%s: %v", l.name, r)
		}
		if r := m.run("status", "--list", verdictWords); r.stdout != "" {
			t.Errorf("%s: noted %v", l.name, r)
		}
	}
	m.b.SetFault(nil)
	if out := m.verify(exitOK, m.root); out.Shrunk != 0 || out.Same != int64(m.files.Moved.Files) {
		t.Errorf("%+v", out)
	}
	// A limit ends the listing in order, and yet nothing is known.
	r := m.run("verify", "--max-class-a", "2")
	m.complaint(r, exitStopped, "--max-class-a 2 came before the end")
	if !strings.Contains(r.stdout, "COULD NOT TELL") {
		t.Error(r)
	}
}

// Below a prefix nothing else of the bucket is anybody's business.
func TestVerifyBelowAPrefix(t *testing.T) {
	t.Parallel()
	b := fixtures.NewBucket(fixtures.Options{})
	b.Put("another/tenant.png", []byte("x"))
	m := &moved{newSite(t, listen(t, b), fixtures.Mixed(100)), b}
	m.env["S3_KEY_PREFIX"] = "social/media"
	m.must(exitOK, m.sync())
	b.Put("social/mediaeval.png", []byte("x"))
	if out := m.verify(exitOK, "--read", m.root); out.Listed != int64(m.files.Moved.Files) || out.Read.Equal != out.Listed {
		t.Errorf("%+v", out)
	}
	key := ""
	for _, o := range b.Objects() {
		if k, ok := strings.CutPrefix(o.Key, "social/media/"); ok && !media.Key(k).Reserved() {
			key = k
		}
	}
	b.Delete("social/media/" + key)
	b.Put("social/media/"+unknown, []byte("x"))
	m.differs(map[string]string{key: "missing", unknown: "extra"}, m.root)
}
