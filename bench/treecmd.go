package main

import (
	"context"
	"encoding/json"
	"flag"
	"os"

	"example.org/mediamove/bench/gentree"
)

// runGentree is the subcommand that makes one tree and prints its summary. The
// harness runs it as a process, since a child's peak memory begins with that
// of its parent: the harness has to stay smaller than what it measures.
func runGentree(_ context.Context, args []string) error {
	fs := flag.NewFlagSet("bench gentree", flag.ContinueOnError)
	var s gentree.Spec
	out := fs.String("out", "", "write to `DIR`, which must not exist")
	specFlags(fs, &s)
	if err := fs.Parse(args); err != nil {
		return err
	}
	sum, err := gentree.Make(*out, s)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(sum)
}

func specFlags(fs *flag.FlagSet, s *gentree.Spec) {
	fs.IntVar(&s.Files, "files", 1000, "number of files")
	fs.Int64Var(&s.Bytes, "bytes", 0, "scale the sizes to this total")
	fs.Uint64Var(&s.Seed, "seed", 1, "same seed, same tree")
	fs.Float64Var(&s.Median, "median", 14000, "median size in bytes")
	fs.Float64Var(&s.Sigma, "sigma", 1.4, "standard deviation of the logarithm of the size")
	fs.Float64Var(&s.Videos, "videos", 0, "share of files that are videos of 5 to 40 MB")
	fs.BoolVar(&s.Empty, "empty", false, "files without bytes")
}
