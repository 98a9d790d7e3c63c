package uploader

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
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

// always names every key.
func always(context.Context, media.Key) error { return nil }

// With rows to ask the switch, the mode and the ledger decide nothing but for what was
// private or is there; before the switch rows only take away.
func TestDecideByRows(t *testing.T) {
	t.Parallel()
	walk := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	states := []ledger.State{ledger.New, ledger.Same, ledger.Touched, ledger.Lost, ledger.Removed}
	for _, state := range states {
		for _, mode := range []fs.FileMode{0o644, 0o640, 0o600} {
			for _, key := range []media.Key{photo, "backups/dumps/000/000/001/original/a.zip", "imports/data/000/000/001/original/a.csv"} {
				for _, switched := range []bool{false, true} {
					p := DefaultPolicy(1)
					p.Switched, p.LastWalk = switched, walk
					named := p
					named.named = true
					c := ledger.Candidate{File: media.File{Key: key, Mode: mode, ModTime: walk.Add(-time.Hour)}, State: state}
					want := p.decide(c, false)
					if switched && !key.Private() {
						want = map[ledger.State]verdict{ledger.Same: present, ledger.Touched: recheck}[state]
					}
					if got := named.decide(c, false); got != want {
						t.Errorf("state %d, mode %o, %s, switched %t: verdict %d, want %d", state, mode, key, switched, got, want)
					}
				}
			}
		}
	}
}

