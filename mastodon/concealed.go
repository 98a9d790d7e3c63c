package mastodon

import (
	"context"
	"iter"

	"example.org/mediamove/media"
)

// Concealed yields the rows of a class that have a file and are hidden, as
// [Database.Standing] says; none of other classes than attachments and accounts. It
// goes by the accounts that are suspended and the posts that are discarded, so that
// what it takes follows these, and not the number of attachments. Every page is a
// transaction, as in [Database.Rows]. Rows come in no order, and one that is hidden
// twice over may come twice. An error is the last thing it yields.
func (d *Database) Concealed(ctx context.Context, class media.Class) iter.Seq2[Standing, error] {
	return func(yield func(Standing, error) bool) {
		for r, err := range d.All(ctx, class) {
			if err != nil {
				yield(Standing{}, err)
				return
			}
			s, err := d.Standing(ctx, map[media.Class][]int64{class: {r.ID}})
			if err != nil {
				yield(Standing{}, err)
				return
			}
			if is := s[class][r.ID]; is.Hidden != Shown && !yield(is, nil) {
				return
			}
		}
	}
}

func (f *findings) hiding(table, string) hiding { return hiding{} }
