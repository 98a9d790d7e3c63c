package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
	"example.org/mediamove/verify"
)

// readers is how many objects a verify reads at once.
const readers = 64

// A reading remembers what was read, in its order.
type reading struct {
	mu   sync.Mutex
	keys []string
	then func(key string, n int) fixtures.Fault // of the nth object that is read; may be nil
}

func (r *reading) fault(q fixtures.Request) fixtures.Fault {
	if q.Op != costs.GetObject || media.Key(q.Key).Reserved() {
		return fixtures.Fault{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys = append(r.keys, q.Key)
	if r.then == nil {
		return fixtures.Fault{}
	}
	return r.then(q.Key, len(r.keys))
}

// do sets what happens to the nth object that is read.
func (r *reading) do(then func(key string, n int) fixtures.Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.then = then
}

// deniedAfter n objects every other one is: that ends the run at a known place.
func (r *reading) deniedAfter(n int) {
	r.do(func(_ string, i int) fixtures.Fault {
		if i > n {
			return fixtures.Fault{Status: 403, Code: "AccessDenied"}
		}
		return fixtures.Fault{}
	})
}

// take returns what was read since the last take.
func (r *reading) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	keys := r.keys
	r.keys = nil
	return keys
}

// watched records what is read of m from now on.
func (m *moved) watched() *reading {
	r := new(reading)
	m.b.SetFault(r.fault)
	return r
}

// keysOf are the moved objects, in order.
func (m *moved) keysOf() []string {
	var keys []string
	for _, o := range m.b.Objects() {
		if !media.Key(o.Key).Reserved() {
			keys = append(keys, o.Key)
		}
	}
	return keys
}

// A --read that is interrupted, or killed, goes on: what was read is not read again,
// but for what was under way or not durable yet.
func TestVerifyReadGoesOn(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(1200))
	var process atomic.Pointer[os.Process]
	r := m.watched()
	interrupted := func(sig syscall.Signal, after int) result {
		t.Helper()
		r.do(func(_ string, n int) fixtures.Fault {
			if p := process.Load(); n >= after && p != nil && process.CompareAndSwap(p, nil) {
				_ = p.Signal(sig)
			}
			return fixtures.Fault{}
		})
		cmd, stdout, stderr := m.command(t.Context(), "verify", "--read")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		process.Store(cmd.Process)
		_ = cmd.Wait()
		return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
	}
	ended := interrupted(syscall.SIGINT, 300)
	if ended.code != 130 || !strings.Contains(ended.stdout, "run the same command again: what was read back is not read again") || !strings.Contains(ended.stdout, "COULD NOT TELL") {
		t.Errorf("%v", ended)
	}
	first := r.take()
	if killed := interrupted(syscall.SIGKILL, 400); killed.code != -1 {
		t.Errorf("not killed: %v", killed)
	}
	m.quiet() // what the killed process had sent is still being answered
	second := r.take()
	if again := both(first, second); again > readers {
		t.Errorf("%d were read again after SIGINT", again)
	}
	r.do(nil)
	out := m.verify(exitOK, "--read")
	third := r.take()
	if again := both(slices.Concat(first, second), third); again > readers+ledger.GroupRows {
		t.Errorf("%d were read again after SIGKILL", again)
	}
	n := int64(m.files.Moved.Files)
	if out.Read.Resumed+out.Read.Equal != n || out.Read.Resumed < 300-readers || int64(len(third)) != out.Read.Objects {
		t.Errorf("%+v of %d", out.Read, n)
	}
	all := slices.Concat(first, second, third)
	slices.Sort(all)
	if diff := cmp.Diff(m.keysOf(), slices.Compact(all)); diff != "" {
		t.Errorf("not all were read:\n%s", diff)
	}
	// What is through begins anew.
	if out := m.verify(exitOK, "--read"); out.Read.Resumed != 0 || out.Read.Equal != n {
		t.Errorf("%+v", out.Read)
	}
	m.proofs(n)
}

// quiet waits until the bucket gets no more requests.
func (m *moved) quiet() {
	m.t.Helper()
	for still, last := 0, m.b.Usage(); still < 5; still++ {
		time.Sleep(20 * time.Millisecond)
		if now := m.b.Usage(); now != last {
			still, last = -1, now
		}
	}
}

// both counts what is in a and in b.
func both(a, b []string) (n int) {
	in := make(map[string]bool)
	for _, key := range a {
		in[key] = true
	}
	for _, key := range b {
		if in[key] {
			n++
		}
	}
	return n
}

