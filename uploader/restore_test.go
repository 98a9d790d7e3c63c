package uploader

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
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

// moved is a rig whose one file was moved by a first run.
func movedRig(t *testing.T, o fixtures.Options) *rig {
	t.Helper()
	g := newRig(t, o)
	g.write(photo, []byte(jpeg))
	if c := g.must(); c.Moved != 1 {
		t.Fatalf("%+v", c)
	}
	return g
}

// doubt is what a verify says of photo as the bucket is now.
func (g *rig) doubt() ledger.Doubt {
	o, ok := g.remote.Object(photo)
	if !ok {
		return ledger.Doubt{Key: photo, Verdict: ledger.Missing, Size: int64(len(jpeg))}
	}
	return ledger.Doubt{Key: photo, Verdict: ledger.Differs, Size: o.Size, ETag: strings.Trim(o.ETag, `"`)}
}

// What a verify found missing or different is sent again if the disk has the bytes
// that were moved, and never over anything that the verify did not see.
func TestRestore(t *testing.T) {
	t.Parallel()
	other := string(upper(jpeg))
	wipe := func(g *rig) { g.remote.Delete(photo) }
	spoil := func(g *rig) { g.remote.Put(photo, []byte(other)) }
	tests := map[string]struct {
		damage func(g *rig)    // before the verify
		then   func(g *rig)    // after it
		policy func(p *Policy) // of the repair
		want   Files           // but Seen
		kind   ledger.Kind     // of the finding
		cause  string          // part of it
		body   string          // in the bucket at the end
		sent   costs.Usage     // nothing else
	}{
		"missing": {
			damage: wipe, want: Files{Moved: 1}, body: jpeg, sent: costs.Usage{costs.PutObject: 1},
		},
		"missing, hidden on disk": {
			damage: wipe, then: func(g *rig) { g.act(hide) },
			want: Files{HeldBack: 1}, kind: ledger.HeldBack, cause: "hidden by its mode",
		},
		"missing, another file of the same size": {
			damage: wipe, then: func(g *rig) { g.write(photo, []byte(other)) },
			want: Files{Changed: 1}, kind: ledger.Changed, cause: causeNotOurs,
		},
		"missing, another file": {
			damage: wipe, then: func(g *rig) { g.write(photo, []byte(jpeg+"!")) },
			want: Files{Changed: 1}, kind: ledger.Changed, cause: causeNotOurs,
		},
		"missing, no copy": {
			damage: wipe, then: func(g *rig) { g.act(os.Remove) },
			want: Files{Vanished: 1}, kind: ledger.Vanished, cause: "no copy on disk",
		},
		"missing, a link in its place": {
			damage: wipe, then: func(g *rig) { g.act(os.Remove); g.act(func(p string) error { return os.Symlink("/etc/passwd", p) }) },
			want: Files{Failed: 1}, kind: ledger.Failed,
		},
		"missing, there again": {
			damage: wipe, then: func(g *rig) { g.remote.Put(photo, []byte(jpeg)) },
			want: Files{Adopted: 1}, body: jpeg, sent: costs.Usage{costs.PutObject: 1, costs.HeadObject: 1},
		},
		"missing, taken by others": {
			damage: wipe, then: spoil,
			want: Files{Conflict: 1}, kind: ledger.Conflict, cause: "other bytes in the bucket", body: other,
			sent: costs.Usage{costs.PutObject: 1, costs.HeadObject: 1},
		},
		"missing, removed by somebody before our eyes": {
			damage: wipe, then: func(g *rig) { g.gone = map[media.Key]bool{photo: true} },
			want: Files{Conflict: 1}, kind: ledger.Conflict, cause: causeGone,
		},
		"missing, after the switch": {
			damage: wipe, policy: func(p *Policy) { p.Switched, p.LastWalk = true, time.Now().Add(-48*time.Hour) },
			want: Files{Left: 1}, kind: ledger.Left, cause: "deleted by Mastodon",
		},
		"differs": {
			damage: spoil, want: Files{Replaced: 1}, body: jpeg, sent: costs.Usage{costs.PutObject: 1},
		},
		"differs, shorter": {
			damage: func(g *rig) { g.remote.Put(photo, []byte("x")) },
			want:   Files{Replaced: 1}, body: jpeg, sent: costs.Usage{costs.PutObject: 1},
		},
		"differs under the same ETag": {
			damage: func(g *rig) { o, _ := g.remote.Object(photo); g.remote.Plant(o, []byte(other)) },
			want:   Files{Replaced: 1}, body: jpeg, sent: costs.Usage{costs.PutObject: 1},
		},
		"differs, hidden on disk": {
			damage: spoil, then: func(g *rig) { g.act(hide) },
			want: Files{HeldBack: 1}, kind: ledger.Exposed, cause: causeExposed, body: other,
		},
		"differs, another file": {
			damage: spoil, then: func(g *rig) { g.write(photo, []byte(jpeg+"!")) },
			want: Files{Changed: 1}, kind: ledger.Changed, cause: causeNotOurs, body: other,
		},
		"differs, otherwise than it was seen": {
			damage: spoil, then: func(g *rig) { g.remote.Put(photo, []byte("third")) },
			want: Files{Conflict: 1}, kind: ledger.Conflict, cause: "other bytes in the bucket", body: "third",
			sent: costs.Usage{costs.PutObject: 1, costs.HeadObject: 1},
		},
		"differs, gone since": {
			damage: spoil, then: wipe,
			want: Files{Conflict: 1}, kind: ledger.Conflict, cause: causeGone,
			sent: costs.Usage{costs.PutObject: 1, costs.HeadObject: 1, costs.GetObject: 1},
		},
		"differs, after the switch": {
			damage: spoil, policy: func(p *Policy) { p.Switched, p.LastWalk = true, time.Now().Add(-48*time.Hour) },
			want: Files{Left: 1}, kind: ledger.Left, body: other,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := movedRig(t, fixtures.Options{})
			first, _ := g.entry(photo)
			tt.damage(g)
			g.lost, g.policy, g.retry = []ledger.Doubt{g.doubt()}, tt.policy, true
			if tt.then != nil {
				tt.then(g)
			}
			g.meter = new(costs.Meter)
			g.must()
			tt.want.Seen = 1
			if c := g.last.Stats().Counts; c.Files != tt.want {
				t.Errorf("%+v", c)
			}
			if f := g.finding(photo); f.Kind != tt.kind || !strings.Contains(f.Cause, tt.cause) {
				t.Errorf("%+v", f)
			}
			if g.body(photo) != tt.body {
				t.Errorf("the bucket holds %q", g.body(photo))
			}
			if u := g.meter.Usage(); u != tt.sent {
				t.Errorf("sent %v, want %v", u, tt.sent)
			}
			// The evidence is new if the bytes are proven anew, and the old one stays else.
			e, known := g.entry(photo)
			renewed := tt.want.Moved+tt.want.Replaced+tt.want.Adopted > 0
			if !known || e.SHA256 != first.SHA256 || (e.Run == 2) != renewed || e.At.After(first.At) != renewed {
				t.Errorf("%+v", e)
			}
		})
	}
}

