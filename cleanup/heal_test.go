package cleanup_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/cleanup/trash"
	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// Right before a file is sent, its row must need it, and must be shown.
func TestWitness(t *testing.T) {
	t.Parallel()
	s := pictured(1, apart)
	for name, tt := range map[string]struct {
		change func(s *mastodon.Standing)
		key    media.Key
		reason string // "": it is needed
	}{
		"needed":              {},
		"in another spelling": {key: media.Key(media.Normal(string(keysOfRow(s)[0])))},
		"its small one":       {key: keysOfRow(s)[1]},
		"its thumbnail":       {key: keysOfRow(s)[2]},
		"young":               {change: func(s *mastodon.Standing) { s.Row.Changed = noon }},
		"suspended":           {change: func(s *mastodon.Standing) { s.Hidden = mastodon.HiddenSuspended }, reason: "account suspended"},
		"discarded":           {change: func(s *mastodon.Standing) { s.Hidden = mastodon.HiddenDiscarded }, reason: "post removed"},
		"another file":        {change: func(s *mastodon.Standing) { s.Row.Files[0].Name = "b.jpeg" }, reason: "names other files"},
		"cleared":             {change: func(s *mastodon.Standing) { s.Row.Files[0].Name = "" }, reason: "names other files"},
		"busy":                {change: func(s *mastodon.Standing) { s.Row.Busy = true }, reason: "being processed"},
		"in the cache now":    {change: func(s *mastodon.Standing) { s.Row.Remote = false }, reason: "names other files"},
		"gone":                {change: func(s *mastodon.Standing) { s.Row.ID = 2 }, reason: "row is gone"},
		"a style that nobody needs": {
			key: media.Key(strings.Replace(string(keysOfRow(s)[0]), "original", "static", 1)), reason: "names other files",
		},
		"an archive": {key: "backups/dumps/000/000/001/original/a.zip", reason: "no attachment"},
		"no key":     {key: "README", reason: "no attachment"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := pictured(1, apart)
			if tt.key == "" {
				tt.key = keysOfRow(s)[0]
			}
			if tt.change != nil {
				tt.change(&s)
			}
			w := newTown(s)
			err := (&cleanup.Witness{Rows: w, Classes: []media.Class{media.MediaAttachments}}).Needed(t.Context(), tt.key)
			switch {
			case tt.reason == "":
				must(t, err)
			case !errors.Is(err, cleanup.ErrUnnamed) || !strings.Contains(err.Error(), tt.reason):
				t.Errorf("got %v, want one that says %q", err, tt.reason)
			}
			for mode, hidden := range map[string]bool{"0644": false, "0600": true} {
				disk := modes{tt.key: hidden}
				if err := (&cleanup.Witness{Rows: w, Classes: []media.Class{media.MediaAttachments}, Disk: disk}).Needed(t.Context(), tt.key); (err == nil) != (tt.reason == "" && !hidden) || err != nil && !errors.Is(err, cleanup.ErrUnnamed) {
					t.Errorf("a disk that has it %s: %v", mode, err)
				}
			}
			w.fails["Standing"] = w.calls["Standing"] + 1
			if err := (&cleanup.Witness{Rows: w, Classes: []media.Class{media.MediaAttachments}}).Needed(t.Context(), keysOfRow(pictured(1, "x.jpeg"))[0]); !errors.Is(err, errScripted) || errors.Is(err, cleanup.ErrUnnamed) {
				t.Errorf("a database that can't be asked: %v", err)
			}
		})
	}
}

// A returner puts back what it is told.
type returner struct {
	back  map[string]error // by copy; nil: it is put back
	there map[string]bool
	asked []string
}

func (r *returner) PutBack(_ context.Context, name string) (trash.Restored, error) {
	r.asked = append(r.asked, name)
	err, ok := r.back[name]
	if !ok {
		err = trash.ErrUnknown
	}
	return trash.Restored{Found: r.there[name], ETag: "e"}, err
}

