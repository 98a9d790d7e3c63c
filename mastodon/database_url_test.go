package mastodon

import (
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"
	"pgregory.net/rapid"
)

func TestParseDatabaseURL(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]params{
		"postgresql://":                             {},
		"postgres:///m":                             {"dbname": "m"},
		"postgres://u:p@h:1/m":                      {"user": "u", "password": "p", "host": "h", "port": "1", "dbname": "m"},
		"postgres://u@h":                            {"user": "u", "host": "h"},
		"postgres://u:a:b@c@h/m":                    {"user": "u", "password": "a:b@c", "host": "h", "dbname": "m"},
		"postgres://u:%2F%3f%23+%25@h/m%2fn":        {"user": "u", "password": "/?#+%", "host": "h", "dbname": "m/n"},
		"postgres://[::1]:5433/m":                   {"host": "::1", "port": "5433", "dbname": "m"},
		"postgres://[::1]/m":                        {"host": "::1", "dbname": "m"},
		"postgres://%2Frun%2Fpostgresql/m":          {"host": "/run/postgresql", "dbname": "m"},
		"postgres://a:1,b:2/m":                      {"host": "a,b", "port": "1,2", "dbname": "m"},
		"postgres://a,b/m":                          {"host": "a,b", "dbname": "m"},
		"postgres:///m?host=/run/pg&port=6":         {"host": "/run/pg", "port": "6", "dbname": "m"},
		"postgres://h/m?host=x&host=y":              {"host": "y", "dbname": "m"},
		"postgres://h/m?host=":                      {"host": "h", "dbname": "m"},
		"postgres://h/m?username=u&database=d":      {"host": "h", "user": "u", "dbname": "d"},
		"postgres://h?sslmode=verify-full&pool=5":   {"host": "h", "sslmode": "verify-full"},
		"postgres://h?sslrootcert=%2Fx&sslmode=":    {"host": "h", "sslrootcert": "/x"},
		"postgres://h?options=-c%20search_path%3Da": {"host": "h", "options": "-c search_path=a"},
		"postgres://h?schema_search_path=a,b":       {"host": "h", "search_path": "a,b"},
		"postgres://h?prepared_statements=false":    {"host": "h"},
		"postgres://h?password=%C3%A4%27%5C":        {"host": "h", "password": `ä'\`},
	} {
		got, reason := parseDatabaseURL(raw)
		if diff := cmp.Diff(want, got); diff != "" || reason != "" {
			t.Errorf("%s: %s\n%s", raw, reason, diff)
		}
	}
}

func TestParseDatabaseURLRefuses(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"":                            "begin",
		"m":                           "begin",
		"mysql://h/m":                 "begin",
		"host=h dbname=m":             "begin",
		"postgres:h":                  "begin",
		"postgres://h/m ":             "space",
		"postgres://h/m\n":            "space",
		"postgres://u:p#q@h/m":        "#",
		"postgres://u:p/q@h/m":        "too many",
		"postgres://u:1/q@h/m":        "too many",
		"postgres://u:1/q@h":          "too many",
		"postgres://u:1?q@h/m":        "parameter",
		"postgres://u:1?q=@h/m":       "parameter",
		"postgres://h:x/m":            "port",
		"postgres://h:0/m":            "port",
		"postgres://h:65536/m":        "port",
		"postgres://h:-1/m":           "port",
		"postgres://h/m?port=x":       "port",
		"postgres://u:100%@h/m":       "hexadecimal",
		"postgres://h/m?password=%":   "hexadecimal",
		"postgres://u:%00@h/m":        "%00",
		"postgres://h/m?sslcrl=/x":    "parameter",
		"postgres://h/m?service=x":    "parameter",
		"postgres://h/m?passfile=/x":  "parameter",
		"postgres://h/m?sslmode":      "parameter",
		"postgres://h/m?&":            "parameter",
		"postgres://h/m?gssencmode=x": "parameter",
	} {
		if p, reason := parseDatabaseURL(raw); !strings.Contains(reason, want) || reason == "" || p != nil {
			t.Errorf("%q: %v, %q", raw, p, reason)
		}
	}
}

// What pgx reads in a URL that is written as it should be, we read too.
func TestParseDatabaseURLAsPgx(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringN(1, 8, 16).Filter(func(s string) bool { return !strings.Contains(s, "\x00") })
		user, password, name := text.Draw(t, "user"), text.Draw(t, "password"), text.Draw(t, "name")
		host := rapid.SampledFrom([]string{"h.example", "127.0.0.1", "[::1]", "%2Frun%2Fpostgresql"}).Draw(t, "host")
		port := rapid.IntRange(1, 65535).Draw(t, "port")
		raw := "postgresql://" + escaped(user) + ":" + escaped(password) + "@" + host + ":" + strconv.Itoa(port) + "/" + escaped(name) + "?sslmode=disable"
		got, reason := parseDatabaseURL(raw)
		want, err := pgconn.ParseConfig(raw)
		if err != nil {
			t.Fatal(err)
		}
		diff := cmp.Diff(params{
			"user": want.User, "password": want.Password, "host": want.Host, "port": strconv.Itoa(int(want.Port)),
			"dbname": want.Database, "sslmode": "disable",
		}, got)
		if diff != "" || reason != "" {
			t.Fatalf("%s: %s\n%s", raw, reason, diff)
		}
		again, err := pgconn.ParseConfig(got.closed().String())
		if err != nil || again.User != user || again.Password != password || again.Database != name || again.Host != want.Host || again.Port != want.Port {
			t.Fatalf("%v: %v", got, err)
		}
	})
}

// escaped writes every special character as %XX, the space too.
func escaped(s string) string {
	return strings.NewReplacer("+", "%20", "~", "%7E").Replace(url.QueryEscape(s))
}

func FuzzParseDatabaseURL(f *testing.F) {
	f.Add("postgres://u:p@h:1,[::1]:2/m?sslmode=require&host=%2Fx")
	f.Add("postgresql://u:%20@%2Frun/m?options=-c%20a%3Db&pool=1")
	f.Fuzz(func(t *testing.T, raw string) {
		p, reason := parseDatabaseURL(raw)
		if (p == nil) == (reason == "") {
			t.Fatalf("%v, %q", p, reason)
		}
		for key, value := range p {
			if value == "" || strings.ContainsRune(value, 0) {
				t.Errorf("%s is %q", key, value)
			}
		}
		if reason == "" && p["sslrootcert"]+p["sslcert"]+p["sslkey"]+p["sslcertmode"]+p["channel_binding"]+p["require_auth"] == "" {
			p["sslmode"] = "disable"
			p["user"] = "u" // else the name of whoever runs this
			c, err := pgconn.ParseConfig(p.closed().String())
			if err == nil && c.Password != p["password"] {
				t.Errorf("password %q became %q", p["password"], c.Password)
			}
		}
	})
}
