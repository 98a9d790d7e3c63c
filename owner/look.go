package owner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.org/mediamove/r2"
)

// A Sight is what a command that only reads learns of the bucket.
type Sight struct {
	Mark  Mark // as the bucket has it
	Claim Claim
}

// Look reads the mark for a command that only reads the bucket: one GET, and
// nothing is ever written there. It refuses where [Check] would refuse with the same
// settings, and where nothing was synced yet. What it can't find out by reading stays
// open: whether the server honours conditions. So who means to write asks Check.
//
// What it learns about the switch goes into the ledger alone; the next Check
// carries it into the mark. [Before] is believed for this run and takes nothing back:
// that is for a run that may write the mark too. o.Join has no meaning here.
func Look(ctx context.Context, b Reader, l Ledger, o Options) (Sight, error) {
	c, err := newClaimer(ctx, b, l, o)
	if err != nil {
		return Sight{}, err
	}
	if err := c.see(ctx); err != nil {
		return Sight{}, err
	}
	switched, err := c.noticeSwitch(ctx)
	return Sight{c.mark, Claim{c.mark.BucketID, c.id.Joining, switched}}, err
}

// see reads the mark and holds it against this instance and this ledger.
func (c *claimer) see(ctx context.Context) error {
	err := c.read(ctx)
	switch {
	case errors.Is(err, r2.ErrNotFound):
		return c.absent(ctx)
	case err != nil:
		return err
	}
	return c.standing(ctx)
}

// absent tells a bucket that never had a mark from one that lost it.
func (c *claimer) absent(ctx context.Context) error {
	empty, err := c.l.Empty(ctx)
	if err != nil {
		return err
	}
	if !empty {
		return c.emptied()
	}
	return &RefusedError{
		fmt.Sprintf("nothing was synced into bucket %s yet: it has no owner mark", c.o.BucketName),
		"run mediamove sync first; if you did, check S3_BUCKET, S3_ENDPOINT and S3_KEY_PREFIX",
	}
}

// standing holds the mark against this instance and this ledger.
func (c *claimer) standing(ctx context.Context) error {
	if c.mark.Domain != c.o.Domain {
		return c.otherDomain()
	}
	known := c.id.BucketID == c.mark.BucketID
	if c.mark.Names(c.id.LedgerID) && (known || c.id.BucketID == "") {
		return nil
	}
	empty, err := c.l.Empty(ctx)
	switch {
	case err != nil:
		return err
	case !empty && !known:
		return c.otherBucket()
	}
	return c.otherLedger()
}

// noticeSwitch says whether this run counts as after the switch. Of the ledger's
// identity it changes nothing else: this run has not probed these settings, so they
// must not look as if it had.
func (c *claimer) noticeSwitch(ctx context.Context) (bool, error) {
	if c.o.Switch == Before {
		return false, nil
	}
	was := c.mark.SwitchedAt != nil || !c.id.SwitchedAt.IsZero()
	after := was || c.o.Switch == After
	if !after || !c.id.SwitchedAt.IsZero() {
		return after, nil
	}
	c.id.SwitchedAt = time.Now().UTC().Truncate(time.Second)
	if c.mark.SwitchedAt != nil {
		c.id.SwitchedAt = *c.mark.SwitchedAt
	}
	if err := c.l.SetIdentity(ctx, c.id); err != nil {
		return after, fmt.Errorf("record the switch in the ledger: %w", err)
	}
	return after, nil
}
