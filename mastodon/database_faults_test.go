package mastodon_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"

	"example.org/mediamove/fixtures/pgtest"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
)

// cards fills in 300 rows.
func cards(t testing.TB, in pgtest.Instance) {
	t.Helper()
	in.Exec(t, `INSERT INTO preview_cards (id, url, image_file_name, created_at, updated_at) SELECT n, n, n || '.png', now(), now() FROM generate_series(1, 300) n`)
}

// aboutCards is a question about them, with an answer of several packets.
func aboutCards() (ids map[media.Class][]int64, want mastodon.Rows) {
	ids, want = map[media.Class][]int64{}, mastodon.Rows{media.PreviewCards: {}}
	for id := range int64(300) {
		ids[media.PreviewCards] = append(ids[media.PreviewCards], id+1)
		want[media.PreviewCards][id+1] = media.Row{
			Class: media.PreviewCards, ID: id + 1, Remote: true, Files: []media.Filed{{Attachment: "images", Name: fmt.Sprintf("%d.png", id+1)}},
		}
	}
	return ids, want
}

// asked asks it, and all must be answered.
func asked(ctx context.Context, d *mastodon.Database) error {
	ids, want := aboutCards()
	got, err := d.Rows(ctx, ids)
	if err != nil {
		return err
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return errors.New(diff)
	}
	return nil
}

// kick ends all connections to an instance, as a restart of the server does.
func kick(t *testing.T, in pgtest.Instance) {
	t.Helper()
	in.ExecAdmin(t, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'mediamove' AND datname = $1", in.Name)
}

// A replica is no primary, whichever way one comes to it; of several hosts the
// primary is found; and a replica that becomes the primary goes on as the database
// that was opened.
func TestReplica(t *testing.T) {
	t.Parallel()
	primary := pgtest.Start(t) // small, and so is its replica
	in := primary.Create(t, "4.6")
	replica := primary.Replica(t)
	there := in.On(replica)
	if _, err := mastodon.OpenDatabase(t.Context(), mastodon.DatabaseOptions{Settings: settings(t, there)}); !errors.Is(err, mastodon.ErrReplica) {
		t.Errorf("a replica: %v", err)
	}
	var gone atomic.Bool
	d := openWith(t, mastodon.DatabaseOptions{
		Settings: settings(t, in.With(map[string]string{
			"DB_HOST": there.Settings["DB_HOST"] + "," + in.Settings["DB_HOST"],
			"DB_PORT": there.Settings["DB_PORT"] + "," + in.Settings["DB_PORT"],
		})),
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if gone.Load() && strings.HasPrefix(addr, primary.Socket()) {
				return nil, &net.OpError{Op: "dial", Err: errors.New("the primary is gone")}
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
	})
	gone.Store(true)
	kick(t, in)
	if _, err := d.Counts(t.Context()); !errors.Is(err, mastodon.ErrReplica) {
		t.Errorf("only the replica is left: %v", err)
	}
	replica.Promote(t)
	if _, err := d.Counts(t.Context()); err != nil {
		t.Errorf("the replica has become the primary: %v", err)
	}
}

func TestDatabaseMadeAnew(t *testing.T) {
	t.Parallel()
	in, elsewhere := shared.Cluster(t).Create(t, "4.6"), look(t)
	d := open(t, in)
	kick(t, in)
	elsewhere.ExecAdmin(t, "DROP DATABASE "+in.Name)
	elsewhere.ExecAdmin(t, "CREATE DATABASE "+in.Name+" OWNER mastodon")
	if _, err := d.Rows(t.Context(), map[media.Class][]int64{media.Accounts: {1}}); !errors.Is(err, mastodon.ErrOtherDatabase) {
		t.Errorf("%v", err)
	}
}

// A line breaks: after so many bytes the server is silent for good.
type line struct {
	net.Conn
	left *atomic.Int64 // bytes that may still be read; negative: all
}

func (l line) Read(b []byte) (int, error) {
	left := l.left.Load()
	if left == 0 {
		return 0, io.EOF
	}
	if left > 0 {
		b = b[:min(int64(len(b)), left)]
	}
	n, err := l.Conn.Read(b)
	if left > 0 {
		l.left.Add(-int64(n))
	}
	return n, err
}

// breaking opens a database over a line that breaks later.
func breaking(t *testing.T, s mastodon.Settings, log *slog.Logger) (d *mastodon.Database, left *atomic.Int64, mended *atomic.Bool) {
	t.Helper()
	left, mended = new(atomic.Int64), new(atomic.Bool)
	left.Store(-1)
	return openWith(t, mastodon.DatabaseOptions{Settings: s, MaxConns: 1, Log: log, Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if mended.Load() {
			return conn, err
		}
		return line{conn, left}, err
	}}), left, mended
}

// Wherever the answer is cut, it is asked for again, or an error: never half.
func TestCutAnswer(t *testing.T) {
	t.Parallel()
	s := settings(t, look(t))
	var g errgroup.Group
	for cut := int64(1); cut < 24_000; cut = cut*3/2 + 40 {
		g.Go(func() error {
			d, left, mended := breaking(t, s, nil)
			left.Store(cut)
			mended.Store(true)
			if err := asked(t.Context(), d); err != nil {
				t.Errorf("cut at %d: %v", cut, err)
			}
			if whole := left.Load() > 0; whole != (cut > 20_000) {
				t.Errorf("the line was not cut where it should be: %d of %d left", left.Load(), cut)
			}
			return nil
		})
	}
	_ = g.Wait()
	var logged bytes.Buffer
	d, left, _ := breaking(t, s, slog.New(slog.NewTextHandler(&logged, nil)))
	left.Store(4000) // and every time again
	ids, _ := aboutCards()
	got, err := d.Rows(t.Context(), ids)
	if de, ok := errors.AsType[*mastodon.DatabaseError](err); !ok || de.Op != "read rows" || got != nil {
		t.Errorf("%v, %v", got, err)
	}
	if strings.Count(logged.String(), "trying again") != 2 || strings.Contains(logged.String(), pgtest.Password) {
		t.Errorf("logged:\n%s", &logged)
	}
}

func TestServerRestarts(t *testing.T) {
	t.Parallel()
	in := shared.Cluster(t).Create(t, "4.6")
	cards(t, in)
	d := open(t, in)
	for range 3 {
		kick(t, in)
		if err := asked(t.Context(), d); err != nil {
			t.Error(err)
		}
	}
}

// lock holds a table until the test ends or it is called.
func lock(t *testing.T, in pgtest.Instance, table string) (release func()) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), in.DSN)
	if err != nil {
		t.Fatal(err)
	}
	release = func() { _ = conn.Close(context.WithoutCancel(t.Context())) }
	t.Cleanup(release)
	if _, err := conn.Exec(t.Context(), "BEGIN; LOCK "+table); err != nil {
		t.Fatal(err)
	}
	return release
}

