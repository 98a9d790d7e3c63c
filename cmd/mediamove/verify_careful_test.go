package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/ledger"
)

// Ways in which a verify could say that all is well and be wrong. Each was found by a
// hostile reader and is tested for ever.

// Rot that was read once stays a difference: of runs that only list, of certificates,
// and of the repair that the screen advises.
func TestVerifyKnownRot(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(60))
	key := m.plain(1)[0]
	good := m.body(key)
	m.b.Corrupt(key)
	m.differs(map[string]string{key: "differs"}, "--read")
	m.differs(map[string]string{key: "differs"})
	m.differs(map[string]string{key: "differs"}, m.root)
	file := filepath.Join(t.TempDir(), "move.cert")
	if r := m.run("verify", "--certificate", file, m.root); r.code != exitLeft || !strings.Contains(r.stdout, "no certificate: 1 differences") {
		t.Error(r)
	}
	if r := m.run("status", "--list", "differs"); !strings.Contains(r.stdout, key) {
		t.Errorf("not listed: %v", r)
	}
	out, _ := m.repair(exitOK, "--replace-differing", m.root)
	if out.Repaired != 1 || string(m.body(key)) != string(good) {
		t.Errorf("%+v", out)
	}
	if out := m.verify(exitOK, "--read"); out.Same != out.Recorded {
		t.Errorf("%+v", out)
	}
}

// A file that sync found in conflict is no less one after a repair that left it alone.
func TestVerifyRepairKeepsConflicts(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(40))
	m.b.Put(newFile, []byte("\x89PNG\r\n\x1a\n of another tool"))
	m.write(newFile, []byte("\x89PNG\r\n\x1a\n of the disk"))
	m.must(exitLeft, m.sync())
	for range 2 {
		m.differs(map[string]string{newFile: "differs"})
		out, sent := m.repair(exitLeft, "--replace-differing", m.root)
		if out.Repaired != 0 || sent.Get(costs.PutObject) != 0 {
			t.Errorf("%+v, sent %v", out, sent)
		}
	}
	if r := m.run("verify"); strings.Contains(r.stdout, "--replace-differing ROOT") {
		t.Errorf("advises what does nothing: %v", r)
	}
}

// Half a move is no move: without the disk beside it, the ledger knows only its half.
func TestVerifyNoCertificateOfHalfAMove(t *testing.T) {
	t.Parallel()
	b := fixtures.NewBucket(fixtures.Options{})
	m := &moved{newSite(t, listen(t, b), fixtures.Mixed(60)), b}
	m.must(exitLeft, m.sync("--max-class-a", "20"))
	file := filepath.Join(t.TempDir(), "move.cert")
	if r := m.run("verify", "--certificate", file); r.code != exitLeft || !strings.Contains(r.stdout, "was no whole walk") {
		t.Error(r)
	}
	nothingAt(t, file)
	m.must(exitOK, m.sync())
	m.verify(exitOK, "--certificate", file)
}

// An object that was withdrawn after its file was hidden is proven by nothing.
func TestVerifyWithdrawnStandsNoMore(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(40))
	key := m.plain(1)[0]
	m.chmod(key, 0o600)
	m.b.Delete(key)
	if out := m.verify(exitOK, m.root); out.HeldBack != int64(m.files.HeldBack.Files)+1 {
		t.Errorf("%+v", out)
	}
	var s story
	decode(t, m.run("explain", "--json", key), exitOK, &s)
	if !strings.HasPrefix(s.Verified.Fallen, string(ledger.Withdrawn)) {
		t.Errorf("%+v", s.Verified)
	}
}

// Another host's objects are counted, and missed when they go.
func TestVerifyMissesOtherHosts(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(40))
	other := *m.site
	other.root, other.state = filepath.Join(t.TempDir(), "system"), filepath.Join(t.TempDir(), "state")
	other.write(newFile, []byte("\x89PNG\r\n\x1a\n of the other host"))
	_, id, _ := strings.Cut(other.sync().stderr, "--join ")
	other.must(exitOK, other.sync("--join", strings.TrimSpace(id)))
	if out := m.verify(exitOK); out.OtherHost != 1 {
		t.Fatalf("%+v", out)
	}
	m.b.Delete(newFile)
	if out := m.verify(exitLeft); out.Lost != 1 || out.Differences != 1 {
		t.Errorf("%+v", out)
	}
}

// A private key that answers "later" may be public a minute later.
func TestVerifyPrivateKeyThatIsBusy(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(40))
	const archive = "backups/dumps/000/000/001/original/archive.zip"
	m.b.Put(archive, []byte("an archive"))
	m.env["S3_ENABLED"] = "true" // where Mastodon itself puts them into the bucket
	m.front(fixtures.PublicOptions{AllowOrigin: "*", Edit: on(archive, func(a *fixtures.Answer) { a.Status = http.StatusServiceUnavailable })})
	out := m.verify(exitStopped, "--public", "--visits", "5")
	if out.Complete || len(out.Unknown) != 1 || out.Looks.Private.Fine != 0 {
		t.Errorf("%+v", out)
	}
}

// Pages come from WEB_DOMAIN where that is set, and so does the Origin.
func TestVerifyPublicFromTheWebDomain(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(40))
	m.front(fixtures.PublicOptions{AllowOrigin: "https://web.social.example"})
	m.env["WEB_DOMAIN"] = "web.social.example"
	m.verify(exitOK, "--public", "--visits", "5")
	delete(m.env, "WEB_DOMAIN")
	m.verify(exitLeft, "--public", "--visits", "5")
}

// A certificate of after the switch is checked as after it, whatever the settings say.
func TestVerifyAgainstKnowsTheSwitch(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(40))
	m.env["S3_ENABLED"] = "true"
	file := filepath.Join(t.TempDir(), "move.cert")
	m.verify(exitOK, "--certificate", file)
	m.b.Put(unknown, []byte("a new post"))
	delete(m.env, "S3_ENABLED")
	m.state = filepath.Join(t.TempDir(), "none")
	if out := m.verify(exitOK, "--against", file); out.Extra != 1 || !out.Switched {
		t.Errorf("%+v", out)
	}
}

// A class folder that lost everything is a disk that is not mounted, more likely than
// a thousand deleted files.
func TestVerifyUnmountedDisk(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(1500))
	if err := os.RemoveAll(filepath.Join(m.root, "cache", "accounts")); err != nil {
		t.Fatal(err)
	}
	r := m.run("verify", m.root)
	if r.code != exitRefused || !strings.Contains(r.stderr, "is its disk mounted?") {
		t.Error(r)
	}
	if out := m.verify(exitLeft, m.root, "--allow-empty", "cache/accounts"); out.Gone == 0 || out.Extra != out.Gone {
		t.Errorf("%+v", out)
	}
}

// What the last verify found is told where an admin looks first.
func TestVerifyStatusTells(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(40))
	m.b.Delete(m.plain(1)[0])
	m.verify(exitLeft)
	if r := m.run("status"); !strings.Contains(r.stdout, "missing 1") {
		t.Error(r)
	}
}

// The certificate is refused a place where it would be served, also when the media root
// is only in the settings.
func TestVerifyCertificateInTheSettingsRoot(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(20))
	m.env["PAPERCLIP_ROOT_PATH"] = m.root
	if r := m.run("verify", "--certificate", filepath.Join(m.root, "move.cert")); r.code != exitUsage || !strings.Contains(r.stderr, "inside the media root") {
		t.Error(r)
	}
}
