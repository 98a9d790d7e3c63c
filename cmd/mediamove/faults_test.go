package main

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/media"
)

// complaint expects one clear line that says want, and a hint.
func (s *site) complaint(r result, code int, want string) {
	s.t.Helper()
	lines := 0
	for line := range strings.Lines(r.stderr) {
		if strings.HasPrefix(line, "mediamove: ") {
			lines++
		}
	}
	if r.code != code || lines != 1 || !strings.Contains(r.stderr, want) {
		s.t.Errorf("want exit %d and one line with %q, got %v", code, want, r)
	}
	if !strings.Contains(r.stderr, "hint: ") {
		s.t.Errorf("no hint in %v", r)
	}
}

// What is wrong before anything was sent: one clear line, the right status,
// nothing in the bucket.
func TestWrongFromTheStart(t *testing.T) {
	t.Parallel()
	b := fixtures.NewBucket(fixtures.Options{})
	endpoint := listen(t, b)
	type edit func(s *site) []string // arguments instead of ROOT
	tests := []struct {
		name string
		edit edit
		code int
		want string
	}{
		{"no folder", func(*site) []string { return []string{"/nonexistent"} }, 2, "media root"},
		{"wrong folder", func(s *site) []string { return []string{s.state + "/.."} }, 2, "holds none of Mastodon's media folders"},
		{"cache as root", func(s *site) []string { return []string{s.root + "/cache"} }, 2, "Mastodon's cache"},
		{"class folder as root", func(s *site) []string { return []string{s.root + "/media_attachments"} }, 2, "one folder of a media root"},
		{"no root at all", func(*site) []string { return nil }, 2, "no media root"},
		{"two roots", func(s *site) []string { return []string{s.root, s.root} }, 2, "accepts at most 1 arg"},
		{"unknown flag", func(s *site) []string { return []string{s.root, "--delete"} }, 2, "unknown flag"},
		{"bad rate", func(s *site) []string { return []string{s.root, "--bwlimit", "fast"} }, 2, "--bwlimit"},
		{"both switches", func(s *site) []string { return []string{s.root, "--before-switch", "--after-switch"} }, 2, "contradict"},
		{"no credentials", func(s *site) []string {
			delete(s.env, "AWS_SECRET_ACCESS_KEY")
			delete(s.env, "AWS_ACCESS_KEY_ID")
			return []string{s.root}
		}, 2, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"},
		{"no domain", func(s *site) []string { delete(s.env, "LOCAL_DOMAIN"); return []string{s.root} }, 2, "LOCAL_DOMAIN"},
		{"wrong secret", func(s *site) []string {
			s.env["AWS_SECRET_ACCESS_KEY"] = "wrong-secret-0123456789"
			return []string{s.root}
		}, 2, "403 SignatureDoesNotMatch"},
		{"wrong key", func(s *site) []string {
			s.env["AWS_ACCESS_KEY_ID"] = "ffffffffffffffffffffffffffffffff"
			return []string{s.root}
		}, 2, "401 Unauthorized"},
		{"wrong bucket", func(s *site) []string { s.env["S3_BUCKET"] = "other"; return []string{s.root} }, 2, "NoSuchBucket"},
		{"bucket in the endpoint", func(s *site) []string { s.env["S3_ENDPOINT"] += "/" + fixtures.Name; return []string{s.root} }, 2, "S3_ENDPOINT"},
		{"http to another host", func(s *site) []string { s.env["S3_ENDPOINT"] = "http://storage.example"; return []string{s.root} }, 2, "https"},
		{"state inside the root", func(s *site) []string { s.state = s.root + "/accounts/state"; return []string{s.root} }, 2, "inside the media root"},
		{"unknown setting of ours", func(s *site) []string { s.env["MEDIAMOVE_CONCURENCY"] = "3"; return []string{s.root} }, 2, "MEDIAMOVE_CONCURENCY"},
		{"settings differ", func(s *site) []string {
			file := filepath.Join(t.TempDir(), "env")
			if err := os.WriteFile(file, []byte("S3_BUCKET=elsewhere\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			return []string{s.root, "--env-file", file}
		}, 2, "S3_BUCKET is set differently"},
		{"no such env file", func(s *site) []string { return []string{s.root, "--env-file", "/nonexistent"} }, 2, "/nonexistent"},
		{"allow a link that is no folder of Mastodon's", func(s *site) []string { return []string{s.root, "--allow-link", "etc"} }, 2, "--allow-link"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, endpoint, fixtures.Mixed(20))
			r := s.run(append([]string{"sync"}, tt.edit(s)...)...)
			s.complaint(r, tt.code, tt.want)
			if r.stdout != "" {
				t.Errorf("a result on stdout: %v", r)
			}
		})
	}
	t.Cleanup(func() {
		if b.Len() != 0 {
			t.Errorf("%d objects were stored", b.Len())
		}
	})
}

// A bucket that is not what the ledger or the settings believe.
func TestWrongBucketIsRefused(t *testing.T) {
	t.Parallel()
	t.Run("emptied", func(t *testing.T) {
		t.Parallel()
		b := fixtures.NewBucket(fixtures.Options{})
		s := newSite(t, listen(t, b), fixtures.Mixed(50))
		s.must(exitOK, s.sync())
		b.Wipe()
		s.complaint(s.sync(), exitRefused, "no owner mark")
		if b.Len() != 0 {
			t.Error("a refused run wrote")
		}
		// A ledger of its own for the new bucket: everything is sent again.
		if r := s.must(exitOK, s.sync("--new-bucket")); r.Files.Moved != int64(s.files.Moved.Files) {
			t.Errorf("%+v", r)
		}
	})
	t.Run("another instance's", func(t *testing.T) {
		t.Parallel()
		b := fixtures.NewBucket(fixtures.Options{})
		s := newSite(t, listen(t, b), fixtures.Mixed(50))
		s.must(exitOK, s.sync())
		before := b.Usage()
		other := newSite(t, s.env["S3_ENDPOINT"], fixtures.Mixed(50))
		other.env["LOCAL_DOMAIN"] = "staging.example"
		other.complaint(other.sync("--join", "x"), exitRefused, "belongs to social.example")
		if sent := b.Usage().Sub(before); sent.A() != 0 {
			t.Errorf("a refused run sent %v", sent)
		}
	})
	t.Run("staging with production's settings", func(t *testing.T) {
		t.Parallel()
		b := fixtures.NewBucket(fixtures.Options{})
		s := newSite(t, listen(t, b), fixtures.Mixed(50))
		s.must(exitOK, s.sync())
		staging := newSite(t, s.env["S3_ENDPOINT"], fixtures.Mixed(50))
		r := staging.sync()
		staging.complaint(r, exitRefused, "another ledger")
		// A second app host is meant: it joins, adopts what is there, sends nothing twice.
		_, id, _ := strings.Cut(r.stderr, "--join ")
		before := b.Usage()
		got := staging.must(exitOK, staging.sync("--join", strings.TrimSpace(id)))
		if got.Files.Adopted != int64(s.files.Moved.Files) || got.Files.Moved != 0 {
			t.Errorf("%+v", got.Files)
		}
		if sent := b.Usage().Sub(before); sent.Get(costs.ListObjects) != 1 || sent.Get(costs.PutObject) != 2 || sent.Get(costs.HeadObject) != 0 {
			t.Errorf("joining sent %v", sent) // two PUTs: the mark with our id, and the probe
		}
		s.must(exitOK, s.sync()) // the first host goes on as before
	})
	t.Run("another tool began", func(t *testing.T) {
		t.Parallel()
		b := fixtures.NewBucket(fixtures.Options{})
		s := newSite(t, listen(t, b), fixtures.Mixed(50))
		n := 0
		for key := range s.sums() {
			if body, err := os.ReadFile(filepath.Join(s.root, key)); err == nil && strings.HasPrefix(key, "cache/media_attachments/") && n < 10 && !slices.Contains(s.files.HeldBackKeys, media.Key(key)) {
				b.Put(key, body)
				n++
			}
		}
		s.complaint(s.sync(), exitRefused, "--join "+fixtures.Name)
		if r := s.must(exitOK, s.sync("--join", fixtures.Name)); r.Files.Adopted == 0 || r.Files.Conflict != 0 {
			t.Errorf("%+v", r.Files)
		}
	})
	t.Run("foreign keys", func(t *testing.T) {
		t.Parallel()
		b := fixtures.NewBucket(fixtures.Options{})
		b.Put("holiday/beach.jpg", []byte("x"))
		s := newSite(t, listen(t, b), fixtures.Mixed(50))
		s.complaint(s.sync("--join", fixtures.Name), exitRefused, "not Mastodon's")
	})
	t.Run("a server that ignores conditions", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, listen(t, fixtures.NewBucket(fixtures.Options{IgnoreConditions: true})), fixtures.Mixed(50))
		s.complaint(s.sync(), exitRefused, "ignores If-None-Match")
	})
}

