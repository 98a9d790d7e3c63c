package r2

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestBreakerWaitsOutAnOutage(t *testing.T) {
	t.Parallel()
	const begin, length = time.Second, 67 * time.Minute // R2, 2025-03-21
	for _, tt := range []struct {
		name string
		hang time.Duration // before an attempt fails
	}{
		{"refused at once", 0},
		{"refused", 30 * time.Millisecond},
		{"timing out", time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				p := newPace(paceOptions{Log: slog.New(slog.NewTextHandler(&log, nil))})
				var mu sync.Mutex
				probes, latest := 0, time.Duration(0)
				s := simBucket{latency: 20 * time.Millisecond}
				s.fault = func(at time.Duration) bool {
					if at < begin || at > begin+length {
						return false
					}
					time.Sleep(tt.hang)
					mu.Lock()
					defer mu.Unlock()
					probes++
					latest = max(latest, at)
					return true
				}
				var middle paceStats
				go func() {
					time.Sleep(begin + length/2)
					middle = p.stats()
				}()
				r := simRun{objects: 20_000}
				r.against(p, &s)
				// What was on its way, a few retries of it, then probes.
				if probes > 3*256+160 {
					t.Errorf("%d requests into the outage", probes)
				}
				if late := r.took - begin - length; late < 0 || late > 2*time.Minute {
					t.Errorf("ended %s after the outage", late)
				}
				if !middle.Paused || middle.PausedSince.IsZero() || middle.InFlight > 1 {
					t.Errorf("in the middle: %+v", middle)
				}
				if end := p.stats(); end.InFlight != 0 || end.Paused || p.queue.Len() != 0 {
					t.Errorf("at the end: %+v", end)
				}
				synctest.Wait()
				checkLog(t, log.String())
			})
		})
	}
}

func checkLog(t *testing.T, log string) {
	t.Helper()
	for line, want := range map[string][2]int{
		"pausing":        {1, 1},
		"still does not": {9, 14},
		"answers again":  {1, 1},
		"giving up":      {0, 0},
	} {
		if n := strings.Count(log, line); n < want[0] || n > want[1] {
			t.Errorf("%d lines with %q, want %d to %d:\n%s", n, line, want[0], want[1], log)
		}
	}
}

// opened returns a pace with an open breaker and the time of its opening.
func opened(t *testing.T, o paceOptions) *pace {
	t.Helper()
	p := newPace(o)
	for range 100 {
		tk, err := p.acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(300 * time.Millisecond)
		tk.done(outcomeThrottled, 0)
		if p.stats().Paused {
			return p
		}
	}
	t.Fatal("the breaker does not open")
	return nil
}

func TestBreakerProbesEverMoreRarely(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := opened(t, paceOptions{})
		for _, want := range []time.Duration{1, 2, 4, 8, 16, 30, 30, 30} {
			want *= time.Second
			began := time.Now()
			probe, err := p.acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got := time.Since(began); got < want*3/4 || got > want*5/4 {
				t.Errorf("waited %s for a probe, want about %s", got, want)
			}
			time.Sleep(10 * time.Millisecond)
			probe.done(outcomeFailed, 0)
		}
	})
}

func TestBreakerLetsOneProbeThrough(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := opened(t, paceOptions{})
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan *ticket, 10)
		wait := func(ctx context.Context) {
			if tk, err := p.acquire(ctx); err == nil {
				served <- tk
			}
		}
		go wait(ctx)
		synctest.Wait()
		for range 10 {
			go wait(t.Context())
		}
		time.Sleep(2 * firstPause)
		if len(served) != 1 {
			t.Fatalf("%d probes at once", len(served))
		}
		// Neither a success nor a failure: the next may try at once.
		cancel()
		(<-served).done(outcomeNeutral, 0)
		synctest.Wait()
		if s := p.stats(); len(served) != 1 || !s.Paused {
			t.Fatalf("%d probes, %+v", len(served), s)
		}
		(<-served).done(outcomeOK, 0)
		synctest.Wait()
		if s := p.stats(); s.Paused || s.Limit != restartLimit || len(served) != restartLimit {
			t.Errorf("after a success %d were served, %+v", len(served), s)
		}
		for range 9 {
			(<-served).done(outcomeOK, 0)
		}
	})
}

// A success among the failures, or an end within two seconds, is weather.
func TestBreakerStaysClosed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		every    time.Duration
		outcomes string // F failed, T throttled, O ok, N 4xx, C cancelled; repeated
		open     bool
	}{
		{"all fail", 100 * time.Millisecond, "F", true},
		{"all throttled", 100 * time.Millisecond, "T", true},
		{"all either way, cancels between", 100 * time.Millisecond, "FTC", true},
		{"one 404 in 16", 100 * time.Millisecond, "FFFFFFFFFFFFFFFN", false},
		{"one success in 16", 100 * time.Millisecond, "FFFFFFFFFFFFFFFO", false},
		{"slow but alive", time.Second, "FFFFFFO", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newPace(paceOptions{})
				for i := range 64 {
					ctx, cancel := context.WithCancel(t.Context())
					tk, err := p.acquire(ctx)
					if err != nil {
						t.Fatal(err)
					}
					time.Sleep(tt.every)
					kind := tt.outcomes[i%len(tt.outcomes)]
					if kind == 'C' {
						cancel()
					}
					tk.done(map[byte]outcome{
						'F': outcomeFailed, 'T': outcomeThrottled, 'O': outcomeOK, 'N': outcomeNeutral, 'C': outcomeNeutral,
					}[kind], 0)
					cancel()
					if p.stats().Paused {
						break
					}
				}
				if got := p.stats().Paused; got != tt.open {
					t.Errorf("open = %t", got)
				}
			})
		})
	}
}

