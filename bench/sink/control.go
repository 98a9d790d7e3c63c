package sink

import (
	"encoding/json"
	"net/http"
	"syscall"
	"time"

	"example.org/mediamove/costs"
)

// Stats is what /_stats answers. Counts are since the last /_reset.
type Stats struct {
	Objects    int         `json:"objects"` // stored now
	Uploads    int         `json:"uploads"` // multipart uploads not ended
	Ops        costs.Usage `json:"ops"`     // requests by S3 operation
	ClassA     int64       `json:"class_a"`
	ClassB     int64       `json:"class_b"`
	BytesIn    int64       `json:"bytes_in"`       // of bodies, framing included
	Existing   int64       `json:"existing"`       // writes to keys that were there, refused ones too
	Conns      int64       `json:"conns"`          // accepted
	InFlight   int64       `json:"in_flight"`      // requests now
	Peak       int64       `json:"peak_in_flight"` // most at once
	CPUSeconds float64     `json:"cpu_seconds"`    // user and system, since the process began
	MaxRSS     int64       `json:"max_rss"`        // bytes, since the process began
}

// Stats reads the counters.
func (s *Server) Stats() Stats {
	var ru syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &ru) // fails only for a bad argument
	ops := s.counts.meter.Load().Usage()
	objects, uploads := s.store.size()
	return Stats{
		Objects: objects, Uploads: uploads,
		Ops: ops, ClassA: ops.A(), ClassB: ops.B(),
		BytesIn: s.counts.bytesIn.Load(), Existing: s.counts.existing.Load(),
		Conns: s.counts.conns.Load(), InFlight: s.counts.inFlight.Load(), Peak: s.counts.peak.Load(),
		CPUSeconds: time.Duration(ru.Utime.Nano() + ru.Stime.Nano()).Seconds(),
		MaxRSS:     ru.Maxrss << 10,
	}
}

// reset starts every count again. Requests under way stay in flight.
func (s *Server) reset() {
	s.counts.meter.Store(new(costs.Meter))
	s.counts.bytesIn.Store(0)
	s.counts.existing.Store(0)
	s.counts.conns.Store(0)
	s.counts.peak.Store(s.counts.inFlight.Load())
}

// control answers the requests of the harness: /_stats, /_reset, /_wipe,
// /_latency?d=20ms, /_clock?ahead=25h and /_fill?bucket=NAME. Each answers with the
// counters.
func (c *conn) control() {
	status := http.StatusOK
	switch string(c.req.path) {
	case "/_stats":
	case "/_reset":
		c.srv.reset()
	case "/_wipe":
		c.srv.store.wipe()
		c.srv.reset()
	case "/_latency":
		d, err := time.ParseDuration(c.req.get("d"))
		if err != nil || d < 0 {
			status = http.StatusBadRequest
			break
		}
		c.srv.latency.Store(int64(d))
	case "/_clock": // what waits for another night goes by the server's clock
		d, err := time.ParseDuration(c.req.get("ahead"))
		if err != nil || d < 0 {
			status = http.StatusBadRequest
			break
		}
		c.srv.ahead.Store(int64(d))
	case "/_fill":
		status = c.fill()
	default:
		status = http.StatusNotFound
	}
	c.start(status)
	c.header("Content-Type", "application/json")
	body, err := json.Marshal(c.srv.Stats())
	if err != nil {
		panic(err) // numbers always marshal
	}
	c.finish(append(body, '\n'))
}