// A token that is revoked half way stops the run at once; with a new one it goes on.
func TestRevokedHalfWay(t *testing.T) {
	t.Parallel()
	var b *fixtures.Bucket
	b = fixtures.NewBucket(fixtures.Options{OnStored: func(_ string, n int) {
		if n == 100 {
			b.Revoke()
		}
	}})
	s := newSite(t, listen(t, b), fixtures.Mixed(400))
	local := s.sums()
	s.complaint(s.sync(), exitUsage, "401")
	b.Grant(fixtures.AccessKey, fixtures.Secret)
	s.must(exitOK, s.sync())
	s.arrived(b, local)
}

// Answers that lie or get lost. All files arrive in the end, each once.
func TestBadAnswers(t *testing.T) {
	t.Parallel()
	every := func(n int64, f fixtures.Fault) func(fixtures.Request) fixtures.Fault {
		return func(r fixtures.Request) fixtures.Fault {
			if r.Op == costs.PutObject && r.Attempt == 1 && r.N > 10 && r.N%n == 0 {
				return f
			}
			return fixtures.Fault{}
		}
	}
	tests := []struct {
		name  string
		fault func(fixtures.Request) fixtures.Fault
		first int // exit status of the first run; the second, without faults, is 0
	}{
		{"a storm of 429", func(r fixtures.Request) fixtures.Fault {
			if r.N > 10 && r.N < 60 && r.N%3 != 0 {
				return fixtures.Fault{Status: 429, Code: "TooManyRequests"}
			}
			return fixtures.Fault{}
		}, exitOK},
		{"cut before the request is read", every(10, fixtures.Fault{CutBefore: true}), exitOK},
		{"cut in the body", every(10, fixtures.Fault{CutAfterBytes: 100}), exitOK},
		{"cut after it was stored", every(10, fixtures.Fault{StoreThenCut: true}), exitOK},
		{"stored later than we believe", every(50, fixtures.Fault{StoreLater: 300 * time.Millisecond}), exitOK},
		{"500 now and then", every(10, fixtures.Fault{Status: 500, Code: "InternalError"}), exitOK},
		{"a page of the edge", every(10, fixtures.Fault{Status: 522, HTML: true}), exitOK},
		{"empty 200, always", func(r fixtures.Request) fixtures.Fault {
			return fixtures.Fault{Empty200: r.Op == costs.PutObject && r.N > 50}
		}, exitStopped},
		{"HTML with 200, always", func(r fixtures.Request) fixtures.Fault {
			return fixtures.Fault{HTML: r.Op == costs.PutObject && r.N > 50}
		}, exitStopped},
		{"wrong ETags, always", func(r fixtures.Request) fixtures.Fault {
			return fixtures.Fault{WrongETag: r.Op == costs.PutObject && r.N > 50}
		}, exitStopped},
		{"501", func(r fixtures.Request) fixtures.Fault {
			if r.Op == costs.PutObject && strings.HasSuffix(r.Key, ".png") {
				return fixtures.Fault{Status: 501, Code: "NotImplemented"}
			}
			return fixtures.Fault{}
		}, exitLeft},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := fixtures.NewBucket(fixtures.Options{Fault: tt.fault})
			s := newSite(t, listen(t, b), fixtures.Mixed(400))
			local := s.sums()
			r := s.sync()
			if r.code != tt.first {
				t.Fatalf("want exit %d, got %v", tt.first, r)
			}
			b.SetFault(nil)
			s.must(exitOK, s.sync())
			s.arrived(b, local)
		})
	}
}

