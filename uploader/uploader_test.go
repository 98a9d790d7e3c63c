package uploader

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"iter"
	"log/slog"
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

const (
	photo  = "media_attachments/files/112/345/678/901/234/567/original/0123456789abcdef.jpeg"
	photo2 = "cache/media_attachments/files/112/345/678/901/234/568/original/0123456789abcdef.jpeg"
	jpeg   = "\xff\xd8\xff\xe0 a small picture"
)

// upper is other text of the same length: [strings.ToUpper] would lengthen what is
// no UTF-8.
func upper(s string) []byte {
	b := []byte(s)
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			b[i] = c - 'a' + 'A'
		}
	}
	return b
}

// A whole sample instance arrives byte for byte, with what must be held back
// held back, and the second run has nothing to do.
func TestSampleInstance(t *testing.T) {
	t.Parallel()
	g := newRig(t, fixtures.Options{})
	m, err := fixtures.Tree(g.root, fixtures.Mixed(1500))
	if err != nil {
		t.Fatal(err)
	}
	c := g.must()
	if c.Moved != int64(m.Moved.Files) || c.BytesMoved != m.Moved.Bytes || c.HeldBack != int64(m.HeldBack.Files) ||
		c.Outside == 0 || c.Outside > int64(m.Outside.Files) || c.Untyped != int64(len(m.UntypedKeys)) || c.Failed != 0 {
		t.Errorf("%+v, manifest %+v", c, m)
	}
	if g.remote.Len() != m.Moved.Files {
		t.Errorf("%d objects, want %d", g.remote.Len(), m.Moved.Files)
	}
	for _, o := range g.remote.Objects() {
		want, err := os.ReadFile(filepath.Join(g.root, o.Key))
		if err != nil || g.body(o.Key) != string(want) {
			t.Fatalf("%s differs from disk (%v)", o.Key, err)
		}
		if g.remote.Writes(o.Key) != 1 {
			t.Errorf("%s was written %d times", o.Key, g.remote.Writes(o.Key))
		}
	}
	before := g.meter.Usage()
	again := g.must()
	if again.Present != c.Moved || again.Moved != 0 || again.HeldBack != c.HeldBack {
		t.Errorf("second run: %+v", again)
	}
	if sent := g.meter.Usage().Sub(before); !sent.IsZero() {
		t.Errorf("second run sent %v", sent)
	}
}

// What Mastodon hides by mode is decided by lstat and never opened.
func TestHiddenIsNeverSent(t *testing.T) {
	t.Parallel()
	g := newRig(t, fixtures.Options{})
	g.write(photo, []byte(jpeg))
	g.write(photo2, []byte(jpeg))
	other := strings.Replace(photo, "567/original", "569/original", 1)
	g.write(other, []byte(jpeg))
	if err := os.Chmod(filepath.Join(g.root, photo), 0o600); err != nil {
		t.Fatal(err)
	}
	c := g.must()
	if c.Moved != 2 || c.HeldBack != 1 || c.Exposed != 0 || g.body(photo) != "" {
		t.Errorf("%+v", c)
	}
	// Public again: it is sent. Hidden after that: exposed, and the object stays.
	if err := os.Chmod(filepath.Join(g.root, photo), 0o644); err != nil {
		t.Fatal(err)
	}
	if c := g.must(); c.Moved != 1 || c.HeldBack != 0 {
		t.Errorf("%+v", c)
	}
	if err := os.Chmod(filepath.Join(g.root, photo), 0o600); err != nil {
		t.Fatal(err)
	}
	c = g.must()
	if c.Exposed != 1 || c.HeldBack != 1 || c.Present != 2 || g.finding(photo).Kind != ledger.Exposed {
		t.Errorf("%+v %+v", c, g.finding(photo))
	}
}

