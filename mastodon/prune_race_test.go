package mastodon_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"example.org/mediamove/fixtures/pgtest"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
)

// warm is a database with people that tests share, as long as they don't change its
// tables or look at all rows.
var warm struct {
	once sync.Once
	pgtest.Instance
	base atomic.Int64
}

// seed makes n copies that may go in a database that others use as well.
func seed(t *testing.T, n int) (*cache, []int64) {
	t.Helper()
	warm.once.Do(func() {
		warm.Instance = shared.Cluster(t).Create(t, "4.6")
		newCache(t, warm.Instance)
	})
	c := &cache{warm.Instance, connect(t, warm.Instance), warm.base.Add(1_000_000)}
	return c, c.fill(t, n)
}

// fill adds n copies that may go.
func (c *cache) fill(t *testing.T, n int) []int64 {
	t.Helper()
	ids := make([]int64, n)
	for i := range ids {
		id, err := c.add(t.Context(), old())
		if err != nil {
			t.Fatal(err)
		}
		ids[i] = id
	}
	return ids
}

// TestPruneAlone are those that need a database of their own, one after the other.
func TestPruneAlone(t *testing.T) {
	t.Parallel()
	c := newCache(t, shared.Cluster(t).Create(t, "4.6"))
	t.Run("usage", func(t *testing.T) { usage(t, c) })
	t.Run("does not wait", func(t *testing.T) { clearDoesNotWait(t, c) })
	t.Run("favourited meanwhile", func(t *testing.T) { clearFavouritedMeanwhile(t, c) })
	t.Run("time zone and bouncer", func(t *testing.T) { clearFarAway(t, c) })
	t.Run("other database", func(t *testing.T) { clearOtherDatabase(t, c) })
	t.Run("refused", func(t *testing.T) { pruneRefused(t, c) })
}

func snapshot(t *testing.T, d *mastodon.Database, ids ...int64) []mastodon.Cleared {
	t.Helper()
	rows, err := d.Snapshot(t.Context(), attachments(ids...))
	if err != nil || len(rows) != len(ids) {
		t.Fatal(rows, err)
	}
	return rows
}

func named(t *testing.T, c *cache, id int64) bool {
	t.Helper()
	var is bool
	if err := c.conn.QueryRow(t.Context(), "SELECT file_file_name IS NOT NULL FROM media_attachments WHERE id = $1", id).Scan(&is); err != nil {
		t.Fatal(err)
	}
	return is
}

// What has happened between the snapshot and the UPDATE is respected.
func TestClearAfterChange(t *testing.T) {
	t.Parallel()
	c, ids := seed(t, 9)
	d := open(t, c.Instance)
	rows := snapshot(t, d, ids...)
	for i, sql := range []string{
		"UPDATE media_attachments SET file_file_name = 'again.png', created_at = now() WHERE id = $1",
		"UPDATE media_attachments SET file_file_name = 'again.png' WHERE id = $1",
		"UPDATE media_attachments SET thumbnail_file_name = 'new.jpeg' WHERE id = $1",
		"UPDATE media_attachments SET processing = 1 WHERE id = $1",
		"UPDATE media_attachments SET remote_url = '' WHERE id = $1",
		"DELETE FROM media_attachments WHERE id = $1",
		"INSERT INTO favourites (status_id, account_id, created_at, updated_at) SELECT $1, id, now(), now() FROM accounts WHERE username = 'here'",
		"UPDATE media_attachments SET updated_at = now() WHERE id = $1",
	} {
		c.Exec(t, sql, ids[i])
	}
	cleared, err := d.Clear(t.Context(), pruneRule, media.MediaAttachments, rows)
	if err != nil || !slices.Equal(cleared, ids[8:]) {
		t.Errorf("%v of %v, %v", cleared, ids, err)
	}
	if again, err := d.Clear(t.Context(), pruneRule, media.MediaAttachments, rows); err != nil || len(again) != 0 {
		t.Errorf("a second time: %v, %v", again, err)
	}
}