// Two runs at once: the second one says so and ends.
func TestTwoRunsAtOnce(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	var held atomic.Bool
	b := fixtures.NewBucket(fixtures.Options{Fault: func(r fixtures.Request) fixtures.Fault {
		if r.Op == costs.PutObject && r.N > 5 && held.CompareAndSwap(false, true) {
			<-release
		}
		return fixtures.Fault{}
	}})
	s := newSite(t, listen(t, b), fixtures.Mixed(50))
	cmd, _, _ := s.command(t.Context(), "sync", s.root)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for !held.Load() {
		time.Sleep(5 * time.Millisecond) // another process: there is no clock to fake
	}
	began := time.Now()
	s.complaint(s.sync(), exitLocked, "another run holds the lock")
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %v to say so", took)
	}
	for _, args := range [][]string{{"status"}, {"plan", s.root}, {"explain", "accounts/x"}} {
		if r := s.run(args...); r.code != exitOK && r.code != exitLeft {
			t.Errorf("%v while a sync runs: %v", args, r)
		}
	}
	close(release)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// Ctrl-C ends in order and says how to go on; SIGTERM too, with its own status.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	for sig, code := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		stored := make(chan struct{}, 1)
		b := fixtures.NewBucket(fixtures.Options{Latency: 2 * time.Millisecond, OnStored: func(_ string, n int) {
			if n == 50 {
				stored <- struct{}{}
			}
		}})
		s := newSite(t, listen(t, b), fixtures.Mixed(1500))
		local := s.sums()
		cmd, stdout, stderr := s.command(t.Context(), "sync", s.root)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		<-stored
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		r := result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
		if r.code != code || !strings.Contains(r.stdout, "Run the same command again to go on") || !strings.Contains(r.stdout, "pending") {
			t.Errorf("%v: want exit %d, got %v", sig, code, r)
		}
		if got := s.must(exitOK, s.sync()); got.Files.Adopted != 0 {
			t.Errorf("%d files in flight were not recorded", got.Files.Adopted)
		}
		s.arrived(b, local)
	}
}