// A umask is told from a decision before anything is sent.
func TestMostlyHiddenTreeStopsBeforeTheFirstPut(t *testing.T) {
	t.Parallel()
	g := newRig(t, fixtures.Options{})
	for i := range 10 {
		key := strings.Replace(photo, "567/original", "56"+string(rune('0'+i))+"/original", 1)
		g.write(key, []byte(jpeg))
		if i > 3 {
			if err := os.Chmod(filepath.Join(g.root, key), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	_, whole, err := g.run(t.Context())
	if !errors.Is(err, ErrHiddenTree) || whole || g.remote.Len() != 0 || !g.meter.Usage().IsZero() {
		t.Errorf("whole %t, %d objects, %v, %v", whole, g.remote.Len(), g.meter.Usage(), err)
	}
}

// Rule 2: what may replace our object, and what must not.
func TestChangedFiles(t *testing.T) {
	t.Parallel()
	created := time.Date(2024, 6, 1, 12, 0, 0, 0, time.UTC)
	id := media.Path{Class: media.MediaAttachments, Attachment: "files", ID: created.UnixMilli()<<16 | 7, Style: "original", Name: "0123456789abcdef.mp4"}
	video, remote := string(id.Key()), "cache/"+string(id.Key())
	mp4 := "\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2 "
	tests := []struct {
		name, key, first, second string
		mtime                    time.Time
		want                     kind
	}{
		{"transcoded within a day", video, mp4 + "one", mp4 + "two!", created.Add(time.Hour), replaced},
		{"transcoded, same size", video, mp4 + "one", mp4 + "two", created.Add(time.Hour), replaced},
		{"the same bytes, touched", video, mp4 + "one", mp4 + "one", created.Add(time.Hour), known},
		{"too late", video, mp4 + "one", mp4 + "two", created.Add(25 * time.Hour), changed},
		{"zeroed by a crash", video, mp4 + "one", strings.Repeat("\x00", len(mp4)+3), created.Add(time.Hour), changed},
		{"emptied", video, mp4 + "one", "", created.Add(time.Hour), changed},
		{"a remote video", remote, mp4 + "one", mp4 + "two", created.Add(time.Hour), changed},
		{"a picture", photo, jpeg, jpeg + "!", created.Add(time.Hour), changed},
		{"a picture zeroed by a crash", photo, jpeg, strings.Repeat("\x00", len(jpeg)), created.Add(time.Hour), changed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, fixtures.Options{})
			g.write(tt.key, []byte(tt.first))
			g.age(tt.key, created)
			if c := g.must(); c.Moved != 1 {
				t.Fatalf("%+v", c)
			}
			g.write(tt.key, []byte(tt.second))
			g.age(tt.key, tt.mtime)
			before := g.meter.Usage()
			g.must()
			if n := g.last.kinds[tt.want].Load(); n != 1 {
				t.Fatalf("%+v", g.last.Stats().Counts)
			}
			want, puts := tt.first, int64(0)
			if tt.want == replaced {
				want, puts = tt.second, 1
			}
			if g.body(tt.key) != want {
				t.Errorf("the bucket holds %q", g.body(tt.key))
			}
			if sent := g.meter.Usage().Sub(before); sent.Get(costs.PutObject) != puts || sent.A()+sent.B() != puts {
				t.Errorf("sent %v", sent)
			}
			if tt.want == changed && g.finding(tt.key).Kind != ledger.Changed {
				t.Errorf("%+v", g.finding(tt.key))
			}
			// Whatever it was: now it is known, and costs nothing.
			if tt.want != changed {
				if c := g.must(); c.Present != 1 {
					t.Errorf("third run: %+v", c)
				}
			}
		})
	}
}

// A key that is taken is adopted if it has our bytes, in whatever parts they were
// sent, and is a conflict otherwise. It is never overwritten.
func TestTakenKeys(t *testing.T) {
	t.Parallel()
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<20) // 16 MiB: three parts of 6 MiB
	tests := []struct {
		name  string
		body  []byte
		there []byte
		etag  string
		want  kind
		gets  int64
	}{
		{"the same", []byte(jpeg), []byte(jpeg), "", adopted, 0},
		{"other bytes of the same size", []byte(jpeg), upper(jpeg), "", conflict, 0},
		{"another size", []byte(jpeg), []byte(jpeg + "!"), "", conflict, 0},
		{"sent in parts by another tool", big, big, r2.CompositeETag(partSums(big, 6<<20)), adopted, 0},
		{"sent in odd parts", big, big, "0123456789abcdef0123456789abcdef-3", adopted, 1},
		{"sent in odd parts, other bytes", big, bytes.ToUpper(big), "0123456789abcdef0123456789abcdef-3", conflict, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, fixtures.Options{})
			g.write(photo, tt.body)
			g.remote.Plant(fixtures.Object{Key: photo, ETag: tt.etag}, tt.there)
			g.must()
			if n := g.last.kinds[tt.want].Load(); n != 1 {
				t.Fatalf("%+v: %+v", g.last.Stats().Counts, g.finding(photo))
			}
			if got, _ := g.remote.Body(photo); !bytes.Equal(got, tt.there) {
				t.Error("the object was touched")
			}
			u := g.meter.Usage()
			if u.Get(costs.PutObject) != 1 || u.Get(costs.HeadObject) != 1 || u.Get(costs.GetObject) != tt.gets {
				t.Errorf("sent %v", u)
			}
		})
	}
}

