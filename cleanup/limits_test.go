package cleanup_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/media"
)

func TestAllowed(t *testing.T) {
	t.Parallel()
	nightly := cleanup.Ceilings()
	for _, tt := range []struct {
		limits  cleanup.Limits
		n, want int64
	}{
		{nightly, 0, 20},
		{nightly, 1, 20},
		{nightly, 4000, 20},
		{nightly, 4199, 20},
		{nightly, 4200, 21},
		{nightly, 199_999, 999},
		{nightly, 200_000, 1000},
		{nightly, 1_000_000_000, 1000},
		{nightly, math.MaxInt64, 1000},
		{cleanup.Limits{Share: 0.5, Least: 20, Objects: 5}, 1_000_000, 5}, // the most beats the least
		{cleanup.Limits{Share: 100, Least: 0, Objects: math.MaxInt64}, 1234, 1234},
		{cleanup.Limits{Share: 0, Least: 7, Objects: 1000}, 1_000_000, 7},
		{cleanup.Limits{}, 1_000_000, 0},
	} {
		if got := tt.limits.Allowed(tt.n); got != tt.want {
			t.Errorf("%+v allow %d of %d, want %d", tt.limits, got, tt.n, tt.want)
		}
	}
}

func TestAbove(t *testing.T) {
	t.Parallel()
	type sums = map[media.Class]cleanup.Sum
	const c = media.MediaAttachments
	l := cleanup.Limits{Share: 0.5, Least: 20, Objects: 1000, Bytes: 5000}
	small, large := sums{c: {Objects: 100}}, sums{c: {Objects: 1_000_000}}
	above := func(candidates, tonight cleanup.Sum, objects int64) []cleanup.Above {
		return []cleanup.Above{{Class: c, Candidates: candidates, Tonight: tonight, Objects: objects, Bytes: 5000}}
	}
	for name, tt := range map[string]struct {
		classes, candidates, tonight sums
		want                         []cleanup.Above
	}{
		"nothing":                  {small, nil, nil, nil},
		"the least":                {small, sums{c: {20, 0}}, nil, nil},
		"one more":                 {small, sums{c: {21, 0}}, nil, above(cleanup.Sum{Objects: 21}, cleanup.Sum{}, 20)},
		"the most":                 {large, sums{c: {1000, 5000}}, nil, nil},
		"more than the most":       {large, sums{c: {1001, 5000}}, nil, above(cleanup.Sum{Objects: 1001, Bytes: 5000}, cleanup.Sum{}, 1000)},
		"a byte too much":          {large, sums{c: {1, 5001}}, nil, above(cleanup.Sum{Objects: 1, Bytes: 5001}, cleanup.Sum{}, 1000)},
		"tonight counts":           {large, sums{c: {500, 0}}, sums{c: {500, 0}}, nil},
		"too many tonight":         {large, sums{c: {500, 0}}, sums{c: {501, 0}}, above(cleanup.Sum{Objects: 500}, cleanup.Sum{Objects: 501}, 1000)},
		"tonight's bytes count":    {large, sums{c: {1, 1}}, sums{c: {1, 5000}}, above(cleanup.Sum{Objects: 1, Bytes: 1}, cleanup.Sum{Objects: 1, Bytes: 5000}, 1000)},
		"nothing more tonight":     {large, sums{c: {}}, sums{c: {9999, 9999}}, nil},
		"another class tonight":    {large, sums{c: {1000, 0}}, sums{media.Accounts: {1000, 5000}}, nil},
		"a class that is not seen": {nil, sums{c: {21, 0}}, nil, above(cleanup.Sum{Objects: 21}, cleanup.Sum{}, 20)},
		"each class has its own": {
			sums{c: {Objects: 1_000_000}, media.Accounts: {Objects: 10}},
			sums{c: {1000, 1}, media.Accounts: {21, 1}},
			nil,
			[]cleanup.Above{{Class: media.Accounts, Candidates: cleanup.Sum{Objects: 21, Bytes: 1}, Objects: 20, Bytes: 5000}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if d := cmp.Diff(tt.want, l.Above(tt.classes, tt.candidates, tt.tonight)); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestAboveHolds: whatever a night is cut into, what goes unhindered is within the limits.
func TestAboveHolds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		l := cleanup.Limits{
			Share: rapid.Float64Range(0, 100).Draw(r, "share"), Least: rapid.Int64Range(0, 50).Draw(r, "least"),
			Objects: rapid.Int64Range(0, 2000).Draw(r, "objects"), Bytes: rapid.Int64Range(0, 1e6).Draw(r, "bytes"),
		}
		n := rapid.Int64Range(0, 1e7).Draw(r, "n")
		classes := map[media.Class]cleanup.Sum{media.Accounts: {Objects: n}}
		var gone cleanup.Sum
		for range rapid.IntRange(1, 9).Draw(r, "runs") {
			want := cleanup.Sum{Objects: rapid.Int64Range(1, 1000).Draw(r, "want"), Bytes: rapid.Int64Range(0, 1e5).Draw(r, "size")}
			if len(l.Above(classes, map[media.Class]cleanup.Sum{media.Accounts: want}, map[media.Class]cleanup.Sum{media.Accounts: gone})) == 0 {
				gone.Objects += want.Objects
				gone.Bytes += want.Bytes
			}
		}
		if gone.Objects > l.Objects || gone.Bytes > l.Bytes || gone.Objects > l.Allowed(n) {
			r.Fatalf("%+v of %d went under %+v", gone, n, l)
		}
	})
}