// act does something to photo on disk.
func (g *rig) act(do func(path string) error) {
	g.t.Helper()
	if err := do(filepath.Join(g.root, photo)); err != nil {
		g.t.Fatal(err)
	}
}

// Bytes that rotted in parts keep their ETag. If the answer that would tell gets lost,
// reading tells.
func TestRestoreUnderTheSameETagIsRead(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]kind{jpeg: adopted, string(upper(jpeg)): conflict} {
		g := movedRig(t, fixtures.Options{})
		o, _ := g.remote.Object(photo)
		g.remote.Plant(o, []byte(name))
		g.lost = []ledger.Doubt{g.doubt()}
		g.bucketHook = func(b Bucket) Bucket { return found{b, strings.Trim(o.ETag, `"`)} }
		g.must()
		if g.last.kinds[want].Load() != 1 || g.meter.Usage().Get(costs.GetObject) != 1 {
			t.Errorf("%q: %+v, sent %v", name, g.last.Stats().Counts, g.meter.Usage())
		}
	}
}

// found is a bucket that looks after a lost answer, and finds the ETag.
type found struct {
	Bucket
	etag string
}

func (f found) Put(_ context.Context, u r2.Upload) (r2.Stored, error) {
	return r2.Stored{Object: r2.Object{Key: u.Key, Size: u.Size, ETag: f.etag}, Found: true}, nil
}

