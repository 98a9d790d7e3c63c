package verify

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

func testRig(t *testing.T) *rig {
	t.Helper()
	g := newRig(t, t.TempDir())
	t.Cleanup(g.close)
	return g
}

// moved makes n objects that are the same on all sides.
func (g *rig) moved(n int) []media.Key {
	g.t.Helper()
	var keys []media.Key
	for i := range n {
		k := media.Key(fmt.Sprintf("media_attachments/files/000/%03d/001/original/%d.png", i%100, i))
		if i%3 == 0 {
			k = "cache/" + k
		}
		text := fmt.Sprintf("object %d %s", i, strings.Repeat("x", i))
		g.record(media.File{Key: k, ModTime: time.Now(), Mode: 0o644}, text)
		g.object(k, text, 2*time.Minute)
		keys = append(keys, k)
	}
	return keys
}

// compared is a verifier whose listing pass is over.
func (g *rig) compared(t *testing.T, p Policy) *Verifier {
	t.Helper()
	v := g.verifier(p, false)
	t.Cleanup(func() { _ = v.Close() })
	if err := v.Compare(t.Context()); err != nil {
		t.Fatal(err)
	}
	return v
}

func wantCounts(t *testing.T, v *Verifier, want map[string]int64) {
	t.Helper()
	got := named(v.Report().Counts)
	for word := range want {
		if got[word] != want[word] {
			t.Errorf("got %v, want %v", got, want)
			return
		}
	}
	for word := range got {
		if _, ok := want[word]; !ok {
			t.Errorf("got %v, want %v", got, want)
			return
		}
	}
}

// A listing that can't be believed is an error, and nothing is called missing.
func TestListingErrors(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]fixtures.Fault{
		"denied in the middle": {Status: 403, Code: "AccessDenied"},
		"an empty answer":      {Empty200: true},
		"a page of the edge":   {HTML: true, Status: 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := testRig(t)
			g.moved(2500)
			var lists atomic.Int64
			g.bucket.SetFault(func(r fixtures.Request) fixtures.Fault {
				if r.Op == costs.ListObjects {
					if lists.Add(1) >= 2 {
						return fault
					}
				}
				return fixtures.Fault{}
			})
			v := g.verifier(Policy{}, false)
			defer v.Close()
			err := v.Compare(t.Context())
			if err == nil {
				t.Fatal("no error")
			}
			if r := v.Report(); r.Listing || r.Complete() || r.Of(Missing) != 0 {
				t.Errorf("%+v after %v", r, err)
			}
			if _, err := g.ledger.LastPass(t.Context()); !errors.Is(err, ledger.ErrUnknown) {
				t.Errorf("a pass was recorded: %v", err)
			}
		})
	}
}

// One LIST per 1,000 objects, and nothing else.
func TestRequests(t *testing.T) {
	t.Parallel()
	g := testRig(t)
	g.moved(2500)
	g.compared(t, Policy{})
	if u := g.meter.Usage(); u != (costs.Usage{costs.ListObjects: 3}) {
		t.Errorf("asked %v", u)
	}
}

// Missing objects are asked for, ten at most; if one is there after all, the listing
// is no proof of anything.
func TestProbe(t *testing.T) {
	t.Parallel()
	g := testRig(t)
	keys := g.moved(50)
	for _, k := range keys[:30] {
		g.bucket.Delete(string(k))
	}
	v := g.compared(t, Policy{})
	wantCounts(t, v, map[string]int64{"same": 20, "missing": 30})
	if n := v.Report().Probes; n != probes {
		t.Fatalf("%d probed", n)
	}
}

// A listing that lacks what HEAD finds is no proof of anything: there is no pass, and
// nothing is called missing.
func TestDisbelievedListing(t *testing.T) {
	t.Parallel()
	g := testRig(t)
	keys := g.moved(5)
	g.bucket.SetFault(func(r fixtures.Request) fixtures.Fault {
		if r.Op != costs.ListObjects {
			return fixtures.Fault{}
		}
		return fixtures.Fault{Edit: func(a *fixtures.Answer) {
			whole := string(a.Body)
			at := strings.Index(whole, "3.png</Key>")
			from, to := strings.LastIndex(whole[:at], "<Contents>"), at+strings.Index(whole[at:], "</Contents>")+len("</Contents>")
			a.Body = []byte(strings.Replace(whole[:from]+whole[to:], "<KeyCount>5<", "<KeyCount>4<", 1))
		}}
	})
	v := g.verifier(Policy{}, false)
	defer v.Close()
	if err := v.Compare(t.Context()); !errors.Is(err, ErrListing) {
		t.Fatalf("got %v", err)
	}
	if v.Report().Listing {
		t.Error("it counts as a listing")
	}
	if _, err := g.ledger.LastPass(t.Context()); !errors.Is(err, ledger.ErrUnknown) {
		t.Errorf("a pass was recorded: %v", err)
	}
	if _, err := g.ledger.DoubtAbout(t.Context(), keys[3]); !errors.Is(err, ledger.ErrUnknown) {
		t.Errorf("it is in doubt: %v", err)
	}
}

