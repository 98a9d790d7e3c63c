package verify

import (
	"context"

	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

// CarryOver counts as different what earlier runs found wrong behind the recorded
// ETag and what nobody has read back since, this run included: a listing can't see
// it, so without this a later run would call it the same. Call it after reading.
func (v *Verifier) CarryOver(ctx context.Context) error {
	if err := v.Journal.Flush(ctx); err != nil { // what was read back is no doubt any more
		return err
	}
	var last media.Key
	for d, err := range v.Doubts.OpenDoubts(ctx, v.Policy.Run) {
		if err != nil {
			return err
		}
		if d.Key == last {
			continue
		}
		last = d.Key
		if doubted, err := v.inDoubt(ctx, d.Key); err != nil {
			return err
		} else if doubted {
			continue
		}
		e := &ledger.Entry{File: media.File{Key: d.Key, Size: d.Size}}
		r := because(Differs, d.Cause, "found by run %d, and not read back since; no listing can see it", d.Run)
		if err := v.recount(ctx, e, r, d.ETag); err != nil {
			return err
		}
	}
	return v.Journal.Flush(ctx)
}
