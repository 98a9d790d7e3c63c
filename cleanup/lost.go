package cleanup

import (
	"context"
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
func StillLost(ctx context.Context, losses iter.Seq2[Loss, error], plan iter.Seq2[Candidate, error], dropped *int64) iter.Seq2[Loss, error] {
	return func(yield func(Loss, error) bool) {
		next, stop := iter.Pull2(losses)
		defer stop()
		l, err, more := nextNullable(next)
		for c, planErr := range plan {
			if planErr != nil {
				yield(Loss{}, planErr)
				return
			}
			for more && err == nil && media.Normal(string(l.Key)) < media.Normal(string(c.Key)) {
				l, err, more = nextNullable(next)
			}
			switch {
			case err != nil:
				yield(Loss{}, err)
				return
			case !more || l.Key != c.Key || l.Row != c.Row:
				*dropped++
			case !yield(l, nil):
				return
			}
		}
	}
}

func nextNullable(next func() (Loss, error, bool)) (Loss, error, bool) {
	for {
		l, err, more := next()
		if err != nil || !more || l.Nullable() {
			return l, err, more
		}
	}
}
