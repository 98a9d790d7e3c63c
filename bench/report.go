package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"
	"time"
)

// A report writes Markdown as the measures end, so that one that fails late
// does not take the others' figures with it.
type report struct {
	w     io.Writer
	files []*os.File
	raw   *os.File // nil: none
	err   error    // of the first write that failed
}

// newReport opens the files that the flags name. raw is appended to, since runs
// on several days make one history.
func newReport(out, raw string) (*report, error) {
	r := &report{w: os.Stdout}
	if out != "" {
		f, err := os.Create(out)
		if err != nil {
			return nil, err
		}
		r.files = append(r.files, f)
		r.w = io.MultiWriter(os.Stdout, f)
	}
	if raw != "" {
		f, err := os.OpenFile(raw, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return nil, err
		}
		r.raw = f
		r.files = append(r.files, f)
	}
	return r, nil
}

// close returns the first error of all writes: figures that did not reach the
// file are no figures.
func (r *report) close() error {
	errs := []error{r.err}
	for _, f := range r.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// printf remembers the first error instead of returning it, so that the
// measures read without it; [report.close] tells.
func (r *report) printf(format string, args ...any) {
	if _, err := fmt.Fprintf(r.w, format, args...); err != nil && r.err == nil {
		r.err = err
	}
}

// sample keeps one run as it was, for whoever doubts a median.
func (r *report) sample(s sample) error {
	if r.raw == nil {
		return nil
	}
	return json.NewEncoder(r.raw).Encode(s)
}

// machine writes what has to be known to read the tables.
func (r *report) machine(c config) {
	r.printf("# Figures of %s\n\n%s.\n", time.Now().UTC().Format(time.DateOnly), machineLine())
	r.printf("Client on core %d, server on core %d, %d rounds, clients in turn. Each cell is min / median / max.\n",
		c.clientCPU, c.sinkCPU, c.n)
	if c.quick {
		r.printf("\n**-quick: small trees, one round. These are no figures.**\n")
	}
}

// section begins the part of one measure.
func (r *report) section(m measure) { r.printf("\n## %s: %s\n\n", m.name, m.title) }

// tree says what the clients had to handle.
func (r *report) tree(t tree) {
	where := "on disk, read before"
	if t.tmpfs {
		where = "in tmpfs"
	}
	r.printf("%d files in %d folders, %.1f MB (median %d, 90 %% %d, 99 %% %d, largest %d bytes), %s.\n\n",
		t.Files, t.Dirs, float64(t.Bytes)/1e6, t.Sizes[0], t.Sizes[1], t.Sizes[2], t.Sizes[3], where)
}

// table prints the figures that every measure has. files and bytes are what
// one run handles; without bytes there is no rate.
func (r *report) table(all results, t tree) {
	r.printf("| client | n | wall s | CPU s | CPU µs/file | files/s | MB/s | peak MB | server core | A / B | most at once | others, cores |\n")
	r.printf("|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, s := range all {
		wall, cpu := s.of(wall), s.of(cpu)
		last := s.samples[len(s.samples)-1].Requests
		r.printf("| %s | %d | %s | %s | %.0f | %.0f | %.1f | %s | %.0f %% | %d / %d | %d | %.2f |\n",
			s.name, len(s.samples), seconds(wall), seconds(cpu),
			cpu.med/float64(t.Files)*1e6, float64(t.Files)/wall.med, float64(t.Bytes)/wall.med/1e6, peak(s.of(rss).max),
			s.of(sample.sinkShare).med*100, last.ClassA, last.ClassB, last.Peak,
			s.of(func(s sample) float64 { return s.Others }).max)
	}
	r.printf("\n")
}

// peak prints a peak in MB. A child's peak begins with its parent's, so what is
// not above the harness's own is only known to be no more than that.
func peak(bytes float64) string {
	text := fmt.Sprintf("%.0f", bytes/mb)
	var ru syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &ru) == nil && bytes <= float64(ru.Maxrss<<10) {
		return "≤ " + text
	}
	return text
}

// seconds prints a spread as the tables have it.
func seconds(s spread) string { return fmt.Sprintf("%.2f / %.2f / %.2f", s.min, s.med, s.max) }

// A goal is one sentence of the issue, with what was measured.
type goal struct {
	text  string
	value float64
	limit float64
	void  string // why the figure does not count; empty: it does
}

// goal judges one goal. A figure that could not be had (NaN) has missed it.
func (r *report) goal(g goal) {
	verdict := "**missed**"
	switch {
	case g.void != "":
		verdict = "**void**, " + g.void
	case g.value <= g.limit:
		verdict = "met"
	}
	r.printf("- %s: %s (limit %s): %s\n", g.text, threeDigits(g.value), threeDigits(g.limit), verdict)
}

// threeDigits prints a figure of a goal. Large ones are counts, which are met
// or missed by one.
func threeDigits(v float64) string {
	if v >= 1000 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// busy is from which share on the server's core bounds a wall time.
const busy = 0.9

// bounded says why a comparison of wall times of these series does not count.
func bounded(all ...series) string {
	for _, s := range all {
		if share := s.of(sample.sinkShare).med; share >= busy {
			return fmt.Sprintf("the server's core was %.0f %% busy under %s", share*100, s.name)
		}
	}
	return ""
}
