package main

import (
	"context"
	"errors"
	"fmt"

	"example.org/mediamove/costs"
	"example.org/mediamove/ledger"
	"example.org/mediamove/owner"
)

// mine reports whether this host is the one that cleans. Another one ends the run here,
// in order: a timer runs on every host.
func (o *nightlyOptions) mine(ctx context.Context, w *world, c *cleaning) (bool, error) {
	b := c.sight.Mark.Binding
	if b == nil || o.takeOver {
		return true, nil
	}
	machine, _ := w.machine()
	if machine != "" && b.Host == owner.HostHash(c.sight.Mark.BucketID, machine) {
		return true, nil
	}
	return false, errors.Join(w.notHere(), c.finish(ctx, ledger.RunEnd{Complete: true}), c.close())
}

// elsewhere reports whether the mark names another host, where there is no ledger yet.
func (o *nightlyOptions) elsewhere(ctx context.Context, w *world) bool {
	settings, err := o.resolve(w, o.settingFlags)
	if err != nil {
		return false
	}
	bucket, err := w.bucket(settings, o.access, new(costs.Meter), w.logger(o.verbose))
	if err != nil {
		return false
	}
	defer bucket.Close()
	mark, err := owner.ReadMark(ctx, bucket, settings.Bucket)
	machine, _ := w.machine()
	return err == nil && mark.Binding != nil && machine != "" && mark.Binding.Host != owner.HostHash(mark.BucketID, machine)
}

// notHere is all that is said on a host that the mark does not name.
func (w *world) notHere() error {
	_, err := fmt.Fprintln(w.stdout, "nightly: another host cleans this bucket; nothing to do here (to move it: mediamove nightly --take-over)")
	return err
}

func (r *nightlyReport) takeOver(ctx context.Context) error {
	b := r.c.sight.Mark.Binding
	if b == nil || b.Database != r.c.tie.Database {
		return &owner.RefusedError{
			Reason: "the mark does not name this database, so there is nothing to take over",
			Hint:   "mediamove bind, which shows how well database and bucket fit",
		}
	}
	mark, err := owner.Bind(ctx, r.c.bucket, r.c.ledger, r.c.ownerOptions(r.o.access), owner.BindRequest{
		Database: r.c.tie.Database, Host: r.c.tie.Host, TakeOver: true,
	})
	if err == nil {
		r.c.sight.Mark = mark
	}
	return err
}