// A file that a crash filled with zeros after it was moved does not replace the
// only good copy.
func TestZeroedFile(t *testing.T) {
	t.Parallel()
	b := fixtures.NewBucket(fixtures.Options{})
	s := newSite(t, listen(t, b), fixtures.Mixed(100))
	local := s.sums()
	s.must(exitOK, s.sync())
	var victim string
	for key := range local {
		if _, ok := b.Object(key); ok {
			victim = key
			break
		}
	}
	path := filepath.Join(s.root, victim)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, make([]byte, info.Size()), 0o644); err != nil {
		t.Fatal(err)
	}
	past := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, past, past); err != nil {
		t.Fatal(err)
	}
	r := s.must(exitLeft, s.sync())
	if r.Files.Changed != 1 || !r.Complete {
		t.Errorf("%+v", r)
	}
	s.arrived(b, local)
}

// After the switch the owner's deletion stays a deletion, whatever the disk has.
func TestDeletedAfterTheSwitch(t *testing.T) {
	t.Parallel()
	b := fixtures.NewBucket(fixtures.Options{})
	s := newSite(t, listen(t, b), fixtures.Mixed(100))
	s.must(exitOK, s.sync())
	var gone []string
	for _, o := range b.Objects() {
		if !strings.HasPrefix(o.Key, ".mediamove/") && len(gone) < 5 {
			gone = append(gone, o.Key)
		}
	}
	b.Delete(gone...)
	s.env["S3_ENABLED"] = "true"
	for _, args := range [][]string{nil, {"--retry-failed"}} {
		s.must(exitOK, s.sync(args...))
	}
	delete(s.env, "S3_ENABLED") // a later run without the setting does not go back
	s.must(exitOK, s.sync())
	// A lost ledger that joins adopts, and sends nothing.
	lost := *s
	lost.state = filepath.Join(t.TempDir(), "state")
	r := lost.sync()
	_, id, _ := strings.Cut(r.stderr, "--join ")
	if got := lost.must(exitLeft, lost.sync("--join", strings.TrimSpace(id))); got.Files.Left != 5 || got.Files.Moved != 0 {
		t.Errorf("%+v", got.Files)
	}
	for _, key := range gone {
		if _, ok := b.Object(key); ok {
			t.Errorf("%s was published again", key)
		}
	}
}

