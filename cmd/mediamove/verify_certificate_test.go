package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/verify"
)

// sha256sum lets coreutils compare the tree with a list.
func (s *site) sha256sum(list string) (string, error) {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), "sha256sum", "--strict", "--quiet", "-c", list)
	cmd.Dir = s.root
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// nothingAt: neither the certificate nor its list, nor a draft of them, is there.
func nothingAt(t *testing.T, file string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(filepath.Dir(file), "*"))
	if err != nil {
		t.Fatal(err)
	}
	hidden, _ := filepath.Glob(filepath.Join(filepath.Dir(file), ".*"))
	for _, name := range append(left, hidden...) {
		t.Errorf("left behind: %s", name)
	}
}

// opened reads a certificate back through the package that wrote it.
func opened(t *testing.T, file string) (c verify.Certificate, names map[string]verify.Exception) {
	t.Helper()
	s, err := verify.OpenCertificate(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	names = make(map[string]verify.Exception)
	for one, err := range s.Named() {
		if err != nil {
			t.Fatal(err)
		}
		names[string(one.Key)] = one.Except
	}
	return s.Certificate, names
}

// A certificate says what was proven, its list is one for sha256sum, and both are
// for their owner only.
func TestVerifyCertificate(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(250))
	file := filepath.Join(t.TempDir(), "move.cert")
	out := m.verify(exitOK, "--read", "--certificate", file, m.root)
	n, size := int64(m.files.Moved.Files), m.files.Moved.Bytes
	list, err := os.ReadFile(file + ".sha256")
	if err != nil {
		t.Fatal(err)
	}
	want := certificateJSON{file, file + ".sha256", fmt.Sprintf("%x", sha256.Sum256(list)), n, size}
	if out.Certificate == nil || *out.Certificate != want {
		t.Errorf("%+v, want %+v", out.Certificate, want)
	}
	for _, name := range []string{file, file + ".sha256"} {
		if info, err := os.Stat(name); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
	}
	if out, err := m.sha256sum(file + ".sha256"); err != nil || out != "" {
		t.Errorf("sha256sum: %v\n%s", err, out)
	}
	c, names := opened(t, file)
	if c.Root != m.root || c.Domain != "social.example" || c.Bucket != fixtures.Name || c.Endpoint != m.env["S3_ENDPOINT"] || !c.SwitchedAt.IsZero() ||
		c.Objects != n || c.Bytes != size || c.Put != n || c.ReadBack != n || c.Seed != nil || c.Run != out.Run || c.ListedRun != out.Run || c.Differences != 0 {
		t.Errorf("%+v", c)
	}
	for _, k := range m.files.HeldBackKeys {
		if _, ok := names[string(k)]; ok {
			t.Errorf("%s is held back, and in the list", k)
		}
	}
	if _, ok := m.b.Object(".mediamove/owner.json"); !ok || len(names) != int(n) {
		t.Errorf("%d names, want %d", len(names), n)
	}
	m.edit(m.plain(1)[0])
	if out, err := m.sha256sum(file + ".sha256"); err == nil {
		t.Errorf("sha256sum found nothing: %s", out)
	}
	if text, _ := os.ReadFile(file); bytes.Contains(text, []byte(m.env["AWS_ACCESS_KEY_ID"])) || bytes.Contains(list, []byte(m.env["AWS_SECRET_ACCESS_KEY"])) {
		t.Error("a credential is in the certificate")
	}
	// Without the disk and by a sample it says so.
	second := filepath.Join(t.TempDir(), "second.cert")
	m.verify(exitOK, "--sample", "40", "--seed", "7", "--certificate", second)
	c, _ = opened(t, second)
	if c.Root != "" || c.Seed == nil || *c.Seed != 7 || c.ReadBack < 40 || c.ReadBack >= n {
		t.Errorf("%+v", c)
	}
	r := m.run("verify", "--certificate", filepath.Join(t.TempDir(), "third.cert"))
	for _, say := range []string{"certificate: ", "sha256sum --quiet -c ", "mediamove verify --against "} {
		if r.code != exitOK || !strings.Contains(r.stdout, say) {
			t.Errorf("nothing of %q in %v", say, r)
		}
	}
}

