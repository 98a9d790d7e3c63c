package owner

import (
	"context"
	"time"
)

// A Switch is what the settings say about where Mastodon writes.
type Switch int

// Switch values. Unset counts as before, but never takes back an "after".
const (
	Unset  Switch = iota
	Before        // --before-switch was typed
	After         // S3_ENABLED=true or --after-switch
)

// recordSwitch makes "after the switch" stick, in the ledger and in the mark,
// so that a later run whose settings say nothing does not publish old files again.
func (c *claimer) recordSwitch(ctx context.Context) (bool, error) {
	was := c.mark.SwitchedAt != nil || !c.id.SwitchedAt.IsZero()
	switch {
	case c.o.Switch == Before && was:
		c.mark.SwitchedAt, c.id.SwitchedAt = nil, time.Time{}
	case c.o.Switch == After && (c.mark.SwitchedAt == nil || c.id.SwitchedAt.IsZero()):
		c.setSwitched()
	case was && (c.mark.SwitchedAt == nil || c.id.SwitchedAt.IsZero()):
		c.setSwitched() // one side lost it
	default:
		return was, nil
	}
	// The ledger first: if the mark can't be written, this host at least remembers.
	if err := c.remember(ctx); err != nil {
		return false, err
	}
	return c.o.Switch != Before, c.put(ctx, c.etag)
}

func (c *claimer) setSwitched() {
	at := c.id.SwitchedAt
	if c.mark.SwitchedAt != nil {
		at = *c.mark.SwitchedAt
	}
	if at.IsZero() {
		at = time.Now().UTC().Truncate(time.Second)
		c.o.Log.Info("Mastodon writes to the bucket from now on: older files on disk are history", "switched_at", at)
	}
	c.id.SwitchedAt, c.mark.SwitchedAt = at, &at
}

// TellSwitch carries into the mark that Mastodon writes to the bucket, for a command
// that only looked until then (one GET, one conditional PUT). Another host's sync
// would count as before the switch otherwise, and publish again what was deleted.
func TellSwitch(ctx context.Context, b Bucket, l Ledger, o Options) error {
	c, err := newClaimer(ctx, b, l, o)
	if err != nil {
		return err
	}
	c.b, c.o.Switch = b, After
	if err := c.read(ctx); err != nil {
		return err
	}
	if err := c.standing(ctx); err != nil {
		return err
	}
	_, err = c.recordSwitch(ctx)
	return err
}
