package cleanup_test

import (
	"io/fs"
	"slices"
	"testing"
	"time"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

// removalOf is the journal's row about k.
func removalOf(k media.Key, run int64, policy string, s ledger.RemovalState, copied string) ledger.Removal {
	return ledger.Removal{Run: run, Key: k, Policy: policy, Reason: "why", State: s, Trash: copied}
}

// Every cause, in the order in which they are looked for, and every source.
func TestTrace(t *testing.T) {
	t.Parallel()
	s := pictured(1, apart)
	k := keysOfRow(s)[0]
	removed := func(policy string) []ledger.Removal {
		return []ledger.Removal{removalOf(k, 4, policy, ledger.RemovalRemoved, "4/copy")}
	}
	type trace = cleanup.Trace
	for name, tt := range map[string]struct {
		set      func(m *memory)
		disk     bool // a media root is named
		copies   []string
		switched time.Time
		updated  time.Time
		want     trace
	}{
		"nothing is known":            {want: trace{Cause: cleanup.CauseUnknown, Source: cleanup.Nowhere}},
		"and the disk has it not":     {disk: true, want: trace{Cause: cleanup.CauseBefore, Source: cleanup.Nowhere}},
		"only the disk knows":         {set: func(m *memory) { m.disk[k] = nil }, disk: true, want: trace{Cause: cleanup.CauseNever, Source: cleanup.OnDisk}},
		"the disk can't be read":      {set: func(m *memory) { m.disk[k] = fs.ErrPermission }, disk: true, want: trace{Cause: cleanup.CauseUnknown, Source: cleanup.Unseen}},
		"after the switch, before it": {switched: oldDay.Add(time.Hour), disk: true, want: trace{Cause: cleanup.CauseBefore, Source: cleanup.Nowhere}},
		"after the switch":            {switched: oldDay.Add(-time.Hour), disk: true, want: trace{Cause: cleanup.CauseMastodon, Source: cleanup.Nowhere}},
		"after the switch, on disk all the same": {
			set: func(m *memory) { m.disk[k] = nil }, disk: true, switched: oldDay.Add(-time.Hour), want: trace{Cause: cleanup.CauseMastodon, Source: cleanup.OnDisk},
		},
		"moved": {
			set: func(m *memory) {
				m.entries[k] = ledger.Standing{Seen: 2}
				m.findings[k] = ledger.Finding{Kind: ledger.Exposed, Run: 3}
			},
			want: trace{Cause: cleanup.CauseGone, Run: 2, Source: cleanup.Nowhere},
		},
		"moved, and seen since": {
			set: func(m *memory) {
				m.entries[k], m.disk[k] = ledger.Standing{Seen: 2}, nil
				m.proofs[k] = []ledger.Evidence{{Run: 3}, {Run: 7}}
			}, disk: true, want: trace{Cause: cleanup.CauseGone, Run: 7, Source: cleanup.OnDisk},
		},
		"adopted after it was read": {
			set:  func(m *memory) { m.entries[k], m.proofs[k] = ledger.Standing{Seen: 9}, []ledger.Evidence{{Run: 3}} },
			want: trace{Cause: cleanup.CauseGone, Run: 9, Source: cleanup.Nowhere},
		},
		"removed, without a copy": {
			set: func(m *memory) {
				m.removals = []ledger.Removal{removalOf(k, 4, cleanup.PrunePolicy, ledger.RemovalRemoved, "")}
			},
			want: trace{Cause: cleanup.CauseRemoved, Run: 4, Detail: "why", Source: cleanup.Nowhere, Policy: cleanup.PrunePolicy},
		},
		"removed, with a copy": {
			set: func(m *memory) { m.removals = removed(cleanup.Policy); m.entries[k] = ledger.Standing{Seen: 2} }, copies: []string{cleanup.Policy + " 4/copy"},
			want: trace{Cause: cleanup.CauseRemoved, Run: 4, Detail: "why", Source: cleanup.InTrash, Policy: cleanup.Policy, Copy: "4/copy"},
		},
		"its copy expired": {
			set:  func(m *memory) { m.removals = removed(cleanup.Policy) },
			want: trace{Cause: cleanup.CauseRemoved, Run: 4, Detail: "why", Source: cleanup.Nowhere, Policy: cleanup.Policy, Copy: "4/copy"},
		},
		"another trash has that name": {
			set: func(m *memory) { m.removals = removed(cleanup.Policy) }, copies: []string{cleanup.WithdrawPolicy + " 4/copy"},
			want: trace{Cause: cleanup.CauseRemoved, Run: 4, Detail: "why", Source: cleanup.Nowhere, Policy: cleanup.Policy, Copy: "4/copy"},
		},
		"withdrawn": {
			set: func(m *memory) { m.removals = removed(cleanup.WithdrawPolicy) }, copies: []string{cleanup.WithdrawPolicy + " 4/copy"},
			want: trace{Cause: cleanup.CauseWithdrawn, Run: 4, Detail: "why", Source: cleanup.InTrash, Policy: cleanup.WithdrawPolicy, Copy: "4/copy"},
		},
		"withdrawn, and on disk": {
			set: func(m *memory) { m.removals = removed(cleanup.WithdrawPolicy); m.disk[k] = nil }, disk: true, copies: []string{cleanup.WithdrawPolicy + " 4/copy"},
			want: trace{Cause: cleanup.CauseWithdrawn, Run: 4, Detail: "why", Source: cleanup.OnDisk, Policy: cleanup.WithdrawPolicy, Copy: "4/copy"},
		},
		"removed in R2's spelling": {
			set: func(m *memory) {
				m.removals = []ledger.Removal{removalOf(media.Key(media.Normal(string(k))), 4, cleanup.Policy, ledger.RemovalRemoved, "4/copy")}
			},
			want: trace{Cause: cleanup.CauseRemoved, Run: 4, Detail: "why", Source: cleanup.Nowhere, Policy: cleanup.Policy, Copy: "4/copy"},
		},
		"removed twice: the last counts": {
			set: func(m *memory) {
				m.removals = []ledger.Removal{removalOf(k, 4, cleanup.Policy, ledger.RemovalRemoved, "4/copy"), removalOf(k, 6, cleanup.PrunePolicy, ledger.RemovalRemoved, "")}
			},
			want: trace{Cause: cleanup.CauseRemoved, Run: 6, Detail: "why", Source: cleanup.Nowhere, Policy: cleanup.PrunePolicy},
		},
		"removed and put back, and gone since": {
			set: func(m *memory) {
				m.removals = []ledger.Removal{removalOf(k, 4, cleanup.Policy, ledger.RemovalRestored, "4/copy")}
				m.entries[k] = ledger.Standing{Seen: 2}
			}, copies: []string{cleanup.Policy + " 4/copy"},
			want: trace{Cause: cleanup.CauseGone, Run: 2, Source: cleanup.Nowhere},
		},
		"kept, and gone since": {
			set: func(m *memory) {
				m.removals = []ledger.Removal{removalOf(k, 4, cleanup.Policy, ledger.RemovalKept, "")}
			}, want: trace{Cause: cleanup.CauseUnknown, Source: cleanup.Nowhere},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMemory()
			if tt.set != nil {
				tt.set(m)
			}
			tracer := m.tracer()
			tracer.SwitchedAt = tt.switched
			if tt.disk {
				tracer.Disk = m
			}
			if tt.copies != nil {
				tracer.Copies = func(policy, name string) bool {
					return slices.Contains(tt.copies, policy+" "+name)
				}
			}
			got, err := tracer.Trace(t.Context(), k, &s.Row)
			must(t, err)
			equal(t, got, tt.want)
		})
	}
}