// What would make the certificate fail, or public, is told before anything is asked.
func TestVerifyCertificateNowhere(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(20))
	dir := t.TempDir()
	exists, list, inRoot := filepath.Join(dir, "exists"), filepath.Join(dir, "list"), filepath.Join(dir, "into-root")
	dangling, cwd := filepath.Join(dir, "dangling"), filepath.Join(m.root, "media_attachments")
	for _, name := range []string{exists, list + ".sha256"} {
		if err := os.WriteFile(name, []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{inRoot: cwd, dangling: "nowhere"} {
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	before := m.b.Usage()
	for name, tt := range map[string]struct {
		file, want string
		args       []string
	}{
		"exists":                      {exists, "is there already", nil},
		"its list exists":             {list, "is there already", nil},
		"a link to nowhere":           {dangling, "is there already", nil},
		"a folder":                    {dir, "is a folder", nil},
		"its folder is missing":       {filepath.Join(dir, "no", "such", "x"), "no such file", nil},
		"in the media root":           {filepath.Join(m.root, "move.cert"), "inside the media root", nil},
		"in the media root by a link": {filepath.Join(inRoot, "move.cert"), "inside the media root", nil},
		"with --repair":               {filepath.Join(dir, "x"), "do not go together", []string{"--repair"}},
	} {
		m.complaint(m.run(append([]string{"verify", "--certificate", tt.file, m.root}, tt.args...)...), exitUsage, tt.want)
		if t.Failed() {
			t.Fatal(name)
		}
	}
	if sent := m.b.Usage().Sub(before); !sent.IsZero() {
		t.Errorf("sent %v", sent)
	}
	for _, name := range []string{exists, list + ".sha256"} {
		if text, err := os.ReadFile(name); err != nil || string(text) != "precious" {
			t.Errorf("%s: %q %v", name, text, err)
		}
	}
	if names, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(names) != 4 {
		t.Errorf("%q", names)
	}
}

// There is none with reservations, and who asked for one learns it by the exit status.
func TestVerifyCertificateRefused(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(100))
	key, n := m.plain(1)[0], 0
	refused := func(why string, args ...string) {
		t.Helper()
		n++
		file := filepath.Join(t.TempDir(), "move.cert")
		r := m.run(append([]string{"verify", "--certificate", file}, args...)...)
		if r.code != exitLeft || !strings.Contains(r.stdout, "no certificate: ") || !strings.Contains(r.stdout, why) {
			t.Errorf("want exit 3 and %q, got %v", why, r)
		}
		nothingAt(t, file)
	}
	// On disk and in the bucket alike, but no run has proven it.
	m.write(newFile, []byte("\x89PNG\r\n\x1a\n new"))
	m.b.Put(newFile, []byte("\x89PNG\r\n\x1a\n new"))
	refused("not in the ledger", m.root)
	refused("1 differences") // without the disk it is an extra one
	m.b.Delete(newFile)
	m.remove(newFile)

	was, _ := m.b.Object(key)
	body := m.body(key)
	m.b.Corrupt(key)
	refused("1 differences", "--read")
	m.b.Delete(key)
	refused("1 differences", m.root)
	m.env["S3_ENABLED"] = "true"
	refused("1 differences") // no row can be asked yet whether it was meant
	m.b.Plant(was, body)
	file := filepath.Join(t.TempDir(), "move.cert")
	refused("1 differences") // no listing can tell that the rot is gone
	m.verify(exitOK, "--read", "--certificate", file, m.root)
	if c, _ := opened(t, file); c.SwitchedAt.IsZero() || c.Absent != 0 {
		t.Errorf("%+v", c)
	}
}

// After the switch what Mastodon wrote anew is named and is no difference.
func TestVerifyCertificateAfterTheSwitch(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(100))
	key := m.plain(1)[0]
	m.env["S3_ENABLED"] = "true"
	m.b.Plant(fixtures.Object{Key: key, LastModified: time.Now().Add(time.Minute)}, []byte("processed anew"))
	m.b.Put(unknown, []byte("a new post"))
	file := filepath.Join(t.TempDir(), "move.cert")
	out := m.verify(exitOK, "--certificate", file, "--read", m.root)
	c, names := opened(t, file)
	if c.Rewritten != 1 || names[key] != verify.ExceptRewritten || c.SwitchedAt.IsZero() || c.Objects != int64(m.files.Moved.Files)-1 || out.Extra != 1 {
		t.Errorf("%+v, %s", c, names[key])
	}
	if _, ok := names[unknown]; ok {
		t.Error("Mastodon's own object is in the list")
	}
	m.edit(key) // not what is certified
	if out, err := m.sha256sum(file + ".sha256"); err != nil || out != "" {
		t.Errorf("sha256sum: %v\n%s", err, out)
	}
	if out := m.verify(exitOK, "--against", file); out.Same != c.Objects || out.Extra != 2 {
		t.Errorf("%+v", out)
	}
}

// An object that was withdrawn, since its file was hidden, is not certified.
func TestVerifyCertificateWithWithdrawn(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(100))
	key := m.plain(1)[0]
	m.chmod(key, 0o600)
	m.b.Delete(key)
	file := filepath.Join(t.TempDir(), "move.cert")
	out := m.verify(exitOK, "--certificate", file, m.root)
	if c, names := opened(t, file); c.Objects != int64(m.files.Moved.Files)-1 || len(names) != int(c.Objects) || out.HeldBack != int64(m.files.HeldBack.Files)+1 {
		t.Errorf("%+v", c)
	}
}

