package verify

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

// population draws objects of some classes and sizes.
func population(r *rapid.T) []ledger.Entry {
	classes := []string{"accounts/avatars", "media_attachments/files", "cache/media_attachments/files", "cache/preview_cards/images", "preview_cards/images"}
	n := rapid.IntRange(1, 400).Draw(r, "n")
	all := make([]ledger.Entry, n)
	for i := range all {
		class := rapid.SampledFrom(classes).Draw(r, "class")
		size := int64(1) << rapid.IntRange(0, 40).Draw(r, "size")
		all[i] = ledger.Entry{File: media.File{Key: media.Key(fmt.Sprintf("%s/%d", class, i)), Size: size}}
	}
	return all
}

func draw(all []ledger.Entry, n int64, seed uint64) ([]ledger.Entry, Sample) {
	s := make(strata)
	for _, e := range all {
		s.add(e.File.Key, e.File.Size)
	}
	c := newChooser(seed, s.quotas(n))
	for _, e := range all {
		c.offer(stratumOf(e.File.Key, e.File.Size), &e)
	}
	chosen := c.chosen()
	return chosen, Sample{Seed: seed, Population: s.total(), Objects: int64(len(chosen)), Share: c.share(s)}
}

// A sample takes from every class and size at least the share of all that was asked
// for, the same again for the same seed, each object once, and local media first.
func TestSample(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		all := population(r)
		n, seed := rapid.Int64Range(1, 500).Draw(r, "asked"), rapid.Uint64().Draw(r, "seed")
		chosen, s := draw(all, n, seed)
		if want := min(1, float64(n)/float64(len(all))); s.Share < want-1e-9 {
			r.Errorf("a stratum got %g of it, asked was %g", s.Share, want)
		}
		if int64(len(chosen)) < min(n, int64(len(all))) {
			r.Errorf("%d chosen of %d, asked were %d", len(chosen), len(all), n)
		}
		again, _ := draw(all, n, seed)
		seen := map[media.Key]bool{}
		last := 0
		for i, e := range chosen {
			if again[i].File.Key != e.File.Key {
				r.Errorf("the same seed chose %q, then %q", e.File.Key, again[i].File.Key)
			}
			if seen[e.File.Key] {
				r.Errorf("%q twice", e.File.Key)
			}
			seen[e.File.Key] = true
			if p := precedence(e.File.Key); p < last {
				r.Errorf("%q comes after the cache", e.File.Key)
			} else {
				last = p
			}
		}
	})
}

// Another seed chooses others: the lots are no property of the names.
func TestSeedsDiffer(t *testing.T) {
	t.Parallel()
	var all []ledger.Entry
	for i := range 10_000 {
		all = append(all, ledger.Entry{File: media.File{Key: media.Key(fmt.Sprintf("accounts/%d", i)), Size: 1}})
	}
	times := make(map[media.Key]int)
	for seed := range uint64(20) {
		chosen, _ := draw(all, 100, seed)
		for _, e := range chosen {
			times[e.File.Key]++
		}
	}
	for k, n := range times {
		if n > 5 { // 0.2 are expected
			t.Errorf("%q was chosen %d times of 20", k, n)
		}
	}
}

// The bound is where the formula has it, and is never a promise about one photo.
func TestBound(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		sample Sample
		want   int64
	}{
		{Sample{Population: 1_000_000, Share: 0.003}, 997}, // the rule of three says 1,000
		{Sample{Population: 1_000_000, Share: 0.95}, 1},
		{Sample{Population: 1_000_000, Share: 0.96}, 0},
		{Sample{Population: 10, Share: 0.0001}, 10},
		{Sample{Population: 10, Share: 1}, 0},
		{Sample{Population: 10}, 10},
		{Sample{}, 0},
	} {
		if got := tt.sample.Bound(); got != tt.want {
			t.Errorf("%+v: at most %d, want %d", tt.sample, got, tt.want)
		}
		if text := tt.sample.String(); tt.sample.Share < 1 && (!strings.Contains(text, "seed") || !strings.Contains(text, "can't promise")) {
			t.Errorf("%+v says %q", tt.sample, text)
		}
	}
}

// If more are bad than the bound, a sample misses all of them in fewer than 5 % of
// the cases: tried, not calculated.
func TestBoundHolds(t *testing.T) {
	t.Parallel()
	const objects, asked, tries = 2000, 100, 400
	var all []ledger.Entry
	for i := range objects {
		all = append(all, ledger.Entry{File: media.File{Key: media.Key(fmt.Sprintf("accounts/%d", i)), Size: int64(1) << (i % 20)}})
	}
	_, s := draw(all, asked, 0)
	bad := s.Bound() + 1
	missed := 0
	for seed := range uint64(tries) {
		chosen, _ := draw(all, asked, seed)
		found := false
		for _, e := range chosen {
			var n int64
			_, _ = fmt.Sscanf(string(e.File.Key), "accounts/%d", &n)
			found = found || n*7919%objects < bad // spread over the sizes
		}
		if !found {
			missed++
		}
	}
	if limit := 0.05 + 3*math.Sqrt(0.05*0.95/tries); float64(missed)/tries > limit {
		t.Errorf("%d of %d samples missed all of %d bad ones", missed, tries, bad)
	}
}

// Thirty parts are everything once.
func TestPartsAreEverythingOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		of := rapid.Uint64Range(1, 40).Draw(r, "of")
		k := media.Key(rapid.String().Draw(r, "key"))
		n := 0
		for slot := range of {
			if lot(0, k)%of == slot {
				n++
			}
		}
		if n != 1 {
			r.Errorf("%q is in %d parts", k, n)
		}
	})
}
