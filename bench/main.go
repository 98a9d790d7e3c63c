// Bench measures mediamove against its peers, side by side in one run, and
// writes Markdown tables.
//
//	go run ./bench -out figures.md                     everything, about an hour
//	go run ./bench -quick -only upload100k,noop        small trees, once: does it work
//	go run ./bench sink -addr 127.0.0.1:9100 -tls      the S3 sink alone
//	go run ./bench gentree -out DIR -files 10000       a tree alone
//	go run ./bench fill -state DIR -sink URL           objects that nobody uploaded
//	go run ./bench mastodon -sink URL -state DIR       an instance: rows in PostgreSQL, objects, orphans
//	go run ./bench bare -dsn DSN                       a listing and a COPY, thrown away
//
// The clients run on one core and the sink on another, each in a process of
// its own. What a figure means and how to repeat it is in docs/benchmarks.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(run(os.Args[1:])) }

// run is main without the exit, so that deferred work is done.
func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// Files that the group may not read are held back, so a strict umask
	// would leave nothing to measure.
	syscall.Umask(0o022)
	job := runBench
	if len(args) > 0 {
		switch args[0] {
		case "sink":
			job, args = runSink, args[1:]
		case "gentree":
			job, args = runGentree, args[1:]
		case "fill":
			job, args = runFill, args[1:]
		case "mastodon":
			job, args = runMastodon, args[1:]
		case "bare":
			job, args = runBare, args[1:]
		}
	}
	err := job(ctx, args)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case ctx.Err() != nil:
		return 130
	}
	fmt.Fprintln(os.Stderr, "bench:", err)
	return 1
}
