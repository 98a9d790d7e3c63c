package ledger

import (
	"context"
	"io"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"example.org/mediamove/media"
)

// samples yields the files from to to, as a walk would.
func samples(from, to int) iter.Seq2[media.File, error] {
	return func(yield func(media.File, error) bool) {
		for n := from; n < to && yield(sample(n).File, nil); n++ {
		}
	}
}

func TestPendingStates(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	storeSamples(t, l, 5, 6)
	stored := sample(5)
	for name, tt := range map[string]struct {
		change func(*media.File)
		want   Candidate
	}{
		"same":        {func(*media.File) {}, Candidate{State: Same}},
		"mode":        {func(f *media.File) { f.Mode = 0o600 }, Candidate{State: Same}}, // for the caller to see
		"location":    {func(f *media.File) { f.ModTime = f.ModTime.In(time.FixedZone("x", 3600)) }, Candidate{State: Same}},
		"grown":       {func(f *media.File) { f.Size++ }, Candidate{State: Touched, Entry: &stored}},
		"shrunk":      {func(f *media.File) { f.Size-- }, Candidate{State: Touched, Entry: &stored}},
		"later by ns": {func(f *media.File) { f.ModTime = f.ModTime.Add(1) }, Candidate{State: Touched, Entry: &stored}},
		"earlier":     {func(f *media.File) { f.ModTime = f.ModTime.Add(-1) }, Candidate{State: Touched, Entry: &stored}},
		"inode above": {func(f *media.File) { f.Inode++ }, Candidate{State: Touched, Entry: &stored}},
		"inode below": {func(f *media.File) { f.Inode-- }, Candidate{State: Touched, Entry: &stored}},
		"key":         {func(f *media.File) { f.Key += "x" }, Candidate{State: New}},
		"no key":      {func(f *media.File) { f.Key = "" }, Candidate{State: New}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.want.File = stored.File
			tt.change(&tt.want.File)
			source := func(yield func(media.File, error) bool) { yield(tt.want.File, nil) }
			equal(t, all(t, l.Pending(t.Context(), source)), []Candidate{tt.want})
		})
	}
}

// TestPendingPassesEverything, in order, whatever the batches.
func TestPendingPassesEverything(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	const total = 3*batchMax + 77
	for n := range total {
		if n%3 > 0 {
			must(t, l.Store(t.Context(), sample(n)))
		}
	}
	must(t, l.Flush(t.Context()))
	source := func(yield func(media.File, error) bool) {
		for n := range total {
			f := sample(n).File
			switch {
			case n%50 == 10:
				if !yield(f, io.ErrUnexpectedEOF) {
					return
				}
				continue
			case n%3 == 2:
				f.Size++
			}
			if !yield(f, nil) {
				return
			}
		}
	}
	n := 0
	for c, err := range l.Pending(t.Context(), source) {
		equal(t, c.File.Key, sample(n).File.Key)
		if n%50 == 10 {
			wantIs(t, err, io.ErrUnexpectedEOF)
		} else {
			must(t, err)
			equal(t, c.State, []State{New, Same, Touched}[n%3])
			equal(t, c.Entry != nil, c.State == Touched)
		}
		n++
	}
	equal(t, n, total)
}

func TestPendingOfEmptyLedger(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	for n, c := range all(t, l.Pending(t.Context(), samples(0, 1000))) {
		equal(t, c, Candidate{File: sample(n).File, State: New})
	}
	equal(t, len(all(t, l.Pending(t.Context(), samples(0, 0)))), 0)
}

// TestPendingStops when its consumer does, and gives its connection back.
func TestPendingStops(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	storeSamples(t, l, 0, 1)
	for range 2 * readers {
		walked, taken := 0, 0
		for range l.Pending(t.Context(), func(yield func(media.File, error) bool) {
			for walked = 0; yield(sample(walked).File, nil); walked++ {
			}
		}) {
			if taken++; taken == 20 {
				break
			}
		}
		if walked > 40 {
			t.Errorf("walked %d files to yield %d", walked, taken)
		}
	}
	equal(t, l.read.Stats().InUse, 0)
}

// TestPendingDoesNotDally: the first file is out at once, and a slow walk's
// files aren't gathered for long.
func TestPendingDoesNotDally(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := mustOpen(t, dir)
		storeSamples(t, l, 0, 1)
		source := func(yield func(media.File, error) bool) {
			for n := range 2000 {
				if n > 1000 {
					time.Sleep(5 * time.Millisecond)
				}
				if f := sample(n).File; !yield(media.File{Key: f.Key, ModTime: time.Now()}, nil) {
					return
				}
			}
		}
		first := true
		for c, err := range l.Pending(t.Context(), source) {
			must(t, err)
			if first {
				equal(t, c.File.Key, sample(0).File.Key)
				first = false
			}
			if late := time.Since(c.File.ModTime); late > batchWait+5*time.Millisecond {
				t.Fatalf("%s was held back for %v", c.File.Key, late)
			}
		}
	})
}

// TestPendingFails once and for all when the ledger can't be read.
func TestPendingFails(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	storeSamples(t, l, 0, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n, failures := 0, 0
	for _, err := range l.Pending(ctx, samples(0, 1000)) {
		if n++; n == 3 {
			cancel()
		}
		if err != nil {
			wantIs(t, err, context.Canceled)
			failures++
		}
	}
	equal(t, failures, 1)
	mustClose(t, l)
	failures = 0
	for _, err := range l.Pending(t.Context(), samples(0, 10)) {
		if err != nil {
			failures++
		}
	}
	equal(t, failures, 1)
}