// proofs expects that n objects stand as read back, and each with its ETag.
func (m *moved) proofs(n int64) {
	m.t.Helper()
	led, err := ledger.OpenReader(m.t.Context(), m.state)
	if err != nil {
		m.t.Fatal(err)
	}
	defer led.Close()
	if p, err := led.Proofs(m.t.Context()); err != nil || p.ReadBack != n {
		m.t.Errorf("%+v %v, want %d read back", p, err, n)
	}
	var seen int64
	for _, key := range m.keysOf() {
		o, _ := m.b.Object(key)
		st, err := led.Standing(m.t.Context(), media.Key(key))
		if err != nil {
			continue
		}
		all, err := led.Evidence(m.t.Context(), media.Key(key))
		if err != nil {
			m.t.Fatal(err)
		}
		if st.Level == ledger.ReadBack && st.Op == costs.GetObject && len(all) > 0 && all[len(all)-1].ETag == o.ETag {
			seen++
		}
	}
	if seen != n {
		m.t.Errorf("%d stand as read back, want %d", seen, n)
	}
}

// An object that was stored again since it was read is read again: what an
// interrupted run saw of it is history.
func TestVerifyReadAgainWhatIsNew(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(150))
	r := m.watched()
	r.deniedAfter(100)
	m.complaint(m.run("verify", "--read", "--max-concurrency", "1"), exitUsage, "AccessDenied")
	read := r.take()
	r.do(nil)
	key := read[len(read)/2]
	body := m.body(key)
	m.plant(key, []byte("damaged"), "")
	m.run("verify", "--repair", "--replace-differing", m.root)
	if !bytes.Equal(m.body(key), body) {
		t.Fatalf("%s was not repaired", key)
	}
	m.b.Corrupt(key) // and now it rots
	r.take()
	out := m.verify(exitLeft, "--read")
	if !slices.Contains(r.take(), key) || out.Differs != 1 || out.Read.Resumed != 99 {
		t.Errorf("%s was not read again: %+v, %+v", key, out, out.Read)
	}
}

// A --read that was interrupted long ago is begun anew: what was read then says little
// of today.
func TestVerifyReadOfLongAgo(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(60))
	n := int64(m.files.Moved.Files)
	m.verify(exitOK, "--read")
	for age, resumed := range map[time.Duration]int64{time.Hour: n, 60 * 24 * time.Hour: 0} {
		led, err := ledger.Open(t.Context(), m.state, ledger.Options{})
		if err != nil {
			t.Fatal(err)
		}
		err = led.SetRotation(t.Context(), readingAll, ledger.Rotation{Of: 1, Began: time.Now().Add(-age), Run: 2})
		if err := errors.Join(err, led.Close()); err != nil {
			t.Fatal(err)
		}
		if out := m.verify(exitOK, "--read"); out.Read.Resumed != resumed || out.Read.Equal != n-resumed {
			t.Errorf("begun %v ago: %+v", age, out.Read)
		}
	}
}

// What an interrupted run has found is found again by the one that goes on, although
// the bytes are known to be good.
func TestVerifyReadFindsHeadersAgain(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(120))
	r := m.watched()
	m.verify(exitOK, "--read", "--max-concurrency", "1")
	order := r.take()
	bad := order[10]
	o, _ := m.b.Object(bad)
	o.CacheControl = "no-store"
	m.b.Plant(o, m.body(bad))
	r.deniedAfter(50)
	m.complaint(m.run("verify", "--read", "--max-concurrency", "1"), exitUsage, "AccessDenied")
	r.do(nil)
	out := m.differs(map[string]string{bad: "headers"}, "--read")
	if out.Read.Resumed != 49 {
		t.Errorf("%+v", out.Read)
	}
}

// Three runs of --rotate 3 read everything once, local users' media first.
func TestVerifyRotates(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(360))
	r := m.watched()
	var parts [][]string
	for slot := 1; slot <= 4; slot++ {
		if slot == 3 { // this one is interrupted
			r.deniedAfter(20)
			m.complaint(m.run("verify", "--rotate", "3", "--max-concurrency", "1"), exitUsage, "AccessDenied")
			r.do(nil)
		}
		out := m.verify(exitOK, "--rotate", "3", "--max-concurrency", "1")
		keys := r.take()
		if slot == 3 {
			keys = slices.Delete(keys, 20, 21) // the denied one
		}
		parts = append(parts, keys)
		if out.Read.Of != 3 || out.Read.Slot != (slot-1)%3+1 || out.Read.Objects+out.Read.Resumed != int64(len(keys)) || (out.Read.Resumed == 20) != (slot == 3) {
			t.Errorf("run %d: %+v, %d read", slot, out.Read, len(keys))
		}
		if len(keys) < m.files.Moved.Files/5 || !slices.IsSortedFunc(keys, precedence) {
			t.Errorf("run %d read %d, in another order than local media first: %q", slot, len(keys), keys)
		}
	}
	if diff := cmp.Diff(parts[0], parts[3]); diff != "" {
		t.Errorf("the fourth run is not the first again:\n%s", diff)
	}
	all := slices.Concat(parts[:3]...)
	slices.Sort(all)
	if diff := cmp.Diff(m.keysOf(), all); diff != "" {
		t.Errorf("three parts are not the whole, each once:\n%s", diff)
	}
	m.proofs(int64(len(all)))
	// Another number of parts begins anew.
	if out := m.verify(exitOK, "--rotate", "30"); out.Read.Slot != 1 || out.Read.Of != 30 || out.Read.Resumed != 0 {
		t.Errorf("%+v", out.Read)
	}
	if r := m.run("verify", "--rotate", "30"); !strings.Contains(r.stdout, "part 2 of 30") || !strings.Contains(r.stdout, "the other parts are for the next runs") {
		t.Error(r)
	}
}