func losses(list ...cleanup.Loss) iter.Seq2[cleanup.Loss, error] {
	return func(yield func(cleanup.Loss, error) bool) {
		for _, l := range list {
			if !yield(l, nil) {
				return
			}
		}
	}
}

// What is put back from the trash is what its run removed, what a row needs at that
// moment, and it is journalled under the name that it was removed under.
func TestReturning(t *testing.T) {
	t.Parallel()
	const removed, kept, restored = ledger.RemovalRemoved, ledger.RemovalKept, ledger.RemovalRestored
	for name, tt := range map[string]struct {
		name    string // of the row's file; "": a.jpeg
		state   ledger.RemovalState
		needed  error
		back    error
		there   bool
		noBin   bool
		noCopy  bool
		outcome string // "": nothing is told
		after   ledger.RemovalState
		err     error
	}{
		"put back":                {state: removed, outcome: cleanup.PutBack, after: restored},
		"spelled otherwise":       {name: apart, state: removed, outcome: cleanup.PutBack, after: restored},
		"there already":           {state: removed, there: true, outcome: cleanup.Already, after: restored},
		"not needed":              {state: removed, needed: fmt.Errorf("x: %w", cleanup.ErrUnnamed), outcome: cleanup.Unnamed, after: removed},
		"the rows can't be asked": {state: removed, needed: errScripted, after: removed, err: errScripted},
		"expired":                 {state: removed, back: trash.ErrUnknown, outcome: cleanup.Expired, after: removed},
		"damaged":                 {state: removed, back: trash.ErrDamaged, outcome: cleanup.Damaged, after: removed},
		"something newer":         {state: removed, back: trash.ErrTaken, outcome: cleanup.Newer, after: removed},
		"refused":                 {state: removed, back: errScripted, outcome: cleanup.NotPut, after: removed},
		"its trash is broken":     {state: removed, back: trash.ErrBroken, after: removed, err: trash.ErrBroken},
		"no trash":                {state: removed, noBin: true, after: removed},
		"no copy":                 {state: removed, noCopy: true, after: removed},
		"its file was sent":       {state: restored, after: restored},
		"kept after all":          {state: kept, after: kept},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := pictured(1, "a.jpeg")
			if tt.name != "" {
				s = pictured(1, tt.name)
			}
			k := keysOfRow(s)[0]
			led, err := ledger.Open(t.Context(), t.TempDir(), ledger.Options{})
			must(t, err)
			defer func() { must(t, led.Close()) }()
			r := ledger.Removal{Run: 4, Key: media.Key(media.Normal(string(k))), Policy: cleanup.Policy, Reason: "row gone", ETag: "e", Trash: "4/copy", Intended: noon}
			if tt.noCopy {
				r.Trash = ""
			}
			must(t, led.Intend(t.Context(), []ledger.Removal{r}))
			if r.State, r.Ended = tt.state, noon; tt.state == restored {
				r.State = removed
			}
			must(t, led.EndRemovals(t.Context(), []ledger.Removal{r}))
			if tt.state == restored {
				must(t, led.Restored(t.Context(), ledger.Restoration{Run: 4, Key: r.Key, By: 8, ETag: "e", At: noon}))
			}
			bin := &returner{back: map[string]error{"4/copy": tt.back}, there: map[string]bool{"4/copy": tt.there}}
			h := &cleanup.Returning{
				Needed: func(_ context.Context, asked media.Key) error {
					if asked != k || len(bin.asked) > 0 {
						t.Errorf("asked of %q, after %q were put back", asked, bin.asked)
					}
					return tt.needed
				},
				Bin: func(policy string) cleanup.Returner {
					if policy != cleanup.Policy || tt.noBin {
						return nil
					}
					return bin
				},
				Records: led, Run: 9, Now: noonNow,
			}
			l := cleanup.Loss{Key: k, Trace: cleanup.Trace{Run: 4, Policy: cleanup.Policy, Copy: r.Trash, Source: cleanup.InTrash}}
			got, err := all(h.Take(t.Context(), losses(l)))
			if !errors.Is(err, tt.err) {
				t.Fatal(err)
			}
			var want []string
			if tt.outcome != "" {
				want = []string{tt.outcome}
			}
			var outcomes []string
			for _, done := range got {
				outcomes = append(outcomes, done.Outcome)
			}
			equal(t, outcomes, want)
			for r, err := range led.Removals(t.Context(), ledger.RemovalQuery{}) {
				must(t, err)
				if r.State != tt.after || tt.after == restored && tt.state == removed && r.RestoredRun != 9 {
					t.Errorf("%+v", r)
				}
			}
			if tt.needed != nil && len(bin.asked) > 0 {
				t.Error("it was put back although no row needs it")
			}
		})
	}
	_, err := all((&cleanup.Returning{}).Take(t.Context(), func(yield func(cleanup.Loss, error) bool) { yield(cleanup.Loss{}, errScripted) }))
	wantIs(t, err, errScripted)
}

