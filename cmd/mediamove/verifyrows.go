package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
	"example.org/mediamove/owner"
)

// openRows opens the database that can tell, after the switch, what was deleted and what is
// lost. It is asked only if it is the one that the bucket is bound to: any other would call
// everything deleted. One that can't be had leaves the run without an answer, and with all
// that needs none.
func (r *verifyReport) openRows(ctx context.Context, mark owner.Mark) error {
	x := r.x
	switch {
	case !x.claim.Switched, !x.settings.NamesDatabase():
		return nil
	case mark.Binding == nil:
		r.unasked = "mediamove bind first"
		return nil
	}
	db, who, err := openBound(ctx, x)
	switch _, typo := errors.AsType[*mastodon.SettingError](err); {
	case typo:
		return err
	case ctx.Err() != nil:
		closeRows(db)
		return context.Cause(ctx)
	case err != nil:
		if hint := typedHint(err); hint != "" {
			err = fmt.Errorf("%w (%s)", err, hint)
		}
		r.rows = unreachable{err}
		return nil
	case who.Hash() != mark.Binding.Database:
		r.unasked = "the settings name another database than the bucket is bound to"
		closeRows(db)
		return nil
	}
	r.db, r.rows = db, db
	return nil
}

func openBound(ctx context.Context, x *session) (*mastodon.Database, mastodon.Identity, error) {
	db, err := mastodon.OpenDatabase(ctx, mastodon.DatabaseOptions{Settings: x.settings, Log: x.log})
	if err != nil {
		return nil, mastodon.Identity{}, err
	}
	who, err := db.Identity(ctx)
	if err != nil {
		closeRows(db)
		return nil, who, err
	}
	return db, who, nil
}

// closeRows closes a database that may not have been opened.
func closeRows(db *mastodon.Database) {
	if db != nil {
		db.Close()
	}
}

// unreachable is a database that could not be opened.
type unreachable struct{ err error }

func (unreachable) Classes() []media.Class {
	var all []media.Class
	for _, top := range media.TopFolders() {
		all = append(all, media.Class(top))
	}
	return all
}

func (u unreachable) Newest(context.Context) (time.Time, error) { return time.Time{}, u.err }

func (u unreachable) Standing(context.Context, map[media.Class][]int64) (map[media.Class]map[int64]mastodon.Standing, error) {
	return nil, u.err
}
