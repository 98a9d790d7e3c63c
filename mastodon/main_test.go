package mastodon_test

import (
	"sync"
	"testing"

	"go.uber.org/goleak"

	"example.org/mediamove/fixtures/pgtest"
	"example.org/mediamove/mastodon"
)

// shared is the server of all tests that don't stop or break theirs.
var shared = pgtest.NewShared(pgtest.TLS())

// quiet is a database that tests share and only look at: to make one costs most of
// what a test takes. It has 300 preview cards, and a schema in which the table is empty.
var quiet struct {
	once sync.Once
	pgtest.Instance
}

func look(t testing.TB) pgtest.Instance {
	t.Helper()
	quiet.once.Do(func() {
		quiet.Instance = shared.Cluster(t).Create(t, "4.6")
		cards(t, quiet.Instance)
		quiet.Exec(t, "CREATE SCHEMA other; CREATE TABLE other.preview_cards (LIKE preview_cards)")
	})
	return quiet.Instance
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(shared.Around(m)) }

// settings are an instance's, as an env file would give them.
func settings(t testing.TB, in pgtest.Instance) mastodon.Settings {
	t.Helper()
	var environ []string
	for name, value := range in.Settings {
		environ = append(environ, name+"="+value)
	}
	s, err := mastodon.Resolve(mastodon.Sources{Environ: environ})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// open opens an instance's database, and closes it with the test.
func open(t testing.TB, in pgtest.Instance) *mastodon.Database {
	t.Helper()
	return openWith(t, mastodon.DatabaseOptions{Settings: settings(t, in)})
}

func openWith(t testing.TB, o mastodon.DatabaseOptions) *mastodon.Database {
	t.Helper()
	d, err := mastodon.OpenDatabase(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}