// modes is a disk whose files are hidden or not.
type modes map[media.Key]bool

func (m modes) Stat(k media.Key) (media.File, error) {
	hidden, ok := m[k]
	switch {
	case !ok:
		return media.File{}, errScripted
	case hidden:
		return media.File{Key: k, Mode: 0o600}, nil
	}
	return media.File{Key: k, Mode: 0o644}, nil
}

// What goes out of the bucket is hidden at that moment, in the database or, before the
// switch, on disk; whatever is not known stays.
func TestWithdrawal(t *testing.T) {
	t.Parallel()
	hidden, shown := hiddenRow(pictured(1, "a.jpeg"), mastodon.HiddenSuspended), pictured(2, "b.jpeg")
	card := aRow(media.PreviewCards, 3, media.Filed{Attachment: "images", Name: "c.jpeg", Schema: 1})
	a, b, c := keysOfRow(hidden)[0], keysOfRow(shown)[0], keysOfRow(card)[0]
	stray := media.Key(strings.Replace(string(a), "a.jpeg", "other.jpeg", 1))
	const gone = media.Key("cache/media_attachments/files/000/000/009/original/x.jpeg")
	const spelled = media.Key("accounts/avatars/000/000/001/original/\u00e9.png")
	keys := []media.Key{a, b, c, stray, gone, spelled, "README"}
	for name, tt := range map[string]struct {
		disk    modes
		unasked bool
		goes    []media.Key
	}{
		"the database":               {goes: []media.Key{a}},
		"the disk beside it":         {disk: modes{a: false, b: true, c: true, gone: true, "README": false}, goes: []media.Key{a, b, c, gone}},
		"the disk alone":             {disk: modes{a: false, b: true}, unasked: true, goes: []media.Key{b}},
		"the disk's own spelling":    {disk: modes{"accounts/avatars/000/000/001/original/e\u0301.png": true}, unasked: true, goes: []media.Key{spelled}},
		"nobody":                     {unasked: true},
		"a disk that can't be asked": {disk: modes{}, unasked: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTown(hidden, shown, card)
			v := &cleanup.Withdrawal{Rows: w, Unasked: tt.unasked}
			if tt.disk != nil {
				v.Disk = tt.disk
			}
			var objects []r2.Object
			for _, k := range keys {
				objects = append(objects, r2.Object{Key: k})
			}
			stays, err := v.Again(t.Context(), objects)
			must(t, err)
			var goes []media.Key
			for i, s := range stays {
				if s.Why == "" {
					goes = append(goes, keys[i])
				} else if tt.unasked != (s.Why == cleanup.KeptUnasked) || !tt.unasked && s.Why != cleanup.KeptShown {
					t.Errorf("%+v", s)
				}
			}
			equal(t, goes, tt.goes)
			if asked := w.calls["Standing"] > 0; asked == tt.unasked {
				t.Errorf("asked: %t", asked)
			}
			w.fails["Standing"] = w.calls["Standing"] + 1
			if _, err := v.Again(t.Context(), objects); !tt.unasked {
				wantIs(t, err, errScripted)
			}
		})
	}
}
