package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
)

// Each of these was a hole once.

// --new-bucket does not undo the switch: deleted media are not published in the
// new bucket either.
func TestNewBucketKeepsTheSwitch(t *testing.T) {
	t.Parallel()
	b := fixtures.NewBucket(fixtures.Options{})
	s := newSite(t, listen(t, b), fixtures.Mixed(50))
	s.must(exitOK, s.sync())
	s.env["S3_ENABLED"] = "true"
	s.must(exitOK, s.sync())
	delete(s.env, "S3_ENABLED")
	b.Wipe()
	r := s.must(exitLeft, s.sync("--new-bucket"))
	if r.Files.Moved != 0 || r.Files.Left == 0 {
		t.Errorf("%+v", r.Files)
	}
}

// A typed --join means that something should be there.
func TestJoinOfAnEmptyBucket(t *testing.T) {
	t.Parallel()
	b := fixtures.NewBucket(fixtures.Options{})
	s := newSite(t, listen(t, b), fixtures.Mixed(50))
	s.complaint(s.sync("--join", fixtures.Name), exitRefused, "leave --join out")
	if b.Len() != 0 {
		t.Errorf("%d objects were written", b.Len())
	}
	s.must(exitOK, s.sync())
}

// --new-bucket against a bucket that would refuse keeps the ledger that is there.
func TestNewBucketKeepsTheLedgerIfRefused(t *testing.T) {
	t.Parallel()
	b := fixtures.NewBucket(fixtures.Options{})
	s := newSite(t, listen(t, b), fixtures.Mixed(50))
	s.must(exitOK, s.sync())
	s.complaint(s.sync("--new-bucket"), exitRefused, "another ledger")
	right := s.env["AWS_SECRET_ACCESS_KEY"]
	s.env["AWS_SECRET_ACCESS_KEY"] = "wrong-secret-0123456789"
	s.complaint(s.sync("--new-bucket"), exitUsage, "403")
	s.env["AWS_SECRET_ACCESS_KEY"] = right
	if r := s.must(exitOK, s.sync()); r.Files.Moved != 0 || r.Files.Present != int64(s.files.Moved.Files) {
		t.Errorf("%+v", r.Files)
	}
}

// A joining run that is killed after it wrote its mark is still joining.
func TestKilledWhileJoining(t *testing.T) {
	t.Parallel()
	var k killer
	b := fixtures.NewBucket(fixtures.Options{Fault: k.fault})
	s := newSite(t, listen(t, b), fixtures.Mixed(100))
	k.at(never)
	s.must(exitOK, s.sync())
	second := *s
	second.state = filepath.Join(t.TempDir(), "state")
	_, id, _ := strings.Cut(second.sync().stderr, "--join ")
	id = strings.TrimSpace(id)
	for _, op := range []costs.Op{costs.PutObject, costs.ListObjects} { // the mark or its probe; the listing
		k.at(func(r fixtures.Request, _ int) bool { return r.Op == op && (op != costs.PutObject || r.Attempt > 1) })
		if r, dead := second.runAndKill(&k, "--join", id); !dead {
			t.Fatalf("not killed: %v", r)
		}
	}
	before := b.Usage()
	k.at(never)
	r := second.must(exitOK, second.sync())
	if sent := b.Usage().Sub(before); r.Files.Adopted != int64(s.files.Moved.Files) || sent.Get(costs.ListObjects) != 1 || sent.Get(costs.HeadObject) != 0 {
		t.Errorf("%+v, sent %v", r.Files, sent)
	}
	// Joined is joined: the next run asks for nothing.
	if r := second.must(exitOK, second.sync()); r.ClassA != 0 || r.ClassB != 1 {
		t.Errorf("%+v", r)
	}
}

// A link anywhere in the tree may hide media that nginx serves: no whole walk.
func TestLinkIsLeft(t *testing.T) {
	t.Parallel()
	b := fixtures.NewBucket(fixtures.Options{})
	s := newSite(t, listen(t, b), fixtures.Small(20))
	if err := os.Symlink(t.TempDir(), filepath.Join(s.root, "media_attachments", "files", "999")); err != nil {
		t.Fatal(err)
	}
	if r := s.must(exitLeft, s.sync()); r.Links != 1 || r.Complete {
		t.Errorf("%+v", r)
	}
}

// A class folder of the cache that lost everything stops the run like any other.
func TestEmptiedCacheFolder(t *testing.T) {
	t.Parallel()
	b := fixtures.NewBucket(fixtures.Options{})
	s := newSite(t, listen(t, b), fixtures.Mixed(1500))
	s.must(exitOK, s.sync())
	if err := os.Rename(filepath.Join(s.root, "cache", "accounts"), filepath.Join(t.TempDir(), "accounts")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(s.root, "cache", "accounts"), 0o755); err != nil {
		t.Fatal(err)
	}
	before := b.Usage()
	s.complaint(s.sync(), exitRefused, "cache/accounts")
	if sent := b.Usage().Sub(before); !sent.IsZero() {
		t.Errorf("sent %v", sent)
	}
	s.complaint(s.sync("--allow-empty", "cache/acounts"), exitUsage, "--allow-empty")
	s.must(exitOK, s.sync("--allow-empty", "cache/accounts"))
}

// Ctrl-C ends within 30 seconds, also in the middle of a large file and with a
// bucket that does not answer any more. A second one does not wait.
func TestInterruptedInALargeFile(t *testing.T) {
	t.Parallel()
	for _, twice := range []bool{false, true} {
		t.Run(map[bool]string{false: "once", true: "twice"}[twice], func(t *testing.T) {
			t.Parallel()
			parts := make(chan struct{}, 100)
			b := fixtures.NewBucket(fixtures.Options{Discard: true, Fault: func(r fixtures.Request) fixtures.Fault {
				if r.Op == costs.UploadPart || r.Op == costs.AbortMultipartUpload {
					parts <- struct{}{}
					return fixtures.Fault{Hang: true}
				}
				return fixtures.Fault{}
			}})
			spec := fixtures.Kill()
			spec.Files, spec.Large = 80, []int64{largeFile}
			s := newSite(t, listen(t, b), spec)
			cmd, stdout, stderr := s.command(t.Context(), "sync", s.root)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_ = cmd.Wait()
			}()
			select {
			case <-parts:
			case <-ended:
				t.Fatalf("it ended before its large file: %s%s", stdout, stderr)
			}
			began, limit := time.Now(), 30*time.Second
			_ = cmd.Process.Signal(syscall.SIGINT)
			if twice {
				limit = 5 * time.Second
				<-time.After(200 * time.Millisecond) // another process: there is no clock to fake
				_ = cmd.Process.Signal(syscall.SIGINT)
			}
			<-ended
			if took := time.Since(began); took > limit || cmd.ProcessState.ExitCode() != 130 {
				t.Errorf("exit %d after %v\n%s%s", cmd.ProcessState.ExitCode(), took, stdout, stderr)
			}
			b.SetFault(nil)
			s.must(exitOK, s.sync())
			if left := b.Uploads(); len(left) != 0 {
				t.Errorf("left behind: %+v", left)
			}
		})
	}
}