// What a row names is sent after the switch, from wherever the disk has it, if it is what
// was moved; nothing that stands there is replaced, and nothing goes that no row names.
func TestNamed(t *testing.T) {
	t.Parallel()
	other := string(upper(jpeg))
	refuse := func(context.Context, media.Key) error { return fmt.Errorf("%w: account suspended", ErrUnnamed) }
	broken := func(context.Context, media.Key) error { return errors.New("connection refused") }
	put, look := costs.Usage{costs.PutObject: 1}, costs.Usage{costs.PutObject: 1, costs.HeadObject: 1}
	tests := map[string]struct {
		state  ledger.State
		seen   string
		unsent bool // nothing is recorded
		then   func(g *rig)
		named  func(context.Context, media.Key) error // nil: always
		before bool                                   // the switch
		want   Files                                  // but Seen
		kind   ledger.Kind
		cause  string
		body   string
		sent   costs.Usage
	}{
		"lost":                       {state: ledger.Lost, want: Files{Moved: 1}, body: jpeg, sent: put},
		"removed":                    {state: ledger.Removed, want: Files{Moved: 1}, body: jpeg, sent: put},
		"recorded, called new":       {state: ledger.New, want: Files{Moved: 1}, body: jpeg, sent: put},
		"never recorded":             {state: ledger.New, unsent: true, want: Files{Moved: 1}, body: jpeg, sent: put},
		"never recorded, but lost":   {state: ledger.Lost, unsent: true, want: Files{Moved: 1}, body: jpeg, sent: put},
		"removed, never recorded":    {state: ledger.Removed, unsent: true, want: Files{Moved: 1}, body: jpeg, sent: put},
		"lost, hidden on disk":       {state: ledger.Lost, then: func(g *rig) { g.act(hide) }, want: Files{Moved: 1}, body: jpeg, sent: put},
		"removed, hidden on disk":    {state: ledger.Removed, then: func(g *rig) { g.act(hide) }, want: Files{Moved: 1}, body: jpeg, sent: put},
		"new, hidden on disk":        {state: ledger.New, unsent: true, then: func(g *rig) { g.act(hide) }, want: Files{Moved: 1}, body: jpeg, sent: put},
		"found gone by earlier runs": {state: ledger.Lost, then: func(g *rig) { g.gone = map[media.Key]bool{photo: true} }, want: Files{Conflict: 1}, kind: ledger.Conflict, cause: causeGone},
		"not what was moved": {
			state: ledger.Lost, then: func(g *rig) { g.write(photo, []byte(other)) },
			want: Files{Changed: 1}, kind: ledger.Changed, cause: causeNotOurs,
		},
		"new, and not what was moved": {
			state: ledger.New, then: func(g *rig) { g.write(photo, []byte(jpeg+"!")) },
			want: Files{Changed: 1}, kind: ledger.Changed, cause: causeNotOurs,
		},
		"removed, and not what was moved": {
			state: ledger.Removed, then: func(g *rig) { g.write(photo, []byte(other)) },
			want: Files{Changed: 1}, kind: ledger.Changed, cause: causeNotOurs,
		},
		"there already":     {state: ledger.Lost, then: func(g *rig) { g.remote.Put(photo, []byte(jpeg)) }, want: Files{Adopted: 1}, body: jpeg, sent: look},
		"new, there":        {state: ledger.New, unsent: true, then: func(g *rig) { g.remote.Put(photo, []byte(jpeg)) }, want: Files{Adopted: 1}, body: jpeg, sent: look},
		"taken":             {state: ledger.Lost, then: func(g *rig) { g.remote.Put(photo, []byte(other)) }, want: Files{Conflict: 1}, kind: ledger.Conflict, body: other, sent: look},
		"taken, as seen":    {state: ledger.Lost, seen: md5Of(other), then: func(g *rig) { g.remote.Put(photo, []byte(other)) }, want: Files{Conflict: 1}, kind: ledger.Conflict, body: other, sent: look},
		"no copy":           {state: ledger.Lost, then: func(g *rig) { g.act(os.Remove) }, want: Files{Vanished: 1}, kind: ledger.Vanished, cause: "no copy on disk"},
		"touched, the same": {state: ledger.Touched, want: Files{Present: 1}},
		"touched":           {state: ledger.Touched, then: func(g *rig) { g.write(photo, []byte(other)) }, want: Files{Changed: 1}, kind: ledger.Changed, cause: "differs"},
		"same":              {state: ledger.Same, named: broken, want: Files{Present: 1}},
		"unnamed":           {state: ledger.Lost, named: refuse, want: Files{Left: 1}, kind: ledger.Left, cause: "no row shows it: account suspended"},
		"new, unnamed":      {state: ledger.New, unsent: true, named: refuse, want: Files{Left: 1}, kind: ledger.Left, cause: "account suspended"},
		"no database":       {state: ledger.Lost, named: broken, want: Files{Failed: 1}, kind: ledger.Failed, cause: "the database could not be asked"},

		"before the switch: lost":           {before: true, state: ledger.Lost, want: Files{Moved: 1}, body: jpeg, sent: put},
		"before the switch: lost, unnamed":  {before: true, state: ledger.Lost, named: refuse, want: Files{Left: 1}, kind: ledger.Left, cause: "account suspended"},
		"before the switch: lost, hidden":   {before: true, state: ledger.Lost, then: func(g *rig) { g.act(hide) }, want: Files{HeldBack: 1}, kind: ledger.HeldBack},
		"before the switch: lost, taken":    {before: true, state: ledger.Lost, seen: md5Of(other), then: func(g *rig) { g.remote.Put(photo, []byte(other)) }, want: Files{Conflict: 1}, kind: ledger.Conflict, body: other, sent: look},
		"before the switch: removed":        {before: true, state: ledger.Removed, want: Files{Left: 1}, kind: ledger.Left, cause: "removed by cleanup run"},
		"before the switch: new":            {before: true, state: ledger.New, unsent: true, want: Files{Moved: 1}, body: jpeg, sent: put},
		"before the switch: new, unnamed":   {before: true, state: ledger.New, unsent: true, named: refuse, want: Files{Left: 1}, kind: ledger.Left},
		"before the switch: new and hidden": {before: true, state: ledger.New, unsent: true, then: func(g *rig) { g.act(hide) }, want: Files{HeldBack: 1}, kind: ledger.HeldBack},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, fixtures.Options{})
			g.write(photo, []byte(jpeg))
			if !tt.unsent {
				g.must()
				g.remote.Delete(photo)
			}
			if tt.then != nil {
				tt.then(g)
			}
			g.policy = func(p *Policy) { p.Switched = !tt.before }
			if g.named = tt.named; g.named == nil {
				g.named = always
			}
			g.one = func() ledger.Candidate { return g.candidate(tt.state, tt.seen) }
			g.meter = new(costs.Meter)
			// One hidden file of one would be a umask in a walk. Before the switch it is one.
			g.retry = tt.before
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
		})
	}
}

func md5Of(s string) string { return fmt.Sprintf("%x", md5.Sum([]byte(s))) }

// Before the switch the mode counts until the request, although rows name the key.
func TestNamedAndHiddenBeforeTheSwitch(t *testing.T) {
	t.Parallel()
	for _, switched := range []bool{false, true} {
		g := newRig(t, fixtures.Options{})
		g.write(photo, []byte(jpeg))
		g.policy, g.named = func(p *Policy) { p.Switched = switched }, always
		g.one = func() ledger.Candidate { return g.candidate(ledger.New, "") }
		g.disk = func(d Disk) Disk { return &diskHook{Disk: d, open: func(media.Key) { g.act(hide) }} }
		if c := g.must(); (c.Moved == 1) != switched || (c.HeldBack == 1) == switched || (g.remote.Len() == 1) != switched {
			t.Errorf("switched %t: %+v", switched, c)
		}
	}
}