// What a sync has noted of a file that it did not move is its cause.
func TestTraceFindings(t *testing.T) {
	t.Parallel()
	s := pictured(1, "a.jpeg")
	k := keysOfRow(s)[0]
	for kind, want := range map[ledger.Kind]cleanup.Cause{
		ledger.HeldBack: cleanup.CauseHeld, ledger.Exposed: cleanup.CauseHeld, ledger.Failed: cleanup.CauseFailed, ledger.Unreadable: cleanup.CauseFailed,
		ledger.Left: cleanup.CauseLeft, ledger.Conflict: cleanup.CauseSkipped, ledger.Changed: cleanup.CauseSkipped, ledger.Vanished: cleanup.CauseSkipped,
		ledger.Link: cleanup.CauseSkipped, ledger.Special: cleanup.CauseSkipped, ledger.Outside: cleanup.CauseSkipped,
	} {
		m := newMemory()
		m.findings[k] = ledger.Finding{Kind: kind, Cause: "c", Run: 5}
		tracer := m.tracer()
		tracer.SwitchedAt = oldDay.Add(-time.Hour) // what is written down counts more than what may be
		got, err := tracer.Trace(t.Context(), k, &s.Row)
		must(t, err)
		equal(t, got, cleanup.Trace{Cause: want, Run: 5, Detail: "c", Source: cleanup.Nowhere})
	}
}

