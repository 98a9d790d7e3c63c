package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
	"example.org/mediamove/uploader"
)

// running is a session as the progress sees it, with n Class A requests made.
func running(t *testing.T, n int, log *slog.Logger) *session {
	t.Helper()
	x := &session{began: time.Now(), log: log}
	for range n {
		if err := x.meter.Reserve(costs.PutObject); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	x.bucket, err = r2.Open(r2.Config{
		Endpoint: fixtures.Endpoint, Bucket: fixtures.Name, AccessKeyID: fixtures.AccessKey, SecretAccessKey: fixtures.Secret,
		ACL: new(""), Transport: http.NewFileTransport(http.Dir(t.TempDir())), Meter: &x.meter,
	})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestProgressLine(t *testing.T) {
	t.Parallel()
	x := running(t, 1234, nil)
	walking := uploader.Stats{Done: 1200, DoneBytes: 43_300_000, ToSend: 45_000, ToSendBytes: 2_000_000_000}
	known := walking
	known.WalkDone = true
	failing := known
	failing.Failed = 12
	for _, tt := range []struct {
		name    string
		stats   uploader.Stats
		columns int
		want    string
	}{
		{"begun", uploader.Stats{}, math.MaxInt, "0/0+ files  0 B/0 B+  0 B/s  A 1,234 $0.00"},
		{"the walk goes on", walking, math.MaxInt, "1,200/45,000+ files  43.3 MB/2 GB+  722 kB/s  A 1,234 $0.00"},
		{"the total is known", known, math.MaxInt, "1,200/45,000 files  43.3 MB/2 GB  722 kB/s  ETA 45 min 11 s  A 1,234 $0.00"},
		{"some failed", failing, math.MaxInt, "1,200/45,000 files  43.3 MB/2 GB  722 kB/s  failed 12  ETA 45 min 11 s  A 1,234 $0.00"},
		{"a narrow terminal", failing, 60, "1,200/45,000 files  43.3 MB/2 GB  722 kB/s  failed 12"},
		{"a very narrow one", failing, 25, "1,200/45,000 files"},
		{"none at all", failing, -12, "1,200/45,000 files"},
	} {
		if got := x.syncFrame(tt.stats, time.Minute).line(tt.columns); got != tt.want {
			t.Errorf("%s:\n%s, want\n%s", tt.name, got, tt.want)
		}
	}
}

// The line says what this run adds to the bill of the cycle, after what others used.
func TestProgressInDollars(t *testing.T) {
	t.Parallel()
	x := running(t, 10, nil)
	x.tariff.PriceList = costs.R2()
	x.others = costs.Usage{costs.PutObject: 999_990}
	for _, want := range []string{"A 10 $0.00", "A 11 $4.50"} {
		if parts := x.requestParts(); parts[0] != want {
			t.Errorf("%q, want %s", parts, want)
		}
		x.meter.Count(costs.ListObjects)
	}
	x.others = costs.Usage{costs.PutObject: 1_200_000}
	if parts := x.requestParts(); parts[0] != "A 12 $0.00" { // that million was begun before
		t.Errorf("%q", parts)
	}
}

// A drawing is one line of the terminal, redrawn; also when files grew and more
// bytes were sent than were announced, the line stays until the end.
func TestProgressDrawsOneLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var stderr syncBuffer
		var stdout bytes.Buffer
		w := &world{stdout: &stdout, stderr: &stderr, terminal: true, width: 80}
		ctx, cancel := context.WithCancel(t.Context())
		x := running(t, 1, slog.New(slog.DiscardHandler))
		p := w.startProgress(ctx, x, func(elapsed time.Duration) frame { return x.syncFrame(uploader.Stats{}, elapsed) })
		time.Sleep(drawEvery / 2)
		for _, s := range []uploader.Stats{
			{ToSend: 3, ToSendBytes: 30},
			{Done: 1, DoneBytes: 10, ToSend: 3, ToSendBytes: 30},
			{Done: 2, DoneBytes: 20, ToSend: 3, ToSendBytes: 39, WalkDone: true},
			{Done: 3, DoneBytes: 90, ToSend: 3, ToSendBytes: 30, WalkDone: true},
			{Done: 3, DoneBytes: 95, ToSend: 3, ToSendBytes: 30, WalkDone: true},
		} {
			time.Sleep(drawEvery)
			stderr.Reset()
			f := x.syncFrame(s, time.Since(x.began))
			p.tell(ctx, f)
			drawn := stderr.String()
			if want := fmt.Sprintf("%d%%", 100*min(s.DoneBytes, s.ToSendBytes)/(s.ToSendBytes+1)); s.WalkDone && !strings.Contains(drawn, want) {
				t.Errorf("want %s, drawn is %q", want, drawn)
			}
			if !strings.Contains(drawn, f.line(80-barFrame)) {
				t.Errorf("drawn is %q", drawn)
			}
			for line := range strings.SplitSeq(drawn, "\r") {
				if len([]rune(line)) > 80 || strings.Contains(line, "\n") {
					t.Errorf("not on one line: %q", line)
				}
			}
		}
		stderr.Reset()
		cancel()
		p.wait()
		if s := stderr.String(); strings.Trim(s, "\r ") != "" || !strings.HasSuffix(s, "\r") {
			t.Errorf("the line was not cleared at the end: %q", s)
		}
		if stdout.Len() > 0 {
			t.Errorf("drawn on stdout: %q", stdout.String())
		}
	})
}