// What Mastodon may rewrite in place is replaced by a sync, and never because a row
// names its key.
func TestNamedNeverReplaces(t *testing.T) {
	t.Parallel()
	g := newRig(t, fixtures.Options{})
	created := time.Now().Add(-240 * time.Hour)
	video := string(media.Path{Class: media.MediaAttachments, Attachment: "files", ID: created.UnixMilli()<<16 | 7, Style: "original", Name: "a.mp4"}.Key())
	const mp4 = "\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2 "
	for _, body := range []string{"one", "two!"} {
		g.write(video, []byte(mp4+body))
		if g.age(video, created.Add(time.Hour)); body == "one" {
			g.must()
		}
	}
	g.policy, g.named = func(p *Policy) { p.Switched, p.LastWalk = true, created }, always
	if c := g.must(); c.Changed != 1 || g.remote.Len() != 1 {
		t.Errorf("%s: %+v", video, c)
	}
	if g.named = nil; g.must().Replaced != 1 {
		t.Errorf("%s: a sync does not replace it either", video)
	}
}

// candidate is photo as it is now, in that state.
func (g *rig) candidate(state ledger.State, seen string) ledger.Candidate {
	g.t.Helper()
	tree, err := scanner.Open(g.root, scanner.Options{})
	if err != nil {
		g.t.Fatal(err)
	}
	defer func() { _ = tree.Close() }()
	f, err := tree.Stat(photo)
	if err != nil {
		f = media.File{Key: photo, Mode: 0o644}
	}
	return ledger.Candidate{File: f, State: state, Seen: seen}
}

// Backups and imports never go, whatever names them, and nobody is asked.
func TestNamedNeverPrivate(t *testing.T) {
	t.Parallel()
	g := newRig(t, fixtures.Options{})
	const private = "backups/dumps/000/000/001/original/a.zip"
	g.write(private, []byte("everything"))
	g.policy = func(p *Policy) { p.Switched = true }
	g.named = func(_ context.Context, k media.Key) error { t.Error("asked for", k); return nil }
	if c := g.must(); c.HeldBack != 1 || g.remote.Len() != 0 {
		t.Errorf("%+v", c)
	}
}

// Rows are asked right before each attempt. Who was suspended after an attempt that may
// have arrived is told of at once if it did.
func TestUnnamedWhileItIsSent(t *testing.T) {
	t.Parallel()
	failed := func(a *fixtures.Answer) { a.Status, a.Body, a.Header = 503, nil, http.Header{} }
	for name, tt := range map[string]struct {
		fault fixtures.Fault
		want  Files
		kind  ledger.Kind
		cause string
		entry int64 // run of the evidence
	}{
		"not stored": {fixtures.Fault{Status: 503, Code: "ServiceUnavailable"}, Files{Left: 1}, ledger.Left, "no row shows it: gone", 1},
		"throttled":  {fixtures.Fault{Status: 429, Code: "TooManyRequests"}, Files{Left: 1}, ledger.Left, "no row shows it: gone", 1},
		"stored":     {fixtures.Fault{Edit: failed}, Files{HeldBack: 1}, ledger.Exposed, causeUnnamedSince, 2},
		"cut":        {fixtures.Fault{StoreThenCut: true}, Files{Adopted: 1}, "", "", 2}, // found by the look: nobody was asked again
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, state := t.TempDir(), t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				var asked, attempts atomic.Int64
				var fault atomic.Bool
				g := newRig(t, fixtures.Options{Fault: func(r fixtures.Request) fixtures.Fault {
					if r.Op != costs.PutObject || !fault.Load() {
						return fixtures.Fault{}
					}
					if n := attempts.Add(1); n != asked.Load() {
						t.Errorf("attempt %d after %d questions", n, asked.Load())
					}
					return tt.fault
				}})
				g.root, g.state, g.plain = dir, state, true
				g.write(photo, []byte(jpeg))
				g.must()
				g.remote.Delete(photo)
				fault.Store(true)
				g.policy = func(p *Policy) { p.Switched = true }
				g.named = func(context.Context, media.Key) error {
					if asked.Add(1) > 1 {
						return fmt.Errorf("%w: gone", ErrUnnamed)
					}
					return nil
				}
				g.one = func() ledger.Candidate { return g.candidate(ledger.Lost, "") }
				c := g.must()
				tt.want.Seen = 1
				if c.Files != tt.want {
					t.Errorf("%+v", c)
				}
				if f := g.finding(photo); f.Kind != tt.kind || f.Cause != tt.cause {
					t.Errorf("%+v", f)
				}
				if e, _ := g.entry(photo); e.Run != tt.entry {
					t.Errorf("%+v", e)
				}
			})
		})
	}
}

