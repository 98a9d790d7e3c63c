package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/url"
	"os"
	"slices"
	"time"

	"example.org/mediamove/bench/sink"
	"example.org/mediamove/fixtures/instance"
	"example.org/mediamove/fixtures/pgtest"
	"example.org/mediamove/media"
)

// An estate is a Mastodon instance under measurement: rows in a PostgreSQL, objects
// in the sink, and beside them objects that nobody owns.
type estate struct {
	Settings map[string]string // DB_HOST and so on
	DSN      string            // of the tables' owner
	PID      int               // of PostgreSQL's first process
	Log      string            // file with every statement
	Spec     instance.Spec
	Owned    int            // objects
	Bytes    int64          // of all objects
	Planted  map[string]int // objects that nobody owns, by the kind of instance.Orphan
}

// unowned is how many objects nobody owns.
func (e *estate) unowned() (n int) {
	for _, k := range e.Planted {
		n += k
	}
	return n
}

// populace is an instance that owns nearly that many objects, half of them thumbnails
// and the like: half as many rows are attachments, and a tenth accounts. There are few
// emoji and cards, so that a million objects need no more than these 500,000 and
// 100,000 rows.
func populace(objects int) instance.Spec {
	of := func(rows int) int { return rows * objects / 1_000_000 }
	return instance.Spec{
		Seed: 5, Version: "4.6",
		Attachments: of(500_000), Accounts: of(100_000), Emoji: of(5_000), Cards: of(10_000), SiteUploads: 4, Statuses: of(100_000),
	}
}

// hoard is the same for prune: every attachment has a post of its own, so that asking
// what became of the posts is as much work as it is on an instance, and the median makes
// a million objects 100 GB.
func hoard(objects int) instance.Spec {
	s := populace(objects)
	s.Statuses, s.Median = s.Attachments, 69_300
	return s
}

// runMastodon is the subcommand that makes an estate, prints it as JSON and keeps its
// PostgreSQL running until it is told to end. A process of its own for the reasons of
// [runGentree], and because what it starts shares its core.
func runMastodon(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("bench mastodon", flag.ContinueOnError)
	to := fs.String("sink", "", "`URL` of the sink")
	bucket := fs.String("bucket", "bench", "`NAME` of the bucket in the sink")
	objects := fs.Int("objects", 1_000_000, "objects to put there, those that nobody owns included")
	state := fs.String("state", "", "state `DIR` of a ledger that is to know them all; empty: none")
	cache := fs.Bool("cache", false, "an instance to prune: 100 GB in a million objects, and a post for every attachment; no log of statements")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if *to == "" {
		return errors.New("mastodon needs -sink")
	}
	spec, options := populace(*objects), []pgtest.Option{pgtest.Config("shared_buffers=512MB")} // more than for a test
	if *cache {
		spec = hoard(*objects)
	} else { // every statement goes into the log with its process, without its parameters
		options = append(options, pgtest.Config("log_statement=all"), pgtest.Config("log_parameter_max_length=0"), pgtest.Config("log_line_prefix="+logPrefix))
	}
	server, err := pgtest.Open(ctx, options...)
	if err != nil {
		return err
	}
	defer server.Close()
	e := &estate{PID: server.PID(), Log: server.LogFile(), Spec: spec, Planted: map[string]int{}}
	if err := e.load(ctx, server); err != nil {
		return err
	}
	if err := e.store(ctx, *objects, *to+"/_fill?bucket="+url.QueryEscape(*bucket), *state); err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(e); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// load fills a database.
func (e *estate) load(ctx context.Context, server *pgtest.Cluster) error {
	db, err := server.New(ctx, e.Spec.Version)
	if err != nil {
		return err
	}
	e.Settings, e.DSN = db.Settings, db.DSN
	if err := instance.New(e.Spec).Load(ctx, db.DSN); err != nil {
		return err
	}
	return db.Vacuum(ctx)
}

// store says n objects to the sink, and to a ledger if one is named, as [runFill] does.
func (e *estate) store(ctx context.Context, n int, to, state string) error {
	all := make([]sink.Object, 0, n)
	for o := range e.objects(n) {
		e.Bytes += o.Size
		all = append(all, o)
	}
	if len(all) != n {
		return fmt.Errorf("make an instance: %d objects that are owned and %d that are not, instead of %d", e.Owned, e.unowned(), n)
	}
	order := rand.New(rand.NewPCG(1, 2))
	order.Shuffle(n, func(i, j int) { all[i], all[j] = all[j], all[i] })
	if state != "" {
		if err := fillLedger(ctx, state, time.Now(), files(all)); err != nil {
			return err
		}
	}
	return fillSink(ctx, to, slices.Values(all))
}

// files are those that somebody would have moved to make these objects.
func files(all []sink.Object) iter.Seq[media.File] {
	return func(yield func(media.File) bool) {
		for _, o := range all {
			if !yield(media.File{Key: media.Key(o.Key), Size: o.Size, ModTime: o.At, Mode: 0o644}) {
				return
			}
		}
	}
}

// objects yields n of them: first what rows own, then what nobody does.
func (e *estate) objects(n int) iter.Seq[sink.Object] {
	in := instance.New(e.Spec)
	return func(yield func(sink.Object) bool) {
		for o := range in.Objects() {
			e.Owned++
			if !yield(stored(o)) {
				return
			}
		}
		seen := map[media.Key]bool{} // the same one may be drawn twice
		for o := range in.Orphans(2 * (n - e.Owned)) {
			if len(seen) == n-e.Owned {
				return
			}
			if seen[o.Key] {
				continue
			}
			seen[o.Key] = true
			e.Planted[o.Kind]++
			if !yield(stored(o.Object)) {
				return
			}
		}
	}
}

// stored is an object under the name that R2 gives it.
func stored(o instance.Object) sink.Object {
	k := media.Key(media.Normal(string(o.Key)))
	return sink.Object{Key: string(k), Size: o.Size, MD5: invented(k), At: o.Modified}
}
