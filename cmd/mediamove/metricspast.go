package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	successName = "last_success_timestamp_seconds"
	// maxTextfile is many times what we write: a file above it is not ours.
	maxTextfile = 1 << 20
	// maxUnix is some centuries from now: +Inf and nonsense are no time.
	maxUnix = 8 * math.MaxInt32
)

// readSuccesses reads when each command last succeeded, as the textfile of an earlier run
// has it. No file is no success.
func readSuccesses(path string) (_ map[watchedCommand]time.Time, err error) {
	// A fifo or a device of that name must not keep the run waiting for ever.
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("read %s: not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return parseSuccesses(f)
}

// parseSuccesses reads the lines that we wrote, as we wrote them: whole, one label, no
// timestamp. Anything else is passed over. Prometheus' own parser is no choice here:
// expfmt panics on some damaged files (FuzzParseSuccesses has one), and the end of a night
// must not depend on what became of the last one's file.
func parseSuccesses(r io.Reader) (map[watchedCommand]time.Time, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxTextfile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read metrics: %w", err)
	case len(text) > maxTextfile:
		return nil, fmt.Errorf("read metrics: more than %s", size(maxTextfile))
	}
	found := map[watchedCommand]time.Time{}
	for line := range strings.Lines(string(text)) {
		sample, ours := strings.CutPrefix(line, metricPrefix+successName+`{command="`)
		name, value, labelled := strings.Cut(sample, `"} `)
		number, whole := strings.CutSuffix(value, "\n") // without an end it may be half a number
		seconds, err := strconv.ParseFloat(number, 64)
		command := watchedCommand(name)
		if !ours || !labelled || !whole || err != nil || !slices.Contains(watchedCommands(), command) {
			continue
		}
		if !(seconds > 0) || seconds > maxUnix {
			continue
		}
		if at := time.UnixMilli(int64(math.Round(seconds * 1000))).UTC(); at.After(found[command]) {
			found[command] = at
		}
	}
	return found, nil
}
