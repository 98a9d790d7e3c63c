package ledger

import (
	"errors"
	"testing"
	"time"

	"example.org/mediamove/media"
)

// TestRemovedBy: after each history of one object, the run that keeps it from
// being sent, by each of its spellings.
func TestRemovedBy(t *testing.T) {
	t.Parallel()
	const k, normal = media.Key("x/e\u0301"), media.Key("x/\u00e9")
	for name, tt := range map[string]struct {
		history []RemovalState // of the runs 1, 2 and so on
		want    int64
	}{
		"nothing":                {nil, 0},
		"left open by a kill":    {[]RemovalState{RemovalIntent}, 1}, // it may be deleted
		"removed":                {[]RemovalState{RemovalRemoved}, 1},
		"kept":                   {[]RemovalState{RemovalKept}, 0},
		"restored":               {[]RemovalState{RemovalRestored}, 0},
		"removed twice":          {[]RemovalState{RemovalRemoved, RemovalRemoved}, 2},
		"back, and kept":         {[]RemovalState{RemovalRemoved, RemovalKept}, 0},
		"back, and in between":   {[]RemovalState{RemovalRestored, RemovalIntent}, 2},
		"kept, then removed":     {[]RemovalState{RemovalKept, RemovalRemoved}, 2},
		"restored after another": {[]RemovalState{RemovalRemoved, RemovalRestored}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := mustOpen(t, t.TempDir())
			for i, state := range tt.history {
				takeTo(t, l, intent(int64(i+1), k), state)
			}
			for _, spelling := range []media.Key{k, normal} {
				run, err := l.RemovedBy(t.Context(), spelling)
				equal(t, []any{run, errors.Is(err, ErrUnknown)}, []any{tt.want, tt.want == 0})
				f := media.File{Key: spelling}
				want := Candidate{File: f}
				if tt.want > 0 {
					want.State, want.RemovedBy = Removed, tt.want
				}
				source := func(yield func(media.File, error) bool) { yield(f, nil) }
				equal(t, all(t, l.Pending(t.Context(), source)), []Candidate{want})
			}
			_, err := l.RemovedBy(t.Context(), "x/e")
			wantIs(t, err, ErrUnknown)
		})
	}
}

// takeTo intends r and takes it to a state.
func takeTo(t *testing.T, l *Ledger, r Removal, state RemovalState) {
	t.Helper()
	must(t, l.Intend(t.Context(), []Removal{r}))
	switch state {
	case RemovalIntent:
	case RemovalRestored:
		must(t, l.EndRemovals(t.Context(), []Removal{ended(r, RemovalRemoved)}))
		must(t, l.Restored(t.Context(), Restoration{Run: r.Run, By: r.Run, Key: r.Key, ETag: "back", At: noon}))
	default:
		must(t, l.EndRemovals(t.Context(), []Removal{ended(r, state)}))
	}
}

// TestRemovedSince: a ceiling counts what is gone or may be, from its instant on.
func TestRemovedSince(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	for i, tt := range []struct {
		k     media.Key
		state RemovalState
	}{
		{"accounts/avatars/1", RemovalRemoved},
		{"cache/accounts/avatars/2", RemovalIntent},
		{"accounts/avatars/3", RemovalKept},
		{"media_attachments/files/4", RemovalRemoved},
		{"media_attachments/files/5", RemovalRestored},
		{"x", RemovalRemoved},
	} {
		takeTo(t, l, intent(int64(i+1), tt.k), tt.state)
	}
	pruned := intent(9, "accounts/avatars/9")
	pruned.Policy = "prune"
	takeTo(t, l, pruned, RemovalRemoved)
	one, two := ClassSum{1, 7}, ClassSum{2, 14}
	hour := func(n int) time.Time { return noon.Add(time.Duration(n) * time.Hour) }
	for _, tt := range []struct {
		policy string
		since  time.Time
		want   map[media.Class]ClassSum
	}{
		{"orphans", time.Time{}, map[media.Class]ClassSum{media.Accounts: two, media.MediaAttachments: one, media.Outside: one}},
		{"orphans", hour(1), map[media.Class]ClassSum{media.Accounts: two, media.MediaAttachments: one, media.Outside: one}},
		{"orphans", hour(1).Add(1), map[media.Class]ClassSum{media.Accounts: one, media.MediaAttachments: one, media.Outside: one}},
		{"orphans", hour(7), map[media.Class]ClassSum{}},
		{"prune", hour(9), map[media.Class]ClassSum{media.Accounts: one}},
	} {
		got, err := l.RemovedSince(t.Context(), tt.policy, tt.since)
		must(t, err)
		equal(t, got, tt.want)
	}
}

// TestKnownByOneRun: the last of what one run put back twice.
func TestKnownByOneRun(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	for _, run := range []int64{1, 2} {
		removeSample(t, l, run, "k")
		must(t, l.Restored(t.Context(), Restoration{Run: run, By: 3, Key: "k", ETag: []string{"", "first", "last"}[run], At: noon}))
	}
	got, err := l.Known(t.Context(), []media.Key{"k"})
	must(t, err)
	equal(t, got, map[media.Key]string{"k": "last"})
}