// A row that somebody is changing is passed over at once.
func clearDoesNotWait(t *testing.T, c *cache) {
	ids := c.fill(t, 2)
	d := open(t, c.Instance)
	rows := snapshot(t, d, ids...)
	tx, err := c.conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "UPDATE media_attachments SET description = 'x' WHERE id = $1", ids[0]); err != nil {
		t.Fatal(err)
	}
	cleared, err := d.Clear(t.Context(), pruneRule, media.MediaAttachments, rows)
	if err != nil || !slices.Equal(cleared, ids[1:]) {
		t.Errorf("%v, %v", cleared, err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	release := lock(t, c.Instance, "media_attachments") // as a migration does
	defer release()
	began := time.Now()
	_, err = d.Clear(t.Context(), pruneRule, media.MediaAttachments, rows)
	if _, ok := errors.AsType[*mastodon.DatabaseError](err); !ok || time.Since(began) > 30*time.Second {
		t.Errorf("%v after %s", err, time.Since(began))
	}
}

// A favourite that is committed while the UPDATE is under way, which does not see
// it, counts all the same; one that is rolled back does not. The trigger holds the
// UPDATE up where that happens.
func clearFavouritedMeanwhile(t *testing.T, c *cache) {
	ids := c.fill(t, 3)
	c.ExecAdmin(t, `CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN NEW; END';
		CREATE TRIGGER hold BEFORE UPDATE ON media_attachments FOR EACH ROW EXECUTE FUNCTION hold()`)
	d := open(t, c.Instance)
	rows := snapshot(t, d, ids...)
	if _, err := c.conn.Exec(t.Context(), "SELECT pg_advisory_lock(7)"); err != nil {
		t.Fatal(err)
	}
	type answer struct {
		cleared []int64
		err     error
	}
	done := make(chan answer, 1)
	go func() {
		cleared, err := d.Clear(t.Context(), pruneRule, media.MediaAttachments, rows)
		done <- answer{cleared, err}
	}()
	c.waits(t)
	favourite := "INSERT INTO favourites (status_id, account_id, created_at, updated_at) VALUES ($1, $2, now(), now())"
	c.Exec(t, favourite, ids[0], personID("here"))
	c.Exec(t, favourite, ids[1], personID("there"))
	if _, err := c.conn.Exec(t.Context(), "SELECT pg_advisory_unlock(7)"); err != nil {
		t.Fatal(err)
	}
	got := <-done
	if slices.Sort(got.cleared); got.err != nil || !slices.Equal(got.cleared, ids[1:]) {
		t.Errorf("%v of %v, %v", got.cleared, ids, got.err)
	}
	for i, id := range ids {
		if named(t, c, id) != (i == 0) {
			t.Errorf("%d: named %v", i, i != 0)
		}
	}
	if touched, err := d.Touched(t.Context(), ids); err != nil || !slices.Equal(touched, ids[:1]) {
		t.Errorf("touched %v, %v", touched, err)
	}
}

// waits returns when a query of ours waits for a lock.
func (c *cache) waits(t *testing.T) {
	t.Helper()
	for range 1000 {
		var n int
		err := c.conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_sleep(0.01), pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'mediamove' AND datname = $1", c.Name).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			return
		}
	}
	t.Fatal("nothing waits")
}

// A cutter breaks a line where the command to commit an UPDATE passes: before it
// or after it.
type cutter struct {
	net.Conn
	mode    *atomic.Int32 // 0: whole; 1: cut before COMMIT; 2: after
	updated atomic.Bool
	dead    atomic.Bool
}

func (c *cutter) Write(b []byte) (int, error) {
	if c.updated.Load() && bytes.Contains(b, []byte("COMMIT")) && c.mode.Load() != 0 {
		if c.mode.Swap(0) == 2 {
			_, _ = c.Conn.Write(b)
			_, _ = c.Conn.Read(make([]byte, 1000)) // the answer: without it, the query may yet be cancelled
		}
		c.dead.Store(true)
		return len(b), nil
	}
	if bytes.Contains(b, []byte("UPDATE ")) {
		c.updated.Store(true)
	}
	return c.Conn.Write(b)
}

func (c *cutter) Read(b []byte) (int, error) {
	if c.dead.Load() {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := c.Conn.Read(b)
	if c.dead.Load() {
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

// When the answer to COMMIT is lost, the rows themselves say what came of it.
func TestClearCommitLost(t *testing.T) {
	t.Parallel()
	for mode, name := range map[int32]string{1: "before it came", 2: "after"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, ids := seed(t, 2)
			cut := new(atomic.Int32)
			d := openWith(t, mastodon.DatabaseOptions{Settings: settings(t, c.Instance), Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := new(net.Dialer).DialContext(ctx, network, addr)
				return &cutter{Conn: conn, mode: cut}, err
			}})
			rows := snapshot(t, d, ids...)
			cut.Store(mode)
			cleared, err := d.Clear(t.Context(), pruneRule, media.MediaAttachments, rows)
			if slices.Sort(cleared); err != nil || len(cleared) != map[int32]int{1: 0, 2: 2}[mode] || cut.Load() != 0 {
				t.Errorf("%v, %v", cleared, err)
			}
			for _, id := range ids {
				if named(t, c, id) == (mode == 2) {
					t.Errorf("%d is not as Clear has said", id)
				}
			}
			if mode == 1 {
				return
			}
			cut.Store(mode)
			if ok, err := d.Restore(t.Context(), rows[0]); !ok || err != nil || cut.Load() != 0 || !named(t, c, ids[0]) {
				t.Errorf("restored: %v, %v", ok, err)
			}
		})
	}
}

