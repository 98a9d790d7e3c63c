package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// grown is an instance with the tree of a spec. What goes in parts is not kept by the bucket.
func grown(t *testing.T, spec fixtures.Spec, settings ...string) *insider {
	t.Helper()
	in := inside(t, 1)
	in.root = filepath.Join(t.TempDir(), "system")
	in.bucket = fixtures.NewBucket(fixtures.Options{Discard: true})
	in.env = append(in.env, settings...)
	var err error
	if in.files, err = fixtures.Tree(in.root, spec); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(in.root, "media_attachments", "files"), 0o755); err != nil {
		t.Fatal(err)
	}
	return in
}

// foretold runs plan, then sync, and holds what the meter and the bucket counted
// against the plan: exactly the same requests, of every operation.
func (in *insider) foretold(what string, flags ...string) (planJSON, syncJSON) {
	in.t.Helper()
	p, s := in.both(what, flags...)
	if !p.Exact || len(p.Unsure) > 0 {
		in.t.Errorf("%s: not exact: %q", what, p.Unsure)
	}
	if p.Sync.Requests != s.Requests || p.Sync.ClassA != s.ClassA || p.Sync.ClassB != s.ClassB {
		in.t.Errorf("%s: planned %v, sent %v", what, p.Sync.Requests, s.Requests)
	}
	return p, s
}

// both runs a plan and a sync with the same flags.
func (in *insider) both(what string, flags ...string) (p planJSON, s syncJSON) {
	in.t.Helper()
	before := in.bucket.Usage()
	plan := in.run(append([]string{"plan", in.root, "--json"}, flags...)...)
	decode(in.t, plan, plan.code, &p)
	if sent := in.bucket.Usage().Sub(before); !sent.IsZero() {
		in.t.Errorf("%s: the plan sent %v", what, sent)
	}
	done := in.run(append([]string{"sync", in.root, "--json"}, flags...)...)
	if done.stdout == "" && done.code == exitRefused {
		in.t.Fatalf("%s: %v", what, done)
	}
	decode(in.t, done, done.code, &s)
	if sent := in.bucket.Usage().Sub(before); sent != s.Requests {
		in.t.Errorf("%s: the meter has %v, the bucket got %v", what, s.Requests, sent)
	}
	return p, s
}

// interrupt lets a sync be interrupted after so many objects were stored.
func (in *insider) interrupt(after int64, args ...string) result {
	in.t.Helper()
	var stored atomic.Int64
	ctx, cancel := context.WithCancelCause(in.t.Context())
	defer cancel(nil)
	in.bucket.SetFault(func(r fixtures.Request) fixtures.Fault {
		if r.Op == costs.PutObject && !media.Key(r.Key).Reserved() && stored.Add(1) == after {
			cancel(&stopped{syscall.SIGINT})
		}
		return fixtures.Fault{}
	})
	defer in.bucket.SetFault(nil)
	return in.runCtx(ctx, append([]string{"sync", in.root}, args...)...)
}

// What a plan announces is what the sync's meter then counts, to the last request, on a
// clean bucket: whatever the tree, and whatever came before.
func TestPlanIsExact(t *testing.T) {
	t.Parallel()
	empty := fixtures.Mixed(90)
	empty.Empty = true
	hidden := fixtures.Mixed(200)
	hidden.HeldBack = 0.4
	large := fixtures.Mixed(40)
	large.Large = []int64{r2.SinglePutMax, r2.SinglePutMax + 1}
	for name, tt := range map[string]struct {
		spec     fixtures.Spec
		settings []string
	}{
		"nothing":           {fixtures.Small(0), nil},
		"small":             {fixtures.Small(250), nil},
		"mixed, odd names":  {fixtures.Mixed(400), nil},
		"empty files":       {empty, nil},
		"much is hidden":    {hidden, nil},
		"parts":             {large, nil},
		"a prefix":          {fixtures.Mixed(150), []string{"S3_KEY_PREFIX=mastodon/media"}},
		"a prefix too long": {fixtures.Mixed(150), []string{"S3_KEY_PREFIX=" + strings.Repeat("p", media.MaxKeyLen-75)}},
		"just over a page":  {fixtures.Small(1000), nil},
		"Mastodon writes":   {fixtures.Mixed(100), []string{"S3_ENABLED=true"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := grown(t, tt.spec, tt.settings...)
			p, s := in.foretold("first")
			if p.Files.Pending != s.Files.Moved || p.Files.HeldBack != s.Files.HeldBack || p.Files.Failed != s.Files.Failed || p.Files.Left != s.Files.Left || p.Outside != s.Outside {
				t.Errorf("planned %+v, done %+v", p.Files, s.Files)
			}
			var v verifyJSON
			looked := in.run("verify", "--json")
			decode(t, looked, looked.code, &v)
			if p.Verify.Requests != v.Requests {
				t.Errorf("verify: planned %v, sent %v", p.Verify.Requests, v.Requests)
			}
			p, _ = in.foretold("again")
			if p.Sync.ClassA != 0 || p.Verify.Requests != v.Requests || p.Recorded.Files != s.Files.Moved {
				t.Errorf("with nothing to do: %+v, verify %+v, recorded %+v", p.Sync, p.Verify, p.Recorded)
			}
		})
	}
}