func TestBreakerGivesUp(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 50} {
		synctest.Test(t, func(t *testing.T) {
			const most = 20 * time.Minute
			var log bytes.Buffer
			began := time.Now()
			p := opened(t, paceOptions{MaxOutage: most, Log: slog.New(slog.NewTextHandler(&log, nil))})
			var group sync.WaitGroup
			for range workers {
				group.Go(func() {
					tk, err := p.acquire(t.Context())
					for ; err == nil; tk, err = p.acquire(t.Context()) {
						tk.done(outcomeFailed, 0)
					}
					if !errors.Is(err, ErrOutage) {
						t.Error(err)
					}
				})
			}
			group.Wait()
			if took := time.Since(began); took < most || took > most+time.Second {
				t.Errorf("%d workers gave up after %s, want %s", workers, took, most)
			}
			if _, err := p.acquire(t.Context()); !errors.Is(err, ErrOutage) {
				t.Errorf("afterwards: %v", err)
			}
			synctest.Wait() // for the line, which is written outside the lock
			if n := strings.Count(log.String(), "giving up"); n != 1 {
				t.Errorf("%d lines about it", n)
			}
		})
	}
}

// A probe that hangs must not keep the others beyond the end.
func TestBreakerGivesUpDuringAProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := opened(t, paceOptions{MaxOutage: time.Minute})
		probe, err := p.acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.acquire(t.Context()); !errors.Is(err, ErrOutage) {
			t.Errorf("waiting behind a probe: %v", err)
		}
		probe.done(outcomeFailed, 0)
	})
}

func TestBreakerPauseCanBeCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := opened(t, paceOptions{})
		for range 5 { // until pauses are long
			probe, _ := p.acquire(t.Context())
			probe.done(outcomeFailed, 0)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		began := time.Now()
		_, err := p.acquire(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 10*time.Millisecond {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}

func TestBrake(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		after time.Duration
		want  float64 // starts per second, 0 = no limit
	}{
		{0, 70},
		{5 * time.Second, 96.25},
		{10 * time.Second, 100},
		{15 * time.Second, 103.75},
		{20 * time.Second, 130},
		{24 * time.Second, 182.32},
		{25 * time.Second, 0},
		{time.Hour, 0},
	} {
		var b brake
		b.pull(time.Minute, 100)
		got := 0.0
		if gap := b.gap(time.Minute + tt.after); gap > 0 {
			got = 1 / gap.Seconds()
		}
		if got < 0.999*tt.want || got > 1.001*tt.want {
			t.Errorf("%s after: %.2f/s, want %.2f/s", tt.after, got, tt.want)
		}
	}
}

// Time in which nobody came is no credit.
func TestBrakeSavesNothingUp(t *testing.T) {
	t.Parallel()
	var b brake
	b.pull(0, 1000)
	now := 8 * time.Second
	n := 0
	for ; b.hold(now) == 0; n++ {
		b.started(now)
	}
	if want := int(2 * brakeBurst / time.Millisecond); n > want+1 {
		t.Errorf("%d starts at once, want about %d", n, want)
	}
}

func TestTally(t *testing.T) {
	t.Parallel()
	var c tally
	for ms := range 5000 {
		now := time.Duration(ms) * time.Millisecond
		c.at(now).ok++
		if ms%100 == 0 {
			c.at(now).throttled++
		}
		sum := c.sum(now)
		if rate := sum.rate(now + time.Millisecond); ms >= 100 && (rate < 995 || rate > 1005) {
			t.Fatalf("rate %.0f after %s, want 1000", rate, now)
		}
		if want := min(ms/100+1, slots); sum.throttled != want {
			t.Fatalf("%d refusals in the second before %s, want %d", sum.throttled, now, want)
		}
	}
	if sum := c.sum(time.Hour); sum.ok != 0 || sum.rate(time.Hour) != 0 {
		t.Errorf("an hour later: %+v", sum)
	}
}

func TestSerious(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		c    counts
		want bool
	}{
		{counts{ok: 100}, false},
		{counts{throttled: 1}, true},
		{counts{failed: 1}, true},
		{counts{ok: 100, throttled: 1}, true},
		{counts{ok: 101, throttled: 1}, false},
		{counts{ok: 10, failed: 1}, true},
		{counts{ok: 11, failed: 1}, false},
		{counts{}, false},
	} {
		if got := tt.c.serious(); got != tt.want {
			t.Errorf("%+v: %t", tt.c, got)
		}
	}
}
