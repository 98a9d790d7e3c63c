package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// config is what the flags say.
type config struct {
	only      string
	quick     bool
	n         int
	out, raw  string
	bin       string
	mediamove string
	trees     string
	work      string
	keep      bool
	clientCPU int
	sinkCPU   int
	group     int64
}

// parse reads the flags. Their help is the reference, and docs/benchmarks.md
// repeats it.
func (c *config) parse(args []string) error {
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.StringVar(&c.only, "only", "", "comma-separated `MEASURES`: "+strings.Join(measureNames(), ", ")+" (default all)")
	fs.BoolVar(&c.quick, "quick", false, "small trees, one round: to try the harness, not for figures")
	fs.IntVar(&c.n, "n", 5, "rounds of each measure")
	fs.StringVar(&c.out, "out", "", "write the Markdown to `FILE` too")
	fs.StringVar(&c.raw, "raw", "", "append one JSON line per run to `FILE`")
	fs.StringVar(&c.bin, "bin", "", "`DIR` that keeps the peers' binaries (default in the user's cache)")
	fs.StringVar(&c.mediamove, "mediamove", "", "binary to measure (default: go build ./cmd/mediamove)")
	fs.StringVar(&c.trees, "trees", "", "`DIR` for the trees (default /dev/shm if there is room, else -work)")
	fs.StringVar(&c.work, "work", "", "`DIR` for state, on a real disk (default a temporary one)")
	fs.BoolVar(&c.keep, "keep", false, "keep the trees, and use those that -trees holds")
	fs.IntVar(&c.clientCPU, "client-cpu", 0, "core of the client")
	fs.IntVar(&c.sinkCPU, "sink-cpu", 1, "core of the sink")
	fs.Int64Var(&c.group, "group", 256, "most rows in one commit of the ledger, for the kill measure's bound")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if c.quick {
		c.n = 1
	}
	return nil
}

// selected returns the measures to run, in the order of the list.
func (c *config) selected() ([]measure, error) {
	all := measures()
	if c.only == "" {
		return slices.DeleteFunc(all, func(m measure) bool { return m.extra }), nil
	}
	var picked []measure
	for name := range strings.SplitSeq(c.only, ",") {
		i := slices.IndexFunc(all, func(m measure) bool { return m.name == name })
		if i < 0 {
			return nil, fmt.Errorf("-only %s: no such measure; there are %s", name, strings.Join(measureNames(), ", "))
		}
		picked = append(picked, all[i])
	}
	return picked, nil
}

// A harness is everything that the measures share.
type harness struct {
	config
	tools  tools
	forest forest
	report *report
}

// runBench runs the measures that were asked for, one after the other. The
// first error ends the run, with the tables before it written: a measure
// without one of its clients would compare nothing.
func runBench(ctx context.Context, args []string) (err error) {
	h := &harness{}
	if err := h.parse(args); err != nil {
		return err
	}
	picked, err := h.selected()
	if err != nil {
		return err
	}
	if err := h.prepare(); err != nil {
		return err
	}
	defer h.cleanUp()
	if h.report, err = newReport(h.out, h.raw); err != nil {
		return err
	}
	h.report.machine(h.config)
	for i, m := range picked {
		fmt.Fprintln(os.Stderr, "bench:", m.name)
		h.report.section(m)
		if err := m.run(ctx, h, m); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		h.forest.fell(picked[i+1:])
	}
	return h.report.close()
}

// prepare finds the folders to work in.
func (h *harness) prepare() error {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	if h.bin == "" {
		h.bin = filepath.Join(cache, "mediamove-bench")
	}
	if h.work, err = os.MkdirTemp(h.work, "mediamove-bench-"); err != nil {
		return err
	}
	h.tools = tools{dir: h.bin, mediamove: h.mediamove, work: h.work}
	h.forest = newForest(h.config)
	return os.MkdirAll(h.bin, 0o755)
}

// cleanUp removes everything below the folders that the harness chose itself.
func (h *harness) cleanUp() {
	h.forest.fell(nil)
	os.RemoveAll(h.work)
}
