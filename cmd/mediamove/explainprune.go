package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
)

// A prospectJSON is what prune would do with the object, as the database has its row now.
type prospectJSON struct {
	Verdict string     `json:"verdict"`
	Reason  string     `json:"reason,omitempty"`
	Words   string     `json:"words"` // the same for people
	Bytes   *int64     `json:"row_bytes,omitempty"`
	Since   *time.Time `json:"since,omitempty"`
	Week    string     `json:"week,omitempty"` // its Monday
	Until   *time.Time `json:"young_until,omitempty"`
}

// A clearingJSON is a row of the journal of rows that prune cleared. What was in the row
// is not printed: it is for undo.
type clearingJSON struct {
	Run         int64      `json:"run"`
	State       string     `json:"state"`
	Reason      string     `json:"reason"`
	Detail      string     `json:"detail,omitempty"`
	Bytes       int64      `json:"bytes"`
	Plan        string     `json:"plan,omitempty"`
	Intended    time.Time  `json:"intended"`
	Cleared     *time.Time `json:"cleared,omitempty"`
	Ended       *time.Time `json:"ended,omitempty"`
	RestoredRun int64      `json:"restored_run,omitempty"`
	RestoredAt  *time.Time `json:"restored_at,omitempty"`
}

// hasDatabase reports whether anything says where the instance's database is. Mastodon has
// defaults for all of it, but explain must not knock at whatever runs on this host.
func hasDatabase(s mastodon.Settings) bool {
	for _, name := range []string{"DATABASE_URL", "DB_HOST", "DB_PORT", "DB_NAME", "DB_USER"} {
		if s.Source(name) != "" {
			return true
		}
	}
	return false
}

// foresee asks the database about the one object. That it does not answer leaves the rest
// of the story as it is.
func (o *explainOptions) foresee(ctx context.Context, w *world, led *ledger.Ledger, s *story) error {
	settings, err := o.resolve(w, settingFlags{})
	if err != nil {
		return err
	}
	if s.unasked = !hasDatabase(settings); s.unasked {
		return nil
	}
	db, err := mastodon.OpenDatabase(ctx, mastodon.DatabaseOptions{Settings: settings, MaxConns: 1, Log: w.logger(o.verbose)})
	if err != nil {
		return err
	}
	defer db.Close()
	now := w.time()
	rule := budgetFlags{minAge: o.minAge}
	q := cleanup.Inquiry{DB: db, Classes: db.Classes(), Clearings: led, Rule: rule.rule(now), Now: now}
	p, err := q.Ask(ctx, media.Key(s.Key))
	if err == nil {
		s.Prune = prospectOf(&p)
	}
	return err
}

func prospectOf(p *cleanup.Prospect) *prospectJSON {
	out := &prospectJSON{Verdict: string(p.Verdict), Reason: p.Reason, Words: prospectWords(p), Until: given(p.Until)}
	if !p.Since.IsZero() {
		out.Since, out.Week, out.Bytes = given(p.Since), p.Week.Format(time.DateOnly), &p.Bytes
	}
	return out
}

// prospectWords answers in a sentence. Where an object stands is told by what goes before
// it: to count that would take reading the whole table.
func prospectWords(p *cleanup.Prospect) string {
	switch p.Verdict {
	case cleanup.ProspectOrphan:
		return fmt.Sprintf("no row owns it (%s): an orphan, which mediamove orphans removes; no cache goes in its place", p.Reason)
	case cleanup.ProspectCleared:
		return "its row was cleared by a run that did not come to its object: the next one removes it"
	case cleanup.ProspectStays:
		return "stays: " + staysWords(p)
	}
	what, before := "attachments", ""
	if p.Class == media.PreviewCards {
		what, before = "preview cards", "all attachments that may go, then "
	}
	return fmt.Sprintf("may go once the bucket is over its budget; before it go %sremote %s of weeks before that of %s, and of its own week larger ones (its row says %s) and those as large with a smaller id",
		before, what, p.Week.Format(time.DateOnly), size(p.Bytes))
}

// staysWords says why, and from when on not any more.
func staysWords(p *cleanup.Prospect) string {
	if p.Reason != string(mastodon.KeepYoung) {
		return cmp.Or(stayings()[p.Reason], p.Reason)
	}
	if p.Until.IsZero() {
		return "too young: nobody can tell how old it is"
	}
	return "too young until " + p.Until.UTC().Format(time.RFC3339)
}

