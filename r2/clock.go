package r2

import (
	"net/http"
	"sync/atomic"
	"time"
)

// A clock compares this machine's time with the server's. The zero clock is
// ready. Good to a second, which is all a Date header tells.
type clock struct {
	offset atomic.Int64 // nanoseconds that the server is ahead of us
	noted  atomic.Int64 // when it was last looked at, Unix seconds; parsing each answer would cost more than it tells
}

// note takes the answer's Date, at most once in ten seconds.
func (c *clock) note(h http.Header) {
	now := time.Now()
	if last := c.noted.Load(); last != 0 && now.Unix()-last < 10 && now.Unix() >= last {
		return
	}
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return
	}
	c.noted.Store(now.Unix())
	c.offset.Store(int64(date.Sub(now.Truncate(time.Second))))
}

// ahead is how far the server's clock is ahead of ours; negative if behind.
func (c *clock) ahead() time.Duration { return time.Duration(c.offset.Load()) }

// String says it for people.
func (c *clock) String() string {
	switch d := c.ahead(); {
	case c.noted.Load() == 0:
		return "the server didn't tell its time"
	case d.Abs() < 2*time.Second: // as good as a Date header is
		return "this machine's clock agrees with the server's"
	case d > 0:
		return "this machine's clock is " + d.String() + " behind the server's"
	default:
		return "this machine's clock is " + (-d).String() + " ahead of the server's"
	}
}
