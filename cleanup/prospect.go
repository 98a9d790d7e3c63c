package cleanup

import (
	"context"
	"fmt"
	"time"

	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// A ProspectVerdict is what prune would do with an object, were the bucket over its
// budget. The words are printed and stay as they are.
type ProspectVerdict string

// The verdicts.
const (
	ProspectStays   ProspectVerdict = "stays"   // for Reason
	ProspectMayGo   ProspectVerdict = "may go"  // at its place in the order
	ProspectOrphan  ProspectVerdict = "orphan"  // nobody owns it: orphans' to remove, no cache goes in its place
	ProspectCleared ProspectVerdict = "cleared" // a run cleared its row; the next one removes it
)

// Reasons to stay beside those of package mastodon.
const (
	StaysOurs   = "mediamove's own"
	StaysLocal  = string(mastodon.KeepLocal)
	StaysLasts  = "does not come back" // avatars, headers, emoji: Mastodon fetches none of them again by itself
	StaysReview = "nobody's, beside a local row"
)

// A Prospect answers for one object what prune would do with it. What does not belong to
// its verdict is zero.
type Prospect struct {
	Verdict ProspectVerdict
	// Reason is short and stable: of what stays, a [mastodon.Keep], one of those above or
	// why nobody knows the object; of an orphan, why nobody owns it.
	Reason string
	Class  media.Class
	ID     int64     // of the row
	Since  time.Time // what the order goes by
	Week   time.Time // its Monday, 00:00 UTC
	Bytes  int64     // as the row says: within a week the larger goes first
	// Until is when a young row will be as old as the rule wants; zero if nobody can tell.
	Until time.Time
}

// RowFates are the questions about one row.
type RowFates interface {
	Rows(ctx context.Context, ids map[media.Class][]int64) (mastodon.Rows, error)
	Fates(ctx context.Context, rule mastodon.PruneRule, ids map[media.Class][]int64) (map[media.Class]map[int64]mastodon.Fate, error)
	Changed(ctx context.Context, class media.Class, id int64) (time.Time, error)
}

// An Inquiry asks what prune would do with single objects: by a few look-ups of their
// rows, and without the bucket. So it does not know whether an object stands there.
type Inquiry struct {
	DB        RowFates
	Classes   []media.Class // that have a table
	Clearings Clearings
	Rule      mastodon.PruneRule
	Now       time.Time // that Rule was made at
}

// Ask answers for k. The rules are those of [Survey] and [Cache].
func (q *Inquiry) Ask(ctx context.Context, k media.Key) (Prospect, error) {
	object := r2.Object{Key: k}
	survey := Survey{Classes: q.Classes}
	rows, err := q.DB.Rows(ctx, survey.ids(locate([]r2.Object{object})))
	if err != nil {
		return Prospect{}, fmt.Errorf("%w of %s: %w", ErrRows, k, err)
	}
	j := judge(object, rows)
	switch {
	case k.Reserved():
		return stays(StaysOurs), nil
	case j.kind == ledger.Orphan:
		return q.orphan(ctx, &j)
	case j.kind == ledger.Review:
		return stays(StaysReview), nil
	case j.kind != "":
		return stays(j.reason), nil
	case !j.row.Remote:
		return stays(StaysLocal), nil
	case !prunable(j.row.Class):
		return stays(StaysLasts), nil
	}
	return q.fate(ctx, j.row)
}

func stays(reason string) Prospect { return Prospect{Verdict: ProspectStays, Reason: reason} }

// orphan tells what prune has left from what is nobody's.
func (q *Inquiry) orphan(ctx context.Context, j *judged) (Prospect, error) {
	left, err := findBegun(ctx, q.Clearings)
	if err != nil {
		return Prospect{}, err
	}
	p, err := media.Parse(j.object.Key)
	if err != nil {
		return Prospect{}, err
	}
	pruned, err := left.has(ctx, p)
	if pruned {
		return Prospect{Verdict: ProspectCleared}, err
	}
	return Prospect{Verdict: ProspectOrphan, Reason: j.reason}, err
}

// fate asks what becomes of a row whose files come back by themselves.
func (q *Inquiry) fate(ctx context.Context, r *media.Row) (Prospect, error) {
	fates, err := q.DB.Fates(ctx, q.Rule, map[media.Class][]int64{r.Class: {r.ID}})
	if err != nil {
		return Prospect{}, fmt.Errorf("%w: what may be cleared: %w", ErrRows, err)
	}
	f, ok := fates[r.Class][r.ID]
	if !ok { // it went between the two questions
		return Prospect{Verdict: ProspectOrphan, Reason: string(media.RowGone)}, nil
	}
	p := Prospect{Verdict: ProspectMayGo, Reason: string(f.Keep), Class: r.Class, ID: r.ID, Since: f.Since, Week: monday(f.Since), Bytes: f.Bytes}
	if f.Keep != "" {
		p.Verdict = ProspectStays
	}
	if f.Keep == mastodon.KeepYoung {
		p.Until, err = q.ripe(ctx, r)
	}
	return p, err
}

// ripe is when a row will be as old as the rule wants, if nobody touches it again.
func (q *Inquiry) ripe(ctx context.Context, r *media.Row) (time.Time, error) {
	changed, err := q.DB.Changed(ctx, r.Class, r.ID)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: how old the row is: %w", ErrRows, err)
	}
	if changed.IsZero() {
		return changed, nil
	}
	before := q.Rule.Before
	if r.Class == media.PreviewCards {
		before = q.Rule.CardsBefore
	}
	return changed.Add(q.Now.Sub(before)), nil
}

// monday is the first day of the ISO week that t is in, as the order of pruning has it.
func monday(t time.Time) time.Time {
	const day = 24 * time.Hour
	return time.Unix(0, 0).UTC().Add(4*day + time.Duration(week(t))*7*day)
}
