package mastodon

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"example.org/mediamove/media"
)

const (
	defaultConns            = 3
	defaultStatementTimeout = 60 * time.Second // Mastodon's own, config/database.yml of 3.x
)

// DatabaseOptions say which database to open, and how much of it to use.
type DatabaseOptions struct {
	// Settings name the database, as Mastodon's config/database.yml reads them.
	Settings Settings
	MaxConns int           // connections at once; 0: 3
	Timeout  time.Duration // of one statement, kept by the server, in whole milliseconds; 0: 60 s
	Log      *slog.Logger  // nil: no log
	// Dial connects; nil: the network. For tests.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// A Database is one instance's PostgreSQL, read only. It is safe for many
// goroutines.
type Database struct {
	pool    *pgxpool.Pool
	opened  serverIdentity
	domain  string
	timeout time.Duration
	log     *slog.Logger
	shape   shape
}

// An Identity tells one database from every other, a restored dump and
// staging's on another server included. Two servers that were copied file by
// file have the same one.
type Identity struct {
	System string // system_identifier of the cluster, which initdb makes up
	Name   string // current_database()
	Domain string // LOCAL_DOMAIN of the settings
}

// Hash is what may be shown of an identity where everybody can read it: hex
// SHA-256 over a labelled encoding in which no two identities are alike.
func (i Identity) Hash() string {
	h := sha256.New()
	h.Write([]byte("mediamove.database/1\n"))
	for _, part := range []string{i.System, i.Name, i.Domain} {
		fmt.Fprintf(h, "%d:%s\n", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// OpenDatabase connects to the primary and finds out which of Mastodon's tables
// and columns it has. Variables of libpq such as PGHOST and PGSSLMODE, ~/.pgpass
// and service files are not consulted. Errors: [*DatabaseError], [*SettingError]
// for a setting that can't be read, [*ShapeError], [ErrReplica].
func OpenDatabase(ctx context.Context, o DatabaseOptions) (*Database, error) {
	config, err := o.poolConfig()
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, databaseError("prepare for the database", err)
	}
	d := &Database{
		pool: pool, domain: o.Settings.LocalDomain,
		timeout: cmp.Or(o.Timeout, defaultStatementTimeout),
		log:     cmp.Or(o.Log, slog.New(slog.DiscardHandler)),
	}
	var found findings
	// No second try: a wrong host name should say so at once.
	if err := d.attempt(ctx, found.queries()); err != nil {
		pool.Close()
		return nil, databaseError("open the database", err)
	}
	if d.shape, err = found.shape(); err != nil {
		pool.Close()
		return nil, err
	}
	return d, nil
}

// Close ends all connections.
func (d *Database) Close() { d.pool.Close() }

// Identity asks the server who it is: the one that was opened, or an error.
func (d *Database) Identity(ctx context.Context) (Identity, error) {
	if err := d.read(ctx, "ask for the database's identity", func() []query { return nil }); err != nil {
		return Identity{}, err
	}
	return Identity{System: d.opened.system, Name: d.opened.name, Domain: d.domain}, nil
}

// Counts returns the exact number of rows of each table that [Database.Rows] can
// ask, by its name. The private classes are not among them: their rows come and
// go by themselves, and no object is judged by them.
func (d *Database) Counts(ctx context.Context) (map[string]int64, error) {
	var counts map[string]int64
	err := d.read(ctx, "count rows", func() []query {
		counts = make(map[string]int64, len(d.shape.tables))
		queries := make([]query, len(d.shape.tables))
		for i, t := range d.shape.tables {
			queries[i] = query{sql: "SELECT pg_catalog.count(*) FROM " + t.name, one: true, row: func(v [][]byte) error {
				n, err := integer(v[0])
				counts[string(t.class)] = n
				return err
			}}
		}
		return queries
	})
	return counts, err
}

// Newest is the time in the newest snowflake among statuses, accounts and
// media_attachments, zero if there is none. Mastodon never makes one for the
// future (lib/mastodon/snowflake.rb); an id of 19 digits is none.
func (d *Database) Newest(ctx context.Context) (time.Time, error) {
	var latest time.Time
	err := d.read(ctx, "look for the newest row", func() []query {
		latest = time.Time{}
		var queries []query
		for _, name := range d.shape.snowflakes {
			queries = append(queries, query{sql: "SELECT pg_catalog.max(id) FROM " + name + " WHERE id < 1000000000000000000", one: true, row: func(v [][]byte) error {
				id, err := integer(v[0])
				if made, ok := (media.Path{ID: id}).Created(); ok && made.After(latest) {
					latest = made
				}
				return err
			}})
		}
		return queries
	})
	return latest, err
}

// Classes lists those that [Database.Rows] can be asked about, in a fixed order:
// their table is here, and they are not private.
func (d *Database) Classes() []media.Class {
	classes := make([]media.Class, len(d.shape.tables))
	for i, t := range d.shape.tables {
		classes[i] = t.class
	}
	return classes
}

// table finds a class's table.
func (d *Database) table(class media.Class) (*table, error) {
	for i, t := range d.shape.tables {
		if t.class == class {
			return &d.shape.tables[i], nil
		}
	}
	return nil, fmt.Errorf("ask the database about %q: %w", class, errNoSuchClass)
}

var errNoSuchClass = errors.New("private, or without a table here")
