package main

import (
	"context"

	"example.org/mediamove/cleanup"
)

// leftovers aborts uploads in parts that this ledger began. This run holds its lock, so
// no other run is at them. Anybody else's are Mastodon's own, perhaps under way.
func (r *nightlyReport) leftovers(ctx context.Context) error {
	uploads, err := r.c.ledger.Uploads(ctx)
	if err != nil {
		return err
	}
	for _, u := range uploads {
		if u.Run == r.c.run {
			continue
		}
		if err := r.c.bucket.Abort(ctx, u.Key, u.ID); err != nil {
			return err
		}
		if err := r.c.ledger.RemoveUpload(ctx, u.ID); err != nil {
			return err
		}
		r.aborted++
	}
	return nil
}

// maintain lets the journal of rows forget what is finished for long: it names people's
// files. A guard does not forbid that, no more than the end of the trash's copies.
func (r *nightlyReport) maintain(ctx context.Context) (err error) {
	r.orphans.expired += trashOf(cleanup.WithdrawPolicy).expire(ctx, r.c)
	r.forgot, err = r.c.ledger.ExpireClearings(ctx)
	return err
}
