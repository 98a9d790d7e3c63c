package main

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/costs"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

// metrics is what a run tells Prometheus by a textfile, which node_exporter reads. What
// is nil or zero was not found out, and has no sample: a gap in a graph is honest, last
// night's figure is not. Only the success of a command outlives the run that wrote it.
type metrics struct {
	listed   time.Time                    // when the listing was made that bucket and orphans come from
	bucket   map[bucketPart]cleanup.Sum   // what was listed
	removed  cleanup.Sum                  // what this run removed of it: no sample unless bucket is known
	orphans  map[orphanState]cleanup.Sum  // every state has a sample unless the map is nil
	missing  *nightMissing                // nil: nobody looked
	budget   int64                        // bytes
	growth   *growthMetrics               // nil: too few days are known
	month    *monthMetrics                // nil: the ledger could not say
	failures map[failureCause]int64       // of this run; every cause has a sample, also if the map is nil
	left     map[string]int64             // by cleanup.Kept…: what should be gone and is not
	ended    map[string]commandEnd        // of this run's commands, by name
	success  map[watchedCommand]time.Time // of all that is known, this run too; see remember
}

// A bucketPart is the objects of one class that one kind of owner has.
type bucketPart struct {
	class media.Class
	owner objectOwner
}

// An objectOwner says whose an object is.
type objectOwner string

const (
	ownerLocal   objectOwner = "local"   // people of this instance: the only copy
	ownerRemote  objectOwner = "remote"  // copies of other servers' files
	ownerOrphan  objectOwner = "orphan"  // nobody's, though Mastodon may have had it once
	ownerUnknown objectOwner = "unknown" // keys that Mastodon's rules don't explain
)

// An orphanState says what becomes of what no row owns.
type orphanState string

const (
	orphanWaiting orphanState = "waiting"   // too young, or seen too shortly ago
	orphanMayGo   orphanState = "candidate" // may go, within the ceilings
	orphanAbove   orphanState = "above"     // above a ceiling: a person decides
	orphanReview  orphanState = "review"    // a local row exists: a person looks
	orphanUnknown orphanState = "unknown"   // never removed
)

func orphanStates() []orphanState {
	return []orphanState{orphanWaiting, orphanMayGo, orphanAbove, orphanReview, orphanUnknown}
}

// growthMetrics is the forecast.
type growthMetrics struct {
	bytesPerDay float64   // without what cleanup removed; negative: it shrinks
	crossing    time.Time // when it would pass the budget; zero: never, or prune keeps it there
}

// monthMetrics are the operations that the ledger knows of this billing month.
type monthMetrics struct {
	classA, classB int64 // to date
	forecastA      int64 // Class A at the month's end; 0: not known
	freeA          int64 // Class A that cost nothing, per month
}

// monthOf is a billing month to date and, from its second day on, what it comes to at
// the same pace. used is what the ledger counted from from until now; the month ends at to.
func monthOf(used costs.Usage, freeA int64, from, to, now time.Time) *monthMetrics {
	m := &monthMetrics{classA: used.A(), classB: used.B(), freeA: freeA}
	if gone, all := now.Sub(from), to.Sub(from); gone >= 24*time.Hour && gone <= all {
		m.forecastA = int64(math.Round(float64(m.classA) * (float64(all) / float64(gone))))
	}
	return m
}

// A commandEnd is how a command ended, alone or as a part of the night.
type commandEnd struct {
	at   time.Time
	exit int
}

// A watchedCommand is one whose last success is worth an alert. The list is fixed: a
// textfile that somebody else wrote must not make series of its own.
type watchedCommand string

func watchedCommands() []watchedCommand {
	return []watchedCommand{"nightly", "orphans", "prune", "sync", "verify"}
}

// end notes how a command of this run ended. at is the host's clock, as Prometheus' own
// time() is, and not the bucket's.
func (m *metrics) end(command string, at time.Time, err error) {
	if m.ended == nil {
		m.ended = map[string]commandEnd{}
	}
	m.ended[command] = commandEnd{at, exitCode(err)}
}

// fail counts a step that failed. No error is no failure.
func (m *metrics) fail(err error) {
	if err == nil {
		return
	}
	if m.failures == nil {
		m.failures = map[failureCause]int64{}
	}
	m.failures[causeOf(err)]++
}

// metricHistory is the ledger's memory of runs.
type metricHistory interface {
	Runs(ctx context.Context, last int) ([]ledger.Run, error)
}

// lookBack is how many runs are asked for the last success of each command: some weeks.
// What succeeded before that is in the earlier textfile.
const lookBack = 200

// save completes the successes and replaces the textfile at path. A past that can't be
// read costs successes of other commands, never today's figures. now is the host's clock,
// which Prometheus has too.
func (m *metrics) save(ctx context.Context, path string, led metricHistory, now time.Time, log *slog.Logger) error {
	earlier, err := readSuccesses(path)
	if err != nil {
		log.WarnContext(ctx, "can't read the earlier metrics", "file", path, "error", err)
	}
	runs, err := led.Runs(ctx, lookBack)
	if err != nil {
		log.WarnContext(ctx, "can't read the earlier runs", "error", err)
	}
	m.remember(earlier, runs, now)
	return m.write(path)
}

// remember takes for each command the latest success that the earlier textfile, the
// ledger or this run knows of. One in the future is a clock that went wrong: it would
// silence the alert for as long, so it does not count.
func (m *metrics) remember(earlier map[watchedCommand]time.Time, runs []ledger.Run, now time.Time) {
	m.success = map[watchedCommand]time.Time{}
	note := func(command watchedCommand, at time.Time) {
		if at.Unix() > 0 && !at.After(now) && at.After(m.success[command]) && slices.Contains(watchedCommands(), command) {
			m.success[command] = at
		}
	}
	for command, at := range earlier {
		note(command, at)
	}
	for _, r := range runs {
		if r.ExitCode == exitOK && !r.Interrupted {
			note(watchedCommand(r.Command), r.At)
		}
	}
	for command, e := range m.ended {
		if e.exit == exitOK {
			note(watchedCommand(command), e.at)
		}
	}
}

// write replaces the textfile: a temporary file in the same folder that node_exporter
// does not read, 0644, renamed.
func (m *metrics) write(path string) error {
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(m); err != nil {
		return fmt.Errorf("write metrics %s: %w", path, err)
	}
	if err := prometheus.WriteToTextfile(path, registry); err != nil {
		return fmt.Errorf("write metrics %s: %w", path, err)
	}
	return nil
}

// checkMetricsFile makes the name of --metrics-file absolute. node_exporter passes over
// whatever does not end in .prom without a word.
func checkMetricsFile(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	if !strings.HasSuffix(path, ".prom") || filepath.Base(path) == ".prom" {
		return "", usagef("for instance --metrics-file /var/lib/node_exporter/textfile_collector/mediamove.prom",
			"--metrics-file %q does not end in .prom, and node_exporter reads nothing else", path)
	}
	return filepath.Abs(path)
}