func partSums(data []byte, size int) (sums [][16]byte) {
	h := newHasher(true)
	defer h.close()
	d, err := h.inParts(context.Background(), bytes.NewReader(data), int64(len(data)), int64(size))
	if err != nil {
		panic(err)
	}
	return d.parts
}

// Adopted objects are not ours: they are never replaced.
func TestAdoptedIsNeverReplaced(t *testing.T) {
	t.Parallel()
	g := newRig(t, fixtures.Options{})
	created := time.Date(2024, 6, 1, 12, 0, 0, 0, time.UTC)
	key := string(media.Path{Class: media.MediaAttachments, Attachment: "files", ID: created.UnixMilli() << 16, Style: "original", Name: "a.mp4"}.Key())
	mp4 := "\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2 "
	g.write(key, []byte(mp4))
	g.age(key, created)
	g.remote.Put(key, []byte(mp4))
	if c := g.must(); c.Adopted != 1 {
		t.Fatalf("%+v", c)
	}
	g.write(key, []byte(mp4+"x"))
	g.age(key, created.Add(time.Hour))
	if c := g.must(); c.Changed != 1 || g.body(key) != mp4 {
		t.Errorf("%+v", c)
	}
}

// While joining, what the listing shows is adopted without a request for it.
func TestJoinAdoptsFromTheListing(t *testing.T) {
	t.Parallel()
	for _, switched := range []bool{false, true} {
		g := newRig(t, fixtures.Options{})
		if _, err := fixtures.Tree(g.root, fixtures.Small(300)); err != nil {
			t.Fatal(err)
		}
		all := 0
		_ = filepath.WalkDir(g.root, func(p string, d fs.DirEntry, _ error) error {
			if d.Type().IsRegular() {
				rel, _ := filepath.Rel(g.root, p)
				body, _ := os.ReadFile(p)
				if all++; all%3 != 0 { // the other tool came so far
					g.remote.Put(rel, body)
				}
			}
			return nil
		})
		g.join = true
		g.policy = func(p *Policy) { p.Switched = switched }
		c := g.must()
		u := g.meter.Usage()
		want := Counts{}
		want.Seen, want.Adopted = int64(all), int64(all-all/3)
		if switched {
			want.Left = int64(all / 3)
		} else {
			want.Moved = int64(all / 3)
		}
		if c.Seen != want.Seen || c.Adopted != want.Adopted || c.Moved != want.Moved || c.Left != want.Left {
			t.Errorf("switched %t: %+v", switched, c)
		}
		if u.Get(costs.ListObjects) != 1 || u.Get(costs.PutObject) != want.Moved || u.B() != 0 {
			t.Errorf("switched %t: sent %v", switched, u)
		}
	}
}

