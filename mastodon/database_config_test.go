package mastodon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"
)

// A target is what a connection is made to.
type target struct{ host, user, password, database, tls string }

func targets(c *pgconn.Config) []target {
	mode := func(f *pgconn.FallbackConfig) string {
		switch {
		case f.TLSConfig == nil:
			return "plain"
		case !f.TLSConfig.InsecureSkipVerify:
			return "full " + f.TLSConfig.ServerName
		case f.TLSConfig.VerifyPeerCertificate != nil:
			return "ca"
		}
		return "any"
	}
	var all []target
	for _, f := range append([]*pgconn.FallbackConfig{{Host: c.Host, Port: c.Port, TLSConfig: c.TLSConfig}}, c.Fallbacks...) {
		all = append(all, target{fmt.Sprintf("%s:%d", f.Host, f.Port), c.User, c.Password, c.Database, mode(f)})
	}
	return all
}

func resolve(t *testing.T, environ ...string) Settings {
	t.Helper()
	s, err := Resolve(Sources{Environ: environ})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// As config/database.yml, and as Rails merges DATABASE_URL into it.
func TestPoolConfig(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		environ []string
		want    []target
	}{
		{"nothing set", nil, []target{{"localhost:5432", "mastodon", "", "mastodon_production", "any"}, {"localhost:5432", "mastodon", "", "mastodon_production", "plain"}}},
		{
			"everything",
			[]string{"DB_HOST=db.example", "DB_PORT=6432", "DB_NAME=m", "DB_USER=u", `DB_PASS=p 'q\`, "DB_SSLMODE=verify-full"},
			[]target{{"db.example:6432", "u", `p 'q\`, "m", "full db.example"}},
		},
		{"a socket", []string{"DB_HOST=/run/postgresql", "DB_SSLMODE=require"}, []target{{"/run/postgresql:5432", "mastodon", "", "mastodon_production", "plain"}}},
		{"no TLS", []string{"DB_SSLMODE=disable"}, []target{{"localhost:5432", "mastodon", "", "mastodon_production", "plain"}}},
		{"TLS with anybody", []string{"DB_SSLMODE=require"}, []target{{"localhost:5432", "mastodon", "", "mastodon_production", "any"}}},
		{"no name but the user's", []string{"DB_NAME=", "DB_SSLMODE=disable"}, []target{{"localhost:5432", "mastodon", "", "mastodon", "plain"}}},
		{"no port but the usual", []string{"DB_PORT=", "DB_SSLMODE=disable"}, []target{{"localhost:5432", "mastodon", "", "mastodon_production", "plain"}}},
		{
			"a URL wins, part by part",
			[]string{"DATABASE_URL=postgres://v@other:1", "DB_HOST=h", "DB_PORT=2", "DB_NAME=m", "DB_USER=u", "DB_PASS=p", "DB_SSLMODE=disable"},
			[]target{{"other:1", "v", "p", "m", "plain"}},
		},
		{
			"a URL with TLS",
			[]string{"DATABASE_URL=postgres://u:p@other/m?sslmode=verify-ca", "DB_SSLMODE=disable"},
			[]target{{"other:5432", "u", "p", "m", "ca"}},
		},
		{"replicas are left alone", []string{"DB_SSLMODE=disable", "REPLICA_DB_HOST=r", "REPLICA_DATABASE_URL=postgres://r/r"}, []target{{"localhost:5432", "mastodon", "", "mastodon_production", "plain"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := DatabaseOptions{Settings: resolve(t, tt.environ...)}.poolConfig()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, targets(&c.ConnConfig.Config), cmp.AllowUnexported(target{})); diff != "" {
				t.Error(diff)
			}
			if c.MaxConns != 3 || c.ConnConfig.StatementCacheCapacity != 0 || c.ConnConfig.ConnectTimeout.Seconds() != 15 {
				t.Errorf("%+v", c)
			}
		})
	}
}

func TestPoolConfigEmptyHostIsTheSocket(t *testing.T) {
	t.Parallel()
	c, err := DatabaseOptions{Settings: resolve(t, "DB_HOST=", "DB_USER=")}.poolConfig()
	if err != nil || c.ConnConfig.Host == "localhost" || c.ConnConfig.User == "" || c.ConnConfig.User == "mastodon" {
		t.Errorf("%v, %v", c, err)
	}
}

func TestPoolConfigSession(t *testing.T) {
	t.Parallel()
	c, err := DatabaseOptions{MaxConns: 7, Settings: resolve(t, "DATABASE_URL=postgres://h/m?schema_search_path=x&options=-c%20a%3Db&application_name=y")}.poolConfig()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"client_encoding": "UTF8", "application_name": "mediamove", "search_path": "x", "options": "-c a=b"}
	if diff := cmp.Diff(want, c.ConnConfig.RuntimeParams); diff != "" || c.MaxConns != 7 {
		t.Error(diff)
	}
}

