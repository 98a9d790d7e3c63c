package cloudflare

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"example.org/mediamove/costs"
)

func TestOperations(t *testing.T) {
	t.Parallel()
	a := &api{events: []event{
		{nov(2).Add(time.Hour), "media", "PutObject", Success, ClassStandard, 26_135, 0},
		{nov(2).Add(23 * time.Hour), "media", "PutObject", Success, ClassStandard, 5, 0},
		{nov(2), "media", "PutObject", UserError, ClassStandard, 2, 300},
		{nov(3).Add(-time.Second), "media", "GetObject", Success, ClassInfrequentAccess, 7, 1 << 40},
		{nov(3), "media", "FrobnicateObject", Success, "", 3, 0},
		{nov(3), "eu_media", "HeadObject", InternalError, ClassStandard, 9, 0},
		{nov(4), "media", "HeadObject", Success, ClassStandard, 1, 0}, // after what is asked for
	}}
	got, err := a.client(t).Operations(t.Context(), "media", nov(2).Add(time.Minute), nov(3).Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	want := Operations{
		Bucket:   "media",
		Coverage: Coverage{{nov(2), Complete, "", Unsampled}, {nov(3), Complete, "", Unsampled}},
		Rows: []Operation{
			{nov(2), "GetObject", costs.GetObject, Success, ClassInfrequentAccess, 7, 1 << 40, Unsampled},
			{nov(2), "PutObject", costs.PutObject, Success, ClassStandard, 26_140, 0, Unsampled},
			{nov(2), "PutObject", costs.PutObject, UserError, ClassStandard, 2, 300, Unsampled},
			{nov(3), "FrobnicateObject", costs.Unknown, Success, "", 3, 0, Unsampled},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	usage := costs.Usage{costs.Unknown: 3, costs.PutObject: 26_142, costs.GetObject: 7}
	if got.Usage() != usage || usage.A() != 26_145 {
		t.Errorf("usage %v", got.Usage())
	}
	if !got.Coverage.Whole() {
		t.Error("not whole")
	}
}

// A bucket in a jurisdiction has a name of its own, the account has all of them.
func TestOperationsBuckets(t *testing.T) {
	t.Parallel()
	a := &api{}
	for i, bucket := range []string{"media", "eu_media", "other"} {
		a.events = append(a.events, event{nov(2), bucket, "PutObject", Success, ClassStandard, int64(i + 1), 0})
	}
	c := a.client(t)
	for bucket, want := range map[string]int64{
		"": 6, "media": 1, "eu_media": 2, "no_such": 0,
		`x", bucketName: "media`: 0, "\x00\u2028é}": 0, // only ever a value
	} {
		o, err := c.Operations(t.Context(), bucket, nov(2), nov(3))
		if err != nil || o.Usage().A() != want {
			t.Errorf("%q: %d, %v; want %d", bucket, o.Usage().A(), err, want)
		}
	}
}

func TestUsageStopsAtTheTop(t *testing.T) {
	t.Parallel()
	o := Operations{Rows: []Operation{{Op: costs.PutObject, Requests: 1<<63 - 1}, {Op: costs.PutObject, Requests: 5}}}
	if got := o.Usage()[costs.PutObject]; got != 1<<63-1 {
		t.Error(got)
	}
}

// A sampled week is asked for again by days. What stays sampled is marked.
func TestSampling(t *testing.T) {
	t.Parallel()
	exact := func() *api {
		a := &api{}
		for d := 2; d < 12; d++ {
			a.events = append(a.events, event{nov(d), "media", "PutObject", Success, ClassStandard, int64(1000*d + d), 0})
		}
		return a
	}
	tests := []struct {
		name    string
		change  func(*api)
		queries int
		last    int64 // requests on the 11th
		mark    Sampling
	}{
		{"not sampled", func(*api) {}, 2, 11_011, Unsampled},
		{"weeks are", func(a *api) { a.sampledOver = 2 * day }, 1 + 7 + 1 + 3, 11_011, Unsampled},
		{"days are", func(a *api) { a.sampledOver = time.Hour }, 1 + 7 + 1 + 3, 11_020, Sampled},
		{"nobody tells", func(a *api) { a.knowsNot = "confidence" }, 3, 11_011, SamplingUnknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := exact()
			tt.change(a)
			c := a.client(t)
			o, err := c.Operations(t.Context(), "media", nov(2), nov(12))
			if err != nil || len(o.Rows) != 10 {
				t.Fatal(o, err)
			}
			if got := o.Rows[9]; got.Requests != tt.last || got.Sampling != tt.mark {
				t.Errorf("last row %+v", got)
			}
			for _, d := range o.Coverage {
				if d.Sampling != tt.mark || d.State != Complete {
					t.Errorf("%+v, want sampled: %s", d, tt.mark)
				}
			}
			if n := len(slices.Collect(o.Coverage.Sampled())); (n == 10) != (tt.mark == Sampled) || o.Coverage.Whole() == (tt.mark == Sampled) {
				t.Errorf("%d days sampled", n)
			}
			if got := len(a.queries()); got != tt.queries {
				t.Errorf("%d queries, want %d", got, tt.queries)
			}
			// Whether it tells is asked once.
			_, err = c.Operations(t.Context(), "media", nov(2), nov(3))
			if got := len(a.queries()) - tt.queries; err != nil || got != 1 {
				t.Errorf("%d more queries, %v", got, err)
			}
		})
	}
}

// An answer of 10,000 rows may be cut off, so less is asked for: days, then hours.
func TestTooManyRows(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name      string
		kinds     int           // of operations
		every     time.Duration // apart
		rows      int
		state     State
		reason    Reason
		queries   int
		requested int64
	}{
		{"fits", 9_998, 0, 9_999, Complete, "", 1, 10_000},
		{"over days", 12_000, 10 * time.Second, 12_001, Complete, "", 1 + 2, 12_002},
		{"over hours", 15_000, 4 * time.Second, 15_001, Complete, "", 1 + 1 + 24 + 1, 15_002},
		{"in one hour", 10_001, 100 * time.Millisecond, 10_001, Partial, TooMany, 1 + 1 + 24 + 1, 10_002},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := &api{events: []event{ // of one kind, in two hours
				{nov(2).Add(time.Hour), "media", "Common", Success, "", 1, 1},
				{nov(2).Add(23 * time.Hour), "media", "Common", Success, "", 1, 1},
			}}
			for i := range tt.kinds {
				at := nov(2).Add(time.Duration(i) * tt.every).Truncate(time.Second)
				a.events = append(a.events, event{at, "media", fmt.Sprintf("Op%d", i), Success, "", 1, 1})
			}
			o, err := a.client(t).Operations(t.Context(), "", nov(2), nov(4))
			if err != nil {
				t.Fatal(err)
			}
			var n, bytes int64
			for _, r := range o.Rows {
				n += r.Requests
				bytes += r.ResponseBytes
			}
			if len(o.Rows) != tt.rows || n != tt.requested || bytes != n {
				t.Errorf("%d rows, %d requests, %d bytes", len(o.Rows), n, bytes)
			}
			if d := o.Coverage[0]; d.State != tt.state || d.Reason != tt.reason {
				t.Errorf("%+v", d)
			}
			if got := len(a.queries()); got != tt.queries {
				t.Errorf("%d queries, want %d", got, tt.queries)
			}
		})
	}
}

