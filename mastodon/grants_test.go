package mastodon_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"example.org/mediamove/fixtures/pgtest"
	"example.org/mediamove/mastodon"
)

// grant runs docs/grants.sql, and lets both roles log in.
func grant(t *testing.T, in pgtest.Instance) {
	t.Helper()
	sql, err := os.ReadFile("../docs/grants.sql")
	if err != nil {
		t.Fatal(err)
	}
	in.ExecAdmin(t, string(sql))
	in.ExecAdmin(t, "ALTER ROLE mediamove_read LOGIN; ALTER ROLE mediamove_prune LOGIN")
}

// as connects with one of the roles.
func as(t *testing.T, in pgtest.Instance, role string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), strings.Replace(in.DSN, "user="+pgtest.Owner, "user="+role, 1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func testGrants(t *testing.T, in pgtest.Instance, want mastodon.Rows) {
	t.Helper()
	in.Exec(t, `UPDATE media_attachments SET account_id = CASE WHEN id = 111111111111111111 THEN -99 ELSE 1 END`)
	grant(t, in)
	grant(t, in) // as after an upgrade
	t.Run("read", func(t *testing.T) { grantsRead(t, in, want) })
	t.Run("prune", func(t *testing.T) { grantsPrune(t, in, want) })
}

// forbidden is refused to both roles, whatever the session's settings.
var forbidden = []string{
	"SELECT * FROM users", "SELECT encrypted_password FROM users", "SELECT email FROM users", "SELECT id FROM users",
	"SELECT * FROM accounts", "SELECT private_key FROM accounts", "SELECT * FROM media_attachments", "SELECT description FROM media_attachments",
	"SELECT text FROM statuses", "SELECT * FROM backups", "SELECT value FROM settings",
	"UPDATE media_attachments SET file_file_name = NULL", "UPDATE media_attachments SET file_file_name = NULL WHERE remote_url <> ''",
	"UPDATE accounts SET avatar_file_name = NULL", "UPDATE preview_cards SET image_file_name = NULL", "UPDATE users SET email = ''",
	"DELETE FROM media_attachments", "DELETE FROM preview_cards", "DELETE FROM accounts", "DELETE FROM statuses",
	"TRUNCATE preview_cards", "INSERT INTO preview_cards (id, url, created_at, updated_at) VALUES (9, 'x', now(), now())",
	"CREATE TABLE mine (id int)", "CREATE TABLE mediamove.mine (id int)", "CREATE SCHEMA mine", "CREATE ROLE mine",
	"DROP TABLE accounts", "DROP VIEW mediamove.remote_media", "ALTER TABLE accounts ADD COLUMN mine int",
	"DELETE FROM mediamove.remote_media", "DELETE FROM mediamove.preview_cards",
	"INSERT INTO mediamove.preview_cards (id) VALUES (9)", "INSERT INTO mediamove.remote_media (id) VALUES (9)",
	"UPDATE mediamove.remote_media SET remote_url = ''", "UPDATE mediamove.remote_media SET id = 5", "UPDATE mediamove.remote_media SET processing = 2",
	"UPDATE mediamove.preview_cards SET id = 5", "UPDATE mediamove.preview_cards SET updated_at = now()",
	"SET ROLE mastodon", "ALTER ROLE mediamove_read SUPERUSER", "GRANT ALL ON accounts TO mediamove_prune",
}

func refused(t *testing.T, conn *pgx.Conn, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		tag, err := conn.Exec(t.Context(), sql)
		if pe, ok := errors.AsType[*pgconn.PgError](err); !ok || pe.Code != "42501" {
			t.Errorf("%s: %s, %v", sql, tag, err)
		}
	}
}

func grantsRead(t *testing.T, in pgtest.Instance, want mastodon.Rows) {
	readable(t, in.With(map[string]string{"DB_USER": "mediamove_read"}), want)
	conn := as(t, in, "mediamove_read")
	if _, err := conn.Exec(t.Context(), "CREATE TEMP TABLE mine (id int); UPDATE accounts SET domain = ''"); err == nil {
		t.Error("it may write")
	}
	var readOnly string
	if err := conn.QueryRow(t.Context(), "SHOW default_transaction_read_only").Scan(&readOnly); err != nil || readOnly != "on" {
		t.Errorf("read only %q, %v", readOnly, err)
	}
	if _, err := conn.Exec(t.Context(), "SET default_transaction_read_only = off"); err != nil { // the rights must do it alone
		t.Fatal(err)
	}
	refused(t, conn, forbidden...)
	refused(t, conn, "SELECT id FROM mediamove.remote_media", "UPDATE mediamove.remote_media SET file_file_name = NULL")
}

func grantsPrune(t *testing.T, in pgtest.Instance, want mastodon.Rows) {
	readable(t, in.With(map[string]string{"DB_USER": "mediamove_prune"}), want)
	conn := as(t, in, "mediamove_prune")
	refused(t, conn, forbidden...)
	const media8 = `file_file_name = NULL, file_content_type = NULL, file_file_size = NULL, file_updated_at = NULL,
		thumbnail_file_name = NULL, thumbnail_content_type = NULL, thumbnail_file_size = NULL, thumbnail_updated_at = NULL`
	for _, tt := range []struct {
		name, sql string
		rows      int64
	}{
		{"a remote row", "UPDATE mediamove.remote_media SET " + media8 + " WHERE id = 101 AND file_file_name = 'b.mp4'", 1},
		{"once more, with its old name", "UPDATE mediamove.remote_media SET " + media8 + " WHERE id = 101 AND file_file_name = 'b.mp4'", 0},
		{"put back", "UPDATE mediamove.remote_media SET file_file_name = 'b.mp4' WHERE id = 101 AND file_file_name IS NULL", 1},
		{"a local row", "UPDATE mediamove.remote_media SET " + media8 + " WHERE id = 100", 0},
		{"a remote_url on a local account", "UPDATE mediamove.remote_media SET " + media8 + " WHERE id = 111111111111111111", 0},
		{"a card", "UPDATE mediamove.preview_cards SET image_file_name = NULL, image_content_type = NULL, image_file_size = NULL, image_updated_at = NULL WHERE id = 1", 1},
	} {
		tag, err := conn.Exec(t.Context(), tt.sql)
		if err != nil || tag.RowsAffected() != tt.rows {
			t.Errorf("%s: %s, %v", tt.name, tag, err)
		}
	}
	var visible int
	err := conn.QueryRow(t.Context(), "SELECT count(*) FROM mediamove.remote_media WHERE id IN (100, 111111111111111111)").Scan(&visible)
	if err != nil || visible != 0 {
		t.Errorf("%d local rows are visible, %v", visible, err)
	}
	// A condition that fails on a hidden row must not be asked about it.
	if _, err := conn.Exec(t.Context(), "SELECT id FROM mediamove.remote_media WHERE 1 / (CASE id WHEN 100 THEN 0 WHEN 111111111111111111 THEN 0 ELSE 1 END) = 1"); err != nil {
		t.Errorf("hidden rows can be asked for: %v", err)
	}
	in.Exec(t, "UPDATE media_attachments SET account_id = NULL WHERE id = 101")
	if tag, err := conn.Exec(t.Context(), "UPDATE mediamove.remote_media SET file_file_name = NULL"); err != nil || tag.RowsAffected() != 2 {
		t.Errorf("without an account nobody knows whose it is: %s, %v", tag, err) // 102 and the largest id remain
	}
}