// next begins the next run.
func (g *rig) next(t *testing.T) {
	t.Helper()
	var err error
	if g.run, err = g.ledger.Begin(t.Context(), "verify", time.Now()); err != nil {
		t.Fatal(err)
	}
}

// What was read and found rotten stays different in every later run that only lists,
// refuses a certificate, and is the same again once it was read back whole.
func TestRotIsNotForgotten(t *testing.T) {
	t.Parallel()
	g := testRig(t)
	keys := g.moved(30)
	whole, _ := g.bucket.Object(string(keys[4]))
	text, _ := g.bucket.Body(string(keys[4]))
	g.bucket.Corrupt(string(keys[4]))
	v := g.compared(t, Policy{})
	if err := v.ReadSample(t.Context(), 30, 1); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		g.next(t)
		v = g.compared(t, Policy{})
		if err := v.CarryOver(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantCounts(t, v, map[string]int64{"same": 29, "differs": 1})
		if _, err := v.Certify(t.Context(), filepath.Join(t.TempDir(), "c"), Certificate{}); err == nil {
			t.Error("it was certified")
		}
	}
	g.bucket.Plant(whole, text)
	g.next(t)
	v = g.compared(t, Policy{})
	if err := errors.Join(v.ReadPart(t.Context(), Part{Of: 1, Since: g.run}, g.ledger), v.CarryOver(t.Context())); err != nil {
		t.Fatal(err)
	}
	wantCounts(t, v, map[string]int64{"same": 30})
}

// Bytes that rot keep their ETag: no listing sees it, reading does, and says so.
func TestRot(t *testing.T) {
	t.Parallel()
	g := testRig(t)
	keys := g.moved(40)
	g.bucket.Corrupt(string(keys[7]))
	v := g.compared(t, Policy{})
	wantCounts(t, v, map[string]int64{"same": 40})
	if err := v.ReadPart(t.Context(), Part{Of: 1, Since: g.run}, g.ledger); err != nil {
		t.Fatal(err)
	}
	wantCounts(t, v, map[string]int64{"same": 39, "differs": 1})
	if err := g.ledger.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d, err := g.ledger.DoubtAbout(t.Context(), keys[7]); err != nil || !strings.Contains(d.Cause, "at rest") {
		t.Errorf("%+v, %v", d, err)
	}
	st, err := g.ledger.Standing(t.Context(), keys[7])
	if err != nil || st.Level != 0 {
		t.Errorf("it still stands: %+v, %v", st, err)
	}
	if st, err := g.ledger.Standing(t.Context(), keys[8]); err != nil || st.Level != ledger.ReadBack {
		t.Errorf("it does not stand: %+v, %v", st, err)
	}
}

// An answer that breaks off is asked for again; one that always does is unread, and
// then the run could not tell.
func TestUnread(t *testing.T) {
	t.Parallel()
	g := testRig(t)
	keys := g.moved(20)
	v := g.compared(t, Policy{})
	g.bucket.SetFault(func(r fixtures.Request) fixtures.Fault {
		switch {
		case r.Op != costs.GetObject:
		case r.Key == string(keys[3]), r.Key == string(keys[4]) && r.Attempt <= 2:
			return fixtures.Fault{PartialAnswer: 5}
		}
		return fixtures.Fault{}
	})
	if err := v.ReadPart(t.Context(), Part{Of: 1, Since: g.run}, g.ledger); err != nil {
		t.Fatal(err)
	}
	wantCounts(t, v, map[string]int64{"same": 19, "unread": 1})
	if r := v.Report(); r.Complete() || len(r.Unknown) != 1 {
		t.Errorf("complete: %v %q", r.Complete(), r.Unknown)
	}
}