// Whatever happened, and however narrow the API answers, each day has exactly what
// happened on it, and what isn't known isn't called complete.
func TestOperationsAreWhatHappened(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		a := &api{now: nov(20).Add(time.Duration(rapid.IntRange(0, 86_399).Draw(rt, "now")) * time.Second)}
		second := rapid.Int64Range(nov(1).AddDate(0, 0, -25).Unix(), a.now.Unix()-1)
		for range rapid.IntRange(0, 40).Draw(rt, "events") {
			a.events = append(a.events, event{
				at:     time.Unix(second.Draw(rt, "at"), 0).UTC(),
				bucket: rapid.SampledFrom([]string{"media", "eu_media"}).Draw(rt, "bucket"),
				action: rapid.SampledFrom([]string{"PutObject", "GetObject", "New"}).Draw(rt, "action"),
				status: rapid.SampledFrom([]string{Success, UserError}).Draw(rt, "status"),
				class:  ClassStandard, n: rapid.Int64Range(0, 1e9).Draw(rt, "n"), bytes: rapid.Int64Range(0, 1e12).Draw(rt, "bytes"),
			})
		}
		a.widest = time.Duration(rapid.SampledFrom([]int{0, 24, 72}).Draw(rt, "widest")) * time.Hour
		a.keeps = time.Duration(rapid.IntRange(1, 31).Draw(rt, "keeps")) * day
		from := time.Unix(second.Draw(rt, "from"), 0)
		to := from.Add(time.Duration(rapid.IntRange(1, 40*24).Draw(rt, "hours")) * time.Hour)
		bucket := rapid.SampledFrom([]string{"", "media", "eu_media"}).Draw(rt, "of")

		o, err := a.client(t).Operations(t.Context(), bucket, from, to)
		if err != nil {
			rt.Fatal(err)
		}
		for i, d := range o.Coverage {
			if !d.Date.Equal(dayOf(from).AddDate(0, 0, i)) {
				rt.Fatalf("day %d is %s", i, d.Date)
			}
			checkDay(rt, a, o, d, bucket)
		}
		if last := o.Coverage[len(o.Coverage)-1].Date; last.Add(day).Before(to) || !last.Before(to) {
			rt.Fatalf("ends with %s, asked up to %s", last, to)
		}
	})
}

// checkDay compares one day with what happened.
func checkDay(t *rapid.T, a *api, o Operations, d Day, bucket string) {
	var all, had costs.Usage
	var rows int
	for _, e := range a.events {
		if dayOf(e.at).Equal(d.Date) && (bucket == "" || bucket == e.bucket) {
			op, _ := costs.ParseOp(e.action)
			all[op] += e.n
		}
	}
	for _, r := range o.Rows {
		if r.Day.Equal(d.Date) {
			had[r.Op] += r.Requests
			rows++
		}
	}
	over := !a.now.Before(d.Date.Add(day + settled))
	kept := !d.Date.Before(a.now.Add(-a.keeps))
	switch {
	case (d.State == Missing) != (rows == 0):
		t.Fatalf("%+v has %d rows", d, rows)
	case d.State == Complete && (had != all || !over || !kept):
		t.Fatalf("%+v has %v, was %v", d, had, all)
	case d.State == Complete && d.Reason != "", d.State != Complete && d.Reason == "":
		t.Fatalf("%+v", d)
	case had.Sub(all) != (costs.Usage{}) && slices.Max(asSlice(had.Sub(all))) > 0:
		t.Fatalf("%+v has %v, more than %v", d, had, all)
	}
}

func asSlice(u costs.Usage) []int64 { return u[:] }