func TestSlowServerAndRowSecurity(t *testing.T) {
	t.Parallel()
	in := shared.Cluster(t).Create(t, "4.6")
	cards(t, in)
	ids, _ := aboutCards()
	d := openWith(t, mastodon.DatabaseOptions{Settings: settings(t, in), Timeout: 50 * time.Millisecond, MaxConns: 1})
	release := lock(t, in, "preview_cards")
	began := time.Now()
	_, err := d.Rows(t.Context(), ids)
	if de, ok := errors.AsType[*mastodon.DatabaseError](err); !ok || de.Hint == "" || time.Since(began) > 10*time.Second {
		t.Errorf("%v after %s", err, time.Since(began))
	}
	patient := open(t, in)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if rows, err := patient.Rows(ctx, ids); !errors.Is(err, context.Canceled) || rows != nil {
		t.Errorf("called off: %v, %v", rows, err)
	}
	release()
	if err := asked(t.Context(), patient); err != nil {
		t.Error(err)
	}
	// Row security would make rows look as if they were gone.
	in.Exec(t, "ALTER TABLE preview_cards ENABLE ROW LEVEL SECURITY; ALTER TABLE preview_cards FORCE ROW LEVEL SECURITY; CREATE POLICY few ON preview_cards USING (id < 10)")
	if rows, err := patient.Rows(t.Context(), ids); err == nil {
		t.Errorf("%d rows", len(rows[media.PreviewCards]))
	}
}