// What is being restored may be hidden while it is on its way.
func TestHiddenWhileItIsRestored(t *testing.T) {
	t.Parallel()
	dir, state := t.TempDir(), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var attempts atomic.Int64
		var g *rig
		g = newRig(t, fixtures.Options{Fault: func(r fixtures.Request) fixtures.Fault {
			if r.Op == costs.PutObject && attempts.Add(1) == 2 {
				g.act(hide)
				return fixtures.Fault{Edit: func(a *fixtures.Answer) { a.Status, a.Body = 503, nil }}
			}
			return fixtures.Fault{}
		}})
		g.root, g.state, g.plain = dir, state, true
		g.write(photo, []byte(jpeg))
		g.must()
		g.remote.Delete(photo)
		g.lost, g.retry = []ledger.Doubt{g.doubt()}, true
		c := g.must()
		if e, _ := g.entry(photo); c.Exposed != 1 || g.finding(photo).Kind != ledger.Exposed || e.Run != 2 {
			t.Errorf("%+v %+v %+v", c, g.finding(photo), e)
		}
	})
}

// What is missing and hidden before it is sent is held back: nothing is public.
func TestHiddenBeforeItIsRestored(t *testing.T) {
	t.Parallel()
	g := movedRig(t, fixtures.Options{})
	g.remote.Delete(photo)
	g.lost, g.retry = []ledger.Doubt{g.doubt()}, true
	g.disk = func(d Disk) Disk { return &diskHook{Disk: d, open: func(media.Key) { g.act(hide) }} }
	if c := g.must(); c.HeldBack != 1 || c.Exposed != 0 || g.finding(photo).Kind != ledger.HeldBack || g.remote.Len() != 0 {
		t.Errorf("%+v %+v", c, g.finding(photo))
	}
}

// A file that is still being written is restored when it stands still, in the place
// of what was seen.
func TestRestoreSettles(t *testing.T) {
	t.Parallel()
	g := movedRig(t, fixtures.Options{})
	g.remote.Put(photo, []byte("x"))
	g.lost = []ledger.Doubt{g.doubt()}
	g.age(photo, time.Now())
	g.policy = func(p *Policy) { p.StillFor = 50 * time.Millisecond }
	if c := g.must(); c.Replaced != 1 || g.body(photo) != jpeg {
		t.Errorf("%+v", c)
	}
}

// Without a record there is no telling whether the file is a good copy.
func TestRestoreNeedsARecord(t *testing.T) {
	t.Parallel()
	g := newRig(t, fixtures.Options{})
	g.write(photo, []byte(jpeg))
	g.lost = []ledger.Doubt{{Key: photo, Verdict: ledger.Missing}}
	if c := g.must(); c.Failed != 1 || g.finding(photo).Kind != ledger.Failed || !g.meter.Usage().IsZero() {
		t.Errorf("%+v %+v", c, g.finding(photo))
	}
}

// Only what is missing or different is restored, and an error ends it.
func TestLost(t *testing.T) {
	t.Parallel()
	g := newRig(t, fixtures.Options{})
	g.write(photo, []byte(jpeg))
	tree, err := scanner.Open(g.root, scanner.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tree.Close() }()
	doubts := []ledger.Doubt{
		{Key: photo, Verdict: ledger.Extra},
		{Key: photo, Verdict: ledger.Rewritten},
		{Key: photo, Verdict: ledger.Unread},
		{Key: photo, Verdict: ledger.ChangedOnDisk},
		{Key: photo, Verdict: ledger.HiddenOnDisk},
		{Key: photo, Verdict: ledger.NeverUploaded},
		{Key: "../etc/passwd", Verdict: ledger.Missing},
		{Key: photo, Verdict: ledger.Missing, ETag: "ignored: nothing is there"},
		{Key: photo2, Verdict: ledger.Differs, ETag: "e", Size: 7},
	}
	var got []ledger.Candidate
	for c, err := range Lost(t.Context(), seq(doubts), tree, none{}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, c)
	}
	if len(got) != 2 || got[0].State != ledger.Lost || got[0].Seen != "" || got[0].File.Size != int64(len(jpeg)) ||
		got[1].State != ledger.Lost || got[1].Seen != "e" || got[1].File.Key != photo2 || got[1].File.Size != 7 {
		t.Errorf("%+v", got)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	errOver := errors.New("over")
	cancel(errOver)
	broken := func(yield func(ledger.Doubt, error) bool) { yield(ledger.Doubt{}, ledger.ErrBroken) }
	for c, err := range Lost(ctx, seq(doubts), tree, none{}) {
		if !errors.Is(err, errOver) {
			t.Error(c, err)
		}
	}
	for c, err := range Lost(t.Context(), broken, tree, none{}) {
		if !errors.Is(err, ledger.ErrBroken) {
			t.Error(c, err)
		}
	}
}

// none is a ledger of which nothing was ever removed.
type none struct{}

func (none) RemovedBy(context.Context, media.Key) (int64, error) { return 0, ledger.ErrUnknown }