// The same for trees and histories that are drawn.
func TestPlanIsExactWhateverCameBefore(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 4))
			spec := fixtures.Mixed(100 + rng.IntN(300))
			spec.Seed, spec.HeldBack = seed, rng.Float64()/3
			in := grown(t, spec)
			for step := range 5 {
				what := fmt.Sprintf("step %d", step)
				switch k := rng.IntN(5); {
				case k == 0:
					in.interrupt(1+rng.Int64N(60), "--max-concurrency", "4")
				case k == 1:
					in.run("sync", in.root, "--max-class-a", strconv.Itoa(4+rng.IntN(60)))
				case k == 2 && step > 0:
					in.run("verify")
				default:
					in.foretold(what)
				}
				in.shake(rng, step)
			}
			in.foretold("at last")
		})
	}
}

// shake makes files, touches, hides, rewrites and deletes some, as a living instance does.
func (in *insider) shake(rng *rand.Rand, step int) {
	in.t.Helper()
	old := time.Now().Add(-time.Hour)
	put := func(key media.Key, body string) {
		path := filepath.Join(in.root, string(key))
		_ = os.MkdirAll(filepath.Dir(path), 0o755)
		if err := os.WriteFile(path, []byte(body), 0o644); err != nil {
			in.t.Error(err)
		}
		_ = os.Chtimes(path, old, old)
	}
	for i := range rng.IntN(20) {
		put(media.Path{Class: media.Accounts, Attachment: "avatars", ID: int64(1000*step + i + 1), Style: "original", Name: "new.png"}.Key(), "x")
	}
	video := media.Path{Class: media.MediaAttachments, Attachment: "files", ID: old.Add(-time.Hour).UnixMilli() << 16, Style: "original", Name: fmt.Sprintf("%d.mp4", rng.IntN(3))}.Key()
	put(video, "\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2 "+strings.Repeat("v", rng.IntN(4)))
	_ = filepath.WalkDir(in.root, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.HasSuffix(path, ".mp4") {
			return err
		}
		switch k := rng.IntN(60); k {
		case 0:
			return os.Remove(path)
		case 1:
			return os.Chtimes(path, old, old)
		case 2:
			return os.Chmod(path, 0o600)
		case 3:
			return os.Chmod(path, 0o644)
		}
		return nil
	})
}

