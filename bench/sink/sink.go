// Package sink is an S3 server that takes everything and keeps nothing but
// metadata, so that a benchmark measures its client.
//
// It speaks HTTP/1.1 by hand over a connection per client: net/http costs more
// per request than a lean client spends on sending one, and a sink that is
// busier than what it measures bounds every figure. It keeps what the clients
// under test ask for again: sizes, ETags, metadata, small documents below
// [keptPrefix]. Every bucket exists. Signatures are not checked.
package sink

import (
	"bufio"
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"example.org/mediamove/costs"
)

// An ETagMode says where an object's ETag comes from.
type ETagMode string

// The modes.
const (
	ETagAuto ETagMode = "auto" // the Content-MD5 that came with it, else invented
	ETagMD5  ETagMode = "md5"  // computed; a Content-MD5 that differs is refused
	ETagFake ETagMode = "fake" // always invented
)

// Options configure a [Server].
type Options struct {
	Latency time.Duration // added to every S3 request, without using CPU
	ETag    ETagMode      // empty: [ETagAuto]
	Page    int           // most keys in one listing answer; 0: 1,000
}

// A Server is one sink. It is safe for concurrent use.
type Server struct {
	etags   ETagMode
	page    int
	latency atomic.Int64 // nanoseconds
	ahead   atomic.Int64 // nanoseconds that its clock is ahead of the host's
	clock   atomic.Pointer[stamp]
	store   store
	counts  counters

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	wg    sync.WaitGroup
}

// counters are reset together, between two measured runs.
type counters struct {
	meter    atomic.Pointer[costs.Meter]
	bytesIn  atomic.Int64
	conns    atomic.Int64
	existing atomic.Int64
	inFlight atomic.Int64
	peak     atomic.Int64
}

// New returns a sink without objects.
func New(o Options) *Server {
	if o.ETag == "" {
		o.ETag = ETagAuto
	}
	if o.Page == 0 {
		o.Page = 1000
	}
	s := &Server{etags: o.ETag, page: o.Page, conns: make(map[net.Conn]struct{})}
	s.latency.Store(int64(o.Latency))
	s.store.wipe()
	s.reset()
	return s
}

// Serve answers on l until ctx ends, then closes every connection. It always
// returns the reason why it stopped.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	defer s.closeAll()
	for {
		nc, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return err
		}
		s.counts.conns.Add(1)
		s.mu.Lock()
		s.conns[nc] = struct{}{}
		s.mu.Unlock()
		s.wg.Go(func() { s.handle(nc) })
	}
}

// closeAll ends every connection and waits for the goroutines behind them.
func (s *Server) closeAll() {
	s.mu.Lock()
	for nc := range s.conns {
		nc.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

// readBuffer holds a whole small object, so that one read takes it off the socket.
const readBuffer = 64 << 10

// handle answers the requests of one connection until that ends.
func (s *Server) handle(nc net.Conn) {
	defer func() {
		nc.Close()
		s.mu.Lock()
		delete(s.conns, nc)
		s.mu.Unlock()
	}()
	c := &conn{srv: s, w: nc, br: bufio.NewReaderSize(nc, readBuffer)}
	for c.next() == nil {
	}
}

// enter and leave bracket one request, from its first byte to its answer.
func (s *Server) enter() {
	n := s.counts.inFlight.Add(1)
	for {
		peak := s.counts.peak.Load()
		if n <= peak || s.counts.peak.CompareAndSwap(peak, n) {
			return
		}
	}
}

// leave see [Server.enter].
func (s *Server) leave() { s.counts.inFlight.Add(-1) }

// count notes one request of the kind op, answered or refused.
func (s *Server) count(op costs.Op) { s.counts.meter.Load().Count(op) }

// A stamp is a Date header, formatted once a second.
type stamp struct {
	unix int64
	text string
}

// now is what the sink's clock says.
func (s *Server) now() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }

// date returns the Date header of this second.
func (s *Server) date() string {
	now := s.now()
	if d := s.clock.Load(); d != nil && d.unix == now.Unix() {
		return d.text
	}
	d := &stamp{now.Unix(), now.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")}
	s.clock.Store(d)
	return d.text
}