// An upload in parts asks before it is begun and before it is completed. What is not
// named any more leaves nothing behind.
func TestNamedInParts(t *testing.T) {
	t.Parallel()
	for _, last := range []costs.Op{costs.CreateMultipartUpload, costs.CompleteMultipartUpload} {
		g := newRig(t, fixtures.Options{})
		path := filepath.Join(g.root, photo)
		g.write(photo, []byte(jpeg))
		if err := os.Truncate(path, r2.SinglePutMax+1); err != nil {
			t.Fatal(err)
		}
		g.age(photo, time.Now().Add(-24*time.Hour))
		parts := (r2.SinglePutMax + r2.PartSize(r2.SinglePutMax+1)) / r2.PartSize(r2.SinglePutMax+1)
		g.policy = func(p *Policy) { p.Switched = true }
		g.named = func(context.Context, media.Key) error {
			u := g.meter.Usage()
			if last == costs.CreateMultipartUpload || u.Get(costs.UploadPart) == parts {
				return ErrUnnamed
			}
			return nil
		}
		g.one = func() ledger.Candidate { return g.candidate(ledger.New, "") }
		c, u := g.must(), g.meter.Usage()
		begun := last == costs.CompleteMultipartUpload
		if c.Left != 1 || g.remote.Len() != 0 || u.Get(costs.CompleteMultipartUpload) != 0 || (u.Get(costs.CreateMultipartUpload) == 1) != begun {
			t.Errorf("until %v: %+v, %v", last, c, u)
		}
		if n := len(g.remote.Uploads()); n != 0 {
			t.Errorf("until %v: %d uploads left", last, n)
		}
	}
}

// What was hashed anew must be what was moved too: a file that is changed between hashing
// and sending, under the same mtime, is not sent.
func TestRestoreAfterABadDigest(t *testing.T) {
	t.Parallel()
	for _, named := range []bool{false, true} {
		var g *rig
		big := bytes.Repeat([]byte("mediamov"), maxInMemory/4)
		g = newRig(t, fixtures.Options{Fault: func(r fixtures.Request) fixtures.Fault {
			if r.Op == costs.PutObject && g.lost != nil && r.Attempt == 1 {
				return fixtures.Fault{Status: 400, Code: "BadDigest"}
			}
			return fixtures.Fault{}
		}})
		g.write(photo, big)
		g.must()
		g.remote.Delete(photo)
		g.lost = []ledger.Doubt{{Key: photo, Verdict: ledger.Missing, Size: int64(len(big))}}
		if named {
			g.named, g.policy = always, func(p *Policy) { p.Switched = true }
		}
		g.bucketHook = func(b Bucket) Bucket {
			return spoiling{b, func() {
				info, err := os.Stat(filepath.Join(g.root, photo))
				if err != nil {
					t.Error(err)
				}
				g.write(photo, upper(string(big)))
				g.age(photo, info.ModTime())
			}}
		}
		if c := g.must(); c.Changed != 1 || g.remote.Len() != 0 || g.finding(photo).Cause != causeNotOurs {
			t.Errorf("named %t: %+v, %d objects", named, c, g.remote.Len())
		}
	}
}

// spoiling is a bucket before which the file changes.
type spoiling struct {
	Bucket
	spoil func()
}

func (s spoiling) Put(ctx context.Context, u r2.Upload) (r2.Stored, error) {
	s.spoil()
	return s.Bucket.Put(ctx, u)
}

// A tree of hidden files is no reason to stop where rows decide.
func TestNamedKnowsNoUmask(t *testing.T) {
	t.Parallel()
	g := newRig(t, fixtures.Options{})
	g.write(photo, []byte(jpeg))
	g.act(hide)
	g.policy, g.named = func(p *Policy) { p.Switched = true }, always
	if c := g.must(); c.Moved != 1 {
		t.Errorf("%+v", c)
	}
}

// A run that is interrupted while rows are asked leaves the file for the next.
func TestNamedInterrupted(t *testing.T) {
	t.Parallel()
	dir, state := t.TempDir(), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, fixtures.Options{})
		g.root, g.state, g.plain = dir, state, true
		g.write(photo, []byte(jpeg))
		ctx, cancel := context.WithCancelCause(t.Context())
		errOver := errors.New("over")
		g.policy = func(p *Policy) { p.Switched = true }
		g.named = func(ctx context.Context, _ media.Key) error {
			cancel(errOver)
			<-ctx.Done() // the grace period is over
			return context.Cause(ctx)
		}
		c, _, err := g.run(ctx)
		if !errors.Is(err, errOver) || c.Pending != 1 || g.finding(photo).Kind != "" {
			t.Errorf("%+v, %v, %+v", c, err, g.finding(photo))
		}
	})
}