// A certificate is checked again without the ledger, from any machine.
func TestVerifyAgainst(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(150))
	dir := t.TempDir()
	file := filepath.Join(dir, "move.cert")
	m.verify(exitOK, "--certificate", file, m.root)
	m.state, m.env["TMPDIR"] = filepath.Join(t.TempDir(), "none"), t.TempDir()
	mark, keys := m.mark(), m.plain(3)

	out := m.verify(exitOK, "--against", file)
	if out.Same != int64(m.files.Moved.Files) || out.Requests != (costs.Usage{costs.ListObjects: 1, costs.GetObject: 1}) {
		t.Errorf("%+v", out)
	}
	if out := m.verify(exitOK, "--against", file, "--read"); out.Read == nil || out.Read.Equal != out.Same {
		t.Errorf("%+v", out)
	}
	if out := m.verify(exitOK, "--against", file, "--sample", "20", "--headers", "10"); out.Read == nil || out.Read.Equal < 20 || out.Looks.Headers.Asked < 10 {
		t.Errorf("%+v", out)
	}
	// Both files under another name.
	other := filepath.Join(t.TempDir(), "other")
	for from, to := range map[string]string{file: other, file + ".sha256": other + ".sha256"} {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	m.b.Corrupt(keys[0])
	m.verify(exitOK, "--against", other)
	out = m.verify(exitLeft, "--against", other, "--read")
	if out.Differs != 1 || out.Differences != 1 {
		t.Errorf("rot: %+v", out)
	}
	m.b.Delete(keys[1])
	m.b.Put(unknown, []byte("?"))
	out = m.verify(exitLeft, "--against", other)
	if out.Missing != 1 || out.Extra != 1 || out.Differences != 2 {
		t.Errorf("%+v", out)
	}
	r := m.run("verify", "--against", other)
	if r.code != exitLeft || !strings.Contains(r.stdout, keys[1]) || !strings.Contains(r.stdout, unknown) || strings.Contains(r.stdout, "--repair") || strings.Contains(r.stdout, "status --list") {
		t.Error(r)
	}
	// A switch since then is told by the mark.
	m.env["S3_ENABLED"] = "true"
	if out := m.verify(exitLeft, "--against", other); out.Missing != 1 || out.Extra != 1 || out.Differences != 1 {
		t.Errorf("%+v", out)
	}
	if m.mark() != mark {
		t.Error("the mark was changed")
	}
	if _, err := os.Lstat(m.state); err == nil {
		t.Error("a ledger was made")
	}
	if left, err := filepath.Glob(filepath.Join(m.env["TMPDIR"], "*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}

// What is not the certificate of this bucket, or not as it was made, is refused.
func TestVerifyAgainstTheWrong(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(50))
	file := filepath.Join(t.TempDir(), "move.cert")
	m.verify(exitOK, "--certificate", file)
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadFile(file + ".sha256")
	if err != nil {
		t.Fatal(err)
	}
	copied := func(page, list []byte) string {
		name := filepath.Join(t.TempDir(), "move.cert")
		for name, text := range map[string][]byte{name: page, name + ".sha256": list} {
			if text == nil {
				continue
			}
			if err := os.WriteFile(name, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return name
	}
	hash := list[bytes.Index(list, []byte("\n# "))+3:]
	hash = hash[bytes.IndexByte(hash, '\n')+1:][:64]
	forged := bytes.Replace(list, hash, bytes.Repeat([]byte("0"), 64), 1)
	for name, tt := range map[string]struct {
		file, want string
		args       []string
	}{
		"the list was altered":   {copied(page, forged), "not the list that was certified", nil},
		"the list was cut":       {copied(page, list[:len(list)/2]), "", nil},
		"the list is empty":      {copied(page, []byte{}), "not the list", nil},
		"there is no list":       {copied(page, nil), "no such file", nil},
		"the page was altered":   {copied(bytes.Replace(page, []byte("differences:"), []byte("Differences:"), 1), list), "not a certificate", nil},
		"the page is the list":   {copied(list, list), "not a certificate", nil},
		"there is none":          {filepath.Join(t.TempDir(), "none"), "no such file", nil},
		"a folder":               {t.TempDir(), "", nil},
		"with a media root":      {file, "and nothing else", []string{m.root}},
		"with a part":            {file, "and nothing else", []string{"--rotate", "30"}},
		"with --repair":          {file, "and nothing else", []string{"--repair"}},
		"with a new certificate": {file, "and nothing else", []string{"--certificate", file + "2"}},
	} {
		before := m.b.Usage()
		m.complaint(m.run(append([]string{"verify", "--against", tt.file}, tt.args...)...), exitUsage, tt.want)
		if sent := m.b.Usage().Sub(before); !sent.IsZero() {
			t.Errorf("%s: sent %v", name, sent)
		}
		if t.Failed() {
			t.Fatal(name)
		}
	}
	other := newMoved(t, fixtures.Mixed(50))
	other.complaint(other.run("verify", "--against", file), exitRefused, "the certificate is for bucket")
	other.b.Wipe()
	other.complaint(other.run("verify", "--against", file), exitRefused, "no owner mark")
}
