package uploader

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
	"example.org/mediamove/scanner"
)

// Each of these was a hole once: a way in which something was published, or
// believed, that must not be.

// A file that is hidden, or deleted, while it waits for its turn is not sent.
func TestHiddenWhileItWaits(t *testing.T) {
	t.Parallel()
	for name, act := range map[string]func(path string) error{
		"hidden":  func(p string) error { return os.Chmod(p, 0o600) },
		"deleted": os.Remove,
	} {
		t.Run(name+" after it was opened", func(t *testing.T) {
			t.Parallel()
			g := newRig(t, fixtures.Options{})
			g.write(photo, []byte(jpeg))
			g.disk = func(d Disk) Disk {
				return &diskHook{Disk: d, open: func(media.Key) {
					if err := act(filepath.Join(g.root, photo)); err != nil {
						t.Error(err)
					}
				}}
			}
			if c := g.must(); c.Moved != 0 || c.HeldBack+c.Vanished != 1 || g.remote.Len() != 0 {
				t.Errorf("%+v", c)
			}
		})
		t.Run(name+" between two tries", func(t *testing.T) {
			t.Parallel()
			root := filepath.Join(t.TempDir(), "system")
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t, fixtures.Options{Fault: func(r fixtures.Request) fixtures.Fault {
					if r.Op == costs.PutObject && r.Attempt == 1 {
						if err := act(filepath.Join(root, photo)); err != nil {
							t.Error(err)
						}
						return fixtures.Fault{Status: 503, Code: "ServiceUnavailable"}
					}
					return fixtures.Fault{}
				}})
				g.root, g.plain = root, true
				g.write(photo, []byte(jpeg))
				if c := g.must(); c.Moved != 0 || c.HeldBack+c.Vanished != 1 || g.remote.Len() != 0 {
					t.Errorf("%+v", c)
				}
			})
		})
	}
}

// Hidden while it was on its way: it can't be called back, so it is told at once.
func TestHiddenOnItsWay(t *testing.T) {
	t.Parallel()
	var g *rig
	g = newRig(t, fixtures.Options{OnStored: func(key string, _ int) {
		if key != photo {
			return
		}
		if err := os.Chmod(filepath.Join(g.root, key), 0o600); err != nil {
			t.Error(err)
		}
	}})
	g.write(photo, []byte(jpeg))
	g.write(photo2, []byte(jpeg))
	c := g.must()
	if c.Exposed != 1 || c.HeldBack != 1 || c.Moved != 1 || g.finding(photo).Kind != ledger.Exposed {
		t.Errorf("%+v %+v", c, g.finding(photo))
	}
	if c := g.must(); c.Exposed != 1 { // and it stays known as moved
		t.Errorf("second run: %+v", c)
	}
}

// Rule 3 is decided again on the open file: a restored backup gets its old times
// only after it was written.
func TestOldFileThatLookedNew(t *testing.T) {
	t.Parallel()
	g := newRig(t, fixtures.Options{})
	g.write(photo, []byte(jpeg))
	g.age(photo, time.Now())
	g.policy = func(p *Policy) {
		p.Switched, p.LastWalk, p.StillFor = true, time.Now().Add(-time.Hour), 200*time.Millisecond
	}
	var once atomic.Bool
	g.disk = func(d Disk) Disk {
		return &diskHook{Disk: d, stat: func(media.Key) {
			if once.CompareAndSwap(false, true) {
				g.age(photo, time.Now().Add(-48*time.Hour))
			}
		}}
	}
	if c := g.must(); c.Left != 1 || c.Moved != 0 || g.remote.Len() != 0 {
		t.Errorf("%+v", c)
	}
}

// While joining after the switch nothing is sent, however new it is.
func TestJoinAfterTheSwitchSendsNothing(t *testing.T) {
	t.Parallel()
	g := newRig(t, fixtures.Options{})
	g.write(photo, []byte(jpeg))
	g.join = true
	g.policy = func(p *Policy) { p.Switched, p.LastWalk = true, time.Now().Add(-48*time.Hour) }
	if c := g.must(); c.Left != 1 || g.remote.Len() != 0 {
		t.Errorf("%+v", c)
	}
}