// Rule 3: after the switch a deletion in the bucket is never undone by the disk.
func TestAfterTheSwitch(t *testing.T) {
	t.Parallel()
	g := newRig(t, fixtures.Options{})
	g.write(photo, []byte(jpeg))
	if c := g.must(); c.Moved != 1 {
		t.Fatalf("%+v", c)
	}
	g.remote.Delete(photo) // by its owner, through Mastodon
	g.write(photo2, []byte(jpeg))
	g.policy = func(p *Policy) { p.Switched = true }
	c := g.must()
	if c.Present != 1 || c.Left != 1 || g.remote.Len() != 0 {
		t.Errorf("%+v", c)
	}
	// What appeared on disk after the whole walk began was written before Mastodon
	// was restarted: it is sent.
	newer := strings.Replace(photo, "567/original", "570/original", 1)
	g.write(newer, []byte(jpeg))
	g.policy = func(p *Policy) { p.Switched, p.LastWalk = true, time.Now().Add(-48*time.Hour) }
	if c := g.must(); c.Moved == 0 || g.body(newer) != jpeg || g.body(photo) != "" {
		t.Errorf("%+v", c)
	}
}

// A file that is too fresh waits for the end of the run and must stand still.
func TestFreshFilesSettle(t *testing.T) {
	t.Parallel()
	g := newRig(t, fixtures.Options{})
	g.write(photo, []byte(jpeg))
	g.write(photo2, []byte("half"))
	g.age(photo, time.Now())
	g.age(photo2, time.Now().Add(time.Hour)) // its clock is wrong
	g.policy = func(p *Policy) { p.StillFor = 300 * time.Millisecond }
	var looks atomic.Int64
	g.disk = func(d Disk) Disk {
		return &diskHook{Disk: d, stat: func(k media.Key) {
			if k == photo2 && looks.Add(1) == 1 { // still growing at the first look
				g.write(photo2, []byte(jpeg))
				g.age(photo2, time.Now())
			}
		}}
	}
	c := g.must()
	if c.Moved != 2 || g.body(photo2) != jpeg || looks.Load() < 2 {
		t.Errorf("%+v after %d looks, %q", c, looks.Load(), g.body(photo2))
	}
}

// diskHook lets a test act just before a file is looked at or opened.
type diskHook struct {
	Disk
	stat, open func(media.Key)
}

func (d *diskHook) Stat(k media.Key) (media.File, error) {
	if d.stat != nil {
		d.stat(k)
	}
	return d.Disk.Stat(k)
}

func (d *diskHook) Open(k media.Key) (*os.File, media.File, error) {
	f, info, err := d.Disk.Open(k)
	if d.open != nil {
		d.open(k)
	}
	return f, info, err
}

// A file that changes, grows, shrinks or vanishes under the reading is never
// stored wrong, and the rest goes on.
func TestFilesThatMove(t *testing.T) {
	t.Parallel()
	large := bytes.Repeat([]byte("x"), maxInMemory+5)
	tests := map[string]struct {
		body  []byte
		act   func(path string) error
		moved int64
		gone  int64
	}{
		"grows":         {[]byte(jpeg), func(p string) error { return os.WriteFile(p, []byte(jpeg+jpeg), 0o644) }, 2, 0},
		"shrinks":       {[]byte(jpeg), func(p string) error { return os.Truncate(p, 3) }, 2, 0},
		"large grows":   {large, func(p string) error { return os.WriteFile(p, append(large, large...), 0o644) }, 2, 0},
		"large shrinks": {large, func(p string) error { return os.Truncate(p, maxInMemory+1) }, 2, 0},
		"vanishes":      {[]byte(jpeg), os.Remove, 1, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, fixtures.Options{})
			g.policy = func(p *Policy) { p.StillFor = 100 * time.Millisecond }
			g.write(photo, tt.body)
			g.write(photo2, []byte(jpeg))
			var once atomic.Bool
			g.disk = func(d Disk) Disk {
				return &diskHook{Disk: d, open: func(k media.Key) {
					if k == photo && once.CompareAndSwap(false, true) {
						if err := tt.act(filepath.Join(g.root, photo)); err != nil {
							t.Error(err)
						}
					}
				}}
			}
			c := g.must()
			if c.Moved != tt.moved || c.Vanished != tt.gone || c.Failed != 0 {
				t.Fatalf("%+v %+v", c, g.finding(photo))
			}
			if now, err := os.ReadFile(filepath.Join(g.root, photo)); err == nil && g.body(photo) != string(now) {
				t.Errorf("stored %d bytes, the disk has %d", len(g.body(photo)), len(now))
			}
		})
	}
}

