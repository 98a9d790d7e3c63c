package uploader

import (
	"errors"
	"fmt"
	"iter"
	"testing"

	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

// candidates are new files, of which some are hidden.
func candidates(hidden []bool) iter.Seq2[ledger.Candidate, error] {
	return func(yield func(ledger.Candidate, error) bool) {
		for i, h := range hidden {
			f := media.File{Key: media.Key(fmt.Sprintf("accounts/avatars/000/000/001/original/%d.png", i)), Mode: 0o644}
			if h {
				f.Mode = 0o600
			}
			if !yield(ledger.Candidate{File: f}, nil) {
				return
			}
		}
	}
}

// A plan refuses a tree exactly where a sync would, and still decides about every
// file in it.
func TestPlanRefusesHiddenTree(t *testing.T) {
	t.Parallel()
	pattern := func(hidden, public, laterHidden int) []bool {
		all := make([]bool, hidden+public+laterHidden)
		for i := range all {
			all[i] = i < hidden || i >= hidden+public
		}
		return all
	}
	for name, tt := range map[string]struct {
		files   []bool
		refused bool
	}{
		"nothing":                       {nil, false},
		"one, public":                   {pattern(0, 1, 0), false},
		"one, hidden":                   {pattern(1, 0, 0), true},
		"half of a few":                 {pattern(5, 5, 0), false},
		"more than half of a few":       {pattern(6, 5, 0), true},
		"half of the first 1,000":       {pattern(500, 500, 9000), false},
		"more than half of these":       {pattern(501, 499, 0), true},
		"hidden after the first 1,000":  {pattern(0, 1000, 5000), false},
		"public after a hidden 1,000":   {pattern(1000, 9000, 0), true},
		"half, but not of the first":    {pattern(501, 5000, 0), true},
		"the first are public, by luck": {pattern(0, 501, 4000), false},
	} {
		p, err := MakePlan(t.Context(), candidates(tt.files), DefaultPolicy(0), true)
		if err != nil || errors.Is(p.Refused, ErrHiddenTree) != tt.refused {
			t.Errorf("%s: %v, %v, refused: %t", name, p.Refused, err, tt.refused)
		}
		if p.Seen != int64(len(tt.files)) || p.Seen != p.HeldBack+p.Pending {
			t.Errorf("%s: %+v of %d", name, p.Files, len(tt.files))
		}
	}
}