// stayings are the reasons in words.
func stayings() map[string]string {
	return map[string]string{
		cleanup.StaysLocal:               "this instance's own: the only copy",
		cleanup.StaysLasts:               "avatars, headers and emoji don't come back by themselves",
		cleanup.StaysReview:              "its row is this instance's own and names another file: a person decides (mediamove orphans --list review)",
		string(mastodon.KeepNoFile):      "its row names no file",
		string(mastodon.KeepUnfetchable): "it can't be fetched again: in no post, or its server is blocked with reject media",
		string(mastodon.KeepProcessing):  "Mastodon has not finished processing it",
		string(mastodon.KeepFavourited):  "a local user favourited the post",
		string(mastodon.KeepBookmarked):  "a local user bookmarked the post",
		string(mastodon.KeepBoosted):     "a local user boosted the post",
		string(mastodon.KeepRepliedTo):   "a local user replied to the post",
		string(mastodon.KeepQuoted):      "a local user quoted the post, or was quoted by it",
		string(mastodon.KeepPinned):      "a local user pinned the post",
		string(mastodon.KeepReported):    "the post was reported to the moderators",
		string(mastodon.KeepOriginGone):  "its server is gone: this may be the only copy",
		string(mastodon.KeepDiscarded):   "a moderator removed the post, and may still look at it",
		string(mastodon.KeepSuspended):   "its account is suspended",
	}
}

// pruned adds what prune did to the row that the key names.
func (s *story) pruned(ctx context.Context, led *ledger.Ledger, p media.Path) error {
	if p.ID <= 0 || p.Class == media.Outside {
		return nil
	}
	for c, err := range led.Clearings(ctx, ledger.ClearingQuery{Class: p.Class, RowID: p.ID}) {
		if err != nil {
			return err
		}
		s.Clearings = append(s.Clearings, clearingJSON{
			Run: c.Run, State: string(c.State), Reason: c.Reason, Detail: c.Detail, Bytes: c.Bytes, Plan: c.Plan, Intended: c.Intended.UTC(),
			Cleared: given(c.ClearedAt), Ended: given(c.Ended), RestoredRun: c.RestoredRun, RestoredAt: given(c.RestoredAt),
		})
		if len(s.Clearings) == maxRemovals {
			break
		}
	}
	return nil
}

// printPrune tells what prune did and would do, or how to ask for that.
func (s *story) printPrune(b *strings.Builder) {
	for _, c := range s.Clearings {
		fmt.Fprintf(b, "\nprune, run %d, %s: its row was %s (%s)\n", c.Run, c.Intended.Format(time.RFC3339), clearedWords(c.State), oneLine(c.Reason))
		if c.Detail != "" {
			fmt.Fprintf(b, "  %s\n", oneLine(c.Detail))
		}
		if c.RestoredAt != nil {
			fmt.Fprintf(b, "  given its columns back by run %d, %s\n", c.RestoredRun, c.RestoredAt.Format(time.RFC3339))
		}
	}
	switch {
	case s.Prune != nil:
		fmt.Fprintf(b, "\nprune now: %s\n", oneLine(s.Prune.Words))
	case s.Class != "" && s.unasked:
		b.WriteString("\nwhat prune would do with it the database knows: --env-file /home/mastodon/live/.env.production asks it\n")
	}
}

// clearedWords says how far a clearing has come.
func clearedWords(state string) string {
	switch ledger.ClearState(state) {
	case ledger.ClearIntent:
		return "about to be cleared when the run was killed"
	case ledger.ClearSkipped:
		return "left alone"
	case ledger.ClearCleared:
		return "cleared, and its objects are next"
	case ledger.ClearDone:
		return "cleared, and its objects dealt with"
	case ledger.ClearRestored:
		return "cleared, and restored"
	}
	return state
}

// checkAge refuses what prune would refuse.
func (o *explainOptions) checkAge() error {
	if o.minAge < pruneLeast {
		return usagef("as prune's --min-age", "--min-age %v: at least %v", o.minAge, pruneLeast)
	}
	return nil
}
