package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"
	"unicode"

	"golang.org/x/term"
)

// A world is everything a command takes from outside, so that tests and the demo
// can give it another.
type world struct {
	args      []string
	stdin     io.Reader // what a person types when asked
	stdout    io.Writer // results
	stderr    io.Writer // progress and logs
	environ   []string
	terminal  bool              // stderr is a terminal
	width     int               // its columns
	transport http.RoundTripper // nil: the network
	calm      bool              // log errors only: the demo tells its own story
	analytics string            // where Cloudflare's analytics are; "": where they are for everybody
	now       func() time.Time  // nil: time.Now
	machineID string            // "": this host's own
	// sleep waits; nil: it really does.
	sleep        func(ctx context.Context, d time.Duration) error
	machineFiles []string // where that is read; nil: where systemd has it
}

// system is the world that a shell gives us. Without a terminal lines are 80 columns wide.
func system() *world {
	w := &world{args: os.Args[1:], stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, environ: os.Environ(), width: 80}
	if fd := int(os.Stderr.Fd()); term.IsTerminal(fd) {
		w.terminal = true
		if columns, _, err := term.GetSize(fd); err == nil {
			w.width = columns
		}
	}
	return w
}

// time is what the clock says.
func (w *world) time() time.Time {
	if w.now != nil {
		return w.now()
	}
	return time.Now()
}

// getenv takes the first of that name. Commands ask for no other environment: a test
// must not depend on the one that it runs in.
func (w *world) getenv(name string) string {
	for _, line := range w.environ {
		if value, ok := strings.CutPrefix(line, name+"="); ok {
			return value
		}
	}
	return ""
}

// logger writes for people. Values are quoted by slog, so that a file name can't
// play tricks on the terminal.
func (w *world) logger(verbose bool) *slog.Logger {
	level := slog.LevelWarn
	switch {
	case w.calm:
		level = slog.LevelError
	case verbose:
		level = slog.LevelDebug
	case !w.terminal: // a timer's log: progress every 30 s
		level = slog.LevelInfo
	}
	out := w.stderr
	if w.terminal {
		out = &aboveProgress{w.stderr}
	}
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: level}))
}

// aboveProgress writes whole lines where the progress stands; the next drawing
// puts it below them.
type aboveProgress struct{ w io.Writer }

func (a *aboveProgress) Write(line []byte) (int, error) {
	const clearLine = "\r\x1b[K"
	n, err := a.w.Write(append([]byte(clearLine), line...))
	return max(0, n-len(clearLine)), err
}

// complain prints an error and what to do about it.
func (w *world) complain(err error) {
	if err == nil || quiet(err) {
		return
	}
	_, _ = fmt.Fprintln(w.stderr, "mediamove:", oneLine(err.Error()))
	if hint := hintFor(err); hint != "" {
		_, _ = fmt.Fprintln(w.stderr, "  hint:", oneLine(hint))
	}
}

// oneLine keeps errors of several parts readable and harmless on a terminal:
// neither escapes nor what turns the direction of writing get through.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, strings.ReplaceAll(s, "\n", "; "))
}