func TestGoneBeforeItIsOpened(t *testing.T) {
	t.Parallel()
	g := newRig(t, fixtures.Options{})
	g.write(photo, []byte(jpeg))
	g.files = func(context.Context, *scanner.Tree) iter.Seq2[media.File, error] {
		return func(yield func(media.File, error) bool) {
			_ = yield(media.File{Key: photo, Mode: 0o644}, nil) && yield(media.File{Key: photo2, Mode: 0o644}, nil)
		}
	}
	if c := g.must(); c.Moved != 1 || c.Vanished != 1 || c.Seen != 2 {
		t.Errorf("%+v", c)
	}
}

// Interrupted is not failed: what was not decided is pending, what was begun is
// finished, and the next run sends nothing twice.
func TestInterruptAndResume(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	g := newRig(t, fixtures.Options{OnStored: func(_ string, n int) {
		if n == 200 {
			cancel()
		}
	}})
	m, err := fixtures.Tree(g.root, fixtures.Small(2000))
	if err != nil {
		t.Fatal(err)
	}
	c, whole, err := g.run(ctx)
	if !errors.Is(err, context.Canceled) || whole || c.Failed != 0 || c.Pending == 0 {
		t.Fatalf("whole %t, %+v, %v", whole, c, err)
	}
	if int(c.Moved) != g.remote.Len() {
		t.Errorf("%d recorded, %d stored", c.Moved, g.remote.Len())
	}
	rest := g.must()
	if rest.Present != c.Moved || rest.Present+rest.Moved != int64(m.Moved.Files) {
		t.Errorf("%+v then %+v", c, rest)
	}
	if u := g.meter.Usage(); u.Get(costs.PutObject) != int64(m.Moved.Files) || u.B() != 0 {
		t.Errorf("sent %v for %d files", u, m.Moved.Files)
	}
}

// The limit on Class A is never passed, and the next run goes on.
func TestLimit(t *testing.T) {
	t.Parallel()
	g := newRig(t, fixtures.Options{})
	if _, err := fixtures.Tree(g.root, fixtures.Small(300)); err != nil {
		t.Fatal(err)
	}
	g.meter.LimitA(100)
	c, whole, err := g.run(t.Context())
	if !errors.Is(err, r2.ErrLimit) || whole || c.Moved != 100 || c.Failed != 0 || c.Pending != 200 || g.meter.Usage().A() != 100 {
		t.Errorf("whole %t, %+v, %v, %v", whole, c, g.meter.Usage(), err)
	}
	g.meter = new(costs.Meter)
	if c := g.must(); c.Moved != 200 || c.Present != 100 {
		t.Errorf("%+v", c)
	}
}

// A token that is revoked half way stops the run; nothing counts as failed.
func TestRevokedToken(t *testing.T) {
	t.Parallel()
	var g *rig
	g = newRig(t, fixtures.Options{OnStored: func(_ string, n int) {
		if n == 100 {
			g.remote.Revoke()
		}
	}})
	if _, err := fixtures.Tree(g.root, fixtures.Small(1000)); err != nil {
		t.Fatal(err)
	}
	c, _, err := g.run(t.Context())
	if !errors.Is(err, r2.ErrDenied) || c.Failed != 0 || c.Pending == 0 {
		t.Fatalf("%+v, %v", c, err)
	}
	g.remote.Grant(fixtures.AccessKey, fixtures.Secret)
	if rest := g.must(); rest.Present+rest.Adopted < c.Moved || g.remote.Len() != 1000 {
		t.Errorf("%+v then %+v, %d stored", c, rest, g.remote.Len())
	}
}

