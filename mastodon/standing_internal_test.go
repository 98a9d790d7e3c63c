package mastodon

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"

	"example.org/mediamove/media"
)

// dated46 is ready46 with the times of every row.
func dated46() *findings {
	f := ready46()
	for _, m := range models() {
		if t := f.tables[string(m.class)]; t != nil {
			t.columns["created_at"], t.columns["updated_at"] = pgtype.TimestampOID, pgtype.TimestampOID
		}
	}
	return f
}

func (s shape) standing(class media.Class) standing {
	i := slices.IndexFunc(s.tables, func(t table) bool { return t.class == class })
	return s.tables[i].standing
}

// Without a column that only All, Standing and Concealed need, exactly the classes
// that need it are refused, with the place named.
func TestStandingNeedsEverything(t *testing.T) {
	t.Parallel()
	own := []media.Class{media.MediaAttachments, media.Accounts, media.CustomEmojis, media.PreviewCards, media.PreviewCardProviders, media.SiteUploads}
	type need struct {
		table, column string
		by            []media.Class
	}
	needs := []need{
		{"accounts", "suspended_at", []media.Class{media.MediaAttachments, media.Accounts}},
		{"statuses", "deleted_at", own[:1]},
		{"media_attachments", "account_id", own[:1]},
		{"media_attachments", "status_id", own[:1]},
		{"backups", "created_at", nil},
	}
	for _, class := range own {
		needs = append(needs, need{string(class), "created_at", []media.Class{class}}, need{string(class), "updated_at", []media.Class{class}})
	}
	for _, n := range needs {
		for _, other := range []bool{false, true} {
			f := dated46()
			if delete(f.tables[n.table].columns, n.column); other {
				f.tables[n.table].columns[n.column] = pgtype.JSONOID
			}
			s, err := f.shape()
			if err != nil {
				t.Fatal(err)
			}
			for _, class := range own {
				missing := s.standing(class).missing
				is, ok := errors.AsType[*ShapeError](missing)
				if ok != slices.Contains(n.by, class) || ok && (is.Table != n.table || is.Column != n.column) {
					t.Errorf("%s without %s %s: %v", class, n.table, n.column, missing)
				}
			}
		}
	}
}

// No word is left in a statement for lost files, and it goes where the role may go.
func TestLostStatements(t *testing.T) {
	t.Parallel()
	for _, view := range []bool{false, true} {
		f := dated46()
		f.views["remote_media"] = view
		f.tables["media_attachments"].columns["file_updated_at"] = pgtype.TimestamptzOID
		p := f.pruning().tables
		if p[1].lost != (lost{}) {
			t.Errorf("cards: %+v", p[1].lost)
		}
		for _, sql := range []string{p[0].lost.fates, p[0].lost.clear} {
			if strings.ContainsAny(sql, "{}") || strings.Contains(sql, "favourites") || !strings.Contains(sql, "(file_updated_at AT TIME ZONE 'UTC') < $2") {
				t.Error(sql)
			}
		}
		if sql := p[0].lost.clear; strings.Contains(sql, "UPDATE mediamove.") != view || strings.Contains(sql, "UPDATE public.") == view {
			t.Error(sql)
		}
	}
}
