package mastodon

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"os"
	"os/user"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// maxMessage is far beyond any message that we ask for: more is no PostgreSQL.
const maxMessage = 64 << 20

// params are libpq's parameters by its own keywords.
type params map[string]string

// poolConfig says how to connect: DATABASE_URL's parts before DB_*, and those
// before the defaults of config/database.yml, as Rails merges them.
func (o DatabaseOptions) poolConfig() (*pgxpool.Config, error) {
	p, err := o.Settings.databaseParams()
	if err != nil {
		return nil, err
	}
	if os.Getenv("PGSERVICE") != "" { // pgx reads the service file whatever it is told
		return nil, &DatabaseError{"prepare for the database", "unset PGSERVICE: mediamove takes Mastodon's own settings only", errors.New("PGSERVICE is set")}
	}
	config, err := pgxpool.ParseConfig(p.closed().String())
	if err != nil {
		return nil, paramsError(err)
	}
	config.MaxConns = int32(cmp.Or(o.MaxConns, defaultConns))
	c := config.ConnConfig
	c.RuntimeParams = p.session()
	// A pooler in transaction mode hands the next statement to another server
	// process, which knows of no prepared one.
	c.DefaultQueryExecMode, c.StatementCacheCapacity, c.DescriptionCacheCapacity = pgx.QueryExecModeExec, 0, 0
	c.MaxProtocolMessageBodyLen = maxMessage
	if o.Dial != nil {
		c.DialFunc = o.Dial
		c.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	}
	return config, nil
}

// databaseParams merges the settings.
func (s Settings) databaseParams() (params, error) {
	p := params{"connect_timeout": "15"}
	for _, d := range []struct{ name, key, value, unset string }{
		{"DB_HOST", "host", s.DBHost, "localhost"},
		{"DB_PORT", "port", s.DBPort, "5432"},
		{"DB_NAME", "dbname", s.DBName, "mastodon_production"},
		{"DB_USER", "user", s.DBUser, "mastodon"},
		{"DB_PASS", "password", string(s.DBPass), ""},
		{"DB_SSLMODE", "sslmode", s.DBSSLMode, "prefer"},
	} {
		p[d.key] = d.value
		if d.value == "" && s.Source(d.name) == "" {
			p[d.key] = d.unset // an empty one is libpq's default, such as the socket
		}
	}
	if s.DatabaseURL != "" {
		fromURL, reason := parseDatabaseURL(string(s.DatabaseURL))
		if reason != "" {
			return nil, &SettingError{"DATABASE_URL", cmp.Or(s.Source("DATABASE_URL"), "the settings"), reason, "postgresql://user:password@host:5432/database, special characters written as %XX"}
		}
		maps.Copy(p, fromURL)
	}
	if !validPorts(p["port"]) {
		return nil, &SettingError{"DB_PORT", cmp.Or(s.Source("DB_PORT"), "the settings"), "not a port number", ""}
	}
	return p, p.nameUser()
}

// nameUser fills in what libpq takes for an empty user and an empty database.
func (p params) nameUser() error {
	if p["user"] == "" {
		me, err := user.Current()
		if err != nil {
			return &DatabaseError{"find out who runs this", "set DB_USER", err}
		}
		p["user"] = me.Username
	}
	p["dbname"] = cmp.Or(p["dbname"], p["user"])
	return nil
}

// closed adds every other keyword that pgx takes from the environment or the
// home directory, so that it finds none missing there.
func (p params) closed() params {
	all := params{
		"passfile": "", "application_name": "", "connect_timeout": "15", "options": "", "timezone": "",
		"sslkey": "", "sslcert": "", "sslrootcert": "", "sslpassword": "", "sslsni": "1", "sslcertmode": "allow", "sslnegotiation": "",
		"min_protocol_version": "3.0", "max_protocol_version": "3.0", "channel_binding": "prefer", "require_auth": "",
		"target_session_attrs": "primary", // of several hosts the primary
	}
	maps.Copy(all, p)
	return all
}

// session lists what the session begins with. A pooler may refuse parameters
// that it does not know, so there are no more than needed.
func (p params) session() map[string]string {
	session := map[string]string{"client_encoding": "UTF8", "application_name": "mediamove"}
	for _, key := range []string{"options", "search_path"} {
		if p[key] != "" {
			session[key] = p[key]
		}
	}
	return session
}

// String is a connection string; it holds the password.
func (p params) String() string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(p)) {
		b.WriteString(key + "='" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(p[key]) + "' ")
	}
	return b.String()
}

// paramsError keeps the cause only: the rest of pgx's error holds the string.
func paramsError(err error) error {
	cause := errors.New("a parameter has a value that PostgreSQL doesn't know")
	if pe, ok := errors.AsType[*pgconn.ParseConfigError](err); ok {
		cause = cmp.Or(errors.Unwrap(pe), cause)
	}
	return &DatabaseError{"prepare for the database", "check DATABASE_URL and DB_SSLMODE", cause}
}