// What an interrupted run read is not read again, and parts don't overlap.
func TestReadingGoesOn(t *testing.T) {
	t.Parallel()
	g := testRig(t)
	g.moved(300)
	v := g.compared(t, Policy{})
	ctx, cancel := context.WithCancel(t.Context())
	var reads atomic.Int64
	g.bucket.SetFault(func(r fixtures.Request) fixtures.Fault {
		if r.Op == costs.GetObject {
			if reads.Add(1) == 100 {
				cancel()
			}
		}
		return fixtures.Fault{}
	})
	v.Workers = 4
	if err := v.ReadPart(ctx, Part{Of: 1, Since: g.run}, g.ledger); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if err := g.ledger.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	done := v.Report().Read.Objects
	if err := v.ReadPart(t.Context(), Part{Of: 1, Since: g.run}, g.ledger); err != nil {
		t.Fatal(err)
	}
	if r := v.Report().Read; r.Resumed != done || r.Objects+r.Resumed != 300 || r.Equal != r.Objects {
		t.Errorf("after %d: %+v", done, r)
	}
}

// Headers are those of Mastodon, or are told.
func TestHeaders(t *testing.T) {
	t.Parallel()
	g := testRig(t)
	keys := g.moved(20)
	for i, o := range []fixtures.Object{{ContentType: "application/octet-stream", CacheControl: media.CacheControl}, {ContentType: "image/png"}, {ContentType: "image/png; charset=binary", CacheControl: media.CacheControl}} {
		o.Key = string(keys[i])
		text, _ := g.bucket.Body(o.Key)
		g.bucket.Plant(o, text)
	}
	v := g.compared(t, Policy{})
	if err := v.LookAtHeaders(t.Context(), 100, 1); err != nil {
		t.Fatal(err)
	}
	wantCounts(t, v, map[string]int64{"same": 20, "headers": 2})
	if r := v.Report(); r.Headers != (Look{20, 18}) || r.Differences() != 2 {
		t.Errorf("%+v", r.Headers)
	}
}

// An object in other parts than ours proves nothing by its ETag: it is read.
func TestOtherParts(t *testing.T) {
	t.Parallel()
	g := testRig(t)
	keys := g.moved(3)
	for i, change := range []string{"", "!"} {
		text, _ := g.bucket.Body(string(keys[i]))
		if change != "" {
			text[0] = '!'
		}
		g.bucket.Plant(fixtures.Object{Key: string(keys[i]), ETag: strings.Repeat("ab", 16) + "-2"}, text)
	}
	v := g.compared(t, Policy{})
	wantCounts(t, v, map[string]int64{"same": 2, "differs": 1})
	if u := g.meter.Usage(); u.Get(costs.GetObject) != 2 {
		t.Errorf("asked %v", u)
	}
}

// A certificate is made of what was proven, and is refused otherwise.
func TestCertify(t *testing.T) {
	t.Parallel()
	g := testRig(t)
	keys := g.moved(100)
	path := filepath.Join(t.TempDir(), "certificate")
	v := g.compared(t, Policy{})
	c, err := v.Certify(t.Context(), path, Certificate{MadeAt: time.Now(), Version: "test", Domain: "d", Bucket: "b", BucketID: "i", Endpoint: "e", LedgerID: "l"})
	if err != nil || c.Objects != 100 {
		t.Fatalf("%+v, %v", c, err)
	}
	saved, err := OpenCertificate(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer saved.Close()
	again := g.verifier(Policy{}, false)
	again.Records = saved.Records()
	defer again.Close()
	if err := again.Compare(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantCounts(t, again, map[string]int64{"same": 100})

	g.bucket.Delete(string(keys[0]))
	for _, p := range []Policy{{}, {Switched: true}} {
		v := g.compared(t, p)
		_, err = v.Certify(t.Context(), path+"2", Certificate{})
		if _, ok := errors.AsType[*UncertifiedError](err); !ok {
			t.Errorf("%+v: got %v", p, err)
		}
	}
}

// What concerns the whole run ends it at once.
func TestDeniedWhileReading(t *testing.T) {
	t.Parallel()
	g := testRig(t)
	g.moved(20)
	v := g.compared(t, Policy{})
	g.bucket.Revoke()
	if err := v.ReadSample(t.Context(), 5, 1); !errors.Is(err, r2.ErrDenied) {
		t.Errorf("got %v", err)
	}
}
