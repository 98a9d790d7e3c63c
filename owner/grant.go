package owner

import (
	"context"
	"errors"

	"example.org/mediamove/ledger"
)

// WouldGrant reports whether an empty ledger would get the claim, without writing
// anything: nil, or the refusal. The ledger that stands now may be put aside only
// after that.
func WouldGrant(ctx context.Context, b Bucket, o Options) error {
	_, err := Check(ctx, b, unwritten{}, o)
	switch {
	case errors.Is(err, errGranted):
		return nil
	case err == nil:
		return errors.New("an empty ledger was granted a claim without writing it down")
	}
	return err
}

// unwritten is an empty ledger that stops the claim where it would be granted.
type unwritten struct{}

var errGranted = errors.New("granted")

func (unwritten) Identity(context.Context) (ledger.Identity, error) {
	return ledger.Identity{LedgerID: "unwritten"}, nil
}
func (unwritten) SetIdentity(context.Context, ledger.Identity) error { return errGranted }
func (unwritten) Empty(context.Context) (bool, error)                { return true, nil }