// precedence compares by what is read first.
func precedence(a, b string) int {
	rank := func(key string) int {
		if media.Key(key).Cached() {
			return 1
		}
		return 0
	}
	return rank(a) - rank(b)
}

// A sample can be drawn again by its seed; it has some of every class, and says
// what it can't promise.
func TestVerifySamples(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(400))
	r := m.watched()
	drawn := func(args ...string) []string {
		m.verify(exitOK, append([]string{"--sample", "60"}, args...)...)
		keys := r.take()
		slices.Sort(keys)
		return keys
	}
	first, again, other := drawn("--seed", "9"), drawn("--seed", "9"), drawn("--seed", "10")
	if diff := cmp.Diff(first, again); diff != "" || len(first) < 60 || len(first) > 200 {
		t.Errorf("%d drawn; the same seed draws others:\n%s", len(first), diff)
	}
	if slices.Equal(first, other) {
		t.Error("another seed draws the same")
	}
	classes := make(map[verify.Class]bool)
	for _, key := range first {
		classes[verify.ClassOf(media.Key(key))] = true
	}
	for _, key := range m.keysOf() {
		if c := verify.ClassOf(media.Key(key)); !classes[c] {
			t.Errorf("none of %v", c)
		}
	}
	out := verified(t, exitOK, m.run("verify", "--json", "--sample", "60"))
	unseeded := r.take()
	slices.Sort(unseeded)
	p := out.Read
	if p.Seed == 0 || p.Population != int64(m.files.Moved.Files) || p.Share <= 0.1 || p.Share >= 1 || p.Bound == nil || *p.Bound <= 0 || *p.Bound >= p.Population {
		t.Errorf("%+v", p)
	}
	if diff := cmp.Diff(unseeded, drawn("--seed", strconv.FormatUint(p.Seed, 10))); diff != "" {
		t.Errorf("the seed that was printed draws others:\n%s", diff)
	}
	text := m.run("verify", "--sample", "60", "--seed", "9")
	for _, say := range []string{"seed 9", "(1-", "95 %", "can't promise"} {
		if !strings.Contains(text.stdout, say) {
			t.Errorf("nothing of %q in %v", say, text)
		}
	}
}

// What is in doubt already takes nothing's place in a sample: one that is said to be
// of everything leaves nothing out.
func TestVerifySampleOfWhatIsThere(t *testing.T) {
	t.Parallel()
	b := fixtures.NewBucket(fixtures.Options{})
	m := &moved{newSite(t, listen(t, b), fixtures.Mixed(30)), b}
	const dir = "site_uploads/files/000/000/012/original/"
	for _, name := range []string{"gone.png", "rots.png"} { // alone of their class and size
		m.write(dir+name, append([]byte("\x89PNG\r\n\x1a\n"+name), make([]byte, 300_000)...))
	}
	m.must(exitOK, m.sync())
	m.b.Delete(dir + "gone.png")
	m.b.Corrupt(dir + "rots.png")
	for _, seed := range []string{"1", "2", "3", "4", "5", "6"} {
		out := m.differs(map[string]string{dir + "gone.png": "missing", dir + "rots.png": "differs"}, "--sample", "1000", "--seed", seed)
		if out.Read.Share != 1 || out.Read.Objects != out.Recorded-1 {
			t.Errorf("seed %s: %+v", seed, out.Read)
		}
	}
}