// Columns that somebody gave a time zone, sessions that live in another one, and a
// pooler between that hands over somebody else's.
func clearFarAway(t *testing.T, c *cache) {
	ids := c.fill(t, 40)
	c.ExecAdmin(t, "SET TimeZone = 'UTC'; ALTER TABLE media_attachments ALTER created_at TYPE timestamptz, ALTER updated_at TYPE timestamptz, ALTER file_updated_at TYPE timestamptz")
	through := shared.Cluster(t).Bouncer(t, c.Instance)
	d := openWith(t, mastodon.DatabaseOptions{Settings: settings(t, through), MaxConns: 4})
	for range 4 {
		through.Exec(t, "SET search_path = pg_temp; SET DateStyle = 'German'; SET TimeZone = 'Asia/Tokyo'; SET default_transaction_isolation = 'serializable'")
	}
	before := everything(t, c.conn, ids)
	fates, err := d.Fates(t.Context(), pruneRule, attachments(ids...))
	for _, f := range fates[media.MediaAttachments] {
		if f.Keep != "" || !f.Since.Equal(pruneRule.Before.Add(-time.Hour)) || err != nil {
			t.Errorf("%+v, %v", f, err)
		}
	}
	var g errgroup.Group
	for part := range slices.Chunk(ids, 10) {
		g.Go(func() error {
			rows, err := d.Snapshot(t.Context(), attachments(part...))
			if err != nil {
				return err
			}
			cleared, err := d.Clear(t.Context(), pruneRule, media.MediaAttachments, rows)
			if err != nil || len(cleared) != 10 {
				return fmt.Errorf("%v, %w", cleared, err)
			}
			for _, row := range rows {
				if ok, err := d.Restore(t.Context(), row); !ok || err != nil {
					return fmt.Errorf("%v, %w", ok, err)
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, everything(t, c.conn, ids)); diff != "" {
		t.Error(diff)
	}
}

// In another database nothing is changed, even where the same rows are.
func clearOtherDatabase(t *testing.T, c *cache) {
	ids := c.fill(t, 1)
	d := open(t, c.Instance)
	rows := snapshot(t, d, ids...)
	_ = c.conn.Close(context.WithoutCancel(t.Context()))
	kick(t, c.Instance)
	other := look(t)
	other.ExecAdmin(t, "ALTER DATABASE "+c.Name+" RENAME TO "+c.Name+"_old")
	other.ExecAdmin(t, "CREATE DATABASE "+c.Name+" TEMPLATE "+c.Name+"_old OWNER mastodon")
	cleared, err := d.Clear(t.Context(), pruneRule, media.MediaAttachments, rows)
	if !errors.Is(err, mastodon.ErrOtherDatabase) || cleared != nil {
		t.Errorf("%v, %v", cleared, err)
	}
	if c.conn, err = pgx.Connect(context.WithoutCancel(t.Context()), c.DSN); err != nil {
		t.Fatal(err)
	}
	if !named(t, c, ids[0]) {
		t.Error("it was cleared there")
	}
}

// Restore leaves alone what is not as Clear left it.
func TestRestoreRefused(t *testing.T) {
	t.Parallel()
	c, ids := seed(t, 5)
	d := open(t, c.Instance)
	rows := snapshot(t, d, ids...)
	if cleared, err := d.Clear(t.Context(), pruneRule, media.MediaAttachments, rows); err != nil || len(cleared) != 5 {
		t.Fatal(cleared, err)
	}
	for i, sql := range []string{
		"UPDATE media_attachments SET file_file_name = 'again.png' WHERE id = $1",
		"DELETE FROM media_attachments WHERE id = $1",
		"UPDATE media_attachments SET remote_url = '' WHERE id = $1",
		"UPDATE media_attachments SET account_id = NULL WHERE id = $1",
	} {
		c.Exec(t, sql, ids[i])
		if ok, err := d.Restore(t.Context(), rows[i]); ok || err != nil {
			t.Errorf("%s: %v, %v", sql, ok, err)
		}
	}
	for _, columns := range []string{"", "[]", "null", `{"file_file_name":"a.png"}`, `{"remote_url":""}`} {
		wrong := rows[4]
		wrong.Columns = []byte(columns)
		if ok, err := d.Restore(t.Context(), wrong); ok || err == nil {
			t.Errorf("%q: %v", columns, ok)
		}
		if cleared, err := d.Clear(t.Context(), pruneRule, media.MediaAttachments, []mastodon.Cleared{wrong}); len(cleared) > 0 || err == nil {
			t.Errorf("%q: %v", columns, cleared)
		}
	}
	if ok, err := d.Restore(t.Context(), rows[4]); !ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
}

// What is never pruned is refused before anything is asked, and so is a database
// without a table that prune must know; other commands go on there.
func pruneRefused(t *testing.T, c *cache) {
	ids := c.fill(t, 1)
	d := open(t, c.Instance)
	rows := snapshot(t, d, ids...)
	for _, class := range []media.Class{media.Accounts, media.CustomEmojis, media.SiteUploads, media.Backups, media.Outside} {
		_, err1 := d.Fates(t.Context(), pruneRule, map[media.Class][]int64{class: {1}})
		_, err2 := d.Snapshot(t.Context(), map[media.Class][]int64{class: {1}})
		_, err3 := d.Clear(t.Context(), pruneRule, class, []mastodon.Cleared{{ID: 1, Class: class, Columns: rows[0].Columns}})
		_, err4 := d.Restore(t.Context(), mastodon.Cleared{ID: 1, Class: class, Columns: rows[0].Columns})
		if err1 == nil || err2 == nil || err3 == nil || err4 == nil {
			t.Errorf("%q: %v, %v, %v, %v", class, err1, err2, err3, err4)
		}
	}
	if _, err := d.Clear(t.Context(), pruneRule, media.PreviewCards, rows); err == nil {
		t.Error("attachments are cleared as cards")
	}
	if _, err := d.Clear(t.Context(), pruneRule, media.MediaAttachments, slices.Repeat(rows, mastodon.MaxClear+1)); err == nil {
		t.Error("more at once than allowed")
	}
	if cleared, err := d.Clear(t.Context(), mastodon.PruneRule{}, media.MediaAttachments, rows); err != nil || len(cleared) > 0 {
		t.Errorf("a rule without a time: %v, %v", cleared, err)
	}
	c.Exec(t, "DROP TABLE reports")
	other := open(t, c.Instance)
	_, err := other.Fates(t.Context(), pruneRule, attachments(ids...))
	if shape, ok := errors.AsType[*mastodon.ShapeError](err); !ok || shape.Table != "reports" {
		t.Errorf("%v", err)
	}
	if _, err := other.Rows(t.Context(), attachments(ids...)); err != nil {
		t.Error(err)
	}
}

func usage(t *testing.T, c *cache) {
	c.fill(t, 2) // 2147483647 bytes each
	for _, x := range []copied{{account: "here", file: "a.png", thumbnail: true}, {account: "there", file: "-"}, {remoteURL: "x", file: "a.png"}} {
		if _, err := c.add(t.Context(), x); err != nil {
			t.Fatal(err)
		}
	}
	c.Exec(t, `UPDATE accounts SET avatar_file_name = 'a', avatar_file_size = 5, header_file_size = 7 WHERE id = $1`, personID("there"))
	c.Exec(t, `UPDATE accounts SET header_file_name = 'a', header_file_size = 11 WHERE id = $1`, personID("here"))
	got, err := open(t, c.Instance).Usage(t.Context())
	if err != nil || len(got) != 6 {
		t.Fatal(got, err)
	}
	const size = 1<<31 - 1
	for class, want := range map[media.Class]mastodon.Usage{
		media.MediaAttachments: {Local: mastodon.Claim{Rows: 1, Bytes: size + 10}, Remote: mastodon.Claim{Rows: 3, Bytes: 4 * (size + 10)}},
		media.Accounts:         {Local: mastodon.Claim{Rows: 1, Bytes: 11}, Remote: mastodon.Claim{Rows: 1, Bytes: 12}},
		media.PreviewCards:     {},
	} {
		if got[class] != want {
			t.Errorf("%s: %+v", class, got[class])
		}
	}
}