// An hour's outage is waited out; no file fails by it.
func TestOutageOfAnHour(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "system")
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		down := func() bool {
			d := time.Since(start)
			return d > 200*time.Millisecond && d < time.Hour+200*time.Millisecond
		}
		g := newRig(t, fixtures.Options{Latency: 50 * time.Millisecond, Fault: func(fixtures.Request) fixtures.Fault {
			if down() {
				return fixtures.Fault{Status: 503, Code: "ServiceUnavailable"}
			}
			return fixtures.Fault{}
		}})
		g.root, g.plain = root, true
		spec := fixtures.Small(2000)
		spec.Now = start
		if _, err := fixtures.Tree(g.root, spec); err != nil {
			t.Fatal(err)
		}
		c := g.must()
		if c.Moved+c.Adopted != 2000 || c.Failed != 0 || time.Since(start) < time.Hour {
			t.Errorf("%+v after %v", c, time.Since(start))
		}
		if tried := g.meter.Usage().Get(costs.PutObject); tried > 2000+1500 {
			t.Errorf("%d PUTs for 2,000 files: the outage was hammered", tried)
		}
	})
}

// Every way in which an answer can get lost or lie, at random places: all files
// arrive, each is right, none is stored wrong.
func TestFaultsAtRandom(t *testing.T) {
	t.Parallel()
	faults := []fixtures.Fault{
		{Status: 429, Code: "TooManyRequests"},
		{Status: 500, Code: "InternalError"},
		{Status: 503, HTML: true},
		{Status: 520, HTML: true},
		{CutBefore: true},
		{CutAfterBytes: 10},
		{StoreThenCut: true},
		{Status: 400, Code: "ClientDisconnect"},
	}
	root := filepath.Join(t.TempDir(), "system")
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, fixtures.Options{Latency: 5 * time.Millisecond, KeyInterval: time.Second, Fault: func(r fixtures.Request) fixtures.Fault {
			if r.Attempt == 1 && r.N%5 == 0 {
				return faults[int(r.N/5)%len(faults)]
			}
			return fixtures.Fault{}
		}})
		g.root, g.plain = root, true
		spec := fixtures.Small(1000)
		spec.Now = time.Now()
		if _, err := fixtures.Tree(g.root, spec); err != nil {
			t.Fatal(err)
		}
		c := g.must()
		if c.Moved+c.Adopted != 1000 || c.Failed != 0 || g.remote.Len() != 1000 {
			t.Fatalf("%+v, %d stored: %+v", c, g.remote.Len(), g.findings(ledger.Failed))
		}
		for _, o := range g.remote.Objects() {
			if want, err := os.ReadFile(filepath.Join(g.root, o.Key)); err != nil || g.body(o.Key) != string(want) {
				t.Fatalf("%s is stored wrong (%v)", o.Key, err)
			}
			if g.remote.Writes(o.Key) != 1 {
				t.Errorf("%s was written %d times", o.Key, g.remote.Writes(o.Key))
			}
		}
	})
}

// Names that can't be a key, links, FIFOs and folders of others are told, never moved.
func TestWhatIsNotMoved(t *testing.T) {
	t.Parallel()
	g := newRig(t, fixtures.Options{})
	g.write(photo, []byte(jpeg))
	bad := "accounts/avatars/000/000/001/original/line\nbreak.png"
	g.write(bad, []byte(jpeg))
	g.write("README.txt", []byte("not Mastodon's"))
	if err := os.Symlink("/etc/passwd", filepath.Join(g.root, "accounts", "avatars", "passwd.png")); err != nil {
		t.Fatal(err)
	}
	c, whole, err := g.run(t.Context())
	if err != nil || whole { // the link may lead to a folder full of media
		t.Errorf("whole %t, %v", whole, err)
	}
	if c.Moved != 1 || c.Failed != 1 || c.Outside != 1 || c.Links != 1 || c.Seen != 2 || g.remote.Len() != 1 {
		t.Errorf("%+v", c)
	}
	if f := g.finding(bad); f.Kind != ledger.Failed || !strings.Contains(f.Cause, "control character") {
		t.Errorf("%+v", f)
	}
}