// A ledger that can't be read makes no cause up.
func TestTraceFails(t *testing.T) {
	t.Parallel()
	s := pictured(1, "a.jpeg")
	k := keysOfRow(s)[0]
	for _, method := range []string{"Removals", "Standing", "Evidence", "Finding"} {
		m := newMemory()
		if m.fails = method; method == "Evidence" {
			m.entries[k] = ledger.Standing{Seen: 2}
		}
		_, err := m.tracer().Trace(t.Context(), k, &s.Row)
		wantIs(t, err, errScripted)
	}
}

// Of a thumbnail that is younger than the switch only the thumbnail is Mastodon's.
func TestTraceByAttachment(t *testing.T) {
	t.Parallel()
	s := pictured(1, "a.jpeg")
	s.Row.Files[1].Updated = noon
	tracer := newMemory().tracer()
	tracer.SwitchedAt = oldDay.Add(time.Hour)
	causes := map[cleanup.Cause]int{}
	for _, k := range append(keysOfRow(s), "no key of ours") {
		v, err := tracer.Trace(t.Context(), k, &s.Row)
		must(t, err)
		causes[v.Cause]++
	}
	equal(t, causes, map[cleanup.Cause]int{cleanup.CauseUnknown: 3, cleanup.CauseMastodon: 1})
}

// A copy that no trash has shown is expired once its time is over; until then it may be in
// a folder that nobody named, and is not lost.
func TestTraceOfACopyElsewhere(t *testing.T) {
	t.Parallel()
	row := pictured(1, "a.jpeg").Row
	k := keysOfRow(pictured(1, "a.jpeg"))[0]
	for policy, keep := range map[string]time.Duration{cleanup.Policy: 30 * 24 * time.Hour, cleanup.WithdrawPolicy: cleanup.WithdrawKeep} {
		for age, want := range map[time.Duration]cleanup.Source{keep - time.Second: cleanup.Unseen, keep: cleanup.Nowhere} {
			for _, trash := range []string{"4/copy", ""} {
				if trash == "" {
					want = cleanup.Nowhere
				}
				m := newMemory()
				m.removals = []ledger.Removal{{Run: 4, Key: k, Policy: policy, State: ledger.RemovalRemoved, Trash: trash, Ended: noon.Add(-age)}}
				tracer := m.tracer()
				tracer.Now = noonNow
				v, err := tracer.Trace(t.Context(), k, &row)
				must(t, err)
				l := cleanup.Loss{Key: k, Class: media.MediaAttachments, Trace: v}
				if v.Source != want || l.Nullable() != (want == cleanup.Nowhere) {
					t.Errorf("%s, %v ago, copy %q: %+v", policy, age, trash, v)
				}
			}
		}
	}
}
