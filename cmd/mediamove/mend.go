package main

import (
	"context"
	"errors"
	"iter"
	"time"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/ledger"
	"example.org/mediamove/owner"
	"example.org/mediamove/uploader"
	"example.org/mediamove/verify"
)

// mend sends again what this run found missing, and replaces what differs if that was
// asked for, under sync's rules. After the switch it sends only what a row shows: any other
// object that is not there was most likely deleted by its owner, and nothing is replaced.
func (o *verifyOptions) mend(ctx context.Context, x *session, v *verify.Verifier, r *verifyReport) error {
	found := v.Report()
	r.held = found.Of(verify.Missing) + found.Of(verify.Differs)
	if r.held == 0 || found.Switched && (r.db == nil || !v.RowsTold()) {
		return nil
	}
	u, err := o.mender(ctx, x, r)
	if err != nil {
		return err
	}
	verdicts := []ledger.Verdict{ledger.Missing}
	if o.replace && !u.Policy.Switched {
		verdicts = append(verdicts, ledger.Differs)
	}
	err = u.Run(ctx, uploader.Lost(ctx, x.recorded(ctx, x.ledger.Doubts(ctx, x.run, verdicts...)), x.tree, x.ledger))
	sent := u.Stats().Counts
	r.repaired = sent.Moved + sent.Replaced + sent.Adopted
	r.held -= r.repaired
	return err
}

// mender makes the uploader that repairs. Until here the bucket was only read; whoever
// writes must be granted it.
func (o *verifyOptions) mender(ctx context.Context, x *session, r *verifyReport) (*uploader.Uploader, error) {
	grant := x.ownerOptions(o.access)
	if grant.Switch == owner.Before {
		grant.Switch = owner.Unset // only sync takes a switch back; here it is no reason to send
	}
	claim, err := owner.Check(ctx, x.bucket, x.ledger, grant)
	if err != nil {
		return nil, err
	}
	if claim.Joined {
		return nil, usagef("mediamove sync first: it adopts what is there", "this ledger has joined the bucket and has not seen all of it yet")
	}
	last, err := x.ledger.LastWalk(ctx)
	if err != nil {
		return nil, err
	}
	gone, err := uploader.GoneKeys(x.ledger.Findings(ctx, ledger.Conflict))
	if err = errors.Join(err, x.ledger.Flush(ctx)); err != nil { // what reading back has found is read below
		return nil, err
	}
	policy := uploader.DefaultPolicy(x.run)
	policy.Switched, policy.LastWalk = claim.Switched, last.Began
	opt := uploader.Options{
		Disk: x.tree, Bucket: x.bucket, Journal: x.ledger, Parts: x.ledger, Retry: true, Gone: gone,
		Policy: policy, Log: x.log, TempDir: x.dir, Workers: o.concurrency, Prefix: prefix(x.settings.KeyPrefix),
	}
	if r.db != nil {
		opt.Named, opt.Gone = onlyNamed(&cleanup.Witness{Rows: r.db, Classes: r.db.Classes()}), nil // whoever deletes objects, a row wants this one
		opt.Journal = &cleanup.Healing{Journal: x.ledger, Run: x.run, Now: time.Now}
	}
	return uploader.New(opt), nil
}

// recorded leaves out what the ledger has no row of: there is nothing to tell a good
// copy by, and what earlier syncs said of it must stand.
func (x *session) recorded(ctx context.Context, doubts iter.Seq2[ledger.Doubt, error]) iter.Seq2[ledger.Doubt, error] {
	return func(yield func(ledger.Doubt, error) bool) {
		for d, err := range doubts {
			if err == nil {
				_, err = x.ledger.Entry(ctx, d.Key)
			}
			if errors.Is(err, ledger.ErrUnknown) {
				continue
			}
			if !yield(d, err) {
				return
			}
		}
	}
}
