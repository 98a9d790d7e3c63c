package r2

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

// oneCore is what a client with one core needs for an object.
const (
	oneCore       = 100 * time.Microsecond
	oneCorePerKiB = 4 * time.Microsecond
)

func TestPaceFindsTheRate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		latency     time.Duration
		perOp       time.Duration
		perByte     time.Duration
		most        time.Duration // for 10,000 objects
		least, high int           // limit at the end
	}{
		{"0 ms, one core", 0, oneCore, oneCorePerKiB, 2700 * time.Millisecond, 8, 32},
		{"20 ms, one core", 20 * time.Millisecond, oneCore, oneCorePerKiB, 3 * time.Second, 64, 160},
		{"20 ms", 20 * time.Millisecond, 0, 0, 1300 * time.Millisecond, 256, 256},
		{"150 ms, one core", 150 * time.Millisecond, oneCore, oneCorePerKiB, 8200 * time.Millisecond, 200, 256},
		{"150 ms", 150 * time.Millisecond, 0, 0, 8200 * time.Millisecond, 200, 256},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(2) {
				synctest.Test(t, func(t *testing.T) {
					p := newPace(paceOptions{})
					s := simBucket{latency: tt.latency, perOp: tt.perOp, perByte: tt.perByte}
					r := simRun{objects: 10_000, seed: seed}
					r.against(p, &s)
					if r.took > tt.most {
						t.Errorf("took %s, want at most %s; limits %v", r.took, tt.most, r.limits)
					}
					if l := p.stats().Limit; l < tt.least || l > tt.high {
						t.Errorf("limit %d, want %d to %d; limits %v", l, tt.least, tt.high, r.limits)
					}
				})
			}
		})
	}
}

// A slow line must not be filled with connections that bring nothing.
func TestPaceStaysLowOnASlowLink(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2) {
		synctest.Test(t, func(t *testing.T) {
			p := newPace(paceOptions{})
			r := simRun{lasting: 2 * time.Minute, seed: seed}
			r.against(p, &simBucket{latency: 30 * time.Millisecond, link: 2.5e6})
			slices.Sort(r.limits)
			if median := r.limits[len(r.limits)/2]; median > 64 {
				t.Errorf("limits %v, want a median of at most 64", r.limits)
			}
		})
	}
}

// The search makes up for a limit that has become too low.
func TestPaceNoticesThatMoreBringsMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPace(paceOptions{})
		s := simBucket{perOp: time.Millisecond}
		near := simRun{lasting: 10 * time.Second}
		near.against(p, &s)
		s.latency = 300 * time.Millisecond
		far := simRun{lasting: 90 * time.Second}
		far.against(p, &s)
		if before, after := near.limits[len(near.limits)-1], p.stats().Limit; before > 32 || after < 200 {
			t.Errorf("limit %d beside the bucket, %d far from it: want at most 32, at least 200", before, after)
		}
	})
}

func TestPaceRespectsMax(t *testing.T) {
	t.Parallel()
	for _, most := range []int{1, 2, 10, 100} {
		synctest.Test(t, func(t *testing.T) {
			p := newPace(paceOptions{Max: most})
			s := simBucket{latency: 20 * time.Millisecond}
			r := simRun{workers: most + 20, lasting: 5 * time.Second}
			r.against(p, &s)
			if s.peak != most {
				t.Errorf("peak %d in flight, want %d", s.peak, most)
			}
		})
	}
}

func TestPaceBacksOff(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for _, tt := range []struct {
		name   string
		bucket *simBucket
		want   float64 // operations per second
	}{
		{"5/s", &simBucket{latency: 20 * ms, throttle: 5}, 5},
		{"5/s by the second", &simBucket{latency: 20 * ms, throttle: 5, window: true}, 5},
		{"50/s at 1 ms", &simBucket{latency: ms, throttle: 50}, 50},
		{"50/s at 1 ms by the second", &simBucket{latency: ms, throttle: 50, window: true}, 50},
		{"500/s at 20 ms", &simBucket{latency: 20 * ms, throttle: 500}, 500},
		{"500/s at 150 ms", &simBucket{latency: 150 * ms, throttle: 500}, 500},
		{"500/s at 150 ms by the second", &simBucket{latency: 150 * ms, throttle: 500, window: true}, 500},
		{"1000/s by the second", &simBucket{latency: 20 * ms, throttle: 1000, window: true}, 1000},
		{"40 in flight", &simBucket{latency: 50 * ms, most: 40}, 800},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newPace(paceOptions{})
				r := simRun{lasting: time.Minute}
				r.against(p, tt.bucket)
				got := float64(r.ok) / (r.took - r.lasting/2).Seconds()
				share := float64(r.refused) / float64(r.ok+r.refused)
				if got < 0.8*tt.want || got > 1.1*tt.want || share > 0.05 {
					t.Errorf("%.1f/s with %.1f %% refused, want %.0f/s; limits %v", got, 100*share, tt.want, r.limits)
				}
			})
		})
	}
}

