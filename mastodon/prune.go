package mastodon

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"example.org/mediamove/media"
)

// A PruneRule says how old a copy has to be before it may go. The zero value lets
// nothing go.
type PruneRule struct {
	// Before: attachments whose created_at and updated_at are both before it.
	// Mastodon sets created_at anew when it fetches a file again
	// (app/controllers/media_proxy_controller.rb).
	Before time.Time
	// CardsBefore: preview cards whose updated_at is before it.
	CardsBefore time.Time
	// Lost: the files of these rows are not in the bucket any more, so that no
	// interaction of local users keeps the columns: Mastodon fetches a file again
	// only once they are empty. The time of an attachment's file, file_updated_at,
	// has to be before Before too; NULL is old. Of attachments only.
	Lost bool
}

// A Fate says whether the files of a row may be cleared.
type Fate struct {
	ID    int64
	Class media.Class
	// Since is what the order of pruning goes by: created_at of an attachment,
	// updated_at of a preview card.
	Since time.Time
	Bytes int64 // as the row says: original and thumbnail
	Keep  Keep  // "" if it may be cleared
}

// A Keep is why a row's files stay.
type Keep string

// The reasons, in the order in which they are looked for: the first that applies
// is the one that is given. A preview card is only ever young or without a file.
const (
	KeepLocal       Keep = "local"                   // no remote_url, or not of an account of another server
	KeepNoFile      Keep = "no file"                 // cleared before, or never fetched
	KeepUnfetchable Keep = "cannot be fetched again" // in no post, or its domain is blocked with reject_media: media_proxy serves neither
	KeepProcessing  Keep = "processing"              // not complete, or failed
	KeepYoung       Keep = "young"                   // not yet as old as the rule wants
	KeepFavourited  Keep = "favourited"              // by a local account
	KeepBookmarked  Keep = "bookmarked"              // by anybody: only local users can
	KeepBoosted     Keep = "boosted"                 // by a local post
	KeepRepliedTo   Keep = "replied to"              // by a local post
	KeepQuoted      Keep = "quoted"                  // by a local post, or quoting one
	KeepPinned      Keep = "pinned"                  // by a local account
	KeepReported    Keep = "reported"                // to the moderators, by anybody
	KeepOriginGone  Keep = "origin gone"             // its server is among unavailable_domains
	KeepDiscarded   Keep = "discarded"               // the post was removed by a moderator, who may still look at it
	KeepSuspended   Keep = "suspended"               // the account: its media is hidden, and not fetched
)

// Cleared is what a row was before its columns are set to NULL.
type Cleared struct {
	ID    int64
	Class media.Class
	Row   media.Row
	// Columns are exactly those that [Database.Clear] sets to NULL, as a JSON
	// object from their names to their values: what [Database.Restore] needs.
	Columns json.RawMessage
}

// Usage is what the columns *_file_size of one table add up to, as
// `tootctl media usage` does it: originals and thumbnails only, whatever is in
// the bucket.
type Usage struct {
	Local, Remote Claim
}

// A Claim is one part of a [Usage].
type Claim struct {
	Rows  int64 // with a file
	Bytes int64
}

// Fates says of each of these rows whether it may be cleared; an id that has no
// row is absent. Classes other than media_attachments and preview_cards are an
// error. All is read as by [Database.Rows]: complete, or an error, which is a
// [*ShapeError] if a table that only prune needs is missing here.
func (d *Database) Fates(ctx context.Context, rule PruneRule, ids map[media.Class][]int64) (map[media.Class]map[int64]Fate, error) {
	if err := cmp.Or(d.prunes(ids), rule.covers(slices.Collect(maps.Keys(ids))...)); err != nil {
		return nil, err
	}
	var fates map[media.Class]map[int64]Fate
	err := d.read(ctx, "ask what may be pruned", func() []query {
		fates = make(map[media.Class]map[int64]Fate, len(ids))
		queries := []query{uncompiled()}
		for _, p := range d.shape.pruning.tables {
			wanted, asked := ids[p.class]
			if !asked {
				continue
			}
			fates[p.class] = make(map[int64]Fate, len(wanted))
			if len(wanted) > 0 {
				queries = append(queries, query{sql: p.fatesBy(rule), args: []argument{int8Array(wanted), rule.before(p.class)}, row: fateInto(p.class, fates[p.class])})
			}
		}
		return queries
	})
	if err != nil {
		return nil, err
	}
	return fates, nil
}

// uncompiled switches PostgreSQL's compiler off for the transaction: it takes ten
// times as long over one of these queries as the query does.
func uncompiled() query {
	return query{sql: "SELECT pg_catalog.set_config('jit', 'off', true)", one: true, row: func([][]byte) error { return nil }}
}

// before is the rule's time for a class.
func (r PruneRule) before(class media.Class) argument {
	if class == media.PreviewCards {
		return timestampArgument(r.CardsBefore)
	}
	return timestampArgument(r.Before)
}

// fateInto returns a function that reads one fate.
func fateInto(class media.Class, fates map[int64]Fate) func(v [][]byte) error {
	known := map[string]Keep{"": ""}
	for _, k := range keeps() {
		known[string(k.keep)] = k.keep
	}
	return func(v [][]byte) error {
		if len(v) != 4 {
			return fmt.Errorf("%s answered with %d columns", class, len(v))
		}
		id, err1 := integer(v[0])
		since, err2 := timestamp(v[1])
		bytes, err3 := integer(v[2])
		keep, ok := known[string(v[3])]
		if _, twice := fates[id]; twice || !ok || v[3] == nil {
			return fmt.Errorf("%s answered nonsense about id %d", class, id)
		}
		fates[id] = Fate{ID: id, Class: class, Since: since, Bytes: bytes, Keep: keep}
		return cmp.Or(err1, err2, err3)
	}
}

// prunes says why these classes can't be pruned.
func (d *Database) prunes(ids map[media.Class][]int64) error {
	if d.shape.pruning.missing != nil {
		return d.shape.pruning.missing
	}
	for class := range ids {
		if _, err := d.prunable(class); err != nil {
			return err
		}
	}
	return nil
}

// prunable finds a class's statements.
func (d *Database) prunable(class media.Class) (*prunable, error) {
	if d.shape.pruning.missing != nil {
		return nil, d.shape.pruning.missing
	}
	for i, p := range d.shape.pruning.tables {
		if p.class == class {
			return &d.shape.pruning.tables[i], nil
		}
	}
	return nil, fmt.Errorf("prune %q: %w", class, errNeverPruned)
}

var errNeverPruned = errors.New("its files are never pruned")

// Touched returns which of these attachments have to do with a local user: those
// that [KeepFavourited] to [KeepReported] apply to, whatever else does. It
// is for rows that are cleared already, which [Database.Fates] says no more of.
func (d *Database) Touched(ctx context.Context, ids []int64) ([]int64, error) {
	if d.shape.pruning.missing != nil {
		return nil, d.shape.pruning.missing
	}
	var touched []int64
	err := d.read(ctx, "ask what local users have touched", func() []query {
		touched = nil
		return []query{uncompiled(), {sql: d.shape.pruning.touched, args: []argument{int8Array(ids)}, row: idInto(&touched)}}
	})
	if err != nil {
		return nil, err
	}
	return touched, nil
}

func idInto(ids *[]int64) func(v [][]byte) error {
	return func(v [][]byte) error {
		id, err := integer(v[0])
		*ids = append(*ids, id)
		return err
	}
}