// What another tool has published although it is hidden on disk is told.
func TestJoinFindsWhatOthersExposed(t *testing.T) {
	t.Parallel()
	g := newRig(t, fixtures.Options{})
	backup := "backups/dumps/000/000/001/original/archive.zip"
	for _, k := range []string{photo, photo2, backup} {
		g.write(k, []byte(jpeg))
		g.remote.Put(k, []byte(jpeg))
	}
	other := strings.Replace(photo, "567/original", "569/original", 1)
	g.write(other, []byte(jpeg))
	if err := os.Chmod(filepath.Join(g.root, photo), 0o600); err != nil {
		t.Fatal(err)
	}
	g.join = true
	if c := g.must(); c.Exposed != 2 || c.HeldBack != 2 || c.Adopted != 1 || c.Moved != 1 {
		t.Errorf("%+v", c)
	}
}

// A key that somebody deleted between our two requests is not created by a later run.
func TestGoneStaysGone(t *testing.T) {
	t.Parallel()
	var g *rig
	g = newRig(t, fixtures.Options{Fault: func(r fixtures.Request) fixtures.Fault {
		if r.Op == costs.HeadObject {
			g.remote.Delete(photo)
		}
		return fixtures.Fault{}
	}})
	g.write(photo, []byte(jpeg))
	g.remote.Put(photo, []byte("others"))
	if c := g.must(); c.Conflict != 1 || g.finding(photo).Cause != causeGone {
		t.Fatalf("%+v %+v", c, g.finding(photo))
	}
	g.gone = map[media.Key]bool{photo: true}
	if c := g.must(); c.Conflict != 1 || g.remote.Len() != 0 {
		t.Errorf("%+v", c)
	}
}

// A retry skips names that can't be keys, and twins: only a walk knows them.
func TestRetrySkipsBadNames(t *testing.T) {
	t.Parallel()
	g := newRig(t, fixtures.Options{})
	composed, decomposed := "accounts/avatars/000/000/001/original/\u00e9.png", "accounts/avatars/000/000/001/original/e\u0301.png"
	g.write(composed, []byte("one"))
	g.write(decomposed, []byte("two"))
	g.write(photo, []byte(jpeg))
	if c := g.must(); c.Failed != 2 || c.Moved != 1 {
		t.Fatalf("%+v", c)
	}
	tree, err := scanner.Open(g.root, scanner.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tree.Close() }()
	failures := func(yield func(ledger.Finding, error) bool) {
		for _, f := range g.findings(ledger.Failed) {
			if !yield(f, nil) {
				return
			}
		}
	}
	for f, err := range Again(t.Context(), failures, tree) {
		t.Errorf("%q is tried again: %v", f.Key, err)
	}
}

// A retry is no sample of the tree: one hidden file in it is not a umask.
func TestRetryIsNoSample(t *testing.T) {
	t.Parallel()
	g := newRig(t, fixtures.Options{})
	g.write(photo, []byte(jpeg))
	if err := os.Chmod(filepath.Join(g.root, photo), 0o600); err != nil {
		t.Fatal(err)
	}
	g.retry = true
	if c := g.must(); c.HeldBack != 1 {
		t.Errorf("%+v", c)
	}
}

// A large file that another tool sent in one PUT, or in parts of its own, is
// recorded without our part size.
func TestAdoptedLargeFile(t *testing.T) {
	t.Parallel()
	g := newRig(t, fixtures.Options{})
	body := make([]byte, r2.SinglePutMax+5)
	g.write(photo, body)
	g.remote.Put(photo, body)
	if c := g.must(); c.Adopted != 1 {
		t.Fatalf("%+v %+v", c, g.finding(photo))
	}
	led, err := ledger.OpenReader(t.Context(), g.state)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = led.Close() }()
	e, err := led.Entry(t.Context(), photo)
	if err != nil || e.PartSize != 0 || strings.Contains(e.ETag, "-") || bytes.Equal(e.MD5[:], make([]byte, 16)) {
		t.Errorf("%+v %v", e, err)
	}
}

// A failing disk stops the run; a few bad files do not.
func TestReadErrorsStopTheRun(t *testing.T) {
	t.Parallel()
	g := newRig(t, fixtures.Options{})
	if _, err := fixtures.Tree(g.root, fixtures.Small(200)); err != nil {
		t.Fatal(err)
	}
	g.disk = func(d Disk) Disk { return brokenDisk{d} }
	if _, whole, err := g.run(t.Context()); !errors.Is(err, ErrDisk) || whole {
		t.Errorf("whole %t, %v", whole, err)
	}
}

type brokenDisk struct{ Disk }

func (brokenDisk) Open(k media.Key) (*os.File, media.File, error) {
	return nil, media.File{}, &os.PathError{Op: "read", Path: string(k), Err: syscall.EIO}
}
