package verify

import (
	"context"
	"errors"
	"fmt"

	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// probes is how many missing objects are asked for one by one.
const probes = 10

// ErrListing reports that the listing lacks objects which are there: nothing that
// rests on it is believed.
var ErrListing = errors.New("the listing lacks objects that are in the bucket")

// probe asks for a few of the missing and deleted objects (one or two Class B each), spread over
// all of them, before anybody acts on a list of missing ones. If one is there, nothing
// that this run has found is kept.
func (v *Verifier) probe(ctx context.Context) error {
	if err := v.Journal.Flush(ctx); err != nil { // what was noted is read
		return err
	}
	missing, err := v.someMissing(ctx)
	if err != nil {
		return err
	}
	for _, e := range missing {
		_, err := v.Bucket.Head(ctx, e.File.Key)
		switch {
		case errors.Is(err, r2.ErrNotFound):
			v.mu.Lock()
			v.report.Probes++
			v.mu.Unlock()
		case err == nil:
			err := fmt.Errorf("%w, such as %q", ErrListing, e.File.Key)
			return errors.Join(err, v.Journal.ForgetDoubts(ctx, v.Policy.Run))
		default:
			return fmt.Errorf("ask for a missing object: %w", err)
		}
	}
	return nil
}

// someMissing draws a few keys of the missing.
func (v *Verifier) someMissing(ctx context.Context) ([]ledger.Entry, error) {
	one := stratum{}
	c := newChooser(uint64(v.Policy.Run), map[stratum]int64{one: probes})
	for d, err := range v.Doubts.Doubts(ctx, v.Policy.Run, ledger.Missing, ledger.Deleted) {
		if err != nil {
			return nil, err
		}
		if nameable(d.Key) {
			c.offer(one, &ledger.Entry{File: media.File{Key: d.Key}})
		}
	}
	return c.chosen(), nil
}
