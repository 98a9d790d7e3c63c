package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/costs"
	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
)

func cleaningRun(run int64) *cleaning {
	return &cleaning{
		session: &session{settings: mastodon.Settings{Bucket: "media"}, tariff: tariff{PriceList: costs.R2()}, run: run},
		who:     mastodon.Identity{System: "7312", Name: "mastodon_production", Domain: "social.example"},
	}
}

// scanned makes the end of a scan of a large instance.
func scanned(change func(r *orphansReport)) *orphansReport {
	sum := func(n int64) cleanup.Sum { return cleanup.Sum{Objects: n, Bytes: n * 91_234} }
	r := &orphansReport{
		c: cleaningRun(1187), o: &orphansOptions{minAge: cleanup.MinAge}, kept: map[string]int64{},
		Report: &cleanup.Report{
			Limits: cleanup.Ceilings(), Candidates: sum(212), Waiting: sum(31),
			Scan: &cleanup.Scan{
				Run: 1187, All: sum(1_064_336), Owned: sum(1_062_101),
				Totals: map[cleanup.Group]cleanup.Sum{
					{Prefix: "cache/media_attachments/files"}:                                                      sum(1_000_000),
					{Kind: ledger.Orphan, Prefix: "cache/media_attachments/files", Reason: string(media.RowGone)}:  sum(200),
					{Kind: ledger.Orphan, Prefix: "cache/accounts/avatars", Reason: string(media.NameChanged)}:     sum(43),
					{Kind: ledger.Review, Prefix: "accounts/avatars", Reason: string(media.Cleared)}:               sum(7),
					{Kind: ledger.Unknown, Prefix: "media_attachments/files", Reason: string(media.Unfamiliar)}:    sum(1),
					{Kind: ledger.Unknown, Prefix: "", Reason: "not a path of Mastodon's"}:                         sum(1984),
					{Kind: ledger.Unknown, Prefix: "backups/dumps", Reason: "private: archives are never touched"}: sum(0),
				},
			},
		},
	}
	if change != nil {
		change(r)
	}
	return r
}

// lines is the screen without its line of requests, which has another test.
func (r *orphansReport) lines() string {
	var b strings.Builder
	if r.Report != nil && r.Scan != nil {
		r.printFound(&b)
		r.printGuards(&b)
	}
	r.printDone(&b)
	r.printNext(&b)
	return b.String()
}

func TestOrphansScreens(t *testing.T) {
	t.Parallel()
	above := []cleanup.Above{
		{Class: media.MediaAttachments, Candidates: cleanup.Sum{Objects: 1904, Bytes: 171_000_000}, Tonight: cleanup.Sum{Objects: 300}, Objects: 1000, Bytes: 5_000_000_000},
		{Class: media.Accounts, Candidates: cleanup.Sum{Objects: 21, Bytes: 1}, Objects: 20, Bytes: 5_000_000_000},
	}
	refusals := []*cleanup.Refusal{
		{Guard: "bound", Reason: "this is not the database that the bucket is bound to", Hint: "check the DB_* settings"},
		{Guard: "positive control", Reason: "612 of 1000 objects that run 1186 knew as owned belong to nobody now, such as \"a\x1b[2J\n\"", Hint: "if you know why, see mediamove orphans --list orphan"},
	}
	plan := &cleanup.Plan{Candidates: cleanup.Sum{Objects: 1904, Bytes: 171_000_000}, Expires: at(3)}
	for name, r := range map[string]*orphansReport{
		"orphans_found": scanned(nil),
		"orphans_none": scanned(func(r *orphansReport) {
			r.Candidates, r.Waiting, r.Scan.Totals = cleanup.Sum{}, cleanup.Sum{}, nil
		}),
		"orphans_refused": scanned(func(r *orphansReport) { r.Refusals, r.refusal = refusals, refusals[0] }),
		"orphans_doubted": scanned(func(r *orphansReport) { r.Refusals = refusals[1:] }), // only looked: nothing is suggested that would be refused
		"orphans_above": scanned(func(r *orphansReport) {
			r.Above, r.refusal = above, &cleanup.AboveError{Above: above, Candidates: plan.Candidates}
		}),
		"orphans_plan":       scanned(func(r *orphansReport) { r.saved, r.savedAt = plan, "/root/plan.json" }),
		"orphans_plan_above": scanned(func(r *orphansReport) { r.Above, r.saved, r.savedAt = above, plan, "/root/plan.json" }),
		"orphans_removed": scanned(func(r *orphansReport) {
			r.applied, r.removed, r.settled, r.dropped, r.expired = true, cleanup.Sum{Objects: 209, Bytes: 19_067_906}, 1, 5, 40
			r.Returned = cleanup.Sum{Objects: 2, Bytes: 182_468}
			r.o.minAge = 90 * time.Minute
			r.kept = map[string]int64{cleanup.KeptOwned: 1, cleanup.KeptNoRoom: 1204, cleanup.KeptChanged: 2}
		}),
		"orphans_stopped": scanned(func(r *orphansReport) {
			r.applied, r.removed, r.err = true, cleanup.Sum{Objects: 1, Bytes: 91_234}, errors.New("interrupted")
			r.kept = map[string]int64{"the run ended before it came to it": 211}
		}),
	} {
		golden(t, name, r.lines())
	}
	var out strings.Builder
	if err := (&orphansOptions{limits: cleanup.Ceilings()}).printGuards(&world{stdout: &out}); err != nil {
		t.Fatal(err)
	}
	golden(t, "orphans_guards", out.String())
}

