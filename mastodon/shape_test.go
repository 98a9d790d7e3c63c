package mastodon_test

import (
	"errors"
	"strings"
	"testing"

	"example.org/mediamove/fixtures/pgtest"
	"example.org/mediamove/mastodon"
)

// What is not Mastodon as we know it is refused, with the place named. Each change
// is taken back before the next.
func TestShapeRefused(t *testing.T) {
	t.Parallel()
	in := shared.Cluster(t).Create(t, "4.6")
	for _, tt := range []struct{ name, change, back, table, column string }{
		{
			"a new table with an attachment", "CREATE TABLE collections (id bigint, cover_file_name varchar)", "DROP TABLE collections",
			"collections", "cover_file_name",
		},
		{
			"a view on something else", "ALTER TABLE site_uploads RENAME TO old; CREATE VIEW site_uploads AS SELECT * FROM old WHERE false",
			"DROP VIEW site_uploads; ALTER TABLE old RENAME TO site_uploads", "site_uploads", "",
		},
		{
			"a table of another schema", "CREATE SCHEMA other; ALTER TABLE custom_emojis SET SCHEMA other; ALTER DATABASE CURRENT SET search_path = public, other",
			"ALTER TABLE other.custom_emojis SET SCHEMA public", "custom_emojis", "",
		},
		{"a column that is gone", "ALTER TABLE accounts RENAME domain TO host", "ALTER TABLE accounts RENAME host TO domain", "accounts", "domain"},
		{"another application", "DROP SCHEMA public CASCADE; CREATE SCHEMA public", "SELECT 1", "media_attachments", ""},
	} {
		change(t, in, tt.change)
		d, err := mastodon.OpenDatabase(t.Context(), mastodon.DatabaseOptions{Settings: settings(t, in)})
		if err == nil {
			d.Close()
		}
		shape, ok := errors.AsType[*mastodon.ShapeError](err)
		if !ok || shape.Table != tt.table || shape.Column != tt.column || shape.Reason == "" {
			t.Errorf("%s: %v", tt.name, err)
		}
		change(t, in, tt.back)
	}
}

// change runs statements as superuser; CURRENT stands for the database's name.
func change(t *testing.T, in pgtest.Instance, sql string) {
	t.Helper()
	in.ExecAdmin(t, strings.ReplaceAll(sql, "CURRENT", in.Name))
}

// What does not matter does not refuse. The changes add up.
func TestShapeAccepted(t *testing.T) {
	t.Parallel()
	in := shared.Cluster(t).Create(t, "4.6")
	cards(t, in)
	for _, sql := range []string{
		"ALTER TABLE accounts ADD COLUMN local_only bool, ADD COLUMN file_names varchar; CREATE TABLE doodles (id bigint, file_name_ text)",
		"ALTER TABLE accounts ALTER avatar_updated_at TYPE timestamptz, ALTER avatar_file_size TYPE bigint, ALTER avatar_file_name TYPE text",
		"CREATE VIEW recent AS SELECT file_file_name AS x_file_name FROM media_attachments",
		"CREATE SCHEMA old; CREATE TABLE old.covers (cover_file_name varchar)",
		`ALTER TABLE preview_card_providers RENAME TO part; CREATE TABLE preview_card_providers (LIKE part) PARTITION BY RANGE (id);
			ALTER TABLE preview_card_providers ATTACH PARTITION part DEFAULT`,
		`ALTER SCHEMA public RENAME TO "a ""b"" C"; CREATE SCHEMA public; ALTER DATABASE CURRENT SET search_path = nowhere, "a ""b"" C"`,
	} {
		change(t, in, sql)
		if err := asked(t.Context(), open(t, in)); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
}
