package cleanup_test

import (
	"errors"
	"testing"
	"time"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

// What a run proves is there again counts as restored, under the name that it was
// removed under, and only the last removal, only if it is one.
func TestHealing(t *testing.T) {
	t.Parallel()
	const composed, apart = media.Key("accounts/avatars/000/000/001/original/\u00e9.png"), media.Key("accounts/avatars/000/000/001/original/e\u0301.png")
	at := time.Unix(1_700_000_000, 0).UTC()
	for name, c := range map[string]struct {
		removed []ledger.RemovalState // of composed, by one run after the other
		run     int64                 // of the entry; 0: the healing run's
		key     media.Key
		want    []ledger.RemovalState
	}{
		"never removed":        {key: composed},
		"removed":              {removed: []ledger.RemovalState{ledger.RemovalRemoved}, key: composed, want: []ledger.RemovalState{ledger.RemovalRestored}},
		"in another spelling":  {removed: []ledger.RemovalState{ledger.RemovalRemoved}, key: apart, want: []ledger.RemovalState{ledger.RemovalRestored}},
		"twice":                {removed: []ledger.RemovalState{ledger.RemovalRemoved, ledger.RemovalRemoved}, key: composed, want: []ledger.RemovalState{ledger.RemovalRemoved, ledger.RemovalRestored}},
		"removed, then kept":   {removed: []ledger.RemovalState{ledger.RemovalRemoved, ledger.RemovalKept}, key: composed, want: []ledger.RemovalState{ledger.RemovalRemoved, ledger.RemovalKept}},
		"an open intent":       {removed: []ledger.RemovalState{ledger.RemovalIntent}, key: composed, want: []ledger.RemovalState{ledger.RemovalIntent}},
		"proven by other runs": {removed: []ledger.RemovalState{ledger.RemovalRemoved}, run: 1, key: composed, want: []ledger.RemovalState{ledger.RemovalRemoved}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			led, err := ledger.Open(ctx, t.TempDir(), ledger.Options{})
			must(t, err)
			defer func() { must(t, led.Close()) }()
			for i, state := range c.removed {
				r := []ledger.Removal{{Run: int64(i) + 1, Key: composed, Policy: "orphans", Reason: "row gone", ETag: "e", Intended: at}}
				must(t, led.Intend(ctx, r))
				if r[0].State, r[0].Ended = state, at; state != ledger.RemovalIntent {
					must(t, led.EndRemovals(ctx, r))
				}
			}
			h := &cleanup.Healing{Journal: led, Run: 9, Now: func() time.Time { return at }}
			e := ledger.Entry{File: media.File{Key: c.key, Size: 3, ModTime: at, Inode: 1}, ETag: "put", Origin: ledger.Put, Run: h.Run, At: at}
			if c.run != 0 {
				e.Run = c.run
			}
			must(t, h.Store(ctx, e))
			must(t, h.Note(ctx, ledger.Finding{Key: "x", Kind: ledger.Failed, Cause: "c", Run: 9, At: at}))
			must(t, led.Flush(ctx))
			if got, err := h.Entry(ctx, c.key); err != nil || got.File.Size != 3 {
				t.Errorf("%+v, %v", got, err)
			}
			if f, err := led.Finding(ctx, "x"); err != nil || f.Cause != "c" {
				t.Errorf("%+v, %v", f, err)
			}
			journal, err := all(led.Removals(ctx, ledger.RemovalQuery{}))
			must(t, err)
			var states []ledger.RemovalState
			for _, r := range journal {
				states = append(states, r.State)
				if r.State == ledger.RemovalRestored && (r.RestoredRun != 9 || r.RestoredETag != "put" || !r.RestoredAt.Equal(at)) {
					t.Errorf("%+v", r)
				}
			}
			equal(t, states, c.want)
		})
	}
}

// A journal that can't be read stops the run before it forgets anything.
func TestHealingNeedsItsJournal(t *testing.T) {
	t.Parallel()
	led, err := ledger.Open(t.Context(), t.TempDir(), ledger.Options{})
	must(t, err)
	must(t, led.Close())
	h := &cleanup.Healing{Journal: led, Run: 9, Now: time.Now}
	if err := h.Store(t.Context(), ledger.Entry{File: media.File{Key: "k"}, Run: 9}); err == nil || errors.Is(err, ledger.ErrUnknown) {
		t.Error(err)
	}
}
