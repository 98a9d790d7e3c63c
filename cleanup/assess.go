package cleanup

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// BindPercent is the share of the rows' required objects that must be in the bucket
// before database and bucket are bound: less is another instance's database, or a move
// that has not ended. Orphans do not lower it.
const BindPercent = 90

// A Catalog is every row that owns files.
type Catalog interface {
	Classes() []media.Class
	All(ctx context.Context, c media.Class) iter.Seq2[media.Row, error]
}

// Scratch sorts two lists that come in no common order.
type Scratch interface {
	Add(ctx context.Context, l ledger.Loose) error
	Sorted(ctx context.Context) iter.Seq2[ledger.Loose, error]
}

// A Match is how well the database and the bucket fit together.
type Match struct {
	Rows     int64     // that own files
	Required int64     // objects that these rows need
	Present  int64     // of these in the bucket
	Example  media.Key // one that is not; "" if all are
}

// Percent is the share of required objects that are there; 0 without any.
func (m *Match) Percent() float64 {
	if m.Required == 0 {
		return 0
	}
	return 100 * float64(m.Present) / float64(m.Required)
}

// Fits reports whether the two may be bound.
func (m *Match) Fits() bool { return m.Required > 0 && m.Present*100 >= m.Required*BindPercent }

// Assess takes the listing from a [Survey]'s scan, and holds what the rows require
// against it.
type Assess struct {
	Catalog Catalog
	Scratch Scratch
	match   Match
}

// Each notes an object of the listing; it is meant for [Survey.Each].
func (a *Assess) Each(ctx context.Context, o r2.Object) error {
	if o.Key.Reserved() || o.Key.Private() {
		return nil
	}
	return a.Scratch.Add(ctx, ledger.Loose{Side: ledger.InBucket, Key: o.Key, Object: ledger.ListedObject{Key: o.Key, Size: o.Size, ETag: o.ETag}})
}

// Match reads all rows after the listing has come to its end.
func (a *Assess) Match(ctx context.Context) (*Match, error) {
	for _, class := range a.Catalog.Classes() {
		for row, err := range a.Catalog.All(ctx, class) {
			if err != nil {
				return nil, fmt.Errorf("read the rows of %s: %w", class, err)
			}
			a.match.Rows++
			for k := range row.Required() {
				if err := a.Scratch.Add(ctx, ledger.Loose{Side: ledger.OnDisk, Key: k, File: media.File{Key: k}}); err != nil {
					return nil, err
				}
			}
		}
	}
	return &a.match, a.compare(ctx)
}

// compare goes through groups of keys that are one object in R2.
func (a *Assess) compare(ctx context.Context) error {
	var name string
	var wanted, there bool
	var example media.Key
	count := func() {
		if !wanted {
			return
		}
		a.match.Required++
		if there {
			a.match.Present++
		} else if a.match.Example == "" {
			a.match.Example = example
		}
	}
	for l, err := range a.Scratch.Sorted(ctx) {
		if err != nil {
			return errors.Join(errors.New("compare rows and bucket"), err)
		}
		if n := media.Normal(string(l.Key)); n != name {
			count()
			name, wanted, there = n, false, false
		}
		switch l.Side {
		case ledger.InBucket:
			there = true
		default:
			wanted, example = true, l.Key
		}
	}
	count()
	return nil
}