// One 429 in hundreds is about one key (R2: one write per second and key).
func TestPaceIgnoresRareRefusals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPace(paceOptions{})
		for i := range 2000 {
			tk, _ := p.acquire(t.Context())
			time.Sleep(time.Millisecond)
			if i%200 == 199 {
				tk.done(outcomeThrottled, 0)
				continue
			}
			tk.done(outcomeOK, 1000)
		}
		if s := p.stats(); s.Limit != startLimit || s.Throttled != 10 || p.brake.top != 0 {
			t.Errorf("%+v, braking to %.0f/s", s, p.brake.top)
		}
	})
}

// One cut per round trip: what was under way at the last one is no news.
func TestPaceCutsOncePerRoundTrip(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPace(paceOptions{})
		tickets := make([]*ticket, startLimit)
		for i := range tickets {
			tickets[i], _ = p.acquire(t.Context())
		}
		step := func(tk *ticket, limit int) {
			t.Helper()
			time.Sleep(2 * cutEvery)
			tk.done(outcomeThrottled, 0)
			if s := p.stats(); s.Limit != limit {
				t.Errorf("limit %d, want %d", s.Limit, limit)
			}
		}
		step(tickets[0], 11)
		for _, tk := range tickets[1:8] {
			step(tk, 11)
		}
		fresh, _ := p.acquire(t.Context())
		step(tickets[8], 11)
		step(fresh, 7)
	})
}

// A lossy spell costs places; they are back soon after it.
func TestPaceRegainsAfterFaults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPace(paceOptions{})
		random := rand.New(rand.NewPCG(1, 2))
		var mu sync.Mutex
		s := simBucket{latency: 200 * time.Millisecond, fault: func(at time.Duration) bool {
			mu.Lock()
			defer mu.Unlock()
			return at > 10*time.Second && at < 40*time.Second && random.Float64() < 0.2
		}}
		r := simRun{lasting: 80 * time.Second}
		r.against(p, &s)
		if before, during, after := r.limits[8], slices.Min(r.limits[10:40]), r.limits[70]; during >= before/2 || during < leastFailed || after < before*3/4 {
			t.Errorf("limits %v: want fewer, but at least 8, between seconds 10 and 40", r.limits)
		}
	})
}

func TestPaceServesInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPace(paceOptions{Max: 1})
		first, err := p.acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var served []int
		for i := range 20 {
			go func() {
				tk, err := p.acquire(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				served = append(served, i)
				tk.done(outcomeOK, 0)
			}()
			synctest.Wait()
		}
		first.done(outcomeOK, 0)
		synctest.Wait()
		if len(served) != 20 || !slices.IsSorted(served) {
			t.Errorf("served %v", served)
		}
	})
}

// Nobody overtakes whoever waits for the brake, even if he comes at a moment
// when he might start.
func TestPaceServesInOrderWhileBraking(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPace(paceOptions{})
		p.brake.pull(p.now(), 1)
		served := make(chan string, 2)
		wait := func(name string) {
			if _, err := p.acquire(t.Context()); err != nil {
				t.Error(err)
			}
			served <- name
		}
		go wait("first")
		synctest.Wait()
		time.Sleep(p.brake.next - p.now() - brakeBurst/2)
		go wait("second")
		synctest.Wait()
		if who := <-served; who != "first" {
			t.Errorf("%s was served first", who)
		}
		<-served
	})
}

// One video in a window of small files must not hide that more files pass.
func TestClimbClipsLargeObjects(t *testing.T) {
	t.Parallel()
	var c climb
	c.restart(16, 64)
	now := time.Duration(0)
	feed := func(n int, first int64) {
		for i := range n {
			now += 200 * time.Millisecond / time.Duration(n)
			c.completed(now, sample{map[bool]int64{true: first, false: 30_000}[i == n/2], true})
		}
	}
	feed(1000, 200<<20)
	if c.limit != 32 {
		t.Fatalf("limit %d after the first window, want 32", c.limit)
	}
	feed(1300, 30_000)
	if c.limit != 64 {
		t.Errorf("limit %d, want 64: operations and small bytes grew by a third", c.limit)
	}
}

func TestPaceCancel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPace(paceOptions{Max: 1})
		why := errors.New("why")
		ctx, cancel := context.WithCancelCause(t.Context())
		held, _ := p.acquire(ctx)
		result := make(chan error)
		go func() {
			_, err := p.acquire(ctx)
			result <- err
		}()
		synctest.Wait()
		cancel(why)
		if err := <-result; !errors.Is(err, why) {
			t.Errorf("waiting: %v, want the cause", err)
		}
		if _, err := p.acquire(ctx); !errors.Is(err, why) {
			t.Errorf("not started: %v, want the cause", err)
		}
		held.done(outcomeNeutral, 0)
		held.done(outcomeNeutral, 0) // once is enough
		if s := p.stats(); s.InFlight != 0 {
			t.Errorf("%d in flight, want none", s.InFlight)
		}
		if _, err := p.acquire(t.Context()); err != nil {
			t.Errorf("place was not given back: %v", err)
		}
	})
}

