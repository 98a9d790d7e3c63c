package r2

import (
	"context"
	"math"
	"math/rand/v2"
	"sync"
	"testing/synctest"
	"time"
)

// simBucket is a bucket and the way to it, in the time of a bubble.
type simBucket struct {
	latency  time.Duration
	perOp    time.Duration // work of one server, or of the client's one core
	perByte  time.Duration // per KiB
	link     float64       // bytes per second, 0 = endless
	throttle int           // operations per second, 0 = any number
	window   bool          // counts by the clock's second instead of a token bucket
	most     int           // in flight, 0 = any number
	fault    func(at time.Duration) bool

	began time.Time

	mu       sync.Mutex
	server   time.Time // busy until
	wire     time.Time
	tokens   float64
	filled   time.Time
	inFlight int
	peak     int
	attempts int
}

// put makes one attempt.
func (s *simBucket) put(size int64) outcome {
	s.mu.Lock()
	s.attempts++
	s.inFlight++
	s.peak = max(s.peak, s.inFlight)
	crowded := s.most > 0 && s.inFlight > s.most
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.inFlight--
		s.mu.Unlock()
	}()
	s.wait(&s.server, s.perOp+s.perByte*time.Duration(size)>>10)
	const packet = 16 << 10 // streams take turns, so the link is shared fairly
	for left := size; s.link > 0 && left > 0; left -= packet {
		s.wait(&s.wire, time.Duration(float64(min(left, packet))/s.link*1e9))
	}
	time.Sleep(s.latency)
	switch {
	case s.fault != nil && s.fault(time.Since(s.began)):
		return outcomeFailed
	case crowded, s.throttle > 0 && !s.take():
		return outcomeThrottled
	}
	return outcomeOK
}

func (s *simBucket) wait(busy *time.Time, work time.Duration) {
	s.mu.Lock()
	if now := time.Now(); busy.Before(now) {
		*busy = now
	}
	*busy = busy.Add(work)
	rest := time.Until(*busy)
	s.mu.Unlock()
	time.Sleep(rest)
}

func (s *simBucket) take() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	rate, now := float64(s.throttle), time.Now()
	if !s.window {
		s.tokens = min(s.tokens+now.Sub(s.filled).Seconds()*rate, max(rate/10, 1))
		s.filled = now
	} else if now.Unix() != s.filled.Unix() {
		s.tokens, s.filled = rate, now
	}
	if s.tokens < 1 {
		return false
	}
	s.tokens--
	return true
}

// simRun is what workers got done: until n objects are stored or, without n,
// for the time given. Counts are of the second half of that time.
type simRun struct {
	workers int
	objects int
	lasting time.Duration
	seed    uint64

	took        time.Duration
	ok, refused int
	limits      []int // one a second
}

// against moves objects of a Mastodon's sizes (log-normal, median 13 KB, mean
// 36 KB); a refused one is tried again a second later.
func (r *simRun) against(p *pace, s *simBucket) {
	s.began = time.Now()
	if r.workers == 0 {
		r.workers = 256
	}
	random := rand.New(rand.NewPCG(r.seed, 0))
	stored := 0
	var mu sync.Mutex
	next := func() (size int64, more bool) {
		mu.Lock()
		defer mu.Unlock()
		if r.objects > 0 && stored >= r.objects || r.lasting > 0 && time.Since(s.began) > r.lasting {
			return 0, false
		}
		stored++
		return int64(13e3 * math.Exp(1.43*random.NormFloat64())), true
	}
	count := func(o outcome) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case time.Since(s.began) < r.lasting/2:
		case o == outcomeOK:
			r.ok++
		default:
			r.refused++
		}
	}
	var group sync.WaitGroup
	for range r.workers {
		group.Go(func() {
			for size, more := next(); more; size, more = next() {
				for {
					t, err := p.acquire(context.Background())
					if err != nil {
						panic(err)
					}
					o := s.put(size)
					t.done(o, size)
					count(o)
					if o == outcomeOK {
						break
					}
					time.Sleep(time.Second)
				}
			}
		})
	}
	end := make(chan struct{})
	go func() {
		for {
			select {
			case <-end:
				return
			case <-time.After(time.Second):
				r.limits = append(r.limits, p.stats().Limit)
			}
		}
	}()
	group.Wait()
	r.took = time.Since(s.began)
	close(end)
	synctest.Wait()
}
