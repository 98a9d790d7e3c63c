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

// Probe asks for a few of the missing objects (one or two Class B each), spread over
// all of them, before anybody acts on a list of missing ones.
func (v *Verifier) Probe(ctx context.Context) error {
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
			return fmt.Errorf("%w, such as %q", ErrListing, e.File.Key)
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
	for d, err := range v.Doubts.Doubts(ctx, v.Policy.Run, ledger.Missing) {
		if err != nil {
			return nil, err
		}
		if nameable(d.Key) {
			c.offer(one, &ledger.Entry{File: media.File{Key: d.Key}})
		}
	}
	return c.chosen(), nil
}