// A waiter that is served and cancelled at once gives the place back.
func TestPaceCancelAtTheMomentOfService(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPace(paceOptions{Max: 1})
		for i := range 200 {
			held, _ := p.acquire(t.Context())
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				if tk, err := p.acquire(ctx); err == nil {
					tk.done(outcomeOK, 0)
				}
			}()
			synctest.Wait()
			if i%2 == 0 {
				cancel()
			}
			held.done(outcomeOK, 0)
			cancel()
			synctest.Wait()
			if s := p.stats(); s.InFlight != 0 {
				t.Fatal("the place is lost")
			}
		}
	})
}

// caller is one call of acquire in the model of TestPaceNeverLosesAWaiter.
type caller struct {
	id     int
	cancel context.CancelFunc
	ticket *ticket
	err    error
}

// noDeadline hides T.Deadline, which rapid asks for and a bubble forbids.
type noDeadline struct{ rapid.TB }

// Whatever happens in whatever order: never more in flight than the limit
// says, served in order, and nobody waits while there is a place.
func TestPaceNeverLosesAWaiter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(noDeadline{t}, func(rt *rapid.T) {
			p := newPace(paceOptions{Max: rapid.IntRange(1, 12).Draw(rt, "max")})
			var waiting, holding []*caller
			last := -1 // the id served last
			calls := 0
			settle := func() {
				synctest.Wait()
				served := 0
				for _, c := range waiting {
					switch {
					case c.ticket != nil:
						if c.id < last {
							rt.Fatalf("%d served after %d", c.id, last)
						}
						last = c.id
						holding = append(holding, c)
						served++
					case c.err != nil && !errors.Is(c.err, context.Canceled):
						rt.Fatal(c.err)
					}
				}
				waiting = slices.DeleteFunc(waiting, func(c *caller) bool { return c.ticket != nil || c.err != nil })
				s := p.stats()
				p.mu.Lock()
				defer p.mu.Unlock()
				if s.InFlight != len(holding) {
					rt.Fatalf("%d in flight, %d tickets out", s.InFlight, len(holding))
				}
				if served > 0 && s.InFlight > s.Limit {
					rt.Fatalf("served beyond the limit: %+v", s)
				}
				// The timer may ring up to brakeBurst late.
				if now := p.now(); len(waiting) > 0 && p.hold(now) == 0 && (p.wake <= now || p.wake > now+brakeBurst) {
					rt.Fatalf("%d wait in vain: %+v", len(waiting), s)
				}
			}
			release := func(o outcome) {
				c := holding[rapid.IntRange(0, len(holding)-1).Draw(rt, "ticket")]
				holding = slices.DeleteFunc(holding, func(h *caller) bool { return h == c })
				c.ticket.done(o, 1000)
			}
			rt.Repeat(map[string]func(*rapid.T){
				"": func(*rapid.T) { settle() },
				"acquire": func(*rapid.T) {
					ctx, cancel := context.WithCancel(t.Context())
					c := &caller{id: calls, cancel: cancel}
					calls++
					waiting = append(waiting, c)
					go func() { c.ticket, c.err = p.acquire(ctx) }()
				},
				"cancel": func(rt *rapid.T) {
					if len(waiting) == 0 {
						rt.Skip()
					}
					waiting[rapid.IntRange(0, len(waiting)-1).Draw(rt, "waiter")].cancel()
				},
				"done": func(rt *rapid.T) {
					if len(holding) == 0 {
						rt.Skip()
					}
					release(rapid.SampledFrom([]outcome{
						outcomeOK, outcomeOK, outcomeThrottled, outcomeFailed, outcomeNeutral,
					}).Draw(rt, "outcome"))
				},
				"time": func(rt *rapid.T) {
					time.Sleep(time.Duration(rapid.IntRange(1, 3000).Draw(rt, "ms")) * time.Millisecond)
				},
			})
			for len(waiting)+len(holding) > 0 {
				for len(holding) > 0 {
					release(outcomeOK)
				}
				time.Sleep(lastPause * 2)
				settle()
			}
		})
	})
}

func TestPaceLeavesNothingBehind(t *testing.T) {
	before := goleak.IgnoreCurrent()
	p := newPace(paceOptions{Max: 2})
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			if tk, err := p.acquire(ctx); err == nil {
				<-ctx.Done()
				tk.done(outcomeNeutral, 0)
			}
		})
	}
	cancel()
	group.Wait()
	goleak.VerifyNone(t, before)
}

func BenchmarkPace(b *testing.B) {
	p := newPace(paceOptions{})
	b.ReportAllocs()
	for b.Loop() {
		t, _ := p.acquire(context.Background())
		t.done(outcomeOK, 36_000)
	}
}

func BenchmarkPaceContended(b *testing.B) {
	p := newPace(paceOptions{Max: 16})
	b.ReportAllocs()
	b.SetParallelism(128)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			t, _ := p.acquire(context.Background())
			t.done(outcomeOK, 36_000)
		}
	})
}
