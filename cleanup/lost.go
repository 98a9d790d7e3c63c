package cleanup

import (
	"errors"
	"fmt"
	"iter"

	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

// MissingPlanSchema is of plans to clear rows whose originals are lost.
const MissingPlanSchema = "mediamove.missing-plan/1"

// LostOriginal is the reason in the journal of rows.
const LostOriginal = "original missing"

// Lost yields the rows whose originals are lost for good, as [Pruner.Apply] takes them:
// their columns are to be cleared, so that Mastodon fetches the files again.
func Lost(losses iter.Seq2[Loss, error]) iter.Seq2[Prunable, error] {
	return func(yield func(Prunable, error) bool) {
		for l, err := range losses {
			if err == nil && !l.Nullable() {
				continue
			}
			row := Prunable{Class: l.Class, ID: l.Row, Reason: LostOriginal, Objects: []ledger.ListedObject{{Key: l.Key, Size: l.Size}}}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

// CheckLost refuses to clear more than share per cent of the other servers' attachments:
// that many are more likely a wrong bucket than lost.
func CheckLost(lost, remote int64, share float64) error {
	if float64(lost)*100 <= share*float64(remote) {
		return nil
	}
	return fmt.Errorf("%w: the originals of %d of %d attachments of other servers are lost, more than %g %%", ErrShare, lost, remote, share)
}

// StillLost yields those of the losses that a plan names too. Both come in the order of
// their keys; dropped counts what the plan names and is not lost now.
func StillLost(losses iter.Seq2[Loss, error], plan iter.Seq2[Candidate, error], dropped *int64) iter.Seq2[Loss, error] {
	return func(yield func(Loss, error) bool) {
		next, stop := iter.Pull2(losses)
		defer stop()
		at := lostCursor{next: next}
		at.forward()
		for c, err := range plan {
			for err == nil && at.before(c.Key) {
				at.forward()
			}
			switch {
			case err != nil || at.err != nil:
				yield(Loss{}, errors.Join(err, at.err))
				return
			case !at.more || at.loss.Key != c.Key || at.loss.Row != c.Row:
				*dropped++
			case !yield(at.loss, nil):
				return
			}
		}
	}
}

// A lostCursor stands at one of the losses that may be cleared.
type lostCursor struct {
	next func() (Loss, error, bool)
	loss Loss
	err  error
	more bool
}

func (c *lostCursor) forward() {
	for c.loss, c.err, c.more = c.next(); c.more && c.err == nil && !c.loss.Nullable(); {
		c.loss, c.err, c.more = c.next()
	}
}

func (c *lostCursor) before(k media.Key) bool {
	return c.more && c.err == nil && media.Normal(string(c.loss.Key)) < media.Normal(string(k))
}
