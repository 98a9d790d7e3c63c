package cloudflare

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestStorage(t *testing.T) {
	t.Parallel()
	a := &api{gauges: []gauge{
		{nov(2), "media", ClassStandard, 100, 10, 3, 0},
		{nov(2).Add(12 * time.Hour), "media", ClassStandard, 300, 9, 2, 1}, // the day's peak, later removed
		{nov(3).Add(-time.Second), "media", ClassStandard, 200, 8, 1, 0},
		{nov(2), "media", ClassInfrequentAccess, 0, 0, 0, 0},
		{nov(2), "eu_media", ClassStandard, 1000, 0, 7, 0},
		{nov(3), "media", ClassStandard, 200, 8, 1, 0},
		{nov(3), "eu_media", ClassStandard, 1001, 1, 8, 0},
		{nov(3), "eu_media", ClassInfrequentAccess, 40, 2, 1, 0},
		{nov(4), "eu_media", ClassStandard, 1, 1, 1, 1}, // after what is asked for
	}}
	c := a.client(t)
	got, err := c.Storage(t.Context(), "", nov(2), nov(4))
	if err != nil {
		t.Fatal(err)
	}
	want := Storage{
		Coverage: Coverage{{nov(2), Complete, "", SamplingUnknown}, {nov(3), Complete, "", SamplingUnknown}},
		Rows: []Stored{
			{nov(2), "eu_media", ClassStandard, 1000, 0, 7, 0},
			{nov(2), "media", ClassInfrequentAccess, 0, 0, 0, 0},
			{nov(2), "media", ClassStandard, 300, 10, 3, 1},
			{nov(3), "eu_media", ClassInfrequentAccess, 40, 2, 1, 0},
			{nov(3), "eu_media", ClassStandard, 1001, 1, 8, 0},
			{nov(3), "media", ClassStandard, 200, 8, 1, 0},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !got.Coverage.Whole() {
		t.Error("not whole")
	}
	for class, want := range map[string][]Peak{
		"":                    {{nov(2), 1310, 10, 1}, {nov(3), 1252, 10, 0}},
		ClassStandard:         {{nov(2), 1310, 10, 1}, {nov(3), 1210, 9, 0}},
		ClassInfrequentAccess: {{nov(2), 0, 0, 0}, {nov(3), 42, 1, 0}},
		"Archive":             nil,
	} {
		if diff := cmp.Diff(want, got.Peaks(class)); diff != "" {
			t.Errorf("%q: %s", class, diff)
		}
	}
	one, err := c.Storage(t.Context(), "eu_media", nov(2), nov(4))
	if diff := cmp.Diff([]Peak{{nov(2), 1000, 7, 0}, {nov(3), 1044, 9, 0}}, one.Peaks("")); diff != "" || err != nil || one.Bucket != "eu_media" {
		t.Error(diff, err)
	}
}

func TestPeaksStopAtTheTop(t *testing.T) {
	t.Parallel()
	s := Storage{Rows: []Stored{{Payload: 1<<63 - 1, Metadata: 9}, {Payload: 1}}}
	if got := s.Peaks("")[0].Bytes; got != 1<<63-1 {
		t.Error(got)
	}
}

// A bucket without figures is not one that holds nothing.
func TestStorageGaps(t *testing.T) {
	t.Parallel()
	a := &api{}
	for _, d := range []int{3, 4, 6, 7, 8} { // first of all on the 3rd, not on the 5th
		a.gauges = append(a.gauges, gauge{nov(d), "media", ClassStandard, 10, 0, 1, 0})
	}
	for _, d := range []int{4, 6, 8} { // not on the 7th
		a.gauges = append(a.gauges, gauge{nov(d), "other", ClassStandard, 20, 0, 1, 0})
	}
	c := a.client(t)
	type day struct {
		State  State
		Reason Reason
	}
	for bucket, want := range map[string][]day{
		"":      {{Missing, NoRows}, {Complete, ""}, {Complete, ""}, {Missing, NoRows}, {Complete, ""}, {Partial, Gap}, {Complete, ""}},
		"media": {{Missing, NoRows}, {Complete, ""}, {Complete, ""}, {Missing, NoRows}, {Complete, ""}, {Complete, ""}, {Complete, ""}},
		"other": {{Missing, NoRows}, {Missing, NoRows}, {Complete, ""}, {Missing, NoRows}, {Complete, ""}, {Missing, NoRows}, {Complete, ""}},
	} {
		s, err := c.Storage(t.Context(), bucket, nov(2), nov(9))
		if err != nil {
			t.Fatal(err)
		}
		var got []day
		for _, d := range s.Coverage {
			got = append(got, day{d.State, d.Reason})
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", bucket, diff)
		}
		if s.Coverage.Whole() {
			t.Errorf("%q is whole", bucket)
		}
	}
	// Of operations an account may do none.
	o, err := c.Operations(t.Context(), "", nov(2), nov(3))
	if err != nil || o.Coverage[0].Reason != NoRows {
		t.Error(o, err)
	}
}

// What is reported is never less than what was there at any time, and for one
// bucket and class not more than its highest.
func TestStorageHasThePeak(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		a := &api{widest: time.Duration(rapid.SampledFrom([]int{0, 24, 5}).Draw(rt, "widest")) * time.Hour}
		for range rapid.IntRange(0, 60).Draw(rt, "gauges") {
			a.gauges = append(a.gauges, gauge{
				at:      nov(15).Add(time.Duration(rapid.IntRange(0, 2*24*6-1).Draw(rt, "at")) * 10 * time.Minute),
				bucket:  rapid.SampledFrom([]string{"media", "other"}).Draw(rt, "bucket"),
				class:   rapid.SampledFrom([]string{ClassStandard, ClassInfrequentAccess}).Draw(rt, "class"),
				payload: rapid.Int64Range(0, 1e12).Draw(rt, "payload"), metadata: rapid.Int64Range(0, 1e9).Draw(rt, "metadata"),
			})
		}
		s, err := a.client(t).Storage(t.Context(), "", nov(15), nov(17))
		if err != nil {
			rt.Fatal(err)
		}
		at := map[Stored]gauge{}
		for _, g := range a.gauges {
			k := Stored{Day: dayOf(g.at), Bucket: g.bucket, StorageClass: g.class}
			at[k] = gauge{payload: max(at[k].payload, g.payload), metadata: max(at[k].metadata, g.metadata)}
		}
		for _, r := range s.Rows {
			k := Stored{Day: r.Day, Bucket: r.Bucket, StorageClass: r.StorageClass}
			if at[k].payload != r.Payload || at[k].metadata != r.Metadata {
				rt.Fatalf("%+v, want %+v", r, at[k])
			}
			delete(at, k)
		}
		if len(at) != 0 {
			rt.Fatalf("lacks %v", at)
		}
		if days := s.Peaks(""); len(days) != 2-len(slices.Collect(s.Coverage.In(Missing))) {
			rt.Fatalf("%v with %v", days, s.Coverage)
		}
	})
}