func TestBindScreens(t *testing.T) {
	t.Parallel()
	fit := &bindReport{
		c: cleaningRun(1180), match: &cleanup.Match{Rows: 512_000, Required: 1_030_000, Present: 1_029_876},
		scan: &cleanup.Scan{
			All: cleanup.Sum{Objects: 1_064_336, Bytes: 93_000_000_000}, Owned: cleanup.Sum{Objects: 1_062_101},
			Newest: at(3), NewestForeign: at(2),
		},
	}
	golden(t, "bind_fits", fit.screen())
	empty := &bindReport{c: cleaningRun(1), match: &cleanup.Match{}, scan: &cleanup.Scan{}}
	golden(t, "bind_empty", empty.screen())
	doubted := *fit
	doubted.doubts = []string{`newest objects: of the 100 objects that Mastodon wrote last, 100 belong to nobody, such as "a.png"`, "row counts: table accounts has 7 rows, the last run saw 70"}
	golden(t, "bind_doubted", doubted.screen())
	for _, r := range []*bindReport{fit, empty} {
		if err := r.fits(); (err == nil) != (r == fit) {
			t.Errorf("%+v: %v", r.match, err)
		}
	}
}

func TestUndoScreens(t *testing.T) {
	t.Parallel()
	golden(t, "undo_nothing", (&undoReport{c: cleaningRun(1189), of: 1187}).screen())
	r := &undoReport{c: cleaningRun(1190), of: 1187, outcomes: map[string]cleanup.Sum{}, cancelled: 12}
	for i, outcome := range cleanup.UndoOutcomes() {
		r.outcomes[outcome] = cleanup.Sum{Objects: int64(i*1000 + 1), Bytes: int64(i*1_234_567 + 91)}
	}
	r.failed = []cleanup.Undoing{
		{Removal: ledger.Removal{Key: avatar}, Outcome: cleanup.Newer},
		{Removal: ledger.Removal{Key: hostile}, Outcome: cleanup.NotPut, Detail: "500 InternalError\nand \x1b[2J more"},
	}
	golden(t, "undo_partly", r.screen())
	if r.left() != 2001+3001+4001+5001+6001 {
		t.Errorf("%d are not back", r.left())
	}
}

func TestJournalScreens(t *testing.T) {
	t.Parallel()
	removal := func(k media.Key, s ledger.RemovalState, detail string) string {
		return strings.ReplaceAll(removalLine(&ledger.Removal{
			Run: 1187, Key: k, Policy: cleanup.Policy, Reason: string(media.RowGone), Size: 91_234, State: s, Detail: detail, Intended: at(3),
		}), "\t", " | ") + "\n" // as in every screen there are no tabs here
	}
	golden(t, "journal_lines", removal(remote, ledger.RemovalRemoved, "")+removal(avatar, ledger.RemovalKept, cleanup.KeptOwned)+
		removal(oddKey, ledger.RemovalRestored, "")+removal(hostile, ledger.RemovalIntent, "")+
		removal("a\tb/c\u202ed", ledger.RemovalKept, "its copy could not be proven: \x1b]0;x\a\tand\nmore"))
}
