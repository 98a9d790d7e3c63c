package main

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"example.org/mediamove/fixtures/instance"
	"example.org/mediamove/fixtures/pgtest"
)

// refuses expects of both commands that a guard says no and nothing is changed, however
// little would go.
func (c *cached) refuses(what, reason string, args []string) {
	c.t.Helper()
	for _, command := range []string{"prune", "nightly"} {
		c.intact(what, func() {
			r := c.clean(append([]string{command, "--apply"}, args...)...)
			if r.code != exitRefused || !strings.Contains(r.stderr, reason) || !strings.Contains(r.stderr, "hint: ") {
				c.t.Errorf("%s, %s: want a refusal that says %q, got %v", command, what, reason, r)
			}
		})
	}
}

// Whatever forbids orphans forbids prune: another machine, another ledger, before the
// switch, before bind, without a control.
func TestPruneGuards(t *testing.T) {
	t.Parallel()
	c := newCached(t, instance.Small(41, "4.6"), 20)
	c.plantGone(t, 60, 1000) // more than the last row that goes can free beyond what is needed
	c.posts(c.db, 150, 5*time.Hour)
	args := c.some(10)
	for name, tt := range map[string]struct {
		change func()
		reason string
	}{
		"another domain":   {func() { c.set("LOCAL_DOMAIN", "elsewhere.example") }, "example.com"},
		"another database": {func() { c.use(c.copyOf("staging")) }, "not the database that the bucket is bound to"},
	} {
		c.with(tt.change, func() { c.refuses(name, tt.reason, args) })
		c.alive()
	}
	c.with(func() { c.machine = strings.Repeat("cd", 16) }, func() {
		c.intact("another machine", func() {
			if r := c.clean(append([]string{"prune", "--apply"}, args...)...); r.code != exitRefused || !strings.Contains(r.stderr, "another host") {
				t.Error(r)
			}
		})
	})
	if out := c.prune(exitLeft, append([]string{"--apply"}, args...)...); out.Removed.Objects == 0 || !out.OrphansOver {
		t.Errorf("%+v", out)
	}
	c.whole()

	fresh := &cached{newLiving(t, instance.Small(42, "4.6"), 0)}
	fresh.refuses("unbound", "mediamove bind", []string{"--budget", "250kB"})
}

// A database that is not the live one: nothing is cleared there, and nothing removed.
func TestPruneWrongDatabase(t *testing.T) {
	t.Parallel()
	c := newCached(t, instance.Small(43, "4.6"), 0)
	c.posts(c.db, 150, 5*time.Hour)
	c.full()
	c.night()
	c.full()
	c.posts(c.db, 10, time.Hour)
	args := c.some(10)
	for i, tt := range wrongDatabases()[:6] {
		if tt.early {
			continue
		}
		db := c.copyOf("wrong" + string(rune('a'+i)))
		tt.spoil(c.living, db)
		c.instead(db, func() { c.refuses(tt.name, tt.reason, args) })
		c.alive()
	}
	if out := c.prune(exitLeft, append([]string{"--apply"}, args...)...); out.Removed.Objects == 0 || !out.OrphansOver {
		t.Errorf("%+v", out)
	}
}

// The role of docs/grants.sql is enough for prune and nightly, and can't touch a local
// row, whatever it is asked; the other role refuses, and nothing is lost by it.
func TestPruneRoles(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"4.2", "4.6"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			c := newCached(t, instance.Small(44, version), 0)
			sql, err := os.ReadFile("../../docs/grants.sql")
			if err != nil {
				t.Fatal(err)
			}
			c.db.ExecAdmin(t, string(sql))
			c.db.ExecAdmin(t, "ALTER ROLE mediamove_read LOGIN; ALTER ROLE mediamove_prune LOGIN")
			args := c.some(10)
			c.with(func() { c.set("DB_USER", "mediamove_read") }, func() {
				c.prune(exitOK, args...)
				c.intact("the reading role", func() {
					if r := c.clean(append([]string{"prune", "--apply"}, args...)...); r.code == exitOK || !strings.Contains(r.stderr, "hint: ") {
						t.Error(r)
					}
				})
			})
			c.with(func() { c.set("DB_USER", "mediamove_prune") }, func() {
				before := c.stands()
				out := c.prune(exitOK, append([]string{"--apply"}, args...)...)
				if gone := missing(before, c.stands()); int64(len(gone)) != out.Removed.Objects || len(gone) == 0 {
					t.Errorf("%d are gone: %+v", len(gone), out)
				}
				c.night()
				if r := c.clean(append([]string{"nightly", "--apply"}, c.some(5)...)...); r.code != exitOK {
					t.Error(r)
				}
				c.whole()
			})
			role := c.db
			role.DSN = strings.Replace(role.DSN, "user="+pgtest.Owner, "user=mediamove_prune", 1)
			conn, err := pgx.Connect(t.Context(), role.DSN)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close(t.Context())
			for _, sql := range []string{
				"UPDATE media_attachments SET file_file_name = NULL WHERE remote_url = ''",
				"UPDATE accounts SET avatar_file_name = NULL",
				"UPDATE mediamove.remote_media SET remote_url = ''",
			} {
				_, err := conn.Exec(t.Context(), sql)
				if refused, ok := errors.AsType[*pgconn.PgError](err); !ok || refused.Code != "42501" {
					t.Errorf("%s: %v", sql, err)
				}
			}
			tag, err := conn.Exec(t.Context(), "UPDATE mediamove.remote_media SET file_file_name = NULL WHERE id IN (SELECT id FROM media_attachments WHERE remote_url = '')")
			if err == nil && tag.RowsAffected() != 0 {
				t.Errorf("local rows: %s", tag)
			}
		})
	}
}
