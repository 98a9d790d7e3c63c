package scanner

import (
	"context"
	"errors"
)

// HoldsFile reports whether there is a regular file below a top folder, or below a
// class folder of the cache ("cache/accounts"), or something that could not be read
// and may hide one. It stops at the first.
func (t *Tree) HoldsFile(ctx context.Context, top string) (bool, error) {
	for _, err := range t.files(ctx, top) {
		p, problem := errors.AsType[*Problem](err)
		switch {
		case err == nil, problem && p.Incomplete():
			return true, nil
		case !problem:
			return false, err
		}
	}
	return false, nil
}