// What comes before the first file is foretold too: the mark, its probe, the first page
// of the listing, the switch, what an interrupted run left behind.
func TestPlanOfTheClaim(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(*testing.T, *insider){
		"the switch, at first": func(_ *testing.T, in *insider) {
			in.foretold("first", "--after-switch")
			in.foretold("then")
			in.foretold("taken back", "--before-switch")
			in.foretold("at last", "--before-switch")
		},
		"the switch, later": func(_ *testing.T, in *insider) {
			in.foretold("first")
			in.env = append(in.env, "S3_ENABLED=true")
			in.foretold("switched")
			in.foretold("then")
		},
		"the switch, told to verify": func(_ *testing.T, in *insider) {
			in.foretold("first")
			in.run("verify", "--after-switch") // writes it into the mark
			in.run("verify")
			in.foretold("then")
		},
		"another endpoint": func(_ *testing.T, in *insider) {
			in.foretold("first")
			elsewhere := []string{"--endpoint", strings.Replace(fixtures.Endpoint, "0123", "3210", 1)}
			if p, _ := in.foretold("moved house", elsewhere...); p.Sync.ClassA != 1 {
				in.t.Errorf("no probe: %v", p.Sync.Requests)
			}
			in.foretold("then", elsewhere...)
		},
		"a new bucket": func(_ *testing.T, in *insider) {
			in.foretold("first", "--after-switch")
			in.bucket = fixtures.NewBucket(fixtures.Options{})
			p, _ := in.foretold("another bucket", "--new-bucket", "--before-switch")
			if p.Recorded.Files != 0 || p.Cycle.Used.ClassA == 0 {
				in.t.Errorf("%+v, %+v", p.Recorded, p.Cycle.Used)
			}
			in.foretold("then")
		},
		"a new bucket, after the switch": func(_ *testing.T, in *insider) {
			in.foretold("first", "--after-switch")
			in.bucket = fixtures.NewBucket(fixtures.Options{})
			in.foretold("another bucket", "--new-bucket")
			in.bucket = fixtures.NewBucket(fixtures.Options{})
			in.foretold("and another", "--new-bucket", "--after-switch")
		},
		"leftovers": func(t *testing.T, in *insider) {
			in.foretold("first")
			led, err := ledger.Open(t.Context(), in.state, ledger.Options{})
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range []string{"a", "b"} {
				if err := led.AddUpload(t.Context(), ledger.Upload{Key: avatar, ID: id, Run: 1, At: time.Now()}); err != nil {
					t.Error(err)
				}
			}
			if err := led.Close(); err != nil {
				t.Error(err)
			}
			p, _ := in.foretold("leftovers")
			if p.Sync.Requests.Get(costs.AbortMultipartUpload) != 2 {
				t.Errorf("%v", p.Sync.Requests)
			}
		},
		"gone keys": func(t *testing.T, in *insider) {
			in.foretold("first")
			key := in.entry()
			in.removeEntry(key)
			led, err := ledger.Open(t.Context(), in.state, ledger.Options{})
			if err != nil {
				t.Fatal(err)
			}
			fresh := media.Key("accounts/avatars/000/000/001/original/gone.png")
			err = led.Note(t.Context(), ledger.Finding{Key: fresh, Kind: ledger.Conflict, Cause: "refused as existing, but gone a moment later", Run: 1, At: time.Now()})
			if err != nil || led.Close() != nil {
				t.Error(err)
			}
			in.write(fresh, "x")
			if p, s := in.foretold("gone"); p.Files.Conflict != 1 || s.Files.Conflict != 1 {
				t.Errorf("%+v, %+v", p.Files, s.Files)
			}
		},
		"a refused tree": func(t *testing.T, in *insider) {
			err := filepath.WalkDir(in.root, func(path string, d os.DirEntry, err error) error {
				if err == nil && d.Type().IsRegular() {
					err = os.Chmod(path, 0o600)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if p, _ := in.foretold("refused"); !p.Refused {
				t.Error("not refused")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			do(t, grown(t, fixtures.Mixed(60)))
		})
	}
}

// removeEntry deletes a file that was moved.
func (in *insider) removeEntry(k media.Key) {
	in.t.Helper()
	if err := os.Remove(filepath.Join(in.root, string(k))); err != nil {
		in.t.Error(err)
	}
}

// write makes a file that is an hour old.
func (in *insider) write(k media.Key, body string) {
	in.t.Helper()
	path := filepath.Join(in.root, string(k))
	old := time.Now().Add(-time.Hour)
	_ = os.MkdirAll(filepath.Dir(path), 0o755)
	if err := os.WriteFile(path, []byte(body), 0o644); err != nil {
		in.t.Error(err)
	}
	if err := os.Chtimes(path, old, old); err != nil {
		in.t.Error(err)
	}
}

// Where the plan can't be exact without a request, it says so, and says the most.
func TestPlanSaysWhatItCanNotKnow(t *testing.T) {
	t.Parallel()
	most := func(in *insider, what string, pages int64, flags ...string) (planJSON, syncJSON) {
		in.t.Helper()
		p, s := in.both(what, flags...)
		if p.Exact || len(p.Unsure) == 0 || s.ClassA-s.Requests.Get(costs.ListObjects) > p.Sync.ClassA || s.ClassA > p.Sync.ClassA+pages {
			in.t.Errorf("%s: %+v %q, sent %+v", what, p.Sync, p.Unsure, s.Requests)
		}
		return p, s
	}
	t.Run("joining another ledger's bucket", func(t *testing.T) {
		t.Parallel()
		in := grown(t, fixtures.Mixed(200))
		in.interrupt(80, "--max-concurrency", "4")
		second := *in
		second.state = filepath.Join(t.TempDir(), "state")
		_, id, _ := strings.Cut(second.run("sync", in.root).stderr, "--join ")
		p, s := most(&second, "join", 1, "--join", strings.TrimSpace(id))
		if !p.Joining || s.Files.Adopted < 70 || p.Files.Pending != s.Files.Adopted+s.Files.Moved {
			t.Errorf("%+v, %+v", p, s.Files)
		}
		second.foretold("then")
	})
	t.Run("joining a bucket without a mark", func(t *testing.T) {
		t.Parallel()
		in := grown(t, fixtures.Small(100))
		in.bucket.Put(string(avatar), []byte("somebody's"))
		p, _ := most(in, "join", 1, "--join", fixtures.Name)
		if !p.Joining || p.Sync.Requests.Get(costs.ListObjects) != 1 {
			t.Errorf("%+v", p)
		}
		in.foretold("then")
	})
	t.Run("interrupted while joining, with the listing made", func(t *testing.T) {
		t.Parallel()
		in := grown(t, fixtures.Small(200))
		in.interrupt(60, "--max-concurrency", "4")
		second := *in
		second.state = filepath.Join(t.TempDir(), "state")
		_, id, _ := strings.Cut(second.run("sync", in.root).stderr, "--join ")
		second.interrupt(40, "--max-concurrency", "4", "--join", strings.TrimSpace(id))
		p, s := second.both("listed")
		if p.Joining || p.Sync.ClassA != s.ClassA || !p.Exact || s.Requests.Get(costs.ListObjects) != 0 {
			t.Errorf("planned %v, sent %v", p.Sync.Requests, s.Requests)
		}
	})
	t.Run("the mark was never proven", func(t *testing.T) {
		t.Parallel()
		in := grown(t, fixtures.Small(20))
		in.bucket.SetFault(func(r fixtures.Request) fixtures.Fault {
			if r.Op == costs.PutObject {
				return fixtures.Fault{Status: 403, Code: "AccessDenied"}
			}
			return fixtures.Fault{}
		})
		in.run("sync", in.root)
		in.bucket.SetFault(nil)
		if p, s := most(in, "unproven", 0); p.Sync.Requests != s.Requests { // here the mark was not there
			t.Errorf("planned %v, sent %v", p.Sync.Requests, s.Requests)
		}
		in.foretold("then")
	})
}

// sync --dry-run takes sync's own flags and says what plan says with them.
func TestDryRunTakesSyncsFlags(t *testing.T) {
	t.Parallel()
	in := inside(t, 50)
	for _, flags := range [][]string{
		{"--new-bucket"}, {"--join", fixtures.Name}, {"--cycle-day", "15"}, {"--allow-empty", "accounts"},
	} {
		plan := in.run(append([]string{"plan", in.root, "--json"}, flags...)...)
		dry := in.run(append([]string{"sync", in.root, "--dry-run", "--json"}, flags...)...)
		if plan != dry || plan.code != exitOK {
			t.Errorf("%v: %v, %v", flags, plan, dry)
		}
	}
	rate, bound := in.run("plan", in.root, "--rate", "1MB", "--json"), in.run("sync", in.root, "--dry-run", "--bwlimit", "1MB", "--json")
	if rate != bound || !strings.Contains(rate.stdout, `"bytes_per_second": 1000000`) {
		t.Errorf("%v, %v", rate, bound)
	}
	in.run("sync", in.root)
	if err := os.RemoveAll(filepath.Join(in.root, "accounts")); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"plan", in.root}, {"sync", "--dry-run", in.root}} {
		if r := in.run(append(slices.Clone(args), "--allow-empty", "accounts")...); r.code != exitOK {
			t.Errorf("%v: %v", args, r)
		}
	}
}