// Answers that break off, or are not what was stored.
func TestVerifyReadFaults(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(120))
	keys := m.plain(7)
	once, never, refused, flipped, short, gone, bare := keys[0], keys[1], keys[2], keys[3], keys[4], keys[5], keys[6]
	faults := map[string]func(q fixtures.Request) fixtures.Fault{
		once: func(q fixtures.Request) fixtures.Fault {
			return fixtures.Fault{PartialAnswer: int64(9 * (q.Attempt % 2))}
		},
		never:   func(fixtures.Request) fixtures.Fault { return fixtures.Fault{PartialAnswer: 9} },
		refused: func(fixtures.Request) fixtures.Fault { return fixtures.Fault{Status: 400, Code: "InvalidArgument"} },
		flipped: func(fixtures.Request) fixtures.Fault {
			return fixtures.Fault{Edit: func(a *fixtures.Answer) { a.Body[len(a.Body)-1] ^= 1 }}
		},
		short: func(fixtures.Request) fixtures.Fault {
			return fixtures.Fault{Edit: func(a *fixtures.Answer) { a.Body = a.Body[:len(a.Body)-1] }}
		},
		gone: func(fixtures.Request) fixtures.Fault { return fixtures.Fault{Status: 404, Code: "NoSuchKey"} },
		bare: func(fixtures.Request) fixtures.Fault {
			return fixtures.Fault{Edit: func(a *fixtures.Answer) { a.Header.Del("Cache-Control") }}
		},
	}
	m.b.SetFault(func(q fixtures.Request) fixtures.Fault {
		if f := faults[q.Key]; f != nil && (q.Op == costs.GetObject || q.Op == costs.HeadObject && q.Key == bare) {
			return f(q)
		}
		return fixtures.Fault{}
	})
	out := m.verify(exitStopped, "--read", "--headers", "1000")
	want := map[string]string{
		never: "unread", refused: "unread", flipped: "differs", short: "differs", gone: "missing", bare: "headers",
	}
	items := m.doubts(out.Run)
	if diff := cmp.Diff(want, verdictsOf(items)); diff != "" {
		t.Errorf("verdicts (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int64{"unread": 2, "differs": 2, "missing": 1, "headers": 1}, out.counts()); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	n := int64(m.files.Moved.Files)
	if out.Complete || len(out.Unknown) != 2 || out.Same != n-5 || out.Differences != 4 || out.Read.Equal != n-5 {
		t.Errorf("%+v, %+v", out, out.Read)
	}
	for key, cause := range map[string]string{flipped: "same ETag", short: "number of bytes", gone: "gone when it was read back"} {
		if !strings.Contains(items[key].Cause, cause) {
			t.Errorf("%s: %q", key, items[key].Cause)
		}
	}
	// As it says, the same command goes on: what was read is not read again, but what
	// was found wrong, be it the headers, must be found again.
	m.b.SetFault(nil)
	r := m.watched()
	out = m.verify(exitOK, "--read")
	left := []string{never, refused, flipped, short, gone, bare}
	slices.Sort(left)
	got := r.take()
	slices.Sort(got)
	if diff := cmp.Diff(left, got); diff != "" || out.Read.Resumed != n-6 {
		t.Errorf("read again (-want +got):\n%s%+v", diff, out.Read)
	}
}

// Headers that another tool did not write are found by --headers and by --read, and
// each object counts once.
func TestVerifyHeaders(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(100))
	keys := m.plain(3)
	o, _ := m.b.Object(keys[0])
	o.CacheControl = ""
	m.b.Plant(o, m.body(keys[0]))
	o, _ = m.b.Object(keys[1])
	o.ContentType = "application/octet-stream"
	m.b.Plant(o, m.body(keys[1]))
	want := map[string]string{keys[0]: "headers", keys[1]: "headers"}
	n := int64(m.files.Moved.Files)
	for _, args := range [][]string{{"--headers", "1000"}, {"--read"}, {"--read", "--headers", "1000"}} {
		out := m.differs(want, args...)
		if out.Same != n || out.Differences != 2 || out.Looks.Headers.Fine+2 != out.Looks.Headers.Asked || out.Looks.Headers.Asked != n {
			t.Errorf("%v: %+v", args, out)
		}
	}
	if out := m.verify(exitLeft, "--headers", "1000"); out.Requests.Get(costs.HeadObject) != n {
		t.Errorf("%+v", out)
	}
}

// Large objects, sent in parts, have no MD5 of the whole; they are read back too.
func TestVerifyReadsParts(t *testing.T) {
	t.Parallel()
	spec := fixtures.Mixed(40)
	spec.Large = []int64{largeFile}
	m := newMoved(t, spec)
	key := ""
	for _, o := range m.b.Objects() {
		if strings.Contains(o.ETag, "-") {
			key = o.Key
		}
	}
	out := m.verify(exitOK, "--read", m.root)
	if out.Read.Equal != int64(m.files.Moved.Files) || key == "" {
		t.Errorf("%+v, parts in %q", out.Read, key)
	}
	m.b.Corrupt(key)
	m.found(m.verify(exitOK, m.root), map[string]string{})
	m.differs(map[string]string{key: "differs"}, "--read")
	file := filepath.Join(t.TempDir(), "move.cert")
	if r := m.run("verify", "--read", "--certificate", file); r.code != exitLeft {
		t.Error(r)
	}
	nothingAt(t, file)
}
