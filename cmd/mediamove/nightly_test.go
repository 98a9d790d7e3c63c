package main

import (
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/fixtures/instance"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

// nightly runs the night's work for a timer.
func (c *cached) nightly(code int, args ...string) (out nightlyJSON) {
	c.t.Helper()
	decode(c.t, c.clean(append([]string{"nightly", "--apply", "--json"}, args...)...), code, &out)
	return out
}

// requests are the kinds of requests of a run, in the order in which each came first.
func (c *cached) requests(f func()) (order []string) {
	c.t.Helper()
	var mu sync.Mutex // several are under way at once
	seen := map[string]bool{}
	c.bucket.SetFault(func(r fixtures.Request) fixtures.Fault {
		name := r.Op.String()
		if media.Key(r.Key).Reserved() {
			name += " mark"
		}
		mu.Lock()
		defer mu.Unlock()
		if !seen[name] {
			seen[name] = true
			order = append(order, name)
		}
		return fixtures.Fault{}
	})
	f()
	c.bucket.SetFault(nil)
	return order
}

// One listing for all jobs; orphans first, then the cache; then uploads in parts that a
// killed run left, and nobody else's; then metrics. What went is told in a few lines.
func TestNightly(t *testing.T) {
	t.Parallel()
	c := newCached(t, instance.Small(71, "4.6"), 0)
	c.posts(c.db, 150, 5*time.Hour)
	c.plantGone(t, 5, 200)
	metrics := t.TempDir() + "/mediamove.prom"
	c.full()
	c.night()
	ours, theirs := c.begun(t)
	args := append(c.some(15), "--metrics-file", metrics)
	var out nightlyJSON
	before := c.stands()
	listed := c.bucket.Usage().Get(costs.ListObjects)
	order := c.requests(func() { out = c.nightly(exitOK, args...) })
	pages := int64(1 + len(before)/1000)
	if n := c.bucket.Usage().Get(costs.ListObjects) - listed; n != pages || out.ClassA != pages+1+1 { // the mark is read before and raised
		t.Errorf("%d listings, Class A %d: %+v", n, out.ClassA, out.Requests)
	}
	if want := []string{"GetObject mark", "ListObjects", "PutObject mark", "GetObject", "HeadObject", "DeleteObject", "AbortMultipartUpload"}; strings.Join(unversioned(order), ", ") != strings.Join(want, ", ") {
		t.Errorf("%q", order)
	}
	if out.Orphans.Removed.Objects != 5 || out.Prune.Removed.Objects == 0 || out.Aborted != 1 || len(out.Problems) > 0 || !out.Complete {
		t.Errorf("%+v", out)
	}
	if out.After > out.Budget || out.After != sum(c.stands()) {
		t.Errorf("%d after, %d stand, budget %d", out.After, sum(c.stands()), out.Budget)
	}
	var left []string
	for _, u := range c.bucket.Uploads() {
		left = append(left, u.ID)
	}
	if len(left) != 1 || left[0] != theirs || ours == theirs {
		t.Errorf("uploads left: %q, ours was %s", left, ours)
	}
	text, err := os.ReadFile(metrics)
	if err != nil || !strings.Contains(string(text), `mediamove_last_success_timestamp_seconds{command="nightly"}`) || !strings.Contains(string(text), "mediamove_budget_bytes") {
		t.Errorf("%s, %v", text, err)
	}
	c.whole()

	c.night()
	r := c.clean(append([]string{"nightly", "--apply"}, args...)...)
	if lines := strings.Count(r.stdout, "\n"); r.code != exitOK || lines > 15 {
		t.Errorf("%d lines: %v", lines, r)
	}
	if strings.Contains(r.stdout, "undo") || len(c.bucket.Uploads()) != 1 {
		t.Errorf("a second night: %v", r)
	}
}

func sum(stands map[string]fixtures.Object) (n int64) {
	for _, o := range stands {
		n += o.Size
	}
	return n
}

// unversioned leaves out requests that may come twice.
func unversioned(order []string) (out []string) {
	for _, o := range order {
		if o != "DeleteObjects" {
			out = append(out, o)
		}
	}
	return out
}

// begun leaves two uploads in parts behind: a killed run's, and Mastodon's own.
func (c *cached) begun(t *testing.T) (ours, theirs string) {
	t.Helper()
	for _, key := range []string{"media_attachments/files/000/000/777/original/a.mp4", "media_attachments/files/000/000/778/original/b.mp4"} {
		id := c.bucket.Begin(key)
		if ours == "" {
			ours = id
			led, err := ledger.Open(t.Context(), c.state, ledger.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := led.AddUpload(t.Context(), ledger.Upload{Key: media.Key(key), ID: id, Run: 1, At: c.now()}); err != nil {
				t.Fatal(err)
			}
			if err := led.Close(); err != nil {
				t.Fatal(err)
			}
		}
		theirs = id
	}
	return ours, theirs
}

// Without --apply it only reports.
func TestNightlyDry(t *testing.T) {
	t.Parallel()
	c := newCached(t, instance.Small(72, "4.6"), 0)
	c.plantGone(t, 5, 200)
	c.full()
	c.night()
	metrics := t.TempDir() + "/m.prom"
	args := append([]string{"nightly", "--metrics-file", metrics}, c.some(10)...)
	c.intact("dry", func() {
		order := c.requests(func() {
			if r := c.clean(args...); r.code != exitOK || !strings.Contains(r.stdout, "--apply does it") {
				t.Error(r)
			}
		})
		if strings.Join(order, ", ") != "GetObject mark, ListObjects" {
			t.Errorf("%q", order)
		}
	})
	if _, err := os.Stat(metrics); err != nil {
		t.Error(err)
	}
}

// A guard forbids everything but the metrics.
func TestNightlyGuarded(t *testing.T) {
	t.Parallel()
	c := newCached(t, instance.Small(73, "4.6"), 0)
	c.plantGone(t, 5, 200)
	c.full()
	c.night()
	_, _ = c.begun(t)
	metrics := t.TempDir() + "/m.prom"
	args := append([]string{"nightly", "--apply", "--metrics-file", metrics}, c.some(10)...)
	// The bucket is alive, the database stands still: another one was put in its place.
	c.later(3 * time.Hour)
	c.bucket.Plant(objectAt("media_attachments/files/111/222/333/444/555/666/original/new.png", c.now()), []byte("new"))
	c.intact("guarded", func() {
		r := c.clean(args...)
		if r.code != exitRefused || !strings.Contains(r.stdout, `"fresh" refused`) || strings.Count(r.stdout, "\n") > 15 || len(c.bucket.Uploads()) != 2 {
			t.Error(r)
		}
	})
	text, err := os.ReadFile(metrics)
	if err != nil || strings.Contains(string(text), `last_success_timestamp_seconds{command="nightly"}`) || !strings.Contains(string(text), "mediamove_bucket_bytes") ||
		!strings.Contains(string(text), "mediamove_failures") {
		t.Errorf("%s, %v", text, err)
	}
}

// A ceiling forbids the orphans, and prune goes on.
func TestNightlyCeiling(t *testing.T) {
	t.Parallel()
	c := newCached(t, instance.Small(74, "4.6"), 0)
	c.posts(c.db, 150, 5*time.Hour)
	c.plantGone(t, 30, 200)
	c.full()
	c.night()
	full := c.full()
	target := sizeFlag(full.Bytes - full.Cached.Bytes/10)
	out := c.nightly(exitRefused, "--budget", target, "--target", target)
	if out.Orphans.Removed.Objects != 0 || len(out.Orphans.Above) != 1 || out.Prune.Removed.Objects == 0 || len(out.Problems) == 0 || !strings.Contains(out.Problems[0], "ceilings") {
		t.Errorf("%+v", out)
	}
	if _, ok := c.bucket.Object(string(oldKey(29))); !ok {
		t.Error("an orphan is gone")
	}
	c.whole()
	if r := c.clean("nightly", "--apply", "--budget", target); r.code != exitRefused || strings.Count(r.stdout, "\n") > 15 {
		t.Error(r)
	}
}

// The first of 2, 4, 1, 3 is the exit status; a signal is told as such.
func TestNightlyExit(t *testing.T) {
	t.Parallel()
	c := newCached(t, instance.Small(75, "4.6"), 0)
	for name, args := range map[string][]string{
		"no budget": {"nightly"},
		"no size":   {"nightly", "--budget", "100"},
		"trash":     {"nightly", "--budget", "1GB", "--trash-max", "x"},
		"argument":  {"nightly", "--budget", "1GB", "plan.json"},
		"class a":   {"nightly", "--budget", "1GB", "--max-class-a", "0"},
	} {
		if r := c.clean(args...); r.code != exitUsage || !strings.Contains(r.stderr, "hint: ") {
			t.Errorf("%s: %v", name, r)
		}
	}
	full := c.full()
	short := sizeFlag(full.Bytes - full.Open.Bytes - 1000)
	if out := c.nightly(exitRefused, "--budget", short); out.Prune.Cleared != 0 { // above 20 %
		t.Errorf("%+v", out)
	}
	if out := c.nightly(exitLeft, "--budget", short, "--allow-share", "100"); out.Prune.Short == 0 || out.Prune.Removed.Bytes != full.Open.Bytes {
		t.Errorf("%+v", out)
	}
	c.whole()
	// A ceiling (4) and what is short (3).
	c.plantGone(t, 30, 10)
	c.full()
	c.night()
	if out := c.nightly(exitRefused, "--budget", short, "--allow-share", "100"); len(out.Problems) < 2 {
		t.Errorf("%+v", out)
	}
}

// --max-class-a ends the night in order: nothing half done.
func TestNightlyClassA(t *testing.T) {
	t.Parallel()
	c := newCachedOn(t, databases.Cluster(t), fixtures.Options{PageSize: 100}, instance.Small(76, "4.6"), 0)
	args := c.some(10)
	for n := 1; ; n++ {
		var out nightlyJSON
		r := c.clean(append([]string{"nightly", "--apply", "--json", "--max-class-a", itoa(int64(n))}, args...)...)
		decode(t, r, r.code, &out)
		if out.ClassA > int64(n) {
			t.Errorf("with %d: %+v", n, out)
		}
		c.whole()
		c.alive()
		if r.code == exitOK {
			if n < 5 || out.Prune.Removed.Objects == 0 {
				t.Errorf("%d were enough: %+v", n, out)
			}
			break
		}
		if r.code != exitLeft || n > 30 {
			t.Fatalf("with %d: %v", n, r)
		}
	}
}