// Behind a pooler in transaction mode, each transaction may meet another server
// process, in whatever state another client has left it.
func TestBouncer(t *testing.T) {
	t.Parallel()
	c, in := shared.Cluster(t), look(t)
	through := c.Bouncer(t, in)
	d := openWith(t, mastodon.DatabaseOptions{Settings: settings(t, through), MaxConns: 6})
	for range 4 { // both of its connections
		through.Exec(t, "SET search_path = other; SET DateStyle = 'German'; SET TimeZone = 'Asia/Tokyo'")
	}
	g, ctx := errgroup.WithContext(t.Context())
	for range 6 {
		g.Go(func() error {
			for range 20 {
				if err := asked(ctx, d); err != nil {
					return err
				}
				n := 0
				for _, err := range d.All(ctx, media.PreviewCards) {
					if err != nil {
						return err
					}
					n++
				}
				if n != 300 {
					return fmt.Errorf("%d rows", n)
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	c, in := shared.Cluster(t), look(t)
	_, port, err := net.SplitHostPort(c.Addr(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		host, params string
		mode         string // DB_SSLMODE
		encrypted    string // "" if it is refused
	}{
		{"localhost", "sslmode=verify-full&sslrootcert=" + c.CA(), "", "true"},
		{"localhost", "sslrootcert=" + c.CA(), "verify-full", "true"},
		{"127.0.0.1", "sslmode=verify-full&sslrootcert=" + c.CA(), "", ""}, // the certificate has no such name
		{"127.0.0.1", "sslmode=verify-ca&sslrootcert=" + c.CA(), "", "true"},
		{"localhost", "sslmode=verify-full", "", ""}, // signed by nobody we know
		{"localhost", "sslmode=verify-ca", "", ""},
		{"127.0.0.1", "", "require", "true"},
		{"127.0.0.1", "", "", "true"},
		{"127.0.0.1", "sslmode=allow", "", "false"},
		{"127.0.0.1", "", "disable", "false"},
	} {
		t.Run(tt.host+tt.mode+strings.ReplaceAll(tt.params, c.CA(), "CA"), func(t *testing.T) {
			s := settings(t, in)
			s.DBSSLMode = tt.mode
			s.DatabaseURL = mastodon.Secret("postgresql://" + tt.host + ":" + port + "?" + tt.params)
			d, err := mastodon.OpenDatabase(t.Context(), mastodon.DatabaseOptions{Settings: s})
			if tt.encrypted == "" {
				if de, ok := errors.AsType[*mastodon.DatabaseError](err); !ok || !strings.Contains(de.Hint, "sslmode") {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			admin, err := pgx.Connect(t.Context(), in.Admin)
			if err != nil {
				t.Fatal(err)
			}
			defer admin.Close(context.WithoutCancel(t.Context()))
			var ssl string
			err = admin.QueryRow(t.Context(), "SELECT string_agg(ssl::text, ' ') FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'mediamove' AND client_addr IS NOT NULL AND datname = $1", in.Name).Scan(&ssl)
			if err != nil || ssl != tt.encrypted {
				t.Errorf("TLS: %s, %v", ssl, err)
			}
		})
	}
}

// What goes wrong when connecting comes with advice, and never with a password.
func TestConnectErrors(t *testing.T) {
	t.Parallel()
	const secret = "kanarienvogel"
	c, in := shared.Cluster(t), look(t)
	host, port, err := net.SplitHostPort(c.Addr(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		set  map[string]string
		hint string
	}{
		{"wrong password", map[string]string{"DB_HOST": host, "DB_PORT": port, "DB_PASS": secret}, "DB_PASS"},
		{"no such role", map[string]string{"DB_USER": "nobody", "DB_PASS": secret}, "DB_USER"},
		{"no such database", map[string]string{"DB_NAME": "nothing", "DB_PASS": secret}, "DB_NAME"},
		{"no socket", map[string]string{"DB_HOST": t.TempDir(), "DB_PASS": secret}, "DB_HOST"},
		{"nobody listens", map[string]string{"DB_HOST": "127.0.0.1", "DB_PORT": "1", "DB_PASS": secret}, "DB_HOST"},
		{"no such host", map[string]string{"DB_HOST": "nowhere.invalid", "DB_PASS": secret}, "DB_HOST"},
		{"URL", map[string]string{"DATABASE_URL": "postgres://u:" + secret + "@" + host + ":" + port + "/m"}, "DATABASE_URL"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := mastodon.OpenDatabase(t.Context(), mastodon.DatabaseOptions{Settings: settings(t, in.With(tt.set))})
			de, ok := errors.AsType[*mastodon.DatabaseError](err)
			if !ok || !strings.Contains(de.Hint, tt.hint) {
				t.Errorf("%v: %+v", err, de)
			}
			if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
				t.Error("it holds the configuration, and the password with it")
			}
			for ; err != nil; err = errors.Unwrap(err) {
				if text := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(text, secret) {
					t.Errorf("%s", text)
				}
			}
		})
	}
}