// libpq's variables and files would lead a tool that deletes to another database
// than Mastodon's. Not parallel: it sets the environment.
func TestPoolConfigTakesNothingFromTheEnvironment(t *testing.T) {
	o := DatabaseOptions{Settings: resolve(t, "DB_HOST=h", "DB_SSLMODE=verify-ca")}
	before, err := o.poolConfig()
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	t.Setenv("HOME", home)
	for name, text := range map[string]string{
		".pgpass": "*:*:*:*:stolen\n", ".pg_service.conf": "[x]\nhost=stolen\n",
		".postgresql/root.crt": "none", ".postgresql/postgresql.crt": "none", ".postgresql/postgresql.key": "none",
	} {
		path := filepath.Join(home, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range map[string]string{
		"PGHOST": "stolen", "PGPORT": "1", "PGDATABASE": "stolen", "PGUSER": "stolen", "PGPASSWORD": "stolen", "PGPASSFILE": home + "/.pgpass",
		"PGAPPNAME": "stolen", "PGCONNECT_TIMEOUT": "1", "PGSSLMODE": "disable", "PGSSLKEY": "/none", "PGSSLCERT": "/none", "PGSSLCERTMODE": "require",
		"PGSSLSNI": "0", "PGSSLROOTCERT": "/none", "PGSSLPASSWORD": "stolen", "PGSSLNEGOTIATION": "direct", "PGTARGETSESSIONATTRS": "standby",
		"PGSERVICEFILE": home + "/.pg_service.conf", "PGTZ": "stolen", "PGOPTIONS": "-c search_path=stolen", "PGMINPROTOCOLVERSION": "3.2",
		"PGMAXPROTOCOLVERSION": "3.2", "PGCHANNELBINDING": "disable", "PGREQUIREAUTH": "none",
	} {
		t.Setenv(name, value)
	}
	after, err := o.poolConfig()
	if err != nil {
		t.Fatal(err)
	}
	for _, diff := range []string{
		cmp.Diff(targets(&before.ConnConfig.Config), targets(&after.ConnConfig.Config), cmp.AllowUnexported(target{})),
		cmp.Diff(before.ConnConfig.RuntimeParams, after.ConnConfig.RuntimeParams),
		cmp.Diff(negotiated(&before.ConnConfig.Config), negotiated(&after.ConnConfig.Config)),
	} {
		if diff != "" {
			t.Error(diff)
		}
	}
	t.Setenv("PGSERVICE", "x")
	if _, err := o.poolConfig(); err == nil || !strings.Contains(err.Error(), "PGSERVICE") {
		t.Errorf("a service: %v", err)
	}
}

func negotiated(c *pgconn.Config) []any {
	return []any{
		c.ConnectTimeout, c.SSLNegotiation, c.SSLCertMode, c.MinProtocolVersion, c.MaxProtocolVersion, c.ChannelBinding, c.RequireAuth,
		c.TLSConfig.ServerName, c.TLSConfig.RootCAs == nil, len(c.TLSConfig.Certificates), fmt.Sprintf("%p", c.ValidateConnect),
	}
}

// Wherever in a broken setting the password is, no error shows any of it.
func TestPoolConfigErrorsShowNoSecret(t *testing.T) {
	t.Parallel()
	const secret = "kanarienvogel"
	for _, environ := range [][]string{
		{"DATABASE_URL=" + secret},
		{"DATABASE_URL=postgres://u:1/" + secret + "@h/m"},
		{"DATABASE_URL=postgres://u:" + secret + "/x@h/m"},
		{"DATABASE_URL=postgres://u:1?" + secret + "=x@h/m"},
		{"DATABASE_URL=postgres://u:%" + secret + "@h/m"},
		{"DATABASE_URL=postgres://u:" + secret + "#@h/m"},
		{"DATABASE_URL=postgres://u:" + secret + "@h/m?sslmode=x"},
		{"DATABASE_URL=postgres://u:" + secret + "@h/m?sslmode=verify-full&sslrootcert=/none"},
		{"DATABASE_URL=postgres://u:" + secret + "@h/m?channel_binding=x"},
		{"DATABASE_URL=postgres://u:" + secret + "@h:x/m"},
		{"DB_PASS=" + secret, "DB_SSLMODE=x"},
		{"DB_PASS=" + secret, "DB_PORT=x"},
		{"DB_PORT=" + secret},
	} {
		_, err := DatabaseOptions{Settings: resolve(t, environ...)}.poolConfig()
		if err == nil {
			t.Errorf("%v: no error", environ)
		}
		for ; err != nil; err = errors.Unwrap(err) {
			if text := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(text, secret) {
				t.Errorf("%v: %s", environ, text)
			}
		}
	}
}