// A plan decides as the sync then does.
func TestPlanAgreesWithSync(t *testing.T) {
	t.Parallel()
	g := newRig(t, fixtures.Options{})
	if _, err := fixtures.Tree(g.root, fixtures.Mixed(800)); err != nil {
		t.Fatal(err)
	}
	tree, err := scanner.Open(g.root, scanner.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tree.Close() }()
	p, err := MakePlan(t.Context(), ledger.AllNew(tree.Files(t.Context())), PlanOptions{Policy: DefaultPolicy(0)})
	if err != nil {
		t.Fatal(err)
	}
	c := g.must()
	if p.Seen != c.Seen || p.Pending != c.Moved || p.HeldBack != c.HeldBack || p.Outside != c.Outside || p.Bytes != c.BytesMoved {
		t.Errorf("plan %+v\nsync %+v", p.Counts, c)
	}
	if p.Sync != g.meter.Usage() {
		t.Errorf("planned %v, sent %v", p.Sync, g.meter.Usage())
	}
}

func TestLargeFileInParts(t *testing.T) {
	t.Parallel()
	g := newRig(t, fixtures.Options{})
	g.write(photo, nil)
	const size = r2.SinglePutMax + 12345
	if err := os.Truncate(filepath.Join(g.root, photo), size); err != nil {
		t.Fatal(err)
	}
	g.age(photo, time.Now().Add(-time.Hour))
	if c := g.must(); c.Moved != 1 || c.BytesMoved != size {
		t.Fatalf("%+v %+v", c, g.finding(photo))
	}
	o, _ := g.remote.Object(photo)
	if o.Size != size || !strings.Contains(o.ETag, "-") || len(g.remote.Uploads()) != 0 {
		t.Errorf("%+v", o)
	}
	u := g.meter.Usage()
	parts := (size + r2.PartSize(size) - 1) / r2.PartSize(size)
	if u.Get(costs.UploadPart) != parts || u.Get(costs.CreateMultipartUpload) != 1 || u.Get(costs.HeadObject) != 1 {
		t.Errorf("sent %v", u)
	}
	if c := g.must(); c.Present != 1 {
		t.Errorf("%+v", c)
	}
}

// A class folder that lost everything is more likely a disk that is not mounted.
func TestEmptiedFolder(t *testing.T) {
	t.Parallel()
	g := newRig(t, fixtures.Options{})
	g.write("accounts/avatars/000/000/001/original/a.png", []byte("x"))
	tree, err := scanner.Open(g.root, scanner.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tree.Close() }()
	last := ledger.Walk{Classes: map[string]int64{"media_attachments": 100, "accounts": 500, "custom_emojis": 99}}
	err = CheckEmptied(t.Context(), tree, last, nil)
	if e, ok := errors.AsType[*EmptiedError](err); !ok || e.Folder != "media_attachments" {
		t.Error(err)
	}
	if err := CheckEmptied(t.Context(), tree, last, map[string]bool{"media_attachments": true}); err != nil {
		t.Error(err)
	}
}

// What an earlier run began and could not end is aborted.
func TestLeftovers(t *testing.T) {
	t.Parallel()
	led, err := ledger.Open(t.Context(), t.TempDir(), ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = led.Close() }()
	for _, id := range []string{"a", "b"} {
		if err := led.AddUpload(t.Context(), ledger.Upload{Key: photo, ID: id, Run: 1, At: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	open, err := led.Uploads(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	g := newRig(t, fixtures.Options{})
	if err := Leftovers(t.Context(), open, g.bucket(), led, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if left, err := led.Uploads(t.Context()); err != nil || len(left) != 0 {
		t.Error(left, err)
	}
}