// Without a terminal, as under systemd, there is a line in the log every 30 s.
func TestProgressInTheLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var stderr syncBuffer
		var stdout bytes.Buffer
		w := &world{stdout: &stdout, stderr: &stderr}
		ctx, cancel := context.WithCancel(t.Context())
		x := running(t, 7, w.logger(false))
		p := w.startProgress(ctx, x, func(elapsed time.Duration) frame { return x.syncFrame(uploader.Stats{}, elapsed) })
		time.Sleep(29 * time.Second)
		if s := stderr.String(); s != "" {
			t.Errorf("too early: %q", s)
		}
		time.Sleep(62 * time.Second)
		cancel()
		p.wait()
		if s := stderr.String(); strings.Count(s, "msg=progress") != 3 || !strings.Contains(s, `state="0/0+ files  0 B/0 B+  0 B/s  A 7 $0.00"`) || strings.Contains(s, "\r") {
			t.Errorf("in 91 s: %q", s)
		}
		if stdout.Len() > 0 {
			t.Errorf("told on stdout: %q", stdout.String())
		}
	})
}

// What is logged while a bar stands takes the bar's place, and a hostile key in
// it stays harmless.
func TestLogAboveProgress(t *testing.T) {
	t.Parallel()
	var stderr bytes.Buffer
	w := &world{stderr: &stderr, terminal: true}
	w.logger(false).Warn("not moved", "key", media.Key("a\x1b[2J\nb"))
	before, line, _ := strings.Cut(stderr.String(), "time=")
	if before != "\r\x1b[K" || strings.Count(line, "\n") != 1 || !harmless(strings.TrimSuffix(line, "\n")) {
		t.Errorf("%q", stderr.String())
	}
	stderr.Reset()
	w.logger(false).Info("nothing to see")
	(&world{stderr: &stderr, calm: true}).logger(true).Warn("nothing either")
	if stderr.Len() > 0 {
		t.Errorf("logged %q", stderr.String())
	}
	(&world{stderr: &stderr}).logger(false).Info("a timer's log")
	if strings.HasPrefix(stderr.String(), "\r") || !strings.Contains(stderr.String(), "a timer's log") {
		t.Errorf("logged %q", stderr.String())
	}
}

// A run on a terminal draws on stderr, and its result alone is on stdout.
func TestTerminalRunKeepsStdoutClean(t *testing.T) {
	t.Parallel()
	in := inside(t, 50)
	in.terminal = true
	r := in.run("sync", in.root, "--json")
	if r.code != exitOK || !strings.HasPrefix(r.stdout, "{") || !strings.HasSuffix(r.stdout, "}\n") || strings.ContainsAny(r.stdout, "\r\x1b") {
		t.Error(r)
	}
}

// A run that is interrupted while it still walks clears its line too.
func TestProgressEndsBeforeTheWalk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var stderr syncBuffer
		w := &world{stderr: &stderr, terminal: true, width: 80}
		ctx, cancel := context.WithCancel(t.Context())
		x := running(t, 1, slog.New(slog.DiscardHandler))
		p := w.startProgress(ctx, x, func(elapsed time.Duration) frame { return x.syncFrame(uploader.Stats{}, elapsed) })
		time.Sleep(time.Second)
		cancel()
		p.wait()
		_, last, _ := strings.Cut(stderr.String(), "A 1")
		if i := strings.LastIndex(last, "A 1"); i >= 0 {
			last = last[i:]
		}
		if !strings.HasSuffix(last, "\r") {
			t.Errorf("the line was not cleared at the end: %q", stderr.String())
		}
	})
}