// A disk that fills up under the ledger stops the run before it loses track; with
// room it goes on.
func TestDiskFullUnderTheLedger(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("mounting a small file system needs root")
	}
	b := fixtures.NewBucket(fixtures.Options{})
	s := newSite(t, listen(t, b), fixtures.Mixed(3000))
	local := s.sums()
	if err := os.MkdirAll(s.state, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", s.state, "tmpfs", 0, "size=400k,mode=700"); err != nil {
		t.Skipf("can't mount here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(s.state, syscall.MNT_DETACH) })
	s.complaint(s.sync(), exitStopped, "no space left")
	if err := syscall.Mount("", s.state, "", syscall.MS_REMOUNT, "size=64m,mode=700"); err != nil {
		t.Fatal(err)
	}
	s.must(exitOK, s.sync())
	s.arrived(b, local)
}

// as runs the program as somebody who is not root.
func (s *site) as(uid int, args ...string) result {
	s.t.Helper()
	cmd, stdout, stderr := s.command(s.t.Context(), args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	if err := cmd.Run(); cmd.ProcessState == nil {
		s.t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// open lets others reach a path below the test's private folders.
func openTo(t *testing.T, path string) {
	t.Helper()
	for ; path != os.TempDir() && path != "/"; path = filepath.Dir(path) {
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// What this user may not read is told and does not count as a whole walk; a state
// folder that can't be written is told before anything is sent.
func TestMissingRights(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("becoming another user needs root")
	}
	const nobody = 65534
	openTo(t, filepath.Dir(program(t)))
	b := fixtures.NewBucket(fixtures.Options{})
	s := newSite(t, listen(t, b), fixtures.Small(100))
	openTo(t, s.root)
	locked := filepath.Join(s.root, "cache", "media_attachments", "files")
	if err := os.Chmod(locked, 0o700); err != nil {
		t.Fatal(err)
	}
	openTo(t, filepath.Dir(s.state))
	s.complaint(s.as(nobody, "sync", s.root), exitUsage, "state folder can't be written")
	if b.Len() != 0 {
		t.Error("something was sent")
	}
	if err := os.MkdirAll(s.state, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(s.state, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	r := s.as(nobody, "sync", s.root, "--json")
	got := s.must(exitLeft, r)
	if got.Unreadable != 1 || got.Complete || got.Files.Moved == 0 {
		t.Errorf("%+v", got)
	}
}

func TestNewerLedger(t *testing.T) {
	t.Parallel()
	b := fixtures.NewBucket(fixtures.Options{})
	s := newSite(t, listen(t, b), fixtures.Mixed(20))
	s.must(exitOK, s.sync())
	path := filepath.Join(s.state, "ledger.db")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	binary.BigEndian.PutUint32(data[60:], 999) // user_version in SQLite's file header
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	before := b.Usage()
	s.complaint(s.sync(), exitUsage, "newer mediamove")
	if sent := b.Usage().Sub(before); !sent.IsZero() {
		t.Errorf("sent %v", sent)
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, data) {
		t.Error("the ledger was touched")
	}
}

// Failures are retried without a walk.
func TestRetryFailed(t *testing.T) {
	t.Parallel()
	b := fixtures.NewBucket(fixtures.Options{Fault: func(r fixtures.Request) fixtures.Fault {
		if r.Op == costs.PutObject && strings.HasSuffix(r.Key, ".png") {
			return fixtures.Fault{Status: 400, Code: "InvalidArgument"}
		}
		return fixtures.Fault{}
	}})
	s := newSite(t, listen(t, b), fixtures.Mixed(200))
	local := s.sums()
	first := s.must(exitLeft, s.sync())
	if first.Files.Failed == 0 || !first.Complete {
		t.Fatalf("%+v", first)
	}
	if r := s.run("status", "--list", "failed"); strings.Count(r.stdout, "\n") != int(first.Files.Failed) {
		t.Errorf("%v", r)
	}
	b.SetFault(nil)
	again := s.must(exitOK, s.sync("--retry-failed"))
	if again.Files.Seen != first.Files.Failed || again.Files.Moved != first.Files.Failed {
		t.Errorf("%+v", again.Files)
	}
	s.arrived(b, local)
}

// A limit on Class A is never passed and ends in order.
func TestMaxClassA(t *testing.T) {
	t.Parallel()
	b := fixtures.NewBucket(fixtures.Options{})
	s := newSite(t, listen(t, b), fixtures.Mixed(200))
	local := s.sums()
	r := s.sync("--max-class-a", "50")
	if got := s.must(exitLeft, r); got.ClassA != 50 || b.Usage().A() != 50 || got.Files.Pending == 0 || got.Complete {
		t.Errorf("%+v, the bucket saw %d", got, b.Usage().A())
	}
	s.must(exitOK, s.sync())
	s.arrived(b, local)
}
