package main

import (
	"context"
	"errors"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
)

func isDelete(r fixtures.Request) bool {
	return r.Op == costs.DeleteObject || r.Op == costs.DeleteObjects
}

// dies runs a command whose requests are not answered any more from the first that
// matches on, and that is then called off: the run's number comes back.
func (c *cached) dies(args []string, match func(fixtures.Request) bool) (run string) {
	c.t.Helper()
	ctx, cancel := context.WithCancelCause(c.t.Context())
	defer cancel(nil)
	c.bucket.SetFault(func(r fixtures.Request) fixtures.Fault {
		if match(r) {
			cancel(errors.New("the power went"))
			return fixtures.Fault{CutBefore: true}
		}
		return fixtures.Fault{}
	})
	r := c.cleanCtx(ctx, args...)
	c.bucket.SetFault(nil)
	if r.code == exitOK {
		c.t.Fatal(r)
	}
	return c.lastRun(args[0])
}
